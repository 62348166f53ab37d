public import SystemPackage

/// A read-only mapping of a whole file, unmapped when its last owner goes.
///
/// Replace such a file by rename, never in place: cutting it short under a live mapping kills the reader.
@safe public final class MappedFile: @unchecked Sendable {  // immutable after init
  /// As given when it was opened.
  public let path: FilePath
  /// As large as the file was when it was opened. Of an empty file nothing is mapped.
  public let byteCount: Int
  private let base: UnsafeRawPointer?

  /// Opens a file and maps it; the descriptor is closed again.
  ///
  /// - Throws: ``FileError`` where it cannot be opened or mapped, or is no regular file.
  public convenience init(_ path: FilePath) throws(FileError) { try self.init(ReadableFile(path)) }

  /// Maps an open file, as large as it was when it was opened; the mapping outlives the descriptor.
  ///
  /// - Throws: ``FileError/Problem/truncated(wanted:byteCount:)`` where it was cut short since.
  public init(_ file: ReadableFile) throws(FileError) {
    let now = try SystemCalls.status(of: file.descriptor, path: file.path).byteCount
    guard now >= file.byteCount else { throw FileError(file.path, .truncated(wanted: 0..<file.byteCount, byteCount: now)) }
    path = file.path
    byteCount = file.byteCount
    unsafe base = file.byteCount == 0 ? nil : try SystemCalls.map(file.descriptor, byteCount: file.byteCount, path: file.path)
  }
  deinit { if let base = unsafe base { unsafe SystemCalls.unmap(base, byteCount: byteCount) } }

  /// Lends the bytes. The span cannot leave `body`, so cannot outlive the mapping.
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let base = unsafe base else { return try body(RawSpan()) }
    return try body(unsafe RawSpan(_unsafeStart: base, byteCount: byteCount))
  }

  /// First byte, page-aligned; valid as long as this object lives. Of an empty file, an address not to be read.
  @unsafe public var baseAddress: UnsafeRawPointer {
    unsafe base ?? UnsafeRawPointer(bitPattern: 4096).unsafelyUnwrapped
  }
}
