extension JSONValue {
  /// Reads one JSON document (RFC 8259) that fills `bytes`.
  ///
  /// - Parameters:
  ///   - maximumDepth: How many arrays and objects may stand inside each other.
  ///   - allowsNonFinite: Accepts `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes.
  ///   - maximumValues: How many values there may be, of any kind: a bound for memory.
  ///   - maximumKeyBytes: How long a name may be.
  ///   - maximumMarks: How many combining marks may follow each other in a name or a string; see ``CombiningMarks``.
  ///   - takesLast: Of a key that appears twice the last value counts, as in Python's `json`.
  /// - Throws: ``JSONError`` for anything the RFC forbids, for a key that appears twice, and past the limits.
  public init(
    parsing bytes: RawSpan, maximumDepth: Int = 128, allowsNonFinite: Bool = false, maximumValues: Int = .max,
    maximumKeyBytes: Int = 1 << 16, maximumMarks: Int = CombiningMarks.limit, takesLast: Bool = false
  ) throws(JSONError) {
    var parser = JSONParser(bytes: bytes, maximumDepth: maximumDepth, allowsNonFinite: allowsNonFinite)
    parser.takesLast = takesLast
    parser.maximumValues = maximumValues
    parser.maximumKeyBytes = maximumKeyBytes
    parser.maximumMarks = maximumMarks
    self = try parser.document()
  }

  /// Reads one JSON document that fills `bytes`; parameters and errors as above.
  public init(
    parsing bytes: [UInt8], maximumDepth: Int = 128, allowsNonFinite: Bool = false, maximumValues: Int = .max,
    maximumKeyBytes: Int = 1 << 16, maximumMarks: Int = CombiningMarks.limit, takesLast: Bool = false
  ) throws(JSONError) {
    try unsafe self.init(
      parsing: bytes.span.bytes, maximumDepth: maximumDepth, allowsNonFinite: allowsNonFinite, maximumValues: maximumValues,
      maximumKeyBytes: maximumKeyBytes, maximumMarks: maximumMarks, takesLast: takesLast)
  }

  /// Reads one JSON document that fills `text`, with the limits above where none is given here.
  ///
  /// - Throws: ``JSONError``, whose offset counts bytes of UTF-8.
  public init(parsing text: String, maximumDepth: Int = 128, allowsNonFinite: Bool = false) throws(JSONError) {
    try self.init(parsing: Array(text.utf8), maximumDepth: maximumDepth, allowsNonFinite: allowsNonFinite)
  }
}

/// A recursive-descent parser; recursion is bounded by `maximumDepth`.
struct JSONParser: ~Escapable {
  let bytes: RawSpan
  let maximumDepth: Int
  let allowsNonFinite: Bool
  var maximumValues = Int.max
  var maximumKeyBytes = Int.max
  var maximumMarks = Int.max
  var takesLast = false
  var valueCount = 0
  var offset = 0
  var depth = 0

  @_lifetime(copy bytes)
  init(bytes: RawSpan, maximumDepth: Int, allowsNonFinite: Bool) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
    self.allowsNonFinite = allowsNonFinite
  }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value()
    skipSpace()
    guard offset == bytes.byteCount else { throw failed(.trailingBytes) }
    return value
  }

  func failed(_ problem: JSONError.Problem) -> JSONError { JSONError(problem: problem, offset: offset) }

  func byte(at index: Int) -> UInt8 {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt8.self)  // bounds-checked; UInt8 has no bad bits
  }
  var current: UInt8? { offset < bytes.byteCount ? byte(at: offset) : nil }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
  }

  mutating func expect(_ wanted: UInt8, _ name: String) throws(JSONError) {
    guard let byte = current else { throw failed(.unexpectedEnd) }
    guard byte == wanted else { throw failed(.unexpectedByte(byte, expected: name)) }
    offset += 1
  }

  mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for expected in word.utf8 { try expect(expected, "'\(word)'") }
    return value
  }

  mutating func value() throws(JSONError) -> JSONValue {
    skipSpace()
    guard let byte = current else { throw failed(.unexpectedEnd) }
    valueCount += 1
    guard valueCount <= maximumValues else { throw failed(.tooManyValues(limit: maximumValues)) }
    switch byte {
    case UInt8(ascii: "{"): return try nested { (p) throws(JSONError) in try p.object() }
    case UInt8(ascii: "["): return try nested { (p) throws(JSONError) in try p.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "N") where allowsNonFinite: return try word("NaN", .number(JSONNumber(checked: "NaN")))
    case UInt8(ascii: "I") where allowsNonFinite: return try word("Infinity", .number(JSONNumber(checked: "Infinity")))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw failed(.unexpectedByte(byte, expected: "a value"))
    }
  }

  mutating func nested(
    _ body: (inout JSONParser) throws(JSONError) -> JSONValue
  ) throws(JSONError) -> JSONValue {
    depth += 1
    guard depth <= maximumDepth else { throw failed(.tooDeep(limit: maximumDepth)) }
    offset += 1
    let value = try body(&self)
    depth -= 1
    return value
  }

  mutating func object() throws(JSONError) -> JSONValue {
    var members = JSONObject()
    skipSpace()
    if current == UInt8(ascii: "}") { offset += 1; return .object(members) }
    while true {
      skipSpace()
      let start = offset
      guard current == UInt8(ascii: "\"") else {
        guard let byte = current else { throw failed(.unexpectedEnd) }
        throw failed(.unexpectedByte(byte, expected: "a key in quotes"))
      }
      let key = try string()
      guard key.utf8.count <= maximumKeyBytes else {
        throw JSONError(problem: .keyTooLong(bytes: key.utf8.count, limit: maximumKeyBytes), offset: start)
      }
      skipSpace()
      try expect(UInt8(ascii: ":"), "':'")
      guard members.updateValue(try value(), forKey: key) == nil || takesLast else {
        throw JSONError(problem: .duplicateKey(key), offset: start)
      }
      skipSpace()
      if current == UInt8(ascii: ",") { offset += 1; continue }
      try expect(UInt8(ascii: "}"), "',' or '}'")
      return .object(members)
    }
  }

  mutating func array() throws(JSONError) -> JSONValue {
    var elements: [JSONValue] = []
    skipSpace()
    if current == UInt8(ascii: "]") { offset += 1; return .array(elements) }
    while true {
      elements.append(try value())
      skipSpace()
      if current == UInt8(ascii: ",") { offset += 1; continue }
      try expect(UInt8(ascii: "]"), "',' or ']'")
      return .array(elements)
    }
  }

  /// Skips decimal digits and says how many there were.
  mutating func digits() -> Int {
    let from = offset
    while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
    return offset - from
  }

  mutating func number() throws(JSONError) -> JSONValue {
    let start = offset
    func invalid(_ at: Int) -> JSONError { JSONError(problem: .invalidNumber, offset: at) }
    if current == UInt8(ascii: "-") {
      offset += 1
      if allowsNonFinite, current == UInt8(ascii: "I") {
        return try word("Infinity", .number(JSONNumber(checked: "-Infinity")))
      }
    }
    let leadingZero = current == UInt8(ascii: "0")
    let whole = digits()
    guard whole > 0, !(leadingZero && whole > 1) else { throw invalid(start) }
    if current == UInt8(ascii: ".") {
      offset += 1
      guard digits() > 0 else { throw invalid(start) }
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      offset += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
      guard digits() > 0 else { throw invalid(start) }
    }
    var text = ""
    text.reserveCapacity(offset - start)
    for index in start..<offset { text.unicodeScalars.append(UnicodeScalar(byte(at: index))) }
    return .number(JSONNumber(checked: text))
  }

  mutating func string() throws(JSONError) -> String {
    let start = offset
    let text = try anyString()
    guard !CombiningMarks.haveRun(in: text, longerThan: maximumMarks) else {
      throw JSONError(problem: .tooManyMarks(limit: maximumMarks), offset: start)
    }
    return text
  }

  mutating func anyString() throws(JSONError) -> String {
    let start = offset
    offset += 1
    var end = offset
    while end < bytes.byteCount {
      let byte = byte(at: end)
      if byte == UInt8(ascii: "\"") {  // the common case: no escapes, one validated copy
        let text = try utf8(offset..<end)
        offset = end + 1
        return text
      }
      if byte == UInt8(ascii: "\\") { break }
      guard byte >= 0x20 else { offset = end; throw failed(.controlCharacterInString(byte)) }
      end += 1
    }
    guard end < bytes.byteCount else { offset = start; throw failed(.unexpectedEnd) }
    return try escapedString(firstEscape: end)
  }

  /// Continues a string whose plain part `offset..<firstEscape` has been seen.
  mutating func escapedString(firstEscape: Int) throws(JSONError) -> String {
    var text = try utf8(offset..<firstEscape)
    offset = firstEscape
    var plain = offset
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        text += try utf8(plain..<offset)
        offset += 1
        return text
      case UInt8(ascii: "\\"):
        text += try utf8(plain..<offset)
        text.unicodeScalars.append(try escape())
        plain = offset
      case 0..<0x20: throw failed(.controlCharacterInString(byte))
      default: offset += 1
      }
    }
    throw failed(.unexpectedEnd)
  }

  mutating func escape() throws(JSONError) -> UnicodeScalar {
    let start = offset
    offset += 1
    guard let byte = current else { throw failed(.unexpectedEnd) }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let first = try hexadecimal(start)
      if let scalar = UnicodeScalar(first) { return scalar }
      // A surrogate: only a high one followed by a low one is text.
      guard first < 0xDC00, current == UInt8(ascii: "\\") else { throw JSONError(problem: .loneSurrogate, offset: start) }
      offset += 1
      guard current == UInt8(ascii: "u") else { throw JSONError(problem: .loneSurrogate, offset: start) }
      offset += 1
      let second = try hexadecimal(start)
      guard (0xDC00..<0xE000).contains(second),
        let scalar = UnicodeScalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
      else { throw JSONError(problem: .loneSurrogate, offset: start) }
      return scalar
    default: throw JSONError(problem: .invalidEscape, offset: start)
    }
  }

  mutating func hexadecimal(_ start: Int) throws(JSONError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = current else { throw failed(.unexpectedEnd) }
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw JSONError(problem: .invalidEscape, offset: start)
      }
      value = value << 4 | UInt16(digit)
      offset += 1
    }
    return value
  }

  func utf8(_ range: Range<Int>) throws(JSONError) -> String {
    let text = unsafe bytes.extracting(range).withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    guard let text else { throw JSONError(problem: .invalidUTF8, offset: range.lowerBound) }
    return text
  }
}
