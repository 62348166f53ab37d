import Files
import SystemPackage

/// How fast files are copied where an output lies.
enum CopyRate {
  /// Copies the beginning of a file beside `target`, waits until it is on the disk, and removes the copy.
  ///
  /// - Returns: Bytes a second; nil where it could not be measured, which is no reason to fail.
  static func measure(like file: FilePath, beside target: FilePath, limit: Int = 256 << 20) -> Double? {
    guard let source = try? ReadableFile(file), source.byteCount > 0, let name = target.lastComponent?.string,
      let output = try? OutputDirectory.begin(target.removingLastComponent().appending("\(name).copy-rate"), as: .engine, notOverlapping: [file])
    else { return nil }
    defer { output.abandon() }
    let count = min(limit, source.byteCount)
    let clock = ContinuousClock()
    let start = clock.now
    guard let copy = try? output.createFile("copy"), (try? copy.copyRange(from: source, at: 0, to: 0, count: count)) != nil,
      (try? copy.close()) != nil
    else { return nil }
    return Double(count) / max(1e-9, Format.seconds(clock.now - start))
  }
}
