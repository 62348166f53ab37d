/// The printable characters that stand for bytes in a byte-level vocabulary.
///
/// GPT-2 wrote its tokens with 256 visible characters: a byte that is a visible Latin-1 character stands for
/// itself, the other 68 are given U+0100, U+0101, … in order. So `Ġ` is a space and `Ċ` a line feed.
enum ByteAlphabet {
  /// The scalar for each byte.
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (UInt8.min...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
      default:
        defer { next += 1 }
        return Unicode.Scalar(next) ?? "?"  // 0x100...0x143 are all scalars
      }
    }
  }()

  /// The byte for a scalar below U+0144, or nil for one outside the alphabet.
  static func byte(for scalar: Unicode.Scalar) -> UInt8? {
    scalar.value < bytes.count ? bytes[Int(scalar.value)] : nil
  }
  private static let bytes: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = UInt8(byte) }
    return table
  }()

  /// The bytes that a token stands for. A token with a character outside the alphabet stands for its own UTF-8.
  static func bytes(of token: String) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(token.utf8.count)
    for scalar in token.unicodeScalars {
      guard let byte = byte(for: scalar) else { return Array(token.utf8) }
      result.append(byte)
    }
    return result
  }
}
