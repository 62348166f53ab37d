public import Checkpoints
public import Tensors

/// Whole tensors, sharded on the way: what a checkpoint converted from them would hold, without writing it.
public final class ConvertedWeights: WeightSource {
  /// Which rows and columns of which whole tensors each rank's tensors are.
  public let layout: ShardLayout
  /// The type in which weights are delivered, but for those whose family keeps them in float32.
  public let elementType: ElementType
  public let origin: String
  /// Tensors that nothing uses.
  public let warnings: [SourceWarning]
  private let tensors: any NamedTensors

  /// - Parameters:
  ///   - tensors: Under Hugging Face's names, as ``ModelSource`` gives them.
  ///   - elementType: One of ``ElementType/checkpointTypes``; narrowing rounds to nearest even.
  /// - Throws: ``WeightSourceError``, after every tensor was looked at, with all of it: what is missing, empty or has no
  ///   place (in a Hugging Face directory that lacks none that is a warning), what has another shape or
  ///   a type that is not a float; or how the mapping does not fit the model.
  public init(_ tensors: any NamedTensors, model: SourceModel, mapping: Mapping, elementType: ElementType) throws(WeightSourceError) {
    precondition(ElementType.checkpointTypes.contains(elementType))
    origin = tensors.origin
    self.tensors = tensors
    self.elementType = elementType
    // A head that is stored counts as it stands, also where it is declared a copy of the table.
    let ties = model.tiesEmbeddings && tensors.description(of: "lm_head.weight") == nil
    layout = try ShardLayout(
      family: model.family, shape: model.shape,
      features: .init(attentionBias: model.attentionBias, mlpBias: model.mlpBias), mapping: mapping,
      tiesEmbeddings: ties, origin: tensors.origin)
    let (problems, warnings) = ConvertedCheck(tensors: tensors, layout: layout, elementType: elementType).findings()
    self.warnings = warnings
    guard problems.isEmpty else { throw WeightSourceError(origin, problems) }
  }

  public func names(rank: Int) -> [String] { layout.tensors(rank: rank).map(\.name) }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    layout.tensor(name, rank: rank).map { TensorDescription(shape: $0.shape, elementType: $0.elementType(in: elementType)) }
  }

  public func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    guard let tensor = layout.tensor(name, rank: rank) else {
      throw WeightSourceError(origin, .missing(names: ["rank \(rank): \(name)"]))
    }
    try unsafe tensor.read(rows: rows, as: tensor.elementType(in: elementType), from: tensors, into: destination)
  }

  public func storedRows(of name: String, rank: Int) -> [StoredRows]? {
    layout.tensor(name, rank: rank).flatMap { $0.storedRows(as: $0.elementType(in: elementType), from: tensors) }
  }
}
