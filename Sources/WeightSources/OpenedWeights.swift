public import Checkpoints
public import SystemPackage
public import Tensors

/// A path opened as weights for given ranks: a checkpoint as it stands, or a model in its author's format sharded on
/// the way.
public struct OpenedWeights: Sendable {
  public let kind: WeightSourceKind
  public let path: FilePath
  public let weights: any WeightSource
  /// The configuration that goes with the weights: of the checkpoint, or as converting would write it.
  public let config: CheckpointConfig
  /// The model's own description, where the path holds one.
  public let model: ModelSource?

  /// - Parameters:
  ///   - mapping: How the weights are wanted. A checkpoint must have it already.
  ///   - elementType: In which type a model is converted; a checkpoint keeps its own.
  /// - Throws: What opening throws; ``WeightSourceError`` for an adapter or an engine, which are no weights by
  ///   themselves, and for a checkpoint with another mapping, with the command that would make one that fits.
  public init(_ path: FilePath, mapping: Mapping, elementType: ElementType? = nil) throws {
    self.path = path
    kind = try WeightSourceKind.detect(path)
    switch kind {
    case .checkpoint:
      let checkpoint = try Checkpoint(directory: path)
      let found = checkpoint.config.mapping
      guard found.tensorParallel == mapping.tensorParallel, found.pipelineParallel == mapping.pipelineParallel else {
        throw WeightSourceError(path.string, .sharding(
          "the checkpoint is made for tp_size \(found.tensorParallel), pp_size \(found.pipelineParallel), but tp_size "
            + "\(mapping.tensorParallel), pp_size \(mapping.pipelineParallel) are needed. Make one that fits: trtllm-convert --model_dir MODEL "
            + "--output_dir CHECKPOINT --tp_size \(mapping.tensorParallel) --pp_size \(mapping.pipelineParallel)"))
      }
      weights = CheckpointWeights(checkpoint)
      config = checkpoint.config
      model = nil
    case .huggingFace, .gguf:
      let source = try ModelSource(path)
      let type = elementType ?? source.model.automaticElementType
      weights = try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: type)
      config = try CheckpointConfig(
        parsing: source.model.checkpointConfig(elementType: type, mapping: mapping), path: path.appending("config.json"))
      model = source
    case .adapter, .engine:
      throw WeightSourceError(path.string, .other("this is \(kind == .engine ? "an engine" : "a PEFT adapter"), where a checkpoint or a model is needed."))
    }
  }
}
