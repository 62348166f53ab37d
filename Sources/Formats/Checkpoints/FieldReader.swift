import JSON
import SystemPackage

/// Members of a checkpoint's JSON files.
typealias FieldReader = JSONFields<CheckpointError>

extension JSONFields<CheckpointError> {
  init(_ json: JSONValue, path: FilePath, prefix: String = "") {
    self.init(json, prefix: prefix) { name, fault in
      switch fault {
      case .kind(let found, let expected): CheckpointError(path, .field(name, reason: "should be \(expected), but is \(Self.text(found))"))
      case .other(let reason): CheckpointError(path, .field(name, reason: reason))
      }
    }
  }
  /// A value out of a file may be of any length.
  private static func text(_ value: JSONValue) -> String {
    let text = value.serialized()
    return text.utf8.count <= 60 ? text : "\(text.prefix(50))…"
  }

  /// The object's own name stands in the prefix.
  func requireObject() throws(CheckpointError) {
    guard json.object != nil || json.isNull else { throw inside(json, prefix: String(prefix.dropLast())).failed("", "should be an object, but is \(json.kind)") }
  }

  /// Looks at several fields, so that one error names all that cannot be used; one alone is left to its reader.
  func checkTogether(path: FilePath, strings: [String], counts: [String], optionalCounts: [String]) throws(CheckpointError) {
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
    for key in optionalCounts {
      look(key) { () throws(CheckpointError) -> Bool in
        _ = try count(key); return true
      }
    }
    guard problems.count < 2 else { throw CheckpointError(path, .fields(problems)) }
  }

  /// A field under its name, or under an older one.
  func first<Value>(
    _ key: String, _ older: String, _ read: (String) throws(CheckpointError) -> Value?
  ) throws(CheckpointError) -> Value? {
    if let value = try read(key) { return value }
    return try read(older)
  }

  /// A count from 1 up to a size that no product of three of them overflows.
  func count(_ key: String, limit: Int = 1 << 30) throws(CheckpointError) -> Int? {
    guard let value = try int(key) else { return nil }
    guard (1...limit).contains(value) else { throw failed(key, "is \(value), which is not a possible size") }
    return value
  }
}
