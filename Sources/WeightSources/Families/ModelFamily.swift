/// A model family as data: which tensors it has, what other formats call them, and how ranks share them.
///
/// A new family is one more value of this type (see `Family+Llama.swift`) and a line in ``all``.
public struct ModelFamily: Sendable {
  /// A name for people.
  public let name: String
  /// `architectures[0]` of the Hugging Face configurations that this family covers.
  public let architectures: [String]
  /// The class of those that each `model_type` of a Hugging Face configuration means.
  let modelTypes: [String: String]
  /// More values of a checkpoint's `architecture` with the same tensors, which are taken apart but not converted here:
  /// their configurations say things that this family's do not.
  let relatedArchitectures: [String]
  /// `general.architecture` of the GGUF files that this family covers.
  public let ggufArchitectures: [String]
  /// In the order of the network.
  let tensors: [TensorRule]
  /// Ends of tensor names that carry no weight of their own (tables that the network computes).
  let ignoredSuffixes: [String]
  /// Whole names of such tensors, which were read with the configuration.
  let ignoredNames: Set<String>

  /// Every family that can be converted.
  public static let all: [ModelFamily] = [.llama]

  /// What can be asked for, in words: `LlamaForCausalLM`, ….
  public static var supportedArchitectures: [String] { all.flatMap(\.architectures) }

  /// - Parameter architecture: As Hugging Face spells it.
  public init(architecture: String, origin: String) throws(WeightSourceError) {
    guard let family = Self.all.first(where: { $0.architectures.contains(architecture) }) else {
      throw WeightSourceError(origin, .unsupportedFamily(name: architecture, supported: Self.supportedArchitectures))
    }
    self = family
  }
  /// - Parameter checkpointArchitecture: `architecture` of a TensorRT-LLM configuration.
  public init(checkpointArchitecture: String, origin: String) throws(WeightSourceError) {
    if let family = Self.all.first(where: { $0.relatedArchitectures.contains(checkpointArchitecture) }) {
      self = family
    } else {
      try self.init(architecture: checkpointArchitecture, origin: origin)
    }
  }
  /// - Parameter ggufArchitecture: `general.architecture`.
  public init(ggufArchitecture: String, origin: String) throws(WeightSourceError) {
    guard let family = Self.all.first(where: { $0.ggufArchitectures.contains(ggufArchitecture) }) else {
      throw WeightSourceError(
        origin, .unsupportedFamily(name: ggufArchitecture, supported: Self.all.flatMap(\.ggufArchitectures)))
    }
    self = family
  }

  init(
    name: String, architectures: [String], modelTypes: [String: String], relatedArchitectures: [String], ggufArchitectures: [String],
    tensors: [TensorRule], ignoredSuffixes: [String], ignoredNames: Set<String>
  ) {
    self.name = name
    self.architectures = architectures
    self.modelTypes = modelTypes
    self.relatedArchitectures = relatedArchitectures
    self.ggufArchitectures = ggufArchitectures
    self.tensors = tensors
    self.ignoredSuffixes = ignoredSuffixes
    self.ignoredNames = ignoredNames
  }
}

/// One tensor of a TensorRT-LLM checkpoint: where it stands, what it is made of, how tensor-parallel ranks share it.
struct TensorRule: Sendable {
  enum Place: Sendable {
    /// On the first pipeline stage.
    case first
    /// Once in every layer; names get `transformer.layers.{index in the stage}.` in front.
    case layer
    /// On the last pipeline stage.
    case last
  }
  enum Feature: Sendable { case attentionBias, mlpBias }
  enum Split: Sendable {
    /// The same on every rank.
    case none
    /// Each rank holds some output rows (upstream's "column parallel").
    case outputs
    /// Each rank holds some input columns (upstream's "row parallel").
    case inputs
    /// The embedding table: split only if the checkpoint asks for it.
    case embedding
  }
  /// A source tensor. In its names `*` stands for the layer's number in the whole model.
  struct Part: Sendable {
    let huggingFace: String
    let gguf: String
    let outputs: ModelShape.Dimension
    /// nil for a vector.
    let inputs: ModelShape.Dimension?
    /// Whether rotary embedding turns the output rows, whose order then depends on the format.
    var isRotated = false
  }
  let name: String
  let place: Place
  let split: Split
  /// Stacked along rows, in this order, within each rank.
  let parts: [Part]
  /// The tensor exists only in models with this feature; nil for every model.
  var feature: Feature? = nil
  /// Where the tensor is a copy of another in models with tied embeddings: that one's name in Hugging Face's format.
  var tiedTo: String? = nil

  /// The full name in layer `layer` of a stage.
  func name(layer: Int) -> String { place == .layer ? "transformer.layers.\(layer).\(name)" : name }
}

extension String {
  /// The name with `*` replaced by a layer's number.
  func inLayer(_ layer: Int) -> String {
    guard let star = firstIndex(of: "*") else { return self }
    return self[..<star] + String(layer) + self[index(after: star)...]
  }
}
