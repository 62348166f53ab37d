#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Lets one thread sleep until another has something for it. A wake that comes first is not lost.
@safe final class WakeSignal: @unchecked Sendable {  // `isSet` is only touched with the mutex held
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var isSet = false

  init() {
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
  }
  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  func wake() {
    unsafe pthread_mutex_lock(mutex)
    isSet = true
    unsafe pthread_cond_signal(condition)
    unsafe pthread_mutex_unlock(mutex)
  }
  func wait() {
    unsafe pthread_mutex_lock(mutex)
    while !isSet { unsafe pthread_cond_wait(condition, mutex) }
    isSet = false
    unsafe pthread_mutex_unlock(mutex)
  }
}
