#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Files for parsers that open paths: in memory where the system has such a place.
enum Place {
  private static let root: String = {
    let parent = unsafe access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    let path = "\(parent)/drydock-fuzz-\(getpid())"
    unsafe mkdir(path, 0o700)
    unsafe atexit { Place.clear() }
    return path
  }()

  private static func clear() {
    for name in ["huggingface", "adapter", "gguf", "plan"] {
      for file in [
        "config.json", "generation_config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors", "model.gguf",
        "rank0.engine", "rank1.engine", "rank2.engine", "rank3.engine",
      ] { unsafe unlink("\(root)/\(name)/\(file)") }
      unsafe rmdir("\(root)/\(name)")
    }
    unsafe rmdir(root)
  }

  /// The same each time; `name` is one of those that are cleared.
  static func directory(_ name: String) -> String {
    let path = "\(root)/\(name)"
    unsafe mkdir(path, 0o700)
    return path
  }

  /// A new file each time: others may have the old one mapped.
  static func write(_ bytes: [UInt8], _ path: String) {
    unsafe unlink(path)
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    precondition(file >= 0, "cannot write \(path)")
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
    precondition(count == bytes.count, "cannot write \(path)")
    close(file)
  }
}

/// safetensors files whose data are made up here, so that inputs hold headers only.
enum SafetensorsBytes {
  /// A file with this header. Data are as many as the header's largest offset asks for, up to a limit.
  static func file(header: [UInt8], limit: Int = 1 << 22) -> [UInt8] {
    var size = UInt64(header.count)
    var bytes: [UInt8] = []
    for _ in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: size)); size >>= 8 }
    bytes += header
    bytes += pattern.prefix(min(limit, largestOffset(header)))
    return bytes
  }

  /// Finite numbers in every float type.
  static let pattern: [UInt8] = (0..<1 << 22).map { $0 % 2 == 1 ? 0x3C : UInt8(truncatingIfNeeded: $0 / 2 &* 37) }

  /// The last number of any `data_offsets`, found by its letters.
  private static func largestOffset(_ header: [UInt8]) -> Int {
    let key = Array("data_offsets".utf8)
    var largest = 0
    var index = 0
    while index + key.count < header.count {
      guard header[index] == key[0], header[index..<index + key.count].elementsEqual(key) else { index += 1; continue }
      index += key.count
      var number = 0
      while index < header.count, header[index] != UInt8(ascii: "]"), header[index] != UInt8(ascii: "}") {
        let digit = Int(header[index]) - 48
        number = (0...9).contains(digit) ? min(number * 10 + digit, 1 << 40) : 0
        largest = max(largest, number)
        index += 1
      }
    }
    return largest
  }
}
