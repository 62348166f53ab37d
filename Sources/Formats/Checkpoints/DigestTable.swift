import Files
import Safetensors
import Synchronization
import Threads

/// Digests of many tensors, taken by several threads.
enum DigestTable {
  /// SHA-256 of every tensor of every file, by name.
  static func digests(
    of files: [SafetensorsFile], workers: Int, progress: @escaping @Sendable (Int) -> Void
  ) throws -> [[String: String]] {
    let tensors = files.enumerated().flatMap { place, file in file.header.entries.map { (place, $0) } }
    let results = Mutex([[String: String]](repeating: [:], count: files.count))
    try Parallel.forEach(tensors.count, workers: workers) { index in
      let (place, entry) = tensors[index]
      let file = files[place]
      let digest = try TensorDigest.sha256(
        of: file.file, at: file.header.dataStart + entry.range.lowerBound, count: entry.range.count, progress: progress)
      results.withLock { $0[place][entry.name] = digest }
    }
    return results.withLock { $0 }
  }
}
