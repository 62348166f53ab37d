import EngineFixtures
import CUDABackend
import Engines
import Execution
import Foundation
import SystemPackage
import TestSupport
import Testing

extension DriverTests {
  /// The kernels against NVIDIA's compiler, where it is: it needs no card.
  @Suite struct KernelCompilationTests {
    /// The compiler that `DRYDOCK_NVRTC` names, or the loader finds; nil where there is none.
    private static let compiler = open()
    private static func open() -> RuntimeCompiler? { try? RuntimeCompiler(path: ProcessInfo.processInfo.environment["DRYDOCK_NVRTC"]) }

    /// Another suite may have put its own in the place of the library.
    init() { _ = Self.open() }

    @Test(
      .enabled(if: compiler != nil, "NVRTC is not here: pip install nvidia-cuda-nvrtc, and let DRYDOCK_NVRTC name its libnvrtc.so.13"),
      arguments: [("sm_80", 64), ("sm_86", 10), ("sm_89", 80), ("sm_90a", 128), ("sm_100", 128), ("sm_120", 256)])
    func `they compile for every kind of card`(_ kind: (architecture: String, headSize: Int)) throws {
      for program in KernelProgram.all(for: kind.architecture) {
        let code = try #require(Self.compiler).code(program, architecture: kind.architecture, headSize: kind.headSize)
        #expect(code.starts(with: [0x7F, 0x45, 0x4C, 0x46]), "\(program.name)")  // an ELF file
      }
    }

    @Test(.enabled(if: compiler != nil, "NVRTC is not here")) func `compiled side by side they are the same bytes`() throws {
      let together = try RuntimeCompiler.code(architecture: "sm_90a", headSize: 64, cache: KernelCache(nil))
      #expect(together.map(\.0) == KernelProgram.all(for: "sm_90a"))
      for (program, code) in together { #expect(try #require(Self.compiler).code(program, architecture: "sm_90a", headSize: 64) == code, "\(program.name)") }
    }

    @Test(.enabled(if: compiler != nil, "NVRTC is not here")) func `engines carry what it makes, and are equal`() async throws {
      let directory = TemporaryDirectory()
      func life(_ kernels: String) -> Lifecycle {
        var life = Lifecycle()
        life.target = CUDA(kernels: KernelCache(directory(kernels))).planTarget(TargetOptions(architectures: ["90a"]))
        return life
      }
      let (one, other) = (life("one"), life("two"))
      let (a, b) = (try SmallModel().write(one.directory, "A", seed: 1), try SmallModel().write(one.directory, "B", seed: 2))
      let built = try await one.build(a, "engine", scope: .all)
      #expect(built.notes == [] && built.plans[0].artifacts.count == KernelProgram.all(for: "sm_90a").count)
      #expect(built.plans[0].artifacts.allSatisfy { $0.origin.compiler.hasPrefix("NVRTC 1") && $0.origin.compiler.split(separator: ".").count == 3 })
      let file = try EngineFile(one.directory("engine/rank0.engine"))
      for artifact in file.plan.artifacts { #expect(try file.bytes(of: artifact).starts(with: [0x7F, 0x45, 0x4C, 0x46]), "\(artifact.name)") }
      try await one.refit("engine", with: b, to: "refitted")
      // Compiled again.
      try await other.build(b, "engine", scope: .all)
      #expect(one.rankFiles("refitted") == other.rankFiles("engine"))
    }

    @Test(.enabled(if: compiler != nil, "NVRTC is not here")) func `what the compiler has to say is in the error`() throws {
      let error = #expect(throws: CUDAError.self) { try #require(Self.compiler).code(KernelProgram.all(for: "sm_1")[0], architecture: "sm_1", headSize: 64) }
      #expect(error?.description.contains("compiling kernels for sm_1") == true && error?.description.contains("\n") == true)
    }
  }
}
