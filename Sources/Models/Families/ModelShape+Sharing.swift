package import Checkpoints
import Schemes

extension ModelShape {
  /// Why the model cannot be shared by the mapping's ranks and stages, or nil.
  package func sharingProblem(_ mapping: Mapping) -> String? {
    let (ranks, stages) = (mapping.tensorParallel, mapping.pipelineParallel)
    var problems: [String] = []
    if headCount % ranks != 0 { problems.append("\(headCount) attention heads do not divide by it") }
    if keyValueHeadCount % ranks != 0, ranks % keyValueHeadCount != 0 {
      problems.append("\(keyValueHeadCount) key-value heads neither divide by it nor into it")
    }
    if !dividesMLP(by: ranks) { problems.append("the intermediate size \(intermediateSize) does not divide by it") }
    if !problems.isEmpty {
      // No more than the commands take; the head count may be any number that a file says.
      let fits = (1...min(max(1, headCount), 1024)).filter {
        headCount % $0 == 0 && dividesMLP(by: $0) && (keyValueHeadCount % $0 == 0 || $0 % keyValueHeadCount == 0)
      }
      return "the model cannot be split over \(ranks) tensor-parallel ranks: " + problems.joined(separator: "; ")
        + ". Sizes that fit: " + fits.map(String.init).joined(separator: ", ") + "."
    }
    if let problem = expertProblem(mapping) { return problem }
    if stages > layerCount {
      return "\(layerCount) layers cannot be spread over \(stages) pipeline stages. Use at most \(layerCount)."
    }
    return nil
  }

  /// Nothing has the width of an MLP where all layers have experts.
  private func dividesMLP(by ranks: Int) -> Bool { experts?.denseLayers.isEmpty == true || intermediateSize % ranks == 0 }

  /// Kernels begin a matrix where a panel of rows begins.
  private func expertProblem(_ mapping: Mapping) -> String? {
    guard let experts else { return nil }
    let (groups, ranks, unit) = (mapping.expertParallel, mapping.expertTensorParallel, WeightLayout.panelRows)
    if mapping.expertClusters > 1 { return "moe_cluster_size \(mapping.expertClusters) is not supported. Use moe_tp_size and moe_ep_size." }
    if experts.count % groups != 0 { return "\(experts.count) experts cannot be spread over \(groups) groups of ranks (moe_ep_size)." }
    func fits(_ ranks: Int) -> Bool { experts.intermediateSize % ranks == 0 && 2 * (experts.intermediateSize / ranks) % unit == 0 }
    if !fits(ranks) {
      return "the experts' intermediate size \(experts.intermediateSize) over \(ranks) ranks is no multiple of \(unit / 2)"
        + (fits(1) ? ". Use another moe_tp_size, or spread experts with moe_ep_size." : ", which is not supported.")
    }
    return hiddenSize % unit == 0 ? nil : "the hidden size \(hiddenSize) of a model with experts is no multiple of \(unit), which is not supported."
  }
}
