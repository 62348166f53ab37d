import CPUBackend
import CUDABackend
import CUDADouble
import CUDADriver
import EngineFixtures
import Engines
import Execution
import SystemPackage
import TestSupport
import Testing

/// What uses a driver or the compiler of kernels: a process has one of each.
@Suite(.serialized, .takingTurns(at: .driver)) enum DriverTests {}

extension DriverTests {
  /// The back end on a driver in host memory, which checks every use of it.
  @Suite final class CUDADoubleTests {
    private let life: Lifecycle

    init() {
      var life = Lifecycle()
      life.target = CUDATarget()
      self.life = life
      unsafe dk_cuda_substitute(cuda_double_find)
      start()
    }
    deinit { unsafe dk_cuda_substitute(nil) }

    private func start(memory: Int64 = 256 << 20) { cuda_double_start(memory) }
    private var problem: String? { unsafe cuda_double_problem().map { unsafe String(cString: $0) } }

    private func launches(_ prefix: String) -> Int64 { unsafe cuda_double_launches(prefix) }

    private func build(_ model: SmallModel = SmallModel(), seed: UInt64 = 5, _ name: String = "engine") async throws -> EngineDirectory {
      try await life.build(try model.write(life.directory, "\(name)-model", seed: seed), name, scope: .all)
      return try EngineDirectory(life.directory(name))
    }

    private func open(_ engine: EngineDirectory) throws -> any OpenedEngine {
      var options = ExecutorOptions()
      options.maximumSequences = 4
      options.maximumBatchRows = 48
      return try CUDA(kernels: KernelCache(nil)).open(engine, options: options)
    }

    /// Logits after each of a prompt's pieces, then of three tokens more, one by one, the last beside another sequence.
    private func run(_ engine: any OpenedEngine, pieces: [Int] = [20, 9]) throws -> [[Float]] {
      let tokens = (0..<40).map { Int32(($0 * 7 + 3) % 37) }
      var found: [[Float]] = [], first = 0
      func step(_ parts: [(Range<Int>, [Int32], SequenceSlice.Phase)]) throws {
        var batch = Batch(tokens: [], sequences: [])
        for (range, blocks, phase) in parts {
          let start = batch.tokens.count
          batch.tokens += tokens[range]
          batch.sequences.append(
            SequenceSlice(rows: start..<batch.tokens.count, firstPosition: range.lowerBound, blockTable: blocks, phase: phase, wantsLogits: true))
        }
        try unsafe engine.step(batch) { sequence, row in if sequence == 0 { unsafe found.append(Array(row)) } }
      }
      for count in pieces {
        try step([(first..<first + count, [5, 2, 7], .prefill)])
        first += count
      }
      for _ in 0..<2 {
        try step([(first..<first + 1, [5, 2, 7], .decode)])
        first += 1
      }
      try step([(first..<first + 1, [5, 2, 7], .decode), (0..<10, [1], .prefill)])
      return found
    }

    @Test(arguments: [
      SmallModel(), SmallModel(hidden: 50, heads: 5, keyValueHeads: 1, headSize: 10, intermediate: 33, layers: 1, vocabulary: 37, tied: false, biases: true),
    ]) func `steps are as on the processor, and use memory as they may`(_ model: SmallModel) async throws {
      let engine = try await build(model)
      var found: [[Float]] = []
      do {
        let opened = try open(engine)
        found = try run(opened)
        #expect((launches("dk_linear_row") > 0) == (model.hidden % 16 == 0), "other widths are for other kernels")
        #expect(launches("dk_attend_row") > 0 && launches("dk_turn") > 0)
        #expect(try run(opened) == found && run(opened, pieces: [1, 28]).suffix(3) == found.suffix(3))
      }
      #expect(problem == nil)
      #expect(cuda_double_live() == 0, "everything is given back")
      let processor = Lifecycle()
      try await processor.build(life.directory("engine-model"), "cpu", scope: .all)
      let wanted = try run(try CPU().open(try EngineDirectory(processor.directory("cpu")), options: .init()))
      #expect(found.count == 5 && found.count == wanted.count)
      for (one, other) in zip(found, wanted) {
        #expect(zip(one, other).allSatisfy { abs($0 - $1) < 0.1 } && one.count == other.count)
        #expect(Set(one).count > 10)
      }
    }

    @Test func `a long sequence has its splits merged`() async throws {
      var model = SmallModel(layers: 1)
      model.members = ["max_position_embeddings": 700]
      let opened = try open(try await build(model))
      let blocks = (0..<40).map { Int32($0) }
      func logits(_ pieces: [Int]) throws -> [Float] {
        var first = 0, found: [Float] = []
        for count in pieces {
          let batch = Batch(
            tokens: (first..<first + count).map { Int32($0 % 37) },
            sequences: [.init(rows: 0..<count, firstPosition: first, blockTable: blocks, phase: .prefill, wantsLogits: true)])
          try unsafe opened.step(batch) { _, row in unsafe found = Array(row) }
          first += count
        }
        return found
      }
      let one = try logits(Array(repeating: 40, count: 15))
      #expect(try logits(Array(repeating: 30, count: 20)) == one && one.allSatisfy(\.isFinite))
      // The last of them one by one.
      #expect(try logits([40, 40] + Array(repeating: 48, count: 10) + Array(repeating: 1, count: 40)) == one)
      #expect(launches("dk_attend_row_splits") > 0 && launches("dk_merge") > 0)
      #expect(problem == nil)
    }

    /// Of many rows and of some, of prompts' attention and of a generated row's: other kernels, the same bits.
    @Test func `however a prompt is cut, whatever kernels that takes, results are the same`() async throws {
      var model = SmallModel(hidden: 128, heads: 16, keyValueHeads: 1, headSize: 8, intermediate: 128, layers: 2)
      model.members = ["max_position_embeddings": 700]
      var options = ExecutorOptions()
      options.maximumSequences = 4
      options.maximumBatchRows = 600
      let opened = try CUDA(kernels: KernelCache(nil)).open(try await build(model), options: options)
      func logits(_ pieces: [Int]) throws -> [Float] {
        var first = 0, found: [Float] = []
        for count in pieces {
          let batch = Batch(
            tokens: (first..<first + count).map { Int32($0 * $0 % 37) },
            sequences: [.init(rows: 0..<count, firstPosition: first, blockTable: (0..<40).map { Int32($0) }, phase: .prefill, wantsLogits: true)])
          try unsafe opened.step(batch) { _, row in unsafe found = Array(row) }
          first += count
        }
        return found
      }
      let few = try logits(Array(repeating: 4, count: 75))
      #expect(few.allSatisfy(\.isFinite) && Set(few).count > 10)
      #expect(launches("dk_linear_wide") == 0 && launches("dk_attend_prompt") == 0 && launches("dk_linear_rows_") > 0)
      for pieces in [[300], [20, 64, 65, 151], Array(repeating: 30, count: 10), [270, 6, 24]] { #expect(try logits(pieces) == few, "\(pieces)") }
      for kernel in ["dk_linear_wide_1_", "dk_linear_wide_2_", "dk_linear_wide_gated_1_", "dk_linear_wide_gated_2_", "dk_attend_prompt", "dk_merge"] {
        #expect(launches(kernel) > 0, "\(kernel)")
      }
      #expect(problem == nil)
    }

    @Test func `weights change to another engine's and back, and share what is the same`() async throws {
      let (engine, other) = (try await build(), try await build(seed: 6, "other"))
      let wanted = try run(try open(other))
      let opened = try open(engine)
      let before = try run(opened)
      let made = try await LiveRefitter(engine).make(LiveSource(path: life.directory("other-model").string))
      do {
        let version = try opened.makeVersion(made.ranks)
        let free = opened.freeWeightByteCount ?? 0
        let same = try opened.makeVersion(made.ranks)
        #expect(opened.freeWeightByteCount == free, "the same memory is copied once")
        #expect(try run(opened) == before)
        let calls = cuda_double_calls()
        try opened.makeReady(version)
        #expect(cuda_double_calls() > calls)
        opened.activate(version)
        #expect(try run(opened) == wanted)
        opened.activate(same)
        #expect(try run(opened) == wanted)
        opened.activate(opened.fileWeights)
        #expect(try run(opened) == before)
      }
      #expect(problem == nil)
    }

    @Test func `weights that do not fit the card are refused before anything is made`() async throws {
      let engine = try await build()
      _ = try await build(seed: 6, "other")
      let error = await #expect(throws: LiveWeightsError.self) {
        try await LiveRefitter(engine).make(LiveSource(path: self.life.directory("other-model").string), room: 1000)
      }
      guard case .outOfDeviceMemory(_, 1000, _) = error else { return _ = Issue.record("\(String(describing: error))") }
      #expect(error?.description.contains("--weights_memory") == true)
    }

    @Test func `whatever call fails while an engine is opened, it is told and everything given back`() async throws {
      let engine = try await build(SmallModel(layers: 1))
      _ = try open(engine)
      let calls = cuda_double_calls()
      #expect(calls > 50)
      for code in [Int32(DK_CUDA_OUT_OF_MEMORY), 999] {
        for call in 1...calls {
          start()
          cuda_double_fail(call, code, code == 999 ? 1 : 0)
          do { _ = try open(engine) } catch {
            let text = "\(error)"
            #expect(!text.contains("\n") && text.count < 400, "\(text)")
          }
          #expect(problem == nil && cuda_double_live() == 0, "call \(call) of \(calls), \(code)")
        }
      }
    }

    @Test func `whatever call of a step fails, it is told, and the next step is right`() async throws {
      let engine = try await build(SmallModel(layers: 1))
      let opened = try open(engine)
      let wanted = try run(opened)
      let before = cuda_double_calls()
      _ = try run(opened)
      let calls = cuda_double_calls() - before
      for call in 1...calls {
        cuda_double_fail(call, Int32(DK_CUDA_OUT_OF_MEMORY), 0)
        do { _ = try run(opened) } catch { #expect("\(error)".contains("out of memory"), "\(error)") }
        cuda_double_fail(0, 0, 0)
        if opened.failure != nil { continue }
        #expect(try run(opened) == wanted, "call \(call)")
      }
      #expect(problem == nil)
    }

    @Test func `a card that is lost is lost for good, in one sentence`() async throws {
      let opened = try open(try await build(SmallModel(layers: 1)))
      _ = try run(opened)
      #expect(opened.failure == nil)
      cuda_double_fail(12, 719, 1)
      let error = #expect(throws: (any Error).self) { _ = try self.run(opened) }
      let text = try #require(opened.failure)
      #expect(text.contains("Restart") && text.contains("CUDA_ERROR_OF_DOUBLE") && !text.contains("\n") && text.count < 300, "\(text)")
      #expect(error.map { "\($0)" } == text)
      let calls = cuda_double_calls()
      #expect(throws: (any Error).self) { _ = try self.run(opened) }
      #expect(cuda_double_calls() == calls, "it is not asked again")
    }

    /// Where there is a card, an engine opens; elsewhere it is told what is missing.
    @Test func `without a driver or a card it is told what is missing`() async throws {
      unsafe dk_cuda_substitute(nil)
      let engine = try await build()
      do { _ = try CUDA().open(engine, options: .init()) } catch let error as EngineError {
        let text = error.description
        #expect(text.contains("cannot be run here: ") && !text.contains("\n") && text.count < 300, "\(text)")
      }
    }
  }
}
