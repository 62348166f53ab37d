/// A piece of a template's source.
enum TemplateToken: Equatable, Sendable {
  case text(String)
  case outputStart, outputEnd, tagStart, tagEnd
  case name(String)
  case string(String)
  case int(Int)
  case double(Double)
  case symbol(String)
  case end

  var shown: String {
    switch self {
    case .text: "text"
    case .outputStart: "'{{'"
    case .outputEnd: "'}}'"
    case .tagStart: "'{%'"
    case .tagEnd: "'%}'"
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end of the template"
    }
  }
}

/// Cuts a template's source into tokens, white space control done, as Jinja does with `trim_blocks` and
/// `lstrip_blocks` (which is how chat templates are written):
///
/// * the first line end after a tag or comment goes,
/// * white space between the start of a line and a tag or comment goes,
/// * a `-` at a delimiter's inside takes all white space there, a `+` keeps it,
/// * one line end at the end of the source goes.
struct TemplateLexer {
  static let maximumByteCount = 1 << 20

  private let source: [Unicode.Scalar]
  private var position = 0
  private var line = 1
  private var tokens: [(token: TemplateToken, line: Int)] = []

  static func tokens(of source: String) throws(TemplateError) -> [(token: TemplateToken, line: Int)] {
    guard source.utf8.count <= maximumByteCount else {
      throw TemplateError(line: 1, problem: .limit("its source is longer than \(maximumByteCount) bytes"))
    }
    var lexer = TemplateLexer(source)
    try lexer.run()
    return lexer.tokens
  }

  private init(_ source: String) {
    var scalars: [Unicode.Scalar] = []
    var afterReturn = false
    for scalar in source.unicodeScalars {  // every line end becomes "\n"
      if !(scalar == "\n" && afterReturn) { scalars.append(scalar == "\r" ? "\n" : scalar) }
      afterReturn = scalar == "\r"
    }
    if scalars.last == "\n" { scalars.removeLast() }
    self.source = scalars
  }

  private func failed(_ what: String, line: Int? = nil) -> TemplateError {
    TemplateError(line: line ?? self.line, problem: .syntax(what))
  }
  private func starts(_ text: String, at index: Int) -> Bool {
    var index = index
    for scalar in text.unicodeScalars {
      guard index < source.count, source[index] == scalar else { return false }
      index += 1
    }
    return true
  }
  private mutating func advance(to end: Int) {
    for index in position..<end where source[index] == "\n" { line += 1 }
    position = end
  }
  private mutating func add(_ token: TemplateToken) { tokens.append((token, line)) }

  private mutating func run() throws(TemplateError) {
    var startsLine = true  // whether what comes next stands at the start of a line, tags left out
    while position < source.count {
      guard let open = nextDelimiter() else {
        addText(position..<source.count)
        advance(to: source.count)
        break
      }
      let sign = open + 2 < source.count ? source[open + 2] : " "
      var textEnd = open
      if sign == "-" {
        while textEnd > position, source[textEnd - 1].isPythonSpace { textEnd -= 1 }
      } else if sign != "+", source[open + 1] != "{" {
        var start = open
        while start > position, source[start - 1].isPythonSpace, source[start - 1] != "\n" { start -= 1 }
        if start > position ? source[start - 1] == "\n" : startsLine { textEnd = start }
      }
      addText(position..<textEnd)
      advance(to: open)
      let end: Int
      switch source[open + 1] {
      case "#": end = try comment(open)
      case "{":
        add(.outputStart)
        advance(to: open + (sign == "-" || sign == "+" ? 3 : 2))
        end = try code(closing: "}}")
      default:
        let inside = open + (sign == "-" || sign == "+" ? 3 : 2)
        if let rawStart = rawTag("raw", inside) {
          end = try raw(rawStart)
        } else {
          add(.tagStart)
          advance(to: inside)
          end = try code(closing: "%}")
        }
      }
      startsLine = end > 0 && source[end - 1] == "\n"
      advance(to: end)
    }
    add(.end)
  }

  private mutating func addText(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: source[range])
    add(.text(String(text)))
  }

  private func nextDelimiter() -> Int? {
    var index = position
    while index + 1 < source.count {
      if source[index] == "{", source[index + 1] == "{" || source[index + 1] == "%" || source[index + 1] == "#" {
        return index
      }
      index += 1
    }
    return nil
  }

  /// The end of a delimiter that closes at `index`, with the white space that it takes away.
  private func afterClosing(_ index: Int, sign: Unicode.Scalar?, trimsLine: Bool) -> Int {
    var end = index + 2
    if sign == "-" {
      while end < source.count, source[end].isPythonSpace { end += 1 }
    } else if sign != "+", trimsLine, end < source.count, source[end] == "\n" {
      end += 1
    }
    return end
  }

  private func comment(_ open: Int) throws(TemplateError) -> Int {
    var index = open + 2
    while index + 1 < source.count {
      if source[index] == "#", source[index + 1] == "}" {
        let sign = index > open + 2 ? source[index - 1] : nil
        return afterClosing(index, sign: sign, trimsLine: true)
      }
      index += 1
    }
    throw failed("the comment that starts here is not closed with '#}'")
  }

  /// Where a tag ends that holds only `name`, from inside it; nil for any other tag.
  private func rawTag(_ name: String, _ inside: Int) -> (index: Int, sign: Unicode.Scalar?)? {
    var index = inside
    while index < source.count, source[index].isPythonSpace { index += 1 }
    guard starts(name, at: index) else { return nil }
    index += name.unicodeScalars.count
    while index < source.count, source[index].isPythonSpace { index += 1 }
    guard index < source.count else { return nil }
    if starts("%}", at: index) { return (index, nil) }
    return starts("%}", at: index + 1) && (source[index] == "-" || source[index] == "+")
      ? (index + 1, source[index]) : nil
  }

  /// Everything up to `{% endraw %}` is text.
  private mutating func raw(_ tag: (index: Int, sign: Unicode.Scalar?)) throws(TemplateError) -> Int {
    let start = afterClosing(tag.index, sign: tag.sign, trimsLine: false)  // unlike other tags
    var index = start
    while index + 1 < source.count {
      if starts("{%", at: index) {
        let sign = index + 2 < source.count ? source[index + 2] : " "
        if let end = rawTag("endraw", index + (sign == "-" || sign == "+" ? 3 : 2)) {
          var textEnd = index
          if sign == "-" {
            while textEnd > start, source[textEnd - 1].isPythonSpace { textEnd -= 1 }
          } else if sign != "+" {
            var lineStart = index
            while lineStart > start, source[lineStart - 1].isPythonSpace, source[lineStart - 1] != "\n" { lineStart -= 1 }
            if lineStart > start, source[lineStart - 1] == "\n" { textEnd = lineStart }
          }
          addText(start..<textEnd)
          return afterClosing(end.index, sign: end.sign, trimsLine: true)
        }
      }
      index += 1
    }
    throw failed("'raw' that starts here is not closed with 'endraw'")
  }

  private static let symbols = ["//", "**", "==", "!=", "<=", ">="]

  /// Tokens inside `{{ }}` or `{% %}`; returns where text goes on.
  private mutating func code(closing: String) throws(TemplateError) -> Int {
    let startLine = line
    var brackets: [Unicode.Scalar] = []
    while position < source.count {
      let scalar = source[position]
      if scalar.isPythonSpace { advance(to: position + 1); continue }
      // Inside brackets `}}` closes two dictionaries.
      if brackets.isEmpty {
        let signed = (scalar == "-" || scalar == "+") && starts(closing, at: position + 1)
        if signed || starts(closing, at: position) {
          add(closing == "}}" ? .outputEnd : .tagEnd)
          return afterClosing(
            signed ? position + 1 : position, sign: signed ? scalar : nil, trimsLine: closing == "%}")
        }
      }
      switch scalar {
      case "\"", "'": try string(scalar)
      case "0"..."9": try number()
      case "_", "a"..."z", "A"..."Z":
        var end = position
        while end < source.count, source[end].isNamePart { end += 1 }
        let name = String(String.UnicodeScalarView(source[position..<end]))
        add(.name(name))
        advance(to: end)
      case "(", "[", "{":
        brackets.append(scalar)
        add(.symbol(String(scalar)))
        advance(to: position + 1)
      case ")", "]", "}":
        let opening: Unicode.Scalar = scalar == ")" ? "(" : scalar == "]" ? "[" : "{"
        guard brackets.popLast() == opening else { throw failed("'\(scalar)' closes no '\(opening)'") }
        add(.symbol(String(scalar)))
        advance(to: position + 1)
      default:
        if let symbol = Self.symbols.first(where: { starts($0, at: position) }) {
          add(.symbol(symbol))
          advance(to: position + 2)
        } else if "+-*/%~<>=.,:|".unicodeScalars.contains(scalar) {
          add(.symbol(String(scalar)))
          advance(to: position + 1)
        } else {
          throw failed("the character '\(scalar)' has no meaning in an expression")
        }
      }
    }
    throw failed("the tag that starts here is not closed with '\(closing)'", line: startLine)
  }

  private mutating func number() throws(TemplateError) {
    var end = position
    var text = ""
    func isDigit(_ index: Int) -> Bool { index < source.count && ("0"..."9").contains(source[index]) }
    func takeDigits(_ end: inout Int, _ text: inout String) {
      while isDigit(end) || (end < source.count && source[end] == "_" && isDigit(end + 1)) {
        if source[end] != "_" { text.unicodeScalars.append(source[end]) }
        end += 1
      }
    }
    takeDigits(&end, &text)
    var isDouble = false
    if end < source.count, source[end] == ".", isDigit(end + 1) {
      isDouble = true
      text += "."
      end += 1
      takeDigits(&end, &text)
    }
    if end < source.count, source[end] == "e" || source[end] == "E" {
      let sign = end + 1 < source.count && (source[end + 1] == "-" || source[end + 1] == "+") ? 1 : 0
      if isDigit(end + 1 + sign) {
        isDouble = true
        text += "e" + (sign == 1 ? String(source[end + 1]) : "")
        end += 1 + sign
        takeDigits(&end, &text)
      }
    }
    if isDouble, let value = Double(text) {
      add(.double(value))
    } else if let value = Int(text) {
      add(.int(value))
    } else {
      throw failed("the number \(text.prefix(40)) is too large")
    }
    advance(to: end)
  }

  private mutating func string(_ quote: Unicode.Scalar) throws(TemplateError) {
    let startLine = line
    var text = String.UnicodeScalarView()
    var index = position + 1
    while index < source.count, source[index] != quote {
      guard source[index] == "\\" else { text.append(source[index]); index += 1; continue }
      guard index + 1 < source.count else { break }
      let escape = source[index + 1]
      index += 2
      switch escape {
      case "\n": break
      case "\\", "'", "\"": text.append(escape)
      case "a": text.append("\u{7}")
      case "b": text.append("\u{8}")
      case "f": text.append("\u{C}")
      case "n": text.append("\n")
      case "r": text.append("\r")
      case "t": text.append("\t")
      case "v": text.append("\u{B}")
      case "0"..."7":
        var value = escape.value - 0x30
        for _ in 0..<2 where index < source.count && ("0"..."7").contains(source[index]) {
          value = value * 8 + source[index].value - 0x30
          index += 1
        }
        if let scalar = Unicode.Scalar(value) { text.append(scalar) }
      case "x", "u", "U":
        let length = escape == "x" ? 2 : escape == "u" ? 4 : 8
        guard index + length <= source.count,
          let value = UInt32(String(String.UnicodeScalarView(source[index..<index + length])), radix: 16),
          let scalar = Unicode.Scalar(value)
        else { throw failed("'\\\(escape)' in a string needs \(length) hexadecimal digits of a character") }
        text.append(scalar)
        index += length
      default:
        text.append("\\")
        text.append(escape)
      }
    }
    guard index < source.count else { throw failed("the string that starts here is not closed", line: startLine) }
    add(.string(String(text)))
    advance(to: index + 1)
  }
}

extension Unicode.Scalar {
  /// What Python's `str.strip` takes away.
  var isPythonSpace: Bool {
    switch value {
    case 0x20, 0x09...0x0D, 0x1C...0x1F: true
    case ..<0x80: false
    default: properties.isWhitespace
    }
  }
  fileprivate var isNamePart: Bool {
    switch self {
    case "_", "a"..."z", "A"..."Z", "0"..."9": true
    default: false
    }
  }
}
