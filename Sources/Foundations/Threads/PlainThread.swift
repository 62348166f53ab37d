#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A thread of its own for work that waits for disks, fills a processor, or would block Swift's shared threads.
public struct PlainThread: Sendable {
  /// What the system's threads are called by.
  #if canImport(Darwin)
    private nonisolated(unsafe) let thread: pthread_t
  #else
    private let thread: pthread_t
  #endif

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Parameters:
  ///   - niceness: 0 to 19, how far the thread steps back for others; only Linux heeds it.
  ///   - run: What it does. The thread ends with it; ``join()`` or ``detach()`` must be called once.
  public init(niceness: Int32 = 0, _ run: @escaping @Sendable () -> Void) throws(ThreadError) {
    let body = unsafe Unmanaged.passRetained(
      Body {
        Self.stepBack(niceness)
        run()
      })
    #if canImport(Darwin)
      var thread: pthread_t?
      let code = unsafe pthread_create(
        &thread, nil,
        { raw in
          unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
          return nil
        }, body.toOpaque())
    #else
      var made = pthread_t()
      let code = unsafe pthread_create(
        &made, nil,
        { raw in
          if let raw = unsafe raw { unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
          return nil
        }, body.toOpaque())
      let thread: pthread_t? = made
    #endif
    guard code == 0, let thread = unsafe thread else {
      unsafe body.release()
      throw ThreadError(code: code)
    }
    unsafe self.thread = unsafe thread
  }

  /// Starts a thread that is not joined.
  public static func start(niceness: Int32 = 0, _ run: @escaping @Sendable () -> Void) throws(ThreadError) {
    try PlainThread(niceness: niceness, run).detach()
  }

  /// Waits for the thread to end.
  public func join() { _ = unsafe pthread_join(thread, nil) }
  /// Lets the thread end by itself.
  public func detach() { _ = unsafe pthread_detach(thread) }

  /// Of the calling thread: to Linux, each is a process here.
  private static func stepBack(_ niceness: Int32) {
    guard niceness > 0 else { return }
    #if canImport(Glibc)
      _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    #elseif canImport(Musl)
      _ = setpriority(PRIO_PROCESS, 0, niceness)
    #endif
  }
}

/// The system gave no thread.
public struct ThreadError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What `pthread_create` returned: a number of `errno.h`.
  public let code: Int32
  public var description: String { "A thread could not be started: pthread_create failed, errno \(code). Check the limit of threads." }
}
