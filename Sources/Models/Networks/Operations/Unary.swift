public import JSON

/// Changes every element of a value in place: `x · factor`, `cap · tanh(x / cap)`, or `f(x)`.
public struct Unary: OperationBody {
  /// What every element x becomes.
  public enum Kind: Sendable, Hashable {
    /// `x · factor`.
    case scale(Float)
    /// `cap · tanh(x / cap)`, with a cap within ``Unary/caps``.
    case softCap(Float)
    /// `f(x)`.
    case activation(Activation)
  }
  public static let name = "unary"
  /// Caps that kernels compute to float32's accuracy: their error grows with the cap.
  public static let caps: ClosedRange<Float> = 1e-2...1e4
  /// Rows of either kind.
  public var value: ValueID
  /// Its numbers are finite in a plan.
  public var kind: Kind

  /// Checks nothing: ``check(_:)`` does, in a plan.
  public init(value: ValueID, kind: Kind) { (self.value, self.kind) = (value, kind) }

  public var reads: [ValueID] { [value] }
  public var writes: [ValueID] { [value] }
  public var inPlace: ValueID? { value }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self { Unary(value: new(value), kind: kind) }

  public var json: JSONObject {
    var members: JSONObject = [:]
    switch kind {
    case .scale(let factor): members = [Self.name: "scale", "factor": .double(Double(factor))]
    case .softCap(let cap): members = [Self.name: "softCap", "cap": .double(Double(cap))]
    case .activation(let activation): members = [Self.name: "activation", "activation": .string(activation.rawValue)]
    }
    members["value"] = value.json
    return members
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    let kind: Kind =
      switch try json.text(Self.name) {
      case "scale": .scale(Float(try json.number("factor")))
      case "softCap": .softCap(Float(try json.number("cap")))
      case "activation": .activation(try json.choice("activation", of: Activation.self))
      case let name: throw PlanFormatError("unknown unary operation \"\(name)\"")
      }
    self.init(value: try json.value("value"), kind: kind)
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    switch kind {
    case .scale(let factor): try plan.require(factor.isFinite, "its factor is \(factor)")
    case .softCap(let cap): try plan.require(Self.caps.contains(cap), "its cap is \(cap)")
    case .activation: break
    }
  }
}
