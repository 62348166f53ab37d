extension TemplateRenderer {
  /// Python's `str` methods.
  func call(
    stringMethod name: String, _ text: String, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    var arguments = arguments
    try charge(bytes: text.utf8.count)
    func optional(_ name: String) throws(TemplateError) -> String? {
      guard let value = arguments.take(name) else { return nil }
      if case .none = value { return nil }
      return try string(value, "the argument '\(name)'")
    }
    func required(_ name: String) throws(TemplateError) -> String {
      try string(arguments.take(name) ?? .none, "the argument '\(name)'")
    }
    let result: TemplateValue
    switch name {
    case "strip": result = .string(PythonText.strip(text, try optional("chars")))
    case "lstrip": result = .string(PythonText.strip(text, try optional("chars"), right: false))
    case "rstrip": result = .string(PythonText.strip(text, try optional("chars"), left: false))
    case "upper": result = .string(text.uppercased())
    case "lower", "casefold": result = .string(text.lowercased())
    case "title": result = .string(PythonText.title(text))
    case "capitalize": result = .string(PythonText.capitalized(text))
    case "swapcase":
      result = .string(
        text.unicodeScalars.map { $0.properties.isUppercase ? $0.properties.lowercaseMapping : $0.properties.uppercaseMapping }
          .joined())
    case "split", "rsplit":
      let separator = try optional("sep")
      var maximum = -1
      if let value = arguments.take("maxsplit") { maximum = try int(value, "maxsplit") }
      let parts = try split(text, separator, maximum: maximum < 0 ? .max : maximum, fromRight: name == "rsplit")
      result = .list(parts.map { .string($0) })
    case "splitlines":
      let lines = PythonText.lines(text, keepingEnds: arguments.take("keepends")?.isTrue ?? false)
      try charge(lines.count)
      result = .list(lines.map { .string($0) })
    case "partition", "rpartition":
      let separator = try required("sep")
      let parts = try split(text, separator, maximum: 1, fromRight: name == "rpartition")
      let whole: [String] = name == "partition" ? [text, "", ""] : ["", "", text]
      result = .tuple((parts.count == 2 ? [parts[0], separator, parts[1]] : whole).map { .string($0) })
    case "startswith", "endswith":
      let value = arguments.take("prefix") ?? .none
      var choices = [value]
      if case .tuple(let list) = value { choices = list.items }
      var found = false
      for choice in choices {
        let affix = try string(choice, "the argument of \(name)").utf8
        found = found || (name == "startswith" ? text.utf8.starts(with: affix) : text.utf8.reversed().starts(with: affix.reversed()))
      }
      result = .bool(found)
    case "removeprefix", "removesuffix":
      let affix = try required("prefix").utf8
      if name == "removeprefix", text.utf8.starts(with: affix) {
        result = .string(String(decoding: text.utf8.dropFirst(affix.count), as: UTF8.self))
      } else if name == "removesuffix", text.utf8.reversed().starts(with: affix.reversed()) {
        result = .string(String(decoding: text.utf8.dropLast(affix.count), as: UTF8.self))
      } else {
        result = .string(text)
      }
    case "replace":
      let old = try required("old")
      let new = try required("new")
      var count = -1
      if let value = arguments.take("count") { count = try int(value, "count") }
      result = .string(try replacing(old, in: text, with: new, maximum: count < 0 ? .max : count))
    case "join":
      result = .string(try joined(try items(of: arguments.take("iterable") ?? .undefined("")), separator: text))
    case "find", "rfind", "index", "count":
      result = .int(try search(name, text, try required("sub")))
    case "format": return .string(try formatted(text, arguments))
    case "isdigit": result = .bool(every(text) { $0.properties.numericType == .digit || $0.properties.numericType == .decimal })
    case "isalpha": result = .bool(every(text) { Self.isLetter($0) })
    case "isalnum": result = .bool(every(text) { Self.isLetter($0) || $0.properties.numericType != nil })
    case "isspace": result = .bool(every(text, \.isPythonSpace))
    case "isupper", "islower":
      let cased = text.unicodeScalars.filter(\.properties.isCased)
      result = .bool(!cased.isEmpty && cased.allSatisfy { name == "isupper" ? $0.properties.isUppercase : $0.properties.isLowercase })
    case "zfill", "ljust", "rjust", "center":
      let width = try int(arguments.take("width") ?? .none, "width")
      let fill = name == "zfill" ? "0" : try optional("fillchar") ?? " "
      result = .string(try padded(name, text, width, fill))
    default: throw mismatch("a text has no method '\(name)'")
    }
    try finish(arguments, name)
    return result
  }

  private func every(_ text: String, _ holds: (Unicode.Scalar) -> Bool) -> Bool {
    !text.isEmpty && text.unicodeScalars.allSatisfy(holds)
  }
  private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  private func padded(_ name: String, _ text: String, _ width: Int, _ fill: String) throws(TemplateError) -> String {
    guard fill.unicodeScalars.count == 1 else { throw mismatch("a text is filled up with one character") }
    let length = text.unicodeScalars.count
    let missing = width > length ? width - length : 0
    try charge(bytes: try exact(missing.multipliedReportingOverflow(by: 4)))
    func fills(_ count: Int) -> String { String(repeating: fill, count: count) }
    switch name {
    case "ljust": return text + fills(missing)
    case "center":
      let left = missing / 2 + (missing & width & 1)
      return fills(left) + text + fills(missing - left)
    case "zfill" where text.hasPrefix("-") || text.hasPrefix("+"):
      return String(text.prefix(1)) + fills(missing) + text.dropFirst()
    default: return fills(missing) + text
    }
  }

  private func search(_ name: String, _ text: String, _ part: String) throws(TemplateError) -> Int {
    let (bytes, wanted) = (Array(text.utf8), Array(part.utf8))
    func scalars(before offset: Int) -> Int { bytes[..<offset].reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) } }
    if name == "count" {
      guard !wanted.isEmpty else { return text.unicodeScalars.count + 1 }
      var count = 0
      var from = 0
      while let place = try find(wanted, in: bytes, from: from) {
        count += 1
        from = place + wanted.count
      }
      return count
    }
    var place = try find(wanted, in: bytes, from: 0)
    if name == "rfind", !wanted.isEmpty {
      while let last = place, let next = try find(wanted, in: bytes, from: last + 1) { place = next }
    } else if name == "rfind" {
      place = bytes.count
    }
    if name == "index", place == nil { throw mismatch("the text does not hold what index looks for") }
    return place.map(scalars(before:)) ?? -1
  }

  func split(_ text: String, _ separator: String?, maximum: Int, fromRight: Bool) throws(TemplateError) -> [String] {
    guard let separator else {
      guard fromRight, maximum != .max else {
        let words = PythonText.words(text, maximum: maximum)
        try charge(words.count)
        return words
      }
      let reversed = PythonText.words(String(String.UnicodeScalarView(text.unicodeScalars.reversed())), maximum: maximum)
      try charge(reversed.count)
      return reversed.reversed().map { String(String.UnicodeScalarView($0.unicodeScalars.reversed())) }
    }
    var (bytes, wanted) = (Array(text.utf8), Array(separator.utf8))
    guard !wanted.isEmpty else { throw mismatch("a text cannot be split at nothing") }
    if fromRight { (bytes, wanted) = (bytes.reversed(), wanted.reversed()) }
    var parts: [[UInt8]] = []
    var from = 0
    while parts.count < maximum, let place = try find(wanted, in: bytes, from: from) {
      parts.append(Array(bytes[from..<place]))
      from = place + wanted.count
    }
    parts.append(Array(bytes[from...]))
    try charge(parts.count)
    return fromRight
      ? parts.reversed().map { String(decoding: $0.reversed(), as: UTF8.self) } : parts.map { String(decoding: $0, as: UTF8.self) }
  }

  func replacing(_ old: String, in text: String, with new: String, maximum: Int = .max) throws(TemplateError) -> String {
    let (bytes, wanted) = (Array(text.utf8), Array(old.utf8))
    var result: [UInt8] = []
    guard !wanted.isEmpty else {  // between all characters
      var left = maximum
      for scalar in text.unicodeScalars {
        if left > 0 { result += new.utf8 }
        left -= 1
        result += String(scalar).utf8
        try charge(bytes: result.count / 64)
        guard result.count <= limits.stringBytes else { throw limit("it makes a text of more than \(limits.stringBytes) bytes") }
      }
      if left > 0 { result += new.utf8 }
      return String(decoding: result, as: UTF8.self)
    }
    var from = 0
    var count = 0
    while count < maximum, let place = try find(wanted, in: bytes, from: from) {
      guard result.count + new.utf8.count + place - from <= limits.stringBytes else {
        throw limit("it makes a text of more than \(limits.stringBytes) bytes")
      }
      try charge(1 + new.utf8.count / 16)
      result += bytes[from..<place]
      result += new.utf8
      from = place + wanted.count
      count += 1
    }
    result += bytes[from...]
    return String(decoding: result, as: UTF8.self)
  }

  func joined(_ items: [TemplateValue], separator: String) throws(TemplateError) -> String {
    var result = ""
    for (index, item) in items.enumerated() {
      let part = try text(of: item)
      let size = (index > 0 ? separator.utf8.count : 0) + part.utf8.count
      guard result.utf8.count + size <= limits.stringBytes else {
        throw limit("it makes a text of more than \(limits.stringBytes) bytes")
      }
      try charge(1 + size / 16)
      if index > 0 { result += separator }
      result += part
    }
    return result
  }

  /// `format` with `{}`, `{0}` and `{name}`, no widths or conversions.
  private func formatted(_ text: String, _ arguments: TemplateArguments) throws(TemplateError) -> String {
    var result = ""
    var next = 0
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      if (scalar == "{" || scalar == "}") && rest.first == scalar {
        rest.removeFirst()
      } else if scalar == "{" {
        guard let end = rest.firstIndex(of: "}") else { throw mismatch("a '{' in the text before format is not closed") }
        let field = String(rest[..<end])
        rest = rest[rest.index(after: end)...]
        let value: TemplateValue?
        if let index = field.isEmpty ? next : Int(field) {
          value = arguments.positional.indices.contains(index) ? arguments.positional[index] : nil
          next += 1
        } else {
          value = arguments.named.last { $0.name == field }?.value
        }
        guard let value else { throw mismatch("format has no value for '{\(field)}'; widths and conversions are not supported") }
        result += try self.text(of: value)
        try charge(bytes: result.utf8.count)
        continue
      }
      result.unicodeScalars.append(scalar)
    }
    return result
  }
}
