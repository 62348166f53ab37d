public import Checkpoints
import Files
public import SystemPackage
import Tensors

/// An opened model in its author's format: a Hugging Face directory or a GGUF file.
public struct ModelSource: Sendable {
  /// What was opened: the directory, or the GGUF file or its first part.
  public let path: FilePath
  /// What the author's configuration says.
  public let model: SourceModel
  /// Whole tensors under Hugging Face's names and in its row order, whichever format they come from.
  public let tensors: any NamedTensors
  /// The GGUF file, whose metadata also holds the tokenizer; nil for a directory.
  public let gguf: GGUFFile?
  /// What the author calls the model, and where it lies.
  public let names: ModelNames
  /// What the files gave cause to say, each once.
  public internal(set) var warnings: [SourceWarning] = []

  /// Files that travel with a model besides its configuration and weights.
  public static let auxiliaryNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
    "chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "tokenizer.model", "added_tokens.json",
  ]

  /// Opens either kind.
  ///
  /// - Parameter comparesTables: Whether a head that is declared a copy of the embedding table is compared with it. Leave
  ///   it out where that is done anyway; the head then counts as it stands.
  /// - Throws: ``WeightSourceError``, ``GGUFError`` or `SafetensorsError`.
  public init(_ path: FilePath, comparesTables: Bool = true) throws {
    try self.init(FoundSource(at: path, for: .model), comparesTables: comparesTables)
  }

  /// - Precondition: What was found is a model in its author's format.
  public init(_ found: FoundSource, comparesTables: Bool = true) throws {
    switch found.kind {
    case .gguf: try self.init(gguf: GGUFFile(found.path), path: found.path)
    default: try self.init(huggingFace: HuggingFaceDirectory(found.path), comparesTables: comparesTables)
    }
    warnings = found.warnings + warnings
  }

  private static func namesOfPlace(_ path: FilePath) -> [String] {
    // A link may have the better name, what it leads to may be in Hugging Face's cache, and `.` has none.
    ModelNames.inPath(path.lexicallyNormalized()).filter { $0 != "." && $0 != ".." }
      + ((try? Directory.resolve(path)).map(ModelNames.inPath) ?? [])
  }

  /// A layer has several tensors: a count beyond the file's is a lie that tables must not be made for.
  private static func checkLayers(_ model: SourceModel, tensorCount: Int, _ path: FilePath) throws(WeightSourceError) {
    guard model.shape.layerCount > tensorCount else { return }
    let problem = WeightSourceError.Problem.other(
      "the configuration has \(model.shape.layerCount) layers, and there are only \(tensorCount) tensors. Download the model again.")
    throw WeightSourceError(path.string, model.failures.problems + [problem])
  }

  /// - Throws: For settings that cannot be used: all of them, with all that is wrong with the tensors.
  private static func refuse(_ model: SourceModel, _ tensors: any NamedTensors) throws {
    guard !model.failures.all.isEmpty else { return }
    let ties = model.tiesEmbeddings && tensors.description(of: "lm_head.weight") == nil
    // Which tensors there should be depends on the experts.
    let isKnown = model.family.decoder.experts == nil || model.shape.experts != nil
    let layout =
      !isKnown
      ? nil
      : try? ShardLayout(
        family: model.family, shape: model.shape, features: .init(attentionBias: model.attentionBias, mlpBias: model.mlpBias), mapping: Mapping(),
        tiesEmbeddings: ties, origin: tensors.origin)
    let problems = layout.map { ConvertedCheck(tensors: tensors, layout: $0, elementType: model.automaticElementType).findings().problems } ?? []
    if let error = model.failures.error(at: tensors.origin, and: problems) { throw error }
  }

  /// - Parameter path: What was asked for, by which the model is named too.
  /// - Throws: ``WeightSourceError`` or ``GGUFError`` for a configuration or tensors that cannot be used.
  public init(gguf file: GGUFFile, path: FilePath) throws {
    try file.requireReadable()
    self.path = path
    var model = try SourceModel(gguf: file)
    try Self.checkLayers(model, tensorCount: file.tensors.count, path)
    tensors = model.fillBiases(
      GGUFTensors(file, family: model.family, shape: model.shape))
    try Self.refuse(model, tensors)
    self.model = model
    warnings = model.warnings
    gguf = file
    names = ModelNames([file.metadata["general.name"]?.string ?? ""] + Self.namesOfPlace(path))
  }

  /// - Parameter comparesTables: Whether a head that is declared a copy of the embedding table is compared with it.
  /// - Throws: ``WeightSourceError`` for a configuration or tensors that cannot be used.
  public init(huggingFace directory: HuggingFaceDirectory, comparesTables: Bool = true) throws {
    path = directory.path
    var model = try SourceModel(huggingFace: directory)
    try Self.checkLayers(model, tensorCount: directory.names.count, path)
    var stored: any NamedTensors = directory
    if let style = model.family.decoder.experts, let experts = model.shape.experts, let single = StackedExperts(directory, style: style, experts: experts, layerCount: model.shape.layerCount) {
      stored = single
    }
    let named = try BaseNames(stored, family: model.family, shape: model.shape)
    if let named { stored = named }
    do {
      tensors = try model.reconcile(with: stored, configuration: "config.json", comparesTables: comparesTables)
    } catch let error as WeightSourceError {
      guard !model.failures.all.isEmpty else { throw error }
      try model.failures.add(error)
      throw model.failures.error(at: directory.origin) ?? error
    }
    try Self.refuse(model, tensors)
    self.model = model
    warnings = directory.warnings + model.warnings
    // Names within a class of models around this one are as they should be.
    if let named, !named.isWithin(model.family) {
      warnings.append(
        SourceWarning(
          named.example, in: "weights", "and \(named.renamedCount - 1) more names were read with 'model.' put before or taken away, as transformers does"))
    }
    gguf = nil
    let config = try ConfigReader(directory: directory.path, file: "config.json")
    names = ModelNames([config.json["_name_or_path"]?.string ?? ""] + Self.namesOfPlace(directory.path))
  }
}
