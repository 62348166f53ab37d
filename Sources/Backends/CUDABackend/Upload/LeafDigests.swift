import CUDADriver
import CUDAKernels
import Digests
import Files
import Synchronization
import Threads

/// Digests of runs of a card's memory: the card hashes leaves of 64 KiB, the processor the leaves' digests, 32 bytes each.
///
/// Groups of runs are hashed one after the other, each when it is ready.
final class LeafDigests: Sendable {
  /// Blocks of 64 bytes that a launch takes of each leaf, 60 to 90 µs: more keeps steps waiting.
  private static let launchBlocks = 32
  /// Of threads, on a multiprocessor.
  private static let blocksEach = 2

  private struct Group {
    let firstRun: Int, runCount: Int
    let firstLeaf: Int, leafCount: Int
  }
  private let device: Device
  private let kernels: Kernels
  private let stream: Stream
  private let groups: [Group]
  /// By run, over all groups.
  private let leafCounts: [Int]
  private let runs: DeviceMemory
  private let leaves: DeviceMemory
  private let leafCount: Int

  /// - Parameters:
  ///   - groups: Where their runs are, and how long; no run is empty.
  ///   - stream: Used by one thread at a time.
  init(_ groups: [[(address: UInt64, byteCount: Int)]], _ device: Device, _ kernels: Kernels, _ stream: Stream) throws(CUDAError) {
    (self.device, self.kernels, self.stream) = (device, kernels, stream)
    var (table, counts, found) = ([dk_digest_run](), [Int](), [Group]())
    var all = 0
    for group in groups {
      var mine = 0
      let firstRun = table.count
      for run in group {
        let count = max(1, (run.byteCount + TreeHash.leafByteCount - 1) / TreeHash.leafByteCount)
        table.append(dk_digest_run(bytes: run.address, count: UInt64(run.byteCount), first_leaf: UInt64(mine)))
        counts.append(count)
        mine += count
      }
      found.append(Group(firstRun: firstRun, runCount: group.count, firstLeaf: all, leafCount: mine))
      all += mine
    }
    (self.groups, leafCounts, leafCount) = (found, counts, all)
    runs = try DeviceMemory(device, byteCount: table.count * MemoryLayout<dk_digest_run>.stride, for: "digests", isPassing: true)
    leaves = try DeviceMemory(device, byteCount: all * SHA256Digest.byteCount, for: "digests", isPassing: true)
    let address = runs.address
    do {
      try unsafe table.withUnsafeBytes { try unsafe stream.copy($0, to: address, "what is to be hashed") }
    } catch { throw error as? CUDAError ?? CUDAError("\(error)") }
  }

  /// Hashes a group, behind what the stream does already and behind an event of another.
  func launch(_ index: Int, after event: Event? = nil) throws(CUDAError) {
    let group = groups[index]
    guard group.leafCount > 0 else { return }
    if let event { try stream.follow(event) }
    let threads = Int(DK_CUDA_DIGEST_THREADS)
    let grid = min(Self.blocksEach * device.multiprocessors, (group.leafCount + threads - 1) / threads)
    for first in stride(from: 0, to: Int(DK_CUDA_LEAF_BLOCKS), by: Self.launchBlocks) {
      let argument = dk_digest_arguments(
        runs: runs.address + UInt64(group.firstRun * MemoryLayout<dk_digest_run>.stride),
        leaves: leaves.address + UInt64(group.firstLeaf * SHA256Digest.byteCount), leaf_count: UInt64(group.leafCount), run_count: Int32(group.runCount),
        first_block: Int32(first), block_count: Int32(Self.launchBlocks))
      try stream.launch(kernels.digest, grid: (grid, 1, 1), threads: threads, argument)
    }
  }

  /// Waits, and gives each run's digest in hexadecimal, in the order of all groups.
  func digests(_ upload: Upload) throws -> [String] {
    try stream.wait()
    var bytes = [UInt8](repeating: 0, count: leafCount * SHA256Digest.byteCount)
    let address = leaves.address
    try unsafe bytes.withUnsafeMutableBytes { try unsafe upload.fetch(from: address, into: $0) }
    var starts = [0]
    for count in leafCounts { starts.append((starts.last ?? 0) + count) }
    let (all, firsts) = (bytes, starts)
    return try Parallel.map(leafCounts.count, workers: min(8, Processors.count)) { run in
      TreeHash.digest(ofLeaves: Array(all[firsts[run] * SHA256Digest.byteCount..<firsts[run + 1] * SHA256Digest.byteCount])).hexadecimal
    }
  }
}
