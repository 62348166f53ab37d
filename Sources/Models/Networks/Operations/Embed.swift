public import JSON

/// `output[r] = weight[token[r] - firstToken] * scale`; a token outside the table's rows gives zeros.
///
/// Weight `[rows, output width]`: the table, or a tensor-parallel rank's rows of it.
public struct Embed: OperationBody {
  public static let name = "embed"
  /// Engine name. The table lies in rows, or in panels where it is the head's weight too.
  public var weight: String
  /// The id of the table's first row.
  public var firstToken: Int
  /// 1 for most families; the square root of the width for Gemma 3. Finite.
  public var scale: Float
  /// Token rows.
  public var output: ValueID

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(weight: String, firstToken: Int, scale: Float, output: ValueID) {
    self.weight = weight
    self.firstToken = firstToken
    self.scale = scale
    self.output = output
  }

  public var reads: [ValueID] { [] }
  public var writes: [ValueID] { [output] }
  public var weightNames: [String] { [weight] }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    Embed(weight: weight, firstToken: firstToken, scale: scale, output: new(output))
  }

  public var json: JSONObject {
    [Self.name: .string(weight), "firstToken": .int(firstToken), "scale": .double(Double(scale)), "output": output.json]
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    self.init(
      weight: try json.text(Self.name), firstToken: try json.integer("firstToken"), scale: Float(try json.number("scale")),
      output: try json.value("output"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireTokenRows(output)
    let weight = try plan.found(weight)
    try plan.require(weight.isPlain, "the embedding table is in fewer bits, and rows are looked up in plain numbers")
    let table = weight.shape
    try plan.require(
      table.count == 2 && table[1] == plan.width(output) && firstToken >= 0 && scale.isFinite, "the embedding does not fit")
  }
}
