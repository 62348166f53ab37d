import Digests
import Engines
import Files
import Synchronization
import Threads

extension KernelProgram {
  /// What its code is made of, by which code is told from that of other kernels.
  func origin(architecture: String, headSize: Int, compiler: String = "") -> ArtifactOrigin {
    ArtifactOrigin(
      sourceDigest: SHA256.hash(Array(source.utf8)).hexadecimal, options: options(architecture: architecture, headSize: headSize),
      architecture: architecture, compiler: compiler)
  }
}

extension ArtifactOrigin {
  /// Whether both are of the same source and options; whichever version compiled it.
  func fits(_ other: ArtifactOrigin) -> Bool {
    sourceDigest == other.sourceDigest && options == other.options && architecture == other.architecture
  }
}

/// Compiled kernels that an engine carries, so that the driver alone suffices to run it.
struct KernelArtifacts: Sendable {
  /// Such as `sm_90a`; nil: that of the card here, else `sm_90a`.
  var architectures: [String]?
  /// What was compiled before by the same compiler is taken from there.
  var cache: KernelCache

  static let none = KernelArtifacts(architectures: [], cache: KernelCache(nil))
  private static let usual = "sm_90a"

  /// Code of all programs, compiled side by side: the same bytes from the same compiler.
  ///
  /// - Throws: ``CUDAError`` where the compiler is there and refuses what was asked for by name.
  func make(headSize: Int) throws -> TargetArtifacts {
    guard architectures != [] else { return TargetArtifacts() }
    let compiler: RuntimeCompiler
    do { compiler = try RuntimeCompiler() } catch {
      return TargetArtifacts(notes: [
        "the engine carries no compiled kernels: \(error), so they are compiled where it is opened first; pip install nvidia-cuda-nvrtc brings it "
          + "(its lib directory in LD_LIBRARY_PATH), --cuda_arch none asks for none"
      ])
    }
    do { return TargetArtifacts(try make(compiler, architectures ?? [Device.architectureHere ?? Self.usual], headSize)) } catch {
      guard architectures == nil else { throw error }
      let reason = "\(error)".prefix { $0 != "\n" }
      return TargetArtifacts(notes: ["the engine carries no compiled kernels: \(reason), so they are compiled where it is opened first"])
    }
  }

  private func make(_ compiler: RuntimeCompiler, _ architectures: [String], _ headSize: Int) throws -> [TargetArtifact] {
    let version = try compiler.version
    let wanted = architectures.flatMap { architecture in Self.named(architecture).map { (architecture, $0.name, $0.program) } }
    let made = Mutex<[Int: TargetArtifact]>([:])
    try Parallel.forEach(wanted.count, workers: min(wanted.count, Processors.count)) { [cache] index in
      let (architecture, name, program) = wanted[index]
      let code = try cache.code(program, architecture: architecture, headSize: headSize, compiler: version) {
        try compiler.code(program, architecture: architecture, headSize: headSize)
      }
      let artifact = TargetArtifact(name: name, bytes: code, origin: program.origin(architecture: architecture, headSize: headSize, compiler: version))
      made.withLock { $0[index] = artifact }
    }
    return made.withLock { made in wanted.indices.compactMap { made[$0] } }
  }

  /// Programs with names of their own.
  private static func named(_ architecture: String) -> [(name: String, program: KernelProgram)] {
    var seen: [String: Int] = [:]
    let programs = KernelProgram.all(for: architecture)
    return programs.map { program in
      seen[program.name, default: 0] += 1
      let isOnly = programs.count { $0.name == program.name } == 1
      return ("\(CUDA.name).\(architecture).\(program.name)" + (isOnly ? "" : "_\(seen[program.name] ?? 0)"), program)
    }
  }
}

/// `--cuda_arch`: compute capabilities as NVIDIA's compiler writes them, without the point.
enum CUDAArchitectures {
  /// As options name them.
  static func names(_ given: [String]) -> [String] { given.map { "sm_" + number($0) } }

  private static func number(_ given: String) -> String { given.hasPrefix("sm_") ? String(given.dropFirst(3)) : given }

  /// What is wrong with them, a line each.
  static func problems(_ given: [String]) -> [String] {
    var seen: [String: Int] = [:]
    return given.compactMap { text in
      let number = number(text)
      seen[number, default: 0] += 1
      if let times = seen[number], times > 1 { return times == 2 ? "--cuda_arch names \(text) twice" : nil }
      guard !text.isEmpty else { return "--cuda_arch has an empty name in its list" }
      guard number != "90" else { return "--cuda_arch is \(text); the kernels for compute capability 9.0 are those of 90a" }
      guard number != "90a" else { return nil }
      guard (2...3).contains(number.utf8.count), number.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(number), value >= 80 else {
        return "--cuda_arch is \(text); it must be none or a list of compute capabilities from 80 on, such as 90a,80"
      }
      return nil
    }
  }
}
