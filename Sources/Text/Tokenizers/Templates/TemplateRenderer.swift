/// Runs a template's statements. One object renders once, on one thread.
///
/// A template is untrusted: all work is charged to a budget, and recursion, values and output are bounded.
final class TemplateRenderer {
  struct Limits: Sendable {
    /// Expressions evaluated, items touched, and sixteenths of bytes copied.
    var work = 5_000_000
    /// Bytes of one string, the output among them.
    var stringBytes = 16 << 20
    /// Expressions, statements and macro calls inside each other; in a release build they fit a stack of 512 KiB.
    var depth = 200
    /// What Jinja's sandbox allows as well.
    var rangeCount = 100_000
  }
  enum Flow { case next, breakLoop, continueLoop }

  let limits: Limits
  let now: CalendarTime
  /// The line that is being run, for messages.
  var line = 1
  var output = ""
  private var work = 0
  private let budget: WorkBudget?
  private var nextCheck = TemplateRenderer.workBetweenChecks
  private static let workBetweenChecks = 1 << 13
  private var depth = 0
  private var loopDepth = 0
  /// Macros hold their scope and namespaces may hold themselves; both are emptied at the end.
  private var macroScopes: [TemplateScope] = []
  private var namespaces: [TemplateNamespace] = []

  init(limits: Limits, now: CalendarTime, budget: WorkBudget? = nil) {
    self.limits = limits
    self.budget = budget
    self.now = now
  }

  func render(_ statements: [TemplateStatement], _ variables: [String: TemplateValue]) throws(TemplateError) -> String {
    defer {
      for scope in macroScopes { scope.variables.removeAll() }
      for namespace in namespaces { namespace.members.removeAll() }
    }
    let globals = TemplateScope(parent: nil)
    for function in TemplateFunction.allCases { globals.variables[function.rawValue] = .function(function) }
    for (name, value) in variables { globals.variables[name] = value }
    _ = try run(statements, TemplateScope(parent: globals))
    return output
  }

  // MARK: Errors and limits

  func mismatch(_ what: String) -> TemplateError { TemplateError(line: line, problem: .mismatch(what)) }
  func undefined(_ what: String) -> TemplateError { TemplateError(line: line, problem: .undefined(what)) }
  func limit(_ what: String) -> TemplateError { TemplateError(line: line, problem: .limit(what)) }

  func charge(_ amount: Int = 1) throws(TemplateError) {
    guard amount <= limits.work - work else { throw limit("it does more than \(limits.work) steps of work") }
    work += amount
    if work >= nextCheck { try check() }
  }
  private func check() throws(TemplateError) {
    nextCheck = work + Self.workBetweenChecks
    do { try budget?.check() } catch { throw limit(error.description) }
  }
  /// Charges for making a string; call it before making it.
  func charge(bytes: Int) throws(TemplateError) {
    guard bytes <= limits.stringBytes else { throw limit("it makes a text of more than \(limits.stringBytes) bytes") }
    try charge(1 + bytes / 16)
  }
  /// Charges for looking a name up: that of a long one takes a time that may grow with the square of its length.
  func charge(key: String) throws(TemplateError) {
    let count = key.utf8.count
    if count > 256 { try charge(count / 16 * (count / 256)) }
  }
  func deeper<R>(_ body: () throws(TemplateError) -> R) throws(TemplateError) -> R {
    depth += 1
    defer { depth -= 1 }
    guard depth <= limits.depth else {
      throw limit("its parts and macro calls are nested deeper than \(limits.depth) levels")
    }
    return try body()
  }
  /// A new list or dictionary must not be too deep.
  func checked(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
    guard value.depth <= TemplateValue.maximumDepth else {
      throw limit("a value is nested deeper than \(TemplateValue.maximumDepth) levels")
    }
    return value
  }
  func register(_ namespace: TemplateNamespace) throws(TemplateError) {
    guard namespaces.count < 1000 else { throw limit("it makes more than 1000 namespaces") }
    namespaces.append(namespace)
  }

  func write(_ text: String) throws(TemplateError) {
    guard output.utf8.count + text.utf8.count <= limits.stringBytes else {
      throw limit("its output is longer than \(limits.stringBytes) bytes")
    }
    try charge(1 + text.utf8.count / 16)
    output += text
  }

  /// Runs statements and returns what they write instead of writing it.
  func capture(_ statements: [TemplateStatement], _ scope: TemplateScope) throws(TemplateError) -> String {
    let outer = output
    output = ""
    defer { output = outer }
    _ = try run(statements, scope)
    return output
  }

  // MARK: Statements

  func run(_ statements: [TemplateStatement], _ scope: TemplateScope) throws(TemplateError) -> Flow {
    try deeper { () throws(TemplateError) in
      for statement in statements {
        let flow = try run(statement, scope)
        if flow != .next { return flow }
      }
      return .next
    }
  }

  private func run(_ statement: TemplateStatement, _ scope: TemplateScope) throws(TemplateError) -> Flow {
    try charge()
    switch statement {
    case .text(let text): try write(text)
    case .output(let expression): try write(try text(of: try evaluate(expression, scope)))
    case .choice(let branches, let otherwise):
      for branch in branches where try evaluate(branch.condition, scope).isTrue { return try run(branch.body, scope) }
      return try run(otherwise, scope)
    case .loop(let loop): return try run(loop, scope)
    case .set(let target, let expression): try assign(try evaluate(expression, scope), to: target, scope)
    case .setBlock(let target, let filters, let body, let line):
      var value = TemplateValue.string(try capture(body, TemplateScope(parent: scope)))
      self.line = line
      if let filters { value = try filter(filters, blockText: value, scope) }
      try assign(value, to: target, scope)
    case .filterBlock(let filters, let body, let line):
      let text = TemplateValue.string(try capture(body, TemplateScope(parent: scope)))
      self.line = line
      try write(try self.text(of: try filter(filters, blockText: text, scope)))
    case .macro(let definition):
      scope.variables[definition.name] = .macro(TemplateMacro(definition, scope: scope))
      macroScopes.append(scope)
    case .call(let call, let caller):
      guard case .call(let callee, let arguments) = call.kind else { return .next }
      let inner = TemplateScope(parent: scope)
      macroScopes.append(inner)
      let macro = TemplateValue.macro(TemplateMacro(caller, scope: inner))
      guard case .macro(let called) = try evaluate(callee, scope) else {
        throw mismatch("'call' needs a macro")
      }
      try write(try self.call(called, try self.arguments(arguments, scope), caller: macro))
    case .with(let values, let body, _):
      let inner = TemplateScope(parent: scope)
      for (name, expression) in values { inner.variables[name] = try evaluate(expression, scope) }
      return try run(body, inner)
    case .group(let body): return try run(body, TemplateScope(parent: scope))
    case .breakLoop(let line), .continueLoop(let line):
      self.line = line
      guard loopDepth > 0 else { throw TemplateError(line: line, problem: .syntax("'break' and 'continue' stand in no loop")) }
      if case .breakLoop = statement { return .breakLoop }
      return .continueLoop
    }
    return .next
  }

  private func run(_ loop: TemplateStatement.Loop, _ scope: TemplateScope) throws(TemplateError) -> Flow {
    var items = try self.items(of: try evaluate(loop.iterable, scope))
    if let condition = loop.condition {
      var kept: [TemplateValue] = []
      for item in items {
        let inner = TemplateScope(parent: scope)
        try assign(item, to: loop.target, inner)
        if try evaluate(condition, inner).isTrue { kept.append(item) }
      }
      items = kept
    }
    guard !items.isEmpty else { return try run(loop.otherwise, TemplateScope(parent: scope)) }
    loopDepth += 1
    defer { loopDepth -= 1 }
    let state = TemplateLoop(items)
    for (index, item) in items.enumerated() {
      try charge()
      state.index = index
      let inner = TemplateScope(parent: scope)
      inner.variables["loop"] = .loop(state)
      try assign(item, to: loop.target, inner)
      if try run(loop.body, inner) == .breakLoop { break }
    }
    return .next
  }

  func assign(_ value: TemplateValue, to target: TemplateStatement.Target, _ scope: TemplateScope) throws(TemplateError) {
    switch target {
    case .name(let name): scope.variables[name] = value
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace)? = scope.lookUp(name) else {
        throw mismatch("'\(name).\(attribute)' cannot be set, since '\(name)' is no namespace; make it with namespace(…)")
      }
      namespace.members[attribute] = value
    case .tuple(let targets):
      let items = try items(of: value)
      guard items.count == targets.count else {
        throw mismatch("\(items.count) values cannot be put into \(targets.count) variables")
      }
      for (target, item) in zip(targets, items) { try assign(item, to: target, scope) }
    }
  }

  // MARK: Calls

  func call(
    _ macro: TemplateMacro, _ arguments: TemplateArguments, caller: TemplateValue? = nil
  ) throws(TemplateError) -> String {
    let definition = macro.definition
    let callLine = line
    let scope = TemplateScope(parent: macro.scope)
    guard arguments.positional.count <= definition.parameters.count else {
      throw mismatch(
        "the macro '\(definition.name)' was given \(arguments.positional.count) arguments, but has \(definition.parameters.count) parameters")
    }
    for (name, _) in arguments.named where !definition.parameters.contains(where: { $0.name == name }) {
      throw mismatch("the macro '\(definition.name)' has no parameter '\(name)'")
    }
    if let caller { scope.variables["caller"] = caller }
    for (index, parameter) in definition.parameters.enumerated() {
      let given =
        index < arguments.positional.count
        ? arguments.positional[index] : arguments.named.last { $0.name == parameter.name }?.value
      if let given {
        scope.variables[parameter.name] = given
      } else if let fallback = parameter.fallback {
        scope.variables[parameter.name] = try evaluate(fallback, scope)
      } else {
        scope.variables[parameter.name] = .undefined("the macro's parameter '\(parameter.name)' was not given")
      }
    }
    let outerLoops = loopDepth
    loopDepth = 0
    defer { loopDepth = outerLoops }
    let text = try capture(definition.body, scope)
    line = callLine
    return text
  }

  func arguments(_ arguments: TemplateExpression.Arguments, _ scope: TemplateScope) throws(TemplateError) -> TemplateArguments {
    var result = TemplateArguments()
    for argument in arguments.positional { result.positional.append(try evaluate(argument, scope)) }
    for (name, argument) in arguments.named { result.named.append((name, try evaluate(argument, scope))) }
    return result
  }
}

/// The arguments of a call, taken one by one; what is left over in the end is an error.
struct TemplateArguments {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []
  private var taken = 0

  init(positional: [TemplateValue] = [], named: [(name: String, value: TemplateValue)] = []) {
    self.positional = positional
    self.named = named
  }

  /// The next argument without a name, or the one called `name`.
  mutating func take(_ name: String) -> TemplateValue? {
    if taken < positional.count {
      taken += 1
      return positional[taken - 1]
    }
    guard let index = named.firstIndex(where: { $0.name == name }) else { return nil }
    return named.remove(at: index).value
  }
  /// What `take` has not taken, for a filter that hands arguments on.
  mutating func rest() -> TemplateArguments {
    let rest = TemplateArguments(positional: Array(positional[taken...]), named: named)
    taken = positional.count
    named = []
    return rest
  }
  /// Describes the first argument that was not taken.
  var leftOver: String? {
    named.first.map { "an argument '\($0.name)'" } ?? (taken < positional.count ? "\(positional.count) arguments" : nil)
  }
}
