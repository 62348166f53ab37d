import Checkpoints
import Digests
import Files
public import SystemPackage
import Tensors
public import WeightSources

extension RefitSource {
  /// Opens a checkpoint, a Hugging Face directory, a GGUF file, a LoRA adapter (of PEFT, or in a GGUF file) or another
  /// engine as weights for `engine`.
  ///
  /// Whole models are sharded and converted on the way, as the engine's mapping says; nothing is written.
  ///
  /// - Parameter running: Stands for the engine's own weights: a version of a running engine.
  public init(_ request: SourceRequest, for engine: EngineDirectory, on running: LiveBase? = nil) throws {
    try self.init(request, for: engine, on: running, digestsLater: false)
  }

  /// - Parameter digestsLater: Leaves the adapters' digests to ``RefitSource/adapterDigests()``, which takes a second for each 2 GB.
  init(_ request: SourceRequest, for engine: EngineDirectory, on running: LiveBase?, digestsLater: Bool) throws {
    var adapters = request.adapters
    let found = try FoundSource(at: request.path, for: request.role)
    let (kind, path) = (found.kind, found.path)
    var base: FoundSource? = found
    var warnings: [SourceWarning] = []
    if kind.isAdapter {
      adapters.insert(path, at: 0)
      warnings = found.warnings
      base = try request.basePath.map { try FoundSource(at: $0, for: .base) }
    }
    let basePath = base?.path
    var source: RefitSource
    if let base {
      source = try Self.model(base, for: engine)
    } else {
      source = RefitSource(
        weights: EngineWeights(engine.ranks, made: running?.ranks ?? []), config: nil, kind: kind.rawValue, path: path,
        usesEngineWeights: true)
      source.base = running
      source.model = running?.lineage?.model.map { ModelNames($0) } ?? Self.names(of: engine)
    }
    // On weights of another structure no adapter can be tried: what differs is reported when the source is checked.
    guard !adapters.isEmpty, source.problems.isEmpty, StructureCheck(engine: engine).problems(source).isEmpty else { self = source; return }
    if source.usesEngineWeights, engine.ranks.contains(where: { $0.isStripped }) {
      throw EngineError(
        engine.path,
        .source(reason: "the engine is stripped: it has no weights that the adapter could change. Give them with --base_checkpoint_dir."))
    }
    let ranks = engine.ranks.count
    var touched = [Set<String>](repeating: [], count: ranks)
    let layout = try ShardLayout(config: engine.pretrained, origin: engine.path.string)
    let shares = engine.ranks.contains { $0.plan.weights[EmbeddingSharing.logits] == nil && $0.plan.weights[EmbeddingSharing.embedding]?.layout != .rows }
    let baseKind = source.kind
    var problems: [RefitProblem] = []
    var adapterNames: [FilePath: String] = [:]
    var unreadable: [(path: FilePath, error: any Error)] = []
    for given in adapters {
      do {
        let found = try FoundSource(at: given, for: .adapter)
        let adapterPath = found.path
        warnings += found.warnings.filter { !warnings.contains($0) }
        let trainedOn = LoRAAdapter.trainedOn(found)
        adapterNames[given] = trainedOn
        // What is wrong with these is reported with what is wrong with the weights.
        let carried = try CompanionFiles(beside: adapterPath, architecture: engine.pretrained.architecture)
        source.companions.append(Companions(files: carried, path: adapterPath, isModel: false))
        let adapter = try LoRAAdapter(found, for: layout)
        let adapted = try AdaptedWeights(
          base: source.weights, adapter: adapter, layout: layout, strength: request.loraScale, sharesEmbedding: shares,
          tiesEmbeddings: engine.pretrained.tieWordEmbeddings)
        for rank in 0..<ranks { touched[rank].formUnion(adapted.touchedNames(rank: rank)) }
        source.weights = adapted
        source.warnings += adapted.warnings
        source.adapterFiles.append(adapter)
        source.adapters.append(
          Lineage.Adapter(
            path: adapterPath.string, digest: digestsLater ? "" : try Self.digest(adapter), scale: request.loraScale, trainedOn: trainedOn))
      } catch let error as AdapterError {
        problems += error.problems.map { .adapter(path: error.path.string, Self.explained($0, adapterNames[given], model: source.model)) }
      } catch {
        unreadable.append((given, error))
      }
    }
    // Alone, an error speaks for itself.
    if problems.isEmpty, unreadable.count == 1 { throw unreadable[0].error }
    problems += unreadable.map { .adapter(path: $0.path.string, Self.problem($0.error, of: $0.path)) }
    // All of them together, with what the check finds: none is put on in part.
    source.problems += problems
    source.warnings += warnings
    if kind.isAdapter, let basePath {
      source.basePath = basePath
      source.baseKind = baseKind
    }
    source.kind = kind.rawValue
    source.path = path
    if source.usesEngineWeights {
      let names = touched
      source.touched = { names[$0] }
    }
    self = source
  }

  /// As above, of a path's weights as they are.
  public init(_ path: FilePath, for engine: EngineDirectory) throws { try self.init(SourceRequest(path), for: engine) }

  /// A complete model, not an adapter.
  private static func model(_ found: FoundSource, for engine: EngineDirectory) throws -> RefitSource {
    let (kind, path) = (found.kind, found.path)
    switch kind {
    case .checkpoint:
      let model = try BuildSource(found)
      var opened = RefitSource(weights: model.weights, config: model.config, kind: kind.rawValue, path: path)
      opened.model = model.names
      opened.companions = [Companions(files: try model.companionFiles(), path: path, isModel: true)]
      // Where the engine has one table for both, the check compares them.
      let hasHead = engine.ranks.last?.plan.weights[EmbeddingSharing.logits] != nil
      let contradiction = try hasHead ? EmbeddingSharing.contradiction(config: model.config, source: model.weights) : nil
      opened.warnings = (model.warnings + [contradiction].compactMap(\.self)).map { $0.placed(in: path.string) }  // the engine has a config.json, too
      return opened
    case .huggingFace, .gguf: return try converted(found, for: engine)
    case .engine:
      let other = try EngineDirectory(path)
      var opened = RefitSource(
        weights: EngineWeights(other.ranks), config: other.pretrained, kind: kind.rawValue, path: path)
      opened.model = Self.names(of: other)
      opened.engine = other
      opened.warnings = found.warnings
      // What a user put beside an engine later is none of its model's files.
      let lineage = try Lineage(directory: path)
      let names = other.auxiliaryFiles.filter { name in
        ModelSource.auxiliaryNames.contains(name) || lineage?.files.map { $0.keys.contains(name) } ?? true
      }
      opened.companions = [Companions(files: try CompanionFiles(of: other, names: names), path: path, isModel: true)]
      opened.carried = lineage?.adapters ?? []
      return opened
    case .adapter, .ggufAdapter: preconditionFailure("FoundSource refuses them as a model")
    }
  }

  /// A model in its author's format, with its tensors or with all that is wrong with them.
  private static func converted(_ found: FoundSource, for engine: EngineDirectory) throws -> RefitSource {
    let (type, mapping) = (engine.pretrained.elementType, engine.pretrained.mapping)
    func refusal(_ error: WeightSourceError) throws -> RefitError {
      guard let refusal = RefitError(error) else { throw error }
      return refusal
    }
    // Where the engine has one table for both, the check compares them.
    let hasHead = engine.ranks.last?.plan.weights[EmbeddingSharing.logits] != nil
    let model: ModelSource
    do { model = try ModelSource(found, comparesTables: hasHead) } catch let error as WeightSourceError { throw try refusal(error) }
    var opened = RefitSource(
      weights: NoWeights(origin: found.path.string), config: try CheckpointConfig(parsing: model.checkpointConfig(elementType: type, mapping: mapping)),
      kind: found.kind.rawValue, path: found.path)
    opened.model = model.names
    opened.companions = [Companions(files: try model.companions(), path: found.path, isModel: true)]
    opened.warnings = model.warnings.map { $0.placed(in: found.path.string) }  // the engine has a config.json, too
    do {
      let weights = try ConvertedWeights(model.tensors, model: model.model, mapping: mapping, elementType: type)
      opened.weights = weights
      opened.warnings += weights.warnings.map { $0.placed(in: found.path.string) }
    } catch { opened.problems = try refusal(error).problems }
    return opened
  }

  /// Under which names an engine's model is known: by its last refit, else by what it was built from.
  private static func names(of engine: EngineDirectory) -> ModelNames {
    guard let known = (try? Lineage(directory: engine.path))?.model else { return ModelNames(config: engine.pretrained.json) }
    return ModelNames(known)
  }

  /// A problem whose cause is that the adapter was trained on another model, where that is so.
  private static func explained(_ problem: AdapterProblem, _ trainedOn: String?, model: ModelNames) -> AdapterProblem {
    guard let trainedOn, problem.suggestsOtherModel, [.modules, .shapes, .architecture].contains(problem.kind), model.isEmpty || !model.include(trainedOn) else { return problem }
    var problem = problem
    problem.remedy = "It names \(NameSummary([trainedOn])) as the base it was trained on: use an engine of that model."
    return problem
  }

  /// An error of another kind as one of an adapter among others.
  private static func problem(_ error: any Error, of path: FilePath) -> AdapterProblem {
    var text = "\(error)".split(whereSeparator: \.isNewline).map { $0.drop(while: { $0 == " " }) }.joined(separator: " ")
    if text.hasPrefix("\(path.inMessage): ") { text.removeFirst("\(path.inMessage): ".count) }
    return AdapterProblem(.files, text, remedy: "Do for each what is said, or leave it out.")
  }

  /// In the place of weights that cannot be read.
  private struct NoWeights: WeightSource {
    let origin: String
    func names(rank: Int) -> [String] { [] }
    func description(of name: String, rank: Int) -> TensorDescription? { nil }
    func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      throw WeightSourceError(origin, .missing(names: [name]))
    }
  }

  /// Of ``adapters``, in their order.
  func adapterDigests() async throws -> [String] { try adapterFiles.map(Self.digest) }

  /// SHA-256 over the adapter's files, one after the other.
  private static func digest(_ adapter: LoRAAdapter) throws -> String {
    var hash = SHA256()
    for file in adapter.files {
      for start in stride(from: 0, to: file.byteCount, by: 1 << 20) {
        hash.update(try file.bytes(start..<min(start + 1 << 20, file.byteCount)))
      }
    }
    return hash.finalize().hexadecimal
  }
}
