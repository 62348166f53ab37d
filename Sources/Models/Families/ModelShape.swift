/// The extents from which every weight's shape follows.
public struct ModelShape: Sendable, Hashable {
  /// Width of the residual stream.
  public var hiddenSize: Int
  /// Query heads of the whole model.
  public var headCount: Int
  /// Key-value heads of the whole model; fewer than query heads with grouped queries (arXiv:2305.13245).
  public var keyValueHeadCount: Int
  /// Elements of a head. Query heads together need not be as wide as the hidden size.
  public var headSize: Int
  /// Width of an MLP between its projections.
  public var intermediateSize: Int
  /// Unpadded.
  public var vocabularySize: Int
  /// Of all pipeline stages together.
  public var layerCount: Int
  /// nil: every layer has one MLP.
  public var experts: ExpertShape?

  /// Checks nothing: reading a model's configuration does.
  public init(
    hiddenSize: Int, headCount: Int, keyValueHeadCount: Int, headSize: Int, intermediateSize: Int, vocabularySize: Int,
    layerCount: Int, experts: ExpertShape? = nil
  ) {
    self.hiddenSize = hiddenSize
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    self.intermediateSize = intermediateSize
    self.vocabularySize = vocabularySize
    self.layerCount = layerCount
    self.experts = experts
  }

  /// What a weight's rows or columns stand for.
  package enum Dimension: Sendable { case hidden, queries, keyValues, intermediate, vocabulary, head, experts, expertIntermediate }

  /// Extent in the whole model.
  package func extent(_ dimension: Dimension) -> Int {
    switch dimension {
    case .hidden: hiddenSize
    case .queries: headCount * headSize
    case .keyValues: keyValueHeadCount * headSize
    case .intermediate: intermediateSize
    case .vocabulary: vocabularySize
    case .head: headSize
    case .experts: experts?.count ?? 0
    case .expertIntermediate: experts?.intermediateSize ?? 0
    }
  }

  /// A rank's share of a dimension: the indices it holds of the whole, and its extent, which is larger where the
  /// vocabulary is padded.
  package struct Share: Equatable {
    package let indices: Range<Int>
    package let extent: Int
    package init(indices: Range<Int>, extent: Int) { (self.indices, self.extent) = (indices, extent) }
  }

  /// - Precondition: ``sharingProblem(_:)`` is nil.
  package func share(_ dimension: Dimension, rank: Int, of ranks: Int) -> Share {
    switch dimension {
    case .hidden: return even(hiddenSize, rank, ranks)
    case .queries: return even(headCount * headSize, rank, ranks)
    case .intermediate: return even(intermediateSize, rank, ranks)
    // Every rank has all of it.
    case .head, .experts: return Share(indices: 0..<extent(dimension), extent: extent(dimension))
    case .expertIntermediate: return even(extent(dimension), rank, ranks)
    case .keyValues:
      // Fewer heads than ranks: each head goes to ranks / heads neighbours.
      guard keyValueHeadCount < ranks else { return even(keyValueHeadCount * headSize, rank, ranks) }
      let head = rank * keyValueHeadCount / ranks
      return Share(indices: head * headSize..<(head + 1) * headSize, extent: headSize)
    case .vocabulary:
      let extent = (vocabularySize + ranks - 1) / ranks
      let start = min(rank * extent, vocabularySize)
      return Share(indices: start..<min(start + extent, vocabularySize), extent: extent)
    }
  }
  private func even(_ whole: Int, _ rank: Int, _ ranks: Int) -> Share {
    let extent = whole / ranks
    return Share(indices: rank * extent..<(rank + 1) * extent, extent: extent)
  }

  /// Numbers of the experts of one of several groups of ranks; none in a model without.
  package func experts(ofGroup group: Int, of groups: Int) -> Range<Int> {
    let each = (experts?.count ?? 0) / groups
    return group * each..<(group + 1) * each
  }
}
