import Files
import Safetensors
public import SystemPackage
import Tensors

/// A LoRA adapter as PEFT saves it: `adapter_config.json` and `adapter_model.safetensors`.
///
/// For each module it names either a low-rank change (`W + scale · B·A`, with DoRA also a magnitude for each row) or
/// whole tensors that replace the base's (`modules_to_save`, biases).
///
/// `fan_in_fan_out` needs nothing: it says that the base layer keeps its weight as `[in, out]`, while A and B, and the
/// weights here, are always `[r, in]`, `[out, r]` and `[out, in]`.
public final class LoRAAdapter: Sendable {
  /// A change of rank r to one weight of `[out, in]`.
  struct LowRank: Sendable {
    /// Tensor of `[r, in]`; for an embedding `[r, rows]`.
    let down: String
    /// Tensor of `[out, r]`; for an embedding `[columns, r]`.
    let up: String
    /// Tensor of `[out]`: DoRA's magnitudes.
    let magnitude: String?
    let rank: Int
    let scale: Double
    /// An embedding's change is stored transposed: `(up · down)ᵀ`.
    let isEmbedding: Bool
  }

  public let path: FilePath
  public var origin: String { path.string }
  /// By module path in the base model, such as `model.layers.0.self_attn.q_proj`.
  let lowRank: [String: LowRank]
  /// By weight name in the base model: the adapter's tensor that takes its place.
  let replacements: [String: String]
  /// Whether a change to the embedding is meant for the output head too.
  let keepsEmbeddingsTied: Bool
  let file: SafetensorsFile

  /// - Throws: ``WeightSourceError`` for settings that are not supported (all of them named), tensors without their
  ///   partner or with another rank than configured, and names that are no adapter's.
  public init(directory: FilePath) throws {
    path = directory
    let config = try LoRAConfig(ConfigReader(directory: directory, file: "adapter_config.json"))
    keepsEmbeddingsTied = config.keepsEmbeddingsTied
    let weights = directory.appending("adapter_model.safetensors")
    if Directory.kind(of: weights) != .file, Directory.kind(of: directory.appending("adapter_model.bin")) == .file {
      throw WeightSourceError(
        directory.string, .other("only adapter_model.bin is here. Such files can run code when they are read, so they are never opened. "
          + "Save the adapter again with a current PEFT, which writes adapter_model.safetensors."))
    }
    file = try SafetensorsFile(weights)
    var parts: [String: [AdapterTensorName.Role: String]] = [:]
    var replacements: [String: String] = [:]
    var strange: [String] = []
    for name in file.names {
      guard let parsed = AdapterTensorName(name) else { strange.append(name); continue }
      if case .replacement(let parameter) = parsed.role {
        replacements["\(parsed.module).\(parameter)"] = name
      } else {
        parts[parsed.module, default: [:]][parsed.role] = name
      }
    }
    guard strange.isEmpty else { throw WeightSourceError(directory.string, .unexpected(names: strange, family: "LoRA")) }
    var lowRank: [String: LowRank] = [:]
    for module in parts.keys.sorted() {
      lowRank[module] = try Self.lowRank(module, parts[module] ?? [:], config, file, directory.string)
    }
    guard !lowRank.isEmpty || !replacements.isEmpty else {
      throw WeightSourceError(directory.string, .other("adapter_model.safetensors holds no tensors. Save the adapter again."))
    }
    self.lowRank = lowRank
    self.replacements = replacements
  }

  private static func lowRank(
    _ module: String, _ parts: [AdapterTensorName.Role: String], _ config: LoRAConfig, _ file: SafetensorsFile, _ path: String
  ) throws(WeightSourceError) -> LowRank {
    let isEmbedding = parts[.embeddingDown] != nil || parts[.embeddingUp] != nil
    guard let down = parts[isEmbedding ? .embeddingDown : .down], let up = parts[isEmbedding ? .embeddingUp : .up],
      let downShape = file.header[down]?.description.shape, let upShape = file.header[up]?.description.shape
    else {
      throw WeightSourceError(path, .missing(names: ["\(module).lora_A or lora_B, whose partner is there"]))
    }
    let rank = config.rank(of: module)
    guard downShape.count == 2, downShape[0] == rank else {
      throw WeightSourceError(path, .shape(tensor: down, found: downShape, expected: [rank] + downShape.dropFirst(), why: "rank from adapter_config.json"))
    }
    guard upShape.count == 2, upShape[1] == rank else {
      throw WeightSourceError(path, .shape(tensor: up, found: upShape, expected: upShape.prefix(1) + [rank], why: "rank from adapter_config.json"))
    }
    let magnitude = parts[.magnitude]
    if config.usesDoRA != (magnitude != nil) {
      throw WeightSourceError(path, config.usesDoRA
        ? .missing(names: ["\(module).lora_magnitude_vector (use_dora is set)"])
        : .unsupportedSettings(["\(magnitude ?? "") without use_dora"], file: "adapter_model.safetensors"))
    }
    if isEmbedding, magnitude != nil {
      throw WeightSourceError(path, .unsupportedSettings(["use_dora on the embedding \(module)"], file: "adapter_config.json"))
    }
    let names = [down, up] + (magnitude.map { [$0] } ?? [])
    for name in names {
      guard let type = file.header[name]?.description.elementType, NumberFormat.converts(type, to: .float32) else {
        throw WeightSourceError(path, .elementType(
          tensor: name, found: file.header[name]?.description.elementType.rawValue ?? "?", supported: ["F16", "BF16", "F32", "F64"]))
      }
    }
    return LowRank(
      down: down, up: up, magnitude: magnitude, rank: rank, scale: config.scale(of: module), isEmbedding: isEmbedding)
  }

  /// Modules with a low-rank change and weights that are replaced, sorted: what the adapter is about, for people.
  public var touched: [String] { (Array(lowRank.keys) + Array(replacements.keys)).sorted() }
}

/// The parts of a tensor's name in an adapter: `base_model.model.` + module + `.lora_A.weight` and so on.
struct AdapterTensorName {
  enum Role: Hashable {
    case down, up, embeddingDown, embeddingUp, magnitude
    /// A whole parameter: `weight` or `bias`.
    case replacement(String)
  }
  let module: String
  let role: Role

  private static let endings: [(String, Role)] = [
    (".lora_A.weight", .down), (".lora_B.weight", .up), (".lora_embedding_A", .embeddingDown),
    (".lora_embedding_B", .embeddingUp), (".lora_magnitude_vector", .magnitude), (".lora_magnitude_vector.weight", .magnitude),
  ]

  init?(_ name: String) {
    let prefix = "base_model.model."
    guard name.hasPrefix(prefix) else { return nil }
    let rest = name.dropFirst(prefix.count)
    for (ending, role) in Self.endings where rest.hasSuffix(ending) {
      module = String(rest.dropLast(ending.count))
      self.role = role
      return
    }
    guard !rest.contains("lora_"), let dot = rest.lastIndex(of: ".") else { return nil }
    let parameter = String(rest[rest.index(after: dot)...])
    guard parameter == "weight" || parameter == "bias" else { return nil }
    var path = rest[..<dot]
    // Wrappers that PEFT puts around a layer and that some versions leave in the name.
    for wrapper in [".base_layer", ".modules_to_save"] where path.hasSuffix(wrapper) { path = path.dropLast(wrapper.count) }
    module = String(path)
    role = .replacement(parameter)
  }
}
