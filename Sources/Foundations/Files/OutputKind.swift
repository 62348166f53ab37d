public import SystemPackage

/// What a command writes, and so what an old directory must be for the output to take its place.
///
/// Evidence are `config.json` and a rank file of the kind. A name alone proves nothing: models, engines and checkpoints all
/// have a `config.json`.
public struct OutputKind: Sendable {
  /// With its article.
  let name: String
  /// Of rank files.
  let ending: String
  /// Why such a directory is another's work after all, as what it is; nil where it is not.
  let objection: @Sendable (FilePath) -> String?

  /// An engine directory of this program, of one rank or all: each rank file has its mark, or `lineage.json` speaks for all.
  public static let engine = OutputKind("an engine", rankFiles: ".engine") { directory in
    let names = (try? SystemCalls.list(directory)) ?? []
    for file in names.sorted() where RankFile.isOne(file, ".engine") {
      let start = (try? ReadableFile(directory.appending(file)).start()) ?? []
      if ["ftrt", "ptrt"].contains(where: { start.starts(with: Array($0.utf8)) }) { return "an engine of TensorRT-LLM (\(file))" }
      guard names.contains("lineage.json") || hasMark(start) else { return "an engine of another program, or a damaged one (\(file))" }
    }
    return nil
  }
  /// What the metadata of a rank file begin with, whether a digest stands before it or not.
  private static func hasMark(_ start: [UInt8]) -> Bool { String(decoding: start, as: UTF8.self).contains("\"format\":\"\(engineFormat)\"") }
  /// Names the format of rank files in their metadata.
  package static let engineFormat = "drydock-engine"
  /// A TensorRT-LLM checkpoint, whatever it was made by.
  public static let checkpoint = OutputKind("a checkpoint", rankFiles: ".safetensors") { _ in nil }

  private init(_ name: String, rankFiles ending: String, objection: @escaping @Sendable (FilePath) -> String?) {
    (self.name, self.ending, self.objection) = (name, ending, objection)
  }

  /// A narrower kind.
  ///
  /// - Parameter objection: What a directory of this kind is instead, with its article; nil where it is of the narrower one.
  public func named(_ name: String, unless objection: @escaping @Sendable (FilePath) -> String?) -> OutputKind {
    let own = self.objection
    return OutputKind(name, rankFiles: ending) { own($0) ?? objection($0) }
  }

  /// Why a directory that is not empty is not of this kind, as a clause about it; nil where it is.
  func problem(_ directory: FilePath, _ names: [String]) -> String? {
    let all = [Self.engine, .checkpoint].map { kind in (kind, RankFile.first(in: names, kind.ending)) }
    let found = all.compactMap { kind, file in file.map { "\(kind.name) (\($0))" } }
    let isOurs = all.contains { $0.0.ending == ending && $0.1 != nil }
    if found.count > 1 { return "holds files of \(found.joined(separator: " and of "))" }
    if let other = found.first, !isOurs { return "is \(other)" }
    guard isOurs, names.contains("config.json") else {
      let missing = isOurs ? "config.json" : "rank0\(ending)"
      return "is not empty and has no \(missing), as \(name) would"
    }
    return objection(directory).map { "is \($0)" }
  }
}
