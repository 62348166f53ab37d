public import JSON
import OrderedCollections
import Schemes
import Tensors

extension Recipe {
  /// The outermost step first: `{"pack": "panel16x2", "of": {"cast": "BF16", "of": {"take": "lm_head.weight", "shape": [32000, 576]}}}`.
  public var json: JSONValue {
    switch self {
    case .take(let name, let shape): ["take": .string(name), "shape": .ints(shape)]
    case .concatenate(let inputs): ["concatenate": .array(inputs.map(\.json))]
    case .add(let constant, let input): ["add": .double(Double(constant)), "to": input.json]
    case .cast(let type, let input): ["cast": .string(type.rawValue), "of": input.json]
    case .encode(let scheme, let input): ["encode": .string(scheme.name), "of": input.json]
    case .pack(let layout, let input): ["pack": .string(layout.rawValue), "of": input.json]
    }
  }

  /// Reads what ``json`` writes. Whether shapes fit together is ``shape``.
  ///
  /// - Throws: ``PlanFormatError`` for a step, element type, scheme or layout that this version does not know, and for members missing.
  public init(json: JSONValue) throws(PlanFormatError) {
    if let name = json["take"]?.string {
      self = .take(name: name, shape: try json.shape("shape"))
    } else if let inputs = json["concatenate"]?.array {
      var recipes: [Recipe] = []
      for input in inputs { recipes.append(try Recipe(json: input)) }
      self = .concatenate(recipes)
    } else if let constant = json["add"]?.double {
      guard Float(constant).isFinite else { throw PlanFormatError("a recipe adds \(constant), which is not finite in float32") }
      self = .add(Float(constant), try Recipe(json: try json.member("to")))
    } else if let name = json["cast"]?.string {
      guard let type = ElementType(rawValue: name) else { throw PlanFormatError("unknown element type \"\(name)\"") }
      self = .cast(type, try Recipe(json: try json.member("of")))
    } else if let name = json["encode"]?.string {
      guard let scheme = NumberScheme.coded(named: name) else { throw PlanFormatError("unknown number scheme \"\(name)\"") }
      self = .encode(scheme, try Recipe(json: try json.member("of")))
    } else if let name = json["pack"]?.string {
      guard let layout = WeightLayout(rawValue: name) else { throw PlanFormatError("unknown weight layout \"\(name)\"") }
      self = .pack(layout, try Recipe(json: try json.member("of")))
    } else {
      throw PlanFormatError("unknown recipe step: \(json.serialized().prefix(80))")
    }
  }
}
