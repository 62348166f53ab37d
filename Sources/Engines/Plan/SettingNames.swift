import Checkpoints
public import WeightSources

/// What a model's own files call settings that bound how long a sequence may be, for messages.
public struct SettingNames: Sendable, Equatable {
  let file: String
  let positions: String
  let window: String

  /// As Hugging Face and TensorRT-LLM spell them.
  public static let config = SettingNames(file: "config.json", positions: "max_position_embeddings", window: "sliding_window")

  init(file: String, positions: String, window: String) { (self.file, self.positions, self.window) = (file, positions, window) }

  /// As a GGUF file spells them, with its architecture's prefix, or a Hugging Face configuration.
  public init(of source: ModelSource) {
    guard let architecture = source.gguf?.metadata["general.architecture"]?.string else { self = .config; return }
    self.init(file: "metadata", positions: "\(architecture).context_length", window: "\(architecture).attention.sliding_window")
  }
}

extension ModelSource {
  /// What a build would say of how long sequences may be, where a model is only converted.
  public var lengthWarnings: [SourceWarning] {
    guard let config = try? CheckpointConfig(parsing: checkpointConfig(elementType: model.automaticElementType, mapping: Mapping())) else { return [] }
    return (try? SequenceLimit(config, asked: nil, names: SettingNames(of: self)))?.warnings ?? []
  }
}
