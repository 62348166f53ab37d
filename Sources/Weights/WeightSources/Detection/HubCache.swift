import Files
import SystemPackage

/// A repository's directory in Hugging Face's cache: `models--ORG--NAME` with `snapshots/`, `refs/` and `blobs/`.
enum HubCache {
  static let prefix = "models--"

  static func isRepository(_ survey: DirectorySurvey) -> Bool {
    survey.has("snapshots") && (survey.has("refs") || survey.has("blobs"))
  }

  /// The snapshot that is meant: the one of `refs/main`, or the only one; and what there is to say of the choice.
  ///
  /// - Throws: ``WeightSourceError`` naming the snapshots where several are there, or saying that there is none.
  static func snapshot(of repository: FilePath) throws -> (path: FilePath, warnings: [SourceWarning]) {
    let snapshots = repository.appending("snapshots")
    let names = try Directory.names(in: snapshots).filter { Directory.kind(of: snapshots.appending($0)) == .directory }
    var warnings: [SourceWarning] = []
    if let main = try? ReadableFile.contents(of: repository.appending("refs").appending("main"), limit: 1024) {
      let name = String(decoding: main, as: UTF8.self).filter { !$0.isWhitespace }
      if names.contains(name) { return (snapshots.appending(name), []) }
      if let first = names.first, !name.isEmpty {
        warnings.append(
          SourceWarning(
            "refs/main", in: repository.lastComponent?.string ?? repository.string, "names the snapshot \(name.prefix(40)), which is not here; the only other, \(first.prefix(40)), was read. Download the model again"))
      }
    }
    guard let first = names.first else {
      throw WeightSourceError(
        repository.string, .found("this is a repository of Hugging Face's cache without a snapshot", remedy: "Download the model again."))
    }
    guard names.count == 1 else {
      throw WeightSourceError(
        repository.string,
        .found(
          "this is a repository of Hugging Face's cache with \(names.count) snapshots, and refs/main names none of them",
          remedy: "Name the snapshot: one of \(names.prefix(3).joined(separator: ", ")) in \(snapshots)"))
    }
    return (snapshots.appending(first), warnings)
  }
}
