import JSON
import SystemPackage

/// Reads typed fields out of a JSON object; null counts as absent, a value of another kind is an error.
struct FieldReader {
  let json: JSONValue
  let path: FilePath
  let prefix: String

  init(_ json: JSONValue, path: FilePath, prefix: String = "") {
    self.json = json
    self.path = path
    self.prefix = prefix
  }

  func failed(_ key: String, _ reason: String) -> CheckpointError {
    CheckpointError(path, .field(prefix + key, reason: reason))
  }
  func requireObject(_ name: String) throws(CheckpointError) {
    guard json.object != nil || json.isNull else {
      throw CheckpointError(path, .field(name, reason: "should be an object, but is \(json.kind)"))
    }
  }
  private func value<Value>(_ key: String, _ kind: String, _ read: (JSONValue) -> Value?) throws(CheckpointError) -> Value? {
    guard let found = json[key], !found.isNull else { return nil }
    guard let value = read(found) else { throw failed(key, "should be \(kind), but is \(Self.text(found))") }
    return value
  }

  /// A value out of a file may be of any length.
  private static func text(_ value: JSONValue) -> String {
    let text = value.serialized()
    return text.utf8.count <= 60 ? text : "\(text.prefix(50))…"
  }

  /// Looks at several fields, so that all that cannot be used are told together; one alone is left to its reader.
  func checkTogether(strings: [String], counts: [String], optionalCounts: [String]) throws(CheckpointError) {
    var problems: [String] = []
    func look(_ key: String, _ read: () throws(CheckpointError) -> Bool) {
      do throws(CheckpointError) {
        if try !read() { problems.append("\(key) is missing") }
      } catch {
        if case .field(let field, let reason) = error.problem { problems.append("\(field) \(reason)") }
      }
    }
    for key in strings { look(key) { () throws(CheckpointError) -> Bool in try string(key) != nil } }
    for key in counts { look(key) { () throws(CheckpointError) -> Bool in try count(key) != nil } }
    for key in optionalCounts { look(key) { () throws(CheckpointError) -> Bool in _ = try count(key); return true } }
    guard problems.count < 2 else { throw CheckpointError(path, .fields(problems)) }
  }

  func int(_ key: String) throws(CheckpointError) -> Int? { try value(key, "a whole number", \.int) }
  func double(_ key: String) throws(CheckpointError) -> Double? { try value(key, "a number", \.double) }
  func bool(_ key: String) throws(CheckpointError) -> Bool? { try value(key, "true or false", \.bool) }
  func string(_ key: String) throws(CheckpointError) -> String? { try value(key, "a string", \.string) }
  func strings(_ key: String) throws(CheckpointError) -> [String]? {
    try value(key, "an array of strings") { json in
      guard let elements = json.array else { return nil }
      let strings = elements.compactMap(\.string)
      return strings.count == elements.count ? strings : nil
    }
  }
  /// A field under its name, or under an older one.
  func first<Value>(
    _ key: String, _ older: String, _ read: (String) throws(CheckpointError) -> Value?
  ) throws(CheckpointError) -> Value? {
    if let value = try read(key) { return value }
    return try read(older)
  }
  func required<Value>(_ key: String, _ value: Value?) throws(CheckpointError) -> Value {
    guard let value else { throw failed(key, "is missing") }
    return value
  }

  /// A count from 1 up to a size that no product of three of them overflows.
  func count(_ key: String, limit: Int = 1 << 30) throws(CheckpointError) -> Int? {
    guard let value = try int(key) else { return nil }
    guard (1...limit).contains(value) else { throw failed(key, "is \(value), which is not a possible size") }
    return value
  }
}
