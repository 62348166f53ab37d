/// What becomes of a text before it stands in a log.
package enum LogText {
  /// How often a text may be encoded before nobody decodes it any more.
  package static let deepest = 3

  /// With an escape in the place of everything that ends a line or moves about in it.
  package static func oneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where isControl(scalar): result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Controls, what separates lines and paragraphs, and what turns the direction of writing.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case ..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// At most about so many bytes, with a word on what is left out.
  package static func cut(_ text: String, to byteCount: Int) -> String {
    guard text.utf8.count > byteCount else { return text }
    let kept = String(decoding: text.utf8.prefix(byteCount), as: UTF8.self)
    return kept + "... (\(text.utf8.count) bytes)"
  }

  /// At most about so many bytes, with an ellipsis for what is left out.
  package static func beginning(_ text: String, _ byteCount: Int) -> String {
    text.utf8.count > byteCount ? String(decoding: text.utf8.prefix(byteCount), as: UTF8.self) + "…" : text
  }

  /// Nil where nothing is encoded.
  package static func percentDecoded(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    func digit(_ index: Int) -> UInt8? {
      guard index < bytes.count else { return nil }
      return switch bytes[index] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): bytes[index] - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): bytes[index] - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): bytes[index] - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "%"), let high = digit(index + 1), let low = digit(index + 2) {
        result.append(high << 4 | low)
        index += 3
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return result.count < bytes.count ? String(decoding: result, as: UTF8.self) : nil
  }
}
