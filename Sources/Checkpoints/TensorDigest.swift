import Crypto
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
      unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(piece))
      done += piece.count
      progress?(piece.count)
    }
    return hexadecimal(hash.finalize())
  }
  static func sha256(of bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

  private static func hexadecimal(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
