public import Families
public import Checkpoints
public import Networks
import OrderedCollections
import Schemes
public import Tensors

/// Makes a plan of a network for one target.
public struct Planner {
  /// Says what kernels read, and measures them.
  public var target: any PlanTarget
  /// Taken over into every plan.
  public var limits: PlanLimits
  /// Which weights a refit may change.
  public var scope: RefitScope
  /// How keys and values are kept; nil: as the target would.
  public var cacheElementType: ElementType?
  /// Grows with what is measured.
  public var timingCache: TimingCache

  /// Checks nothing; the plan's own check does.
  public init(
    target: any PlanTarget, limits: PlanLimits, scope: RefitScope = .standard, cacheElementType: ElementType? = nil,
    timingCache: TimingCache = .init()
  ) {
    self.target = target
    self.limits = limits
    self.scope = scope
    self.cacheElementType = cacheElementType
    self.timingCache = timingCache
  }

  /// The plan without tactics; see ``chooseTactics(_:)``.
  ///
  /// - Parameter sharesEmbedding: lm_head and the embedding table are one weight.
  /// - Throws: `UnsupportedModel`.
  public mutating func plan(
    config: CheckpointConfig, rank: Int, sharesEmbedding: Bool
  ) throws(UnsupportedModel) -> Plan {
    var network = try ModelFamily.network(config: config, rank: rank, sharesEmbedding: sharesEmbedding)
    network.fuse()
    let type = config.elementType
    guard let linearLayout = target.linearLayout(type) else { throw .setting("dtype", "\"\(type.configName ?? type.rawValue)\"") }
    let coded = try config.quantization.scheme.map { scheme throws(UnsupportedModel) -> (scheme: NumberScheme, layout: WeightLayout) in
      guard let layout = target.linearLayout(scheme) else { throw .quantization("\(scheme.name) for --target \(target.name)") }
      return (scheme, layout)
    }
    if let missing = network.operations.first(where: { !target.hasKernels(for: $0) }) { throw .operation(missing.name, target: target.name) }
    let products = Set(network.operations.flatMap(\.products).map(\.weight))
    var weights: OrderedDictionary<String, PlannedWeight> = [:]
    for (name, weight) in network.weights {
      if let coded, products.contains(name), try isCoded(weight, config.quantization) {
        weights[name] = PlannedWeight(
          shape: weight.shape, scheme: coded.scheme, layout: coded.layout, role: weight.role,
          isRefittable: scope.includes(weight.role), recipe: .pack(coded.layout, .encode(coded.scheme, .cast(type, weight.recipe))))
        continue
      }
      let own = weight.elementType ?? type
      let layout = products.contains(name) ? (own == type ? linearLayout : target.linearLayout(own) ?? linearLayout) : .rows
      weights[name] = PlannedWeight(
        shape: weight.shape, scheme: .plain(own), layout: layout, role: weight.role,
        isRefittable: scope.includes(weight.role), recipe: .pack(layout, .cast(own, weight.recipe)))
    }
    let caches = network.assignCaches(cacheElementType ?? target.cacheElementType(type))
    let mapping = config.mapping
    return Plan(
      target: target.name, rank: rank, tensorParallel: mapping.tensorParallel,
      pipelineParallel: mapping.pipelineParallel, limits: limits, elementType: type,
      vocabularySize: config.vocabularySize, rotaries: network.rotaries, caches: caches,
      values: network.values, slots: BufferSlots(values: network.values, operations: network.operations),
      operations: network.operations, tactics: [], weights: weights)
  }

  /// Whether a weight is kept in fewer bits: all tensors it is made of, or none.
  private func isCoded(_ weight: NetworkWeight, _ quantization: Quantization) throws(UnsupportedModel) -> Bool {
    let names = weight.recipe.inputs.map(\.name)
    let covered = names.filter(quantization.covers)
    guard covered.isEmpty || covered.count == names.count else {
      throw .unclear("quantization.exclude_modules", "leaves out some of \(names.joined(separator: ", "))", "they are one weight here: name all of them or none")
    }
    return !covered.isEmpty
  }

  /// Fills in the kernels of a plan's products: from the timing cache, or measured now.
  public mutating func chooseTactics(_ plan: inout Plan) {
    plan.tactics = plan.kernelProblems.map { problem in
      if let known = timingCache.tactics(for: problem, device: target.device), target.hasKernels(for: known) { return known }
      let measured = target.measure(problem)
      timingCache.add(measured, device: target.device)
      return measured
    }
  }
}
