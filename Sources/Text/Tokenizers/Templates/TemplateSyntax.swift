/// An expression of a template. Its depth is bounded when it is made, so that walking and freeing it are too.
final class TemplateExpression: Sendable {
  enum Constant: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
  }
  enum BinaryOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", remainder = "%", power = "**"
    case concatenate = "~"
    case and = "and", or = "or"
  }
  enum Comparison: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case isIn = "in", isNotIn = "not in"
  }
  struct Arguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    var all: [TemplateExpression] { positional + named.map(\.value) }
  }
  enum Kind: Sendable {
    case constant(Constant)
    case name(String)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case attribute(TemplateExpression, String)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateExpression, Arguments)
    /// The input is nil only in a `filter` block, where the block's text is the input.
    case filter(TemplateExpression?, String, Arguments)
    case test(TemplateExpression, String, Arguments, negated: Bool)
    case not(TemplateExpression)
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    case binary(BinaryOperator, TemplateExpression, TemplateExpression)
    case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
    case conditional(then: TemplateExpression, condition: TemplateExpression, otherwise: TemplateExpression?)
  }
  static let maximumDepth = 150

  let kind: Kind
  let line: Int
  let depth: Int

  init(_ kind: Kind, line: Int) throws(TemplateError) {
    self.kind = kind
    self.line = line
    depth = 1 + (Self.children(kind).map(\.depth).max() ?? 0)
    guard depth <= Self.maximumDepth else {
      throw TemplateError(line: line, problem: .limit("an expression is nested deeper than \(Self.maximumDepth) levels"))
    }
  }

  private static func children(_ kind: Kind) -> [TemplateExpression] {
    switch kind {
    case .constant, .name: []
    case .list(let items), .tuple(let items): items
    case .dictionary(let members): members.flatMap { [$0.key, $0.value] }
    case .attribute(let value, _), .not(let value), .negative(let value), .positive(let value): [value]
    case .item(let value, let key): [value, key]
    case .slice(let value, let start, let stop, let step): [value] + [start, stop, step].compactMap { $0 }
    case .call(let callee, let arguments): [callee] + arguments.all
    case .filter(let input, _, let arguments): (input.map { [$0] } ?? []) + arguments.all
    case .test(let value, _, let arguments, _): [value] + arguments.all
    case .binary(_, let left, let right): [left, right]
    case .comparison(let first, let rest): [first] + rest.map(\.1)
    case .conditional(let then, let condition, let otherwise): [then, condition] + (otherwise.map { [$0] } ?? [])
    }
  }
}

/// A statement of a template, or text between statements.
indirect enum TemplateStatement: Sendable {
  /// Where an assignment or a loop puts its value.
  indirect enum Target: Sendable {
    case name(String)
    case attribute(String, String)
    case tuple([Target])
  }
  struct Macro: Sendable {
    var name: String
    var parameters: [(name: String, fallback: TemplateExpression?)]
    var body: [TemplateStatement]
    var line: Int
  }
  struct Loop: Sendable {
    var target: Target
    var iterable: TemplateExpression
    var condition: TemplateExpression?
    var body: [TemplateStatement]
    var otherwise: [TemplateStatement]
    var line: Int
  }
  case text(String)
  case output(TemplateExpression)
  case choice([(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
  case loop(Loop)
  case set(Target, TemplateExpression)
  /// `{% set x %}…{% endset %}`, the text passed through the filters.
  case setBlock(Target, filters: TemplateExpression?, body: [TemplateStatement], line: Int)
  case filterBlock(TemplateExpression, body: [TemplateStatement], line: Int)
  case macro(Macro)
  /// `{% call m() %}…{% endcall %}`: the body is what `caller()` gives inside `m`.
  case call(TemplateExpression, caller: Macro)
  case with([(name: String, value: TemplateExpression)], body: [TemplateStatement], line: Int)
  /// `{% generation %}`: marks the assistant's words for training, and is transparent here.
  case group([TemplateStatement])
  case breakLoop(line: Int)
  case continueLoop(line: Int)
}
