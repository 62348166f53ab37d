public import JSON
public import Tensors

/// What every kind of operation says of itself: one struct a kind.
///
/// An operation works on all rows of its input values. Widths are elements a row.
public protocol OperationBody: Sendable, Hashable {
  /// What its JSON object begins with, such as `linear`; no two kinds have the same.
  static var name: String { get }
  /// Values read; one that is changed in place is written, too.
  var reads: [ValueID] { get }
  /// Values written. The last operation of a last pipeline stage writes one alone: the logits.
  var writes: [ValueID] { get }
  /// The value that is changed in place: the only one whose buffer an output may share.
  var inPlace: ValueID? { get }
  /// Values read whose buffers hold something else afterwards.
  var consumes: [ValueID] { get }
  /// Engine names of the weights it reads, in the order of their use; without optional ones that are absent.
  var weightNames: [String] { get }
  /// Products with those of ``weightNames`` that lie in panels: kernels are chosen for each.
  var products: [WeightProduct] { get }
  /// The same operation with other numbers for its values: `new` is asked for each.
  func renumbered(_ new: (ValueID) -> ValueID) -> Self
  /// As a plan holds it: the first member is called ``name``, what is nil is left out.
  var json: JSONObject { get }
  /// Reads what ``json`` writes.
  ///
  /// - Throws: ``PlanFormatError`` for a member that is missing or of the wrong kind. Whether values and weights exist and fit is
  ///   ``check(_:)``.
  init(json: JSONValue) throws(PlanFormatError)
  /// Proves that rows, widths and weights fit each other. Values have been found to exist; weights have not.
  ///
  /// - Throws: ``PlanFormatError`` with the first thing that does not fit.
  func check(_ plan: PlanView) throws(PlanFormatError)
}

extension OperationBody {
  /// Nothing, where a kind does not say otherwise.
  public var inPlace: ValueID? { nil }
  /// Nothing, where a kind does not say otherwise.
  public var consumes: [ValueID] { [] }
  /// None, where a kind does not say otherwise.
  public var weightNames: [String] { [] }
  /// None, where a kind does not say otherwise.
  public var products: [WeightProduct] { [] }
}

/// Rows multiplied with a weight.
public struct WeightProduct: Sendable, Hashable {
  /// Engine name.
  public let weight: String
  /// Matrices of equal size that the weight is a stack of; 1: it is one.
  public let matrices: Int

  /// Checks nothing; the operation's own check does.
  public init(_ weight: String, matrices: Int = 1) { (self.weight, self.matrices) = (weight, matrices) }
}

/// What an operation is checked against.
public struct PlanView {
  /// A weight as the plan has it.
  public struct Weight {
    /// Logical, `[N, K]` or `[N]`, however it is stored.
    public var shape: [Int]
    /// In panels, as products and gathers read it, not in rows.
    public var isPacked: Bool
    /// Each element by itself, not codes that have scales.
    public var isPlain: Bool
    /// - Parameter shape: Logical, however the weight is stored.
    public init(shape: [Int], isPacked: Bool, isPlain: Bool = true) { (self.shape, self.isPacked, self.isPlain) = (shape, isPacked, isPlain) }
  }
  /// The plan's, by ``ValueID``.
  public var values: [Value]
  /// The plan's, by ``Attention/cache``.
  public var caches: [CacheFormat]
  /// The plan's, by ``Attention/rotary``.
  public var rotaries: [RotaryEmbedding]
  /// Ranks that share each layer: the group of ``AllReduce`` and ``AllGather``. At least 1.
  public var tensorParallel: Int
  /// Of the pipeline: it receives nothing.
  public var isFirstStage: Bool
  /// Of the pipeline: it gives the logits and sends nothing.
  public var isLastStage: Bool
  /// nil where the plan has no weight of this name.
  public var weight: (_ name: String) -> Weight?

  /// - Parameter weight: Looks a name up; nil where the plan has no such weight.
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
  func optionalFlag(_ key: String) throws(PlanFormatError) -> Bool? {
    try optional(key) { (key) throws(PlanFormatError) -> Bool in
      guard let flag = self[key]?.bool else { throw PlanFormatError("\"\(key)\" is neither true nor false") }
      return flag
    }
  }
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
