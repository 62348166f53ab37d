public import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A regular file open for reading at offsets, from any number of threads.
///
/// Nothing is mapped: a file cut short while it is read gives ``FileError``, not a signal.
public final class ReadableFile: Sendable {
  /// As it was given; it may lead elsewhere by now.
  public let path: FilePath
  /// The size when the file was opened.
  public let byteCount: Int
  let descriptor: Int32

  /// Opens a file, symbolic links followed.
  ///
  /// - Throws: ``FileError`` where it cannot be opened; ``FileError/Problem/notARegularFile`` for a directory, pipe or device.
  public init(_ path: FilePath) throws(FileError) {
    let descriptor = try SystemCalls.open(path)
    do throws(FileError) {
      let status = try SystemCalls.status(of: descriptor, path: path)
      guard status.kind == .regular else { throw FileError(path, .notARegularFile) }
      byteCount = status.byteCount
    } catch {
      try? SystemCalls.close(descriptor, path: path)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }
  deinit { try? SystemCalls.close(descriptor, path: path) }

  /// Fills all of `buffer` with the bytes from `offset` on.
  ///
  /// - Throws: ``FileError/Problem/truncated(wanted:byteCount:)`` where the file ends first.
  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try unsafe SystemCalls.read(descriptor, at: offset + done, into: rest, path: path)
      guard count > 0 else {
        throw FileError(path, .truncated(wanted: offset..<offset + buffer.count, byteCount: offset + done))
      }
      done += count
    }
  }

  /// A copy of the bytes in `range`. The range comes from a caller who checked it against ``byteCount``.
  public func bytes(_ range: Range<Int>) throws(FileError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= byteCount else {
      throw FileError(path, .truncated(wanted: range, byteCount: byteCount))
    }
    var bytes = [UInt8](repeating: 0, count: range.count)
    var failure: FileError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(FileError) { try unsafe read(at: range.lowerBound, into: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  /// A whole small file; the pointer to one that Git LFS keeps is an error.
  ///
  /// - Parameter limit: More bytes than this are refused before any is read.
  public static func contents(of path: FilePath, limit: Int = 1 << 28) throws(FileError) -> [UInt8] {
    let file = try ReadableFile(path)
    guard file.byteCount <= limit else {
      throw FileError(path, .refused(reason: "has \(file.byteCount) bytes, more than the \(limit) allowed here. Is it the right file?"))
    }
    let bytes = try file.bytes(0..<file.byteCount)
    if FileStart.isGitLFSPointer(bytes) { throw FileError(path, .gitLFSPointer) }
    return bytes
  }

  /// The first bytes, for ``FileStart``; fewer than ``FileStart/byteCount`` where the file is shorter.
  public func start() throws(FileError) -> [UInt8] { try bytes(0..<min(byteCount, FileStart.byteCount)) }
}

extension ReadableFile {
  /// Whether the path it was opened by still leads to this very file.
  package var isInPlace: Bool {
    guard let held = try? SystemCalls.status(of: descriptor, path: path), let now = try? SystemCalls.status(path, following: true)
    else { return false }
    return now.isSameFile(as: held)
  }

  /// Whether two ranges hold the same bytes, read through two buffers of 1 MiB.
  package func hasSameBytes(
    at offset: Int, as other: ReadableFile, at place: Int, count: Int, _ progress: ((Int) -> Void)? = nil
  ) throws(FileError) -> Bool {
    let size = max(1, min(count, 1 << 20))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * size, alignment: 64)
    defer { unsafe buffer.deallocate() }
    var done = 0
    while done < count {
      let piece = min(size, count - done)
      let mine = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<piece])
      let theirs = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[size..<size + piece])
      try unsafe read(at: offset + done, into: mine)
      try unsafe other.read(at: place + done, into: theirs)
      guard let one = mine.baseAddress, let two = theirs.baseAddress, unsafe memcmp(one, two, piece) == 0 else { return false }
      done += piece
      progress?(piece)
    }
    return true
  }
}
