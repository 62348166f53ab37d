import Execution

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Steps of an engine, with blocks of its cache handed out in an odd order.
final class Steps {
  let engine: any OpenedEngine
  private var free: [Int32]

  init(_ engine: any OpenedEngine) {
    self.engine = engine
    let count = Int32(engine.limits.cacheBlockCount)
    free = (0..<count).map { ($0 &* 7 + 3) % count }
    if Set(free).count < free.count { free = (0..<count).reversed() }
  }

  func blocks(_ tokens: Int) -> [Int32] { (0..<(tokens + 15) / 16).map { _ in free.removeLast() } }
  func give(_ blocks: [Int32]) { free += blocks }

  struct Part {
    var tokens: ArraySlice<Int32>
    var first: Int
    var blocks: [Int32]
    var phase = SequenceSlice.Phase.prefill
    /// How many of the last rows are answered.
    var wanted = 1
  }

  static func batch(_ parts: [Part], wanted: LogitsWanted = .all) -> Batch {
    var batch = Batch(tokens: [], sequences: [])
    for part in parts {
      let start = batch.tokens.count
      batch.tokens += part.tokens
      batch.sequences.append(
        SequenceSlice(
          rows: start..<batch.tokens.count, firstPosition: part.first, blockTable: part.blocks, phase: part.phase, logitRows: part.wanted, wanted: wanted))
    }
    return batch
  }

  /// The logits of each part's wanted rows.
  func logits(_ parts: [Part]) throws -> [[[Float]]] {
    var result = [[[Float]]](repeating: [], count: parts.count)
    unsafe try engine.step(Self.batch(parts)) { index, row in unsafe result[index].append(Array(row)) }
    return result
  }
  /// The likeliest token after each part.
  func tokens(_ parts: [Part]) throws -> [Int32] {
    var result = [Int32](repeating: -1, count: parts.count)
    let step = try engine.submit(Self.batch(parts, wanted: .token))
    try engine.finish(step) { index, answer in
      switch answer {
      case .token(let id): result[index] = id
      case .best(let tokens): result[index] = tokens[0].id
      case .all(let logits): result[index] = Int32(unsafe logits.buffer.indices.max { unsafe (logits.buffer[$0], -$0) < (logits.buffer[$1], -$1) } ?? -1)
      }
    }
    return result
  }

  /// Computes a whole prompt in pieces of so many rows; the logits after its last token.
  func prompt(_ tokens: [Int32], _ blocks: [Int32], pieces: [Int], from start: Int = 0) throws -> [Float] {
    var first = start, last: [Float] = [], index = 0
    while first < tokens.count {
      let end = min(tokens.count, first + pieces[index % pieces.count])
      index += 1
      let part = Part(tokens: tokens[first..<end], first: first, blocks: blocks, wanted: end == tokens.count ? 1 : 0)
      if let row = try logits([part])[0].last { last = row }
      first = end
    }
    return last
  }
}

func isSame(_ one: [Float], _ other: [Float]) -> Bool {
  !one.isEmpty && one.count == other.count && zip(one, other).allSatisfy { $0.bitPattern == $1.bitPattern }
}

/// Natural logarithms of probabilities.
func logProbabilities(_ logits: [Float]) -> [Double] {
  let largest = Double(logits.max() ?? 0)
  let sum = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
  return logits.map { Double($0) - largest - log(sum) }
}
