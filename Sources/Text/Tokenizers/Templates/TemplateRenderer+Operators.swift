extension TemplateValue {
  /// Booleans count as numbers, as in Python.
  var asNumber: TemplateValue { if case .bool(let value) = self { .int(value ? 1 : 0) } else { self } }
  var isNumber: Bool {
    switch self {
    case .int, .double, .bool: true
    default: false
    }
  }
  var asDouble: Double? {
    switch asNumber {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
}

extension TemplateRenderer {
  func exact(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateError) -> Int {
    guard !result.overflow else { throw limit("a whole number does not fit 64 bits") }
    return result.partialValue
  }

  func compute(
    _ operation: TemplateExpression.BinaryOperator, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    if operation == .concatenate {
      let (a, b) = (try text(of: left), try text(of: right))
      try charge(bytes: a.utf8.count + b.utf8.count)
      return .string(a + b)
    }
    for value in [left, right] {
      if case .undefined(let what) = value { throw undefined("\(what), so '\(operation.rawValue)' cannot use it") }
    }
    switch (operation, left.asNumber, right.asNumber) {
    case (.add, .string(let a), .string(let b)):
      try charge(bytes: a.utf8.count + b.utf8.count)
      return .string(a + b)
    case (.add, .list(let a), .list(let b)):
      try charge(a.items.count + b.items.count)
      return .list(a.items + b.items)
    case (.add, .tuple(let a), .tuple(let b)):
      try charge(a.items.count + b.items.count)
      return .tuple(a.items + b.items)
    case (.multiply, .string(let text), .int(let count)), (.multiply, .int(let count), .string(let text)):
      try charge(bytes: try exact(text.utf8.count.multipliedReportingOverflow(by: max(0, count))))
      return .string(String(repeating: text, count: max(0, count)))
    case (.multiply, .list(let list), .int(let count)), (.multiply, .int(let count), .list(let list)):
      try charge(try exact(list.items.count.multipliedReportingOverflow(by: max(0, count))))
      return .list(Array(repeatElement(list.items, count: list.items.isEmpty ? 0 : max(0, count)).joined()))
    case (.remainder, .string(let format), _): return .string(try percentFormatted(format, right))
    case (.add, .int(let a), .int(let b)): return .int(try exact(a.addingReportingOverflow(b)))
    case (.subtract, .int(let a), .int(let b)): return .int(try exact(a.subtractingReportingOverflow(b)))
    case (.multiply, .int(let a), .int(let b)): return .int(try exact(a.multipliedReportingOverflow(by: b)))
    case (.floorDivide, .int(let a), .int(let b)):
      guard b != 0 else { throw mismatch("division by zero") }
      let quotient = try exact(a.dividedReportingOverflow(by: b))
      return .int(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient)
    case (.remainder, .int(let a), .int(let b)):
      guard b != 0 else { throw mismatch("division by zero") }
      let rest = try exact(a.remainderReportingOverflow(dividingBy: b))
      return .int(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest)
    case (.power, .int(let base), .int(let exponent)) where exponent >= 0:
      var (result, factor, left) = (1, base, exponent)
      while left > 0 {
        if left & 1 == 1 { result = try exact(result.multipliedReportingOverflow(by: factor)) }
        left >>= 1
        if left > 0 { factor = try exact(factor.multipliedReportingOverflow(by: factor)) }
      }
      return .int(result)
    default: break
    }
    guard let a = left.asDouble, let b = right.asDouble else {
      throw mismatch("'\(operation.rawValue)' cannot join \(left.kind) and \(right.kind)")
    }
    switch operation {
    case .add: return .double(a + b)
    case .subtract: return .double(a - b)
    case .multiply: return .double(a * b)
    case .divide, .floorDivide, .remainder:
      guard b != 0 else { throw mismatch("division by zero") }
      if operation == .divide { return .double(a / b) }
      let quotient = (a / b).rounded(.down)
      return .double(operation == .floorDivide ? quotient : a - quotient * b)
    default: throw mismatch("'\(operation.rawValue)' of floats is not supported")
    }
  }

  func holds(
    _ comparison: TemplateExpression.Comparison, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TemplateError) -> Bool {
    switch comparison {
    case .equal: try equal(left, right)
    case .notEqual: !(try equal(left, right))
    case .less: try less(left, right)
    case .greater: try less(right, left)
    case .lessOrEqual: try lessOrEqual(left, right)
    case .greaterOrEqual: try lessOrEqual(right, left)
    case .isIn: try contains(right, left)
    case .isNotIn: !(try contains(right, left))
    }
  }

  func equal(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Bool {
    try charge()
    switch (left.asNumber, right.asNumber) {
    case (.none, .none), (.undefined, .undefined): return true
    case (.int(let a), .int(let b)): return a == b
    case (.string(let a), .string(let b)):
      try charge(min(a.utf8.count, b.utf8.count) / 16)
      return PythonText.same(a, b)
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
      guard a.items.count == b.items.count else { return false }
      for (a, b) in zip(a.items, b.items) { guard try equal(a, b) else { return false } }
      return true
    case (.dictionary(let a), .dictionary(let b)):
      guard a.members.count == b.members.count else { return false }
      for (key, value) in a.members {
        guard let other = b.members[key], try equal(value, other) else { return false }
      }
      return true
    case (.namespace(let a), .namespace(let b)): return a === b
    case (.macro(let a), .macro(let b)): return a === b
    case (.loop(let a), .loop(let b)): return a === b
    case let (a, b):
      guard let a = a.asDouble, let b = b.asDouble else { return false }
      return a == b
    }
  }

  func less(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Bool {
    try charge()
    switch (left.asNumber, right.asNumber) {
    case (.int(let a), .int(let b)): return a < b
    case (.string(let a), .string(let b)):
      try charge(min(a.utf8.count, b.utf8.count) / 16)
      return PythonText.less(a, b)
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
      for (a, b) in zip(a.items, b.items) where !(try equal(a, b)) { return try less(a, b) }
      return a.items.count < b.items.count
    case (.undefined(let what), _), (_, .undefined(let what)): throw undefined("\(what), so it cannot be compared")
    case let (a, b):
      guard let a = a.asDouble, let b = b.asDouble else {
        throw mismatch("\(left.kind) and \(right.kind) have no order")
      }
      return a < b
    }
  }

  private func lessOrEqual(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Bool {
    if try less(left, right) { return true }
    return try equal(left, right)
  }

  /// `item in collection`
  func contains(_ collection: TemplateValue, _ item: TemplateValue) throws(TemplateError) -> Bool {
    switch collection {
    case .string(let text):
      guard case .string(let part) = item else { throw mismatch("a text contains texts, not \(item.kind)") }
      return try find(Array(part.utf8), in: Array(text.utf8), from: 0) != nil
    case .list(let list), .tuple(let list):
      for other in list.items where try equal(other, item) { return true }
      return false
    case .dictionary(let dictionary):
      guard case .string(let key) = item else { return false }
      try charge(key: key)
      return dictionary.members[key] != nil
    case .namespace(let namespace):
      guard case .string(let key) = item else { return false }
      try charge(key: key)
      return namespace.members[key] != nil
    case .undefined: return false
    default: throw mismatch("'in' needs a list, a dictionary or a text, not \(collection.kind)")
    }
  }

  /// Where `part` starts first, at or after `from`; every comparison is charged.
  func find(_ part: [UInt8], in text: [UInt8], from: Int) throws(TemplateError) -> Int? {
    guard let first = part.first else { return from <= text.count ? from : nil }
    var index = from
    var compared = 0
    while index + part.count <= text.count {
      if text[index] == first {
        var length = 1
        while length < part.count, text[index + length] == part[length] { length += 1 }
        compared += length
        if length == part.count {
          try charge((index - from + compared) / 16 + 1)
          return index
        }
        if compared > 1 << 16 {
          try charge(compared / 16)
          compared = 0
        }
      }
      index += 1
    }
    try charge((text.count - min(from, text.count) + compared) / 16 + 1)
    return nil
  }
}
