/// The 32 bytes of a SHA-256.
package struct SHA256Digest: Hashable, Sendable {
  package static let byteCount = 32
  package let bytes: [UInt8]

  /// 64 lower-case digits.
  package var hexadecimal: String { bytes.hexadecimal }

  /// Compares in a time that does not depend on where the two differ.
  package func isSame(as other: SHA256Digest) -> Bool {
    zip(bytes, other.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}

extension Sequence where Element == UInt8 {
  /// Two lower-case digits a byte.
  package var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
