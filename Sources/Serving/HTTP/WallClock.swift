#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

enum WallClock {
  /// Seconds since 1970.
  static var seconds: Int { Int(time(nil)) }
}

enum RandomID {
  /// 32 hexadecimal digits.
  static func hexadecimal() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
