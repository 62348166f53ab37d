import Files
import JSON
import SystemPackage

/// Typed look-ups in a `config.json`, whose complaints name the file and the key.
struct ConfigReader {
  /// The directory, for messages.
  let path: String
  let file: String
  let json: JSONValue

  init(directory: FilePath, file: String) throws {
    path = directory.string
    self.file = file
    let bytes = try ReadableFile.contents(of: directory.appending(file), limit: 64 << 20)
    do { json = try JSONValue(parsing: bytes, allowsNonFinite: true) } catch {
      throw WeightSourceError(path, .other("\(file): \(error). Download it again."))
    }
    guard json.object != nil else { throw WeightSourceError(path, .other("\(file) holds \(json.kind), expected an object.")) }
  }
  init(path: String, file: String, json: JSONValue) {
    self.path = path
    self.file = file
    self.json = json
  }

  func failed(_ key: String, _ reason: String) -> WeightSourceError {
    WeightSourceError(path, .configuration(key: key, file: file, reason: reason))
  }

  /// nil where the key is absent or null; a value of another kind is an error.
  func optional<T>(_ key: String, _ kind: String, _ read: (JSONValue) -> T?) throws(WeightSourceError) -> T? {
    guard let value = json[key], !value.isNull else { return nil }
    guard let result = read(value) else { throw failed(key, "is \(value.kind), expected \(kind)") }
    return result
  }
  func int(_ key: String) throws(WeightSourceError) -> Int? { try optional(key, "a whole number", \.int) }
  func bool(_ key: String) throws(WeightSourceError) -> Bool? { try optional(key, "true or false", \.bool) }
  func string(_ key: String) throws(WeightSourceError) -> String? { try optional(key, "a string", \.string) }
  func number(_ key: String) throws(WeightSourceError) -> JSONNumber? {
    try optional(key, "a number") { if case .number(let number) = $0 { number } else { nil } }
  }
  /// A count: at least 1, and small enough that products of a few of them fit in an `Int`.
  func positive(_ key: String) throws(WeightSourceError) -> Int? {
    guard let value = try int(key) else { return nil }
    guard (1...Int(Int32.max)).contains(value) else { throw failed(key, "is \(value), expected a positive number") }
    return value
  }
  func required(_ key: String) throws(WeightSourceError) -> Int {
    guard let value = try positive(key) else { throw failed(key, "is missing") }
    return value
  }
}
