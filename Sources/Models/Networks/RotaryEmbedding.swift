public import JSON

/// Rotary position embedding (arXiv:2104.09864) with the frequency scaling that the configuration names.
public struct RotaryEmbedding: Sendable, Hashable {
  /// Which two elements of a head are turned as one plane.
  public enum Style: String, Sendable, Hashable {
    /// Element i turns with element i + dimension/2 (GPT-NeoX, Llama).
    case halves
    /// Element 2i turns with element 2i + 1 (GPT-J).
    case pairs
  }
  /// What is done to the frequencies of a model that was made to go beyond the positions it was first trained on.
  public enum Scaling: Sendable, Hashable {
    /// Frequencies as they are: `base^(-2i / dimension)`.
    case none
    /// Positions divided by `factor`.
    case linear(factor: Double)
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a ramp between.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaximum: Double)
  }
  /// The same for queries and keys.
  public var style: Style
  /// How many elements of a head turn; even, at most the head size.
  public var dimension: Int
  /// Plane i turns by `base^(-2i / dimension)` radians a position, before ``scaling``; 10,000 in the paper. Above 0.
  public var base: Double
  /// Of the frequencies alone: no kind changes the scale of the scores.
  public var scaling: Scaling
  /// Checks nothing; ``check()`` does.
  public init(style: Style, dimension: Int, base: Double, scaling: Scaling) {
    self.style = style
    self.dimension = dimension
    self.base = base
    self.scaling = scaling
  }
}

extension RotaryEmbedding {
  /// `style`, `dimension`, `base`, and `scaling`: null, or an object with its `kind`.
  public var json: JSONValue {
    let scalingJSON: JSONValue =
      switch scaling {
      case .none: .null
      case .linear(let factor): ["kind": "linear", "factor": .double(factor)]
      case .llama3(let factor, let low, let high, let original):
        [
          "kind": "llama3", "factor": .double(factor), "lowFrequencyFactor": .double(low),
          "highFrequencyFactor": .double(high), "originalMaximum": .double(original),
        ]
      }
    return ["style": .string(style.rawValue), "dimension": .int(dimension), "base": .double(base), "scaling": scalingJSON]
  }

  /// Reads what ``json`` writes. Whether the numbers are ones to turn by is ``check()``.
  ///
  /// - Throws: ``PlanFormatError`` for a member that is missing or of the wrong kind, and for an unknown style or scaling.
  public init(json: JSONValue) throws(PlanFormatError) {
    guard let style = Style(rawValue: try json.text("style")) else { throw PlanFormatError("unknown rotary style") }
    let scalingJSON = try json.member("scaling")
    let scaling: Scaling
    if scalingJSON.isNull {
      scaling = .none
    } else {
      switch try scalingJSON.text("kind") {
      case "linear": scaling = .linear(factor: try scalingJSON.number("factor"))
      case "llama3":
        scaling = .llama3(
          factor: try scalingJSON.number("factor"), lowFrequencyFactor: try scalingJSON.number("lowFrequencyFactor"),
          highFrequencyFactor: try scalingJSON.number("highFrequencyFactor"),
          originalMaximum: try scalingJSON.number("originalMaximum"))
      case let kind: throw PlanFormatError("unknown rotary scaling \"\(kind)\"")
      }
    }
    self.init(style: style, dimension: try json.size("dimension"), base: try json.number("base"), scaling: scaling)
  }
}

extension RotaryEmbedding {
  /// - Throws: ``PlanFormatError`` where a number is not one to turn by.
  public func check() throws(PlanFormatError) {
    guard dimension % 2 == 0, dimension >= 2, dimension <= 1 << 12 else {
      throw PlanFormatError("the rotary dimension is \(dimension): it must be even, and from 2 to the size of a head")
    }
    let factors: [Double] =
      switch scaling {
      case .none: []
      case .linear(let factor): [factor]
      case .llama3(let factor, let low, let high, let original): [factor, low, high, original]
      }
    // Frequencies are powers of it in float32.
    guard Float(base) > 1e-30 else { throw PlanFormatError("the base of the rotary embedding is \(base), which no frequency can be made of") }
    if case .llama3(_, let low, let high, _) = scaling, low == high {
      throw PlanFormatError("the factors of low and high frequencies are both \(low)")
    }
    guard ([base] + factors).allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw PlanFormatError("a number of the rotary embedding is not above 0")
    }
  }

  /// With the digits that float32 has, as GGUF files hold them.
  public var rounded: RotaryEmbedding {
    func rounded(_ value: Double) -> Double { Double(Float(value)) }
    let scaling: Scaling =
      switch scaling {
      case .none: .none
      case .linear(let factor): .linear(factor: rounded(factor))
      case .llama3(let factor, let low, let high, let original):
        .llama3(
          factor: rounded(factor), lowFrequencyFactor: rounded(low), highFrequencyFactor: rounded(high),
          originalMaximum: rounded(original))
      }
    return RotaryEmbedding(style: style, dimension: dimension, base: rounded(base), scaling: scaling)
  }
}
