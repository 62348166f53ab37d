import OrderedCollections

extension TemplateRenderer {
  func call(_ callee: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    switch callee {
    case .macro(let macro): return .string(try call(macro, arguments))
    case .function(let function): return try call(function, arguments)
    case .method(let receiver, let name): return try call(method: name, of: receiver, arguments)
    case .undefined(let what): throw undefined("\(what), so it cannot be called")
    default: throw mismatch("\(callee.kind) cannot be called")
    }
  }

  func finish(_ arguments: TemplateArguments, _ what: String) throws(TemplateError) {
    if let leftOver = arguments.leftOver { throw mismatch("\(what) does not take \(leftOver)") }
  }
  func string(_ value: TemplateValue, _ what: String) throws(TemplateError) -> String {
    guard case .string(let text) = value else { throw mismatch("\(what) should be a text, not \(value.kind)") }
    return text
  }
  func int(_ value: TemplateValue, _ what: String) throws(TemplateError) -> Int {
    guard case .int(let number) = value.asNumber else { throw mismatch("\(what) should be a whole number, not \(value.kind)") }
    return number
  }

  private func call(_ function: TemplateFunction, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    var arguments = arguments
    switch function {
    case .raiseException:
      let message = try arguments.take("message").map { (value) throws(TemplateError) in try text(of: value) } ?? ""
      throw TemplateError(line: line, problem: .raised(message))
    case .timeNow:
      let format = try string(arguments.take("format") ?? .none, "the format of strftime_now")
      try finish(arguments, "strftime_now")
      var unknown: String?
      let result = now.formatted(format, unknown: &unknown)
      if let unknown { throw mismatch("strftime_now does not know '\(unknown)'") }
      return .string(result)
    case .namespace, .dictionary:
      var members: OrderedDictionary<String, TemplateValue> = [:]
      if let first = arguments.positional.first {
        guard case .dictionary(let given) = first, arguments.positional.count == 1 else {
          throw mismatch("\(function.rawValue) takes one dictionary, or names and values")
        }
        members = given.members
      }
      for (name, value) in arguments.named { members[name] = value }
      if function == .dictionary { return try checked(.dictionary(TemplateDictionary(members))) }
      let namespace = TemplateNamespace()
      namespace.members = members
      try register(namespace)
      return .namespace(namespace)
    case .range:
      let numbers = try arguments.positional.map { (value) throws(TemplateError) in try int(value, "an argument of range") }
      guard (1...3).contains(numbers.count), arguments.named.isEmpty else { throw mismatch("range takes 1 to 3 whole numbers") }
      let start = numbers.count > 1 ? numbers[0] : 0
      let stop = numbers.count > 1 ? numbers[1] : numbers[0]
      let step = numbers.count > 2 ? numbers[2] : 1
      guard step != 0 else { throw mismatch("range cannot step by 0") }
      var items: [TemplateValue] = []
      var value = start
      while step > 0 ? value < stop : value > stop {
        guard items.count < limits.rangeCount else { throw limit("a range has more than \(limits.rangeCount) numbers") }
        items.append(.int(value))
        let (next, overflow) = value.addingReportingOverflow(step)
        if overflow { break }
        value = next
      }
      try charge(items.count)
      return .list(items)
    }
  }

  private func call(
    method name: String, of receiver: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    switch receiver {
    case .string(let text): return try call(stringMethod: name, text, arguments)
    case .loop(let loop): return try call(loopMethod: name, loop, arguments)
    case .dictionary(let dictionary): return try call(dictionaryMethod: name, dictionary, arguments)
    case .list(let list), .tuple(let list): return try call(listMethod: name, list, arguments)
    default: throw mismatch("\(receiver.kind) has no method '\(name)'")
    }
  }

  private func refuseChange(_ name: String, _ kind: String) throws(TemplateError) {
    guard TemplateMethods.changing.contains(name) else { return }
    throw TemplateError(
      line: line,
      problem: .refused(
        "'\(name)' would change a \(kind), which chat templates may not do; make a new one with '+' or dict(…), or use a namespace"))
  }

  private func call(loopMethod name: String, _ loop: TemplateLoop, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    if name == "cycle" {
      guard !arguments.positional.isEmpty else { throw mismatch("loop.cycle needs values") }
      return arguments.positional[loop.index % arguments.positional.count]
    }
    if let last = loop.lastChecked, try equal(.list(last), .list(arguments.positional)) { return .bool(false) }
    loop.lastChecked = arguments.positional
    return .bool(true)
  }

  private func call(
    dictionaryMethod name: String, _ dictionary: TemplateDictionary, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    try refuseChange(name, "dictionary")
    var arguments = arguments
    try charge(dictionary.members.count)
    switch name {
    case "get":
      let key = try string(arguments.take("key") ?? .none, "the key given to get")
      let fallback = arguments.take("default") ?? .none
      try finish(arguments, "get")
      try charge(key: key)
      return dictionary.members[key] ?? fallback
    case "keys": return .list(dictionary.members.keys.map { .string($0) })
    case "values": return .list(Array(dictionary.members.values))
    case "items": return .list(dictionary.members.map { .tuple([.string($0.key), $0.value]) })
    default: return .dictionary(dictionary)  // copy
    }
  }

  private func call(listMethod name: String, _ list: TemplateList, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    try refuseChange(name, "list")
    var arguments = arguments
    switch name {
    case "copy": return .list(list)
    case "index", "count":
      let wanted = arguments.take("value") ?? .none
      try finish(arguments, name)
      var count = 0
      for (index, item) in list.items.enumerated() where try equal(item, wanted) {
        if name == "index" { return .int(index) }
        count += 1
      }
      if name == "index" { throw mismatch("the list does not hold the value that index looks for") }
      return .int(count)
    default: throw mismatch("a list has no method '\(name)'")
    }
  }
}
