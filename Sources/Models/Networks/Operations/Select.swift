public import JSON

/// Keeps the rows that want logits, in the order of the batch.
public struct Select: OperationBody {
  public static let name = "select"
  /// Token rows.
  public var input: ValueID
  /// Selected rows, as wide.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(input: ValueID, output: ValueID) { (self.input, self.output) = (input, output) }

  public var reads: [ValueID] { [input] }
  public var writes: [ValueID] { [output] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Select(input: new(input), output: new(output)) }

  public var json: JSONObject { [Self.name: input.json, "output": output.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(input: try json.value(Self.name), output: try json.value("output")) }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.require(plan.rows(input) == .tokens && plan.rows(output) == .selected, "it selects the wrong way")
    try plan.require(plan.width(input) == plan.width(output), "widths differ")
  }
}
