/// What the ranks of one engine say to each other during a step. NCCL will stand behind the same four calls.
///
/// Every rank of a tensor-parallel group makes the same collective calls in the same order.
package protocol Communicator: Sendable {
  /// Replaces `values` on every rank of the group by the sum over the group, added in rank order.
  func allReduce(_ values: UnsafeMutablePointer<Float>, count: Int)
  /// Row r of `output` becomes row r of every rank's `input`, side by side in rank order.
  ///   - input: `[rows, width]`; output: `[rows, t · width]`.
  func allGather(_ input: UnsafePointer<Float>, rows: Int, width: Int, into output: UnsafeMutablePointer<Float>)
  /// Hands rows to the same tensor rank of the next stage; returns when they may be changed.
  func send(_ values: UnsafePointer<Float>, count: Int)
  /// Takes what the previous stage sends.
  func receive(_ values: UnsafeMutablePointer<Float>, count: Int)
}
