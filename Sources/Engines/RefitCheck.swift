import Checkpoints
import JSON
import Networks
import OrderedCollections
import WeightSources

/// Finds everything that is wrong with a source before anything is written, and what becomes of each weight.
struct RefitCheck {
  let engine: EngineDirectory
  let source: RefitSource
  let lineage: Lineage?
  let ignoresFrozen: Bool
  let workers: Int

  struct Outcome: Sendable {
    var dispositions: [OrderedDictionary<String, Disposition>] = []
    var problems: [RefitProblem] = []
    var warnings: [String] = []
    var refitted = 0
    var filled = 0
    var kept = 0
  }

  func run() async throws -> Outcome {
    var outcome = Outcome()
    outcome.problems += configurationProblems()
    if source.usesEngineWeights, let lineage, !lineage.adapters.isEmpty {
      outcome.problems.append(.adapterOnAdapter(adapters: lineage.adapters.map(\.path), parent: lineage.parent))
    }
    var frozen: [(rank: Int, name: String)] = []
    var unused = 0
    for (rank, file) in engine.ranks.enumerated() {
      var dispositions: OrderedDictionary<String, Disposition> = [:]
      var used: Set<String> = []
      let touched = source.touched?(rank)
      for (name, weight) in file.plan.weights {
        used.formUnion(weight.recipe.inputs.map(\.name))
        let isPresent = file.contains(name)
        if let touched, isPresent, touched.isDisjoint(with: weight.recipe.inputs.map(\.name)) {
          dispositions[name] = .keep
          outcome.kept += 1
          continue
        }
        let availability = Availability.of(weight, from: source.weights, rank: rank)
        if isPresent && !weight.isRefittable {
          dispositions[name] = .keep
          outcome.kept += 1
          // Pruned or not given, the engine's own stays; given, it must be the same.
          switch availability {
          case .available: if !ignoresFrozen { frozen.append((rank, name)) }
          case .shape(let part, let wanted, let found):
            outcome.problems.append(.shapeMismatch(tensor: part, rank: rank, engine: wanted, checkpoint: found))
          case .missing, .emptied: break
          }
          continue
        }
        switch availability {
        case .available:
          dispositions[name] = .make
          if isPresent { outcome.refitted += 1 } else { outcome.filled += 1 }
        case .missing(let part) where part == EmbeddingSharing.logits && hasEmbedding(rank):
          outcome.problems.append(.tied(rank: rank))
        case .missing(let part): outcome.problems.append(.missing(tensor: part, rank: rank))
        case .emptied(let part): outcome.problems.append(.notInitialized(tensor: part, rank: rank))
        case .shape(let part, let wanted, let found):
          outcome.problems.append(.shapeMismatch(tensor: part, rank: rank, engine: wanted, checkpoint: found))
        }
      }
      let surplus = source.weights.names(rank: rank).filter { !used.contains($0) && $0 != EmbeddingSharing.logits }
      unused += surplus.count
      if !surplus.isEmpty {
        outcome.warnings.append(
          "rank \(rank): \(surplus.count) tensor(s) of the source are in no engine weight: "
            + surplus.prefix(3).joined(separator: ", ") + (surplus.count > 3 ? ", …" : ""))
      }
      outcome.dispositions.append(dispositions)
    }
    // Values are read only where names and shapes are in order.
    if outcome.problems.isEmpty { outcome.problems += try await valueProblems(frozen) }
    return outcome
  }

  private func hasEmbedding(_ rank: Int) -> Bool {
    (source.weights.description(of: EmbeddingSharing.embedding, rank: rank)?.elementCount ?? 0) > 0
  }

  private func valueProblems(_ frozen: [(rank: Int, name: String)]) async throws -> [RefitProblem] {
    enum Question: Sendable { case frozen(rank: Int, name: String), tied }
    var questions: [(cost: Int, job: Question)] = frozen.map { [ranks = engine.ranks] rank, name in
      (ranks[rank].plan.weights[name]?.stored.byteCount ?? 0, .frozen(rank: rank, name: name))
    }
    // An engine whose last rank reads its logits from the embedding table.
    if let plan = engine.ranks.last?.plan, plan.weights[EmbeddingSharing.logits] == nil,
      let head = source.weights.description(of: EmbeddingSharing.logits, rank: plan.rank), head.elementCount > 0
    {
      questions.append((head.byteCount, .tied))
    }
    let found = FoundProblems()
    let (engine, source) = (engine, source)
    try await Work.run(questions, workers: workers, makeWorker: { WeightMaker() }) { maker, question in
      switch question {
      case .frozen(let rank, let name):
        let file = engine.ranks[rank]
        guard let weight = file.plan.weights[name], let program = RecipeProgram(weight) else { return }
        if try !maker.agrees(name, program, source: source.weights, engine: file) {
          found.add(.frozenDiffers(weight: name, rank: rank))
        }
      case .tied:
        let rank = engine.ranks.count - 1
        if try !Comparison.equal(EmbeddingSharing.embedding, EmbeddingSharing.logits, in: source.weights, rank: rank) {
          found.add(.untied)
        }
      }
    }
    return found.sorted
  }

  /// Structure must agree field by field: every one of these is baked into the plan.
  private func configurationProblems() -> [RefitProblem] {
    guard let config = source.config else { return [] }
    let mine = engine.pretrained
    var problems: [RefitProblem] = []
    func compare<T: Equatable>(_ field: String, _ value: (CheckpointConfig) -> T) {
      let (engine, checkpoint) = (value(mine), value(config))
      guard engine != checkpoint else { return }
      problems.append(.configuration(field: field, engine: "\(engine)", checkpoint: "\(checkpoint)"))
    }
    compare("architecture", \.architecture)
    compare("hidden_size", \.hiddenSize)
    compare("num_hidden_layers", \.layerCount)
    compare("num_attention_heads", \.headCount)
    compare("num_key_value_heads", \.keyValueHeadCount)
    compare("head_size", \.headSize)
    compare("intermediate_size", \.intermediateSize)
    compare("vocab_size") { $0.vocabularySize }
    compare("hidden_act", \.hiddenActivation)
    compare("norm_epsilon") { Float($0.normEpsilon) }  // GGUF holds float32
    compare("position_embedding_type", \.positionEmbeddingType)
    compare("rotary_base") { Float($0.rotaryBase) }
    compare("rotary_scaling") { $0.rotaryScaling.flatMap { $0.isNull ? nil : $0.serialized() } ?? "null" }
    compare("attn_bias", \.attentionBias)
    compare("mlp_bias", \.mlpBias)
    compare("mapping.tp_size", \.mapping.tensorParallel)
    compare("mapping.pp_size", \.mapping.pipelineParallel)
    compare("quantization.quant_algo") { $0.quantization.algorithm?.rawValue ?? "null" }
    return problems
  }
}

extension WeightMaker {
  /// Whether the recipe gives the bytes that the engine holds.
  func agrees(_ name: String, _ program: RecipeProgram, source: any WeightSource, engine: EngineFile) throws -> Bool {
    struct Differs: Error {}
    var held = Scratch()
    do {
      unsafe try make(program, from: source, rank: engine.plan.rank) { rows, bytes in
        let buffer = unsafe held.bytes(bytes.count)
        unsafe try engine.tensors.read(name, rows: rows, into: buffer)
        guard unsafe sameBytes(bytes, UnsafeRawBufferPointer(buffer)) else { throw Differs() }
      }
      return true
    } catch is Differs {
      return false
    }
  }
}
