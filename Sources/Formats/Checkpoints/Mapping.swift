/// How a model is spread over ranks.
///
/// `rank = pipeline · (tensor · context sizes) + contextRank · tensorSize + tensorRank`: tensor parallelism is fastest,
/// pipeline parallelism slowest. Ranks that differ only in their context rank share one file.
public struct Mapping: Sendable, Hashable {
  /// `tp_size`: ranks that share each layer. At least 1, as all sizes here.
  public var tensorParallel: Int
  /// `pp_size`: stages of consecutive layers, at most as many as there are layers.
  public var pipelineParallel: Int
  /// `cp_size`: ranks that share a sequence's positions, with the same weights.
  public var contextParallel: Int
  /// Expert layers split their `tensorParallel` ranks further: tensor × expert × cluster.
  public var expertTensorParallel: Int
  /// `moe_ep_size`: groups of ranks that hold different experts.
  public var expertParallel: Int
  /// `moe_cluster_size`.
  public var expertClusters: Int
  /// `gpus_per_node`, which decides nothing here; 8 where nothing says.
  public var ranksPerNode: Int
  /// Every rank loads file 0 and takes its part later (an old way of building).
  public var isAutomatic: Bool

  /// Checks nothing; a configuration's mapping is checked when it is read.
  ///
  /// - Parameter expertTensorParallel: nil: what experts and clusters leave of `tensorParallel`.
  public init(
    tensorParallel: Int = 1, pipelineParallel: Int = 1, contextParallel: Int = 1, expertTensorParallel: Int? = nil,
    expertParallel: Int = 1, expertClusters: Int = 1, ranksPerNode: Int = 8, isAutomatic: Bool = false
  ) {
    self.tensorParallel = tensorParallel
    self.pipelineParallel = pipelineParallel
    self.contextParallel = contextParallel
    self.expertTensorParallel = expertTensorParallel ?? tensorParallel / max(1, expertParallel * expertClusters)
    self.expertParallel = expertParallel
    self.expertClusters = expertClusters
    self.ranksPerNode = ranksPerNode
    self.isAutomatic = isAutomatic
  }

  /// How many ranks there are.
  public var worldSize: Int { tensorParallel * contextParallel * pipelineParallel }

  /// The rank at these places, each from 0; see the formula above.
  public func rank(tensor: Int, context: Int = 0, pipeline: Int) -> Int {
    (pipeline * contextParallel + context) * tensorParallel + tensor
  }
  /// From 0, below ``tensorParallel``.
  public func tensorRank(of rank: Int) -> Int { rank % tensorParallel }
  /// From 0, below ``contextParallel``.
  public func contextRank(of rank: Int) -> Int { rank / tensorParallel % contextParallel }
  /// The stage, from 0, below ``pipelineParallel``.
  public func pipelineRank(of rank: Int) -> Int { rank / (tensorParallel * contextParallel) }
  /// From 0, below ``expertParallel``.
  public func expertRank(of rank: Int) -> Int { tensorRank(of: rank) % expertParallel }
  /// From 0, below ``expertTensorParallel``.
  public func expertTensorRank(of rank: Int) -> Int { tensorRank(of: rank) / (expertParallel * expertClusters) }

  /// Whether the rank's stage holds the embedding table and the first layers.
  public func isFirstStage(_ rank: Int) -> Bool { pipelineRank(of: rank) == 0 }
  /// Whether the rank's stage holds the last layers and the head.
  public func isLastStage(_ rank: Int) -> Bool { pipelineRank(of: rank) == pipelineParallel - 1 }

  /// How many rank files a checkpoint has.
  public var fileCount: Int { isAutomatic ? 1 : tensorParallel * pipelineParallel }
  /// Which file holds the weights of `rank`.
  public func fileIndex(_ rank: Int) -> Int {
    isAutomatic ? 0 : tensorRank(of: rank) + pipelineRank(of: rank) * tensorParallel
  }
  /// A rank that loads file `file`.
  public func firstRank(ofFile file: Int) -> Int {
    rank(tensor: file % tensorParallel, pipeline: file / tensorParallel)
  }

  /// The layers of one pipeline stage; the first `layerCount % pipelineParallel` stages have one more.
  ///
  /// Names inside a rank file count from 0 in every stage.
  public func layers(ofStage stage: Int, layerCount: Int) -> Range<Int> {
    let (each, extra) = layerCount.quotientAndRemainder(dividingBy: pipelineParallel)
    let start = stage * each + min(stage, extra)
    return start..<start + each + (stage < extra ? 1 : 0)
  }
}
