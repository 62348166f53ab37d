#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Standard output, unbuffered.
enum Terminal {
  static func write(_ text: String) {
    let bytes = Array(text.utf8)
    var offset = 0
    while offset < bytes.count {
      let written = unsafe bytes[offset...].withUnsafeBytes { unsafe Glibc.write(1, $0.baseAddress, $0.count) }
      guard written > 0 else {
        CommandRunner.printError("error: standard output cannot be written to, errno \(errno). Check the disk or the reader.")
        exit(1)
      }
      offset += written
    }
  }
}
