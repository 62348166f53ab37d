/// Which tensors prune empties.
public struct PruneSelection: Sendable {
  /// Every tensor, not only the weights of attention and MLP.
  public var all: Bool
  /// Also these.
  public var prune: [Glob]
  /// But never these.
  public var keep: [Glob]

  /// Attention's and MLP's weights alone, where nothing else is given.
  public init(all: Bool = false, prune: [Glob] = [], keep: [Glob] = []) {
    self.all = all
    self.prune = prune
    self.keep = keep
  }

  /// Whether a tensor of this name is emptied. What ``keep`` matches is not, whatever else says.
  public func selects(_ name: String) -> Bool {
    if keep.contains(where: { $0.matches(name) }) { return false }
    return all || Self.isPrunable(name) || prune.contains { $0.matches(name) }
  }

  /// Whether a name is that of a weight which a refit brings back: attention's QKV and output projections, and the
  /// `fc`, `gate` and `proj` of an MLP. Biases, scales and zero points are not: a build needs them.
  ///
  /// Names are compared component by component, so `mlp.fc.weights_scaling_factor` is not `mlp.fc.weight`. The output
  /// projection is documented as `attention.proj`; checkpoints call it `attention.dense`.
  public static func isPrunable(_ name: String) -> Bool {
    let components = name.split(separator: ".", omittingEmptySubsequences: false)
    guard components.count >= 3, components.last == "weight" else { return false }
    let module = components[components.count - 2]
    // `experts.3.fc.weight`: the number says which expert, not what it is.
    guard let parent = components.dropLast(2).last(where: { !$0.allSatisfy(\.isNumber) || $0.isEmpty }) else { return false }
    return attentions.contains(parent) && projections.contains(module) || networks.contains(parent) && layers.contains(module)
  }
  private static let attentions: Set<Substring> = ["attention", "self_attention", "cross_attention"]
  private static let projections: Set<Substring> = ["qkv", "proj", "dense"]
  private static let networks: Set<Substring> = ["mlp", "residual_mlp", "shared_expert", "shared_experts", "experts", "expert"]
  private static let layers: Set<Substring> = ["fc", "gate", "proj"]
}
