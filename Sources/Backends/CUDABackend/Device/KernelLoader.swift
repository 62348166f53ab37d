import CUDADriver
import Engines
import Files
import Synchronization
import Threads

/// Gives a card its kernels: those that the engine carries where they are this version's and for this card, else those that were kept,
/// else what the compiler makes now. What the driver refuses, as an older one may, is looked for further on.
struct KernelLoader {
  let device: Device
  let headSize: Int
  let engine: EngineFile
  /// Otherwise those that the engine carries are not touched.
  let usesArtifacts: Bool
  let cache: KernelCache

  /// The calling thread uses the card.
  ///
  /// - Throws: ``EngineError`` for a damaged engine, and in one sentence where nothing works; ``CUDAError`` for calls that fail otherwise.
  func kernels() throws -> Kernels {
    let architecture = device.architecture
    let programs = KernelProgram.all(for: architecture)
    var modules: [KernelProgram: Module] = [:]
    var refusal: CUDAError?
    func load(_ program: KernelProgram, _ code: [UInt8]) throws(CUDAError) {
      do { modules[program] = try Module(device, code: code) } catch {
        guard !error.isOutOfMemory else { throw error }
        refusal = refusal ?? error
      }
    }
    for program in programs {
      if let artifact = artifact(program.origin(architecture: architecture, headSize: headSize)) {
        try load(program, try engine.bytes(of: artifact))
      }
    }
    for program in programs where modules[program] == nil {
      if let kept = cache.kept(program, architecture: architecture, headSize: headSize) { try load(program, kept) }
    }
    let missing = programs.filter { modules[$0] == nil }
    for (program, code) in try compiled(missing, refusal) { modules[program] = try Module(device, code: code) }
    return try Kernels(device, modules: modules, headSize: headSize)
  }

  private func artifact(_ origin: ArtifactOrigin) -> PlannedArtifact? {
    usesArtifacts ? engine.plan.artifacts.first { $0.origin.fits(origin) } : nil
  }

  private func compiled(_ programs: [KernelProgram], _ refusal: CUDAError?) throws(EngineError) -> [(KernelProgram, [UInt8])] {
    guard !programs.isEmpty else { return [] }
    let (architecture, headSize, cache) = (device.architecture, headSize, cache)
    let made = Mutex<[KernelProgram: [UInt8]]>([:])
    do {
      try Parallel.forEach(programs.count, workers: min(programs.count, Processors.count)) { index in
        let program = programs[index]
        let code = try RuntimeCompiler().code(program, architecture: architecture, headSize: headSize)
        cache.keep(code, program, architecture: architecture, headSize: headSize)
        made.withLock { $0[program] = code }
      }
    } catch {
      throw EngineError(
        engine.path,
        .unsupported(
          reason: "cannot be run here: \(device.name) needs kernels for \(architecture), \(carried(refusal)), and \(error). Install that compiler "
            + "(pip install nvidia-cuda-nvrtc, its lib directory in LD_LIBRARY_PATH), or build the engine where it is with --cuda_arch \(architecture.dropFirst(3))"))
    }
    return made.withLock { made in programs.compactMap { program in made[program].map { (program, $0) } } }
  }

  /// Why what the engine carries does not do.
  private func carried(_ refusal: CUDAError?) -> String {
    let found = engine.plan.artifacts.map(\.origin.architecture)
    if !usesArtifacts { return "the engine's own are not to be used" }
    if found.isEmpty { return "the engine carries none" }
    if !found.contains(device.architecture) { return "the engine carries those for \(Set(found).sorted().joined(separator: ", "))" }
    return refusal.map { "the driver refuses the engine's (\($0))" } ?? "the engine carries those of another version of this program"
  }
}
