public import JSON

/// `target += value`.
public struct Add: OperationBody {
  public static let name = "add"
  /// Changed in place: the sum afterwards.
  public var target: ValueID
  /// As wide, with the same kind of rows; stays as it is.
  public var value: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(target: ValueID, value: ValueID) { (self.target, self.value) = (target, value) }

  public var reads: [ValueID] { [target, value] }
  public var writes: [ValueID] { [target] }
  public var inPlace: ValueID? { target }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Add(target: new(target), value: new(value)) }

  public var json: JSONObject { [Self.name: value.json, "to": target.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(target: try json.value("to"), value: try json.value(Self.name)) }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireSameRows(target, value)
    try plan.require(plan.width(target) == plan.width(value), "widths differ")
  }
}
