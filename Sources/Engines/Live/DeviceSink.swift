import Synchronization
import Threads
import WeightSources

/// A device that makes weights by itself; those that it cannot make go to memory.
struct DeviceSink: WeightSink {
  private let device: any WeightDevice
  private let memory: MemorySink
  /// For each job; nil: the processor makes it.
  private let orders: [WeightOrder?]

  /// - Parameter orders: For each job that will come, see ``orders(for:on:)``.
  init(_ device: any WeightDevice, orders: [WeightOrder?], else memory: MemorySink) {
    (self.device, self.orders, self.memory) = (device, orders, memory)
  }

  /// What the device can make; nil where it cannot.
  static func orders(for jobs: [WeightJob], on device: any WeightDevice) -> [WeightOrder?] {
    jobs.map { job in
      guard case .recipe(let program, let source) = job.origin,
        let order = WeightOrder(job.name, program, byteCount: job.stored.byteCount, from: source, rank: job.rank), device.canMake(order)
      else { return nil }
      return order
    }
  }

  func makeItself(_ jobs: [WeightJob], workers: Int, progress: ProgressCounter?) async throws -> [MadeWeight?] {
    var results: [MadeWeight?] = jobs.map { _ in nil }
    let (places, all) = (orders.indices.filter { orders[$0] != nil }, orders.compactMap(\.self))
    guard !all.isEmpty else { return results }
    let flag = CancellationFlag()
    let made = try await withTaskCancellationHandler {
      try device.make(all, workers: workers, progress: progress) { flag.isSet }
    } onCancel: {
      flag.set()
    }
    try Task.checkCancellation()
    let expected = zip(places, made).filter { place, made in memory.isExpected(made.digest, jobs[place]) }.map { jobs[$0.0].name }
    let held = expected.isEmpty ? [:] : Dictionary(zip(expected, try device.digests(ofFileWeights: expected)), uniquingKeysWith: { $1 })
    for (place, made) in zip(places, made) {
      let job = jobs[place]
      let fate = memory.set(held[job.name] == made.digest ? nil : WeightMemory(on: made.weight), job)
      results[place] = MadeWeight(
        digest: made.digest,
        written: WrittenWeight(
          rank: job.rank, name: job.name, fate: fate, byteCount: job.stored.byteCount, nonFiniteCount: made.nonFiniteCount))
    }
    return results
  }

  func begin(_ job: WeightJob, _ maker: WeightMaker) throws -> any OpenWeight { try memory.begin(job, maker) }
}

/// Says that a task was cancelled to threads that are none of its.
private final class CancellationFlag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
