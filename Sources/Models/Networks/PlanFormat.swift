public import JSON

/// A recipe, operation or plan that does not read as one.
public struct PlanFormatError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A clause without a full stop, such as `"heads" is missing`.
  public let reason: String
  /// - Parameter reason: A clause without a full stop.
  public init(_ reason: String) { self.reason = reason }
  public var description: String { reason }
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
