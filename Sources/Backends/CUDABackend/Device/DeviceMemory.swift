import CUDADriver

/// Memory of a card, given back when its last owner goes.
@safe final class DeviceMemory: Sendable {
  private let device: Device
  private let isPooled: Bool
  let address: dk_cuda_pointer
  let byteCount: Int

  /// - Parameters:
  ///   - purpose: For the error where there is not so much.
  ///   - isPassing: It is given back while steps run, which do not wait for that then. Who gives it back knows that no stream has anything more
  ///     to do with it.
  init(_ device: Device, byteCount: Int, for purpose: String, isPassing: Bool = false) throws(CUDAError) {
    let pool = isPassing ? device.pool : nil
    func take() throws(CUDAError) -> dk_cuda_pointer {
      let operation = "allocating \(byteCount) bytes for \(purpose)"
      if let pool { return try pool.take(max(256, byteCount), operation) }
      var address: dk_cuda_pointer = 0
      try check(unsafe dk_cuda_allocate(max(256, byteCount), &address), operation)
      return address
    }
    do { address = try take() } catch {
      // What the pool keeps may be in pieces that are too small, or is wanted elsewhere.
      guard error.isOutOfMemory, let kept = device.pool, (try? kept.idleByteCount) ?? 0 > 0 else { throw error }
      try kept.empty()
      address = try take()
    }
    (self.device, isPooled, self.byteCount) = (device, pool != nil, byteCount)
  }
  deinit {
    try? device.use()
    if isPooled { device.pool?.give(address) } else { _ = dk_cuda_free(address) }
  }
}

/// Host memory that the card reads and writes by itself.
@safe final class PinnedMemory: @unchecked Sendable {  // its users agree on who writes when
  private let device: Device
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  init(_ device: Device, byteCount: Int) throws(CUDAError) {
    var base: UnsafeMutableRawPointer?
    try check(unsafe dk_cuda_allocate_host(max(256, byteCount), &base), "allocating \(byteCount) bytes of host memory")
    guard let base = unsafe base else { throw CUDAError("the NVIDIA driver gives no host memory") }
    unsafe self.base = unsafe base
    (self.device, self.byteCount) = (device, byteCount)
  }
  deinit {
    try? device.use()
    _ = unsafe dk_cuda_free_host(base)
  }
}
