public import JSON
import OrderedCollections
import Tensors

/// A recipe, operation or plan that does not read as one.
public struct PlanFormatError: Error, Equatable, Sendable, CustomStringConvertible {
  public let reason: String
  public init(_ reason: String) { self.reason = reason }
  public var description: String { reason }
}

extension Recipe {
  public var json: JSONValue {
    switch self {
    case .take(let name, let shape): ["take": .string(name), "shape": .ints(shape)]
    case .concatenate(let inputs): ["concatenate": .array(inputs.map(\.json))]
    case .add(let constant, let input): ["add": .double(Double(constant)), "to": input.json]
    case .cast(let type, let input): ["cast": .string(type.rawValue), "of": input.json]
    case .pack(let layout, let input): ["pack": .string(layout.rawValue), "of": input.json]
    }
  }

  public init(json: JSONValue) throws(PlanFormatError) {
    if let name = json["take"]?.string {
      self = .take(name: name, shape: try json.shape("shape"))
    } else if let inputs = json["concatenate"]?.array {
      var recipes: [Recipe] = []
      for input in inputs { recipes.append(try Recipe(json: input)) }
      self = .concatenate(recipes)
    } else if let constant = json["add"]?.double {
      self = .add(Float(constant), try Recipe(json: try json.member("to")))
    } else if let name = json["cast"]?.string {
      guard let type = ElementType(rawValue: name) else { throw PlanFormatError("unknown element type \"\(name)\"") }
      self = .cast(type, try Recipe(json: try json.member("of")))
    } else if let name = json["pack"]?.string {
      guard let layout = WeightLayout(rawValue: name) else { throw PlanFormatError("unknown weight layout \"\(name)\"") }
      self = .pack(layout, try Recipe(json: try json.member("of")))
    } else {
      throw PlanFormatError("unknown recipe step: \(json.serialized().prefix(80))")
    }
  }
}

// Typed access with errors that name the member.
extension JSONValue {
  package func member(_ key: String) throws(PlanFormatError) -> JSONValue {
    guard let value = self[key] else { throw PlanFormatError("\"\(key)\" is missing") }
    return value
  }
  package func integer(_ key: String) throws(PlanFormatError) -> Int {
    guard let value = try member(key).int else { throw PlanFormatError("\"\(key)\" is not a whole number") }
    return value
  }
  /// A size: at least 1, small enough that products of a few stay far from overflow.
  package func size(_ key: String) throws(PlanFormatError) -> Int {
    let value = try integer(key)
    guard value >= 1, value <= 1 << 40 else { throw PlanFormatError("\"\(key)\" is \(value), outside 1…2^40") }
    return value
  }
  package func number(_ key: String) throws(PlanFormatError) -> Double {
    guard let value = try member(key).double, value.isFinite else { throw PlanFormatError("\"\(key)\" is not a number") }
    return value
  }
  package func text(_ key: String) throws(PlanFormatError) -> String {
    guard let value = try member(key).string else { throw PlanFormatError("\"\(key)\" is not a string") }
    return value
  }
  package func list(_ key: String) throws(PlanFormatError) -> [JSONValue] {
    guard let value = try member(key).array else { throw PlanFormatError("\"\(key)\" is not an array") }
    return value
  }
  package func shape(_ key: String) throws(PlanFormatError) -> [Int] {
    var shape: [Int] = []
    for element in try list(key) {
      guard let size = element.int, size >= 0, size <= 1 << 40 else {
        throw PlanFormatError("\"\(key)\" is not a list of sizes")
      }
      shape.append(size)
    }
    return shape
  }
}
