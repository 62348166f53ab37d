import CUDADriver
import CUDAKernels

/// A kernel that can be launched; its module lives as long as its owner.
@safe struct Kernel: @unchecked Sendable {  // immutable
  let name: String
  let function: dk_cuda_function
}

/// The kernels of `CUDAKernels`, loaded for one card.
@safe final class Kernels: @unchecked Sendable {  // immutable
  private let device: Device
  private let module: dk_cuda_module
  let embed, norm, pack, gated, add, select, choose, turn, attend, attendRow, attendRowSplits, merge, tile, read: Kernel
  /// Of many rows of a sequence; nil where the card or the size of heads does not allow it.
  let attendPrompt: Kernel?
  /// Products, by name.
  private let products: [String: Kernel]

  init(_ device: Device, code: [UInt8]) throws(CUDAError) {
    var module: dk_cuda_module?
    try check(unsafe code.withUnsafeBytes { unsafe dk_cuda_load_module($0.baseAddress, &module) }, "loading kernels")
    guard let module = unsafe module else { throw CUDAError("the NVIDIA driver gives no module") }
    func find(_ name: String, sharedMemory: Int = 0) throws(CUDAError) -> Kernel {
      var function: dk_cuda_function?
      try check(unsafe dk_cuda_find_function(module, name, &function), "finding the kernel \(name)")
      guard let function = unsafe function else { throw CUDAError("the kernels lack \(name)") }
      if sharedMemory > 48 << 10 {
        try check(unsafe dk_cuda_allow_shared_memory(function, Int32(sharedMemory)), "giving \(name) \(sharedMemory) bytes of shared memory")
      }
      return unsafe Kernel(name: name, function: function)
    }
    do {
      (embed, norm, pack) = (try find("dk_embed"), try find("dk_norm"), try find("dk_pack"))
      (gated, add, select) = (try find("dk_gated"), try find("dk_add"), try find("dk_select"))
      (choose, turn, attend) = (try find("dk_choose"), try find("dk_turn"), try find("dk_attend"))
      (merge, read) = (try find("dk_merge"), try find("dk_read"))
      (attendRow, attendRowSplits) = (try find("dk_attend_row"), try find("dk_attend_row_splits"))
      // What it has asked for waits in the cache.
      try check(unsafe dk_cuda_prefer_shared_memory(attendRowSplits.function, Self.attendRowSplitsSharedPercent), "sharing memory out")
      attendPrompt = device.hasWarpGroupProducts ? try? find("dk_attend_prompt", sharedMemory: Self.promptSharedMemory(128)) : nil
      tile = try find("dk_linear_tile", sharedMemory: Int(DK_CUDA_TILE_BYTES))
      var products: [String: Kernel] = [:]
      for name in ProductShape.kernels(device) { products[name] = try find(name) }
      if device.hasWarpGroupProducts {
        for name in WideProductShape.kernels { products[name] = try find(name, sharedMemory: WideProductShape.mostSharedMemory) }
      }
      if device.hasRunCopies {
        for name in RowProductShape.kernels { products[name] = try find(name, sharedMemory: min(RowProductShape.mostSharedMemory, device.sharedMemory)) }
      }
      self.products = products
    } catch {
      _ = unsafe dk_cuda_unload_module(module)
      throw error
    }
    unsafe self.module = unsafe module
    self.device = device
  }

  /// Enough for two blocks.
  private static let attendRowSplitsSharedPercent: Int32 = 25

  /// Keys and values of a split, and queries.
  static func promptSharedMemory(_ headSize: Int) -> Int {
    1024 + (2 * Int(DK_CUDA_SPLIT_TOKENS) + Int(DK_CUDA_PROMPT_QUERIES)) * 2 * ((headSize + 15) / 16 * 16)
  }

  func product(_ name: String) -> Kernel {
    guard let kernel = products[name] else { preconditionFailure("\(name): one of those that were loaded") }
    return kernel
  }

  deinit {
    try? device.use()
    _ = unsafe dk_cuda_unload_module(module)
  }
}
