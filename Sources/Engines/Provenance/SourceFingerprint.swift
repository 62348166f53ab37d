import Digests
import Files
public import SystemPackage
import WeightSources

/// Tells one model directory or file from another, cheaply.
public enum SourceFingerprint {
  /// How much is read at either end of a file.
  static let sampleByteCount = 1 << 20

  /// SHA-256 of one line for each configuration or weights file (`.json`, `.safetensors`, `.engine`, `.gguf`, all but
  /// `lineage.json`) in order of names: name, size, and the SHA-256 of its first and last MiB.
  ///
  /// Small files are covered in full, large ones by their headers and ends. It names what was used; that the bytes in an
  /// engine are right is what the digests of its weights prove.
  public static func of(_ path: FilePath) throws -> String {
    var hash = SHA256()
    for path in try files(of: path) {
      let file = try ReadableFile(path)
      var sample = SHA256()
      let first = min(file.byteCount, sampleByteCount)
      sample.update(try file.bytes(0..<first))
      sample.update(try file.bytes(max(first, file.byteCount - sampleByteCount)..<file.byteCount))
      hash.update(Array("\(path.lastComponent?.string ?? "") \(file.byteCount) \(sample.finalize().hexadecimal)\n".utf8))
    }
    return hash.finalize().hexadecimal
  }

  /// Whether the samples are all there is of every file, so that the digest stands for all bytes.
  static func coversAll(_ path: FilePath) -> Bool {
    ((try? files(of: path)) ?? [path]).allSatisfy { ((try? ReadableFile($0).byteCount) ?? .max) <= 2 * sampleByteCount }
  }

  /// When each of those files was last changed, to tell runs apart where equal bytes do not suffice.
  static func times(_ path: FilePath) -> String {
    ((try? files(of: path)) ?? [path]).map { file in
      guard let time = try? file.stat().st_mtim else { return "?" }
      return "\(time.tv_sec).\(time.tv_nsec)"
    }.joined(separator: " ")
  }

  /// What counts of a directory; a file, with all parts where it is one of several.
  private static func files(of path: FilePath) throws -> [FilePath] {
    guard Directory.kind(of: path) == .directory else { return GGUFFile.parts(of: path) }
    return try Directory.files(in: path).filter(isPart).map { path.appending($0) }
  }

  private static func isPart(_ name: String) -> Bool {
    name != Lineage.fileName && [".json", ".safetensors", ".engine", ".gguf"].contains { name.hasSuffix($0) }
  }
}
