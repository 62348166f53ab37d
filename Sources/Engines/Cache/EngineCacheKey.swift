import Digests
import Files
import SystemPackage
import Tokenizers
import WeightSources

/// Tells cached engines apart: a digest of everything that decides what an engine of a model holds.
package enum EngineCacheKey {
  /// Raise it with any change by which the same model gives another engine, or the same engine other answers. A test that
  /// knows the engine of a small model by its digest tells when that was forgotten.
  package static let generation = 4

  /// 32 hexadecimal digits.
  static func of(_ request: EngineCache.Request, target: String, options: EngineBuilder.Options) throws -> String {
    var lines = [
      "engine cache \(generation)", Tool.name, "target \(target) \(request.machine)",
      "dtype \(request.elementType?.rawValue ?? "auto")",
      "batch \(options.maximumBatchSize) input \(options.maximumInputLength) tokens \(options.maximumTokens)",
      "sequence \(options.maximumSequenceLength.map { "\($0)" } ?? "auto") scope \(options.scope.rawValue)",
      "keys and values \(options.cacheElementType?.rawValue ?? "auto")",
    ]
    for file in try files(of: request.model) { lines.append(try line(file)) }
    return String(SHA256.hash(Array(lines.joined(separator: "\n").utf8)).hexadecimal.prefix(32))
  }

  /// Name, size and times of a file, and a digest of its first and last MiB.
  ///
  /// The whole of a large file would take longer to read than an engine takes to open. What is written into the middle
  /// of one changes its times; the time of the last change of any kind cannot be set back, as the other can.
  private static func line(_ path: FilePath) throws -> String {
    let file = try ReadableFile(path)
    let sample = 1 << 20
    var hash = SHA256()
    let first = min(file.byteCount, sample)
    hash.update(try file.bytes(0..<first))
    hash.update(try file.bytes(max(first, file.byteCount - sample)..<file.byteCount))
    return "\(path.lastComponent?.string ?? "") \(file.byteCount) \(file.timesOfChange ?? "") \(hash.finalize().hexadecimal)"
  }

  /// Configuration, weights and tokenizer of a directory; a GGUF file with its other parts.
  static func files(of model: FilePath) throws -> [FilePath] {
    if Directory.kind(of: model) == .directory {
      let endings = [".json", ".safetensors", ".gguf", ".jinja", ".model", ".txt"]
      let templates = try CompanionFiles.templateFiles(beside: model).names.map { "\(TokenizerFiles.templateDirectory)/\($0)" }
      return try (Directory.files(in: model).filter { name in endings.contains { name.hasSuffix($0) } } + templates).map { model.appending($0) }
    }
    return GGUFFile.parts(of: model)
  }
}
