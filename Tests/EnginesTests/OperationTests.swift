import JSON
import Networks
import Testing

/// Each kind of operation: its JSON, and what its check refuses.
@Suite struct OperationTests {
  /// Values 0 to 6: 8, 8, 16 and 4 wide with a row a token; 8 and 20 wide with a row where logits are wanted; 8 wide with a row a token.
  /// Values 7 and 8: 16 and 6 wide with a row a token: what experts read and write.
  private let view = PlanView(
    values: [8, 8, 16, 4].map { Value(name: "v", width: $0, rows: .tokens) } + [8, 20].map { Value(name: "s", width: $0, rows: .selected) }
      + [8, 16, 6].map { Value(name: "v", width: $0, rows: .tokens) },
    caches: [CacheFormat(layers: 2, keyValueHeads: 1, headSize: 4, elementType: .bfloat16)],
    rotaries: [RotaryEmbedding(style: .halves, dimension: 4, base: 10000, scaling: .none), RotaryEmbedding(style: .halves, dimension: 6, base: 10000, scaling: .none)],
    tensorParallel: 2, isFirstStage: true, isLastStage: true,
    weight: { name in
      switch name {
      case "table": .init(shape: [20, 8], isPacked: true)
      case "codes": .init(shape: [20, 8], isPacked: true, isPlain: false)
      case "gains", "bias8": .init(shape: [8], isPacked: false)
      case "head4", "bias4": .init(shape: [4], isPacked: false)
      case "sinks": .init(shape: [2], isPacked: false)
      case "square": .init(shape: [8, 8], isPacked: true)
      case "router": .init(shape: [6, 8], isPacked: true)
      case "router rows": .init(shape: [6, 8], isPacked: false)
      case "router codes": .init(shape: [6, 8], isPacked: true, isPlain: false)
      case "fused": .init(shape: [3 * 2 * 24, 8], isPacked: true)
      case "fused rows": .init(shape: [3 * 2 * 24, 8], isPacked: false)
      case "down": .init(shape: [3 * 16, 24], isPacked: true)
      case "fused narrow": .init(shape: [3 * 2 * 4, 8], isPacked: true)
      case "down narrow": .init(shape: [3 * 16, 4], isPacked: true)
      case "down 8": .init(shape: [3 * 8, 24], isPacked: true)
      case "rows": .init(shape: [8, 8], isPacked: false)
      default: nil
      }
    })
  private static func v(_ index: Int) -> ValueID { ValueID(index) }
  private static let attention = Attention(
    qkv: v(2), output: v(1), layer: 1, heads: 2, keyValueHeads: 1, headSize: 4, scale: 0.5, rotary: 0,
    queryNorm: .init(weight: "head4", epsilon: 1e-6), keyNorm: .init(weight: "head4", epsilon: 1e-5), window: 16, softCap: 30, sinks: "sinks")
  private static let routing = Routing(input: v(0), weight: "router", chosen: 2, normalizes: true, scale: 2.5, output: v(8))
  private static let experts = Experts(
    input: v(0), shares: v(8), fused: "fused", down: "down", activation: .silu, first: 3, count: 3, chosen: 2, output: v(7))
  private static func routing(_ change: (inout Routing) -> Void) -> Operation {
    var changed = routing
    change(&changed)
    return .routing(changed)
  }
  private static func experts(_ change: (inout Experts) -> Void) -> Operation {
    var changed = experts
    change(&changed)
    return .experts(changed)
  }
  private static func attention(_ change: (inout Attention) -> Void) -> Operation {
    var changed = attention
    change(&changed)
    return .attention(changed)
  }

  static let sound: [Operation] = [
    .embed(Embed(weight: "table", firstToken: 3, scale: 2, output: v(0))),
    .norm(Norm(input: v(0), weight: "gains", epsilon: 1e-5, output: v(1))),
    .norm(Norm(.layer, input: v(0), residual: v(1), weight: "gains", bias: "bias8", epsilon: 1e-5, output: v(6))),
    .linear(Linear(input: v(0), weight: "square", bias: "bias8", output: v(1))), .linear(Linear(input: v(0), weight: "square", output: v(1))),
    .attention(attention), attention { ($0.queryNorm, $0.keyNorm) = (.init(weight: "bias8", epsilon: 1e-6, spansHeads: true), .init(weight: "head4", epsilon: 1e-6, spansHeads: true)) },
    attention { ($0.rotary, $0.queryNorm, $0.keyNorm, $0.window, $0.softCap, $0.sinks) = (nil, nil, nil, nil, nil, nil) },
    .gated(Gated(input: v(2), activation: .geluTanh, output: v(0))),
    .gated(Gated(input: v(2), activation: .silu, limits: .init(limit: 7, alpha: 1.702, offset: 1), output: v(0))),
    .routing(routing), routing { ($0.chosen, $0.normalizes) = (6, false) }, .experts(experts), experts { ($0.first, $0.chosen, $0.activation) = (0, 6, .relu) },
    .unary(Unary(value: v(0), kind: .scale(0.5))), .unary(Unary(value: v(0), kind: .softCap(30))), .unary(Unary(value: v(0), kind: .activation(.gelu))),
    .add(Add(target: v(0), value: v(1))), .select(Select(input: v(0), output: v(4))), .allReduce(AllReduce(value: v(0))),
    .allGather(AllGather(input: v(0), output: v(2))),
  ]

  @Test(arguments: sound.indices) func `an operation reads as it was written, and fits`(_ index: Int) throws {
    let operation = Self.sound[index]
    #expect(try Operation(json: operation.json) == operation)
    #expect(try Operation(json: try JSONValue(parsing: operation.json.serialized())) == operation)
    try operation.body.check(view)
    // Numbers of values and nothing else.
    let moved = operation.renumbered { ValueID($0.index + 100) }
    #expect(moved.renumbered { ValueID($0.index - 100) } == operation && moved.uses.reads == operation.uses.reads.map { ValueID($0.index + 100) })
    // Without any one of its members it is another operation, or none.
    for key in (operation.json.object ?? [:]).keys {
      guard case .object(var members) = operation.json else { continue }
      members[key] = nil
      #expect((try? Operation(json: .object(members))) != operation || members == operation.json.object, "without \(key)")
    }
  }

  static let unsound: [Operation] = [
    .embed(Embed(weight: "table", firstToken: -1, scale: 1, output: v(0))), .embed(Embed(weight: "gains", firstToken: 0, scale: 1, output: v(0))),
    .embed(Embed(weight: "table", firstToken: 0, scale: .infinity, output: v(0))), .embed(Embed(weight: "table", firstToken: 0, scale: 1, output: v(4))),
    .embed(Embed(weight: "table", firstToken: 0, scale: 1, output: v(2))), .embed(Embed(weight: "codes", firstToken: 0, scale: 1, output: v(0))),
    .norm(Norm(input: v(0), weight: "head4", epsilon: 1e-5, output: v(1))), .norm(Norm(input: v(0), weight: "none", epsilon: 1e-5, output: v(1))),
    .norm(Norm(input: v(0), residual: v(0), weight: "gains", epsilon: 1e-5, output: v(1))),
    .norm(Norm(input: v(0), weight: "gains", bias: "bias8", epsilon: 1e-5, output: v(1))),
    .norm(Norm(input: v(0), weight: "gains", epsilon: 1e-5, output: v(0))),
    .norm(Norm(input: v(0), residual: v(1), weight: "gains", epsilon: 1e-5, output: v(1))),
    .norm(Norm(input: v(0), residual: v(3), weight: "gains", epsilon: 1e-5, output: v(1))),
    .norm(Norm(input: v(0), weight: "gains", epsilon: .nan, output: v(1))), .norm(Norm(input: v(0), weight: "gains", epsilon: 1, output: v(4))),
    .linear(Linear(input: v(0), weight: "rows", output: v(1))), .linear(Linear(input: v(2), weight: "square", output: v(1))),
    .linear(Linear(input: v(0), weight: "square", bias: "bias4", output: v(1))), .linear(Linear(input: v(0), weight: "square", output: v(4))),
    attention { $0.cache = 1 }, attention { $0.cache = -1 }, attention { $0.layer = 2 }, attention { $0.layer = -1 }, attention { $0.heads = 3 },
    attention { $0.keyValueHeads = 2 }, attention { $0.headSize = 8 }, attention { $0.rotary = 2 }, attention { $0.rotary = 1 }, attention { $0.rotary = -1 },
    attention { $0.window = 0 }, attention { $0.softCap = 0 }, attention { $0.softCap = .infinity }, attention { $0.softCap = 1e6 }, attention { $0.softCap = 1e-30 }, attention { $0.sinks = "head4" },
    attention { $0.queryNorm?.weight = "gains" }, attention { $0.queryNorm?.spansHeads = true }, attention { $0.keyNorm?.epsilon = .nan }, attention { $0.scale = .nan }, attention { $0.output = v(4) },
    .gated(Gated(input: v(0), activation: .silu, output: v(1))), .gated(Gated(input: v(2), activation: .silu, output: v(4))),
    .gated(Gated(input: v(2), activation: .gelu, limits: .init(limit: 7, alpha: 1, offset: 1), output: v(0))),
    .gated(Gated(input: v(2), activation: .silu, limits: .init(limit: 0, alpha: 1, offset: 1), output: v(0))),
    .gated(Gated(input: v(2), activation: .silu, limits: .init(limit: 7, alpha: .nan, offset: 1), output: v(0))),
    .activatedProduct(ActivatedProduct(activated: v(0), factor: v(1), activation: .silu, output: v(0))),
    routing { $0.chosen = 0 }, routing { $0.chosen = 7 }, routing { $0.scale = .infinity }, routing { $0.weight = "square" }, routing { $0.weight = "none" },
    routing { $0.weight = "router rows" }, routing { $0.weight = "router codes" }, routing { $0.input = v(2) }, routing { $0.input = v(4) },
    experts { $0.first = 4 }, experts { $0.first = -1 }, experts { $0.count = 2 }, experts { $0.count = 0 }, experts { $0.count = .max }, experts { $0.count = .min },
    experts { $0.first = .max }, experts { $0.chosen = 0 }, experts { $0.chosen = 7 }, experts { $0.fused = "fused rows" }, experts { $0.fused = "down" },
    experts { $0.fused = "gains" }, experts { $0.down = "gains" }, experts { $0.down = "none" }, experts { $0.shares = v(3) }, experts { $0.shares = v(4) },
    experts { $0.output = v(4) }, experts { $0.output = v(0) }, experts { $0.input = v(7) }, experts { ($0.fused, $0.down) = ("fused narrow", "down narrow") },
    experts { ($0.output, $0.down) = (v(1), "down 8") },
    .unary(Unary(value: v(0), kind: .scale(.nan))), .unary(Unary(value: v(0), kind: .softCap(0))), .unary(Unary(value: v(0), kind: .softCap(3e38))),
    .add(Add(target: v(0), value: v(2))), .add(Add(target: v(0), value: v(4))), .select(Select(input: v(4), output: v(0))),
    .select(Select(input: v(2), output: v(4))), .allGather(AllGather(input: v(0), output: v(1))), .send(Send(value: v(0))), .receive(Receive(value: v(0))),
  ]

  @Test(arguments: unsound.indices) func `what does not fit is refused with a reason`(_ index: Int) {
    let operation = Self.unsound[index]
    let told = #expect(throws: PlanFormatError.self, "\(operation)") { try operation.body.check(view) }
    #expect(told?.reason.isEmpty == false)
  }

  @Test(arguments: [
    #"{}"#, #"[]"#, #"{"dance": 1}"#, #"{"norm": "w", "kind": "batch", "epsilon": 1, "input": 0, "output": 1}"#,
    #"{"unary": "invert", "value": 0}"#, #"{"gated": "swish", "input": 0, "output": 1}"#, #"{"attention": 0, "cache": 0}"#,
    #"{"linear": "w", "bias": 3, "input": 0, "output": 1}"#, #"{"activatedProduct": "silu", "activated": 0, "factor": 1, "output": 2}"#,
  ]) func `what is no operation is refused`(_ text: String) throws {
    let json = try JSONValue(parsing: text)
    #expect(throws: PlanFormatError.self) { try Operation(json: json) }
  }
}
