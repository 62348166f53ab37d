public import Schemes
public import Tensors

/// Any weights with a LoRA adapter on top: `W + scale · B·A` in float32, row by row, nothing stored.
///
/// What the adapter touches is delivered in float32, so that a recipe rounds the sum once; all else comes from the
/// base as it is. Several adapters are several of these, one on the other.
public final class AdaptedWeights: WeightSource {
  struct Touched: Sendable {
    let tensor: ShardLayout.Tensor
    /// One for each piece of the tensor; nil leaves the piece as it is.
    let changes: [AdapterChange?]
  }

  /// What the adapter is put on.
  public let base: any WeightSource
  /// Its factors are read when the first tile needs them.
  public let adapter: LoRAAdapter
  /// Which rows of which whole tensor a rank's tensor is: the adapter changes whole ones.
  public let layout: ShardLayout
  /// Multiplies every low-rank change; 1 is the adapter as trained. Replaced tensors are replaced in full.
  public let strength: Double
  /// By rank.
  let touched: [[String: Touched]]
  let replacements: AdapterTensors
  let factors = FactorCache()
  let columnLengths = ColumnLengths()
  let scratch = ScratchPool()
  /// What was read otherwise than PEFT would write it.
  public let warnings: [SourceWarning]

  /// - Parameters:
  ///   - layout: Of the base.
  ///   - strength: See ``strength``; upstream users call it the LoRA scale.
  ///   - sharesEmbedding: The base stores one table for embedding and output head, so an adapter that changes only one
  ///     of them cannot be applied.
  ///   - tiesEmbeddings: The model's author declares them to be one, however they are stored; nil where nothing is said.
  /// - Throws: ``AdapterError`` with everything of the adapter that reaches no weight or does not fit, or
  ///   ``WeightSourceError`` for base weights that are absent, emptied or no plain numbers; before any weight is read.
  public init(
    base: any WeightSource, adapter: LoRAAdapter, layout: ShardLayout, strength: Double = 1, sharesEmbedding: Bool = false,
    tiesEmbeddings: Bool? = nil
  ) throws {
    self.base = base
    self.adapter = adapter
    self.layout = layout
    self.strength = strength
    let plan = AdapterPlan(adapter, layout, tiesEmbeddings: tiesEmbeddings ?? sharesEmbedding, sharesEmbedding: sharesEmbedding)
    guard plan.problems.isEmpty else { throw AdapterError(adapter.path, plan.problems) }
    warnings = adapter.warnings + plan.warnings
    replacements = AdapterTensors(adapter, plan.changes)
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
        if let scheme = base.scheme(of: name, rank: rank), scheme.coding != nil {
          throw WeightSourceError(
            base.origin,
            .found(
              "holds \(scheme.title) weights, and an adapter is added to float weights", remedy: "Give those that it was trained on: with --base_checkpoint_dir, or as --checkpoint_dir beside --lora_dir."))
        }
        guard found.shape == tensor.shape else {
          throw WeightSourceError(base.origin, .shape(tensor: name, found: found.shape, expected: tensor.shape, why: "rank \(rank), from the configuration"))
        }
        guard NumberFormat.converts(found.elementType, to: .float32) else {
          throw WeightSourceError(
            base.origin,
            .elementType(
              tensor: name, found: found.elementType.rawValue, supported: ["F16", "BF16", "F32", "F64"]))
        }
      }
    }
    guard emptied.isEmpty else { throw WeightSourceError(base.origin, .emptied(names: emptied)) }
    guard missing.isEmpty else { throw WeightSourceError(base.origin, .missing(names: missing)) }
  }

  /// Bytes, as float32, of the factors that were read so far: each once, unless it is too large to be kept.
  package var factorByteCount: Int { factors.readByteCount }

  public var origin: String { "\(base.origin) with \(adapter.origin)" }

  /// Names of the rank's tensors that the adapter changes, sorted; all others are the base's to the bit.
  public func touchedNames(rank: Int) -> [String] { touched[rank].keys.sorted() }

  public func names(rank: Int) -> [String] { base.names(rank: rank) }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    guard let tensor = touched[rank][name]?.tensor else { return base.description(of: name, rank: rank) }
    return TensorDescription(shape: tensor.shape, elementType: .float32)
  }

  public func scheme(of name: String, rank: Int) -> NumberScheme? {
    touched[rank][name] == nil ? base.scheme(of: name, rank: rank) : .plain(.float32)
  }

  public func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let touched = touched[rank][name] else {
      return try unsafe base.read(name, rank: rank, rows: rows, into: destination)
    }
    guard !rows.isEmpty else { return }
    try unsafe AdaptedTile(self, touched, name: name, rank: rank, rows: rows).compute(into: destination)
  }
}
