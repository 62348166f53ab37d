import SystemPackage

/// Where an output is to go, checked against the inputs before anything is written.
struct OutputPlace {
  let parent: FilePath
  let name: String

  /// - Parameter replaceable: The one input that the output may be; it is still replaced as a whole, at the end.
  init(_ target: FilePath, as kind: OutputKind, notOverlapping inputs: [FilePath], replaceable: FilePath?) throws(FileError) {
    let normal = target.lexicallyNormalized()
    guard let last = normal.lastComponent, last.kind == .regular else {
      throw FileError(target, .refused(reason: "the output needs a name of its own. Name a directory other than '.', '..' or '/'."))
    }
    name = last.string
    // The last component is ours to make, but `a/link/../out` is not `a/out`: everything before it is left as written.
    let head = target.removingLastComponent()
    parent = target.lastComponent == last ? (head.isEmpty ? "." : head) : normal.removingLastComponent()
    try checkNoWayBack()
    try checkOverlap(inputs, replaceable: replaceable)
    try OutputDirectory.checkReplaceable(target, by: kind)
  }

  /// `missing/../input` is `input` once the missing directory has been made: such a path cannot be checked before.
  private func checkNoWayBack() throws(FileError) {
    guard parent.components.contains(where: { $0.kind == .parentDirectory }), try OutputDirectory.existing(parent) == nil else { return }
    throw FileError(
      parent.appending(name),
      .refused(reason: "the path goes back ('..') and some directory on it does not exist. Give the output's path without '..'."))
  }

  /// Compares files by device and inode, so neither links nor mounts nor spellings hide an overlap.
  private func checkOverlap(_ inputs: [FilePath], replaceable: FilePath?) throws(FileError) {
    let target = parent.appending(name)
    let targetChain = try Self.ancestors(of: target)
    let targetItself = try OutputDirectory.existing(target)
    for input in inputs {
      let status = try SystemCalls.status(input, following: true)
      if let targetItself, targetItself.isSameFile(as: status) {
        if input == replaceable { continue }
        throw FileError(target, .refused(reason: "the output is the same directory as the input \(input). Choose another output."))
      }
      if targetChain.contains(where: { $0.isSameFile(as: status) }) {
        throw FileError(target, .refused(reason: "the output lies inside the input \(input). Choose another output."))
      }
      if let targetItself, try Self.ancestors(of: SystemCalls.resolve(input)).contains(where: { $0.isSameFile(as: targetItself) }) {
        throw FileError(target, .refused(reason: "the output contains the input \(input). Choose another output."))
      }
    }
  }

  /// The directories above `path` that exist, nearest first.
  private static func ancestors(of path: FilePath) throws(FileError) -> [FileStatus] {
    var above = path.removingLastComponent()
    while true {
      if above.isEmpty { above = "." }
      do throws(FileError) { above = try SystemCalls.resolve(above) } catch {
        guard error.errno == .noSuchFileOrDirectory, above != "." else { throw error }
        above.removeLastComponent()
        continue
      }
      break
    }
    var found = [try SystemCalls.status(above, following: true)]
    while above.removeLastComponent() { found.append(try SystemCalls.status(above, following: true)) }
    return found
  }

  /// Makes the missing directories above the output, outermost first.
  func makeParents(_ made: inout [FilePath]) throws(FileError) {
    var missing: [FilePath] = []
    var above = parent
    while !above.isEmpty, try OutputDirectory.existing(above) == nil {
      missing.append(above)
      guard above.removeLastComponent() else { break }
    }
    for directory in missing.reversed() {
      do throws(FileError) {
        try SystemCalls.makeDirectory(directory)
        made.append(directory)
      } catch {
        guard error.errno == .fileExists else { throw error }  // another run was faster
      }
    }
  }
}
