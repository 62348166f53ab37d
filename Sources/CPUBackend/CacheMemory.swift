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
  /// Bytes of weights and buffers, which take from the available memory too.
  package var otherByteCount: Double
  /// nil where the system does not say.
  package var availableByteCount: Int?

  package init(
    blockByteCount: Int, blockTokens: Int, sequenceLength: Int, sequences: Int, otherByteCount: Double, availableByteCount: Int?
  ) {
    self.blockByteCount = blockByteCount
    self.blockTokens = blockTokens
    self.sequenceLength = sequenceLength
    self.sequences = sequences
    self.otherByteCount = otherByteCount
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
    let available = Double(availableByteCount ?? Self.unknownMemory)
    let free = max(0, available - otherByteCount)
    let budget: Double
    if let fraction, free * fraction < size.map(Double.init) ?? .infinity {
      budget = free * fraction
      guard budget >= one else { throw tooSmall(budget, .fraction(fraction, free: free)) }
    } else if let size {
      budget = Double(size)
      guard budget >= one else { throw tooSmall(budget, .size) }
    } else {
      // Mapped weights can be dropped and read again: memory that cannot be had at all is what forbids a sequence.
      guard available >= one else { throw tooSmall(available, .machine) }
      budget = max(one, free * Self.defaultFraction)
    }
    let useful = Double(perSequence) * Double(sequences)
    return max(perSequence, Int(min(useful, budget / Double(blockByteCount))))
  }

  private func blocks(_ tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }

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
    /// Tokens that fit.
    package var fitting: Int

    /// With the flags that mend it first.
    package var reason: String {
      let shorter = fitting > 1 ? "lower --max_seq_len to \(fitting)" : nil
      let (flag, has): (String?, String) =
        switch bound {
        case .size: ("raise --kv_cache_size", "the cache may have \(Self.text(byteCount, rounded: .down))")
        case .fraction(let fraction, let free):
          ("raise --kv_cache_free_mem_fraction", "\(fraction) of the \(Self.text(free, rounded: .down)) that are free beside the weights is \(Self.text(byteCount, rounded: .down))")
        case .machine: (nil, "\(Self.text(byteCount, rounded: .down)) of memory are available")
        }
      let remedy = [shorter, flag].compactMap { $0 }.joined(separator: ", or ")
      return (remedy.isEmpty ? "Free some memory" : remedy.prefix(1).uppercased() + remedy.dropFirst())
        + ": keys and values of a sequence of \(sequenceLength) tokens take \(Self.text(needed, rounded: .up)), and \(has)."
    }

    private static func text(_ bytes: Double, rounded rule: FloatingPointRoundingRule) -> String {
      let (unit, name) = bytes < 1e6 ? (1e3, "kB") : bytes < 1e10 ? (1e6, "MB") : (1e9, "GB")
      return "\(Int((bytes / unit).rounded(rule))) \(name)"
    }
  }

  private func tooSmall(_ byteCount: Double, _ bound: TooSmall.Bound) -> TooSmall {
    TooSmall(
      bound: bound, byteCount: byteCount, needed: Double(blocks(sequenceLength)) * Double(blockByteCount),
      sequenceLength: sequenceLength, fitting: Int(byteCount / Double(blockByteCount)) * blockTokens)
  }
}
