import CUDAKernels
package import Execution

/// What kernels must know of a batch beside the values: 32-bit numbers, which one copy takes to the card.
package struct StepInputs {
  /// Tiles whose partial results fit the memory for them: attended to with one launch.
  package struct AttentionRun: Equatable {
    package var tiles: Range<Int>
    package var rows: Range<Int>
    /// Of the longest.
    package var splits: Int
    /// Tiles of many rows, which are attended to with all their splits and need no memory for partial results.
    package var isPrompt = false
    package init(tiles: Range<Int>, rows: Range<Int>, splits: Int, isPrompt: Bool = false) {
      (self.tiles, self.rows, self.splits, self.isPrompt) = (tiles, rows, splits, isPrompt)
    }
    /// The one behind this.
    fileprivate func following(isPrompt: Bool) -> AttentionRun {
      AttentionRun(tiles: tiles.upperBound..<tiles.upperBound, rows: rows.upperBound..<rows.upperBound, splits: 0, isPrompt: isPrompt)
    }
  }
  /// Where each part starts in `words`.
  package struct Offsets: Equatable {
    package var tokens = 0
    package var positions = 0
    package var cells = 0
    package var partials = 0
    package var selected = 0
    package var tiles = 0
    package var tables = 0
  }

  package let words: [Int32]
  package let offsets: Offsets
  package let rowCount: Int
  package let selectedCount: Int
  package let attention: [AttentionRun]
  /// Every sequence has one row: the rows' keys and values are attended to where they are made.
  package let isRowEach: Bool

  private static let blockTokens = Int(DK_CUDA_BLOCK_TOKENS)
  package static let splitTokens = Int(DK_CUDA_SPLIT_TOKENS)
  private static let tileWords = MemoryLayout<dk_attention_tile>.size / 4

  /// Splits that a sequence of so many tokens has.
  package static func splits(_ tokens: Int) -> Int { (tokens + splitTokens - 1) / splitTokens }
  /// Rows of a sequence that are attended to together.
  package static func tileRows(_ tileHeads: Int) -> Int { max(1, Int(DK_CUDA_TILE_QUERIES) / tileHeads) }
  /// Most numbers of a batch.
  package static func mostWords(rows: Int, sequences: Int, selected: Int, length: Int) -> Int {
    rows * (4 + tileWords) + selected + sequences * ((length + blockTokens - 1) / blockTokens + 1)
  }

  /// - Parameters:
  ///   - batch: Checked.
  ///   - tileHeads: Heads of a group that share a tile.
  ///   - partialLimit: Rows times splits whose partial results there is memory for; a tile of the longest sequence fits.
  ///   - promptQueries: Queries of a tile of a prompt's rows, where there is a kernel for such: it takes sequences of at least four
  ///     such tiles.
  package init(_ batch: Batch, tileHeads: Int, partialLimit: Int, promptQueries: Int? = nil) {
    var positions: [Int32] = [], cells: [Int32] = [], partials: [Int32] = [], selected: [Int32] = []
    var tiles: [Int32] = [], tables: [Int32] = []
    var runs: [AttentionRun] = []
    var run = AttentionRun(tiles: 0..<0, rows: 0..<0, splits: 0)
    var used = 0
    for slice in batch.sequences {
      for offset in 0..<slice.rows.count {
        let position = slice.firstPosition + offset
        positions.append(Int32(position))
        cells.append(slice.blockTable[position / Self.blockTokens] * Int32(Self.blockTokens) + Int32(position % Self.blockTokens))
      }
      for row in slice.rows.suffix(slice.logitRows) { selected.append(Int32(row)) }
      let isPrompt = promptQueries.map { slice.rows.count * tileHeads >= 4 * $0 } ?? false
      let tileRows = isPrompt ? max(1, (promptQueries ?? 0) / tileHeads) : Self.tileRows(tileHeads)
      for first in stride(from: 0, to: slice.rows.count, by: tileRows) {
        let count = min(tileRows, slice.rows.count - first)
        let splits = Self.splits(slice.firstPosition + first + count)
        if run.isPrompt != isPrompt || !isPrompt && used + count * splits > partialLimit {
          if !run.tiles.isEmpty { runs.append(run) }
          run = run.following(isPrompt: isPrompt)
          used = 0
        }
        tiles += [slice.rows.lowerBound + first, count, slice.firstPosition + first, tables.count, splits, used].map { Int32($0) }
        for row in 0..<count { partials.append(isPrompt ? 0 : Int32(used + row * splits)) }
        if !isPrompt { used += count * splits }
        run.tiles = run.tiles.lowerBound..<run.tiles.upperBound + 1
        run.rows = run.rows.lowerBound..<run.rows.upperBound + count
        run.splits = max(run.splits, splits)
      }
      tables += slice.blockTable
    }
    if !run.tiles.isEmpty { runs.append(run) }
    attention = runs
    isRowEach = batch.sequences.allSatisfy { $0.rows.count == 1 }
    rowCount = batch.tokens.count
    selectedCount = selected.count
    var words = batch.tokens
    var offsets = Offsets()
    func add(_ part: [Int32]) -> Int {
      defer { words += part }
      return words.count
    }
    offsets.positions = add(positions)
    offsets.cells = add(cells)
    offsets.partials = add(partials)
    offsets.selected = add(selected)
    offsets.tiles = add(tiles)
    offsets.tables = add(tables)
    self.words = words
    self.offsets = offsets
  }
}
