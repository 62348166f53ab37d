public import Checkpoints

/// Which architectures can be built, by the `architecture` string of a checkpoint.
public enum Families {
  /// Granite's checkpoints have the same tensors, but scale residuals and logits, which no operation here does.
  public static let llama: Set<String> = ["LlamaForCausalLM", "MistralForCausalLM", "InternLMForCausalLM", "SkyworkForCausalLM"]
  public static var supported: [String] { llama.sorted() }

  /// The network of one rank, before fusion.
  public static func network(
    config: CheckpointConfig, rank: Int, sharesEmbedding: Bool
  ) throws(UnsupportedModel) -> Network {
    guard llama.contains(config.architecture) else { throw .architecture(config.architecture, supported: supported) }
    return try Llama.network(config: config, rank: rank, sharesEmbedding: sharesEmbedding)
  }
}
