/// Expressions, by Jinja's precedence: conditional, or, and, not, comparison, + -, ~, * / // %, **, unary, filters.
extension TemplateParser {
  mutating func expression() throws(TemplateError) -> TemplateExpression {
    try nested { (parser) throws(TemplateError) in try parser.conditional() }
  }

  /// An expression, or several with commas between them, which make a tuple.
  mutating func expressionOrTuple(withConditional: Bool = true) throws(TemplateError) -> TemplateExpression {
    let line = line
    func one(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateExpression {
      withConditional ? try parser.expression() : try parser.either()
    }
    let first = try one(&self)
    guard isSymbol(",") else { return first }
    var items = [first]
    while take(.symbol(",")) {
      if token == .outputEnd || token == .tagEnd || isSymbol(")") { break }
      items.append(try one(&self))
    }
    return try TemplateExpression(.tuple(items), line: line)
  }

  private mutating func conditional() throws(TemplateError) -> TemplateExpression {
    var value = try either()
    while isName("if") {
      let line = line
      advance()
      let condition = try either()
      let otherwise = take(.name("else")) ? try expression() : nil
      value = try TemplateExpression(.conditional(then: value, condition: condition, otherwise: otherwise), line: line)
    }
    return value
  }

  private mutating func either() throws(TemplateError) -> TemplateExpression {
    var left = try both()
    while isName("or") {
      let line = line
      advance()
      left = try TemplateExpression(.binary(.or, left, try both()), line: line)
    }
    return left
  }

  private mutating func both() throws(TemplateError) -> TemplateExpression {
    var left = try negation()
    while isName("and") {
      let line = line
      advance()
      left = try TemplateExpression(.binary(.and, left, try negation()), line: line)
    }
    return left
  }

  private mutating func negation() throws(TemplateError) -> TemplateExpression {
    let line = line
    guard take(.name("not")) else { return try comparison() }
    let value = try nested { (parser) throws(TemplateError) in try parser.negation() }
    return try TemplateExpression(.not(value), line: line)
  }

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let line = line
    let first = try arithmetic(0)
    var rest: [(TemplateExpression.Comparison, TemplateExpression)] = []
    while true {
      var found: TemplateExpression.Comparison?
      switch token {
      case .symbol(let symbol): found = TemplateExpression.Comparison(rawValue: symbol)
      case .name("in"): found = .isIn
      case .name("not") where nextToken == .name("in"):
        advance()
        found = .isNotIn
      default: break
      }
      guard let found else { break }
      advance()
      rest.append((found, try arithmetic(0)))
    }
    return rest.isEmpty ? first : try TemplateExpression(.comparison(first, rest), line: line)
  }

  private static let levels: [[String: TemplateExpression.BinaryOperator]] = [
    ["+": .add, "-": .subtract],
    ["~": .concatenate],
    ["*": .multiply, "/": .divide, "//": .floorDivide, "%": .remainder],
    ["**": .power],
  ]

  private mutating func arithmetic(_ level: Int) throws(TemplateError) -> TemplateExpression {
    guard level < Self.levels.count else { return try unary(filtered: true) }
    var left = try arithmetic(level + 1)
    while case .symbol(let symbol) = token, let found = Self.levels[level][symbol] {
      let line = line
      advance()
      left = try TemplateExpression(.binary(found, left, try arithmetic(level + 1)), line: line)
    }
    return left
  }

  private mutating func unary(filtered: Bool) throws(TemplateError) -> TemplateExpression {
    let line = line
    var value: TemplateExpression
    if isSymbol("-") || isSymbol("+") {
      let negates = isSymbol("-")
      advance()
      let inner = try nested { (parser) throws(TemplateError) in try parser.unary(filtered: false) }
      value = try TemplateExpression(negates ? .negative(inner) : .positive(inner), line: line)
    } else {
      value = try primary()
    }
    value = try postfix(value)
    return filtered ? try filtersAndTests(value) : value
  }

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
    let line = line
    switch token {
    case .name(let name):
      advance()
      switch name {
      case "true", "True": return try TemplateExpression(.constant(.bool(true)), line: line)
      case "false", "False": return try TemplateExpression(.constant(.bool(false)), line: line)
      case "none", "None": return try TemplateExpression(.constant(.none), line: line)
      case "if", "else", "and", "or", "in", "is":
        throw TemplateError(line: line, problem: .syntax("expected a value, found '\(name)'"))
      default: return try TemplateExpression(.name(name), line: line)
      }
    case .string(var text):
      advance()
      while case .string(let more) = token {  // neighbouring strings are one
        text += more
        advance()
      }
      return try TemplateExpression(.constant(.string(text)), line: line)
    case .int(let value):
      advance()
      return try TemplateExpression(.constant(.int(value)), line: line)
    case .double(let value):
      advance()
      return try TemplateExpression(.constant(.double(value)), line: line)
    case .symbol("("):
      advance()
      if take(.symbol(")")) { return try TemplateExpression(.tuple([]), line: line) }
      let value = try expressionOrTuple()
      try expect(.symbol(")"))
      return value
    case .symbol("["):
      advance()
      var items: [TemplateExpression] = []
      while !isSymbol("]") {
        if !items.isEmpty { try expect(.symbol(",")) }
        if isSymbol("]") { break }
        items.append(try expression())
      }
      try expect(.symbol("]"))
      return try TemplateExpression(.list(items), line: line)
    case .symbol("{"):
      advance()
      var members: [(key: TemplateExpression, value: TemplateExpression)] = []
      while !isSymbol("}") {
        if !members.isEmpty { try expect(.symbol(",")) }
        if isSymbol("}") { break }
        let key = try expression()
        try expect(.symbol(":"))
        members.append((key, try expression()))
      }
      try expect(.symbol("}"))
      return try TemplateExpression(.dictionary(members), line: line)
    default: throw failed("expected a value, found \(token.shown)")
    }
  }

  private mutating func postfix(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = value
    while true {
      let line = line
      if take(.symbol(".")) {
        if case .int(let index) = token {
          advance()
          let key = try TemplateExpression(.constant(.int(index)), line: line)
          value = try TemplateExpression(.item(value, key), line: line)
        } else {
          value = try TemplateExpression(.attribute(value, try name("an attribute's name")), line: line)
        }
      } else if take(.symbol("[")) {
        value = try subscripted(value, line)
        try expect(.symbol("]"))
      } else if isSymbol("(") {
        value = try TemplateExpression(.call(value, try arguments()), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func subscripted(_ value: TemplateExpression, _ line: Int) throws(TemplateError) -> TemplateExpression {
    func part(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateExpression? {
      parser.isSymbol(":") || parser.isSymbol("]") ? nil : try parser.expression()
    }
    let start = try part(&self)
    guard take(.symbol(":")) else {
      guard let start else { throw failed("expected an index, found \(token.shown)") }
      return try TemplateExpression(.item(value, start), line: line)
    }
    let stop = try part(&self)
    let step = take(.symbol(":")) ? try part(&self) : nil
    return try TemplateExpression(.slice(value, start: start, stop: stop, step: step), line: line)
  }

  private mutating func filtersAndTests(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = value
    while true {
      let line = line
      if take(.symbol("|")) {
        var name = try name("a filter's name")
        while take(.symbol(".")) { name += "." + (try self.name("a filter's name")) }
        let arguments = isSymbol("(") ? try self.arguments() : .init()
        value = try TemplateExpression(.filter(value, name, arguments), line: line)
      } else if isName("is") {
        advance()
        let negated = take(.name("not"))
        value = try test(value, negated: negated, line)
      } else if isSymbol("(") {
        value = try TemplateExpression(.call(value, try arguments()), line: line)
      } else {
        return value
      }
    }
  }

  private mutating func test(
    _ value: TemplateExpression, negated: Bool, _ line: Int
  ) throws(TemplateError) -> TemplateExpression {
    let name: String
    if case .symbol(let symbol) = token, TemplateExpression.Comparison(rawValue: symbol) != nil {
      throw failed("after 'is' comes a test's name, such as 'equalto'")
    } else {
      name = try self.name("a test's name")
    }
    var arguments = TemplateExpression.Arguments()
    switch token {
    case .symbol("("): arguments = try self.arguments()
    case .name(let next) where !["else", "or", "and", "is", "if", "not", "in"].contains(next):
      arguments.positional = [try postfix(try primary())]
    case .string, .int, .double, .symbol("["), .symbol("{"):
      arguments.positional = [try postfix(try primary())]
    default: break
    }
    return try TemplateExpression(.test(value, name, arguments, negated: negated), line: line)
  }

  mutating func arguments() throws(TemplateError) -> TemplateExpression.Arguments {
    try expect(.symbol("("))
    var arguments = TemplateExpression.Arguments()
    var isFirst = true
    while !isSymbol(")") {
      if !isFirst { try expect(.symbol(",")) }
      isFirst = false
      if isSymbol(")") { break }
      if isSymbol("*") || isSymbol("**") {
        throw TemplateError(line: line, problem: .refused("spreading arguments with '*' is not supported; write them out"))
      }
      if case .name(let name) = token, nextToken == .symbol("=") {
        advance()
        advance()
        arguments.named.append((name, try expression()))
      } else {
        guard arguments.named.isEmpty else { throw failed("an argument without a name follows one with a name") }
        arguments.positional.append(try expression())
      }
    }
    try expect(.symbol(")"))
    return arguments
  }
}
