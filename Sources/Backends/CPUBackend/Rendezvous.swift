#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A meeting point of `count` threads that carries a pointer from each.
///
/// Waiting sleeps: ranks of one process may outnumber the cores.
@safe final class Rendezvous: @unchecked Sendable {  // all state is guarded by the mutex
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private let count: Int
  private var arrived = 0
  private var generation = 0

  init(count: Int) {
    self.count = count
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
  }
  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// Returns when all have come; what each did before, all may read after.
  func meet(_ enter: () -> Void = {}) {
    guard count > 1 else { enter(); return }
    unsafe pthread_mutex_lock(mutex)
    enter()
    arrived += 1
    if arrived == count {
      arrived = 0
      generation += 1
      unsafe pthread_cond_broadcast(condition)
    } else {
      let mine = generation
      while mine == generation { unsafe pthread_cond_wait(condition, mutex) }
    }
    unsafe pthread_mutex_unlock(mutex)
  }
}
