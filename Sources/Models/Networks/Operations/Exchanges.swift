public import JSON

/// Sums a value over the tensor-parallel group, in place, in the order of ranks.
public struct AllReduce: OperationBody {
  public static let name = "allReduce"
  /// Rows of either kind, and as wide on every rank of the group.
  public var value: ValueID
  /// - Parameter value: As wide on every rank of the group.
  public init(value: ValueID) { self.value = value }

  public var reads: [ValueID] { [value] }
  public var writes: [ValueID] { [value] }
  public var inPlace: ValueID? { value }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Self(value: new(value)) }
  public var json: JSONObject { [Self.name: value.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(value: try json.value(Self.name)) }
  public func check(_ plan: PlanView) throws(PlanFormatError) {}
}

/// Puts the group's rows beside each other in the order of ranks; `output` is as many times as wide as there are ranks.
public struct AllGather: OperationBody {
  public static let name = "allGather"
  /// The rank's own part, as wide on every rank of the group.
  public var input: ValueID
  /// In each row rank r's part begins at element `r · input width`; in a buffer of its own.
  public var output: ValueID
  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(input: ValueID, output: ValueID) { (self.input, self.output) = (input, output) }

  public var reads: [ValueID] { [input] }
  public var writes: [ValueID] { [output] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Self(input: new(input), output: new(output)) }
  public var json: JSONObject { [Self.name: input.json, "output": output.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(input: try json.value(Self.name), output: try json.value("output")) }
  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireSameRows(input, output)
    let (product, overflow) = plan.width(input).multipliedReportingOverflow(by: plan.tensorParallel)
    try plan.require(!overflow && product == plan.width(output), "the gathered width does not fit")
  }
}

/// Hands a value to the next pipeline stage.
public struct Send: OperationBody {
  public static let name = "send"
  /// Whole rows. A rank sends to the rank with its tensor-parallel rank in the next stage, which waits for it.
  public var value: ValueID
  /// For every stage but the last.
  public init(value: ValueID) { self.value = value }

  public var reads: [ValueID] { [value] }
  public var writes: [ValueID] { [] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Self(value: new(value)) }
  public var json: JSONObject { [Self.name: value.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(value: try json.value(Self.name)) }
  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.require(!plan.isLastStage, "the last stage has no stage to send to")
  }
}

/// Takes a value from the previous pipeline stage.
public struct Receive: OperationBody {
  public static let name = "receive"
  /// Whole rows, as wide as what the rank with the same tensor-parallel rank sends.
  public var value: ValueID
  /// For every stage but the first.
  public init(value: ValueID) { self.value = value }

  public var reads: [ValueID] { [] }
  public var writes: [ValueID] { [value] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Self(value: new(value)) }
  public var json: JSONObject { [Self.name: value.json] }
  public init(json: JSONValue) throws(PlanFormatError) { self.init(value: try json.value(Self.name)) }
  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.require(!plan.isFirstStage, "the first stage has no stage to receive from")
  }
}
