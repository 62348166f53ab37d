public import JSON

/// `output = norm(input)`, or, with a residual, `residual += input`, then `output = norm(residual)`: what fusion makes of ``Add`` and an RMS norm.
///
/// RMS (arXiv:1910.07467): `x / sqrt(mean(x²) + epsilon) * weight`. Layer (arXiv:1607.06450):
/// `(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias`. Weight and bias `[width]`; all values are as wide.
public struct Norm: OperationBody {
  /// Root mean square or layer norm; the formulas are above.
  public enum Kind: String, Sendable, Hashable { case rms, layer }
  public static let name = "norm"
  /// Of what fusion makes of an ``Add``, always ``Kind/rms``.
  public var kind: Kind
  /// Rows of either kind; with a residual, what is added to that.
  public var input: ValueID
  /// Changed in place: the sum afterwards. nil: the input is normed as it is.
  public var residual: ValueID?
  /// Engine name, `[width]`, in rows.
  public var weight: String
  /// Layer norms only.
  public var bias: String?
  /// Added to the mean square or the variance, under the root. Finite.
  public var epsilon: Float
  /// In a buffer of its own, apart from input and residual.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(_ kind: Kind = .rms, input: ValueID, residual: ValueID? = nil, weight: String, bias: String? = nil, epsilon: Float, output: ValueID) {
    self.kind = kind
    self.input = input
    self.residual = residual
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
    self.output = output
  }

  public var reads: [ValueID] { (residual.map { [$0] } ?? []) + [input] }
  public var writes: [ValueID] { (residual.map { [$0] } ?? []) + [output] }
  public var inPlace: ValueID? { residual }
  public var weightNames: [String] { [weight] + (bias.map { [$0] } ?? []) }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    Norm(kind, input: new(input), residual: residual.map(new), weight: weight, bias: bias, epsilon: epsilon, output: new(output))
  }

  public var json: JSONObject {
    var members: JSONObject = [Self.name: .string(weight), "kind": .string(kind.rawValue), "epsilon": .double(Double(epsilon)), "input": input.json]
    members.set("bias", bias.map { .string($0) })
    members.set("residual", residual?.json)
    members["output"] = output.json
    return members
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    self.init(
      try json.choice("kind", of: Kind.self), input: try json.value("input"),
      residual: try json.optionalInteger("residual").map { ValueID($0) }, weight: try json.text(Self.name),
      bias: try json.optionalText("bias"), epsilon: Float(try json.number("epsilon")), output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    let width = plan.width(input)
    try plan.requireSameRows(input, output, residual ?? input)
    try plan.require(plan.width(output) == width && plan.width(residual ?? input) == width && epsilon.isFinite, "the norm does not fit")
    try plan.require(residual != input, "it adds a value to itself")
    try plan.require(output != input && output != residual, "its output is its input")
    try plan.require(bias == nil || kind == .layer, "an RMS norm has no bias")
    for name in weightNames { try plan.require(name, is: [width]) }
  }
}
