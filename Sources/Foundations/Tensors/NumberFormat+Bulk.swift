import CPUKernels

extension NumberFormat {
  /// Converts as many elements as `source` holds. Neither buffer needs alignment; they must not overlap.
  ///
  /// - Parameters:
  ///   - source: Elements of `sourceType`, packed.
  ///   - destination: Room for as many elements of `targetType`; more is allowed, less is a programming error.
  /// - Precondition: ``converts(_:to:)`` holds for the pair.
  public static func convert(
    from source: UnsafeRawBufferPointer, _ sourceType: ElementType,
    to destination: UnsafeMutableRawBufferPointer, _ targetType: ElementType
  ) {
    if sourceType == targetType {
      precondition(destination.count >= source.count)
      if let from = source.baseAddress, let to = destination.baseAddress { unsafe to.copyMemory(from: from, byteCount: source.count) }
      return
    }
    let count = source.count * 8 / sourceType.bitWidth
    precondition(destination.count >= count * targetType.bitWidth / 8, "no room for \(count) elements of \(targetType.rawValue)")
    guard count > 0, let from = source.baseAddress, let to = destination.baseAddress else { return }
    if let narrow = kernelType(sourceType), let target = kernelType(targetType) {
      unsafe dk_convert(dk_best_isa(), to, target, from, narrow, Int64(count))
      return
    }
    switch (sourceType, targetType) {
    case (.bfloat16, .float64): unsafe map(from, to, count) { (x: UInt16) -> Double in Double(float(fromBFloat16: x)) }
    case (.float16, .float64): unsafe map(from, to, count) { (x: UInt16) -> Double in Double(float(fromFloat16: x)) }
    case (.float32, .float64): unsafe map(from, to, count) { (x: Float) -> Double in Double(x) }
    case (.float64, .float32): unsafe map(from, to, count) { (x: Double) -> Float in Float(x) }
    case (.float64, .float16): unsafe map(from, to, count) { (x: Double) -> UInt16 in Float16(x).bitPattern }
    case (.float64, .bfloat16): unsafe map(from, to, count) { (x: Double) -> UInt16 in bfloat16(from: oddRounded(x)) }
    default: preconditionFailure("no conversion from \(sourceType.rawValue) to \(targetType.rawValue)")
    }
  }

  /// How many of a buffer's elements are NaN or infinite; 0 for types that are not float32, float16 or bfloat16.
  public static func nonFiniteCount(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> Int {
    guard let kernel = kernelType(type) else { return 0 }
    return unsafe Int(dk_count_nonfinite(dk_best_isa(), bytes.baseAddress, kernel, Int64(bytes.count * 8 / type.bitWidth)))
  }

  /// What such elements are said to be, where weights were rounded to a type: float16 holds less than models are trained in.
  public static func nonFiniteText(_ type: ElementType) -> String {
    "NaN or infinite" + (type == .float16 ? " (float16 ends at 65504; bfloat16 does not)" : "")
  }

  /// The types that models are stored in have vector kernels, which round alike on every instruction set.
  private static func kernelType(_ type: ElementType) -> dk_type? {
    switch type {
    case .float32: DK_F32
    case .float16: DK_F16
    case .bfloat16: DK_BF16
    default: nil
    }
  }

  /// Rounds to odd, so that a second rounding to fewer bits gives what one rounding would.
  @inline(always) private static func oddRounded(_ value: Double) -> Float {
    let near = Float(value)
    guard Double(near) != value, near.isFinite else { return near }
    let toward = Double(near).magnitude > value.magnitude ? Float(bitPattern: near.bitPattern - 1) : near
    return Float(bitPattern: toward.bitPattern | 1)
  }

  @inline(always) private static func map<Source: BitwiseCopyable, Target: BitwiseCopyable>(
    _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int, _ convert: (Source) -> Target
  ) {
    for index in 0..<count {
      let value = unsafe from.loadUnaligned(fromByteOffset: index &* MemoryLayout<Source>.stride, as: Source.self)
      unsafe to.storeBytes(of: convert(value), toByteOffset: index &* MemoryLayout<Target>.stride, as: Target.self)
    }
  }
}
