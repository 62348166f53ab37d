import Crypto
import Files
import SystemPackage

/// Tells cached engines apart: a digest of everything that decides what an engine of a model holds.
enum EngineCacheKey {
  /// Raise it with any change by which the same model gives another engine, or the same engine other answers.
  static let generation = 2

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
    return String(SHA256.hash(data: Array(lines.joined(separator: "\n").utf8)).hexadecimal.prefix(32))
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
    hash.update(data: try file.bytes(0..<first))
    hash.update(data: try file.bytes(max(first, file.byteCount - sample)..<file.byteCount))
    return "\(path.lastComponent?.string ?? "") \(file.byteCount) \(file.timesOfChange ?? "") \(hash.finalize().hexadecimal)"
  }

  /// Configuration, weights and tokenizer of a directory; a GGUF file with its other parts.
  static func files(of model: FilePath) throws -> [FilePath] {
    if Directory.kind(of: model) == .directory {
      let endings = [".json", ".safetensors", ".gguf", ".jinja", ".model", ".txt"]
      return try Directory.files(in: model).filter { name in endings.contains { name.hasSuffix($0) } }.map { model.appending($0) }
    }
    guard let name = model.lastComponent?.string, let whole = partOfGGUF(name) else { return [model] }
    let directory = model.removingLastComponent()
    return try Directory.files(in: directory.isEmpty ? "." : directory).filter { partOfGGUF($0) == whole }.map { directory.appending($0) }
  }

  /// `model` and `of-00003` of `model-00001-of-00003.gguf`; nil for a name of another form.
  static func partOfGGUF(_ name: String) -> [String]? {
    guard let match = name.wholeMatch(of: #/(.+)-\d{5}-(of-\d{5})\.gguf/#) else { return nil }
    return [String(match.1), String(match.2)]
  }
}
