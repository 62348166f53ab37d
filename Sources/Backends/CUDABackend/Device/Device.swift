import CUDADriver

/// A card, with the context that this process shares on it.
@safe final class Device: @unchecked Sendable {  // immutable; contexts may be used by any thread that has made them its own
  let index: Int32
  let name: String
  /// Compute capability: 9.0 is Hopper.
  let major: Int
  let minor: Int
  let multiprocessors: Int
  /// Bytes of shared memory that a block may be allowed.
  let sharedMemory: Int
  private let context: dk_cuda_context
  /// nil where the driver has none. Set once; goes before the context.
  private(set) var pool: MemoryPool?

  /// - Throws: In one sentence what is missing: the driver, a card, or a newer one.
  init(_ index: Int32 = 0) throws(CUDAError) {
    if let missing = unsafe dk_cuda_load() { throw CUDAError(unsafe String(cString: missing)) }
    let code = dk_cuda_init()
    var count: Int32 = 0
    if code == Int32(DK_CUDA_NO_DEVICE) { throw CUDAError("the NVIDIA driver finds no card") }
    try check(code, "starting the NVIDIA driver")
    try check(unsafe dk_cuda_device_count(&count), "counting cards")
    guard index < count else { throw CUDAError("the NVIDIA driver finds no card") }
    major = try Self.attribute(index, Int(DK_CUDA_MAJOR))
    minor = try Self.attribute(index, Int(DK_CUDA_MINOR))
    multiprocessors = try Self.attribute(index, Int(DK_CUDA_MULTIPROCESSORS))
    sharedMemory = try Self.attribute(index, Int(DK_CUDA_SHARED_MEMORY))
    let hasPools = try Self.attribute(index, Int(DK_CUDA_HAS_POOLS)) != 0
    var text = [CChar](repeating: 0, count: 256)
    try check(unsafe dk_cuda_device_name(index, &text, 255), "asking for the card's name")
    name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard major >= 8 else { throw CUDAError("\(name) has compute capability \(major).\(minor), and the kernels need 8.0") }
    var context: dk_cuda_context?
    try check(unsafe dk_cuda_retain_context(index, &context), "opening \(name)")
    guard let context = unsafe context else { throw CUDAError("the NVIDIA driver gives no context on \(name)") }
    unsafe self.context = unsafe context
    self.index = index
    try use()
    if hasPools { pool = try MemoryPool(device: index) }
  }
  deinit {
    try? use()
    pool = nil
    _ = dk_cuda_release_context(index)
  }

  private static func attribute(_ index: Int32, _ number: Int) throws(CUDAError) -> Int {
    var value: Int32 = 0
    try check(unsafe dk_cuda_device_attribute(index, Int32(number), &value), "asking what the card can do")
    return Int(value)
  }

  /// Of the first card here, which is not opened for it; nil where there is none that the kernels can use.
  static var architectureHere: String? {
    var count: Int32 = 0
    guard unsafe dk_cuda_load() == nil, dk_cuda_init() == 0, unsafe dk_cuda_device_count(&count) == 0, count > 0,
      let major = try? attribute(0, Int(DK_CUDA_MAJOR)), major >= 8, let minor = try? attribute(0, Int(DK_CUDA_MINOR))
    else { return nil }
    return architecture(major, minor)
  }

  /// Makes the card the calling thread's: each call of the driver needs that.
  func use() throws(CUDAError) { try check(unsafe dk_cuda_use_context(context), "using \(name)") }

  /// What the kernels' compiler makes code for.
  var architecture: String { Self.architecture(major, minor) }
  private static func architecture(_ major: Int, _ minor: Int) -> String { "sm_\(major)\(minor)" + (major == 9 ? "a" : "") }
  /// Kernels may start before those before them have ended.
  var overlapsKernels: Bool { major >= 9 }
  /// Shared memory is filled by copies of whole runs.
  var hasRunCopies: Bool { major >= 9 }
  /// Groups of four warps multiply what lies in shared memory: `wgmma`, which no other generation has.
  var hasWarpGroupProducts: Bool { major == 9 }

  /// What the pool keeps and nobody uses counts.
  var freeByteCount: Int {
    get throws(CUDAError) {
      var (free, total) = (0, 0)
      try check(unsafe dk_cuda_free_memory(&free, &total), "asking for free memory")
      return free + (try pool?.idleByteCount ?? 0)
    }
  }
}
