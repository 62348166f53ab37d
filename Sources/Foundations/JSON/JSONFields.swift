import Synchronization

/// Reads typed members of one object, with errors of the reader's own type: null counts as absent, a value of another kind is an error.
public struct JSONFields<Failure: Error>: Sendable {
  /// The object. In a value of another kind every member is absent.
  public let json: JSONValue
  /// In front of names in messages, such as `mapping.`.
  public let prefix: String
  private let failure: @Sendable (_ name: String, JSONFieldFault) -> Failure
  private let asked = Asked()

  /// Shared by copies of a reader.
  private final class Asked: Sendable { let names = Mutex<Set<String>>([]) }

  /// - Parameter failure: Makes the error about a member, which is named with the prefix.
  public init(_ json: JSONValue, prefix: String = "", failure: @escaping @Sendable (_ name: String, JSONFieldFault) -> Failure) {
    (self.json, self.prefix, self.failure) = (json, prefix, failure)
  }
  /// Another object's members, with errors of the same kind.
  ///
  /// - Parameter prefix: In front of names, the whole of it.
  public func inside(_ json: JSONValue, prefix: String) -> JSONFields { JSONFields(json, prefix: prefix, failure: failure) }

  /// The error that says something of a member.
  public func failed(_ name: String, _ reason: String) -> Failure { failure(prefix + name, .other(reason)) }

  /// The error that a member is of another kind than its reader wants.
  public func wrong(_ name: String, _ found: JSONValue, expected: String) -> Failure { failure(prefix + name, .kind(found: found, expected: expected)) }

  /// What stands under a name, null too; nil where nothing does.
  public func stored(_ name: String) -> JSONValue? {
    asked.names.withLock { _ = $0.insert(name) }
    return json[name]
  }
  /// What stands under a name, unless it is null.
  public func value(_ name: String) -> JSONValue? {
    stored(name).flatMap(\.unlessNull)
  }
  /// Members that were not asked for, in the order of the file.
  public var unused: [(key: String, value: JSONValue)] {
    let names = askedNames
    return (json.object ?? [:]).filter { !names.contains($0.key) }.map { $0 }
  }
  /// What was asked for so far.
  public var askedNames: Set<String> { asked.names.withLock { $0 } }

  /// - Parameters:
  ///   - expected: What it should be, for the error: `a whole number`.
  ///   - read: nil for a value that is not that.
  public func optional<Value>(_ name: String, _ expected: String, _ read: (JSONValue) -> Value?) throws(Failure) -> Value? {
    guard let found = value(name) else { return nil }
    guard let value = read(found) else { throw failure(prefix + name, .kind(found: found, expected: expected)) }
    return value
  }
  /// A whole number, `2.0` too; nil where it is absent or null. Another value is an error, as for those below.
  public func int(_ name: String) throws(Failure) -> Int? { try optional(name, "a whole number", \.int) }
  /// The nearest float64; nil where it is absent or null.
  public func double(_ name: String) throws(Failure) -> Double? { try optional(name, "a number", \.double) }
  /// `true` or `false`; nil where it is absent or null.
  public func bool(_ name: String) throws(Failure) -> Bool? { try optional(name, "true or false", \.bool) }
  /// A string; nil where it is absent or null.
  public func string(_ name: String) throws(Failure) -> String? { try optional(name, "a string", \.string) }
  /// An object; nil where it is absent or null.
  public func object(_ name: String) throws(Failure) -> JSONObject? { try optional(name, "an object", \.object) }
  /// An array of strings, none of another kind among them; nil where it is absent or null.
  public func strings(_ name: String) throws(Failure) -> [String]? {
    try optional(name, "an array of strings") { json in
      guard let elements = json.array else { return nil }
      let strings = elements.compactMap(\.string)
      return strings.count == elements.count ? strings : nil
    }
  }
  /// - Throws: The error that `name` is missing, where `value` is nil.
  public func required<Value>(_ name: String, _ value: Value?) throws(Failure) -> Value {
    guard let value else { throw failed(name, "is missing") }
    return value
  }
}

/// What is wrong with a member.
public enum JSONFieldFault: Sendable {
  /// It is there and of another kind.
  case kind(found: JSONValue, expected: String)
  /// What its reader says.
  case other(String)
}
