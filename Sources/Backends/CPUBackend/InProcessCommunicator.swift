/// Ranks of one process: shared memory and a meeting point.
@safe final class InProcessCommunicator: Communicator, @unchecked Sendable {  // tables change only inside a meeting
  /// One tensor-parallel group, or one pair of neighbouring stages.
  @safe final class Table: @unchecked Sendable {
    let meeting: Rendezvous
    var pointers: [UnsafeMutablePointer<Float>?]
    init(count: Int) {
      meeting = Rendezvous(count: count)
      unsafe pointers = Array(repeating: nil, count: count)
    }
  }
  private let group: Table
  private let tensorRank: Int
  private let size: Int
  private let previous: Table?
  private let next: Table?

  init(group: Table, tensorRank: Int, size: Int, previous: Table?, next: Table?) {
    self.group = group
    self.tensorRank = tensorRank
    self.size = size
    self.previous = previous
    self.next = next
  }

  /// One communicator for each rank of a mapping, by rank.
  static func ranks(tensorParallel: Int, pipelineParallel: Int) -> [InProcessCommunicator] {
    let groups = (0..<pipelineParallel).map { _ in Table(count: tensorParallel) }
    let links = (0..<max(0, pipelineParallel - 1)).map { _ in (0..<tensorParallel).map { _ in Table(count: 2) } }
    return (0..<pipelineParallel).flatMap { stage in
      (0..<tensorParallel).map { rank in
        InProcessCommunicator(
          group: groups[stage], tensorRank: rank, size: tensorParallel,
          previous: stage > 0 ? links[stage - 1][rank] : nil,
          next: stage < pipelineParallel - 1 ? links[stage][rank] : nil)
      }
    }
  }

  func allReduce(_ values: UnsafeMutablePointer<Float>, count: Int) {
    guard size > 1 else { return }
    group.meeting.meet { unsafe group.pointers[tensorRank] = unsafe values }
    // Each rank sums its share of the elements, in rank order, and gives everyone the result.
    let share = count * tensorRank / size..<count * (tensorRank + 1) / size
    let buffers = unsafe group.pointers.compactMap { unsafe $0 }
    for index in share {
      var sum = unsafe buffers[0][index]
      for rank in 1..<size { unsafe sum += buffers[rank][index] }
      for rank in 0..<size { unsafe buffers[rank][index] = sum }
    }
    group.meeting.meet()
  }

  func allGather(_ input: UnsafePointer<Float>, rows: Int, width: Int, into output: UnsafeMutablePointer<Float>) {
    group.meeting.meet { unsafe group.pointers[tensorRank] = unsafe UnsafeMutablePointer(mutating: input) }
    let buffers = unsafe group.pointers.compactMap { unsafe $0 }
    for row in 0..<rows {
      for rank in 0..<size {
        unsafe (output + (row * size + rank) * width).update(from: buffers[rank] + row * width, count: width)
      }
    }
    group.meeting.meet()
  }

  func send(_ values: UnsafePointer<Float>, count: Int) {
    guard let next else { return }
    next.meeting.meet { unsafe next.pointers[0] = unsafe UnsafeMutablePointer(mutating: values) }
    next.meeting.meet()  // the receiver has copied
  }

  func receive(_ values: UnsafeMutablePointer<Float>, count: Int) {
    guard let previous else { return }
    previous.meeting.meet()
    if let source = unsafe previous.pointers[0] { unsafe values.update(from: source, count: count) }
    previous.meeting.meet()
  }
}
