import CPUKernels
import TestSupport
import Testing

@Suite struct AttentionTests {
  @Test(arguments: instructionSets, [DK_F32.rawValue, DK_BF16.rawValue])
  func `attention agrees with the definition, whatever the head size, grouping and length`(isa: Int32, cache: Int32) {
    var seed = 0
    for headDimension in [1, 8, 24, 33, 64, 80, 128, 256] {
      for (group, keyValueHeads) in [(1, 2), (3, 2), (4, 1), (9, 1), (32, 1)] {
        for length in [1, 15, 16, 17, 129, 150] where length < 100 || headDimension <= 80 && group <= 4 {
          seed += 1
          let sequence = Sequence(
            headDimension: headDimension, group: group, keyValueHeads: keyValueHeads, length: length,
            cache: dk_type(rawValue: cache), seed: seed)
          let mismatch = firstMismatch(sequence.attend(dk_isa(rawValue: isa)), sequence.expected()) { _ in 1e-5 }
          #expect(mismatch == nil, "head \(headDimension), group \(group), length \(length)")
        }
      }
    }
  }

  /// Windows that end inside blocks and chunks, that are wider than a sequence and as narrow as can be.
  private static let forms: [(window: Int, softCap: Float, hasSinks: Bool)] = [
    (1, 0, false), (5, 0, false), (16, 0, false), (100, 0, false), (128, 0, true), (129, 30, false), (1000, 0, false), (0, 5, false), (0, 0, true), (37, 2, true),
  ]

  @Test(arguments: instructionSets, [DK_F32.rawValue, DK_BF16.rawValue])
  func `windows, soft caps and sinks agree with the definition, and a row gets the same bits alone`(isa: Int32, cache: Int32) {
    let isa = dk_isa(rawValue: isa)
    for (index, form) in Self.forms.enumerated() {
      for (headDimension, group, keyValueHeads, length) in [(24, 3, 2, 300), (64, 4, 1, 140), (33, 1, 3, 18)] {
        let sequence = Sequence(
          headDimension: headDimension, group: group, keyValueHeads: keyValueHeads, length: length, cache: dk_type(rawValue: cache), seed: index)
        sequence.set(window: form.window, softCap: form.softCap, hasSinks: form.hasSinks)
        let whole = sequence.attend(isa)
        let mismatch = firstMismatch(whole, sequence.expected()) { _ in 1e-5 }
        #expect(mismatch == nil, "\(form), head \(headDimension), length \(length)")
        var alone = [Float](repeating: .nan, count: whole.count)
        for row in 0..<length { sequence.attend(isa, from: row, rows: 1, share: 0..<1, heads: 0..<sequence.heads, into: &alone) }
        #expect(alone.bits == whole.bits, "\(form)")
        alone = [Float](repeating: .nan, count: whole.count)
        var random = SeededGenerator(index), row = 0
        while row < length {
          let rows = min(length - row, Int.random(in: 1...60, using: &random))
          sequence.attend(isa, from: row, rows: rows, share: 0..<rows, heads: 0..<sequence.heads, into: &alone)
          row += rows
        }
        #expect(alone.bits == whole.bits, "\(form), in chunks")
      }
    }
  }

  @Test(arguments: instructionSets, [DK_F32.rawValue, DK_BF16.rawValue])
  func `a NaN before a row's window does not reach it`(isa: Int32, cache: Int32) {
    let isa = dk_isa(rawValue: isa)
    for (position, window) in [(0, 1), (3, 5), (15, 2), (16, 40), (127, 3)] {
      let sequence = Sequence(headDimension: 24, group: 3, keyValueHeads: 2, length: 150, cache: dk_type(rawValue: cache), seed: 3)
      sequence.set(window: window, softCap: 0, hasSinks: false)
      let clean = sequence.attend(isa)
      sequence.poison(position: position, keyValueHead: 1, inKeys: false)
      sequence.poison(position: position, keyValueHead: 1, inKeys: true)
      for (index, got) in sequence.attend(isa).enumerated() {
        let row = index / (6 * 24), head = index / 24 % 6
        if row >= position && row < position + window && head >= 3 {
          #expect(got.isNaN, "row \(row), head \(head)")
        } else {
          #expect(got.bitPattern == clean[index].bitPattern, "row \(row), head \(head)")
        }
      }
    }
  }

  @Test(arguments: instructionSets, [DK_F32.rawValue, DK_BF16.rawValue])
  func `a row gets the same bits alone, in chunks of a prompt, and whichever thread has which heads`(isa: Int32, cache: Int32) {
    let isa = dk_isa(rawValue: isa)
    for (headDimension, group, keyValueHeads, length) in [(64, 3, 3, 300), (80, 4, 2, 140), (33, 1, 3, 70), (128, 25, 1, 40)] {
      let sequence = Sequence(
        headDimension: headDimension, group: group, keyValueHeads: keyValueHeads, length: length,
        cache: dk_type(rawValue: cache), seed: length)
      let whole = sequence.attend(isa).bits
      var random = SeededGenerator(length)
      for _ in 0..<5 {
        let heads = [0, Int.random(in: 0...sequence.heads, using: &random), sequence.heads]
        var result = [Float](repeating: .nan, count: whole.count)
        var row = 0
        while row < length {  // chunks of a prompt: each starts at its own position
          let rows = min(length - row, Int.random(in: 1...60, using: &random))
          let middle = Int.random(in: 0...rows, using: &random)
          for (first, end) in [(heads[0], heads[1]), (heads[1], heads[2])] {
            for part in [0..<middle, middle..<rows] {
              sequence.attend(isa, from: row, rows: rows, share: part, heads: first..<end, into: &result)
            }
          }
          row += rows
        }
        #expect(result.bits == whole)
      }
      var alone = [Float](repeating: .nan, count: whole.count)
      for row in 0..<length { sequence.attend(isa, from: row, rows: 1, share: 0..<1, heads: 0..<sequence.heads, into: &alone) }
      #expect(alone.bits == whole)
    }
  }

  @Test(arguments: instructionSets, [DK_F32.rawValue, DK_BF16.rawValue])
  func `a NaN in the cache reaches the rows that see it and no other`(isa: Int32, cache: Int32) {
    let isa = dk_isa(rawValue: isa)
    for position in [0, 15, 16, 40] {
      for inKeys in [true, false] {
        let sequence = Sequence(headDimension: 24, group: 3, keyValueHeads: 2, length: 45, cache: dk_type(rawValue: cache), seed: 3)
        let clean = sequence.attend(isa)
        sequence.poison(position: position, keyValueHead: 1, inKeys: inKeys)
        let got = sequence.attend(isa)
        for index in got.indices {
          let row = index / (6 * 24), head = index / 24 % 6, dimension = index % 24
          if row >= position && head >= 3 && (inKeys || dimension == 5) {
            #expect(got[index].isNaN, "row \(row), head \(head)")
          } else {
            #expect(got[index].bitPattern == clean[index].bitPattern, "row \(row), head \(head)")
          }
        }
      }
    }
  }

  @Test(arguments: instructionSets)
  func `scores far apart neither overflow nor lose the largest`(isa: Int32) {
    let sequence = Sequence(headDimension: 64, group: 2, keyValueHeads: 1, length: 200, cache: DK_F32, seed: 9, queryScale: 2000)
    let mismatch = firstMismatch(sequence.attend(dk_isa(rawValue: isa)), sequence.expected()) { _ in 5e-3 }
    #expect(mismatch == nil)
  }
}

/// One sequence's queries, keys and values, stored in a pool whose blocks lie in disorder; all else in it is NaN.
@safe private final class Sequence {
  let headDimension: Int, keyValueHeads: Int, heads: Int, length: Int
  let query: Guarded<Float>, key: [Float], value: [Float]  // as stored
  let pool: Guarded<UInt8>
  let blockTable: Guarded<Int32>
  var shape: dk_attention_shape

  init(
    headDimension: Int, group: Int, keyValueHeads: Int, length: Int, cache: dk_type, seed: Int, queryScale: Float = 4
  ) {
    self.headDimension = headDimension
    self.keyValueHeads = keyValueHeads
    self.length = length
    heads = keyValueHeads * group
    var random = SeededGenerator(seed)
    shape = dk_attention_shape(
      heads: Int32(heads), kv_heads: Int32(keyValueHeads), head_dim: Int32(headDimension), cache_type: cache,
      scale: 1 / Float(headDimension).squareRoot(), window: 0, soft_cap: 0, sinks: nil)
    query = Guarded(random.floats(length * heads * headDimension, in: -queryScale...queryScale))
    let key = random.floats(length * keyValueHeads * headDimension), value = random.floats(length * keyValueHeads * headDimension)
    self.key = Reference.stored(key, cache).values
    self.value = Reference.stored(value, cache).values
    let blocks = (length + 15) / 16
    let table = (0..<blocks + 3).shuffled(using: &random).prefix(blocks)
    blockTable = Guarded(table.map { Int32($0) })
    pool = Guarded(repeating: 0xff, count: (blocks + 3) * (unsafe Int(dk_cache_block_bytes(&shape))))
    // Stored in two calls, as a prompt in two chunks would be.
    let keys = Guarded(key), values = Guarded(value), width = keyValueHeads * headDimension, half = length / 2
    for rows in [0..<half, half..<length] {
      unsafe dk_cache_store(
        &shape, pool.raw, blockTable.base, Int64(rows.lowerBound), keys.base + rows.lowerBound * width, Int64(width),
        values.base + rows.lowerBound * width, Int64(width), Int64(rows.count))
    }
  }

  private var sinks = Guarded<Float>([])

  func set(window: Int, softCap: Float, hasSinks: Bool) {
    var random = SeededGenerator(heads)
    (shape.window, shape.soft_cap) = (Int64(window), softCap)
    sinks = Guarded(random.floats(heads, in: -3...6))
    unsafe shape.sinks = hasSinks ? UnsafePointer(sinks.base) : nil
  }

  func attend(_ isa: dk_isa) -> [Float] {
    var out = [Float](repeating: .nan, count: length * heads * headDimension)
    attend(isa, from: 0, rows: length, share: 0..<length, heads: 0..<heads, into: &out)
    return out
  }

  /// A batch of `rows` rows from position `from` on, of which this call computes `share` for `heads`.
  func attend(_ isa: dk_isa, from: Int, rows: Int, share: Range<Int>, heads: Range<Int>, into out: inout [Float]) {
    let width = self.heads * headDimension
    let result = Guarded(Array(out[from * width..<(from + rows) * width]))
    unsafe dk_attention(
      isa, &shape, pool.raw, blockTable.base, Int64(from), query.base + from * width, Int64(width), result.base,
      Int64(width), Int64(share.lowerBound), Int64(share.upperBound), Int64(heads.lowerBound), Int64(heads.upperBound))
    out.replaceSubrange(from * width..<(from + rows) * width, with: result.elements)
  }

  /// Makes one element of the cache NaN: dimension 5 of a position's key or value.
  func poison(position: Int, keyValueHead: Int, inKeys: Bool) {
    let bytes = Int(dk_type_bytes(shape.cache_type)), padded = (headDimension + 15) / 16 * 16
    let head = 16 * (headDimension + padded), block = Int(blockTable[position / 16])
    let element =
      block * head * keyValueHeads + head * keyValueHead
      + (inKeys ? 5 * 16 + position % 16 : 16 * headDimension + position % 16 * padded + 5)
    for byte in 0..<bytes { pool[element * bytes + byte] = 0xff }
  }

  func expected() -> [Double] {
    let dimensions = headDimension, group = heads / keyValueHeads
    var out: [Double] = []
    for row in 0..<length {
      for head in 0..<heads {
        let shared = head / group
        var weights: [Double] = []
        let start = shape.window == 0 ? 0 : max(0, row + 1 - Int(shape.window))
        for token in start...row {
          var dot = 0.0
          for d in 0..<dimensions {
            dot += Double(query[(row * heads + head) * dimensions + d]) * Double(key[(token * keyValueHeads + shared) * dimensions + d])
          }
          let score = dot * Double(shape.scale), cap = Double(shape.soft_cap)
          weights.append(cap == 0 ? score : cap * (1 - 2 / (exponential(2 * score / cap) + 1)))
        }
        let sink = unsafe shape.sinks.map { unsafe Double($0[head]) }
        let largest = max(weights.max() ?? 0, sink ?? -.infinity)
        weights = weights.map { exponential($0 - largest) }
        let sum = weights.reduce(0, +) + (sink.map { exponential($0 - largest) } ?? 0)
        for d in 0..<dimensions {
          var total = 0.0
          for token in start...row { total += weights[token - start] * Double(value[(token * keyValueHeads + shared) * dimensions + d]) }
          out.append(total / sum)
        }
      }
    }
    return out
  }
}
