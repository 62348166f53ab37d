import Files
import Safetensors
import SystemPackage

/// The root digest that a rank file carries in its header, so that its weights are not taken for those of another engine
/// without reading them.
///
/// It depends on plan and weights alone, so equal engines stay equal files. Since it is known only when the weights are
/// written, the header is first written with zeros in its place.
enum EngineSeal {
  static let key = "root"
  static let placeholder = String(repeating: "0", count: 64)

  /// Puts each rank's root digest in its place.
  ///
  /// - Throws: ``FileError``, and ``EngineError`` where a header does not start as this program writes it.
  static func write(_ digests: [RankDigest], to output: OutputDirectory) throws {
    for digest in digests {
      guard let file = output.openFile(digest.file) else { continue }
      let before = Array("{\"__metadata__\":{\"\(key)\":\"".utf8)
      let start = try ReadableFile(file.path).bytes(8..<8 + before.count + placeholder.utf8.count)
      guard start == before + Array(placeholder.utf8), digest.root.utf8.count == placeholder.utf8.count else {
        throw EngineError(file.path, .notAnEngine(reason: "its header has no place for the root digest"))
      }
      try file.write(at: 8 + before.count, Array(digest.root.utf8))
    }
  }

  /// Rank files whose seal is not what the engine's lineage says; files of earlier versions have none.
  static func strangers(_ ranks: [EngineFile], _ lineage: Lineage?) -> [String] {
    ranks.compactMap { file in
      guard let root = file.root, let name = file.path.lastComponent?.string,
        let known = lineage?.ranks.first(where: { $0.file == name }), known.root != root
      else { return nil }
      return name
    }
  }
}
