import CPUKernels
import TestSupport
import Testing

@Suite struct LowRankTests {
  @Test(arguments: instructionSets)
  func `a low-rank update is the same to the bit as one element after another`(isa: Int32) {
    var random = SeededGenerator(21)
    for (rows, columns, rank) in [(1, 1, 1), (3, 5, 2), (4, 64, 8), (7, 67, 3), (9, 130, 16), (2, 1100, 5), (5, 33, 0), (0, 8, 4), (16, 257, 64)] {
      let stride = columns + 3
      let up = Guarded(random.floats(rows * rank)), down = Guarded(random.floats(max(0, (rank - 1) * stride + columns)))
      let start = random.floats(rows * columns)
      let weights = Guarded(start)
      unsafe dk_add_low_rank(
        dk_isa(rawValue: isa), weights.base, Int64(columns), up.base, down.base, Int64(stride), Int64(rows), Int64(columns),
        Int64(rank), 0.37)
      var want = start
      for row in 0..<rows {
        for column in 0..<columns {
          var sum: Float = 0
          for k in 0..<rank { sum = sum + up[row * rank + k] * down[k * stride + column] }
          want[row * columns + column] = want[row * columns + column] + 0.37 * sum
        }
      }
      #expect(weights.bits == want.map(\.bitPattern), "\(rows) x \(columns), rank \(rank)")
    }
  }

  @Test(arguments: instructionSets)
  func `an update that is no number stays none`(isa: Int32) {
    let weights = Guarded<Float>([1, 2, 3]), up = Guarded<Float>([.infinity]), down = Guarded<Float>([1, 0, -1])
    unsafe dk_add_low_rank(dk_isa(rawValue: isa), weights.base, 3, up.base, down.base, 3, 1, 3, 1, 1)
    #expect(weights[0] == .infinity)
    #expect(weights[1].isNaN)
    #expect(weights[2] == -.infinity)
  }

  @Test(arguments: instructionSets)
  func `NaN and infinity are counted and nothing else is, at every place`(isa: Int32) {
    var random = SeededGenerator(22)
    for type in elementTypes.map(dk_type.init(rawValue:)) {
      for count in [0, 1, 15, 16, 33, 4095, 4096, 4097, 9001] {
        var values = random.floats(count, in: -60000...60000)
        if count > 2 { values[1] = type == DK_F16 ? 65504 : .greatestFiniteMagnitude.rounded(.down) }
        if type == DK_BF16 { values = values.map { $0.magnitude > 3e38 ? 3e38 : $0 } }
        let places = Set((0..<count / 3).map { _ in Int.random(in: 0..<count, using: &random) }).union(count > 0 ? [count - 1] : [])
        for place in places { values[place] = [.nan, .infinity, -.infinity].randomElement(using: &random) ?? .nan }
        let stored = Guarded(Reference.stored(values, type).bytes)
        #expect(unsafe dk_count_nonfinite(dk_isa(rawValue: isa), stored.raw, type, Int64(count)) == Int64(places.count))
      }
    }
    let all = Guarded((0...UInt16.max).map { $0 })
    #expect(unsafe dk_count_nonfinite(dk_isa(rawValue: isa), all.raw, DK_BF16, 65536) == 256)
    #expect(unsafe dk_count_nonfinite(dk_isa(rawValue: isa), all.raw, DK_F16, 65536) == 2048)
    let everyOne = Guarded<UInt16>(repeating: 0x7FC0, count: 200_000)
    #expect(unsafe dk_count_nonfinite(dk_isa(rawValue: isa), everyOne.raw, DK_BF16, 200_000) == 200_000)
  }
}
