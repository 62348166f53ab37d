import EngineFixtures
import CUDABackend
import CUDADouble
import CUDADriver
import Engines
import Execution
import Files
import Foundation
import SystemPackage
import TestSupport
import Testing

extension DriverTests {
  /// Compiled kernels in engines, with a compiler and a driver in host memory: what is compiled says by which version and for what.
  @Suite final class KernelArtifactTests {
    private let directory = TemporaryDirectory(inMemory: true)
    private let small = SmallModel(hidden: 48, layers: 1)

    init() {
      unsafe dk_cuda_substitute(cuda_double_find)
      cuda_double_start(256 << 20)
      compiler(1)
    }
    deinit { unsafe dk_cuda_substitute(nil) }

    /// - Parameter version: 0: there is none.
    private func compiler(_ version: Int32, unknown: String = "") {
      unsafe cuda_double_compiler(version, unknown)
      // Functions are looked for again only where they come from elsewhere.
      unsafe dk_cuda_substitute(nil)
      _ = try? RuntimeCompiler(path: "/nowhere")
      unsafe dk_cuda_substitute(cuda_double_find)
    }

    private func life(_ architectures: [String]? = nil, kernels: KernelCache = KernelCache(nil)) -> Lifecycle {
      var life = Lifecycle()
      life.target = CUDA(kernels: kernels).planTarget(TargetOptions(architectures: architectures))
      return life
    }
    private func build(_ architectures: [String]? = nil, kernels: KernelCache = KernelCache(nil)) async throws -> (EngineDirectory, Lifecycle, EngineBuilder.Result) {
      let life = life(architectures, kernels: kernels)
      let built = try await life.build(try small.write(life.directory, "A", seed: 1), "engine", scope: .all)
      return (try EngineDirectory(life.directory("engine")), life, built)
    }
    /// Logits of a prompt.
    private func answer(_ engine: EngineDirectory, kernels: KernelCache = KernelCache(nil), trusts: Bool = true) throws -> [Float] {
      var options = ExecutorOptions()
      (options.maximumSequences, options.maximumBatchRows, options.usesArtifacts) = (2, 16, trusts)
      let opened = try CUDA(kernels: kernels).open(engine, options: options)
      var found: [Float] = []
      let batch = Batch(tokens: [1, 2, 3], sequences: [SequenceSlice(rows: 0..<3, firstPosition: 0, blockTable: [0], phase: .prefill, wantsLogits: true)])
      unsafe try opened.step(batch) { _, row in unsafe found = Array(row) }
      return found
    }
    private func refusal(_ engine: EngineDirectory, trusts: Bool = true) -> String {
      (#expect(throws: EngineError.self) { _ = try answer(engine, trusts: trusts) })?.description ?? ""
    }
    private var compilations: Int64 { cuda_double_compilations() }
    private var programs: Int64 { Int64(KernelProgram.all(for: "sm_90a").count) }

    @Test func `an engine that carries kernels is opened by the driver alone`() async throws {
      let (engine, _, built) = try await build()
      #expect(built.notes == [] && compilations == programs && built.plans[0].artifacts.count == Int(programs))
      #expect(Set(built.plans[0].artifacts.map(\.origin.architecture)) == ["sm_90a"], "that of the card here")
      #expect(Set(built.plans[0].artifacts.map(\.origin.compiler)) == ["NVRTC 0.1.1"])
      let (bare, _, _) = try await build([])
      compiler(0)
      let found = try answer(engine)
      #expect(compilations == 0 && Set(found).count > 10)
      #expect(unsafe cuda_double_problem() == nil && cuda_double_live() == 0)
      let said = refusal(bare)
      #expect(said.contains("needs kernels for sm_90a, the engine carries none, and the compiler of CUDA kernels lacks") && said.contains("--cuda_arch 90a"), "\(said)")
      compiler(1)
      #expect(try answer(bare) == found && compilations == programs)
    }

    @Test func `where nobody says it is also asked of what was kept`() async throws {
      let (engine, _, _) = try await build(["80"])
      let kept = KernelCache(directory("kernels"))
      compiler(1)
      let found = try answer(engine, kernels: kept)
      #expect(compilations == programs)
      compiler(0)
      #expect(try answer(engine, kernels: kept) == found)
      let said = refusal(engine)
      #expect(said.contains("the engine carries those for sm_80, and"), "\(said)")
    }

    @Test func `refits and strips carry them, and builds without a card are equal`() async throws {
      let life = life(["90a", "80"])
      let (a, b) = (try small.write(life.directory, "A", seed: 1), try small.write(life.directory, "B", seed: 2))
      for (model, name) in [(a, "engine-A"), (b, "engine-B"), (a, "again")] { try await life.build(model, name, scope: .all) }
      life.expectSame("engine-A", "again", "same bytes from same inputs")
      compiler(0)
      try await life.refit("engine-A", with: b, to: "refitted")
      life.expectSame("refitted", "engine-B", "refit(build(A), B) is build(B)")
      try await life.strip("engine-A", to: "stripped")
      try await life.refit("stripped", with: a, to: "filled")
      life.expectSame("filled", "engine-A", "refit(strip(build(A)), A) is build(A)")
      let names = try EngineDirectory(life.directory("stripped")).ranks[0].plan.artifacts.map(\.name)
      #expect(names.contains("cuda.sm_90a.attention") && names.contains("cuda.sm_80.rows") && !names.contains("cuda.sm_80.attention_prompt"))
      #expect(names.contains("cuda.sm_90a.linear_wide_1") && Set(names).count == names.count)
    }

    @Test func `what was compiled before is taken from the same compiler only`() async throws {
      let kept = KernelCache(directory("kernels"))
      let (_, first, _) = try await build(kernels: kept)
      compiler(1)
      let (_, second, _) = try await build(kernels: kept)
      #expect(compilations == 0 && first.rankFiles("engine") == second.rankFiles("engine"))
      compiler(2)
      let (engine, third, _) = try await build(kernels: kept)
      #expect(compilations == programs && third.rankFiles("engine") != first.rankFiles("engine"))
      #expect(try engine.ranks[0].bytes(of: engine.ranks[0].plan.artifacts[0]).starts(with: Array("double 12 by 2 for sm_90a".utf8)))
    }

    @Test func `without a compiler an engine is built all the same, and that is said`() async throws {
      compiler(0)
      let (engine, _, built) = try await build()
      #expect(built.notes.count == 1 && built.notes[0].contains("the engine carries no compiled kernels: the compiler of CUDA kernels lacks"))
      #expect(engine.ranks[0].plan.artifacts == [] && engine.ranks[0].planText.hasPrefix(#"{"formatVersion":2,"#))
      #expect(try await build([]).2.notes == [])
      compiler(1)
      #expect(try answer(engine).count == 37)
    }

    @Test func `a card that the compiler does not know is an error where it was asked for, else a note`() async throws {
      compiler(1, unknown: "sm_120")
      let error = await #expect(throws: EngineError.self) { _ = try await build(["90a", "120"]) }
      #expect(error?.description.contains("no engine for cuda can be built: compiling kernels for sm_120: made to fail") == true, "\(error?.description ?? "")")
      compiler(1, unknown: "sm_90a")
      let (engine, _, built) = try await build()
      #expect(engine.ranks[0].plan.artifacts == [] && built.notes.count == 1 && built.notes[0].contains("sm_90a") && !built.notes[0].contains("\n"))
    }

    @Test func `what the driver refuses is compiled here, and where that cannot be its sentence is told`() async throws {
      let (engine, _, _) = try await build()
      let wanted = try answer(engine)
      compiler(2)
      unsafe cuda_double_refuse("by 1 ")
      let kept = KernelCache(directory("kernels"))
      #expect(try answer(engine, kernels: kept) == wanted && compilations == programs)
      compiler(0)
      #expect(try answer(engine, kernels: kept) == wanted, "what was kept is tried before the compiler")
      let said = refusal(engine)
      #expect(said.contains("the driver refuses the engine's (loading kernels: made to fail"), "\(said)")
      // What was kept and is refused makes room for what the driver takes.
      unsafe cuda_double_refuse("by 2 ")
      compiler(3)
      let (bare, _, _) = try await build([])
      compiler(3)
      #expect(try answer(bare, kernels: kept) == wanted && compilations == programs)
      #expect(try answer(bare, kernels: kept) == wanted && compilations == programs)
    }

    @Test func `a damaged kernel is refused before the driver has it`() async throws {
      let (engine, life, _) = try await build()
      let file = engine.ranks[0], artifact = file.plan.artifacts[2]
      var bytes = try #require(contents(file.path))
      bytes[file.tensors.header.dataStart + (try #require(file.tensors.header[artifact.name])).range.lowerBound + 3] ^= 4
      life.directory.write("engine/rank0.engine", bytes)
      let calls = cuda_double_compilations()
      let said = refusal(try EngineDirectory(life.directory("engine")))
      #expect(said.contains("\(artifact.name) holds other bytes than the engine's plan says") && said.contains("Copy the engine again, or build it again"), "\(said)")
      #expect(compilations == calls && cuda_double_live() == 0)
      // Not asked for, it does no harm.
      #expect(try answer(try EngineDirectory(life.directory("engine")), trusts: false).count == 37 && compilations == calls + programs)
    }

    @Test func `kernels of another version or other heads are not used`() async throws {
      let (engine, life, _) = try await build()
      let path = engine.ranks[0].path, text = engine.ranks[0].planText
      // Another source's digest, in the place of this one's.
      let digest = try #require(engine.ranks[0].plan.artifacts.first { $0.name.hasSuffix(".rows") }).origin.sourceDigest
      let other = String(digest.dropLast()) + (digest.hasSuffix("0") ? "1" : "0")
      #expect(text.contains(digest))
      let bytes = try #require(contents(path))
      let changed = Data(bytes).replacing(Data(digest.utf8), with: Data(other.utf8))
      life.directory.write("engine/rank0.engine", Array(changed))
      let calls = compilations
      #expect(try answer(try EngineDirectory(life.directory("engine"))).count == 37)
      #expect(compilations == calls + 1, "that program alone")
      compiler(0)
      #expect(refusal(try EngineDirectory(life.directory("engine"))).contains("those of another version of this program"))
    }

    @Test func `they can be left alone`() async throws {
      let (engine, _, _) = try await build()
      let calls = compilations
      #expect(try answer(engine, trusts: false) == answer(engine) && compilations == calls + programs)
      compiler(0)
      #expect(refusal(engine, trusts: false).contains("the engine's own are not to be used"))
    }

    @Test func `weights on the card are without them`() async throws {
      let (engine, _, _) = try await build()
      var options = ExecutorOptions()
      (options.maximumSequences, options.maximumBatchRows) = (2, 16)
      func used(_ engine: EngineDirectory) throws -> Int { try CUDA(kernels: KernelCache(nil)).open(engine, options: options).freeWeightByteCount ?? 0 }
      let (bare, _, _) = try await build([])
      #expect(try used(engine) == used(bare))
    }

    @Test func `cards are named as the compiler names them`() {
      func problems(_ names: String...) -> [String] { CUDA().problems(in: TargetOptions(architectures: names)) }
      #expect(problems() == [] && problems("90a") == [] && problems("80", "90a", "sm_120") == [] && CUDA().problems(in: .init()) == [])
      #expect(problems("90")[0].contains("those of 90a"))
      for wrong in ["", "75", "none", "9.0", "sm_", "100a", "8 0", "8000", "-80", "٨٠"] { #expect(problems(wrong).count == 1, "\(wrong)") }
      #expect(problems("80", "sm_80") == ["--cuda_arch names sm_80 twice"])
    }
  }
}
