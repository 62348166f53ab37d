import Files
import JSON
import SystemPackage

/// Typed look-ups in a `config.json` or an object inside it, whose complaints name the file and the key, and which
/// remember what was asked for, so that a warning can name what nothing used.
struct ConfigReader {
  /// The directory, for messages.
  let path: String
  let file: String
  private let fields: JSONFields<WeightSourceError>
  var json: JSONValue { fields.json }
  /// Names of enclosing objects with a full stop after each, for messages.
  var prefix: String { fields.prefix }

  init(directory: FilePath, file: String) throws {
    let path = directory.string
    let bytes = try ReadableFile.contents(of: directory.appending(file), limit: 64 << 20)
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes, allowsNonFinite: true) } catch {
      throw WeightSourceError(path, .other("\(file): \(error). \(error.remedy)"))
    }
    guard json.object != nil else { throw WeightSourceError(path, .other("\(file) holds \(json.kind), expected an object.")) }
    self.init(path: path, file: file, json: json)
  }
  init(path: String, file: String, json: JSONValue, prefix: String = "") {
    self.path = path
    self.file = file
    fields = JSONFields(json, prefix: prefix) { key, fault in
      let reason =
        switch fault {
        case .kind(let found, let expected): "is \(found.kind), expected \(expected)"
        case .other(let reason): reason
        }
      return WeightSourceError(path, .configuration(key: key, file: file, reason: reason))
    }
  }

  func failed(_ key: String, _ reason: String) -> WeightSourceError { fields.failed(key, reason) }
  func warning(_ key: String, _ text: String) -> SourceWarning { SourceWarning(prefix + key, in: file, text) }

  /// What stands under a key, null too; nil where the key is absent.
  func value(_ key: String) -> JSONValue? { fields.stored(key) }
  /// Members that were not asked for, in the order of the file.
  var unused: [(key: String, value: JSONValue)] { fields.unused }

  /// nil where the key is absent or null; a value of another kind is an error.
  func optional<T>(_ key: String, _ kind: String, _ read: (JSONValue) -> T?) throws(WeightSourceError) -> T? { try fields.optional(key, kind, read) }
  /// As ``optional(_:_:_:)``, but null is an error, as it is to transformers: only an absent key means the default.
  func unlessAbsent<T>(_ key: String, _ kind: String, _ read: (JSONValue) -> T?) throws(WeightSourceError) -> T? {
    guard value(key)?.isNull != true else { throw failed(key, "is null, expected \(kind). Leave the key out for the default") }
    return try optional(key, kind, read)
  }
  /// As ``optional(_:_:_:)``, but what Python takes for false is as good as absent.
  func unlessFalse<T>(_ key: String, _ kind: String, _ read: (JSONValue) -> T?) throws(WeightSourceError) -> T? {
    let value = value(key)
    return value == .bool(false) || value?.array?.isEmpty == true || value?.string?.isEmpty == true || value?.double == 0 ? nil : try optional(key, kind, read)
  }
  func int(_ key: String) throws(WeightSourceError) -> Int? { try optional(key, "a whole number", \.int) }
  func bool(_ key: String) throws(WeightSourceError) -> Bool? { try unlessAbsent(key, "true or false", \.bool) }
  func string(_ key: String) throws(WeightSourceError) -> String? { try optional(key, "a string", \.string) }
  /// A finite number, under a key that is not null.
  func number(_ key: String) throws(WeightSourceError) -> JSONNumber? {
    let number = try unlessAbsent(key, "a number") { if case .number(let number) = $0 { number } else { nil } }
    guard number?.double?.isFinite ?? (number == nil) else { throw failed(key, "is \(number?.text ?? ""), expected a finite number") }
    return number
  }
  /// A count: at least 1, and small enough that products of a few of them fit in an `Int`.
  func positive(_ key: String) throws(WeightSourceError) -> Int? {
    guard let value = try int(key) else { return nil }
    // Sums and products of a few of them must fit into an Int.
    guard (1...1 << 30).contains(value) else { throw failed(key, "is \(value), expected a number from 1 to \(1 << 30)") }
    return value
  }
  func required(_ key: String) throws(WeightSourceError) -> Int {
    guard let value = try positive(key) else { throw failed(key, json[key] == nil ? "is missing" : "is null, expected a whole number") }
    return value
  }
}
