import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Plain threads for work that waits for the disk or fills a core; Swift's own pool is not for waiting in.
public enum Parallel {
  /// As many as there are processors, but no more than keep a disk busy.
  public static let defaultWorkers = min(8, Processors.count)

  /// Runs `body` for 0 ..< `count`, each number once, lowest first, on up to `workers` threads, and waits for all.
  ///
  /// After the first error no more numbers are given out; that error is thrown when the running ones have ended.
  public static func forEach(_ count: Int, workers: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let work = Work(count: count, body: body)
    let extra = max(0, min(workers, count) - 1)
    var threads: [pthread_t] = []
    for _ in 0..<extra {
      let context = unsafe Unmanaged.passRetained(work)
      var thread = pthread_t()
      let failed = unsafe pthread_create(&thread, nil, { pointer in
        if let pointer = unsafe pointer { unsafe Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().run() }
        return nil
      }, context.toOpaque())
      if failed != 0 {  // fewer threads, same work
        unsafe context.release()
        break
      }
      threads.append(thread)
    }
    work.run()
    for thread in threads { pthread_join(thread, nil) }
    if let failure = work.failure.withLock({ $0 }) { throw failure }
  }

  private final class Work: Sendable {
    let count: Int
    let body: @Sendable (Int) throws -> Void
    let next = Atomic(0)
    let failure = Mutex<(any Error)?>(nil)

    init(count: Int, body: @escaping @Sendable (Int) throws -> Void) { (self.count, self.body) = (count, body) }

    func run() {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        do { try body(index) } catch {
          failure.withLock { if $0 == nil { $0 = error } }
          next.store(count, ordering: .relaxed)
          return
        }
      }
    }
  }
}
