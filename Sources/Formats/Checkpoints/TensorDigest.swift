import Digests
import Files

/// SHA-256 of tensors, as lower-case hexadecimal.
enum TensorDigest {
  /// The digest of a range of a file, read through a buffer of 1 MiB.
  static func sha256(
    of file: ReadableFile, at offset: Int, count: Int, progress: ((Int) -> Void)? = nil
  ) throws(FileError) -> String {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, min(count, 1 << 20)), alignment: 64)
    defer { unsafe buffer.deallocate() }
    var hash = SHA256()
    var done = 0
    while done < count {
      let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, count - done)])
      try unsafe file.read(at: offset + done, into: piece)
      unsafe hash.update(UnsafeRawBufferPointer(piece))
      done += piece.count
      progress?(piece.count)
    }
    return hash.finalize().hexadecimal
  }
  static func sha256(of bytes: [UInt8]) -> String { SHA256.hash(bytes).hexadecimal }
}
