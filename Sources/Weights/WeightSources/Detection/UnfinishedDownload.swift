import Files
import SystemPackage

/// What programs that download leave beside, or in the place of, a file that is not complete.
enum UnfinishedDownload {
  private static let endings = [".incomplete", ".part", ".crdownload", ".aria2", ".download", ".partial", ".!qB", ".tmp"]

  static func isOne(_ name: String) -> Bool { endings.contains { name.hasSuffix($0) } }

  /// Names of a directory that are unfinished downloads, those of `hf download --local-dir` and of the cache with it.
  static func all(in path: FilePath, _ names: [String]) -> [String] {
    var found = names.filter { name in
      isOne(name) && [".safetensors", ".gguf", ".json", ".bin", ".model"].contains { name.contains($0) }
    }
    for place in [".cache/huggingface/download", "blobs", "../../blobs"] {
      let inside = (try? Directory.names(in: path.appending(place))) ?? []
      if let first = inside.first(where: { $0.hasSuffix(".incomplete") }) { found.append("\(place)/\(first)") }
    }
    return found
  }

  /// What there is of a file that is not there: its name with an ending that programs which download put behind it.
  static func of(_ name: String, in directory: FilePath) -> String? {
    let place = directory.isEmpty ? FilePath(".") : directory
    return endings.map { name + $0 }.first { Directory.kind(of: place.appending($0)) == .file }
      ?? ((try? Directory.names(in: place)) ?? []).first { $0.hasPrefix(name) && isOne($0) }
  }

  /// The control file of aria2, which makes a file of full size before it has its bytes; nil where there is none.
  static func controlFile(of path: FilePath) -> String? {
    guard let name = path.lastComponent?.string else { return nil }
    let control = name + ".aria2"
    return Directory.kind(of: path.removingLastComponent().appending(control)) == nil ? nil : control
  }

  /// - Throws: ``WeightSourceError`` where the file's bytes are still on their way.
  static func refuse(_ path: FilePath) throws(WeightSourceError) {
    guard let control = controlFile(of: path) else { return }
    throw WeightSourceError(
      path.string,
      .found("\(control) beside it says that its download is not finished", remedy: "Finish the download, or remove that file if it is stale."))
  }
}
