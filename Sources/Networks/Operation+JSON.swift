public import JSON
import OrderedCollections

extension Operation {
  public var json: JSONValue {
    switch self {
    case .embed(let weight, let firstToken, let scale, let output):
      ["embed": .string(weight), "firstToken": .int(firstToken), "scale": .double(Double(scale)), "output": output.json]
    case .rmsNorm(let input, let weight, let epsilon, let output):
      ["rmsNorm": .string(weight), "epsilon": .double(Double(epsilon)), "input": input.json, "output": output.json]
    case .addRMSNorm(let residual, let delta, let weight, let epsilon, let output):
      ["addRMSNorm": .string(weight), "epsilon": .double(Double(epsilon)), "residual": residual.json, "delta": delta.json,
       "output": output.json]
    case .linear(let input, let weight, let bias, let output):
      ["linear": .string(weight), "bias": bias.map { .string($0) } ?? .null, "input": input.json, "output": output.json]
    case .attention(let a): Self.json(a)
    case .activatedProduct(let activated, let factor, let activation, let output):
      ["activatedProduct": .string(activation.rawValue), "activated": activated.json, "factor": factor.json,
       "output": output.json]
    case .gatedActivation(let input, let activation, let output):
      ["gatedActivation": .string(activation.rawValue), "input": input.json, "output": output.json]
    case .add(let target, let value): ["add": value.json, "to": target.json]
    case .select(let input, let output): ["select": input.json, "output": output.json]
    case .allReduce(let value): ["allReduce": value.json]
    case .allGather(let input, let output): ["allGather": input.json, "output": output.json]
    case .send(let value): ["send": value.json]
    case .receive(let value): ["receive": value.json]
    }
  }

  /// - Throws: ``PlanFormatError`` for an unknown operation or a member that is missing or of the wrong kind.
  ///   Whether values and weights exist and fit is the plan's check.
  public init(json: JSONValue) throws(PlanFormatError) {
    guard let kind = json.object?.keys.first else { throw PlanFormatError("an operation is not an object") }
    switch kind {
    case "embed":
      self = .embed(
        weight: try json.text("embed"), firstToken: try json.integer("firstToken"),
        scale: Float(try json.number("scale")), output: try json.value("output"))
    case "rmsNorm":
      self = .rmsNorm(
        input: try json.value("input"), weight: try json.text("rmsNorm"), epsilon: Float(try json.number("epsilon")),
        output: try json.value("output"))
    case "addRMSNorm":
      self = .addRMSNorm(
        residual: try json.value("residual"), delta: try json.value("delta"), weight: try json.text("addRMSNorm"),
        epsilon: Float(try json.number("epsilon")), output: try json.value("output"))
    case "linear":
      self = .linear(
        input: try json.value("input"), weight: try json.text("linear"), bias: try json.member("bias").string,
        output: try json.value("output"))
    case "attention", "normedAttention":
      let norms = kind == "attention" ? nil : HeadNorms(
        queries: try json.text("queryNorm"), keys: try json.text("keyNorm"), epsilon: Float(try json.number("epsilon")))
      self = .attention(
        Attention(
          qkv: try json.value("input"), output: try json.value("output"), layer: try json.integer(kind),
          heads: try json.size("heads"), keyValueHeads: try json.size("keyValueHeads"),
          headSize: try json.size("headSize"), scale: Float(try json.number("scale")), norms: norms))
    case "activatedProduct":
      self = .activatedProduct(
        activated: try json.value("activated"), factor: try json.value("factor"),
        activation: try json.activation("activatedProduct"), output: try json.value("output"))
    case "gatedActivation":
      self = .gatedActivation(
        input: try json.value("input"), activation: try json.activation("gatedActivation"),
        output: try json.value("output"))
    case "add": self = .add(target: try json.value("to"), value: try json.value("add"))
    case "select": self = .select(input: try json.value("select"), output: try json.value("output"))
    case "allReduce": self = .allReduce(value: try json.value("allReduce"))
    case "allGather": self = .allGather(input: try json.value("allGather"), output: try json.value("output"))
    case "send": self = .send(value: try json.value("send"))
    case "receive": self = .receive(value: try json.value("receive"))
    default: throw PlanFormatError("unknown operation \"\(kind)\": the engine was built by a newer version")
    }
  }
}

extension ValueID {
  package var json: JSONValue { .int(index) }
}

extension JSONValue {
  fileprivate func value(_ key: String) throws(PlanFormatError) -> ValueID { ValueID(try integer(key)) }
  fileprivate func activation(_ key: String) throws(PlanFormatError) -> Activation {
    let name = try text(key)
    guard let activation = Activation(rawValue: name) else { throw PlanFormatError("unknown activation \"\(name)\"") }
    return activation
  }
}

extension RotaryEmbedding {
  public var json: JSONValue {
    let scalingJSON: JSONValue =
      switch scaling {
      case .none: .null
      case .linear(let factor): ["kind": "linear", "factor": .double(factor)]
      case .llama3(let factor, let low, let high, let original):
        ["kind": "llama3", "factor": .double(factor), "lowFrequencyFactor": .double(low),
         "highFrequencyFactor": .double(high), "originalMaximum": .double(original)]
      }
    return ["style": .string(style.rawValue), "dimension": .int(dimension), "base": .double(base), "scaling": scalingJSON]
  }

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

extension Operation {
  /// With norms under another name: a reader that does not know of them must refuse the plan, not leave them out.
  fileprivate static func json(_ a: Attention) -> JSONValue {
    var members: JSONObject = [a.norms == nil ? "attention" : "normedAttention": .int(a.layer)]
    if let norms = a.norms {
      members["queryNorm"] = .string(norms.queries)
      members["keyNorm"] = .string(norms.keys)
      members["epsilon"] = .double(Double(norms.epsilon))
    }
    members["heads"] = .int(a.heads)
    members["keyValueHeads"] = .int(a.keyValueHeads)
    members["headSize"] = .int(a.headSize)
    members["scale"] = .double(Double(a.scale))
    members["input"] = a.qkv.json
    members["output"] = a.output.json
    return .object(members)
  }
}
