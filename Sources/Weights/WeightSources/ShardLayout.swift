public import Checkpoints
public import Families
import Tensors

/// Which rows and columns of which whole tensors every rank holds: TensorRT-LLM's sharding as a table.
///
/// Whole tensors have Hugging Face's names. The table serves converting (read the pieces), adapters
/// (change the pieces) and checks.
public struct ShardLayout: Sendable {
  /// What tensors are called and how they are shared.
  public let family: ModelFamily
  /// Of the whole model.
  public let shape: ModelShape
  /// How many ranks there are, and which part each has.
  public let mapping: Mapping

  /// How a vocabulary embedding is shared by tensor-parallel ranks.
  public enum EmbeddingSplit: Sendable { case none, vocabulary, hidden }

  /// One tensor of one rank.
  package struct Tensor: Sendable {
    package let name: String
    /// `[rows, columns]`, or `[elements]` for a vector.
    package let shape: [Int]
    /// Of a stack: its matrices, of as many rows each, one below the other.
    let matrices: Int?
    /// See ``TensorRule/offset``.
    let offset: Float
    let isFloat32: Bool
    let pieces: [Piece]

    /// In which rows are delivered, of a model of this type.
    func elementType(in model: ElementType) -> ElementType { offset == 0 && !isFloat32 ? model : .float32 }
  }
  /// Consecutive rows of a rank's tensor that are rows of one whole tensor, or a slice of their columns. Rows that no
  /// piece covers are zero.
  struct Piece: Sendable {
    let source: String
    /// Shape of the whole source tensor.
    let sourceShape: [Int]
    /// First row in the rank's tensor.
    let firstRow: Int
    /// Rows of the source.
    let rows: Range<Int>
    /// Columns of the source; nil for all of them.
    let columns: Range<Int>?

    /// Rows in the rank's tensor.
    var targetRows: Range<Int> { firstRow..<firstRow + rows.count }
  }

  /// By tensor-parallel rank + pipeline stage * tensor-parallel size.
  private let tensors: [[Tensor]]
  private let index: [[String: Int]]

  /// Tensors that not every model of a family has.
  public struct Features: Sendable, Hashable {
    /// Whether the attention's projections have a bias.
    public var attentionBias: Bool
    /// Whether the feed-forward projections have a bias.
    public var mlpBias: Bool

    /// Neither bias, unless given.
    public init(attentionBias: Bool = false, mlpBias: Bool = false) {
      self.attentionBias = attentionBias
      self.mlpBias = mlpBias
    }
    func has(_ feature: TensorRule.Feature?) -> Bool {
      switch feature {
      case nil: true
      case .attentionBias: attentionBias
      case .mlpBias: mlpBias
      }
    }
  }

  /// - Parameters:
  ///   - tiesEmbeddings: Makes `lm_head` read the embedding's rows.
  ///   - origin: For messages.
  /// - Throws: ``WeightSourceError/Problem/sharding(_:)`` where heads, widths or layers do not divide.
  public init(
    family: ModelFamily, shape: ModelShape, features: Features = Features(), mapping: Mapping, tiesEmbeddings: Bool = false,
    embeddingSplit: EmbeddingSplit = .none, origin: String
  ) throws(WeightSourceError) {
    let tensorParallel = mapping.tensorParallel
    let pipelineParallel = mapping.pipelineParallel
    if let problem = family.decoder.sharingProblem(mapping) ?? shape.sharingProblem(mapping) {
      throw WeightSourceError(origin, .sharding(problem))
    }
    // Each rank has a table of the matrices that it holds.
    if let experts = shape.experts, experts.count * shape.layerCount * mapping.expertTensorParallel > 4 * ExpertShape.limit {
      throw WeightSourceError(origin, .sharding("the widths of \(experts.count) experts cannot be shared by \(mapping.expertTensorParallel) ranks each. Convert with a larger --moe_ep_size."))
    }
    self.family = family
    self.shape = shape
    self.mapping = mapping
    let rules = family.tensors.filter { features.has($0.feature) }
    var tensors: [[Tensor]] = []
    for stage in 0..<pipelineParallel {
      let layers = mapping.layers(ofStage: stage, layerCount: shape.layerCount)
      for rank in 0..<tensorParallel {
        var mine: [Tensor] = []
        func add(_ rule: TensorRule, localLayer: Int = 0, layer: Int = 0) {
          mine.append(
            Self.tensor(
              rule, localLayer: localLayer, layer: layer, rank: rank, of: mapping, shape: shape,
              tiesEmbeddings: tiesEmbeddings, embeddingSplit: embeddingSplit))
        }
        if stage == 0 { for rule in rules where rule.place == .first { add(rule) } }
        for layer in layers {
          for rule in rules where rule.place == .layer && rule.exists(inLayer: layer, of: shape) { add(rule, localLayer: layer - layers.lowerBound, layer: layer) }
        }
        if stage == pipelineParallel - 1 { for rule in rules where rule.place == .last { add(rule) } }
        tensors.append(mine)
      }
    }
    self.tensors = tensors
    index = tensors.map { Dictionary(uniqueKeysWithValues: $0.enumerated().map { ($1.name, $0) }) }
  }

  /// The layout of a checkpoint or engine.
  ///
  /// - Throws: ``WeightSourceError`` where the architecture is not one that can be taken apart here.
  public init(config: CheckpointConfig, origin: String) throws(WeightSourceError) {
    let family = try ModelFamily(checkpointArchitecture: config.architecture, origin: origin)
    let experts: ExpertShape?
    do throws(UnsupportedModel) { experts = family.decoder.experts == nil ? nil : try ExpertShape(config) } catch {
      throw WeightSourceError(origin, .other("\(error)"))
    }
    try self.init(
      family: family,
      shape: ModelShape(
        hiddenSize: config.hiddenSize, headCount: config.headCount, keyValueHeadCount: config.keyValueHeadCount,
        headSize: config.headSize, intermediateSize: config.intermediateSize, vocabularySize: config.vocabularySize,
        layerCount: config.layerCount, experts: experts),
      features: Features(attentionBias: config.hasAttentionBias, mlpBias: config.mlpBias), mapping: config.mapping,
      embeddingSplit: config.useParallelEmbedding ? (config.embeddingShardingDimension == 0 ? .vocabulary : .hidden) : .none,
      origin: origin)
  }

  private func slot(_ rank: Int) -> Int {
    mapping.pipelineRank(of: rank) * mapping.tensorParallel + mapping.tensorRank(of: rank)
  }
  package func tensors(rank: Int) -> [Tensor] { tensors[slot(rank)] }
  func tensor(_ name: String, rank: Int) -> Tensor? {
    let slot = slot(rank)
    return index[slot][name].map { tensors[slot][$0] }
  }

  private static func tensor(
    _ rule: TensorRule, localLayer: Int, layer: Int, rank: Int, of mapping: Mapping, shape: ModelShape, tiesEmbeddings: Bool,
    embeddingSplit: EmbeddingSplit
  ) -> Tensor {
    let splitsOutputs = rule.split == .outputs || (rule.split == .embedding && embeddingSplit == .vocabulary)
    let splitsInputs = rule.split == .inputs || (rule.split == .embedding && embeddingSplit == .hidden)
    // Experts are spread over groups of ranks, and their widths over the ranks of a group.
    let ranks = rule.isStack ? mapping.expertTensorParallel : mapping.tensorParallel
    let experts = rule.isStack ? shape.experts(ofGroup: mapping.expertRank(of: rank), of: mapping.expertParallel) : 0..<1
    let rank = rule.isStack ? mapping.expertTensorRank(of: rank) : rank
    var pieces: [Piece] = []
    var rowCount = 0
    var columnCount: Int?
    for expert in experts {
      for part in rule.parts {
        let whole = [shape.extent(part.outputs)] + (part.inputs.map { [shape.extent($0)] } ?? [])
        let rows =
          splitsOutputs
          ? shape.share(part.outputs, rank: rank, of: ranks)
          : .init(indices: 0..<whole[0], extent: whole[0])
        var columns: Range<Int>?
        if let inputs = part.inputs {
          columnCount = shape.extent(inputs)
          if splitsInputs, ranks > 1 {
            let share = shape.share(inputs, rank: rank, of: ranks)
            columns = share.indices
            columnCount = share.extent
          }
        }
        let source = tiesEmbeddings ? rule.tiedTo ?? part.huggingFace : part.huggingFace
        pieces.append(
          Piece(
            source: source.inLayer(layer).ofExpert(expert), sourceShape: whole, firstRow: rowCount, rows: rows.indices, columns: columns))
        rowCount += rows.extent
      }
    }
    return Tensor(
      name: rule.name(layer: localLayer), shape: [rowCount] + (columnCount.map { [$0] } ?? []), matrices: rule.isStack ? experts.count : nil, offset: rule.offset,
      isFloat32: rule.isFloat32, pieces: pieces)
  }
}

extension ShardLayout {
  /// The shape in which a checkpoint's file holds a rank's tensor, or a part of an encoded one: a stack has a dimension for its matrices
  /// in front, as upstream's have.
  ///
  /// - Parameter rows: The shape without that dimension, one matrix below the other.
  package func fileShape(of name: String, rank: Int, rows shape: [Int]) -> [Int] {
    // A part of an encoded tensor has another last component.
    let weight = name[..<(name.lastIndex(of: ".") ?? name.endIndex)] + ".weight"
    guard let matrices = (tensor(name, rank: rank) ?? tensor(String(weight), rank: rank))?.matrices, let first = shape.first else { return shape }
    return [matrices, first / matrices] + shape.dropFirst()
  }
}
