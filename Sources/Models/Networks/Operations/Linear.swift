public import JSON

/// `output = input · weightᵀ + bias`; weight `[output width, input width]`, bias `[output width]`.
public struct Linear: OperationBody {
  public static let name = "linear"
  /// Rows of either kind.
  public var input: ValueID
  /// Engine name; the weight lies in panels.
  public var weight: String
  /// Engine name; nil: nothing is added.
  public var bias: String?
  /// As many rows as the input, in a buffer of its own.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(input: ValueID, weight: String, bias: String? = nil, output: ValueID) {
    self.input = input
    self.weight = weight
    self.bias = bias
    self.output = output
  }

  public var reads: [ValueID] { [input] }
  public var writes: [ValueID] { [output] }
  public var weightNames: [String] { [weight] + (bias.map { [$0] } ?? []) }
  public var products: [WeightProduct] { [WeightProduct(weight)] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Linear(input: new(input), weight: weight, bias: bias, output: new(output)) }

  public var json: JSONObject {
    var members: JSONObject = [Self.name: .string(weight)]
    members.set("bias", bias.map { .string($0) })
    members["input"] = input.json
    members["output"] = output.json
    return members
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    self.init(
      input: try json.value("input"), weight: try json.text(Self.name), bias: try json.optionalText("bias"), output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireSameRows(input, output)
    try plan.require(weight, is: [plan.width(output), plan.width(input)])
    if let bias { try plan.require(bias, is: [plan.width(output)]) }
    try plan.require(try plan.found(weight).isPacked, "weight \"\(weight)\" is not packed")
  }
}
