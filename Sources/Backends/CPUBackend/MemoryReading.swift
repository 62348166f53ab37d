public import Execution

/// How much of the engine's memory a step reads, and how fast this machine reads it.
///
/// A decode step does little with each weight, so the time to read them all is what it cannot go below.
extension CPUEngine {
  /// Bytes of weights and of cached keys and values that a step reads at least.
  public func bytesRead(_ batch: Batch) -> Int? {
    let positions = batch.sequences.reduce(0) { $0 + $1.firstPosition + $1.rows.count }
    return weightByteCount + positions * cacheByteCountPerToken
  }

  /// Bytes a second at which as many threads as compute read the weights in the engine's files, the best of a few passes.
  ///
  /// Reads 256 MB at most, so that it takes a tenth of a second or so. Not during a step.
  public func measureReadRate() -> Double? {
    unsafe MemoryReading.measure(stepWeights, threadCount: threadCount)
  }
}

enum MemoryReading {
  private static let mostBytes = 256 << 20
  private static let passes = 4

  @unsafe static func measure(_ areas: [UnsafeRawBufferPointer], threadCount: Int) -> Double {
    var list: [UnsafeRawBufferPointer] = unsafe []
    var total = 0
    for index in unsafe areas.indices where total < mostBytes {
      unsafe list.append(UnsafeRawBufferPointer(rebasing: areas[index].prefix(mostBytes - total)))
      unsafe total += list[list.count - 1].count
    }
    let team = ThreadTeam(threadCount: threadCount)
    let sums = AlignedBuffer(byteCount: 64 * team.threadCount)
    let clock = ContinuousClock()
    var best = Duration.seconds(1 << 20)
    for pass in 0..<passes {
      let time = clock.measure {
        team.run { thread, count in
          var sum = SIMD8<UInt64>.zero
          for index in unsafe list.indices {
            let area = unsafe list[index]
            let share = ThreadTeam.share(of: area.count / 64, thread: thread, threadCount: count)
            unsafe sum &+= read(UnsafeRawBufferPointer(rebasing: area[share.lowerBound * 64..<share.upperBound * 64]))
          }
          // Used, so that reading cannot be left out.
          unsafe (sums.base + 64 * thread).storeBytes(of: sum, as: SIMD8<UInt64>.self)
        }
      }
      if pass > 0 { best = min(best, time) }  // the first brings files into memory
    }
    return Double(total) / max(best / .seconds(1), 1e-9)
  }

  @unsafe private static func read(_ bytes: UnsafeRawBufferPointer) -> SIMD8<UInt64> {
    var sums = (SIMD8<UInt64>.zero, SIMD8<UInt64>.zero)
    var offset = 0
    while offset + 128 <= bytes.count {
      unsafe sums.0 &+= bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
      unsafe sums.1 &+= bytes.loadUnaligned(fromByteOffset: offset + 64, as: SIMD8<UInt64>.self)
      offset += 128
    }
    return sums.0 &+ sums.1
  }
}
