public import JSON
public import SystemPackage

/// Under which names a model is known: what its author calls it, and the directory or file it came in.
///
/// Only good for a warning: people rename directories, and two names can be of one model.
public struct ModelNames: Sendable, Equatable {
  /// Best first, none of them twice.
  public let all: [String]
  /// Whether nothing is known, so that no name can be compared with the model's.
  public var isEmpty: Bool { all.isEmpty }

  /// In the given order, without repetitions and names that say nothing once path, ending and number format are taken away.
  public init(_ names: [String] = []) {
    var found: [String] = []
    for name in names where !Self.key(name).isEmpty && !found.contains(name) { found.append(name) }
    all = found
  }

  /// What a checkpoint's configuration keeps of them.
  public init(config: JSONValue) {
    self.init((config[Self.section]?[Self.field]?.array ?? []).compactMap(\.string))
  }
  /// The member of a checkpoint's configuration that holds what only this program knows.
  public static let section = "drydock"
  private static let field = "model_names"
  /// What a checkpoint's configuration holds under ``section``.
  public var json: JSONValue { [Self.field: .strings(all)] }

  /// The names that a path gives: its last component, and the repository where it lies in Hugging Face's cache.
  public static func inPath(_ path: FilePath) -> [String] {
    let components = path.components.map(\.string)
    let cached = components.last { $0.hasPrefix("models--") }.map { $0.dropFirst("models--".count).replacing("--", with: "/") }
    guard let last = components.last else { return [] }
    // In the cache a directory is called by a digest.
    let isDigest = last.count >= 40 && last.allSatisfy(\.isHexDigit)
    return (cached.map { [String($0)] } ?? []) + (isDigest ? [] : [last])
  }

  /// Whether the model may be the one that somebody calls `name`, a path or a repository's name: the last part counts,
  /// whatever the letters' case and the punctuation, without a file's ending and how its numbers are stored.
  public func include(_ name: String) -> Bool {
    let wanted = Set(([name] + Self.inPath(FilePath(name))).map(Self.key))
    return all.contains { wanted.contains(Self.key($0)) }
  }

  private static func key(_ name: String) -> String {
    // Longer ones are not names of models, and taking them apart would take too long.
    guard name.utf8.count <= 1024 else { return "" }
    var rest = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init)?.lowercased() ?? ""
    for ending in [".gguf", ".safetensors"] where rest.hasSuffix(ending) { rest.removeLast(ending.count) }
    // `.Q4_K_M`, `-IQ3_XS`, `.BF16`: how a file's numbers are stored does not make another model.
    if let mark = rest.lastIndex(where: { $0 == "." || $0 == "-" }), isNumberFormat(rest[rest.index(after: mark)...]) {
      rest = String(rest[..<mark])
    }
    // Copies in fewer bits of the very model, as adapters are trained on them, and of the same numbers in another format.
    while let ending = copyEndings.first(where: { rest.count > $0.count && rest.hasSuffix($0) }) { rest.removeLast(ending.count) }
    return rest.split { !$0.isLetter && !$0.isNumber }.joined(separator: "-")
  }
  private static let copyEndings = [
    "-bnb-4bit", "-bnb-8bit", "-unsloth", "-4bit", "-8bit", "-int4", "-int8", "-gptq", "-awq", "-fp8", "-fp8-dynamic", "-nf4", "-w4a16", "-w8a8", "-w8a16",
    "-hf", "-gguf", "-mlx",
  ]
  private static func isNumberFormat(_ text: Substring) -> Bool {
    if ["f16", "bf16", "f32", "fp16", "fp32", "float16", "bfloat16", "float32"].contains(text) { return true }
    let rest = text.drop { $0 == "i" }.drop { $0 == "t" }
    guard rest.first == "q", let digit = rest.dropFirst().first, digit.isNumber else { return false }
    return rest.dropFirst(2).allSatisfy { $0 == "_" || $0.isLetter || $0.isNumber }
  }
}
