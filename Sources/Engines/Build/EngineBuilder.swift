import Checkpoints
import Files
public import JSON
import Networks
import OrderedCollections
import Schemes
public import SystemPackage
public import Tensors
public import Threads
public import WeightSources

/// Makes an engine directory from a model: a plan for every rank, then its recipes.
public struct EngineBuilder: Sendable {
  /// What an engine is built for, and how.
  public struct Options: Sendable {
    /// Nil: the model's longest sequence.
    public var maximumSequenceLength: Int?
    /// `max_batch_size`: sequences in a step, from 1 to 2^24.
    public var maximumBatchSize = 2048
    /// `max_input_len`: tokens of a prompt; no more than a sequence's are taken.
    public var maximumInputLength = 1024
    /// `max_num_tokens`: rows in a step, from 1 to 2^24.
    public var maximumTokens = 8192
    /// Leave refittable weights out.
    public var strip = false
    /// Which weights a refit may change.
    public var scope = RefitScope.standard
    /// How keys and values are kept, float32 or bfloat16; nil: as the target would beside weights of the model's type.
    public var cacheElementType: ElementType?
    /// Choices of kernels that are not measured again.
    public var timingCache = TimingCache()
    /// Threads that make weights.
    public var workers = 1
    /// Upstream's defaults, for a sequence as long as the model allows.
    public init() {}
  }
  /// What was built.
  public struct Result: Sendable {
    /// By rank, with tactics and artifacts.
    public var plans: [Plan]
    /// What was given, with what was measured.
    public var timingCache: TimingCache
    /// Whether refittable weights are left out: asked for, or since the checkpoint is pruned.
    public var isStripped: Bool
    /// Of the weights that were written.
    public var byteCount: Int
    /// What the values gave cause to say: NaN and infinity, with counts.
    public var warnings: [String]
    /// Why the engine carries less of what its target makes than it might, each line once; no cause for doubt in it.
    public var notes: [String]
  }
  /// Read when a model is prepared; ``Options/workers`` when it is written.
  public var options: Options
  /// What is planned for.
  public var target: any PlanTarget

  /// Checks nothing; ``prepare(_:)`` does.
  public init(options: Options, target: any PlanTarget) {
    self.options = options
    self.target = target
  }

  /// The plans and what each file will hold; nothing is written.
  public struct Prepared: Sendable {
    var ranks: [EngineWriter.Rank]
    var auxiliaryFiles: [AuxiliaryFile]
    /// What tokenizer, chat template and generation settings give cause to say.
    public var fileWarnings: [String]
    /// What may surprise, and is as it should be.
    public var fileRemarks: [String]
    /// What was given, with what was measured.
    public var timingCache: TimingCache
    /// Whether refittable weights are left out: asked for, or since the checkpoint is pruned.
    public var isStripped: Bool
    /// The engine's `config.json`.
    public var configuration: JSONValue
    /// What the configuration gave cause to say.
    public var warnings: [SourceWarning]
    /// Tensors that no weight is made of, a line for each rank.
    public var tensorWarnings: [String]
    /// By rank, with tactics; artifacts come when the engine is written.
    public var plans: [Plan] { ranks.map(\.plan) }
    /// All that is to be said of the model before it is built, each line once.
    func allWarnings(of source: BuildSource) -> Lineage.Warnings {
      var said: Set<String> = []
      let model = ((source.warnings + warnings).map(\.description) + tensorWarnings).filter { said.insert($0).inserted }
      return Lineage.Warnings(model: model, files: fileWarnings.filter { said.insert($0).inserted })
    }
    /// About the bytes of the whole directory, rather more than less; without artifacts, which are made later, and by targets whose
    /// engines no cache holds.
    var fileByteCount: Int {
      let texts = ranks.reduce(configuration.serialized().utf8.count) { $0 + 2 * $1.planText.utf8.count + 256 * $1.plan.weights.count }
      return byteCount + texts + auxiliaryFiles.reduce(0) { $0 + $1.byteCount } + 1 << 16
    }
    /// Bytes of the weights that will be written.
    public var byteCount: Int {
      ranks.reduce(0) { sum, rank in
        rank.dispositions.reduce(sum) { $0 + ($1.value == .absent ? 0 : rank.plan.weights[$1.key]?.stored.byteCount ?? 0) }
      }
    }
  }

  /// Checks everything that can be wrong with the source.
  public func prepare(_ opened: BuildSource) throws -> Prepared {
    let config = opened.config
    let source = opened.weights
    let (limits, limitWarnings) = try limits(opened)
    let companions = try opened.companionFiles()
    let auxiliaryFiles = companions.all
    let findings = try companions.findings(modelVocabulary: config.vocabularySize)
    var planner = try planner(opened, limits)
    let strip = options.strip || config.isPruned
    var ranks: [EngineWriter.Rank] = []
    var problems: [String] = []
    for rank in 0..<config.mapping.worldSize {
      var plan = try plan(opened, rank, &planner)
      var dispositions: OrderedDictionary<String, Disposition> = [:]
      for (name, weight) in plan.weights {
        let obstacles = Unavailable.parts(of: weight, from: source, rank: rank)
        dispositions[name] = (strip && weight.isRefittable) || !obstacles.isEmpty ? .absent : .make
        problems += obstacles.compactMap { problem($0, config).map { "rank \(rank): \($0)" } }
      }
      // Measuring takes time and memory by the configuration's sizes: only after the tensors have confirmed them.
      guard problems.isEmpty else { continue }
      planner.chooseTactics(&plan)
      ranks.append(
        EngineWriter.Rank(
          plan: plan, planText: plan.json.serialized(), dispositions: dispositions, previous: nil, source: source))
    }
    guard problems.isEmpty else {
      throw EngineError(
        opened.path,
        .source(
          reason: "the checkpoint does not fit its config.json. Convert the model again, or copy the whole directory.\n  "
            + LineSummary.lines(problems).joined(separator: "\n  ")))
    }
    // Tables that are one weight have been compared.
    let isCompared = opened.kind != .checkpoint || ranks.allSatisfy { $0.plan.weights[EmbeddingSharing.logits] == nil }
    let contradiction = try isCompared ? [] : [EmbeddingSharing.contradiction(config: config, source: source)].compactMap(\.self)
    let plans = ranks.map(\.plan)
    let disagreements = EngineDirectory.disagreements(plans)
    guard disagreements.isEmpty else {
      throw EngineError(opened.path, .unsupported(reason: "the ranks of this model cannot run together: " + disagreements.joined(separator: "; ")))
    }
    return Prepared(
      ranks: ranks, auxiliaryFiles: auxiliaryFiles, fileWarnings: findings.all, fileRemarks: findings.remarks,
      timingCache: planner.timingCache, isStripped: strip, configuration: configuration(config, limits: limits, isStripped: strip),
      warnings: ConfigurationWarnings.unused(config) + limitWarnings + contradiction,
      tensorWarnings: ranks.indices.compactMap { SurplusTensors.warning(SurplusTensors.names(in: source, rank: $0, plans: plans), rank: $0) })
  }

  /// The plans of all ranks without kernels, whose choice takes time: what an engine will ask of the machine that runs it.
  ///
  /// - Throws: ``EngineError``; that a model can be built is told by ``prepare(_:)`` alone.
  public func plans(_ opened: BuildSource) throws -> [Plan] {
    var planner = try planner(opened, try limits(opened).0)
    return try (0..<opened.config.mapping.worldSize).map { try plan(opened, $0, &planner) }
  }

  private func planner(_ opened: BuildSource, _ limits: PlanLimits) throws(EngineError) -> Planner {
    let (layerCount, tensorCount) = (opened.config.layerCount, opened.tensorCount)
    guard layerCount <= tensorCount else {
      throw EngineError(
        opened.path,
        .source(reason: "config.json speaks of \(layerCount) layers, and there are only \(tensorCount) tensors. Convert the model again."))
    }
    return Planner(
      target: target, limits: limits, scope: options.scope, cacheElementType: options.cacheElementType, timingCache: options.timingCache)
  }

  private func plan(_ opened: BuildSource, _ rank: Int, _ planner: inout Planner) throws -> Plan {
    let shares = try opened.sharesEmbedding(rank: rank)
    let plan: Plan
    do {
      plan = try planner.plan(config: opened.config, rank: rank, sharesEmbedding: shares)
    } catch {
      throw EngineError(opened.path, .unsupported(reason: "\(error)"))
    }
    try check(plan, opened)
    return plan
  }

  /// Asks what will be asked when the engine is opened: nothing is built that could not be.
  private func check(_ plan: Plan, _ opened: BuildSource) throws(EngineError) {
    var reasons = target.obstacles(to: plan)
    do throws(PlanFormatError) { _ = try Plan(json: plan.json) } catch { reasons.append(error.reason) }
    guard !reasons.isEmpty else { return }
    throw EngineError(
      opened.path, .unsupported(reason: "no engine for \(target.name) can be built: " + reasons.joined(separator: "; ")))
  }

  private func problem(_ obstacle: Unavailable, _ config: CheckpointConfig) -> String? {
    switch obstacle {
    case .emptied where config.isPruned: nil
    case .emptied(let part): "\(part) is empty, but config.json does not say is_pruned"
    case .missing(let part) where part == EmbeddingSharing.logits && config.tieWordEmbeddings == false:
      "\(part) is missing, and tie_word_embeddings is false: the model has a table of its own for it"
    case .missing(let part): "\(part) is missing"
    case .shape(let part, let wanted, let found): "\(part) has shape \(found), the configuration needs \(wanted)"
    case .elementType(let part, let wanted, let found): Self.cannotBecome(part, wanted, found)
    }
  }

  private static func cannotBecome(_ part: String, _ wanted: NumberScheme, _ found: NumberScheme) -> String {
    guard wanted.coding != nil, found == .plain(.int8) else { return "\(part) holds \(found.name), which cannot become \(wanted.name)" }
    return "\(part) holds whole numbers in the order of a GPU model that is not named: convert the model again, with --quantization \(wanted.name)"
  }

  /// Whether an engine of `source` may be written to `target`; writes nothing.
  public func check(_ source: BuildSource, to target: FilePath) throws {
    try OutputDirectory.check(target, as: .engine, notOverlapping: [source.path])
  }

  /// Writes the engine: complete under its name, or not at all.
  public func write(
    _ prepared: Prepared, of source: BuildSource, to target: FilePath, progress: ProgressCounter? = nil
  ) async throws -> Result {
    let output = try OutputDirectory.begin(target, as: .engine, notOverlapping: [source.path])
    let warnings: [String]
    let ranks: [EngineWriter.Rank], notes: [String]
    do {
      (ranks, notes) = try withArtifacts(prepared.ranks, source)
      for file in prepared.auxiliaryFiles { try output.write(file) }
      try output.write("config.json", text: prepared.configuration.serialized(indent: 4) + "\n")
      let written = try await EngineWriter(workers: options.workers, progress: progress).write(ranks, to: output)
      warnings = RefitCheck.nonFiniteWarnings(written.weights, as: source.config.elementType)
      try EngineSeal.write(written.digests, to: output)
      var lineage = Lineage(
        action: "build", tool: Tool.name, created: Tool.timestamp(), sourceKind: source.kind.rawValue,
        sourcePath: Directory.absolute(source.path).string, sourceDigest: try SourceFingerprint.of(source.path), adapters: [],
        model: source.names.all, parent: [], ranks: written.digests)
      var files: OrderedDictionary<String, Lineage.File> = [:]
      for file in prepared.auxiliaryFiles { files[file.name] = Lineage.File(digest: try file.digest(), source: lineage.sourcePath) }
      lineage.files = files
      // For whoever starts from the engine and never sees the model.
      lineage.warnings = prepared.allWarnings(of: source)
      lineage.warnings?.model += LineSummary.lines(warnings)
      try output.write(Lineage.fileName, text: lineage.json.serialized(indent: 2) + "\n")
      try Task.checkCancellation()  // until here nothing has changed
      try output.commit()
    } catch {
      output.abandon()
      throw error
    }
    return Result(
      plans: ranks.map(\.plan), timingCache: prepared.timingCache, isStripped: prepared.isStripped,
      byteCount: prepared.byteCount, warnings: warnings, notes: notes)
  }

  /// The ranks with what the target makes for them, and what is to be said of that.
  private func withArtifacts(_ prepared: [EngineWriter.Rank], _ opened: BuildSource) throws -> ([EngineWriter.Rank], [String]) {
    var (ranks, notes) = (prepared, [String]())
    for index in ranks.indices {
      try Task.checkCancellation()
      let found: TargetArtifacts
      do { found = try target.artifacts(for: ranks[index].plan) } catch {
        throw EngineError(opened.path, .unsupported(reason: "no engine for \(target.name) can be built: \(error)"))
      }
      for note in found.notes where !notes.contains(note) { notes.append(note) }
      guard !found.made.isEmpty else { continue }
      ranks[index].plan.artifacts = found.made.map(\.planned)
      ranks[index].artifacts = found.made
      ranks[index].planText = ranks[index].plan.json.serialized()
      try check(ranks[index].plan, opened)
    }
    return (ranks, notes)
  }

  private func limits(_ opened: BuildSource) throws(EngineError) -> (PlanLimits, [SourceWarning]) {
    let (config, directory, names) = (opened.config, opened.path, opened.settingNames)
    // Attention here looks at the whole sequence: beyond a sliding window results would differ from the model's.
    let limit: SequenceLimit
    do { limit = try SequenceLimit(config, asked: options.maximumSequenceLength, names: names) } catch {
      throw EngineError(directory, .unsupported(reason: error.reason))
    }
    let sequence = limit.length
    guard sequence != 1 else {
      throw EngineError(
        directory,
        .unsupported(
          reason: options.maximumSequenceLength == nil
            ? "\(names.file) gives sequences of 1 token (\(names.positions), \(names.window)), and a prompt and an answer are at least 2: nothing could be generated."
            : "--max_seq_len is 1; it must be at least 2: a prompt and an answer"))
    }
    if options.maximumSequenceLength == nil, !(1...1 << 24).contains(sequence) {
      throw EngineError(
        directory, .unsupported(reason: "\(names.positions) of \(names.file) gives sequences of \(sequence) tokens, at most 16777216 are supported: give --max_seq_len"))
    }
    for (flag, value) in [
      ("max_seq_len", sequence), ("max_batch_size", options.maximumBatchSize),
      ("max_input_len", options.maximumInputLength), ("max_num_tokens", options.maximumTokens),
    ] where value < 1 || value > 1 << 24 {
      throw EngineError(directory, .unsupported(reason: "--\(flag) is \(value); it must be from 1 to 16777216"))
    }
    let limits = PlanLimits(
      batchSize: options.maximumBatchSize, inputLength: min(options.maximumInputLength, sequence),
      sequenceLength: sequence, tokens: options.maximumTokens)
    return (limits, limit.warnings)
  }

  private func configuration(_ config: CheckpointConfig, limits: PlanLimits, isStripped: Bool) -> JSONValue {
    let build: JSONValue = [
      "max_input_len": .int(limits.inputLength), "max_seq_len": .int(limits.sequenceLength), "opt_batch_size": 8,
      "max_batch_size": .int(limits.batchSize), "max_beam_width": 1, "max_num_tokens": .int(limits.tokens),
      "opt_num_tokens": .int(min(limits.batchSize, limits.tokens)), "max_prompt_embedding_table_size": 0,
      "kv_cache_type": "PAGED", "gather_context_logits": false, "gather_generation_logits": false,
      "strongly_typed": true, "max_draft_len": 0, "speculative_decoding_mode": 1, "use_refit": false,
      "lora_config": [:], "weight_sparsity": false, "weight_streaming": false,
      "plugin_config": ["paged_kv_cache": true, "remove_input_padding": true, "tokens_per_block": 16, "use_fused_mlp": true],
      "use_strip_plan": .bool(isStripped),
    ]
    return [
      "version": .string(Tool.version), "pretrained_config": config.json, "build_config": build,
      "drydock": ["target": .string(target.name), "refit_scope": .string(options.scope.rawValue)],
    ]
  }
}
