import JSON
import OrderedCollections

extension TemplateRenderer {
  static let filterNames = [
    "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
    "forceescape", "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min",
    "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "sort", "string", "sum", "title",
    "tojson", "trim", "unique", "upper", "wordcount",
  ]

  func apply(filter name: String, to value: TemplateValue, _ given: TemplateArguments) throws(TemplateError) -> TemplateValue {
    var arguments = given
    let result: TemplateValue
    func bool(_ name: String, _ fallback: Bool) -> Bool { arguments.take(name)?.isTrue ?? fallback }
    switch name {
    // Any value
    case "default", "d":
      let fallback = arguments.take("default_value") ?? .string("")
      let asksTruth = bool("boolean", false)
      result = value.isUndefined || (asksTruth && !value.isTrue) ? fallback : value
    case "string": result = .string(try text(of: value))
    case "safe": result = value
    case "tojson": result = .string(try json(value, try jsonStyle(&arguments)))
    case "attr":
      let name = try string(arguments.take("name") ?? .none, "the name given to attr")
      // Of the value itself: methods, and no member of a dictionary.
      result = value.isDictionary && !TemplateMethods.dictionary.contains(name) ? .undefined("a dictionary has no attribute '\(name)'") : try attribute(name, of: value)
    case "length", "count": result = .int(try length(of: value))
    // Numbers
    case "int":
      let fallback = arguments.take("default") ?? .int(0)
      let base = try arguments.take("base").map { (value) throws(TemplateError) in try int(value, "base") } ?? 10
      result = Self.int(value, base: base).map { .int($0) } ?? fallback
    case "float":
      let fallback = arguments.take("default") ?? .double(0)
      if case .string(let text) = value {
        result = Double(PythonText.strip(text, nil)).map { .double($0) } ?? fallback
      } else {
        result = value.asDouble.map { .double($0) } ?? fallback
      }
    case "abs":
      switch value.asNumber {
      case .int(let number): result = .int(number < 0 ? try exact(0.subtractingReportingOverflow(number)) : number)
      case .double(let number): result = .double(abs(number))
      default: throw mismatch("abs needs a number, not \(value.kind)")
      }
    case "round": result = .double(try rounded(value, &arguments))
    // Texts
    case "upper": result = .string(try charged(value).uppercased())
    case "lower": result = .string(try charged(value).lowercased())
    case "title": result = .string(PythonText.titleFilter(try charged(value)))
    case "capitalize": result = .string(PythonText.capitalized(try charged(value)))
    case "trim":
      let characters = try arguments.take("chars").flatMap { (value) throws(TemplateError) -> String? in
        if case .none = value { nil } else { try string(value, "chars") }
      }
      result = .string(PythonText.strip(try charged(value), characters))
    case "replace":
      let old = try text(of: arguments.take("old") ?? .undefined(""))
      let new = try text(of: arguments.take("new") ?? .undefined(""))
      let count = try arguments.take("count").map { (value) throws(TemplateError) in try int(value, "count") } ?? -1
      result = .string(try replacing(old, in: try text(of: value), with: new, maximum: count < 0 ? .max : count))
    case "indent": result = .string(try indented(try charged(value), &arguments))
    case "wordcount": result = .int(PythonText.words(try charged(value)).count)
    case "center":
      let width = arguments.take("width") ?? .int(80)
      result = try call(stringMethod: "center", try text(of: value), TemplateArguments(positional: [width]))
    case "format":
      let rest = arguments.rest()
      result = .string(try percentFormatted(try text(of: value), .tuple(rest.positional)))
    case "e", "escape", "forceescape":
      var text = try charged(value)
      for (plain, escaped) in [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")] {
        text = try replacing(plain, in: text, with: escaped)
      }
      result = .string(text)
    // Lists
    case "list": result = .list(try items(of: value))
    case "first", "last":
      let items = try items(of: value)
      result = (name == "first" ? items.first : items.last) ?? .undefined("the list that '\(name)' was asked of is empty")
    case "reverse":
      if case .string = value {
        result = .string(PythonText.scalars(try charged(value).unicodeScalars.reversed()))
      } else {
        result = .list(try items(of: value).reversed())
      }
    case "join":
      let separator = try text(of: arguments.take("d") ?? .string(""))
      let path = arguments.take("attribute")
      let parts = try items(of: value).map { (item) throws(TemplateError) in try part(path, of: item) }
      result = .string(try joined(parts, separator: separator))
    case "items":
      guard case .dictionary(let dictionary) = value else {
        guard value.isUndefined else { throw mismatch("items needs a dictionary, not \(value.kind)") }
        return .list([])
      }
      try charge(dictionary.members.count)
      result = .list(dictionary.members.map { .tuple([.string($0.key), $0.value]) })
    case "sum":
      let path = arguments.take("attribute")
      var total = arguments.take("start") ?? .int(0)
      for item in try items(of: value) { total = try compute(.add, total, try part(path, of: item)) }
      result = total
    case "batch":
      let size = try int(arguments.take("linecount") ?? .none, "linecount")
      guard size > 0 else { throw mismatch("batch needs a size above 0") }
      let fill = arguments.take("fill_with")
      let items = try items(of: value)
      if fill != nil { try charge(size) }
      result = .list(
        stride(from: 0, to: items.count, by: size).map { start in
          let row = Array(items[start..<min(start + size, items.count)])
          return .list(fill.map { row + Array(repeating: $0, count: size - row.count) } ?? row)
        })
    case "map", "select", "reject", "selectattr", "rejectattr": result = try choose(name, value, &arguments)
    case "sort", "dictsort", "unique", "min", "max", "groupby": result = try order(name, value, &arguments)
    default:
      throw TemplateError(
        line: line, problem: .unknown(kind: "filter", name: name, nearest: nearestName(to: name, among: Self.filterNames)))
    }
    try finish(arguments, "the filter '\(name)'")
    return try checked(result)
  }

  /// The value's text, its length charged.
  private func charged(_ value: TemplateValue) throws(TemplateError) -> String {
    let text = try text(of: value)
    try charge(bytes: text.utf8.count)
    return text
  }

  func length(of value: TemplateValue) throws(TemplateError) -> Int {
    switch value {
    case .string(let text):
      try charge(text.utf8.count / 16)
      return text.unicodeScalars.count
    case .list(let list), .tuple(let list): return list.items.count
    case .dictionary(let dictionary): return dictionary.members.count
    case .undefined: return 0
    case .loop(let loop): return loop.items.count
    default: throw mismatch("\(value.kind) has no length")
    }
  }

  private static func int(_ value: TemplateValue, base: Int) -> Int? {
    switch value.asNumber {
    case .int(let number): return number
    case .double(let number): return Int(exactly: number.rounded(.towardZero))
    case .string(let text):
      let digits = PythonText.strip(text, nil).filter { $0 != "_" }
      if (2...36).contains(base), let number = Int(digits, radix: base) { return number }
      return Double(digits).flatMap { Int(exactly: $0.rounded(.towardZero)) }
    default: return nil
    }
  }

  private func rounded(_ value: TemplateValue, _ arguments: inout TemplateArguments) throws(TemplateError) -> Double {
    guard let number = value.asDouble else { throw mismatch("round needs a number, not \(value.kind)") }
    let precision = try arguments.take("precision").map { (value) throws(TemplateError) in try int(value, "precision") } ?? 0
    let method = try arguments.take("method").map { (value) throws(TemplateError) in try string(value, "method") } ?? "common"
    guard let rule = ["common": FloatingPointRoundingRule.toNearestOrEven, "ceil": .up, "floor": .down][method] else {
      throw mismatch("round knows the methods common, ceil and floor, not '\(method)'")
    }
    guard (-15...15).contains(precision) else { throw mismatch("round needs a precision between -15 and 15") }
    var scale = 1.0
    for _ in 0..<abs(precision) { scale *= 10 }
    return precision >= 0 ? (number * scale).rounded(rule) / scale : (number / scale).rounded(rule) * scale
  }

  private func jsonStyle(_ arguments: inout TemplateArguments) throws(TemplateError) -> JSONStyle {
    var style = JSONStyle()
    style.escapesNonASCII = arguments.take("ensure_ascii")?.isTrue ?? false
    switch arguments.take("indent") ?? .none {
    case .none: break
    case .string(let text): style.indent = text
    case let value:
      let width = try int(value, "indent")
      try charge(bytes: max(0, width))
      style.indent = String(repeating: " ", count: max(0, width))
    }
    if style.indent != nil { style.itemSeparator = "," }
    if let separators = arguments.take("separators"), separators.isTrue {
      let pair = try items(of: separators)
      guard pair.count == 2 else { throw mismatch("separators should be two texts") }
      style.itemSeparator = try string(pair[0], "a separator")
      style.keySeparator = try string(pair[1], "a separator")
    }
    style.sortsKeys = arguments.take("sort_keys")?.isTrue ?? false
    return style
  }

  private func indented(_ text: String, _ arguments: inout TemplateArguments) throws(TemplateError) -> String {
    let width = arguments.take("width") ?? .int(4)
    let first = arguments.take("first")?.isTrue ?? false
    let blank = arguments.take("blank")?.isTrue ?? false
    let indent: String
    if case .string(let text) = width {
      indent = text
    } else {
      let count = max(0, try int(width, "width"))
      try charge(bytes: count)
      indent = String(repeating: " ", count: count)
    }
    let lines = PythonText.lines(text + "\n")
    try charge(bytes: try exact(indent.utf8.count.multipliedReportingOverflow(by: lines.count)) + text.utf8.count)
    let body = lines.enumerated().map { index, line in
      index > 0 && (blank || !line.isEmpty) ? indent + line : line
    }
    return (first ? indent : "") + body.joined(separator: "\n")
  }
}
