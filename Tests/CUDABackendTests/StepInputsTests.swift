import Execution
import Testing

import CUDABackend

/// What a batch is for the kernels: pure numbers, so no card is needed.
@Suite struct StepInputsTests {
  private func slice(_ rows: Range<Int>, first: Int, table: [Int32], wanted: Int) -> SequenceSlice {
    SequenceSlice(rows: rows, firstPosition: first, blockTable: table, phase: .prefill, logitRows: wanted)
  }
  private func part(_ inputs: StepInputs, _ start: Int, _ count: Int) -> [Int32] { Array(inputs.words[start..<start + count]) }

  @Test func `every row has its position, its cell of the cache and its place among partial results`() {
    let batch = Batch(
      tokens: [7, 8, 9, 3], sequences: [slice(0..<3, first: 254, table: Array(20..<37), wanted: 2), slice(3..<4, first: 0, table: [5], wanted: 1)])
    let inputs = StepInputs(batch, tileHeads: 8, partialLimit: 4096)
    let offsets = inputs.offsets
    #expect(part(inputs, offsets.tokens, 4) == [7, 8, 9, 3])
    #expect(part(inputs, offsets.positions, 4) == [254, 255, 256, 0])
    // Blocks 35, 35, 36 and 5.
    let cells: [Int32] = [574, 575, 576, 80]
    #expect(part(inputs, offsets.cells, 4) == cells)
    #expect(part(inputs, offsets.selected, 3) == [1, 2, 3] && inputs.selectedCount == 3)
    // Two rows of 8 heads a tile: the first two see one split, the third two.
    let tiles: [Int32] = [0, 2, 254, 0, 1, 0, 2, 1, 256, 0, 2, 2, 3, 1, 0, 17, 1, 4]
    #expect(part(inputs, offsets.tiles, 18) == tiles)
    #expect(part(inputs, offsets.partials, 4) == [0, 1, 2, 4])
    let tables: [Int32] = Array(20..<37) + [5]
    #expect(part(inputs, offsets.tables, 18) == tables)
    #expect(inputs.attention == [.init(tiles: 0..<3, rows: 0..<4, splits: 2)])
    #expect(inputs.words.count <= StepInputs.mostWords(rows: 4, sequences: 2, selected: 3, length: 272))
  }

  @Test func `rows whose partial results do not fit together are attended to one after the other`() {
    let table = Array(Int32(0)..<64)
    let batch = Batch(tokens: Array(repeating: 1, count: 40), sequences: [slice(0..<40, first: 600, table: table, wanted: 0)])
    let inputs = StepInputs(batch, tileHeads: 1, partialLimit: 50)
    let runs: [StepInputs.AttentionRun] = [
      .init(tiles: 0..<1, rows: 0..<16, splits: 3), .init(tiles: 1..<2, rows: 16..<32, splits: 3), .init(tiles: 2..<3, rows: 32..<40, splits: 3),
    ]
    #expect(inputs.attention == runs)
    let partials: [Int32] = (0..<40).map { Int32($0 % 16 * 3) }
    #expect(part(inputs, inputs.offsets.partials, 40) == partials)
  }

  @Test func `many rows of a sequence are attended to in larger tiles, between those of others`() {
    func inputs(_ rows: Int) -> StepInputs {
      let table = Array(Int32(0)..<64)
      return StepInputs(
        Batch(
          tokens: Array(repeating: 1, count: rows + 2),
          sequences: [
            slice(0..<1, first: 300, table: table, wanted: 0), slice(1..<rows + 1, first: 200, table: table, wanted: 0),
            slice(rows + 1..<rows + 2, first: 7, table: table, wanted: 0),
          ]),
        tileHeads: 4, partialLimit: 4096, promptQueries: 32)
    }
    // 32 rows of 4 heads are four tiles of 32 queries.
    let runs: [StepInputs.AttentionRun] = [
      .init(tiles: 0..<1, rows: 0..<1, splits: 2), .init(tiles: 1..<6, rows: 1..<34, splits: 1, isPrompt: true),
      .init(tiles: 6..<7, rows: 34..<35, splits: 1),
    ]
    let many = inputs(33)
    #expect(many.attention == runs)
    let tiles: [Int32] = [9, 8, 208, 64, 1, 0, 17, 8, 216, 64, 1, 0]
    #expect(part(many, many.offsets.tiles + 12, 12) == tiles)
    #expect(inputs(31).attention.map(\.isPrompt) == [false])
  }

  @Test func `the same step has the same places, whatever the lengths of its sequences`() {
    func decode(_ positions: [Int]) -> StepInputs {
      StepInputs(
        Batch(
          tokens: positions.map { _ in 1 },
          sequences: positions.enumerated().map { slice($0.offset..<$0.offset + 1, first: $0.element, table: Array(0..<Int32($0.element / 16 + 1)), wanted: 1) }),
        tileHeads: 3, partialLimit: 4096)
    }
    let (one, other) = (decode([3, 700, 20]), decode([900, 1, 255]))
    #expect(one.offsets == other.offsets && one.attention.count == 1)
  }
}
