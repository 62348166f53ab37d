public import JSON
public import Tensors

/// What every kind of operation says of itself: one struct a kind.
///
/// An operation works on all rows of its input values. Widths are elements a row.
public protocol OperationBody: Sendable, Hashable {
  /// What its JSON object begins with.
  static var name: String { get }
  /// Values read, and values written; one that is changed in place is in both.
  var reads: [ValueID] { get }
  var writes: [ValueID] { get }
  /// The value that is changed in place: the only one whose buffer an output may share.
  var inPlace: ValueID? { get }
  /// Values read whose buffers hold something else afterwards.
  var consumes: [ValueID] { get }
  /// Engine names, in the order of their use.
  var weightNames: [String] { get }
  /// With other numbers for its values.
  func renumbered(_ new: (ValueID) -> ValueID) -> Self
  var json: JSONObject { get }
  /// - Throws: ``PlanFormatError`` for a member that is missing or of the wrong kind. Whether values and weights exist and fit is
  ///   ``check(_:)``.
  init(json: JSONValue) throws(PlanFormatError)
  /// Proves that rows, widths and weights fit each other. Values have been found to exist.
  func check(_ plan: PlanView) throws(PlanFormatError)
}

extension OperationBody {
  public var inPlace: ValueID? { nil }
  public var consumes: [ValueID] { [] }
  public var weightNames: [String] { [] }
}

/// What an operation is checked against.
public struct PlanView {
  /// A weight as the plan has it.
  public struct Weight {
    public var shape: [Int]
    /// In panels, as products and gathers read it, not in rows.
    public var isPacked: Bool
    /// Each element by itself, not codes that have scales.
    public var isPlain: Bool
    public init(shape: [Int], isPacked: Bool, isPlain: Bool = true) { (self.shape, self.isPacked, self.isPlain) = (shape, isPacked, isPlain) }
  }
  public var values: [Value]
  public var caches: [CacheFormat]
  public var rotaries: [RotaryEmbedding]
  public var tensorParallel: Int
  public var isFirstStage: Bool
  public var isLastStage: Bool
  /// nil where the plan has no weight of this name.
  public var weight: (_ name: String) -> Weight?

  public init(
    values: [Value], caches: [CacheFormat], rotaries: [RotaryEmbedding], tensorParallel: Int, isFirstStage: Bool, isLastStage: Bool,
    weight: @escaping (_ name: String) -> Weight?
  ) {
    self.values = values
    self.caches = caches
    self.rotaries = rotaries
    self.tensorParallel = tensorParallel
    self.isFirstStage = isFirstStage
    self.isLastStage = isLastStage
    self.weight = weight
  }
}

extension PlanView {
  func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(PlanFormatError) {
    guard condition else { throw PlanFormatError(reason()) }
  }
  func width(_ value: ValueID) -> Int { values[value.index].width }
  func rows(_ value: ValueID) -> Value.Rows { values[value.index].rows }

  func found(_ name: String) throws(PlanFormatError) -> Weight {
    guard let weight = weight(name) else { throw PlanFormatError("it names weight \"\(name)\", which the plan lacks") }
    return weight
  }
  /// A weight's shape is this one.
  func require(_ name: String, is shape: [Int]) throws(PlanFormatError) {
    let found = try found(name).shape
    try require(found == shape, "weight \"\(name)\" does not fit: it is \(found), not \(shape)")
  }
  /// Token rows and selected rows differ in number, and so do buffers for them.
  func requireSameRows(_ values: ValueID...) throws(PlanFormatError) {
    try require(Set(values.map(rows)).count <= 1, "it mixes row kinds")
  }
  func requireTokenRows(_ values: ValueID...) throws(PlanFormatError) {
    try require(values.allSatisfy { rows($0) == .tokens }, "it works on token rows, and names selected ones")
  }
}

extension ValueID {
  package var json: JSONValue { .int(index) }
}

extension JSONValue {
  func value(_ key: String) throws(PlanFormatError) -> ValueID { ValueID(try integer(key)) }
  /// nil where the member is missing or null.
  private func optional<Value>(_ key: String, _ read: (String) throws(PlanFormatError) -> Value) throws(PlanFormatError) -> Value? {
    guard let member = self[key], !member.isNull else { return nil }
    return try read(key)
  }
  func optionalText(_ key: String) throws(PlanFormatError) -> String? { try optional(key, text) }
  func optionalNumber(_ key: String) throws(PlanFormatError) -> Float? { try optional(key, number).map { Float($0) } }
  func optionalInteger(_ key: String) throws(PlanFormatError) -> Int? { try optional(key, integer) }
  func choice<Choice: RawRepresentable>(_ key: String, of type: Choice.Type) throws(PlanFormatError) -> Choice where Choice.RawValue == String {
    let name = try text(key)
    guard let choice = Choice(rawValue: name) else { throw PlanFormatError("unknown \(key) \"\(name)\"") }
    return choice
  }
}

extension JSONObject {
  /// Sets a member that is written only where there is something to say.
  mutating func set(_ key: String, _ value: JSONValue?) {
    if let value { self[key] = value }
  }
}
