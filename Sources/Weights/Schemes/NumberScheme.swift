public import Tensors

/// How the numbers of a weight are kept.
///
/// A scheme beside the plain ones is a folder with a ``WeightCoding``, and a line in ``coding`` and in ``coded``.
public enum NumberScheme: Sendable, Hashable {
  /// Each element by itself.
  case plain(ElementType)
  /// Whole numbers of 8 bits with a scale for each output. See ``Int8PerOutput``.
  case int8PerOutput

  /// How the scheme is encoded; nil for plain numbers.
  public var coding: (any WeightCoding.Type)? {
    switch self {
    case .plain: nil
    case .int8PerOutput: Int8PerOutput.self
    }
  }

  /// All schemes but the plain ones.
  public static let coded: [NumberScheme] = [.int8PerOutput]

  /// As plans and timing caches name it: the element type of plain numbers, TensorRT-LLM's `quant_algo` of others.
  public var name: String {
    switch self {
    case .plain(let type): type.rawValue
    default: coding?.name ?? ""
    }
  }

  /// The scheme of a ``name``; nil where this version has none of it.
  public init?(name: String) {
    if let type = ElementType(rawValue: name) {
      self = .plain(type)
    } else if let scheme = Self.coded(named: name) {
      self = scheme
    } else {
      return nil
    }
  }

  /// The scheme beside the plain ones of a ``name``; nil where there is none.
  public static func coded(named name: String) -> NumberScheme? { coded.first { $0.name == name } }

  /// For people: `bfloat16`, `W8A16`.
  public var title: String {
    switch self {
    case .plain(let type): type.configName ?? type.rawValue
    default: name
    }
  }

  /// The type of plain numbers.
  public var elementType: ElementType? { if case .plain(let type) = self { type } else { nil } }
}
