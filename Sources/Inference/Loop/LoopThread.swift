#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A detached thread of its own for work that would block Swift's shared threads.
enum LoopThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  static func start(_ run: @escaping @Sendable () -> Void) throws(EngineLoopError) {
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
}
