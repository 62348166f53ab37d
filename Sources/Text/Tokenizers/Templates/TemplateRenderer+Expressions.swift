import OrderedCollections

extension TemplateRenderer {
  func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws(TemplateError) -> TemplateValue {
    try charge()
    line = expression.line
    return try deeper { () throws(TemplateError) in try evaluateInside(expression, scope) }
  }

  private func evaluateInside(
    _ expression: TemplateExpression, _ scope: TemplateScope
  ) throws(TemplateError) -> TemplateValue {
    switch expression.kind {
    case .constant(let constant):
      switch constant {
      case .none: return .none
      case .bool(let value): return .bool(value)
      case .int(let value): return .int(value)
      case .double(let value): return .double(value)
      case .string(let value): return .string(value)
      }
    case .name(let name): return scope.lookUp(name) ?? .undefined("'\(name)' is not defined")
    case .list(let items): return try checked(.list(try evaluate(all: items, scope)))
    case .tuple(let items): return try checked(.tuple(try evaluate(all: items, scope)))
    case .dictionary(let members):
      var result: OrderedDictionary<String, TemplateValue> = [:]
      for (key, value) in members {
        guard case .string(let key) = try evaluate(key, scope) else { throw mismatch("a dictionary's keys must be strings") }
        try charge(key: key)
        result[key] = try evaluate(value, scope)
      }
      return try checked(.dictionary(TemplateDictionary(result)))
    case .attribute(let value, let name):
      let value = try evaluate(value, scope)
      line = expression.line
      return try attribute(name, of: value)
    case .item(let value, let key):
      let value = try evaluate(value, scope)
      let key = try evaluate(key, scope)
      line = expression.line
      return try item(key, of: value)
    case .slice(let value, let start, let stop, let step):
      let value = try evaluate(value, scope)
      func bound(_ expression: TemplateExpression?) throws(TemplateError) -> Int? {
        guard let expression else { return nil }
        switch try evaluate(expression, scope) {
        case .none: return nil
        case .int(let value): return value
        case let other: throw mismatch("a slice needs integers, not \(other.kind)")
        }
      }
      return try slice(value, try bound(start), try bound(stop), try bound(step) ?? 1)
    case .call(let callee, let arguments):
      let callee = try evaluate(callee, scope)
      let arguments = try self.arguments(arguments, scope)
      line = expression.line
      return try call(callee, arguments)
    case .filter(let input, let name, let arguments):
      guard let input else { throw mismatch("a filter has no input") }
      let value = try evaluate(input, scope)
      let arguments = try self.arguments(arguments, scope)
      line = expression.line
      return try apply(filter: name, to: value, arguments)
    case .test(let value, let name, let arguments, let negated):
      let value = try evaluate(value, scope)
      let arguments = try self.arguments(arguments, scope)
      line = expression.line
      return .bool(try passes(test: name, value, arguments) != negated)
    case .not(let value): return .bool(!(try evaluate(value, scope).isTrue))
    case .negative(let value):
      switch try evaluate(value, scope).asNumber {
      case .int(let value): return .int(try exact(0.subtractingReportingOverflow(value)))
      case .double(let value): return .double(-value)
      case let other: throw mismatch("'-' needs a number, not \(other.kind)")
      }
    case .positive(let value):
      let value = try evaluate(value, scope).asNumber
      guard value.isNumber else { throw mismatch("'+' needs a number, not \(value.kind)") }
      return value
    case .binary(.and, let left, let right):
      let left = try evaluate(left, scope)
      return left.isTrue ? try evaluate(right, scope) : left
    case .binary(.or, let left, let right):
      let left = try evaluate(left, scope)
      return left.isTrue ? left : try evaluate(right, scope)
    case .binary(let operation, let left, let right):
      let left = try evaluate(left, scope)
      let right = try evaluate(right, scope)
      line = expression.line
      return try compute(operation, left, right)
    case .comparison(let first, let rest):
      var left = try evaluate(first, scope)
      for (comparison, next) in rest {
        let right = try evaluate(next, scope)
        line = expression.line
        guard try holds(comparison, left, right) else { return .bool(false) }
        left = right
      }
      return .bool(true)
    case .conditional(let then, let condition, let otherwise):
      if try evaluate(condition, scope).isTrue { return try evaluate(then, scope) }
      if let otherwise { return try evaluate(otherwise, scope) }
      return .undefined("a condition was false and has no 'else'")
    }
  }

  private func evaluate(all expressions: [TemplateExpression], _ scope: TemplateScope) throws(TemplateError) -> [TemplateValue] {
    var values: [TemplateValue] = []
    values.reserveCapacity(expressions.count)
    for expression in expressions { values.append(try evaluate(expression, scope)) }
    return values
  }

  /// Runs a chain of filters whose first input is a block's text.
  func filter(
    _ chain: TemplateExpression, blockText: TemplateValue, _ scope: TemplateScope
  ) throws(TemplateError) -> TemplateValue {
    guard case .filter(let inner, let name, let arguments) = chain.kind else { return blockText }
    let input = try inner.map { (inner) throws(TemplateError) in try filter(inner, blockText: blockText, scope) } ?? blockText
    return try apply(filter: name, to: input, try self.arguments(arguments, scope))
  }

  // MARK: Parts of values

  func attribute(_ name: String, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch value {
    case .undefined(let what): throw undefined("\(what), so it has no '\(name)'")
    case .dictionary(let dictionary):
      if TemplateMethods.dictionary.contains(name) { return .method(of: value, name) }
      return dictionary.members[name] ?? .undefined("the dictionary has no '\(name)'")
    case .namespace(let namespace): return namespace.members[name] ?? .undefined("the namespace has no '\(name)'")
    case .loop(let loop): return loop.attribute(name) ?? .undefined("a loop has no '\(name)'")
    case .string where TemplateMethods.string.contains(name): return .method(of: value, name)
    case .list where TemplateMethods.list.contains(name), .tuple where TemplateMethods.tuple.contains(name):
      return .method(of: value, name)
    case .macro(let macro) where name == "name": return .string(macro.definition.name)
    default: return .undefined("\(value.kind) has no '\(name)'")
    }
  }

  func item(_ key: TemplateValue, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch (value, key) {
    case (.undefined(let what), _): throw undefined("\(what), so it has no items")
    case (.dictionary(let dictionary), .string(let name)):
      try charge(key: name)
      if let member = dictionary.members[name] { return member }
      return try attribute(name, of: value)
    case (.list(let list), .int(let index)), (.tuple(let list), .int(let index)):
      let place = index < 0 ? index + list.items.count : index
      return list.items.indices.contains(place)
        ? list.items[place] : .undefined("a list of \(list.items.count) items has no item \(index)")
    case (.string(let text), .int(let index)):
      try charge(bytes: text.utf8.count)
      let scalars = text.unicodeScalars
      let count = scalars.count
      let place = index < 0 ? index + count : index
      guard place >= 0, place < count else { return .undefined("a text of \(count) characters has no character \(index)") }
      return .string(String(scalars[scalars.index(scalars.startIndex, offsetBy: place)]))
    case (_, .string(let name)): return try attribute(name, of: value)
    default: return .undefined("\(value.kind) has no item with \(key.kind) as its key")
    }
  }

  func slice(_ value: TemplateValue, _ start: Int?, _ stop: Int?, _ step: Int) throws(TemplateError) -> TemplateValue {
    guard step != 0 else { throw mismatch("a slice's step cannot be 0") }
    /// Python's rule for bounds that are missing, negative or too far.
    func pick<Item>(_ items: [Item]) -> [Item] {
      let count = items.count
      func bound(_ value: Int?, _ fallback: Int) -> Int {
        guard let value else { return fallback }
        let place = value < 0 ? value &+ count : value
        return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
      }
      var index = bound(start, step > 0 ? 0 : count - 1)
      let end = bound(stop, step > 0 ? count : -1)
      var result: [Item] = []
      while step > 0 ? index < end : index > end {
        result.append(items[index])
        let (next, overflow) = index.addingReportingOverflow(step)
        if overflow { break }
        index = next
      }
      return result
    }
    switch value {
    case .undefined(let what): throw undefined("\(what), so it has no parts")
    case .list(let list):
      try charge(list.items.count)
      return .list(pick(list.items))
    case .tuple(let list):
      try charge(list.items.count)
      return .tuple(pick(list.items))
    case .string(let text):
      try charge(bytes: text.utf8.count * 2)
      return .string(PythonText.scalars(pick(Array(text.unicodeScalars))))
    default: return .undefined("\(value.kind) has no parts")
    }
  }

  /// What a loop goes over.
  func items(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
    switch value {
    case .list(let list), .tuple(let list):
      try charge(list.items.count)
      return list.items
    case .dictionary(let dictionary):
      try charge(dictionary.members.count)
      return dictionary.members.keys.map { .string($0) }
    case .string(let text):
      try charge(text.utf8.count)
      return text.unicodeScalars.map { .string(String($0)) }
    case .undefined: return []
    default: throw mismatch("\(value.kind) cannot be gone over; a loop needs a list, a dictionary or a text")
    }
  }
}

/// Names of the methods that values have.
enum TemplateMethods {
  static let dictionary: Set<String> = ["items", "keys", "values", "get", "copy", "update", "pop", "popitem", "setdefault", "clear"]
  static let list: Set<String> = [
    "index", "count", "append", "extend", "insert", "pop", "remove", "clear", "reverse", "sort", "copy",
  ]
  static let tuple: Set<String> = ["index", "count"]
  static let changing: Set<String> = [
    "append", "extend", "insert", "pop", "remove", "clear", "reverse", "sort", "update", "popitem", "setdefault",
  ]
  static let string: Set<String> = [
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "replace", "upper", "lower",
    "title", "capitalize", "join", "find", "rfind", "index", "count", "format", "removeprefix", "removesuffix", "isdigit",
    "isalpha", "isalnum", "isspace", "isupper", "islower", "zfill", "ljust", "rjust", "center", "partition", "rpartition",
    "swapcase", "casefold",
  ]
}
