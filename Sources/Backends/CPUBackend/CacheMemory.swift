/// How many blocks of tokens the key-value cache has: what is asked for, what sequences can fill, what the machine has.
package struct CacheMemory {
  /// Of the memory that is free beside the weights. The other half is for new weights, which are made beside those in use,
  /// and for what else runs on the machine: a server that runs for days fills its cache with prompts seen before.
  package static let defaultFraction = 0.5
  /// Taken as free where the system does not say.
  private static let unknownMemory = 2 << 30

  /// Bytes of a block over all ranks.
  package var blockByteCount: Int
  package var blockTokens: Int
  /// Longest sequence, in tokens.
  package var sequenceLength: Int
  /// Most sequences at once.
  package var sequences: Int
  /// Bytes of weights, which take from the available memory too, but can be dropped and read again: they are mapped.
  package var weightByteCount: Double
  /// Bytes of a step's buffers, which cannot.
  package var bufferByteCount: Double
  /// nil where the system does not say.
  package var availableByteCount: Int?

  package init(
    blockByteCount: Int, blockTokens: Int, sequenceLength: Int, sequences: Int, weightByteCount: Double, bufferByteCount: Double,
    availableByteCount: Int?
  ) {
    self.blockByteCount = blockByteCount
    self.blockTokens = blockTokens
    self.sequenceLength = sequenceLength
    self.sequences = sequences
    self.weightByteCount = weightByteCount
    self.bufferByteCount = bufferByteCount
    self.availableByteCount = availableByteCount
  }

  /// The cache never has less than one whole sequence needs, and never more than all of them can fill.
  ///
  /// - Parameters:
  ///   - size: Most bytes; nil: the fraction alone counts.
  ///   - fraction: Of the memory that is free beside the weights; nil: ``defaultFraction``, but any share where a size is
  ///     given. Of size and fraction the smaller counts.
  /// - Throws: ``TooSmall``.
  package func blockCount(size: Int?, fraction: Double?) throws(TooSmall) -> Int {
    let perSequence = blocks(sequenceLength)
    let one = Double(perSequence) * Double(blockByteCount)
    let budget: Double
    if let fraction, free * fraction < size.map(Double.init) ?? .infinity {
      budget = free * fraction
      guard budget >= one else { throw tooSmall(budget, .fraction(fraction, free: free)) }
    } else if let size {
      budget = Double(size)
      guard budget >= one else { throw tooSmall(budget, .size) }
    } else {
      // Memory that cannot be had at all is what forbids a sequence.
      guard obtainable >= one else { throw tooSmall(obtainable, .machine) }
      budget = max(one, free * Self.defaultFraction)
    }
    let useful = Double(perSequence) * Double(sequences)
    return max(perSequence, Int(min(useful, budget / Double(blockByteCount))))
  }

  /// The warning about a cache that ``blockCount(size:fraction:)`` allows, but that takes more memory than others may like.
  ///
  /// - Parameter blockCount: What that gave for the same size and fraction.
  package func warnings(blockCount: Int, size: Int?, fraction: Double?) -> [String] {
    guard let available = availableByteCount else { return [] }
    let one = Double(blocks(sequenceLength)) * Double(blockByteCount)
    let cache = Double(blockCount) * Double(blockByteCount)
    if size != nil, cache > obtainable {
      return [
        "--kv_cache_size: lower it to \(Self.text(obtainable, rounded: .down)): keys and values may grow to \(Self.text(cache, rounded: .up)), and "
          + "\(Self.text(Double(available), rounded: .down)) of memory are available. The system may end this process when they do."
      ]
    }
    if size == nil, fraction == nil, one > free * Self.defaultFraction {
      let length = tokens(in: sharedByDefault)
      return [
        "--max_seq_len: " + (length > 1 ? "lower it to \(length) to leave memory to others: " : "")
          + "keys and values of one sequence of \(sequenceLength) tokens may grow to "
          + "\(Self.text(one, rounded: .up)), more than half of the \(Self.text(free, rounded: .down)) that are free beside the weights"
      ]
    }
    return []
  }

  private var available: Double { Double(availableByteCount ?? Self.unknownMemory) }
  /// What can be had when weights are dropped, and what is free beside them.
  private var obtainable: Double { max(0, available - bufferByteCount) }
  private var free: Double { max(0, obtainable - weightByteCount) }
  /// What a sequence is advised to fit into: the default share, or half of what can be had where the weights leave no block.
  private var sharedByDefault: Double {
    let share = free * Self.defaultFraction
    return share >= Double(blockByteCount) ? share : obtainable * Self.defaultFraction
  }

  private func blocks(_ tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }
  private func tokens(in bytes: Double) -> Int { min(Int(bytes / Double(blockByteCount)), sequenceLength) * blockTokens }

  /// The memory holds no whole sequence.
  package struct TooSmall: Error, Equatable {
    package enum Bound: Equatable {
      case size
      case fraction(Double, free: Double)
      case machine
    }
    package var bound: Bound
    /// Bytes that the cache may have, and those that a sequence needs.
    package var byteCount: Double
    package var needed: Double
    package var sequenceLength: Int
    /// Tokens that fit; of the machine's memory, into the share that the cache has by default.
    package var fitting: Int

    /// With the flags that mend it first.
    package var reason: String {
      let shorter = fitting > 1 ? "lower --max_seq_len to \(fitting)" : nil
      let (flag, has): (String?, String) =
        switch bound {
        case .size: ("raise --kv_cache_size", "the cache may have \(CacheMemory.text(byteCount, rounded: .down))")
        case .fraction(let fraction, let free):
          (
            Self.sufficient(needed, of: free).map { "raise --kv_cache_free_mem_fraction to \($0)" },
            "\(fraction) of the \(CacheMemory.text(free, rounded: .down)) that are free beside the weights is \(CacheMemory.text(byteCount, rounded: .down))"
          )
        case .machine: (nil, "\(CacheMemory.text(byteCount, rounded: .down)) of memory are available for them")
        }
      let remedy = [shorter, flag].compactMap { $0 }.joined(separator: ", or ")
      return (remedy.isEmpty ? "Free some memory" : remedy.prefix(1).uppercased() + remedy.dropFirst())
        + ": keys and values of a sequence of \(sequenceLength) tokens take \(CacheMemory.text(needed, rounded: .up)), and \(has)."
    }

    /// The fraction of `free` that holds `needed`, rounded up to three digits; nil where all of it does not.
    private static func sufficient(_ needed: Double, of free: Double) -> Double? {
      guard needed > 0, needed <= free else { return nil }
      var scale = 1000.0
      while needed / free * scale < 100, scale < 1e15 { scale *= 10 }
      return min(1, (needed / free * scale).rounded(.up) / scale)
    }
  }

  private static func text(_ bytes: Double, rounded rule: FloatingPointRoundingRule) -> String {
    let (unit, name) = bytes < 1e6 ? (1e3, "kB") : bytes < 1e10 ? (1e6, "MB") : (1e9, "GB")
    return "\(Int((bytes / unit).rounded(rule))) \(name)"
  }

  private func tooSmall(_ byteCount: Double, _ bound: TooSmall.Bound) -> TooSmall {
    TooSmall(
      bound: bound, byteCount: byteCount, needed: Double(blocks(sequenceLength)) * Double(blockByteCount),
      sequenceLength: sequenceLength, fitting: tokens(in: bound == .machine ? sharedByDefault : byteCount))
  }
}
