public import JSON

/// Which experts a row goes to, and how much each of them counts: `output[r, e]` is expert e's share of row r, 0 for those that
/// are not chosen.
///
/// With logits `x = input · weightᵀ` and `p = softmax(x)` over all experts, the `chosen` experts of the largest logits are taken, of
/// equals the one with the lower number. Each counts `scale · p[e]`, with ``normalizes`` `scale · p[e] / Σ p` over those that were
/// taken, which is the softmax over their logits alone.
///
/// Source: arXiv:2401.04088 (normalised), arXiv:2101.03961; `Qwen3MoeTopKRouter`, `MixtralTopKRouter` of transformers 5.
///
/// Weight `[experts, input width]`, in panels. The product has float32 inputs and the order of sums of generated tokens for prompts,
/// too, so that a choice does not depend on how a prompt was cut.
public struct Routing: OperationBody {
  public static let name = "routing"
  /// Experts that one row can choose from.
  public static let limit = 1 << 16
  /// Experts that one row goes to, at most: finding them takes a time that grows with the product of both.
  public static let mostChosen = 1024
  /// Token rows.
  public var input: ValueID
  /// Engine name; the weight lies in panels.
  public var weight: String
  /// How many experts a row goes to: from 1 to all.
  public var chosen: Int
  /// Whether the shares of a row are divided by their sum.
  public var normalizes: Bool
  /// What every share is multiplied by; finite.
  public var scale: Float
  /// As many token rows, as wide as there are experts; in a buffer of its own.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(input: ValueID, weight: String, chosen: Int, normalizes: Bool, scale: Float = 1, output: ValueID) {
    self.input = input
    self.weight = weight
    self.chosen = chosen
    self.normalizes = normalizes
    self.scale = scale
    self.output = output
  }

  public var reads: [ValueID] { [input] }
  public var writes: [ValueID] { [output] }
  public var weightNames: [String] { [weight] }
  public var products: [WeightProduct] { [WeightProduct(weight)] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    Routing(input: new(input), weight: weight, chosen: chosen, normalizes: normalizes, scale: scale, output: new(output))
  }

  public var json: JSONObject {
    [
      Self.name: .string(weight), "chosen": .int(chosen), "normalizes": .bool(normalizes), "scale": .double(Double(scale)), "input": input.json,
      "output": output.json,
    ]
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    guard let normalizes = try json.member("normalizes").bool else { throw PlanFormatError("\"normalizes\" is not true or false") }
    self.init(
      input: try json.value("input"), weight: try json.text(Self.name), chosen: try json.integer("chosen"), normalizes: normalizes,
      scale: Float(try json.number("scale")), output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireTokenRows(input, output)
    let experts = plan.width(output)
    try plan.require(experts <= Self.limit, "it chooses from \(experts) experts, and \(Self.limit) are the most")
    try plan.require(chosen >= 1 && chosen <= min(experts, Self.mostChosen), "it chooses \(chosen) of \(experts) experts")
    try plan.require(scale.isFinite, "its scale is \(scale)")
    try plan.require(weight, is: [experts, plan.width(input)])
    let weight = try plan.found(weight)
    try plan.require(weight.isPacked && weight.isPlain, "weight \"\(self.weight)\" is not of plain numbers in panels")
  }
}
