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

/// How new weights are made.
struct Making: Sendable {
  let workers: Int
  let room: Int?
  let device: (any WeightDevice)?
  let progress: ProgressCounter?
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
  ///   - device: Makes what it can; nil: the processor makes all.
  /// - Throws: ``RefitError`` with every problem there is, ``LiveWeightsError``, or what reading throws.
  public func make(
    _ source: LiveSource, on base: LiveBase? = nil, workers: Int = 1, room: Int? = nil, device: (any WeightDevice)? = nil,
    progress: ProgressCounter? = nil
  ) async throws -> MadeWeights {
    try checkInPlace()
    let making = Making(workers: workers, room: room, device: device, progress: progress)
    do { return try await makeInBackground(source, on: base, making) } catch {
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
    _ source: LiveSource, on base: LiveBase?, _ making: Making
  ) async throws -> MadeWeights {
    try await BackgroundExecutor.run(threadCount: making.workers) { [self] in
      try checkFields(source)
      let opened = try RefitSource(source.request, for: engine, on: base, digestsLater: true)
      if opened.usesEngineWeights {
        if let base, let adapters = base.lineage?.adapters, !adapters.isEmpty {
          throw LiveWeightsError.carriesAdapter(base.version, adapters: adapters.map(\.path), bases: [])
        }
      } else if let name = source.baseVersion {
        throw LiveWeightsError.needsNoBaseVersion(name)
      }
      var options = Refitter.Options()
      options.workers = making.workers
      options.ignoresFrozen = source.ignoresFrozen
      async let adapterDigests = opened.adapterDigests()
      let staying = try Self.companionWarnings(
        EngineCompanions(engine: engine, source: opened, lineage: Lineage(directory: engine.path), keeps: false), of: engine,
        isAsked: source.keepsTokenizer)
      options.keepsTokenizer = true
      var prepared = try await Refitter(engine: engine, options: options).prepare(opened)
      prepared.outcome.warnings += staying
      let made = try await make(prepared, from: opened, making)
      var source = opened
      for (index, digest) in try await adapterDigests.enumerated() { source.adapters[index].digest = digest }
      return try finish(made, prepared, from: source, parent: opened.usesEngineWeights ? opened.base?.digests ?? digests : digests)
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

  private func make(_ prepared: Refitter.Prepared, from source: RefitSource, _ making: Making) async throws -> Made {
    var jobs: [WeightJob] = []
    for (place, file) in engine.ranks.enumerated() {
      for name in file.plan.weights.keys where prepared.outcome.dispositions[place][name] == .make {
        jobs.append(.make(name, of: file.plan, place: place, from: source.weights))
      }
    }
    // A device has one rank.
    let device = engine.ranks.count == 1 ? making.device : nil
    let orders = device.map { DeviceSink.orders(for: jobs, on: $0) } ?? []
    let wanted = jobs.reduce(0) { $0 + $1.stored.byteCount }
    let host = wanted - orders.reduce(0) { $0 + ($1?.byteCount ?? 0) }
    if let available = Processors.availableMemory, host > available {
      throw LiveWeightsError.outOfMemory(wanted: host, available: available, deletable: [])
    }
    if let room = making.room, wanted > room { throw LiveWeightsError.outOfDeviceMemory(wanted: wanted, available: room, deletable: []) }
    making.progress?.report(0, of: wanted)
    // What is not made is the base's.
    let base = source.usesEngineWeights ? source.base : nil
    let memory = MemorySink(engine, digests: digests, base: base?.ranks ?? Array(repeating: [:], count: engine.ranks.count), byteCount: host)
    let sink: any WeightSink = if let device { DeviceSink(device, orders: orders, else: memory) } else { memory }
    let made = try await WeightPipeline(workers: making.workers, progress: making.progress).run(jobs, to: sink)
    let broken = RefitCheck.nonFiniteWarnings(made.map(\.written), as: engine.pretrained.elementType)
    guard broken.isEmpty else { throw LiveWeightsError.nonFinite(broken) }
    return Made(ranks: memory.ranks, digests: RankDigest.list(engine.ranks.map { ($0.plan, $0.planText) }, of: zip(jobs, made), else: base?.digests ?? digests), written: made.map(\.written))
  }

  private struct Made {
    let ranks: [[String: WeightMemory]]
    let digests: [RankDigest]
    /// What was made.
    let written: [WrittenWeight]
  }

  /// With the lineage that a refit into a new directory would write.
  private func finish(_ made: Made, _ prepared: Refitter.Prepared, from source: RefitSource, parent: [RankDigest]) throws -> MadeWeights {
    var lineage = try Lineage(refitFrom: source, sourceDigest: try SourceFingerprint.of(source.path), parent: parent.map(\.root))
    lineage.ranks = made.digests
    let unchanged = made.written.count { $0.fate == .unchanged }
    let total = engine.ranks.reduce(0) { $0 + $1.plan.weights.count }
    return MadeWeights(
      ranks: made.ranks, lineage: lineage, made: made.written.count - unchanged, unchanged: unchanged, kept: total - made.written.count,
      warnings: prepared.warnings)
  }

  private static func computeDigests(_ engine: EngineDirectory) async throws -> [RankDigest] {
    try await BackgroundExecutor.run(threadCount: 1) {
      var jobs: [WeightJob] = []
      for (place, file) in engine.ranks.enumerated() {
        for (name, weight) in file.plan.weights where file.contains(name) {
          jobs.append(WeightJob(place: place, rank: file.plan.rank, name: name, stored: weight.stored, origin: .file(file)))
        }
      }
      let read = try await WeightPipeline(workers: 1).run(jobs, to: NoSink())
      return RankDigest.list(engine.ranks.map { ($0.plan, $0.planText) }, of: zip(jobs, read))
    }
  }
}
