/// Steps through bytes that are known to be valid UTF-8 (they come from a `String`).
enum UTF8Text {
  /// The index after the scalar that starts at `index`.
  @inline(__always)
  static func end(of text: [UInt8], scalarAt index: Int) -> Int {
    let length =
      switch text[index] {
      case ..<0x80: 1
      case ..<0xE0: 2
      case ..<0xF0: 3
      default: 4
      }
    return min(index + length, text.count)
  }

  /// The scalar that starts at `index`, and the index after it.
  @inline(__always)
  static func scalar(of text: [UInt8], at index: Int) -> (value: UInt32, end: Int) {
    let first = UInt32(text[index])
    if first < 0x80 { return (first, index + 1) }
    let end = end(of: text, scalarAt: index)
    var value = first & (0xFF >> UInt32(end - index + 1))
    for next in index + 1..<end { value = value << 6 | UInt32(text[next]) & 0x3F }
    return (value, end)
  }

  /// The start of the scalar that ends before `index`.
  static func start(of text: [UInt8], scalarBefore index: Int) -> Int {
    var start = index - 1
    while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  /// How many bytes at the end are the beginning of a scalar whose other bytes have not come yet (0 to 3).
  /// Bytes that can no longer become a scalar do not count. Here the bytes may be anything.
  static func incompleteSuffix(of bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
      let byte = bytes[bytes.count - length]
      if byte & 0xC0 == 0x80 { continue }  // a continuation: look further back for the first byte
      let needed =
        switch byte {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 1
        }
      guard needed > length else { return 0 }
      guard length > 1 else { return length }
      // The second byte has a narrower range after some first bytes (no overlong forms, no surrogates).
      let second = bytes[bytes.count - length + 1]
      let allowed: ClosedRange<UInt8> =
        switch byte {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
      return allowed.contains(second) ? length : 0
    }
    return 0
  }
}
