public import SystemPackage

/// A directory that appears under its name complete, or not at all.
///
/// Files are written into the hidden sibling `.NAME.drydock-new`, which this object holds a lock on. ``commit()``
/// syncs them and gives the sibling the target's name in one step; whatever ends the process before that leaves the
/// target as it was, and the next run clears the sibling away.
///
/// Lock order: the sibling first, then (while committing) the target.
public final class OutputDirectory: Sendable {
  /// Where the result will be, absolute and without symbolic links.
  public let target: FilePath
  /// Where to write now.
  public let path: FilePath
  private let parent: FilePath
  /// Directories on the way to the target that this run made, outermost first.
  private let madeParents: [FilePath]
  private let lock: LockedDirectory
  private let files = OpenFiles()
  private let finished = CloseState()
  /// Says of a file in the old target whether it belongs to the kind of directory written here: such a file goes
  /// when it is not written anew, any other is carried over.
  private let belongs: @Sendable (String) -> Bool
  private let kind: OutputKind

  /// Starts writing.
  ///
  /// - Parameters:
  ///   - target: Need not exist; missing parents are made. If it exists it must be a directory that is empty or of the
  ///     same kind, and without sub-directories.
  ///   - kind: What is written.
  ///   - inputs: Files and directories that must not be touched. The target may not be one, lie inside one, or contain one.
  ///   - replaceable: The one input that the target may be; it is still replaced as a whole, and only at the end.
  ///   - belongs: See above; the default knows the files of checkpoints and engines.
  public static func begin(
    _ target: FilePath, as kind: OutputKind, notOverlapping inputs: [FilePath], replaceable: FilePath? = nil,
    belongs: @escaping @Sendable (String) -> Bool = OutputDirectory.isCheckpointOrEngineFile
  ) throws(FileError) -> OutputDirectory {
    let place = try OutputPlace(target, as: kind, notOverlapping: inputs, replaceable: replaceable)
    return try OutputDirectory(place, as: kind, belongs: belongs)
  }

  private init(_ place: OutputPlace, as kind: OutputKind, belongs: @escaping @Sendable (String) -> Bool) throws(FileError) {
    var made: [FilePath] = []
    let target = place.parent.appending(place.name)
    do throws(FileError) {
      try place.makeParents(&made)
      parent = try SystemCalls.resolve(place.parent)
      self.target = parent.appending(place.name)
      path = parent.appending(".\(place.name).drydock-new")
      lock = try LockedDirectory.acquire(path)
      do throws(FileError) {
        // Under the lock: a swap that is under way looks like one that was interrupted.
        try Self.restoreInterruptedSwap(self.target, parent: parent, name: place.name)
        try Self.checkReplaceable(self.target, by: kind)
      } catch {
        try? SystemCalls.removeDirectory(path)
        lock.release()
        throw error
      }
    } catch {
      for directory in made.reversed() { try? SystemCalls.removeDirectory(directory) }
      throw Self.aboutTarget(error, target, named: place.name)
    }
    madeParents = made
    self.belongs = belongs
    self.kind = kind
  }

  deinit { abandon() }

  /// The target's name in the place of the hidden sibling's, which the caller did not name.
  private static func aboutTarget(_ error: FileError, _ target: FilePath, named name: String) -> FileError {
    switch error.problem {
    case .locked: FileError(target, .locked)
    case .system where error.path.lastComponent?.string == ".\(name).drydock-new": FileError(target, error.problem)
    default: error
    }
  }

  /// A new file called `name` in the output; synced and closed by ``commit()`` at the latest.
  public func createFile(_ name: String) throws(FileError) -> WritableFile {
    try check(name)
    let file = try WritableFile(creating: path.appending(name))
    files.add(file)
    return file
  }
  /// A file of the output that was created and not yet closed.
  package func openFile(_ name: String) -> WritableFile? { files.first(at: path.appending(name)) }
  /// Writes a whole file.
  public func write(_ name: String, bytes: [UInt8]) throws(FileError) {
    let file = try createFile(name)
    try file.write(at: 0, bytes)
    try file.close()
  }
  /// Writes a whole file in UTF-8.
  public func write(_ name: String, text: String) throws(FileError) { try write(name, bytes: Array(text.utf8)) }
  /// Copies a whole file, following symbolic links.
  public func copyFile(from source: FilePath, name: String) throws(FileError) {
    let input = try ReadableFile(source)
    let file = try createFile(name)
    try file.copyRange(from: input, at: 0, to: 0, count: input.byteCount)
    try file.close()
  }
  /// Names written so far.
  public func names() throws(FileError) -> [String] { try SystemCalls.list(path) }

  private func check(_ name: String) throws(FileError) {
    guard FilePath.Component(name)?.kind == .regular, FilePath(name).components.count == 1 else {
      throw FileError(path, .refused(reason: "'\(name)' is not a plain file name."))
    }
  }

  /// Makes the output appear under its name, replacing what was there. The object is of no further use.
  public func commit() throws(FileError) {
    try files.closeAll()
    if let old = try Self.existing(target) {
      guard old.kind == .directory else { throw FileError(target, .notADirectory) }
      try Self.checkReplaceable(target, by: kind)
      let oldLock = try LockedDirectory.lockExisting(target)
      try carryOver()
      try keepPermissions()
      try SystemCalls.sync(lock.descriptor, path: path)
      let aside = try swap()
      guard finished.close() else { return }
      // The result stands. What follows only tidies up; if it fails, the next run tidies.
      try SystemCalls.syncDirectory(parent)
      try? oldLock.removeContents(as: aside)
      try? SystemCalls.removeDirectory(aside)
      oldLock.release()
    } else {
      try SystemCalls.sync(lock.descriptor, path: path)
      try SystemCalls.renameDirectory(path, toNew: target)
      guard finished.close() else { return }
      try SystemCalls.syncDirectory(parent)
      for directory in madeParents.reversed() {
        try SystemCalls.syncDirectory(directory.removingLastComponent())
      }
    }
    lock.release()
  }

  /// Removes what was written. Called by `deinit` too, so an error on the way needs no clean-up.
  public func abandon() {
    guard finished.close() else { return }
    files.forget()
    try? lock.removeContents(as: path)
    try? SystemCalls.removeDirectory(path)
    for directory in madeParents.reversed() { try? SystemCalls.removeDirectory(directory) }
    lock.release()
  }

  /// Exchanges the two names. Where the file system cannot, moves the old one away first: the target is then absent
  /// for a moment, and a run that dies in it is mended by ``restoreInterruptedSwap(_:parent:name:)``.
  ///
  /// - Returns: Where the old directory is now.
  private func swap() throws(FileError) -> FilePath {
    do throws(FileError) {
      try SystemCalls.exchange(path, with: target)
      return path
    } catch {
      guard error.isOfCall else { throw error }
    }
    let aside = Self.aside(parent: parent, name: target.lastComponent?.string ?? "")
    try SystemCalls.rename(target, to: aside)
    do throws(FileError) { try SystemCalls.rename(path, to: target) } catch {
      try? SystemCalls.rename(aside, to: target)
      throw error
    }
    return aside
  }

  /// Whoever could read the old directory and its files can read the new ones, and nobody else.
  private func keepPermissions() throws(FileError) {
    let old = Set(try SystemCalls.list(target))
    for name in try SystemCalls.list(path) where old.contains(name) {
      try SystemCalls.copyPermissions(target.appending(name), to: path.appending(name))
    }
    try SystemCalls.copyPermissions(target, to: path)
  }

  private func carryOver() throws(FileError) {
    let written = Set(try SystemCalls.list(path))
    for name in try SystemCalls.list(target) where !written.contains(name) && !belongs(name) {
      let from = target.appending(name)
      do throws(FileError) { try SystemCalls.link(from, to: path.appending(name)) } catch {
        guard try SystemCalls.status(from, following: false).kind == .regular else { throw error }
        try copyFile(from: from, name: name)
      }
    }
  }
}

extension OutputDirectory {
  /// Files that checkpoints and engines are made of.
  public static func isCheckpointOrEngineFile(_ name: String) -> Bool {
    if outputNames.contains(name) { return true }
    return [".safetensors", ".engine", "_managed_weights.safetensors"].contains { RankFile.isOne(name, $0) }
  }
  private static let outputNames: Set<String> = [
    "config.json", "quant_cfg.json", "lineage.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "generation_config.json", "chat_template.jinja", "chat_template.json", "vocab.json",
    "merges.txt", "tokenizer.model", "added_tokens.json",
  ]

  static func existing(_ path: FilePath) throws(FileError) -> FileStatus? {
    do throws(FileError) { return try SystemCalls.status(path, following: false) } catch {
      if error.errno == .noSuchFileOrDirectory { return nil }
      throw error
    }
  }

  /// Only an old output of the same kind may be replaced.
  static func checkReplaceable(_ target: FilePath, by kind: OutputKind) throws(FileError) {
    guard let status = try existing(target) else { return }
    switch status.kind {
    case .directory: break
    case .symbolicLink:
      throw FileError(target, .refused(reason: "the output is a symbolic link. Name the directory that it leads to."))
    case .regular, .other: throw FileError(target, .notADirectory)
    }
    let names = try SystemCalls.list(target)
    guard !names.isEmpty else { return }
    for suffix in [".safetensors", ".gguf", ".bin"] {
      guard let model = names.first(where: { $0.hasSuffix(suffix) && !isCheckpointOrEngineFile($0) }) else { continue }
      throw FileError(
        target,
        .refused(reason: "the output exists and holds '\(model)': it is a model, not a checkpoint or engine of this program, and is not replaced. Choose another output."))
    }
    if let problem = kind.problem(target, names) {
      throw FileError(
        target, .refused(reason: "the output exists and \(problem): \(kind.name) does not take its place. Choose another output, or empty it."))
    }
    for name in names where try SystemCalls.status(target.appending(name), following: false).kind == .directory {
      throw FileError(
        target,
        .refused(reason: "the output exists and holds the directory '\(name)', which would be lost. Move it away or choose another output."))
    }
  }

  static func aside(parent: FilePath, name: String) -> FilePath { parent.appending(".\(name).drydock-old") }

  /// Puts a directory back that a dead run moved aside and did not replace, on a file system without exchange. For
  /// commands that read what they replace; where nothing is to be mended, nothing is done.
  ///
  /// - Throws: ``FileError/Problem/locked`` while the run that moved it is alive.
  public static func recover(_ target: FilePath) throws(FileError) {
    let normal = target.lexicallyNormalized()
    guard let name = normal.lastComponent, name.kind == .regular, try existing(target) == nil else { return }
    let parent = normal.removingLastComponent()
    guard try existing(aside(parent: parent, name: name.string))?.kind == .directory else { return }
    let new = parent.appending(".\(name.string).drydock-new")
    let lock = try existing(new) == nil ? nil : try LockedDirectory.lockExisting(new, waiting: false)
    defer { lock?.release() }
    try restoreInterruptedSwap(normal, parent: parent, name: name.string)
  }

  /// Mends what a run left that died between the two renames of ``swap()``.
  static func restoreInterruptedSwap(_ target: FilePath, parent: FilePath, name: String) throws(FileError) {
    let aside = aside(parent: parent, name: name)
    guard try existing(aside)?.kind == .directory else { return }
    if try existing(target) == nil {
      try SystemCalls.rename(aside, to: target)
    } else {
      let old = try LockedDirectory.lockExisting(aside, waiting: false)
      try old.removeContents(as: aside)
      try SystemCalls.removeDirectory(aside)
      old.release()
    }
  }
}

extension SystemCalls {
  /// Waits until the names in a directory are on the disk.
  static func syncDirectory(_ path: FilePath) throws(FileError) {
    let directory = try openDirectory(path.isEmpty ? "." : path)
    defer { try? close(directory, path: path) }
    try sync(directory, path: path)
  }
}
