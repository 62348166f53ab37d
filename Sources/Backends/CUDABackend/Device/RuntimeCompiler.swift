import CUDADriver
import Files
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// NVIDIA's compiler of kernels, which needs no card and no driver.
package struct RuntimeCompiler {
  /// - Parameter path: Of libnvrtc; nil: what the loader or /usr/local/cuda has.
  /// - Throws: In one sentence what is missing.
  package init(path: String? = nil) throws(CUDAError) {
    if let missing = unsafe dk_nvrtc_load(path) { throw CUDAError(unsafe String(cString: missing)) }
  }

  /// Machine code of a program's kernels. Several threads may compile at the same time.
  ///
  /// - Parameters:
  ///   - architecture: Such as `sm_90a`.
  ///   - headSize: Elements of an attention head.
  /// - Throws: With the compiler's messages.
  package func code(_ program: KernelProgram, architecture: String, headSize: Int) throws(CUDAError) -> [UInt8] {
    try output(of: program.source, program.options(architecture: architecture, headSize: headSize), for: architecture)
  }

  /// Such as `NVRTC 13.5.37`. The library itself names no more than `13.5`, so it is asked for a program of nothing, whose text
  /// begins with the version.
  package var version: String {
    get throws(CUDAError) {
      let text = String(decoding: try output(of: "", ["--gpu-architecture=compute_80"], for: "compute_80", asText: true), as: UTF8.self)
      guard let found = text.firstMatch(of: /Cuda compilation tools, .*V([0-9.]+)/) else {
        throw CUDAError("the compiler of CUDA kernels does not name its version")
      }
      return "NVRTC \(found.1)"
    }
  }

  private func output(of source: String, _ options: [String], for architecture: String, asText: Bool = false) throws(CUDAError) -> [UInt8] {
    var copies = unsafe options.map { unsafe UnsafePointer(strdup($0)) }
    defer { unsafe copies.forEach { unsafe free(UnsafeMutablePointer(mutating: $0)) } }
    var output: UnsafeMutablePointer<CChar>?
    var count = 0
    let code =
      asText
      ? unsafe dk_nvrtc_translate(source, &copies, Int32(options.count), &output, &count)
      : unsafe dk_nvrtc_compile(source, &copies, Int32(options.count), &output, &count)
    defer { unsafe free(output) }
    let bytes = unsafe output.map { unsafe Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
    guard code == 0 else {
      let messages = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      throw CUDAError("compiling kernels for \(architecture): \(unsafe String(cString: dk_nvrtc_error_text(code)))\n\(messages)")
    }
    return bytes
  }

  /// Machine code of every program that a card can be given, in their order.
  ///
  /// - Parameter cache: What was compiled before is taken from there.
  package static func code(architecture: String, headSize: Int, cache: KernelCache) throws -> [(KernelProgram, [UInt8])] {
    let programs = KernelProgram.all(for: architecture)
    let codes = Mutex<[KernelProgram: [UInt8]]>([:])
    try Parallel.forEach(programs.count, workers: min(programs.count, Processors.count)) { index in
      let program = programs[index]
      let code = try cache.code(program, architecture: architecture, headSize: headSize) {
        try RuntimeCompiler().code(program, architecture: architecture, headSize: headSize)
      }
      codes.withLock { $0[program] = code }
    }
    return codes.withLock { codes in programs.compactMap { program in codes[program].map { (program, $0) } } }
  }
}
