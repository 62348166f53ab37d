import CUDABackend
import CUDADouble
import CUDADriver
import EngineFixtures
import Engines
import Execution
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

extension DriverTests {
  /// New weights that the card makes, on the driver in host memory, against those that the processor makes.
  @Suite(.timeLimit(.minutes(5))) final class DeviceWeightsTests {
    private let life: Lifecycle

    init() {
      var life = Lifecycle()
      life.target = CUDATarget()
      self.life = life
      unsafe dk_cuda_substitute(cuda_double_find)
      cuda_double_start(256 << 20)
    }
    deinit { dk_cuda_substitute(nil) }

    private var problem: String? { unsafe cuda_double_problem().map { unsafe String(cString: $0) } }

    /// So small that chunks take turns, and groups are many.
    private static var small: MakingSizes {
      var sizes = MakingSizes()
      (sizes.group, sizes.chunk, sizes.places, sizes.piece, sizes.launch) = (24 << 10, 16 << 10, 2, 4 << 10, 2 << 10)
      return sizes
    }
    private static let models = [
      SmallModel(), SmallModel(hidden: 50, heads: 5, keyValueHeads: 1, headSize: 10, intermediate: 33, layers: 1, vocabulary: 37, tied: false, biases: true),
      SmallModel(hidden: 96, heads: 6, keyValueHeads: 3, headSize: 16, intermediate: 160, layers: 2, vocabulary: 700, tied: false),
    ]

    private func open(_ engine: EngineDirectory, sizes: MakingSizes = small) throws -> any OpenedEngine {
      var options = ExecutorOptions()
      options.maximumSequences = 2
      options.maximumBatchRows = 32
      return try CUDA(kernels: KernelCache(nil), making: sizes).open(engine, options: options)
    }

    private func logits(_ engine: any OpenedEngine) throws -> [Float] {
      var found: [Float] = []
      let batch = Batch(
        tokens: (0..<12).map { Int32($0 * 5 % 37) },
        sequences: [SequenceSlice(rows: 0..<12, firstPosition: 0, blockTable: [3], phase: .prefill, wantsLogits: true)])
      try unsafe engine.step(batch) { _, row in unsafe found = Array(row) }
      return found
    }

    private func bytes(_ memory: WeightMemory) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: memory.byteCount)
      try unsafe bytes.withUnsafeMutableBytes { try unsafe memory.copy(0..<memory.byteCount, into: $0) }
      return bytes
    }

    /// Both make the same; where nothing else is said the card makes all of it.
    @discardableResult
    private func compare(
      _ what: String, _ source: LiveSource, _ refitter: LiveRefitter, _ opened: any OpenedEngine, on base: (host: LiveBase, device: LiveBase)? = nil,
      makesAll: Bool = true
    ) async throws -> (host: MadeWeights, device: MadeWeights) {
      let host = try await refitter.make(source, on: base?.host, workers: 2)
      let launches = unsafe cuda_double_launches("dk_make")
      let device = try await refitter.make(source, on: base?.device, workers: 2, device: opened.weightDevice)
      #expect(device.lineage.ranks == host.lineage.ranks, "\(what)")
      #expect((device.made, device.unchanged, device.kept) == (host.made, host.unchanged, host.kept), "\(what)")
      #expect(unsafe cuda_double_launches("dk_make") > launches, "\(what)")
      #expect(device.ranks.map { $0.keys.sorted() } == host.ranks.map { $0.keys.sorted() }, "\(what)")
      for (name, memory) in device.ranks[0] {
        if makesAll { #expect(memory.device != nil, "\(what): \(name)") }
        let wanted = try #require(host.ranks[0][name])
        #expect(try bytes(memory) == bytes(wanted), "\(what): \(name)")
      }
      #expect(problem == nil, "\(what)")
      return (host, device)
    }

    @Test(arguments: models) func `the bytes and digests are those that the processor makes, whatever the source`(_ model: SmallModel) async throws {
      let engine = try await {
        try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
        return try EngineDirectory(life.directory("engine"))
      }()
      let other = try model.write(life.directory, "other", seed: 6)
      try await life.build(other, "other-engine", scope: .all)
      let adapter = try SmallAdapter.write(model, life.directory, "adapter", seed: 7)
      let second = try SmallAdapter.write(model, life.directory, "second", seed: 8)
      let refitter = try await LiveRefitter(engine)
      do {
        let opened = try open(engine)
        let before = try logits(opened)
        try await compare("a checkpoint", LiveSource(path: other.string), refitter, opened)
        let whole = try await compare("an engine", LiveSource(path: life.directory("other-engine").string), refitter, opened)
        for type in [ElementType.bfloat16, .float16, .float32] {
          let published = try model.writePublished(life.directory, "published-\(type.rawValue)", seed: 9, type: type)
          try await compare("a published model of \(type)", LiveSource(path: published.string), refitter, opened)
          try await compare("with an adapter, \(type)", LiveSource(SourceRequest(adapter, basePath: published)), refitter, opened)
        }
        let adapted = try await compare("an adapter", LiveSource(path: adapter.string), refitter, opened)
        try await compare("two adapters", LiveSource(SourceRequest(adapter, adapters: [second], loraScale: 0.3)), refitter, opened)
        func base(_ made: MadeWeights) -> LiveBase { LiveBase(version: "other", ranks: made.ranks, digests: made.lineage.ranks, lineage: made.lineage) }
        let both = try await compare(
          "an adapter on a version", LiveSource(SourceRequest(adapter), baseVersion: "other"), refitter, opened,
          on: (base(whole.host), base(whole.device)))
        // Whatever made them, versions answer alike.
        var answers: [[Float]] = []
        for made in [whole, adapted, both] {
          let versions = (try opened.makeVersion(made.host.ranks), try opened.makeVersion(made.device.ranks))
          opened.activate(versions.0)
          let wanted = try logits(opened)
          opened.activate(versions.1)
          #expect(try logits(opened) == wanted && wanted != before)
          answers.append(wanted)
        }
        #expect(Set(answers).count == 3)
        opened.activate(opened.fileWeights)
        #expect(try logits(opened) == before)
        // The file's own weights come out as such.
        let same = try await compare("the engine's own model", LiveSource(path: life.directory("model").string), refitter, opened)
        #expect(same.device.made == 0 && same.device.unchanged > 10)
      }
      #expect(problem == nil && cuda_double_live() == 0, "everything is given back")
    }

    @Test func `what the card cannot make, the processor makes`() async throws {
      let model = SmallModel()
      try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
      let refitter = try await LiveRefitter(try EngineDirectory(life.directory("engine")))
      let adapter = try SmallAdapter.write(model, life.directory, "adapter", seed: 7)
      // More adapters than a kernel adds.
      let more = try (0..<4).map { try SmallAdapter.write(model, life.directory, "more-\($0)", seed: 20 + UInt64($0)) }
      let opened = try open(try EngineDirectory(life.directory("engine")))
      let host = try await refitter.make(LiveSource(SourceRequest(adapter, adapters: more)), workers: 2)
      let device = try await refitter.make(LiveSource(SourceRequest(adapter, adapters: more)), workers: 2, device: opened.weightDevice)
      #expect(device.lineage.ranks == host.lineage.ranks && device.ranks[0].values.allSatisfy { $0.device == nil })
      #expect(problem == nil)
    }

    @Test func `values that are no numbers are counted as the processor counts them`() async throws {
      let model = SmallModel()
      try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
      let engine = try EngineDirectory(life.directory("engine"))
      let refitter = try await LiveRefitter(engine)
      let opened = try open(engine)
      let broken = LiveSource(path: try SmallAdapter.write(model, life.directory, "broken", seed: 44, alpha: "1e300").string)
      let wanted = await #expect(throws: LiveWeightsError.self) { try await refitter.make(broken, workers: 2) }
      let error = await #expect(throws: LiveWeightsError.self) { try await refitter.make(broken, workers: 2, device: opened.weightDevice) }
      #expect(error == wanted && error?.description.contains("NaN or infinite") == true)
      #expect(problem == nil)
    }

    @Test func `whatever call fails, it is told, nothing is kept, and the weights in use stay`() async throws {
      let model = SmallModel(layers: 1)
      try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
      let engine = try EngineDirectory(life.directory("engine"))
      let other = try model.writePublished(life.directory, "other", seed: 6, type: .bfloat16)
      let adapter = try SmallAdapter.write(model, life.directory, "adapter", seed: 7)
      let refitter = try await LiveRefitter(engine)
      var sizes = Self.small
      sizes.group = 8 << 10
      let opened = try open(engine, sizes: sizes)
      let before = try logits(opened)
      for source in [LiveSource(path: other.string), LiveSource(path: adapter.string)] {
        let wanted = try await refitter.make(source, workers: 2).lineage.ranks
        let (calls, live) = (cuda_double_calls(), cuda_double_live())
        _ = try await refitter.make(source, workers: 2, device: opened.weightDevice)
        let count = cuda_double_calls() - calls
        #expect(count > 60 && cuda_double_live() == live)
        var failures = 0
        for call in stride(from: 1, through: count, by: count > 300 ? 3 : 1) {
          cuda_double_fail(call, Int32(DK_CUDA_OUT_OF_MEMORY), 0)
          do {
            let made = try await refitter.make(source, workers: 2, device: opened.weightDevice)
            #expect(made.lineage.ranks == wanted, "call \(call): threads may ask in another order, or what gives back fails")
          } catch {
            failures += 1
            if case LiveWeightsError.outOfDeviceMemory = error { continue }
            Issue.record("call \(call) of \(count): \(error)")
          }
          cuda_double_fail(0, 0, 0)
          #expect(problem == nil && cuda_double_live() == live, "call \(call) of \(count)")
        }
        cuda_double_fail(0, 0, 0)
        #expect(failures > 20)
        #expect(try await refitter.make(source, workers: 2, device: opened.weightDevice).lineage.ranks == wanted)
      }
      #expect(try logits(opened) == before)
      #expect(problem == nil)
    }

    @Test func `a version goes without a wait for what the card does, and the next one takes its memory`() async throws {
      let model = SmallModel()
      try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
      let refitter = try await LiveRefitter(try EngineDirectory(life.directory("engine")))
      let sources = try [6, 7].map { LiveSource(path: try model.write(life.directory, "other-\($0)", seed: $0).string) }
      do {
        let opened = try open(try EngineDirectory(life.directory("engine")))
        let before = try logits(opened)
        let waits = cuda_double_waits()
        var used: [Int64] = []
        for source in sources + sources {
          do {
            let version = try opened.makeVersion(try await refitter.make(source, workers: 2, device: opened.weightDevice).ranks)
            opened.activate(version)
            #expect(try logits(opened) != before)
            opened.activate(opened.fileWeights)
          }
          used.append(cuda_double_used())
          #expect(try logits(opened) == before)
        }
        #expect(cuda_double_waits() == waits, "nothing waited")
        #expect(Set(used).count == 1, "memory is used again: \(used)")
        // What is kept counts as free, and is given to who needs it.
        let free = try #require(opened.freeWeightByteCount)
        let held = try HeldDeviceMemory(leaving: 0)
        #expect(opened.freeWeightByteCount ?? 0 < free)
        #expect(try await refitter.make(sources[0], workers: 2, device: opened.weightDevice).made > 0, "from what was kept")
        withExtendedLifetime(held) {}
      }
      #expect(problem == nil && cuda_double_live() == 0 && cuda_double_used() == 0, "everything is given back")
    }

    @Test func `making ends when its task is cancelled`() async throws {
      let model = SmallModel()
      try await life.build(try model.write(life.directory, "model", seed: 5), "engine", scope: .all)
      let engine = try EngineDirectory(life.directory("engine"))
      let opened = try open(engine)
      let refitter = try await LiveRefitter(engine)
      let source = LiveSource(path: try model.write(life.directory, "other", seed: 6).string)
      let live = cuda_double_live()
      let device = try #require(opened.weightDevice)
      let task = Task { try await refitter.make(source, workers: 2, device: device) }
      task.cancel()
      await #expect(throws: CancellationError.self) { _ = try await task.value }
      #expect(cuda_double_live() == live && problem == nil)
    }
  }
}
