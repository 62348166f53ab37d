import JSON
import OrderedCollections

extension TemplateRenderer {
  /// `user.name` of an item: parts between dots are names or indices. Without a path, the item itself.
  func part(_ path: TemplateValue?, of item: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch path {
    case nil, .none?: return item
    case .int(let index)?: return try self.item(.int(index), of: item)
    case .string(let path)?:
      var value = item
      for name in path.split(separator: ".", omittingEmptySubsequences: false) {
        // Like Jinja's getitem: a member first, then an attribute.
        value = try self.item(Int(name).map { .int($0) } ?? .string(String(name)), of: value)
      }
      return value
    case let other?: throw mismatch("an attribute is named by a text, not by \(other.kind)")
    }
  }

  /// `map`, `select`, `reject`, `selectattr`, `rejectattr`
  func choose(
    _ filter: String, _ value: TemplateValue, _ arguments: inout TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    let items = try items(of: value)
    if filter == "map" {
      if arguments.positional.isEmpty {
        guard let path = arguments.take("attribute") else { throw mismatch("map needs a filter's name or attribute=…") }
        let fallback = arguments.take("default")
        return .list(
          try items.map { (item) throws(TemplateError) in
            let value = try part(path, of: item)
            return value.isUndefined ? fallback ?? value : value
          })
      }
      let name = try string(arguments.take("name") ?? .none, "the name of the filter for map")
      let rest = arguments.rest()
      return .list(try items.map { (item) throws(TemplateError) in try apply(filter: name, to: item, rest) })
    }
    var path: TemplateValue?
    if filter.hasSuffix("attr") {
      path = arguments.take("attribute")
      guard path != nil else { throw mismatch("\(filter) needs the name of an attribute") }
    }
    let test = try arguments.take("test").map { (value) throws(TemplateError) in try string(value, "the name of a test") }
    let rest = arguments.rest()
    let wanted = filter.hasPrefix("select")
    var kept: [TemplateValue] = []
    for item in items {
      try charge()
      let value = try part(path, of: item)
      let passed = try test.map { (test) throws(TemplateError) in try passes(test: test, value, rest) } ?? value.isTrue
      if passed == wanted { kept.append(item) }
    }
    return .list(kept)
  }

  /// `sort`, `dictsort`, `unique`, `min`, `max`, `groupby`
  func order(
    _ filter: String, _ value: TemplateValue, _ arguments: inout TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    var reverses = false
    var caseSensitive = false
    var path: TemplateValue?
    switch filter {
    case "sort":
      reverses = arguments.take("reverse")?.isTrue ?? false
      caseSensitive = arguments.take("case_sensitive")?.isTrue ?? false
      path = arguments.take("attribute")
    case "dictsort":
      caseSensitive = arguments.take("case_sensitive")?.isTrue ?? false
      let by = try string(arguments.take("by") ?? .string("key"), "by")
      guard by == "key" || by == "value" else { throw mismatch("dictsort sorts by 'key' or 'value', not by '\(by)'") }
      path = .int(by == "key" ? 0 : 1)
      reverses = arguments.take("reverse")?.isTrue ?? false
    case "groupby":
      path = arguments.take("attribute")
      caseSensitive = arguments.take("case_sensitive")?.isTrue ?? false
      guard path != nil else { throw mismatch("groupby needs the name of an attribute") }
    default:
      caseSensitive = arguments.take("case_sensitive")?.isTrue ?? false
      path = arguments.take("attribute")
    }
    var items: [TemplateValue]
    if filter == "dictsort" {
      guard case .dictionary(let dictionary) = value else { throw mismatch("dictsort needs a dictionary, not \(value.kind)") }
      try charge(dictionary.members.count)
      items = dictionary.members.map { .tuple([.string($0.key), $0.value]) }
    } else {
      items = try self.items(of: value)
    }
    func key(_ item: TemplateValue) throws(TemplateError) -> TemplateValue {
      let value = try part(path, of: item)
      if !caseSensitive, case .string(let text) = value { return .string(text.lowercased()) }
      return value
    }
    let keyed = try items.map { (item) throws(TemplateError) in (key: try key(item), item: item) }
    switch filter {
    case "unique":
      var kept: [(key: TemplateValue, item: TemplateValue)] = []
      for candidate in keyed {
        var isNew = true
        for known in kept where try equal(known.key, candidate.key) { isNew = false; break }
        if isNew { kept.append(candidate) }
      }
      return .list(kept.map(\.item))
    case "min", "max":
      guard var best = keyed.first else { return .undefined("the list that '\(filter)' was asked of is empty") }
      for candidate in keyed.dropFirst() {
        let better = filter == "min" ? try less(candidate.key, best.key) : try less(best.key, candidate.key)
        if better { best = candidate }
      }
      return best.item
    default: break
    }
    let sorted = try stablySorted(keyed, reverses: reverses)
    guard filter == "groupby" else { return .list(sorted.map(\.item)) }
    var groups: [(key: TemplateValue, items: [TemplateValue])] = []
    for (key, item) in sorted {
      if let last = groups.last, try equal(last.key, key) {
        groups[groups.count - 1].items.append(item)
      } else {
        groups.append((key, [item]))
      }
    }
    return .list(
      try groups.map { (group) throws(TemplateError) in
        .tuple([try part(path, of: group.items[0]), .list(group.items)])
      })
  }

  /// Merge sort: equal items keep their order, also when reversed, as Python's does.
  private func stablySorted(
    _ items: [(key: TemplateValue, item: TemplateValue)], reverses: Bool
  ) throws(TemplateError) -> [(key: TemplateValue, item: TemplateValue)] {
    guard items.count > 1 else { return items }
    let middle = items.count / 2
    let left = try stablySorted(Array(items[..<middle]), reverses: reverses)
    let right = try stablySorted(Array(items[middle...]), reverses: reverses)
    var result: [(key: TemplateValue, item: TemplateValue)] = []
    result.reserveCapacity(items.count)
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
      let takesRight = reverses ? try less(left[i].key, right[j].key) : try less(right[j].key, left[i].key)
      if takesRight {
        result.append(right[j])
        j += 1
      } else {
        result.append(left[i])
        i += 1
      }
    }
    return result + left[i...] + right[j...]
  }

  // MARK: Tests

  static let testNames = [
    "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "even", "false", "filter", "float", "ge", "greaterthan",
    "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas",
    "sequence", "string", "test", "true", "undefined", "upper",
  ]

  func passes(test name: String, _ value: TemplateValue, _ given: TemplateArguments) throws(TemplateError) -> Bool {
    var arguments = given
    func other() throws(TemplateError) -> TemplateValue {
      guard let value = arguments.take("other") else { throw mismatch("the test '\(name)' needs a value to compare with") }
      return value
    }
    let result: Bool
    switch name {
    case "defined": result = !value.isUndefined
    case "undefined": result = value.isUndefined
    case "none": if case .none = value { result = true } else { result = false }
    case "string": if case .string = value { result = true } else { result = false }
    case "mapping": if case .dictionary = value { result = true } else { result = false }
    case "boolean": if case .bool = value { result = true } else { result = false }
    case "integer": if case .int = value { result = true } else { result = false }
    case "float": if case .double = value { result = true } else { result = false }
    case "number": result = value.isNumber
    case "true": if case .bool(true) = value { result = true } else { result = false }
    case "false": if case .bool(false) = value { result = true } else { result = false }
    case "iterable":
      switch value {
      case .string, .list, .tuple, .dictionary, .undefined, .loop: result = true
      default: result = false
      }
    case "sequence":
      switch value {
      case .string, .list, .tuple, .dictionary, .undefined: result = true
      default: result = false
      }
    case "callable":
      switch value {
      case .macro, .function, .method: result = true
      default: result = false
      }
    case "==", "equalto", "eq": result = try equal(value, try other())
    case "!=", "ne": result = !(try equal(value, try other()))
    case "<", "lt", "lessthan": result = try holds(.less, value, try other())
    case "<=", "le": result = try holds(.lessOrEqual, value, try other())
    case ">", "gt", "greaterthan": result = try holds(.greater, value, try other())
    case ">=", "ge": result = try holds(.greaterOrEqual, value, try other())
    case "in": result = try contains(try other(), value)
    case "sameas":
      let other = try other()
      // Python's identity: same type and same value, for what templates compare so.
      switch (value, other) {
      case (.bool, .bool), (.none, .none), (.namespace, .namespace), (.macro, .macro), (.int, .int), (.string, .string):
        result = try equal(value, other)
      default: result = false
      }
    case "even", "odd":
      result = (try int(value, "what '\(name)' is asked of") % 2 == 0) == (name == "even")
    case "divisibleby":
      let divisor = try int(try other(), "the divisor")
      guard divisor != 0 else { throw mismatch("division by zero") }
      result = try int(value, "what 'divisibleby' is asked of").remainderReportingOverflow(dividingBy: divisor).partialValue == 0
    case "lower", "upper":
      result = try call(stringMethod: "is" + name, try text(of: value), TemplateArguments()).isTrue
    case "filter": result = Self.filterNames.contains(try text(of: value))
    case "test": result = Self.testNames.contains(try text(of: value))
    default:
      throw TemplateError(
        line: line, problem: .unknown(kind: "test", name: name, nearest: nearestName(to: name, among: Self.testNames)))
    }
    try finish(arguments, "the test '\(name)'")
    return result
  }
}
