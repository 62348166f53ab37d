public import Engines
public import Execution
import Threads

/// The weights of a running engine: versions beside each other, one of which chooses the tokens.
///
/// Making a version touches nothing that is in use. Activating one changes a pointer for each rank between two steps, so
/// every token is chosen by exactly one version, and ``log`` says by which.
public actor LiveWeights {
  private struct Version {
    let name: String
    /// Nil: the engine file's.
    let made: MadeWeights?
    let weights: any WeightVersion
    let lineage: Lineage?
    let digests: [RankDigest]
  }
  /// What is known of a version.
  public struct Facts: Sendable {
    /// `fp_` and digits of its digests; see ``LiveWeights/name(of:)``.
    public var name: String
    /// Whether it chooses the tokens now.
    public var isActive: Bool
    /// The weights of the engine's files.
    public var isEngineFile: Bool
    /// Where its weights came from; nil for the engine file's where there is no `lineage.json`.
    public var lineage: Lineage?
    /// By rank.
    public var digests: [RankDigest]
    /// Weights of all ranks that differ from the engine file's; 0 for those themselves, as the two counts below.
    public var made: Int
    /// Weights that were made and came out as the engine file has them.
    public var unchanged: Int
    /// Weights that were not touched.
    public var kept: Int
    /// What making it gave cause to say, a line each; none for the engine file's.
    public var warnings: [String]
    /// Memory beside the engine file's, in bytes.
    public var byteCount: Int
  }
  /// What a change did.
  public struct Change: Sendable {
    /// The version that chose tokens before; equal to `to` where nothing changed.
    public var from: String
    /// The version that chooses tokens now.
    public var to: String
    /// The first step with the new weights; see ``GeneratedToken/step``.
    public var firstStep: UInt64
    /// Between two steps: how long steps had to wait for the change itself.
    public var pause: Duration
    /// From asking for it, with waiting for running requests.
    public var total: Duration
    /// What goes for the version that chooses the tokens now, such as that its model has another chat template.
    public var warnings: [String] = []
  }
  /// All versions, and what is under way.
  public struct Overview: Sendable {
    /// By age; the engine file's first.
    public var versions: [Facts]
    /// The version that chooses the tokens.
    public var active: String
    /// What ``undo(_:)`` would go back to.
    public var previous: String?
    /// Of what is being made, in bytes.
    public var preparing: (completed: Int, total: Int)?
    /// Of all versions together, beside the engine file's.
    public var byteCount: Int
  }

  private let engine: any WeightStore
  private let loop: EngineLoop
  private let refitter: LiveRefitter
  private let workers: Int
  private let fileName: String
  private let thread: SerialThread
  /// A thread of its own: making weights takes seconds, and would hold a thread of the shared pool.
  nonisolated public var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }
  /// Which version chose which token.
  public nonisolated let log: WeightVersionLog

  /// By age; the engine file's first.
  private var versions: [Version]
  private var active: String
  /// Versions that were active before, the latest last.
  private var history: [String] = []
  private var preparing: ProgressCounter?
  private var isChanging = false

  /// - Parameters:
  ///   - engine: What `loop` runs.
  ///   - refitter: Of the same engine directory.
  ///   - workers: Threads that make weights, at the lowest priority.
  public init(engine: any WeightStore, loop: EngineLoop, refitter: LiveRefitter, workers: Int = 1) throws {
    do { thread = try SerialThread.start() } catch { throw EngineLoopError.threadNotStarted(errno: error.code) }
    self.engine = engine
    self.loop = loop
    self.refitter = refitter
    self.workers = workers
    fileName = Self.name(of: refitter.digests)
    log = WeightVersionLog(fileName)
    active = fileName
    versions = [
      Version(
        name: fileName, made: nil, weights: engine.fileWeights, lineage: try Lineage(directory: refitter.engine.path),
        digests: refitter.digests)
    ]
  }

  deinit { thread.end() }

  /// Names weights by their digests: the same weights have the same name, wherever they are served from.
  public static func name(of digests: [RankDigest]) -> String {
    guard !digests.isEmpty else { return "fp_unknown" }
    let digits = digests.count == 1 ? 16 : 8
    return "fp_" + digests.map { String($0.root.prefix(digits)) }.joined(separator: "_")
  }

  /// Checks a source and makes its weights beside those in use. Cancelling the task leaves everything as it was.
  ///
  /// Weights that are there already under the same digests are not kept twice.
  public func prepare(_ source: LiveSource) async throws -> Facts {
    guard preparing == nil else { throw LiveWeightsError.busy("Another preparation") }
    let progress = ProgressCounter()
    preparing = progress
    defer { preparing = nil }
    let base = try base(source)
    var made: MadeWeights
    let room = engine.freeWeightByteCount
    do {
      made = try await refitter.make(source, on: base, workers: workers, room: room, device: engine.weightDevice, progress: progress)
    } catch LiveWeightsError
      .carriesAdapter(let name, let adapters, _)
    {
      throw LiveWeightsError.carriesAdapter(
        name, adapters: adapters, bases: versions.filter { $0.lineage?.adapters.isEmpty ?? true }.map(\.name))
    } catch LiveWeightsError.outOfMemory(let wanted, let available, _) {
      throw LiveWeightsError.outOfMemory(wanted: wanted, available: available, deletable: deletable)
    } catch LiveWeightsError.outOfDeviceMemory(let wanted, let available, _) {
      throw LiveWeightsError.outOfDeviceMemory(wanted: wanted, available: available, deletable: deletable)
    }
    try Task.checkCancellation()
    let name = Self.name(of: made.lineage.ranks)
    if let known = versions.first(where: { $0.name == name }) {
      var facts = facts(known)
      facts.warnings = made.warnings
      return facts
    }
    share(&made)
    let weights: any WeightVersion
    do { weights = try engine.makeVersion(made.ranks) } catch LiveWeightsError.outOfDeviceMemory(let wanted, let available, _) {
      throw LiveWeightsError.outOfDeviceMemory(wanted: wanted, available: available, deletable: deletable)
    }
    let version = Version(
      name: name, made: made, weights: weights, lineage: made.lineage, digests: made.lineage.ranks)
    versions.append(version)
    return facts(version)
  }

  /// Versions whose memory can be given back.
  private var deletable: [String] { versions.map(\.name).filter { $0 != fileName && $0 != active } }

  /// What an adapter is put on: the version that the source names, or the engine file's weights.
  private func base(_ source: LiveSource) throws(LiveWeightsError) -> LiveBase {
    let name = source.baseVersion ?? fileName
    guard let version = versions.first(where: { $0.name == name }) else {
      throw .unknownVersion(name, known: versions.map(\.name))
    }
    return LiveBase(
      version: name, ranks: version.made?.ranks ?? Array(repeating: [:], count: version.digests.count),
      digests: version.digests, lineage: version.lineage)
  }

  /// Takes another version's memory where the bytes are the same.
  private func share(_ made: inout MadeWeights) {
    for rank in made.ranks.indices {
      for (name, memory) in made.ranks[rank] {
        for version in versions {
          guard let other = version.made?.ranks[rank][name],
            version.digests[rank].weights[name] == made.lineage.ranks[rank].weights[name],
            // A device's digests are of the very bytes that it holds.
            memory.device != nil && other.device != nil || other.isEqual(to: memory)
          else { continue }
          made.ranks[rank][name] = other
          break
        }
      }
    }
  }

  /// Lets a version choose the tokens of all steps from now on.
  @discardableResult
  public func activate(_ name: String, inFlight: InFlightRequests = .finish) async throws -> Change {
    let from = active
    let change = try await change(to: name, inFlight)
    guard from != name else { return change }
    history.append(from)
    if history.count > 1024 { history.removeFirst() }
    return change
  }

  /// Goes back to the version that was active before.
  @discardableResult
  public func undo(_ inFlight: InFlightRequests = .finish) async throws -> Change {
    guard let previous = history.last else { throw LiveWeightsError.nothingToUndo }
    let change = try await change(to: previous, inFlight)
    history.removeLast()
    return change
  }

  private func change(to name: String, _ inFlight: InFlightRequests) async throws -> Change {
    let clock = ContinuousClock()
    let asked = clock.now
    guard let version = versions.first(where: { $0.name == name }) else {
      throw LiveWeightsError.unknownVersion(name, known: versions.map(\.name))
    }
    guard !isChanging else { throw LiveWeightsError.busy("Another change of weights") }
    guard name != active else {
      return Change(from: name, to: name, firstStep: loop.statistics.steps + 1, pause: .zero, total: .zero, warnings: version.made?.warnings ?? [])
    }
    isChanging = true
    defer { isChanging = false }
    let running: RunningRequests =
      switch inFlight {
      case .finish: .finish
      case .switchKeepingCache: .keep
      case .switchRecomputing: .recompute
      case .abort: .end(WeightsReplaced(version: name))
      }
    let (engine, loop, log) = (engine, loop, log)
    try engine.makeReady(version.weights)
    let (step, pause) = try await loop.perform(running: running, forgettingPrefixes: true) {
      let step = loop.statistics.steps + 1
      let pause = clock.measure {
        engine.activate(version.weights)
        log.change(to: name, fromStep: step)
      }
      return (step, pause)
    }
    let from = active
    active = name
    return Change(
      from: from, to: name, firstStep: step, pause: pause, total: clock.now - asked, warnings: version.made?.warnings ?? [])
  }

  /// Drops a version; its memory is given back where no other version shares it.
  /// - Throws: where the version is in use, or the engine's own.
  public func delete(_ name: String) throws {
    guard let index = versions.firstIndex(where: { $0.name == name }) else {
      throw LiveWeightsError.unknownVersion(name, known: versions.map(\.name))
    }
    guard name != fileName else { throw LiveWeightsError.inUse(name, reason: "it is the engine's own, and takes no memory.") }
    guard name != active else { throw LiveWeightsError.inUse(name, reason: "it is active. Activate another first.") }
    guard !isChanging else { throw LiveWeightsError.busy("A change of weights") }
    versions.remove(at: index)
    // What is undone is a change: of neighbours that have become equal one counts, and none that is active.
    history = history.filter { $0 != name }.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    if history.last == active { history.removeLast() }
  }

  /// A snapshot. Memory that several versions share counts once.
  public func overview() -> Overview {
    var seen: Set<ObjectIdentifier> = []
    var bytes = 0
    for memory in versions.flatMap({ $0.made?.ranks ?? [] }).flatMap(\.values)
    where seen.insert(ObjectIdentifier(memory)).inserted { bytes += memory.byteCount }
    return Overview(
      versions: versions.map(facts), active: active, previous: history.last,
      preparing: preparing.map { ($0.completed, $0.total) }, byteCount: bytes)
  }

  private func facts(_ version: Version) -> Facts {
    Facts(
      name: version.name, isActive: version.name == active, isEngineFile: version.made == nil, lineage: version.lineage,
      digests: version.digests, made: version.made?.made ?? 0, unchanged: version.made?.unchanged ?? 0,
      kept: version.made?.kept ?? 0, warnings: version.made?.warnings ?? [], byteCount: version.made?.byteCount ?? 0)
  }
}
