/// Conversions between the floating-point formats that weights come in.
///
/// Every narrowing rounds to the nearest value, ties to even; values beyond the range become infinite; a NaN stays
/// a NaN. Same to same is a copy of the bytes.
public enum NumberFormat {
  /// The bfloat16 nearest to `value`, ties to even.
  @inlinable @inline(always)
  public static func bfloat16(from value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
    let quiet = (bits &>> 16) | 0x40  // rounding could carry a NaN's payload away
    return UInt16(truncatingIfNeeded: (bits & 0x7FFF_FFFF) > 0x7F80_0000 ? quiet : rounded)
  }
  @inlinable @inline(always)
  /// The float32 with these upper 16 bits, which has the same value.
  public static func float(fromBFloat16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  #if arch(arm64) || os(Linux)
    /// The binary16 nearest to `value`, ties to even.
    @inlinable @inline(always)
    public static func float16(from value: Float) -> UInt16 { Float16(value).bitPattern }
    @inlinable @inline(always)
    /// The float32 with the same value, which every binary16 number has.
    public static func float(fromFloat16 bits: UInt16) -> Float { Float(Float16(bitPattern: bits)) }
  #endif

  /// Whether ``convert(from:_:to:_:)`` knows this pair.
  public static func converts(_ source: ElementType, to target: ElementType) -> Bool {
    if source == target { return true }
    let sources: Set<ElementType> = [.float16, .bfloat16, .float32, .float64]
    return sources.contains(source) && sources.contains(target)
  }
}
