import Files
import SystemPackage

extension RefitPage {
  /// Told before the work, not after: whether a page may be written there.
  ///
  /// - Parameter paths: Inputs and the output. Nothing in them, and none of them, may be replaced.
  static func check(_ page: FilePath, apartFrom paths: [FilePath]) throws {
    let folder = page.removingLastComponent().isEmpty ? FilePath(".") : page.removingLastComponent()
    guard Directory.kind(of: folder) == .directory else {
      throw CommandFailure("--report is \"\(page)\", but there is no directory \(folder). Make it first.")
    }
    if Directory.kind(of: page) == .directory { throw CommandFailure("--report is \"\(page)\", which is a directory; name a file.") }
    let parent = try Directory.resolve(folder)
    for path in paths {
      let place = (try? Directory.resolve(path)) ?? (try? resolvedName(path)) ?? path
      guard parent.starts(with: place) || parent.appending(page.lastComponent?.string ?? "") == place else { continue }
      throw CommandFailure("--report is \"\(page)\", which lies in \(path): inputs and engines are not written into. Name a file elsewhere.")
    }
    switch Directory.kind(of: page) {
    case nil, .directory: break
    case .other: throw CommandFailure("--report is \"\(page)\", which is no regular file; name one.")
    case .file:
      let file = try ReadableFile(page)
      let start = try file.bytes(0..<min(15, file.byteCount))
      guard start.isEmpty || start == Array("<!doctype html>".utf8) else {
        throw CommandFailure("--report is \"\(page)\", which exists and is no page of this kind, so it is not replaced. Name another file.")
      }
    }
  }

  /// Where a path that does not exist yet would be.
  private static func resolvedName(_ path: FilePath) throws -> FilePath {
    let folder = path.removingLastComponent().isEmpty ? FilePath(".") : path.removingLastComponent()
    return try Directory.resolve(folder).appending(path.lastComponent?.string ?? "")
  }
}
