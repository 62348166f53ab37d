import Checkpoints
import JSON
import Networks
import OrderedCollections
import Tensors
import Threads
import WeightSources

/// Finds everything that is wrong with a source before anything is written, and what becomes of each weight.
struct RefitCheck {
  let engine: EngineDirectory
  let source: RefitSource
  let lineage: Lineage?
  let companions: EngineCompanions
  let ignoresFrozen: Bool
  let workers: Int
  /// Ranks whose weights are asked for; each process of several looks after its own.
  let ranks: Set<Int>
  /// Warnings are errors, so values are looked at too.
  let isStrict: Bool

  struct Outcome: Sendable {
    var dispositions: [OrderedDictionary<String, Disposition>] = []
    var problems: [RefitProblem] = []
    var warnings: [String] = []
    var refitted = 0
    var filled = 0
    var kept = 0
    /// Tensors of the source that no weight uses.
    var ignored = 0
    /// Whether the source gives a weight that the engine does not let a refit change.
    var givesFrozen = false
  }

  func run() async throws -> Outcome {
    var outcome = Outcome()
    outcome.problems += StructureCheck(engine: engine).problems(source) + source.problems + Self.editedFiles(of: engine, lineage) + companions.problems
    outcome.warnings += source.warnings.map(\.description) + typeWarnings() + lengthWarnings() + baseWarnings() + companions.warnings
    if source.usesEngineWeights, source.base == nil, let lineage, !lineage.adapters.isEmpty {
      outcome.problems.append(.adapterOnAdapter(adapters: lineage.adapters.map(\.path), parent: lineage.parent, isSource: false))
    }
    if !source.adapters.isEmpty, !source.carried.isEmpty {
      outcome.problems.append(.adapterOnAdapter(adapters: source.carried.map(\.path), parent: [], isSource: true))
    }
    var frozen: [(rank: Int, name: String)] = []
    let plans = engine.ranks.map(\.plan)
    for (rank, file) in engine.ranks.enumerated() {
      var dispositions: OrderedDictionary<String, Disposition> = [:]
      guard ranks.contains(rank), rank < source.rankCount, source.problems.isEmpty else { outcome.dispositions.append(dispositions); continue }
      let touched = source.touched?(rank)
      for (name, weight) in file.plan.weights {
        let isPresent = file.contains(name)
        if let touched, isPresent, touched.isDisjoint(with: weight.recipe.inputs.map(\.name)) {
          dispositions[name] = .keep
          outcome.kept += 1
          continue
        }
        let obstacles = Unavailable.parts(of: weight, from: source.weights, rank: rank)
        let stays = isPresent && !weight.isRefittable
        if stays {
          dispositions[name] = .keep
          outcome.kept += 1
          if obstacles.isEmpty {
            outcome.givesFrozen = true
            if !ignoresFrozen { frozen.append((rank, name)) }
          }
        } else if obstacles.isEmpty {
          dispositions[name] = .make
          if isPresent { outcome.refitted += 1 } else { outcome.filled += 1 }
        }
        // Pruned or not given, a frozen weight of the engine's own stays; given, it must be the same.
        outcome.problems += obstacles.compactMap { problem($0, rank: rank, isOptional: stays) }
      }
      let surplus = SurplusTensors.names(in: source.weights, rank: rank, plans: plans)
      outcome.ignored += surplus.count
      if let warning = SurplusTensors.warning(surplus, rank: rank) { outcome.warnings.append(warning) }
      outcome.dispositions.append(dispositions)
    }
    outcome.problems = RefitProblem.namingVocabulary(outcome.problems)
    // Of codes in another scheme than the engine's that is reported once, not for each weight.
    let isOtherScheme = outcome.problems.contains { if case .configuration(let field, _, _) = $0 { field.hasPrefix("quantization") } else { false } }
    if isOtherScheme { outcome.problems.removeAll { if case .elementType = $0 { true } else { false } } }
    // Values are read only where names and shapes are in order.
    if outcome.problems.isEmpty { outcome.problems += try await valueProblems(frozen) }
    if isStrict {
      if outcome.problems.isEmpty { outcome.warnings += try await nonFiniteWarnings(outcome.dispositions) }
      outcome.problems += outcome.warnings.map(RefitProblem.warning)
      outcome.warnings = []
    }
    return outcome
  }

  private func problem(_ obstacle: Unavailable, rank: Int, isOptional: Bool) -> RefitProblem? {
    switch obstacle {
    case .missing where isOptional, .emptied where isOptional: nil
    case .missing(let part) where part == EmbeddingSharing.logits && hasEmbedding(rank): .tied(rank: rank)
    case .missing(let part): .missing(tensor: part, rank: rank, isStripped: source.engine?.ranks.contains { $0.isStripped } ?? false)
    case .emptied(let part): .notInitialized(tensor: part, rank: rank)
    case .shape(let part, let wanted, let found):
      .shapeMismatch(tensor: part, rank: rank, engine: wanted, checkpoint: found)
    case .elementType(let part, let wanted, let found):
      .elementType(tensor: part, rank: rank, engine: wanted.name, checkpoint: found.name)
    }
  }

  /// Whether a build would make one table of the source's two, of which the engine has two that differ. (Two equal ones, or none, are of an
  /// engine that was built without values to tell by.)
  private func sharesTables() throws -> Bool {
    guard let config = source.config, source.adapters.isEmpty, let plan = engine.ranks.last?.plan, plan.weights[EmbeddingSharing.logits] != nil,
      !engine.ranks.contains(where: { $0.isStripped })
    else { return false }
    return try EmbeddingSharing.decide(config: config, source: source.weights, rank: plan.rank)
      && !EmbeddingSharing.decide(config: engine.pretrained, source: EngineWeights(engine.ranks), rank: plan.rank)
  }

  private func hasEmbedding(_ rank: Int) -> Bool {
    (source.weights.description(of: EmbeddingSharing.embedding, rank: rank)?.elementCount ?? 0) > 0
  }

  private func valueProblems(_ frozen: [(rank: Int, name: String)]) async throws -> [RefitProblem] {
    enum Question: Sendable { case frozen(rank: Int, name: String), tied(rows: Range<Int>) }
    var questions: [(cost: Int, job: Question)] = frozen.map { [ranks = engine.ranks] rank, name in
      (ranks[rank].plan.weights[name]?.stored.byteCount ?? 0, .frozen(rank: rank, name: name))
    }
    // An engine whose last rank reads its logits from the embedding table.
    if let plan = engine.ranks.last?.plan, plan.weights[EmbeddingSharing.logits] == nil,
      let head = source.weights.description(of: EmbeddingSharing.logits, rank: plan.rank), head.elementCount > 0
    {
      let piece = max(1, (head.rowCount + workers - 1) / workers)
      for first in stride(from: 0, to: head.rowCount, by: piece) {
        questions.append((piece * head.rowByteCount, .tied(rows: first..<min(first + piece, head.rowCount))))
      }
    }
    let found = FoundProblems()
    if try sharesTables() { found.add(.shared) }
    let (engine, source) = (engine, source)
    try await Jobs.run(questions, workers: workers, makeWorker: { WeightMaker() }) { maker, question in
      switch question {
      case .frozen(let rank, let name):
        let file = engine.ranks[rank]
        if try !maker.agrees(.make(name, of: file.plan, place: rank, from: source.weights), with: file) {
          found.add(.frozenDiffers(weight: name, rank: rank))
        }
      case .tied(let rows):
        let rank = engine.ranks.count - 1
        if try !Comparison.equal(EmbeddingSharing.embedding, EmbeddingSharing.logits, in: source.weights, rank: rank, rows: rows) {
          found.add(.untied)
        }
      }
    }
    return found.sorted
  }

  /// Plans that are not those the lineage was written for. (Weights are not read for it: `--verify_engine` does.)
  static func editedFiles(of engine: EngineDirectory, _ lineage: Lineage?) -> [RefitProblem] {
    guard let lineage else { return [] }
    return engine.ranks.compactMap { file in
      guard let name = file.path.lastComponent?.string, let digest = lineage.ranks.first(where: { $0.file == name }),
        RankDigest.rootDigest(planText: file.planText, weights: digest.weights) != digest.root
      else { return nil }
      return .edited(file: name)
    }
  }

  /// Adapters that say they were trained on a model of another name than the one they are put on.
  private func baseWarnings() -> [String] {
    source.adapters.compactMap { adapter in
      guard let base = adapter.trainedOn, !source.model.isEmpty, !source.model.include(base) else { return nil }
      // Names out of files: on one line, and not for ever.
      let names = source.model.all.prefix(3).map { "'\(NameSummary.shortened($0, to: 60))'" }.joined(separator: " or ")
      return "the adapter \(adapter.path.inMessage) was trained on '\(NameSummary.shortened(base, to: 60))', and is put on \(names): "
        + "if these are two models, answers will be wrong"
    }
  }

  private func typeWarnings() -> [String] {
    guard let config = source.config else { return [] }
    var warnings: [String] = []
    if config.elementType != engine.pretrained.elementType {
      warnings.append("the source holds \(config.elementType.rawValue), the engine \(engine.pretrained.elementType.rawValue): values are rounded to the engine's")
    }
    // Two classes may make one plan; who meant the other model should know all the same.
    if config.architecture != engine.pretrained.architecture {
      warnings.append("the source is a \(config.architecture), the engine was built of a \(engine.pretrained.architecture)")
    }
    return warnings
  }

  /// How long a sequence may be is the engine's, whatever the source's model was made for.
  private func lengthWarnings() -> [String] {
    guard let positions = source.config?.maximumPositions, let length = engine.ranks.first?.plan.limits.sequenceLength else { return [] }
    let own = engine.pretrained.maximumPositions
    let name = source.kind == WeightSourceKind.gguf.rawValue ? "context_length" : "max_position_embeddings"
    if positions < length, positions != own {
      return ["the source's model was made for \(positions) tokens (\(name)); the engine takes \(length) (max_seq_len)"]
    }
    if positions > length, own == length {
      return ["the source's model was made for \(positions) tokens (\(name)); the engine keeps to \(length) (max_seq_len)"]
    }
    return []
  }

  /// Makes every weight once without writing it, to see whether all values are numbers.
  private func nonFiniteWarnings(_ dispositions: [OrderedDictionary<String, Disposition>]) async throws -> [String] {
    var jobs: [WeightJob] = []
    for (place, table) in dispositions.enumerated() {
      for (name, disposition) in table where disposition == .make {
        jobs.append(.make(name, of: engine.ranks[place].plan, place: place, from: source.weights))
      }
    }
    let made = try await WeightPipeline(workers: workers, digests: nil).run(jobs, to: NoSink())
    return Self.nonFiniteWarnings(made.map(\.written), as: engine.pretrained.elementType)
  }

  /// - Parameter type: The engine's.
  static func nonFiniteWarnings(_ weights: [WrittenWeight], as type: ElementType) -> [String] {
    let found = weights.filter { $0.nonFiniteCount > 0 }
    func line(_ place: String, _ count: Int) -> String { "\(place): \(count) value(s) are \(NumberFormat.nonFiniteText(type))" }
    guard found.count > 10 else { return found.map { line("rank \($0.rank): \($0.name)", $0.nonFiniteCount) } }
    // Of many, those that differ only in rank and layer are one line.
    var groups: OrderedDictionary<String, (weights: Int, values: Int)> = [:]
    for weight in found {
      let known = groups[NameSummary.pattern(weight.name)] ?? (0, 0)
      groups[NameSummary.pattern(weight.name)] = (known.weights + 1, known.values + weight.nonFiniteCount)
    }
    func lines(_ groups: some Sequence<(key: String, value: (weights: Int, values: Int))>) -> [String] {
      groups.map { line("\($0.key) (\($0.value.weights) weights)", $0.value.values) }
    }
    guard groups.count > 10 else { return lines(groups) }
    let rest = groups.dropFirst(9)
    return lines(groups.prefix(9)) + [line("\(rest.reduce(0) { $0 + $1.value.weights }) more weights", rest.reduce(0) { $0 + $1.value.values })]
  }
}

extension WeightMaker {
  /// Whether the job's recipe gives the bytes that the engine holds.
  func agrees(_ job: WeightJob, with engine: EngineFile) throws -> Bool {
    guard case .recipe(let program, let source) = job.origin else { return true }
    var row = 0
    while let tile = unsafe try next(program, from: source, rank: job.rank, row: &row) {
      let buffer = unsafe held.bytes(tile.bytes.count)
      unsafe try engine.tensors.read(job.name, rows: tile.storedRows, into: buffer)
      guard unsafe sameBytes(tile.bytes, UnsafeRawBufferPointer(buffer)) else { return false }
    }
    return true
  }
}
