import JSON

/// Statements of a template, from its tokens.
struct TemplateParser {
  private let tokens: [(token: TemplateToken, line: Int)]
  private var position = 0
  /// Statements inside statements, and brackets inside brackets.
  var depth = 0
  static let maximumDepth = 60

  static func statements(of source: String) throws(TemplateError) -> [TemplateStatement] {
    var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source))
    let (statements, end) = try parser.body(until: [])
    precondition(end.isEmpty)
    return statements
  }
  private init(tokens: [(token: TemplateToken, line: Int)]) { self.tokens = tokens }

  // The last token is always `.end`, and nothing moves past it.
  var token: TemplateToken { tokens[position].token }
  var nextToken: TemplateToken { tokens[min(position + 1, tokens.count - 1)].token }
  var line: Int { tokens[position].line }
  mutating func advance() { if position + 1 < tokens.count { position += 1 } }

  func failed(_ what: String) -> TemplateError { TemplateError(line: line, problem: .syntax(what)) }
  func isName(_ name: String) -> Bool { token == .name(name) }
  func isSymbol(_ symbol: String) -> Bool { token == .symbol(symbol) }

  mutating func take(_ wanted: TemplateToken) -> Bool {
    guard token == wanted else { return false }
    advance()
    return true
  }
  mutating func expect(_ wanted: TemplateToken) throws(TemplateError) {
    guard take(wanted) else { throw failed("expected \(wanted.shown), found \(token.shown)") }
  }
  mutating func name(_ what: String) throws(TemplateError) -> String {
    guard case .name(let name) = token else { throw failed("expected \(what), found \(token.shown)") }
    advance()
    return name
  }
  mutating func nested<R>(_ body: (inout TemplateParser) throws(TemplateError) -> R) throws(TemplateError) -> R {
    depth += 1
    guard depth <= Self.maximumDepth else {
      throw TemplateError(line: line, problem: .limit("it is nested deeper than \(Self.maximumDepth) levels"))
    }
    let result = try body(&self)
    depth -= 1
    return result
  }

  private static let tags = [
    "if", "for", "set", "macro", "call", "filter", "with", "generation", "break", "continue", "raw",
  ]

  /// Statements up to a tag whose name is in `ends`; its name has then been read, the rest of the tag has not.
  /// With no ends, up to the end of the template.
  private mutating func body(until ends: [String]) throws(TemplateError) -> ([TemplateStatement], end: String) {
    var statements: [TemplateStatement] = []
    while true {
      switch token {
      case .end:
        guard ends.isEmpty else { throw failed("'\(ends[ends.count - 1])' is missing") }
        return (statements, "")
      case .text(let text):
        statements.append(.text(text))
        advance()
      case .outputStart:
        advance()
        statements.append(.output(try expressionOrTuple()))
        try expect(.outputEnd)
      case .tagStart:
        advance()
        guard case .name(let tag) = token else { throw failed("expected the name of a tag, found \(token.shown)") }
        if ends.contains(tag) {
          advance()
          return (statements, tag)
        }
        statements.append(try nested { (parser) throws(TemplateError) in try parser.statement(tag, ends: ends) })
      default: throw failed("\(token.shown) stands outside a tag")
      }
    }
  }

  private mutating func block(until end: String) throws(TemplateError) -> [TemplateStatement] {
    try expect(.tagEnd)
    let (statements, _) = try body(until: [end])
    if case .name = token, end != "endif", end != "endfor" { advance() }  // {% endmacro name %}
    try expect(.tagEnd)
    return statements
  }

  private mutating func statement(_ tag: String, ends: [String]) throws(TemplateError) -> TemplateStatement {
    let line = line
    advance()
    switch tag {
    case "if": return try choice()
    case "for": return try loop(line)
    case "set": return try assignment(line)
    case "macro":
      let name = try name("a name for the macro")
      return .macro(try macro(name, line, end: "endmacro"))
    case "call":
      let parameters = isSymbol("(") ? try self.parameters() : []
      let call = try expression()
      guard case .call = call.kind else { throw failed("'call' needs a call of a macro") }
      return .call(call, caller: .init(name: "caller", parameters: parameters, body: try block(until: "endcall"), line: line))
    case "filter":
      let filters = try filterChain()
      return .filterBlock(filters, body: try block(until: "endfilter"), line: line)
    case "with":
      var values: [(name: String, value: TemplateExpression)] = []
      while token != .tagEnd {
        if !values.isEmpty { try expect(.symbol(",")) }
        let name = try name("a variable's name")
        try expect(.symbol("="))
        values.append((name, try expression()))
      }
      return .with(values, body: try block(until: "endwith"), line: line)
    case "generation": return .group(try block(until: "endgeneration"))
    case "break", "continue":
      try expect(.tagEnd)
      return tag == "break" ? .breakLoop(line: line) : .continueLoop(line: line)
    case "include", "import", "from", "extends", "block", "do", "autoescape", "trans", "debug":
      throw TemplateError(
        line: line, problem: .refused("the tag '\(tag)' has no place in a chat template; rewrite the template without it"))
    default:
      let nearest = nearestName(to: tag, among: Self.tags + ends)
      throw TemplateError(line: line, problem: .unknown(kind: "tag", name: tag, nearest: nearest))
    }
  }

  private mutating func choice() throws(TemplateError) -> TemplateStatement {
    var branches: [(condition: TemplateExpression, body: [TemplateStatement])] = []
    var condition = try expression()
    while true {
      try expect(.tagEnd)
      let (statements, end) = try body(until: ["elif", "else", "endif"])
      branches.append((condition, statements))
      switch end {
      case "elif": condition = try expression()
      case "else":
        let otherwise = try block(until: "endif")
        return .choice(branches, otherwise: otherwise)
      default:
        try expect(.tagEnd)
        return .choice(branches, otherwise: [])
      }
    }
  }

  private mutating func loop(_ line: Int) throws(TemplateError) -> TemplateStatement {
    let target = try target()
    try expect(.name("in"))
    let iterable = try expressionOrTuple(withConditional: false)
    var condition: TemplateExpression?
    if take(.name("if")) { condition = try expression() }
    if isName("recursive") {
      throw TemplateError(line: line, problem: .refused("a 'recursive' loop is not supported; use a macro that calls itself"))
    }
    try expect(.tagEnd)
    let (body, end) = try body(until: ["else", "endfor"])
    var otherwise: [TemplateStatement] = []
    if end == "else" { otherwise = try block(until: "endfor") } else { try expect(.tagEnd) }
    return .loop(
      .init(target: target, iterable: iterable, condition: condition, body: body, otherwise: otherwise, line: line))
  }

  private mutating func assignment(_ line: Int) throws(TemplateError) -> TemplateStatement {
    let target = try target()
    if take(.symbol("=")) {
      let value = try expressionOrTuple()
      try expect(.tagEnd)
      return .set(target, value)
    }
    var filters: TemplateExpression?
    if take(.symbol("|")) { filters = try filterChain() }
    return .setBlock(target, filters: filters, body: try block(until: "endset"), line: line)
  }

  /// `a`, `a.b`, `a, b`, `(a, b)`
  private mutating func target() throws(TemplateError) -> TemplateStatement.Target {
    func one(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateStatement.Target {
      if parser.take(.symbol("(")) {
        let inner = try parser.nested { (parser) throws(TemplateError) in try parser.target() }
        try parser.expect(.symbol(")"))
        return inner
      }
      let name = try parser.name("a variable's name")
      guard parser.take(.symbol(".")) else { return .name(name) }
      return .attribute(name, try parser.name("an attribute's name"))
    }
    let first = try one(&self)
    guard isSymbol(",") else { return first }
    var all = [first]
    while take(.symbol(",")) {
      guard case .name(let next) = token, next != "in" else {
        if isSymbol("(") { all.append(try one(&self)); continue }
        break
      }
      all.append(try one(&self))
    }
    return .tuple(all)
  }

  private mutating func macro(_ name: String, _ line: Int, end: String) throws(TemplateError) -> TemplateStatement.Macro {
    let parameters = try parameters()
    return .init(name: name, parameters: parameters, body: try block(until: end), line: line)
  }

  private mutating func parameters() throws(TemplateError) -> [(name: String, fallback: TemplateExpression?)] {
    try expect(.symbol("("))
    var parameters: [(name: String, fallback: TemplateExpression?)] = []
    while !isSymbol(")") {
      if !parameters.isEmpty { try expect(.symbol(",")) }
      if isSymbol(")") { break }
      let name = try name("a parameter's name")
      parameters.append((name, take(.symbol("=")) ? try expression() : nil))
    }
    try expect(.symbol(")"))
    return parameters
  }

  /// `upper | trim(…)`, applied to a block's text.
  private mutating func filterChain() throws(TemplateError) -> TemplateExpression {
    var chain: TemplateExpression?
    repeat {
      let line = line
      let name = try name("a filter's name")
      let arguments = isSymbol("(") ? try self.arguments() : .init()
      chain = try TemplateExpression(.filter(chain, name, arguments), line: line)
    } while take(.symbol("|"))
    guard let chain else { throw failed("expected a filter's name") }
    return chain
  }
}
