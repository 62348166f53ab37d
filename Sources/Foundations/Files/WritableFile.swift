public import SystemPackage

/// A new file, written at offsets from any number of threads.
@safe public final class WritableFile: @unchecked Sendable {  // `descriptor` changes only in close(), which waits for no writer
  /// As given when it was created; a rename since does not change it.
  public let path: FilePath
  private let descriptor: Int32
  private let state = CloseState()

  /// - Throws: ``FileError`` with `EEXIST` where there is something at `path` already.
  public init(creating path: FilePath) throws(FileError) {
    descriptor = try SystemCalls.create(path)
    self.path = path
  }
  deinit { if state.close() { try? SystemCalls.close(descriptor, path: path) } }

  /// Writes all of `bytes` from `offset` on, growing the file as needed.
  public func write(at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
      done += try unsafe SystemCalls.write(descriptor, at: offset + done, rest, path: path)
    }
    // The disk works while the next bytes are made, so that little is left for the sync at the end.
    if bytes.count >= Self.promptByteCount { SystemCalls.startWriting(descriptor, at: offset, count: bytes.count) }
  }
  private static let promptByteCount = 256 << 10
  /// Writes all of `bytes` from `offset` on, growing the file as needed.
  public func write(at offset: Int, _ bytes: [UInt8]) throws(FileError) {
    var failure: FileError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(FileError) { try unsafe write(at: offset, buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Copies `count` bytes of `source` at `offset` to `target` here, cheapest way first: shared blocks, a copy inside
  /// the kernel, a copy through a buffer of 1 MiB.
  ///
  /// - Parameter progress: Told the bytes of each finished piece; a piece is at most 16 MiB.
  public func copyRange(
    from source: ReadableFile, at offset: Int, to target: Int, count: Int, progress: ((Int) -> Void)? = nil
  ) throws(FileError) {
    var done = cloned(from: source, at: offset, to: target, count: count, progress)
    while done < count {
      let piece = min(count - done, 16 << 20)
      let copied = SystemCalls.copyRange(
        from: source.descriptor, at: offset + done, to: descriptor, at: target + done, count: piece)
      if copied > 0 {
        if copied >= Self.promptByteCount { SystemCalls.startWriting(descriptor, at: target + done, count: copied) }
        done += copied
        progress?(copied)
        continue
      }
      // 0 is the end of the source or a file system that has no answer; reading tells which.
      let error = Errno(rawValue: CInt(-copied))
      let unsupported: [Errno] = [
        .noFunction, .invalidArgument, .notSupported, .improperLink, .notPermitted, .textFileBusy,
      ]
      guard copied == 0 || unsupported.contains(error) else {
        throw FileError(path, .system(call: "copy_file_range", error))
      }
      return try bufferedCopy(from: source, at: offset + done, to: target + done, count: count - done, progress)
    }
  }

  /// Whether the file system lets this file share blocks with `source`. Tried on the first block: to be asked of a new
  /// file, before anything is written.
  public func sharesBlocks(with source: ReadableFile) -> Bool {
    let block = 4096
    return source.byteCount >= block
      && SystemCalls.cloneRange(from: source.descriptor, at: 0, to: descriptor, at: 0, count: block)
  }

  /// Shares the whole blocks inside the range and copies the two ends.
  private func cloned(
    from source: ReadableFile, at offset: Int, to target: Int, count: Int, _ progress: ((Int) -> Void)?
  ) -> Int {
    let block = 4096
    guard offset % block == 0, target % block == 0, count >= 16 * block else { return 0 }
    let whole = count / block * block
    guard SystemCalls.cloneRange(from: source.descriptor, at: offset, to: descriptor, at: target, count: whole) else {
      return 0
    }
    progress?(whole)
    return whole
  }

  private func bufferedCopy(
    from source: ReadableFile, at offset: Int, to target: Int, count: Int, _ progress: ((Int) -> Void)?
  ) throws(FileError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(count, 1 << 20), alignment: 4096)
    defer { unsafe buffer.deallocate() }
    var done = 0
    while done < count {
      let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, count - done)])
      try unsafe source.read(at: offset + done, into: piece)
      try unsafe write(at: target + done, UnsafeRawBufferPointer(piece))
      done += piece.count
      progress?(piece.count)
    }
  }

  /// Cuts or grows the file; what is added reads as zeros and takes no space until written.
  public func setSize(_ byteCount: Int) throws(FileError) {
    try SystemCalls.setSize(descriptor, byteCount, path: path)
  }

  /// Holds the file for this object alone until it is closed.
  func lock() throws(FileError) { try SystemCalls.lock(descriptor, waiting: false, path: path) }

  /// Waits until everything written so far is on the disk.
  public func sync() throws(FileError) { try SystemCalls.sync(descriptor, path: path) }

  /// Syncs, then closes; nothing may be written afterwards. A second call does nothing.
  public func close() throws(FileError) {
    guard state.close() else { return }
    do throws(FileError) { try sync() } catch {
      try? SystemCalls.close(descriptor, path: path)
      throw error
    }
    try SystemCalls.close(descriptor, path: path)
  }
}
