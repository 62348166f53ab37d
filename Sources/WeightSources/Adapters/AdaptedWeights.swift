public import Tensors

/// Any weights with a LoRA adapter on top: `W + scale · B·A` in float32, row by row, nothing stored.
///
/// What the adapter touches is delivered in float32, so that a recipe rounds the sum once; all else comes from the
/// base as it is. Several adapters are several of these, one on the other.
public final class AdaptedWeights: WeightSource {
  /// What happens to one piece of a rank's tensor.
  enum Change: Sendable {
    case lowRank(LoRAAdapter.LowRank)
    /// The rows are the adapter's own.
    case replaced(ShardLayout.Piece)
  }
  struct Touched: Sendable {
    let tensor: ShardLayout.Tensor
    /// One for each piece of the tensor; nil leaves the piece as it is.
    let changes: [Change?]
  }

  public let base: any WeightSource
  public let adapter: LoRAAdapter
  public let layout: ShardLayout
  /// Multiplies every low-rank change; 1 is the adapter as trained. Replaced tensors are replaced in full.
  public let strength: Double
  /// By rank.
  let touched: [[String: Touched]]
  let replacements: AdapterTensors

  /// - Parameters:
  ///   - layout: Of the base.
  ///   - strength: See ``strength``; upstream users call it the LoRA scale.
  ///   - sharesEmbedding: The base stores one table for embedding and output head, so an adapter that changes only one
  ///     of them cannot be applied.
  /// - Throws: ``WeightSourceError``, before any weight is read: adapter tensors that reach no weight, shapes that do not
  ///   fit, base weights that are absent, emptied or no plain numbers. Each names all that it concerns.
  public init(
    base: any WeightSource, adapter: LoRAAdapter, layout: ShardLayout, strength: Double = 1, sharesEmbedding: Bool = false
  ) throws(WeightSourceError) {
    self.base = base
    self.adapter = adapter
    self.layout = layout
    self.strength = strength
    replacements = AdapterTensors(adapter)
    let plan = AdapterPlan(adapter, layout, sharesEmbedding: sharesEmbedding)
    try plan.check()
    touched = (0..<layout.mapping.worldSize).map { rank in
      plan.touched(rank: rank).filter { name, _ in
        !(sharesEmbedding && plan.isTiedCopy(name) && base.description(of: name, rank: rank) == nil)
      }
    }
    try checkBase()
  }

  private func checkBase() throws(WeightSourceError) {
    var missing: [String] = []
    var emptied: [String] = []
    for rank in touched.indices {
      for name in touched[rank].keys.sorted() {
        guard let tensor = touched[rank][name]?.tensor else { continue }
        guard let found = base.description(of: name, rank: rank) else { missing.append("rank \(rank): \(name)"); continue }
        if found.elementCount == 0 { emptied.append("rank \(rank): \(name)"); continue }
        guard found.shape == tensor.shape else {
          throw WeightSourceError(base.origin, .shape(tensor: name, found: found.shape, expected: tensor.shape, why: "rank \(rank), from the configuration"))
        }
        guard NumberFormat.converts(found.elementType, to: .float32) else {
          throw WeightSourceError(base.origin, .elementType(
            tensor: name, found: found.elementType.rawValue, supported: ["F16", "BF16", "F32", "F64"]))
        }
      }
    }
    guard emptied.isEmpty else { throw WeightSourceError(base.origin, .emptied(names: emptied)) }
    guard missing.isEmpty else { throw WeightSourceError(base.origin, .missing(names: missing)) }
  }

  public var origin: String { "\(base.origin) with \(adapter.origin)" }

  /// Names of the rank's tensors that the adapter changes, sorted; all others are the base's to the bit.
  public func touchedNames(rank: Int) -> [String] { touched[rank].keys.sorted() }

  public func names(rank: Int) -> [String] { base.names(rank: rank) }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    guard let tensor = touched[rank][name]?.tensor else { return base.description(of: name, rank: rank) }
    return TensorDescription(shape: tensor.shape, elementType: .float32)
  }

  public func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let touched = touched[rank][name] else {
      return try unsafe base.read(name, rank: rank, rows: rows, into: destination)
    }
    guard !rows.isEmpty else { return }
    try unsafe AdaptedTile(self, touched, name: name, rank: rank, rows: rows).compute(into: destination)
  }
}
