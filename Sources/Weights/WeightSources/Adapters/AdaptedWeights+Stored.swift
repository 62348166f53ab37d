import Tensors

extension AdaptedWeights {
  /// Of weights that get low-rank changes and nothing else.
  public func storedRows(of name: String, rank: Int) -> [StoredRows]? {
    guard let base = base.storedRows(of: name, rank: rank) else { return nil }
    guard let touched = touched[rank][name] else { return base }
    // Where pieces begin and end, base rows are cut.
    let places = touched.tensor.pieces.map(\.targetRows)
    let cuts = Set(places.flatMap { [$0.lowerBound, $0.upperBound] } + base.flatMap { [$0.rows.lowerBound, $0.rows.upperBound] }).sorted()
    var parts: [StoredRows] = []
    for (start, end) in zip(cuts, cuts.dropFirst()) {
      guard var part = base.lazy.compactMap({ $0.clamped(to: start..<end) }).first else { continue }
      if let index = places.firstIndex(where: { $0.contains(start) }), let change = touched.changes[index] {
        guard let addition = addition(change, touched.tensor.pieces[index], row: start) else { return nil }
        part.additions.append(addition)
      }
      parts.append(part)
    }
    return parts
  }

  private func addition(_ change: AdapterChange, _ piece: ShardLayout.Piece, row: Int) -> LowRankAddition? {
    guard let lowRank = change.lowRank, lowRank.magnitude == nil, change.replacement == nil, change.tokens == nil, change.addedBias == nil,
      piece.columns == nil || piece.columns?.count == piece.sourceShape.last
    else { return nil }
    let (file, scratch) = (adapter.file, scratch)
    return LowRankAddition(
      rank: lowRank.rank, scale: Float(strength * lowRank.scale), firstRow: piece.rows.lowerBound + row - piece.firstRow,
      down: { try LowRankFactors.down(lowRank, file, scratch) },
      up: { rows in try LowRankFactors.up(lowRank, rows: rows, file, scratch) })
  }
}
