import CUDADriver

/// Memory of a card, given back when its last owner goes.
@safe final class DeviceMemory: Sendable {
  private let device: Device
  let address: dk_cuda_pointer
  let byteCount: Int

  /// - Parameter purpose: For the error where there is not so much.
  init(_ device: Device, byteCount: Int, for purpose: String) throws(CUDAError) {
    var address: dk_cuda_pointer = 0
    try check(unsafe dk_cuda_allocate(max(256, byteCount), &address), "allocating \(byteCount) bytes for \(purpose)")
    (self.device, self.address, self.byteCount) = (device, address, byteCount)
  }
  deinit {
    try? device.use()
    _ = dk_cuda_free(address)
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
