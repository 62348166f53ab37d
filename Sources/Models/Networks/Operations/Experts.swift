public import JSON
import Schemes

/// The gated MLPs of a layer's experts, of which every row goes through a few: `output[r] = Σₑ shares[r, e] · mlpₑ(input[r])`, over
/// the experts whose share is not 0, in the order of their numbers, from 0 on.
///
/// `mlpₑ(x) = downₑ · (f(gateₑ · x) * (upₑ · x))`. Weights are stacks of matrices, an expert's below the one's before: `fused` has for
/// each expert the rows `[upₑ ; gateₑ]`, `[count · 2 · I, input width]`, and `down` `[count · output width, I]`. A matrix begins where a
/// panel does, so its number of rows is a multiple of `WeightLayout/panelRows`.
///
/// Where experts are spread over ranks, each has those from `first` on, and the ranks' outputs are summed afterwards.
///
/// Source: arXiv:2101.03961, arXiv:2401.04088; `Qwen3MoeExperts`, `MixtralExperts` of transformers 5.
public struct Experts: OperationBody {
  public static let name = "experts"
  /// Token rows.
  public var input: ValueID
  /// Token rows, as wide as the whole model has experts: what ``Routing`` writes. Whatever stands there, a row goes to the first
  /// `chosen` experts of this rank whose share is not 0, and to no more.
  public var shares: ValueID
  /// Engine name; the stack lies in panels.
  public var fused: String
  /// Engine name; the stack lies in panels.
  public var down: String
  /// The function f.
  public var activation: Activation
  /// The number of this rank's first expert.
  public var first: Int
  /// Experts of this rank.
  public var count: Int
  /// Experts that a row goes to, at most.
  public var chosen: Int
  /// Token rows, in a buffer of their own.
  public var output: ValueID

  /// - Parameter first: 0 where one rank has all experts.
  public init(
    input: ValueID, shares: ValueID, fused: String, down: String, activation: Activation, first: Int = 0, count: Int, chosen: Int, output: ValueID
  ) {
    self.input = input
    self.shares = shares
    self.fused = fused
    self.down = down
    self.activation = activation
    self.first = first
    self.count = count
    self.chosen = chosen
    self.output = output
  }

  public var reads: [ValueID] { [input, shares] }
  public var writes: [ValueID] { [output] }
  public var weightNames: [String] { [fused, down] }
  public var products: [WeightProduct] { [WeightProduct(fused, matrices: count), WeightProduct(down, matrices: count)] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    Experts(
      input: new(input), shares: new(shares), fused: fused, down: down, activation: activation, first: first, count: count, chosen: chosen,
      output: new(output))
  }

  public var json: JSONObject {
    [
      Self.name: .string(fused), "down": .string(down), "activation": .string(activation.rawValue), "first": .int(first), "count": .int(count),
      "chosen": .int(chosen), "input": input.json, "shares": shares.json, "output": output.json,
    ]
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    self.init(
      input: try json.value("input"), shares: try json.value("shares"), fused: try json.text(Self.name), down: try json.text("down"),
      activation: try json.choice("activation", of: Activation.self), first: try json.integer("first"), count: try json.integer("count"),
      chosen: try json.integer("chosen"), output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireTokenRows(input, shares, output)
    let all = plan.width(shares)
    try plan.require(all <= Routing.limit, "it has \(all) experts, and \(Routing.limit) are the most")
    try plan.require(
      first >= 0 && count >= 1 && first <= all - count, "its experts are \(count) from \(first) on, and the model has \(all)")
    try plan.require(chosen >= 1 && chosen <= min(all, Routing.mostChosen), "a row goes to \(chosen) of \(all) experts")
    let (fused, down) = (try plan.found(fused), try plan.found(down))
    try plan.require(fused.isPacked && down.isPacked, "its weights are not packed")
    guard fused.shape.count == 2, down.shape.count == 2 else { throw PlanFormatError("its weights are no stacks of matrices") }
    let (inner, outer) = (down.shape[1], plan.width(output))
    // Widths are at most 2^24 and so is a row of a weight; the count is bounded above.
    try plan.require(
      inner <= 1 << 24 && fused.shape == [count * 2 * inner, plan.width(input)] && down.shape[0] == count * outer,
      "weights \(fused.shape) and \(down.shape) are not those of \(count) experts")
    try plan.require(
      2 * inner % WeightLayout.panelRows == 0 && outer % WeightLayout.panelRows == 0,
      "an expert's matrices have \(2 * inner) and \(outer) rows, which are no multiples of \(WeightLayout.panelRows)")
  }
}
