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
/// A file is named by the digest of the source and the compiler's options and starts with that of what follows, so one that is of
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

  /// A program's code, compiled by `compile` where it is not there. That it cannot be kept is no error.
  package func code(
    _ program: KernelProgram, architecture: String, headSize: Int, compile: () throws -> [UInt8]
  ) rethrows -> [UInt8] {
    let options = program.options(architecture: architecture, headSize: headSize)
    let key = SHA256.hash(Array((program.source + "\n" + options.joined(separator: "\n")).utf8)).hexadecimal
    let path = directory?.appending("\(architecture)-\(key).cubin")
    if let path, let found = try? ReadableFile.contents(of: path) {
      let code = Array(found.dropFirst(Self.digestByteCount))
      if found.count > Self.digestByteCount, Array(found.prefix(Self.digestByteCount)) == Self.digest(code) { return code }
    }
    let code = try compile()
    if let path {
      try? CacheDirectory.make(path.removingLastComponent())
      try? AtomicFile.write(path, bytes: Self.digest(code) + code)
    }
    return code
  }

  private static let digestByteCount = 64
  private static func digest(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(bytes).hexadecimal.utf8) }
}
