import Files
import Synchronization

/// Independent pieces of one job on plain threads; Swift's own pool is not for waiting in.
public enum Parallel {
  /// As many as there are processors, but no more than keep a disk busy.
  public static let defaultWorkers = min(8, Processors.count)

  /// Runs `body` for 0 ..< `count`, each number once, lowest first, on up to `workers` threads, and waits for all.
  ///
  /// After the first error no more numbers are given out; that error is thrown when the running ones have ended.
  public static func forEach(_ count: Int, workers: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    try share(count, workers: workers) { take in
      while let index = take() { try body(index) }
    }
  }

  /// What `body` gives for each of 0 ..< `count`, in their order; as ``forEach(_:workers:_:)`` else.
  public static func map<Result: Sendable>(
    _ count: Int, workers: Int, _ body: @escaping @Sendable (Int) throws -> Result
  ) throws -> [Result] {
    let results = Mutex([Result?](repeating: nil, count: count))
    try forEach(count, workers: workers) { index in
      let result = try body(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { $0.compactMap(\.self) }
  }

  /// Runs `body` once on each of up to `workers` threads, the caller's among them, and waits for all: for work that keeps memory
  /// from one piece to the next.
  ///
  /// - Parameter body: Takes numbers of 0 ..< `count` until there are none; errors as above.
  public static func share(_ count: Int, workers: Int, _ body: @escaping @Sendable (_ take: () -> Int?) throws -> Void) throws {
    let shared = Shared()
    let run = { @Sendable in
      do { try body { shared.counter.take(below: count) } } catch {
        shared.failure.withLock { if $0 == nil { $0 = error } }
        shared.counter.end(at: count)
      }
    }
    var threads: [PlainThread] = []
    while threads.count + 1 < min(workers, count) {
      guard let thread = try? PlainThread(run) else { break }  // fewer threads, same work
      threads.append(thread)
    }
    run()
    for thread in threads { thread.join() }
    if let failure = shared.failure.withLock({ $0 }) { throw failure }
  }

  private final class Shared: Sendable {
    let counter = Counter()
    let failure = Mutex<(any Error)?>(nil)
  }
}
