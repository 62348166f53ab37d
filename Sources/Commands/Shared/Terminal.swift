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
      if written <= 0 { return }
      offset += written
    }
  }
}
