#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A detached thread of its own for work that would block Swift's shared threads.
package enum LoopThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Parameter niceness: 0 to 19, how far the thread steps back for others; only Linux heeds it.
  package static func start(niceness: Int32 = 0, _ run: @escaping @Sendable () -> Void) throws(EngineLoopError) {
    let run = { @Sendable in
      stepBack(niceness)
      run()
    }
    let body = unsafe Unmanaged.passRetained(Body(run))
    #if canImport(Darwin)
      var thread: pthread_t?
      let code = unsafe pthread_create(
        &thread, nil,
        { raw in
          unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
          return nil
        }, body.toOpaque())
      if code == 0, let thread = unsafe thread { unsafe pthread_detach(thread) }
    #else
      var thread = pthread_t()
      let code = unsafe pthread_create(
        &thread, nil,
        { raw in
          if let raw = unsafe raw { unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
          return nil
        }, body.toOpaque())
      if code == 0 { pthread_detach(thread) }
    #endif
    guard code == 0 else {
      unsafe body.release()
      throw .threadNotStarted(errno: code)
    }
  }

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
