import CUDADriver
import Digests
import Files
package import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Machine code of kernels that was compiled before on this machine: compiling takes seconds, and needs NVIDIA's compiler.
///
/// A file is named by the digest of the source and the compiler's options, and of the compiler where that matters, and starts with that of what follows, so one that is of
/// other kernels, or was cut short, is not used.
package struct KernelCache {
  /// Nil: nothing is kept.
  private let directory: FilePath?

  package init(_ directory: FilePath?) { self.directory = directory }

  /// Below `$XDG_CACHE_HOME` or `~/.cache`.
  package static var ofUser: KernelCache {
    func path(_ name: String) -> FilePath? {
      guard let text = unsafe getenv(name) else { return nil }
      let path = FilePath(unsafe String(cString: text))
      return path.isAbsolute ? path : nil
    }
    return KernelCache((path("XDG_CACHE_HOME") ?? path("HOME")?.appending(".cache"))?.appending("drydock/kernels"))
  }

  /// A program's code, compiled by `compile` where it is not there.
  ///
  /// - Parameter compiler: Its version, where what another made does not do; nil: where any does.
  package func code(
    _ program: KernelProgram, architecture: String, headSize: Int, compiler: String? = nil, compile: () throws -> [UInt8]
  ) rethrows -> [UInt8] {
    if let kept = kept(program, architecture: architecture, headSize: headSize, compiler: compiler) { return kept }
    let code = try compile()
    keep(code, program, architecture: architecture, headSize: headSize, compiler: compiler)
    return code
  }

  /// A program's code, where it is there.
  func kept(_ program: KernelProgram, architecture: String, headSize: Int, compiler: String? = nil) -> [UInt8]? {
    guard let path = path(program, architecture, headSize, compiler), let found = try? ReadableFile.contents(of: path) else { return nil }
    let code = Array(found.dropFirst(Self.digestByteCount))
    return found.count > Self.digestByteCount && Array(found.prefix(Self.digestByteCount)) == Self.digest(code) ? code : nil
  }

  /// Puts it there, in the place of what was. That it cannot be kept is no error.
  func keep(_ code: [UInt8], _ program: KernelProgram, architecture: String, headSize: Int, compiler: String? = nil) {
    guard let path = path(program, architecture, headSize, compiler) else { return }
    try? CacheDirectory.make(path.removingLastComponent())
    try? AtomicFile.write(path, bytes: Self.digest(code) + code)
  }

  private func path(_ program: KernelProgram, _ architecture: String, _ headSize: Int, _ compiler: String?) -> FilePath? {
    let lines = [program.source] + program.options(architecture: architecture, headSize: headSize) + (compiler.map { [$0] } ?? [])
    return directory?.appending("\(architecture)-\(SHA256.hash(Array(lines.joined(separator: "\n").utf8)).hexadecimal).cubin")
  }

  private static let digestByteCount = 64
  private static func digest(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(bytes).hexadecimal.utf8) }
}
