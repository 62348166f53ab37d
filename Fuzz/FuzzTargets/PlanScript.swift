import CPUBackend
import Checkpoints
import Engines
import JSON
import Networks
import Schemes
import OrderedCollections
import Tensors

/// Changes to a valid plan, read from bytes: first which plan, then changes of two or more fields that must agree.
struct PlanScript {
  private let bytes: [UInt8]
  private var position = 0
  private(set) var usesPortableKernels = false

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  private var isDone: Bool { position >= bytes.count }
  private mutating func byte() -> Int {
    defer { position += 1 }
    return position < bytes.count ? Int(bytes[position]) : 0
  }
  private mutating func choose(_ count: Int) -> Int { count <= 1 ? 0 : byte() % count }

  /// A number near another, small, or where something ends.
  private mutating func number(_ old: Int) -> Int {
    let choice = byte()
    switch choice {
    case 0..<24: return choice
    case 24..<40: return old &+ 1
    case 40..<56: return old &- 1
    case 56..<80: return old &* 2
    case 80..<96: return old / 2
    case 96..<112: return old &* 3
    case 112..<120: return old &+ byte()
    default:
      let ends = [
        24, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 255, 256, 257, 511, 512, 513, 600, 768, 1024, 2048, 4095, 4096, 4097, 1 << 14,
        1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 31, 1 << 32, 1 << 40, 1 << 62, .max, .min, -1, -2,
      ]
      return ends[(choice - 120) % ends.count]
    }
  }

  // MARK: What the planner makes

  private static func planned(_ changes: JSONObject, tensorParallel: Int = 1, pipelineParallel: Int = 1, shares: Bool = false) -> (JSONValue, [Plan]) {
    var members: JSONObject = [
      "architecture": "LlamaForCausalLM", "dtype": "float32", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_size": 4, "intermediate_size": 12, "vocab_size": 20, "hidden_act": "silu",
      "position_embedding_type": "rope_gpt_neox", "max_position_embeddings": 64,
      "mapping": [
        "world_size": .int(tensorParallel * pipelineParallel), "tp_size": .int(tensorParallel), "pp_size": .int(pipelineParallel),
      ],
    ]
    members.merge(changes) { $1 }
    let json = JSONValue.object(members)
    do {
      let config = try CheckpointConfig(parsing: json)
      var planner = Planner(
        target: CPUTarget(.portable, threadCount: 1),
        limits: PlanLimits(batchSize: 4, inputLength: 32, sequenceLength: 64, tokens: 32))
      let plans = try (0..<config.mapping.worldSize).map { try planner.plan(config: config, rank: $0, sharesEmbedding: shares) }
      for plan in plans {
        let again = try Plan(json: plan.json)
        precondition(again == plan)
      }
      return (json, plans)
    } catch { preconditionFailure("a seed is no plan: \(error)") }
  }

  /// Tied and untied, every layout, one rank and several.
  private static let seeds: [(JSONValue, [Plan])] = [
    planned([:]),
    planned(["dtype": "bfloat16"], shares: true),
    planned(["dtype": "float16", "attn_bias": true, "mlp_bias": true, "num_hidden_layers": 1], shares: true),
    planned(["head_size": 6, "num_key_value_heads": 1, "rotary_embedding_dim": 4, "position_embedding_type": "rope_gptj", "num_hidden_layers": 1]),
    planned(["dtype": "bfloat16", "hidden_size": 33, "num_attention_heads": 3, "num_key_value_heads": 3, "vocab_size": 19]),
    planned(["num_hidden_layers": 1], tensorParallel: 2),
    planned(["dtype": "bfloat16", "use_parallel_embedding": true, "num_hidden_layers": 1], tensorParallel: 2),
    planned(["use_parallel_embedding": true, "embedding_sharding_dim": 1, "attn_bias": true, "num_hidden_layers": 1], tensorParallel: 2),
    planned(["dtype": "float16"], pipelineParallel: 2),
    planned(["use_parallel_embedding": true], tensorParallel: 2, pipelineParallel: 2),
    planned(["dtype": "bfloat16", "quantization": ["quant_algo": "W8A16"], "num_hidden_layers": 1], shares: true),
    planned(["quantization": ["quant_algo": "W8A16"], "attn_bias": true, "hidden_size": 33, "num_attention_heads": 3, "num_key_value_heads": 3], tensorParallel: 3),
    planned(["architecture": "Qwen3ForCausalLM", "dtype": "bfloat16", "num_hidden_layers": 1], shares: true),
  ]

  mutating func seed() -> (JSONValue, [Plan]) {
    let choice = byte()
    usesPortableKernels = choice >= 128
    return Self.seeds[choice % Self.seeds.count]
  }

  // MARK: Changes

  mutating func change(_ plans: inout [Plan]) {
    let count = choose(6)
    for _ in 0..<count where !isDone {
      let kind = byte()
      if kind >= 128 {  // the same in every rank
        let start = position
        for rank in plans.indices {
          position = start
          change(&plans[rank], kind % 24)
        }
      } else {
        change(&plans[choose(plans.count)], kind % 24)
      }
    }
    let repairs = byte()
    for rank in plans.indices {
      if repairs & 1 != 0 { Self.repairWidths(&plans[rank]) }
      if repairs & 2 != 0 { Self.repairWeights(&plans[rank]) }
      if repairs & 4 != 0 { Self.repairSlots(&plans[rank]) }
      if repairs & 8 != 0 { Self.repairCache(&plans[rank]) }
    }
  }

  private mutating func change(_ plan: inout Plan, _ kind: Int) {
    switch kind {
    case 0, 1, 2: changeAttention(&plan)
    case 3, 4, 5: changeCache(&plan, kind)
    case 6, 7:
      let value = choose(plan.values.count)
      plan.values[value].width = number(plan.values[value].width)
    case 8:
      let value = choose(plan.values.count)
      plan.slots.slot[value] = choose(plan.slots.widths.count + 1)
    case 9:
      let slot = choose(plan.slots.widths.count)
      plan.slots.widths[slot] = number(plan.slots.widths[slot])
    case 10:
      plan.limits.batchSize = number(plan.limits.batchSize)
      plan.limits.tokens = number(plan.limits.tokens)
    case 11: plan.limits.sequenceLength = number(plan.limits.sequenceLength)
    case 12: plan.vocabularySize = number(plan.vocabularySize)
    case 13:
      guard plan.weights.count > 0 else { return }
      let weight = choose(plan.weights.count)
      let dimension = choose(plan.weights.values[weight].shape.count)
      let old = plan.weights.values[weight].shape[dimension]
      plan.weights.values[weight].shape[dimension] = number(old)
    case 14:
      guard !plan.rotaries.isEmpty else { return }
      let index = choose(plan.rotaries.count)
      plan.rotaries[index].dimension = number(plan.rotaries[index].dimension)
    case 15, 16: changeValues(&plan, choose(plan.operations.count))
    case 17: plan.operations.remove(at: choose(plan.operations.count))
    case 18:
      let place = choose(plan.operations.count)
      plan.operations.insert(plan.operations[choose(plan.operations.count)], at: place)
    case 19: insert(&plan)
    case 20:
      plan.rank = number(plan.rank)
      plan.tensorParallel = number(plan.tensorParallel)
    case 21:
      let weight = choose(plan.weights.count)
      plan.weights.values[weight].layout = WeightLayout.allCases[choose(WeightLayout.allCases.count)]
      plan.weights.values[weight].scheme = ([.plain(.float32), .plain(.float16), .plain(.bfloat16), .plain(.uint8)] + NumberScheme.coded)[choose(4 + NumberScheme.coded.count)]
    case 22:
      let value = choose(plan.values.count)
      plan.values[value].rows = plan.values[value].rows == .tokens ? .selected : .tokens
    default:
      for (place, operation) in plan.operations.enumerated() {
        guard case .embed(var embed) = operation else { continue }
        embed.firstToken = number(embed.firstToken)
        plan.operations[place] = .embed(embed)
      }
    }
    if plan.operations.isEmpty { plan.operations = [.add(Add(target: ValueID(0), value: ValueID(0)))] }
  }

  private mutating func changeCache(_ plan: inout Plan, _ kind: Int) {
    guard !plan.caches.isEmpty else { return }
    let index = choose(plan.caches.count)
    switch kind {
    case 3:
      plan.caches[index].keyValueHeads = number(plan.caches[index].keyValueHeads)
      plan.caches[index].headSize = number(plan.caches[index].headSize)
    case 4: plan.caches[index].layers = number(plan.caches[index].layers)
    default: plan.caches[index].elementType = choose(3) == 0 ? .float16 : .bfloat16
    }
  }

  /// Heads and sizes of one attention operation, or of all.
  private mutating func changeAttention(_ plan: inout Plan) {
    let places = plan.operations.indices.filter { if case .attention = plan.operations[$0] { true } else { false } }
    guard !places.isEmpty else { return }
    let chosen = choose(places.count + 1)
    var made: Attention?
    for (index, place) in places.enumerated() where index == chosen || chosen == places.count {
      guard case .attention(var attention) = plan.operations[place] else { continue }
      if let made {
        (attention.heads, attention.keyValueHeads, attention.headSize) = (made.heads, made.keyValueHeads, made.headSize)
      } else {
        switch choose(9) {
        case 5: attention.window = number(attention.window ?? 16)
        case 6: attention.rotary = choose(2) == 0 ? nil : number(attention.rotary ?? 0)
        case 7: attention.cache = number(attention.cache)
        case 8:
          attention.softCap = 30
          attention.sinks = plan.weights.count > 0 ? plan.weights.keys[choose(plan.weights.count)] : nil
        case 0: attention.heads = number(attention.heads)
        case 1:
          attention.heads = number(attention.heads)
          attention.keyValueHeads = number(attention.keyValueHeads)
        case 2: attention.headSize = number(attention.headSize)
        case 3: attention.layer = number(attention.layer)
        default:
          attention.heads = number(attention.heads)
          attention.headSize = number(attention.headSize)
          attention.scale *= 2
        }
        made = attention
      }
      plan.operations[place] = .attention(attention)
    }
  }

  /// One value of an operation becomes another.
  private mutating func changeValues(_ plan: inout Plan, _ place: Int) {
    let other = ValueID(choose(plan.values.count + 1))
    let first = byte() % 2 == 0
    let operation = plan.operations[place]
    let chosen = first ? operation.uses.reads.first ?? operation.uses.writes.first : operation.uses.writes.last ?? operation.uses.reads.last
    var isDone = false  // a value that stands in two places changes in one of them
    plan.operations[place] = operation.renumbered { value in
      guard value == chosen, !isDone else { return value }
      isDone = true
      return other
    }
  }

  private mutating func insert(_ plan: inout Plan) {
    let (one, other) = (ValueID(choose(plan.values.count)), ValueID(choose(plan.values.count)))
    let operations: [Operation] = [
      .allReduce(AllReduce(value: one)), .send(Send(value: one)), .receive(Receive(value: one)), .allGather(AllGather(input: one, output: other)),
      .add(Add(target: one, value: other)), .select(Select(input: one, output: other)), .gated(Gated(input: one, activation: .relu, output: other)),
      .unary(Unary(value: one, kind: .softCap(30))), .unary(Unary(value: one, kind: .activation(.gelu))),
      .gated(Gated(input: one, activation: .silu, limits: .init(limit: 7, alpha: 1.702, offset: 1), output: other)),
    ]
    let operation = operations[choose(operations.count)]
    plan.operations.insert(operation, at: choose(plan.operations.count + 1))
  }

  // MARK: Making things agree again

  private static func set(_ plan: inout Plan, _ value: ValueID, _ width: Int) {
    guard plan.values.indices.contains(value.index), width > 0, width <= 1 << 30 else { return }
    plan.values[value.index].width = width
  }
  /// Of a value, or 1; at most 2^30 either way, so that what is computed from changed numbers cannot overflow here.
  private static func width(_ plan: Plan, _ value: ValueID) -> Int {
    plan.values.indices.contains(value.index) ? max(-1 << 30, min(1 << 30, plan.values[value.index].width)) : 1
  }

  private static func repairWidths(_ plan: inout Plan) {
    for operation in plan.operations {
      switch operation {
      case .attention(let a) where (1...1 << 16).contains(a.heads) && (1...1 << 16).contains(a.keyValueHeads) && (1...1 << 13).contains(a.headSize):
        set(&plan, a.qkv, (a.heads + 2 * a.keyValueHeads) * a.headSize)
        set(&plan, a.output, a.heads * a.headSize)
      case .norm(let norm):
        let wide = width(plan, norm.residual ?? norm.input)
        set(&plan, norm.input, wide)
        set(&plan, norm.output, wide)
      case .gated(let gated): set(&plan, gated.input, 2 * width(plan, gated.output))
      case .add(let sum): set(&plan, sum.value, width(plan, sum.target))
      case .select(let select): set(&plan, select.output, width(plan, select.input))
      case .allGather(let gather): set(&plan, gather.output, width(plan, gather.input) * max(1, min(64, plan.tensorParallel)))
      default: break
      }
    }
  }

  private static func repairWeights(_ plan: inout Plan) {
    for operation in plan.operations {
      var shapes: [String: [Int]] = [:]
      switch operation {
      case .embed(let embed): shapes[embed.weight] = [plan.weights[embed.weight]?.shape[0] ?? 1, width(plan, embed.output)]
      case .norm(let norm): for name in norm.weightNames { shapes[name] = [width(plan, norm.input)] }
      case .linear(let linear):
        shapes[linear.weight] = [width(plan, linear.output), width(plan, linear.input)]
        if let bias = linear.bias { shapes[bias] = [width(plan, linear.output)] }
      case .attention(let attention): if let sinks = attention.sinks { shapes[sinks] = [attention.heads] }
      default: break
      }
      for (name, shape) in shapes { plan.weights[name]?.shape = shape }
    }
    for (name, weight) in plan.weights {
      plan.weights[name]?.recipe = .pack(
        weight.layout,
        weight.scheme.elementType.map { .cast($0, .take(name: name, shape: weight.shape)) } ?? .encode(weight.scheme, .cast(plan.elementType, .take(name: name, shape: weight.shape))))
    }
  }

  private static func repairSlots(_ plan: inout Plan) {
    guard plan.slots.slot.allSatisfy({ plan.slots.widths.indices.contains($0) }) else { return }
    var widths = [Int](repeating: 0, count: plan.slots.widths.count)
    for (value, slot) in zip(plan.values, plan.slots.slot) { widths[slot] = max(widths[slot], value.width) }
    plan.slots.widths = widths.map { max(1, $0) }
  }

  private static func repairCache(_ plan: inout Plan) {
    let attention = plan.operations.compactMap { if case .attention(let attention) = $0 { attention } else { nil } }
    for index in plan.caches.indices {
      let own = attention.filter { $0.cache == index }
      guard let first = own.first else { continue }
      plan.caches[index].keyValueHeads = first.keyValueHeads
      plan.caches[index].headSize = first.headSize
      plan.caches[index].layers = min(1 << 17, max(0, own.map(\.layer).max() ?? 0)) + 1
    }
  }

  // MARK: Changes of the text

  /// What is left of the input changes leaves of the document: one alone, or all that have the same value.
  mutating func changeLeaves(_ json: JSONValue) -> JSONValue {
    var json = json
    for _ in 0..<choose(3) where !isDone {
      let wanted = byte() | byte() << 8
      var count = 0
      Self.forEachNumber(json) { _ in count += 1 }
      guard count > 0 else { return json }
      var index = 0
      var old = 0
      Self.forEachNumber(json) {
        if index == wanted % count { old = $0 }; index += 1
      }
      let new = number(old)
      let everywhere = byte() % 2 == 0
      index = 0
      json = Self.replacing(json) { value in
        defer { index += 1 }
        return index == wanted % count || (everywhere && value == old) ? new : value
      }
    }
    return json
  }

  private static func forEachNumber(_ json: JSONValue, _ body: (Int) -> Void) {
    switch json {
    case .number(let number): if let value = number.int { body(value) }
    case .array(let elements): for element in elements { forEachNumber(element, body) }
    case .object(let members): for element in members.values { forEachNumber(element, body) }
    default: break
    }
  }
  private static func replacing(_ json: JSONValue, _ body: (Int) -> Int) -> JSONValue {
    switch json {
    case .number(let number):
      guard let value = number.int else { return json }
      let new = body(value)
      return new == value ? json : .int(new)
    case .array(let elements): return .array(elements.map { replacing($0, body) })
    case .object(let members): return .object(members.mapValues { replacing($0, body) })
    default: return json
    }
  }

  // MARK: Size

  /// Whether running the plans is a matter of milliseconds.
  static func isSmall(_ plans: [Plan]) -> Bool {
    for plan in plans {
      var bytes = 0
      for weight in plan.weights.values {
        guard let count = TensorDescription.checkedByteCount(shape: weight.stored.shape, elementType: weight.stored.elementType), count <= 1 << 20 else { return false }
        bytes += count + 64
      }
      guard bytes <= 1 << 21, plan.slots.widths.reduce(0, { $0 + min($1, 1 << 20) }) <= 1 << 18, plan.operations.count <= 200 else { return false }
      for cache in plan.caches {
        guard min(cache.keyValueHeads, 1 << 20) * min(cache.headSize, 1 << 20) <= 1 << 14, cache.layers <= 64 else { return false }
      }
      guard plan.rotaries.allSatisfy({ $0.dimension <= 1 << 13 }) else { return false }
    }
    return true
  }
}
