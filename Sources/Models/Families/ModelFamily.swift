public import Checkpoints
package import JSON
public import Networks

/// A model family: what other formats call it and its tensors, how ranks share them, what a configuration means that says
/// nothing, and what an engine computes.
///
/// A new family is a folder with one of these, and a line in ``all``.
public struct ModelFamily: Sendable {
  /// Makes the network of a rank of a checked configuration; with `sharesEmbedding` lm_head and the embedding table are one weight.
  package typealias NetworkMaker =
    @Sendable (_ config: CheckpointConfig, _ rank: Int, _ sharesEmbedding: Bool, _ style: DecoderStyle) throws(UnsupportedModel) -> Network

  /// A name for people.
  public let name: String
  /// `architectures[0]` of the Hugging Face configurations that this family covers.
  public let architectures: [String]
  /// The class of those that each `model_type` of a Hugging Face configuration means.
  package let modelTypes: [String: String]
  /// More values of a checkpoint's `architecture` with the same tensors, which are taken apart but not converted here:
  /// their configurations say things that this family's do not. Engines are built of those in `buildable`.
  package var relatedArchitectures: [String] = []
  package var buildable: Set<String> = []
  /// Classes that have a model of this family inside.
  package var wholeModels: [WholeModel] = []
  /// `general.architecture` of the GGUF files that this family covers.
  public let ggufArchitectures: [String]
  /// Ends of tensor names that carry no weight of their own (tables that the network computes), and whole names of such tensors.
  package var ignoredSuffixes: [String] = []
  package var ignoredNames: Set<String> = []
  /// Members that only this family's checkpoints have, as upstream writes them.
  package var checkpointFields: JSONObject = [:]
  /// Of a class among ``architectures``.
  package let defaults: @Sendable (_ architecture: String) -> ConfigurationDefaults
  package let decoder: DecoderStyle
  /// A key of GGUF files that takes rotary embedding away where it is false.
  package var ggufRotarySwitch: String?
  /// The network of one rank, before fusion: that of ``DecoderNetwork`` for every style, or one of the family's own.
  package var makeNetwork: NetworkMaker = DecoderNetwork.make
  /// Whether layers have mixtures of experts.
  public var hasExperts: Bool { decoder.experts != nil }
  /// In the order of the network.
  package var tensors: [TensorRule] { decoder.tensors }

}

extension ModelFamily {
  /// Every family that can be converted: a new one is a line here.
  public static let all: [ModelFamily] = [
    .llama, .qwen2, .qwen3, .gemma3, .qwen3MoE, .mixtral,
    .gemma2,
    .granite,
    .smolLM3,
    .olmo2,
    .exaone4,
  ]

  /// What can be asked for, in words: `LlamaForCausalLM`, ….
  public static var supportedArchitectures: [String] { all.flatMap { $0.architectures + $0.wholeModels.map(\.architecture) } }

  /// The family of a checkpoint's `architecture`, also of one that only has the same tensors.
  package init?(checkpointArchitecture architecture: String) {
    let own = Self.all.first { $0.architectures.contains(architecture) }
    guard let family = own ?? Self.all.first(where: { $0.relatedArchitectures.contains(architecture) }) else { return nil }
    self = family
  }

  /// The network of one rank, before fusion.
  public static func network(
    config: CheckpointConfig, rank: Int, sharesEmbedding: Bool
  ) throws(UnsupportedModel) -> Network {
    guard let family = all.first(where: { $0.architectures.contains(config.architecture) || $0.buildable.contains(config.architecture) }) else {
      throw .architecture(config.architecture, supported: all.flatMap { $0.architectures + $0.buildable }.sorted())
    }
    return try family.makeNetwork(config, rank, sharesEmbedding, family.decoder)
  }
}

extension CheckpointConfig {
  /// Whether queries, keys and values have biases: as the configuration says, or as the family's class has them where it says nothing.
  package var hasAttentionBias: Bool {
    attentionBias ?? (ModelFamily(checkpointArchitecture: architecture)?.defaults(architecture).attentionBias == .always)
  }
}
