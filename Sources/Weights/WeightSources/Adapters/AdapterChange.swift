/// What an adapter does to one weight of the base, in this order: replace all, replace rows, add, scale, add to a bias.
struct AdapterChange: Sendable {
  /// A change of rank r to a weight of `[out, in]`.
  struct LowRank: Sendable {
    /// Tensor of `[r, in]`, or `[in, r]` where it is transposed.
    var down: String
    var isDownTransposed: Bool
    /// Tensor of `[out, r]`, or `[r, out]` where it is transposed.
    var up: String
    var isUpTransposed: Bool
    /// DoRA's magnitudes: a tensor of `[out]`, for each row, or of an embedding table `[in]`, for each column.
    var magnitude: String?
    var scalesColumns = false
    var rank: Int
    var scale: Double
  }
  /// Rows of a table.
  struct Tokens: Sendable, Equatable {
    /// Tensor of `[tokens, columns]`.
    var values: String
    /// Which row of the table each row of ``values`` is.
    var rows: [Int]
    /// By row of the table, ascending: the row of ``values``.
    var order: [(row: Int, index: Int)] { rows.enumerated().map { (row: $1, index: $0) }.sorted { $0.row < $1.row } }
  }
  /// Tensor that takes the weight's place.
  var replacement: String?
  var lowRank: LowRank?
  var tokens: Tokens?
  /// Tensor of `[out]` that is added to a bias, times `scale`.
  var addedBias: (name: String, scale: Double)?

  /// Whether nothing of the base's weight remains.
  var isWhole: Bool { replacement != nil }
}
