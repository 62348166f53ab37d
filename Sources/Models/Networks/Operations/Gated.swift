public import JSON

/// `output[i] = f(input[I + i]) * input[i]`, I the output's width: a row of the input is `[factor ; activated]`, as
/// TensorRT-LLM's `fused_fc` gives it.
///
/// With limits (gpt-oss): `a = min(activated, limit)`, `b = clamp(factor, ±limit)`, `output = a · sigmoid(alpha · a) · (b + offset)`.
public struct Gated: OperationBody {
  /// Limits of a gate; only with ``Activation/silu``.
  public struct Limits: Sendable, Hashable {
    /// Above 0. Bounds the activated half from above, and the factor on both sides.
    public var limit: Float
    /// Inside the sigmoid; 1.702 in gpt-oss.
    public var alpha: Float
    /// Added to the factor.
    public var offset: Float
    /// gpt-oss has 7, 1.702 and 1.
    public init(limit: Float, alpha: Float, offset: Float) { (self.limit, self.alpha, self.offset) = (limit, alpha, offset) }
  }
  public static let name = "gated"
  /// Rows of either kind, twice as wide as the output.
  public var input: ValueID
  /// The function f.
  public var activation: Activation
  /// nil: the first formula above.
  public var limits: Limits?
  /// In a buffer of its own.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(input: ValueID, activation: Activation, limits: Limits? = nil, output: ValueID) {
    self.input = input
    self.activation = activation
    self.limits = limits
    self.output = output
  }

  public var reads: [ValueID] { [input] }
  public var writes: [ValueID] { [output] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    Gated(input: new(input), activation: activation, limits: limits, output: new(output))
  }

  public var json: JSONObject {
    var members: JSONObject = [Self.name: .string(activation.rawValue)]
    members.set("limits", limits.map { ["limit": .double(Double($0.limit)), "alpha": .double(Double($0.alpha)), "offset": .double(Double($0.offset))] })
    members["input"] = input.json
    members["output"] = output.json
    return members
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    var limits: Limits?
    if let member = json["limits"], !member.isNull {
      limits = Limits(
        limit: Float(try member.number("limit")), alpha: Float(try member.number("alpha")), offset: Float(try member.number("offset")))
    }
    self.init(
      input: try json.value("input"), activation: try json.choice(Self.name, of: Activation.self), limits: limits, output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireSameRows(input, output)
    try plan.require(plan.width(input) == 2 * plan.width(output), "the gated activation does not fit")
    guard let limits else { return }
    try plan.require(
      activation == .silu && limits.limit > 0 && limits.limit.isFinite && limits.alpha.isFinite && limits.offset.isFinite,
      "the limits of the gated activation do not fit")
  }
}

/// `output = f(activated) * factor`: what ``Gated`` is before fusion; no plan holds it.
public struct ActivatedProduct: OperationBody {
  public static let name = "activatedProduct"
  /// What f is applied to: `gate_proj` of Hugging Face's names, `fc` of TensorRT-LLM's.
  public var activated: ValueID
  /// `up_proj` of Hugging Face's names, `gate` of TensorRT-LLM's; as wide.
  public var factor: ValueID
  /// The function f.
  public var activation: Activation
  /// What becomes ``Gated/limits``.
  public var limits: Gated.Limits?
  /// As wide as each of the two.
  public var output: ValueID

  /// Fusion makes a ``Gated`` of it: a plan that holds one is refused.
  public init(activated: ValueID, factor: ValueID, activation: Activation, limits: Gated.Limits? = nil, output: ValueID) {
    self.activated = activated
    self.factor = factor
    self.activation = activation
    self.limits = limits
    self.output = output
  }

  public var reads: [ValueID] { [activated, factor] }
  public var writes: [ValueID] { [output] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    ActivatedProduct(activated: new(activated), factor: new(factor), activation: activation, limits: limits, output: new(output))
  }

  public var json: JSONObject {
    [Self.name: .string(activation.rawValue), "activated": activated.json, "factor": factor.json, "output": output.json]
  }
  public init(json: JSONValue) throws(PlanFormatError) { throw PlanFormatError("a gated activation that was not fused") }
  public func check(_ plan: PlanView) throws(PlanFormatError) { throw PlanFormatError("a gated activation that was not fused") }
}

/// A function of an MLP, element by element: `silu` is x · sigmoid(x), `gelu` x · Φ(x) with the normal distribution's Φ
/// (arXiv:1606.08415), `relu` max(x, 0).
public enum Activation: String, Sendable, Hashable, CaseIterable {
  /// x · sigmoid(x), and x · Φ(x).
  case silu, gelu
  /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
  case geluTanh
  /// max(x, 0).
  case relu
}
