/// A sequence inside the engine loop. Smaller arrived earlier, which is what fairness goes by.
package struct SequenceID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let arrival: UInt64
  package init(arrival: UInt64) { self.arrival = arrival }
  package static func < (left: SequenceID, right: SequenceID) -> Bool { left.arrival < right.arrival }
  package var description: String { "#\(arrival)" }
}
