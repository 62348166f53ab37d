extension TemplateRenderer {
  /// `str(value)`, as output and string filters see it.
  func text(of value: TemplateValue) throws(TemplateError) -> String {
    switch value {
    case .string(let text): return text
    case .undefined: return ""
    default:
      var result = ""
      try describe(value, into: &result)
      return result
    }
  }

  /// `repr(value)`
  private func describe(_ value: TemplateValue, into result: inout String) throws(TemplateError) {
    try charge()
    switch value {
    case .none: result += "None"
    case .undefined: result += "Undefined"
    case .bool(let value): result += value ? "True" : "False"
    case .int(let value): result += String(value)
    case .double(let value): result += PythonText.spelling(value)
    case .string(let text):
      try charge(bytes: result.utf8.count + text.utf8.count)
      result += PythonText.quoted(text)
    case .list(let list):
      result += "["
      try describe(list.items, into: &result)
      result += "]"
    case .tuple(let list):
      result += "("
      try describe(list.items, into: &result)
      result += list.items.count == 1 ? ",)" : ")"
    case .dictionary(let dictionary):
      result += "{"
      for (index, (key, value)) in dictionary.members.enumerated() {
        result += (index > 0 ? ", " : "") + PythonText.quoted(key) + ": "
        try describe(value, into: &result)
      }
      result += "}"
    case .namespace, .macro, .function, .method, .loop: result += "<" + value.kind + ">"
    }
  }
  private func describe(_ items: [TemplateValue], into result: inout String) throws(TemplateError) {
    for (index, item) in items.enumerated() {
      if index > 0 { result += ", " }
      try describe(item, into: &result)
    }
  }

  /// How `tojson` writes; the defaults are those of transformers.
  struct JSONStyle {
    var escapesNonASCII = false
    /// One level's indentation; nil writes one line.
    var indent: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
  }

  func json(_ value: TemplateValue, _ style: JSONStyle) throws(TemplateError) -> String {
    var result = ""
    try writeJSON(value, style, level: 0, into: &result)
    return result
  }

  private func writeJSON(
    _ value: TemplateValue, _ style: JSONStyle, level: Int, into result: inout String
  ) throws(TemplateError) {
    try charge()
    func newline(_ level: Int) throws(TemplateError) {
      guard let indent = style.indent else { return }
      try charge(bytes: result.utf8.count + indent.utf8.count * level)
      result += "\n" + String(repeating: indent, count: level)
    }
    switch value {
    case .none: result += "null"
    case .bool(let value): result += value ? "true" : "false"
    case .int(let value): result += String(value)
    case .double(let value):
      result += value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : PythonText.spelling(value)
    case .string(let text):
      // The budget counts this text, the limit the whole.
      guard result.utf8.count + text.utf8.count <= limits.stringBytes else {
        throw limit("it makes a text of more than \(limits.stringBytes) bytes")
      }
      try charge(text.utf8.count / 8)
      Self.writeJSON(text, style.escapesNonASCII, into: &result)
    case .list(let list), .tuple(let list):
      result += "["
      for (index, item) in list.items.enumerated() {
        if index > 0 { result += style.itemSeparator }
        try newline(level + 1)
        try writeJSON(item, style, level: level + 1, into: &result)
      }
      if !list.items.isEmpty { try newline(level) }
      result += "]"
    case .dictionary(let dictionary):
      result += "{"
      var members = Array(dictionary.members)
      if style.sortsKeys { members.sort { PythonText.less($0.key, $1.key) } }
      for (index, (key, value)) in members.enumerated() {
        if index > 0 { result += style.itemSeparator }
        try newline(level + 1)
        Self.writeJSON(key, style.escapesNonASCII, into: &result)
        result += style.keySeparator
        try writeJSON(value, style, level: level + 1, into: &result)
      }
      if !members.isEmpty { try newline(level) }
      result += "}"
    case .undefined(let what): throw undefined("\(what), so tojson cannot write it")
    case .namespace, .macro, .function, .method, .loop: throw mismatch("tojson cannot write \(value.kind)")
    }
  }

  private static func writeJSON(_ text: String, _ escapesNonASCII: Bool, into result: inout String) {
    result += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{8}": result += "\\b"
      case "\u{C}": result += "\\f"
      case _ where scalar.value < 0x20 || (escapesNonASCII && scalar.value > 0x7E && scalar.value != 0x7F):
        for unit in String(scalar).utf16 { result += "\\u" + PythonText.hexadecimal(UInt32(unit), width: 4) }
      default: result.unicodeScalars.append(scalar)
      }
    }
    result += "\""
  }

  /// `format % values`, with the directives that have no width: `%s`, `%d`, `%r`, `%%`.
  func percentFormatted(_ format: String, _ value: TemplateValue) throws(TemplateError) -> String {
    var values: [TemplateValue] = [value]
    if case .tuple(let list) = value { values = list.items }
    var taken = 0
    var result = ""
    var scalars = format.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "%" else { result.unicodeScalars.append(scalar); continue }
      let directive = scalars.next()
      if directive == "%" { result += "%"; continue }
      guard let directive, "sdri".unicodeScalars.contains(directive) else {
        throw mismatch("in a text before '%' only %s, %d, %r and %% are supported")
      }
      guard taken < values.count else { throw mismatch("there are fewer values after '%' than directives before it") }
      let value = values[taken]
      taken += 1
      switch directive {
      case "s": result += try text(of: value)
      case "r": try describe(value, into: &result)
      default:
        guard let number = value.asDouble, let whole = Int(exactly: number.rounded(.towardZero)) else {
          throw mismatch("%d needs a number, not \(value.kind)")
        }
        result += String(whole)
      }
      try charge(bytes: result.utf8.count)
    }
    guard taken == values.count else { throw mismatch("there are more values after '%' than directives before it") }
    return result
  }
}
