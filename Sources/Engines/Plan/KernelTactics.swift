public import Networks
public import Schemes

/// A product with a weight, for which a target may have several kernels.
public struct KernelProblem: Sendable, Hashable {
  /// Rows of the matrix.
  public var outputs: Int
  /// Columns of the matrix.
  public var inputs: Int
  /// How the weight's numbers are kept.
  public var scheme: NumberScheme
  /// 1, or the number of such matrices in one weight, of which a row is multiplied with a few: experts.
  public var matrices: Int

  public init(outputs: Int, inputs: Int, scheme: NumberScheme, matrices: Int = 1) {
    (self.outputs, self.inputs, self.scheme, self.matrices) = (outputs, inputs, scheme, matrices)
  }

  /// - Parameter weight: Of a plan that was checked.
  public init(_ product: WeightProduct, with weight: PlannedWeight) {
    self.init(
      outputs: weight.shape[0] / max(1, product.matrices), inputs: weight.shape[1], scheme: weight.scheme, matrices: product.matrices)
  }
}

/// The kernels chosen for all products of one kind.
public struct KernelTactics: Sendable, Hashable {
  /// What they compute.
  public var problem: KernelProblem
  /// The kernel variant for tokens that are being generated, by the target's name for it.
  public var decode: String
  /// The kernel variant for prompts, by the target's name for it.
  public var prefill: String

  public init(_ problem: KernelProblem, decode: String, prefill: String) {
    (self.problem, self.decode, self.prefill) = (problem, decode, prefill)
  }
}

extension Plan {
  /// Each kind of product once, in the order of the weights.
  public var kernelProblems: [KernelProblem] {
    let products = Dictionary(operations.flatMap(\.products).map { ($0.weight, $0) }) { first, _ in first }
    var seen: Set<KernelProblem> = []
    return weights.compactMap { name, weight in
      guard weight.layout != .rows, let product = products[name] else { return nil }
      let problem = KernelProblem(product, with: weight)
      return seen.insert(problem).inserted ? problem : nil
    }
  }
}
