extension JSONValue {
  /// The document as text.
  ///
  /// - Parameters:
  ///   - indent: Spaces for each level, one member a line; nil writes everything on one line with no spaces.
  ///   - escapesNonASCII: Spells every character beyond ASCII as `\uXXXX`.
  public func serialized(indent: Int? = nil, escapesNonASCII: Bool = false) -> String {
    var writer = JSONWriter(indent: indent, escapesNonASCII: escapesNonASCII)
    writer.write(self, level: 0)
    return writer.text
  }
}

private struct JSONWriter {
  let indent: Int?
  let escapesNonASCII: Bool
  var text = ""

  mutating func write(_ value: JSONValue, level: Int) {
    switch value {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let number): text += number.text
    case .string(let string): write(string)
    case .array(let elements):
      list("[", "]", count: elements.count, level: level) { writer, index in
        writer.write(elements[index], level: level + 1)
      }
    case .object(let members):
      list("{", "}", count: members.count, level: level) { writer, index in
        let (key, value) = members[index]
        writer.write(key)
        writer.text += writer.indent == nil ? ":" : ": "
        writer.write(value, level: level + 1)
      }
    }
  }

  mutating func list(_ open: String, _ close: String, count: Int, level: Int, _ element: (inout Self, Int) -> Void) {
    text += open
    for index in 0..<count {
      if index > 0 { text += "," }
      newline(level + 1)
      element(&self, index)
    }
    if count > 0 { newline(level) }
    text += close
  }

  mutating func newline(_ level: Int) {
    guard let indent else { return }
    text += "\n" + String(repeating: " ", count: indent * level)
  }

  mutating func write(_ string: String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{8}": text += "\\b"
      case "\u{C}": text += "\\f"
      case _ where scalar.value < 0x20 || (escapesNonASCII && scalar.value > 0x7E):
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
