import CUDADriver
import CUDAKernels

/// A kernel that can be launched; its module lives as long as its owner.
@safe struct Kernel: @unchecked Sendable {  // immutable
  let name: String
  let function: dk_cuda_function
}

/// A program's kernels on a card.
@safe final class Module: @unchecked Sendable {  // immutable
  private let device: Device
  private let module: dk_cuda_module

  init(_ device: Device, code: [UInt8]) throws(CUDAError) {
    var module: dk_cuda_module?
    try check(unsafe code.withUnsafeBytes { unsafe dk_cuda_load_module($0.baseAddress, &module) }, "loading kernels")
    guard let module = unsafe module else { throw CUDAError("the NVIDIA driver gives no module") }
    unsafe self.module = unsafe module
    self.device = device
  }
  deinit {
    try? device.use()
    _ = unsafe dk_cuda_unload_module(module)
  }

  func kernel(_ name: String, sharedMemory: Int) throws(CUDAError) -> Kernel {
    var function: dk_cuda_function?
    try check(unsafe dk_cuda_find_function(module, name, &function), "finding the kernel \(name)")
    guard let function = unsafe function else { throw CUDAError("the kernels lack \(name)") }
    if sharedMemory > 48 << 10 {
      try check(unsafe dk_cuda_allow_shared_memory(function, Int32(sharedMemory)), "giving \(name) \(sharedMemory) bytes of shared memory")
    }
    return unsafe Kernel(name: name, function: function)
  }
}

/// The kernels of `CUDAKernels`, loaded for one card.
@safe final class Kernels: Sendable {
  private let modules: [KernelProgram: Module]
  let embed, norm, pack, gated, add, select, choose, turn, attend, attendRow, attendRowSplits, merge, tile, read, make, digest: Kernel
  /// Of many rows of a sequence; nil where the card or the size of heads does not allow it.
  let attendPrompt: Kernel?
  /// Products, by name.
  private let products: [String: Kernel]

  /// - Parameter code: Of every program for the card.
  convenience init(_ device: Device, code: [(program: KernelProgram, code: [UInt8])], headSize: Int) throws(CUDAError) {
    var modules: [KernelProgram: Module] = [:]
    for (program, code) in code { modules[program] = try Module(device, code: code) }
    try self.init(device, modules: modules, headSize: headSize)
  }

  /// - Parameters:
  ///   - modules: Of every program for the card.
  ///   - headSize: That they were compiled for.
  init(_ device: Device, modules: [KernelProgram: Module], headSize: Int) throws(CUDAError) {
    self.modules = modules
    func find(_ name: String, in program: KernelProgram, sharedMemory: Int = 0) throws(CUDAError) -> Kernel {
      guard let module = modules[program] else { throw CUDAError("the kernels lack \(name)") }
      return try module.kernel(name, sharedMemory: sharedMemory)
    }
    (embed, norm, pack) = (try find("dk_embed", in: .rows), try find("dk_norm", in: .rows), try find("dk_pack", in: .rows))
    (gated, add, select) = (try find("dk_gated", in: .rows), try find("dk_add", in: .rows), try find("dk_select", in: .rows))
    (choose, read) = (try find("dk_choose", in: .rows), try find("dk_read", in: .rows))
    (make, digest) = (try find("dk_make", in: .weights), try find("dk_digest", in: .weights))
    (turn, attend, merge) = (try find("dk_turn", in: .attention), try find("dk_attend", in: .attention), try find("dk_merge", in: .attention))
    attendRow = try find("dk_attend_row", in: .attentionRow)
    attendRowSplits = try find("dk_attend_row_splits", in: .attentionRow)
    // What it has asked for waits in the cache.
    try check(unsafe dk_cuda_prefer_shared_memory(attendRowSplits.function, Self.attendRowSplitsSharedPercent), "sharing memory out")
    attendPrompt =
      device.hasWarpGroupProducts && headSize <= Self.mostPromptHeadSize
      ? try find("dk_attend_prompt", in: .attentionPrompt, sharedMemory: Self.promptSharedMemory(Self.mostPromptHeadSize)) : nil
    tile = try find("dk_linear_tile", in: .linear, sharedMemory: Int(DK_CUDA_TILE_BYTES))
    var products: [String: Kernel] = [:]
    for name in ProductShape.kernels(device) { products[name] = try find(name, in: .linear) }
    if device.hasWarpGroupProducts {
      for program in KernelProgram.linearWide {
        for name in program.wideKernels { products[name] = try find(name, in: program, sharedMemory: WideProductShape.mostSharedMemory) }
      }
    }
    if device.hasRunCopies {
      let most = min(RowProductShape.mostSharedMemory, device.sharedMemory)
      for name in RowProductShape.kernels { products[name] = try find(name, in: .linearRow, sharedMemory: most) }
    }
    self.products = products
  }

  /// Enough for two blocks.
  private static let attendRowSplitsSharedPercent: Int32 = 25

  private static let mostPromptHeadSize = 128
  /// Keys and values of a split, and queries.
  static func promptSharedMemory(_ headSize: Int) -> Int {
    1024 + (2 * Int(DK_CUDA_SPLIT_TOKENS) + Int(DK_CUDA_PROMPT_QUERIES)) * 2 * ((headSize + 15) / 16 * 16)
  }

  func product(_ name: String) -> Kernel {
    guard let kernel = products[name] else { preconditionFailure("\(name): one of those that were loaded") }
    return kernel
  }
}
