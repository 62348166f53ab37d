public import Checkpoints
import Synchronization
public import Schemes
public import SystemPackage
public import Tensors
public import WeightSources

/// A whole model, opened for building: a checkpoint as it stands, or a model in its author's format, which is converted
/// on the way and never stored in between.
public struct BuildSource: Sendable {
  /// A checkpoint, a Hugging Face directory or a GGUF file.
  public let kind: WeightSourceKind
  /// The directory or the GGUF file.
  public let path: FilePath
  /// As a checkpoint's `config.json` would say it.
  public let config: CheckpointConfig
  /// Tensors of each rank of the mapping, under TensorRT-LLM's names.
  public let weights: any WeightSource
  /// Under which names the model is known.
  public let names: ModelNames
  /// What the model's files gave cause to say.
  public let warnings: [SourceWarning]
  /// What its files call the settings that bound a sequence.
  let settingNames: SettingNames
  private let sharing = Sharing()
  private let companions: @Sendable () throws -> CompanionFiles

  /// A checkpoint, with its own mapping and element type.
  ///
  /// - Parameter warnings: What was found on the way to it; what its configuration says twice is added.
  public init(_ checkpoint: Checkpoint, warnings: [SourceWarning] = []) {
    kind = .checkpoint
    path = checkpoint.directory
    config = checkpoint.config
    weights = CheckpointWeights(checkpoint)
    names = ModelNames(config: checkpoint.config.json)
    settingNames = .config
    self.warnings = warnings + ConfigurationWarnings.disagreements(checkpoint.config)
    companions = {
      var files = CompanionFiles(checkpoint.auxiliaryFiles, in: checkpoint.directory, architecture: checkpoint.config.architecture)
      try files.takeTemplates(of: checkpoint.directory)
      return files
    }
  }

  /// - Parameter elementType: nil chooses: the published type, float16 for float32, bfloat16 for quantised blocks.
  /// - Throws: `WeightSourceError` and kin for anything in the model that does not fit.
  public init(_ model: ModelSource, elementType: ElementType? = nil, mapping: Mapping = Mapping(), scheme: NumberScheme? = nil) throws {
    let type = elementType ?? model.model.automaticElementType
    kind = model.gguf == nil ? .huggingFace : .gguf
    path = model.path
    config = try CheckpointConfig(parsing: model.checkpointConfig(elementType: type, mapping: mapping, scheme: scheme))
    let converted = try ConvertedWeights(model.tensors, model: model.model, mapping: mapping, elementType: type)
    weights = converted
    settingNames = SettingNames(of: model)
    names = model.names
    warnings = model.warnings + converted.warnings
    companions = { try model.companions() }
  }

  /// Opens whatever a path holds.
  ///
  /// - Parameters:
  ///   - elementType: Of a model in its author's format, as above; a checkpoint has its own.
  ///   - mapping: Likewise.
  ///   - scheme: Likewise, of the linear layers of attention and MLP; nil: plain numbers.
  /// - Throws: also where the path holds an adapter or an engine.
  public init(_ path: FilePath, elementType: ElementType? = nil, mapping: Mapping = Mapping(), scheme: NumberScheme? = nil) throws {
    try self.init(FoundSource(at: path, for: .build), elementType: elementType, mapping: mapping, scheme: scheme)
  }

  /// - Precondition: What was found is a checkpoint or a model in its author's format.
  init(_ found: FoundSource, elementType: ElementType? = nil, mapping: Mapping = Mapping(), scheme: NumberScheme? = nil, comparesTables: Bool = true) throws {
    switch found.kind {
    case .checkpoint: self.init(try Checkpoint(directory: found.path), warnings: found.warnings)
    default: try self.init(try ModelSource(found, comparesTables: comparesTables), elementType: elementType, mapping: mapping, scheme: scheme)
    }
  }

  /// What an engine carries along: tokenizer, chat template, generation settings. Of a GGUF file they are made here.
  ///
  /// A GGUF file whose tokenizer is of a kind that is not known has none, and a note that says so.
  public func companionFiles() throws -> CompanionFiles { try companions() }

  /// Whether table and head are one weight of the engine. Where they are equal this reads both whole, so it is found out once.
  func sharesEmbedding(rank: Int) throws -> Bool {
    if let known = sharing.byRank.withLock({ $0[rank] }) { return known }
    let shares = try EmbeddingSharing.decide(config: config, source: weights, rank: rank)
    sharing.byRank.withLock { $0[rank] = shares }
    return shares
  }
  private final class Sharing: Sendable {
    let byRank = Mutex<[Int: Bool]>([:])
  }

  /// Tensors of all ranks.
  var tensorCount: Int { (0..<config.mapping.worldSize).reduce(0) { $0 + weights.names(rank: $1).count } }
}
