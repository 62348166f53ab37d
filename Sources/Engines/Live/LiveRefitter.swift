import Files
import OrderedCollections
import SystemPackage
public import Threads
import Tokenizers
import WeightSources

/// New weights for a running engine, in memory beside the old ones. Nothing uses them yet.
public struct MadeWeights: Sendable {
  /// For each rank, the weights that differ from the engine file's, by name; all others are the file's.
  public var ranks: [[String: WeightMemory]]
  /// As a refit into a new directory would have written it: the digests are the same.
  public var lineage: Lineage
  /// Weights of all ranks that were made and differ from the engine file's.
  public var made: Int
  /// Weights that were made and came out as the engine file has them.
  public var unchanged: Int
  /// Weights that were not touched.
  public var kept: Int
  /// What may surprise and stopped nothing, a line each.
  public var warnings: [String]

  /// Memory that ``ranks`` takes, a weight of the base that it shares included.
  public var byteCount: Int { ranks.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.byteCount } } }
}

/// Makes new weights for an engine whose files stay as they are, with the checks and recipes of a refit.
public struct LiveRefitter: Sendable {
  /// What runs; its files are only read.
  public let engine: EngineDirectory
  /// Of the engine's files: those of its lineage, or computed where it has none.
  public let digests: [RankDigest]

  /// Reads the engine's lineage, or hashes all of its weights where that has no digests of the newest kind.
  ///
  /// - Throws: ``EngineError`` where `lineage.json` cannot be read, or what reading weights throws.
  public init(_ engine: EngineDirectory) async throws {
    self.engine = engine
    if let lineage = try Lineage(directory: engine.path), lineage.ranks.count == engine.ranks.count, lineage.digestKind == .tree {
      digests = lineage.ranks
    } else {
      digests = try await Self.computeDigests(engine)
    }
  }

  /// Runs every check, then every recipe that the source calls for, on threads of the lowest priority.
  ///
  /// Cancelling the task ends it after the weights in hand; what was made is given back.
  /// - Parameters:
  ///   - base: What an adapter is put on; nil: the engine file's weights.
  ///   - room: Bytes that a device has for them, which they go to afterwards; nil: they stay where they are made.
  /// - Throws: ``RefitError`` with every problem there is, ``LiveWeightsError``, or what reading throws.
  public func make(
    _ source: LiveSource, on base: LiveBase? = nil, workers: Int = 1, room: Int? = nil, progress: ProgressCounter? = nil
  ) async throws -> MadeWeights {
    try checkInPlace()
    do { return try await makeInBackground(source, on: base, workers: workers, room: room, progress: progress) } catch {
      // A directory that was swapped meanwhile gives errors about files that are not at fault.
      try checkInPlace()
      throw error
    }
  }

  /// The checks read what the engine's directory says of its weights, so it must be the one that was opened.
  private func checkInPlace() throws(LiveWeightsError) {
    guard engine.isInPlace else { throw .engineReplaced(engine.path.string) }
  }

  /// A whole model takes no base, and without an adapter there is nothing that `loraScale` could scale.
  private func checkFields(_ source: LiveSource) throws {
    let request = source.request
    guard try !FoundSource(at: request.path, for: request.role).kind.isAdapter else { return }
    if request.basePath != nil { throw LiveWeightsError.withoutEffect(field: "base") }
    if request.adapters.isEmpty, request.loraScale != 1 { throw LiveWeightsError.withoutEffect(field: "lora_scale") }
  }

  private func makeInBackground(
    _ source: LiveSource, on base: LiveBase?, workers: Int, room: Int?, progress: ProgressCounter?
  ) async throws -> MadeWeights {
    try await BackgroundExecutor.run(threadCount: workers) { [self] in
      try checkFields(source)
      let opened = try RefitSource(source.request, for: engine, on: base)
      if opened.usesEngineWeights {
        if let base, let adapters = base.lineage?.adapters, !adapters.isEmpty {
          throw LiveWeightsError.carriesAdapter(base.version, adapters: adapters.map(\.path), bases: [])
        }
      } else if let name = source.baseVersion {
        throw LiveWeightsError.needsNoBaseVersion(name)
      }
      var options = Refitter.Options()
      options.workers = workers
      options.ignoresFrozen = source.ignoresFrozen
      let staying = try Self.companionWarnings(
        EngineCompanions(engine: engine, source: opened, lineage: Lineage(directory: engine.path), keeps: false), of: engine,
        isAsked: source.keepsTokenizer)
      options.keepsTokenizer = true
      var prepared = try await Refitter(engine: engine, options: options).prepare(opened)
      prepared.outcome.warnings += staying
      return try await make(prepared, from: opened, workers: workers, room: room, progress: progress)
    }
  }

  /// The server's tokenizer, chat template and end tokens stay. Other tokens would be wrong answers; the rest is told.
  private static func companionWarnings(
    _ companions: EngineCompanions, of engine: EngineDirectory, isAsked: Bool
  ) throws -> [String] {
    guard let summary = companions.changes.summary else { return [] }
    let (old, new) = (try CompanionFiles(of: engine), companions.files)
    let limit = engine.pretrained.vocabularySize
    if !isAsked, old.hasTokenizer, new.hasTokenizer, let mine = try? Tokenizer(files: old.tokenizerFiles(), modelVocabulary: limit),
      let its = try? Tokenizer(files: new.tokenizerFiles(), modelVocabulary: limit), !its.hasSameTokens(as: mine)
    {
      throw LiveWeightsError.otherTokenizer(companions.origin?.string ?? "the source")
    }
    if old.hasTokenizer, new.hasTokenizer, let reason = try new.findings(modelVocabulary: limit).unusable {
      return ["the tokenizer that the source brings cannot be read, so whether its tokens are this server's is not known: \(reason)"]
    }
    return ["this server keeps its own files, but the source brings another \(summary): refit into files to serve those"]
  }

  private func make(
    _ prepared: Refitter.Prepared, from source: RefitSource, workers: Int, room: Int?, progress: ProgressCounter?
  ) async throws -> MadeWeights {
    struct Job: Sendable {
      let rank: Int
      let name: String
      let program: RecipeProgram
      let byteCount: Int
    }
    var jobs: [(cost: Int, job: Job)] = []
    var kept = 0
    for (rank, file) in engine.ranks.enumerated() {
      for (name, weight) in file.plan.weights {
        guard prepared.outcome.dispositions[rank][name] == .make else {
          kept += 1
          continue
        }
        guard let program = RecipeProgram(weight) else { preconditionFailure("\(name): the plan was checked") }
        let bytes = weight.stored.byteCount
        jobs.append((bytes, Job(rank: rank, name: name, program: program, byteCount: bytes)))
      }
    }
    let wanted = jobs.reduce(0) { $0 + $1.cost }
    if let available = Processors.availableMemory, wanted > available {
      throw LiveWeightsError.outOfMemory(wanted: wanted, available: available, deletable: [])
    }
    if let room, wanted > room { throw LiveWeightsError.outOfDeviceMemory(wanted: wanted, available: room, deletable: []) }
    progress?.report(0, of: wanted)
    let table = DigestTable(rankCount: engine.ranks.count)
    // What is not made is the base's.
    let base = source.usesEngineWeights ? source.base : nil
    let nonFinite = WrittenWeights()
    let made = MadeTable(base?.ranks ?? Array(repeating: [:], count: engine.ranks.count))
    let (engine, file, old) = (engine, digests, base?.digests ?? digests)
    try await Jobs.runDigested(jobs, workers: workers) { maker, job in
      let memory: WeightMemory
      do { memory = try WeightMemory(byteCount: job.byteCount) } catch {
        // Of this weight alone; who asked wants to know what all of them need.
        throw LiveWeightsError.outOfMemory(wanted: wanted, available: Processors.availableMemory, deletable: [])
      }
      return LiveWeightMaking(
        maker: maker, program: job.program, source: source.weights, rank: engine.ranks[job.rank].plan.rank, memory: memory,
        progress: progress
      ) { digest, nonFiniteCount in
        if nonFiniteCount > 0 {
          nonFinite.add(
            WrittenWeight(
              rank: engine.ranks[job.rank].plan.rank, name: job.name, fate: .refitted, byteCount: 0, nonFiniteCount: nonFiniteCount))
        }
        table.set(rank: job.rank, name: job.name, digest)
        // Equal digests say it is the engine's own; its bytes decide, because a lineage may be of another file.
        if file[job.rank].weights[job.name] == digest, try memory.equals(job.name, of: engine.ranks[job.rank]) {
          made.countUnchanged(rank: job.rank, name: job.name)
        } else {
          made.set(rank: job.rank, name: job.name, memory)
        }
      }
    }
    let broken = RefitCheck.nonFiniteWarnings(nonFinite.ordered(engine.ranks.map(\.plan)), as: engine.pretrained.elementType)
    guard broken.isEmpty else { throw LiveWeightsError.nonFinite(broken) }
    var ranks: [RankDigest] = []
    for (index, file) in engine.ranks.enumerated() {
      var weights = table.ordered(rank: index, file.plan.weights.keys)
      for name in file.plan.weights.keys where weights[name] == nil { weights[name] = old[index].weights[name] }
      // In plan order, as the root digest wants it.
      var ordered: OrderedDictionary<String, String> = [:]
      for name in file.plan.weights.keys { ordered[name] = weights[name] }
      ranks.append(
        RankDigest(
          file: EngineDirectory.fileName(rank: file.plan.rank),
          root: EngineWriter.rootDigest(planText: file.planText, weights: ordered), weights: ordered))
    }
    var lineage = try Lineage(
      refitFrom: source, sourceDigest: try SourceFingerprint.of(source.path), parent: old.map(\.root))
    lineage.ranks = ranks
    return MadeWeights(
      ranks: made.ranks, lineage: lineage, made: jobs.count - made.unchanged, unchanged: made.unchanged, kept: kept,
      warnings: prepared.warnings)
  }

  private static func computeDigests(_ engine: EngineDirectory) async throws -> [RankDigest] {
    try await BackgroundExecutor.run(threadCount: 1) {
      var jobs: [(cost: Int, job: (rank: Int, name: String, weight: PlannedWeight))] = []
      for (rank, file) in engine.ranks.enumerated() {
        for (name, weight) in file.plan.weights where file.contains(name) { jobs.append((weight.stored.byteCount, (rank, name, weight))) }
      }
      let table = DigestTable(rankCount: engine.ranks.count)
      try await Jobs.runDigested(jobs, workers: 1) { maker, job in
        WeightReading(maker, job.name, job.weight.stored, of: engine.ranks[job.rank]) {
          table.set(rank: job.rank, name: job.name, $0)
        }
      }
      return engine.ranks.enumerated().map { rank, file in
        let weights = table.ordered(rank: rank, file.plan.weights.keys)
        return RankDigest(
          file: EngineDirectory.fileName(rank: file.plan.rank),
          root: EngineWriter.rootDigest(planText: file.planText, weights: weights), weights: weights)
      }
    }
  }
}

/// A weight on its way into memory.
private struct LiveWeightMaking: DigestedJob {
  let maker: WeightMaker
  let program: RecipeProgram
  let source: any WeightSource
  let rank: Int
  let memory: WeightMemory
  let progress: ProgressCounter?
  let done: (_ digest: String, _ nonFiniteCount: Int) throws -> Void
  private var row = 0
  private var offset = 0
  private var nonFiniteCount = 0

  init(
    maker: WeightMaker, program: RecipeProgram, source: any WeightSource, rank: Int, memory: WeightMemory,
    progress: ProgressCounter?, done: @escaping (_ digest: String, _ nonFiniteCount: Int) throws -> Void
  ) {
    self.maker = maker
    self.program = program
    self.source = source
    self.rank = rank
    self.memory = memory
    self.progress = progress
    self.done = done
  }

  mutating func next() throws -> UnsafeRawBufferPointer? {
    try Task.checkCancellation()
    guard let bytes = unsafe try maker.next(program, from: source, rank: rank, row: &row)?.bytes else { return nil }
    unsafe nonFiniteCount += NonFinite.count(bytes, program)
    unsafe memory.write(bytes, at: offset)
    offset += bytes.count
    progress?.add(bytes.count)
    return unsafe bytes
  }

  func finish(digest: String) throws {
    precondition(offset == memory.byteCount, "a recipe fills its weight")
    try done(digest, nonFiniteCount)
  }
}

extension WeightMemory {
  /// Whether the engine's file holds the same bytes.
  fileprivate func equals(_ name: String, of file: EngineFile) throws -> Bool {
    guard let weight = file.plan.weights[name], file.contains(name) else { return false }
    var offset = 0
    var isEqual = true
    unsafe try WeightMaker().read(weight.stored, name, from: file) { held in
      let mine = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + held.count])
      if isEqual, unsafe !sameBytes(mine, held) { isEqual = false }
      offset += held.count
    }
    return isEqual
  }
}
