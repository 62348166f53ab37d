public import Checkpoints
public import SystemPackage
public import WeightSources

/// New weights for an engine, whatever they come from.
public struct RefitSource: Sendable {
  /// For each rank of the engine, under TensorRT-LLM's names, with adapters put on.
  public var weights: any WeightSource
  /// The source's structure; nil where it has none of its own (an adapter).
  public var config: CheckpointConfig?
  /// For the lineage: `checkpoint`, `huggingFace`, `gguf`, `adapter`, `ggufAdapter`, `engine`.
  public var kind: String
  /// The model, or the adapter where that is all that was named.
  public var path: FilePath
  /// Base weights for an adapter, where they are not the engine's own.
  public var basePath: FilePath?
  /// What those are, and under which names; nil with ``basePath``.
  var baseKind: String?
  /// Under which names the model is known that adapters are put on, or that the source is.
  public var model = ModelNames()
  /// Adapters that are put on, in their order; not those that the weights carry already.
  public var adapters: [Lineage.Adapter]
  /// Those of them that were opened here.
  var adapterFiles: [LoRAAdapter] = []
  /// What the source's files gave cause to say.
  public var warnings: [SourceWarning] = []
  /// Adapters that the weights of another engine carry already.
  var carried: [Lineage.Adapter] = []
  /// The other engine that is the source, or the base of an adapter.
  var engine: EngineDirectory?
  /// The base weights are the engine's own.
  public var usesEngineWeights: Bool
  /// The weights of a running engine that stand for the engine's own; nil: those of its files.
  public var base: LiveBase?
  /// Tensors of a rank that differ from the engine's; nil where all may.
  public var touched: (@Sendable (_ rank: Int) -> Set<String>)?

  /// What is wrong with its tensors, so that none can be read; reported together with all else that is.
  var problems: [RefitProblem] = []

  /// Files that come with the weights, of a model or an adapter.
  struct Companions: Sendable {
    var files: CompanionFiles
    var path: FilePath
    /// A whole model's, in whose place nothing of the old one stays.
    var isModel: Bool
  }
  /// In the order in which they apply: the model's, then each adapter's.
  var companions: [Companions] = []

  /// How many ranks the weights are sharded for.
  var rankCount: Int { config?.mapping.worldSize ?? .max }

  /// Weights that are ready to be read, without files beside them; `init(_:for:options:)` opens a path.
  public init(
    weights: any WeightSource, config: CheckpointConfig?, kind: String, path: FilePath,
    adapters: [Lineage.Adapter] = [], usesEngineWeights: Bool = false,
    touched: (@Sendable (_ rank: Int) -> Set<String>)? = nil
  ) {
    self.weights = weights
    self.config = config
    self.kind = kind
    self.path = path
    self.adapters = adapters
    self.usesEngineWeights = usesEngineWeights
    self.touched = touched
  }
}
