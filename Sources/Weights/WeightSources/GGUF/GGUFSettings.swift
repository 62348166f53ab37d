import Tensors

/// Look-ups of a GGUF file's model settings (`llama.…`), which remember what was asked for, so that what nothing used
/// can be told.
struct GGUFSettings {
  let file: GGUFFile
  let architecture: String
  private let asked = Asked()

  private final class Asked { var keys: Set<String> = [] }

  init(_ file: GGUFFile, architecture: String) {
    self.file = file
    self.architecture = architecture
  }

  func key(_ name: String) -> String { "\(architecture).\(name)" }
  func failed(_ name: String, _ reason: String) -> WeightSourceError {
    WeightSourceError(file.origin, .configuration(key: key(name), file: "metadata", reason: reason))
  }
  func warning(_ name: String, _ text: String) -> SourceWarning { SourceWarning(key(name), in: "metadata", text) }

  func optional<T>(_ name: String, _ kind: String, _ read: (GGUFValue) -> T?) throws(GGUFError) -> T? {
    asked.keys.insert(key(name))
    return try file.metadata.optional(key(name), kind, read)
  }
  func number(_ name: String) throws -> Double? {
    guard let value = try optional(name, "a number", \.double) else { return nil }
    guard value.isFinite else { throw failed(name, "is \(value), expected a finite number") }
    return value
  }
  /// A count, of all layers where the file gives one for each.
  func size(_ name: String) throws -> Int? {
    let values = try optional(name, "a whole number") { $0.int.map { [$0] } ?? $0.integers }
    guard let values else { return nil }
    guard let value = values.first, values.allSatisfy({ $0 == value }) else {
      throw failed(name, "differs from layer to layer, which is not supported")
    }
    guard (1...1 << 30).contains(value) else { throw failed(name, "is \(value), expected a number from 1 to \(1 << 30)") }
    return value
  }
  func required(_ name: String) throws -> Int {
    guard let value = try size(name) else { throw failed(name, "is missing") }
    return value
  }

  /// Keys that change no answer, without the architecture in front.
  private static let harmless: Set<String> = ["tensor_data_layout", "rope.scaling.finetuned", "expert_used_count"]
  /// Values that mean the same as leaving the key out, where that is not zero, false or nothing.
  private static let neutral: [String: Double] = [
    "logit_scale": 1, "residual_scale": 1, "embedding_scale": 1, "rope.scaling.yarn_attn_factor": 1, "rope.scaling.yarn_ext_factor": -1,
    "rope.scaling.yarn_beta_fast": 32, "rope.scaling.yarn_beta_slow": 1, "expert_weights_scale": 1,
  ]
  /// What other readers of the file look after, or what only describes it.
  private static let otherPrefixes = ["general.", "tokenizer.", "split.", "quantize.", "imatrix.", "mradermacher.", "unsloth."]

  /// One warning for each setting that was not asked for and that says something.
  var unused: [SourceWarning] {
    let unused = file.metadata.values.filter { key, value in
      guard !asked.keys.contains(key), !Self.otherPrefixes.contains(where: key.hasPrefix), key.contains(".") else { return false }
      let name = key.hasPrefix("\(architecture).") ? String(key.dropFirst(architecture.count + 1)) : key
      return !Self.harmless.contains(name) && !Self.isNeutral(name, value)
    }.sorted { $0.key < $1.key }
    return SourceWarning.few(
      unused.map { key, value in
        SourceWarning(key, in: "metadata", "is \(value.text), and nothing uses it: check that answers do not depend on it")
      })
  }

  private static func isNeutral(_ name: String, _ value: GGUFValue) -> Bool {
    value.saysNothing && neutral[name] != 1 || value.double != nil && value.double == neutral[name]
  }
}

extension GGUFValue {
  /// False, zero or nothing.
  var saysNothing: Bool {
    switch self {
    case .bool(let flag): !flag
    case .string(let text): text.isEmpty
    case .strings(let texts): texts.isEmpty
    case .integers(let numbers): numbers.allSatisfy { $0 == 0 }
    case .floats(let numbers): numbers.allSatisfy { $0 == 0 }
    case .bools(let flags): !flags.contains(true)
    case .integer, .float32, .float64: (double ?? 0) == 0
    case .large: false
    }
  }

  /// The value as a few words of a message.
  var text: String {
    switch self {
    case .integer(let value): "\(value)"
    case .large(let value): "\(value)"
    case .float32, .float64: double.map { "\($0)" } ?? "no number"
    case .bool(let value): "\(value)"
    case .string(let value): "'\(SourceWarning.shortened(value, to: 60))'"
    case .strings(let values): "an array of \(values.count) strings"
    case .integers(let values): "an array of \(values.count) integers"
    case .floats(let values): "an array of \(values.count) numbers"
    case .bools(let values): "an array of \(values.count) booleans"
    }
  }
}
