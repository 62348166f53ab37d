import CUDADriver

/// Memory of a card that is taken and given back while steps run.
///
/// To take ordinary memory back the driver waits for all that the card does, and steps wait for the driver. What is given back here stays
/// the pool's, for who asks next, until ``empty()`` or the end of the pool. The calling thread must use the card.
@safe final class MemoryPool: @unchecked Sendable {  // immutable; the driver takes calls of any thread
  private let pool: dk_cuda_pool
  /// The order in which memory is taken and given back: nothing else is on it, so it never waits.
  private let stream: dk_cuda_stream

  init(device: Int32) throws(CUDAError) {
    var (pool, stream): (dk_cuda_pool?, dk_cuda_stream?) = (nil, nil)
    try check(unsafe dk_cuda_make_pool(device, &pool), "making a pool of memory")
    guard let pool = unsafe pool else { throw CUDAError("the NVIDIA driver gives no pool of memory") }
    let code = unsafe dk_cuda_make_stream(&stream, 0)
    guard code == 0, let stream = unsafe stream else {
      _ = unsafe dk_cuda_destroy_pool(pool)
      throw CUDAError(code: code, "making a stream")
    }
    unsafe (self.pool, self.stream) = unsafe (pool, stream)
  }
  deinit {
    _ = unsafe dk_cuda_destroy_stream(stream)
    _ = unsafe dk_cuda_destroy_pool(pool)
  }

  /// Ready when this returns, on every stream.
  func take(_ byteCount: Int, _ operation: @autoclosure () -> String) throws(CUDAError) -> dk_cuda_pointer {
    var address: dk_cuda_pointer = 0
    try check(unsafe dk_cuda_allocate_from(pool, byteCount, stream, &address), operation())
    do { try check(unsafe dk_cuda_wait(stream), operation()) } catch {
      give(address)
      throw error
    }
    return address
  }
  /// - Parameter address: Memory that no stream has anything more to do with.
  func give(_ address: dk_cuda_pointer) { _ = unsafe dk_cuda_give_back(address, stream) }

  /// Bytes that it has and nobody uses.
  var idleByteCount: Int {
    get throws(CUDAError) {
      var count = 0
      try check(unsafe dk_cuda_pool_idle(pool, &count), "asking for free memory")
      return count
    }
  }
  /// Gives those to the card.
  func empty() throws(CUDAError) { try check(unsafe dk_cuda_empty_pool(pool), "emptying a pool of memory") }
}
