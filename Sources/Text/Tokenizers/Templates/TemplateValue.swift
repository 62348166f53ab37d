import JSON
import OrderedCollections

/// A value while a template runs. Lists and dictionaries never change once made (transformers forbids it as well),
/// so values are trees; their depth is bounded, which bounds every walk over them.
enum TemplateValue {
  case none
  /// The text says what was not there.
  case undefined(String)
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case list(TemplateList)
  case tuple(TemplateList)
  case dictionary(TemplateDictionary)
  case namespace(TemplateNamespace)
  case macro(TemplateMacro)
  case function(TemplateFunction)
  indirect case method(of: TemplateValue, String)
  case loop(TemplateLoop)

  static let maximumDepth = 160

  var depth: Int {
    switch self {
    case .list(let list), .tuple(let list): list.depth
    case .dictionary(let dictionary): dictionary.depth
    case .method(let receiver, _): receiver.depth + 1
    default: 0
    }
  }

  /// Python's name of the type, for messages.
  var kind: String {
    switch self {
    case .none: "none"
    case .undefined: "an undefined value"
    case .bool: "a boolean"
    case .int: "an integer"
    case .double: "a float"
    case .string: "a string"
    case .list: "a list"
    case .tuple: "a tuple"
    case .dictionary: "a dictionary"
    case .namespace: "a namespace"
    case .macro: "a macro"
    case .function, .method: "a function"
    case .loop: "a loop"
    }
  }

  var isDictionary: Bool { if case .dictionary = self { true } else { false } }
  var isUndefined: Bool { if case .undefined = self { true } else { false } }

  var isTrue: Bool {
    switch self {
    case .none, .undefined: false
    case .bool(let value): value
    case .int(let value): value != 0
    case .double(let value): value != 0
    case .string(let value): !value.isEmpty
    case .list(let list), .tuple(let list): !list.items.isEmpty
    case .dictionary(let dictionary): !dictionary.members.isEmpty
    case .namespace, .macro, .function, .method, .loop: true
    }
  }

  init(_ json: JSONValue) {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .number(let number):
      // As Python's json: digits alone are an integer, anything else a float.
      if let value = Int(number.text) { self = .int(value) } else { self = .double(number.double ?? .nan) }
    case .string(let value): self = .string(value)
    case .array(let values): self = .list(TemplateList(values.map(TemplateValue.init)))
    case .object(let members): self = .dictionary(TemplateDictionary(members.mapValues(TemplateValue.init)))
    }
  }

  static func list(_ items: [TemplateValue]) -> TemplateValue { .list(TemplateList(items)) }
  static func tuple(_ items: [TemplateValue]) -> TemplateValue { .tuple(TemplateList(items)) }
}

struct TemplateList {
  let items: [TemplateValue]
  let depth: Int
  init(_ items: [TemplateValue]) {
    self.items = items
    depth = 1 + (items.lazy.map(\.depth).max() ?? 0)
  }
}

struct TemplateDictionary {
  let members: OrderedDictionary<String, TemplateValue>
  let depth: Int
  init(_ members: OrderedDictionary<String, TemplateValue>) {
    self.members = members
    depth = 1 + (members.values.lazy.map(\.depth).max() ?? 0)
  }
}

/// What `namespace(…)` makes: the one thing that a template may change.
final class TemplateNamespace {
  var members: OrderedDictionary<String, TemplateValue> = [:]
}

final class TemplateMacro {
  let definition: TemplateStatement.Macro
  let scope: TemplateScope
  init(_ definition: TemplateStatement.Macro, scope: TemplateScope) {
    self.definition = definition
    self.scope = scope
  }
}

enum TemplateFunction: String, CaseIterable {
  case raiseException = "raise_exception"
  case timeNow = "strftime_now"
  case namespace
  case range
  case dictionary = "dict"
}

/// The `loop` of a `for`.
final class TemplateLoop {
  let items: [TemplateValue]
  var index = 0
  var lastChecked: [TemplateValue]?
  init(_ items: [TemplateValue]) { self.items = items }

  static let attributes = [
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0",
    "cycle", "changed",
  ]
  func attribute(_ name: String) -> TemplateValue? {
    switch name {
    case "index": .int(index + 1)
    case "index0": .int(index)
    case "revindex": .int(items.count - index)
    case "revindex0": .int(items.count - index - 1)
    case "first": .bool(index == 0)
    case "last": .bool(index == items.count - 1)
    case "length": .int(items.count)
    case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
    case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
    // Of recursive loops alone, which are not supported: any other stands on its first level, inside whatever loops.
    case "depth": .int(1)
    case "depth0": .int(0)
    case "cycle", "changed": .method(of: .loop(self), name)
    default: nil
    }
  }
}

/// Variables, and where to look for those that are not here.
final class TemplateScope {
  var variables: [String: TemplateValue] = [:]
  let parent: TemplateScope?
  init(parent: TemplateScope?) { self.parent = parent }

  func lookUp(_ name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let value = current.variables[name] { return value }
      scope = current.parent
    }
    return nil
  }
}
