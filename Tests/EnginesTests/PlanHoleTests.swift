import CPUBackend
import EngineFixtures
import Engines
import JSON
import TestSupport
import Testing

/// Plans of which every number fits its neighbours, and which would still lead a back end out of its memory.
@Suite struct PlanHoleTests {
  private func forge(_ model: SmallModel = SmallModel(layers: 2, type: .float32)) async throws -> (Lifecycle, EngineForge) {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 51), "engine")
    return (life, try EngineForge(life.directory("engine")))
  }
  private func expectRefused(_ life: Lifecycle, _ forge: EngineForge, _ why: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try forge.write(to: life.directory("forged")), sourceLocation: sourceLocation)
    #expect(throws: EngineError.self, "\(why)", sourceLocation: sourceLocation) {
      _ = try CPUEngine(try EngineDirectory(life.directory("forged")))
    }
  }

  /// Gives a value rows of the other kind, in a buffer of its own.
  private func select(_ value: Int, _ plan: inout JSONValue) throws {
    let slots = try #require(plan["slots"]?.array)
    plan[at: "slots"] = .array(slots + [try #require(plan["values"]?.array?[value]["width"])])
    plan[at: "values"][at: value][at: "slot"] = .int(slots.count)
    plan[at: "values"][at: value][at: "rows"] = "selected"
  }

  @Test func `token rows are not written into buffers of selected rows, which are fewer`() async throws {
    let (_, whole) = try await forge()
    let all = try #require(whole.plans[0]["operations"]?.array)
    let selection = try #require(all.first { $0["select"] != nil }), logits = try #require(all.last)
    // Embedding straight into what the logits are made of.
    var plan = whole.plans[0]
    var embedding = all[0]
    embedding[at: "output"] = logits[at: "input"]
    plan[at: "operations"] = [embedding, logits]
    plan[at: "caches"] = []
    let told = #expect(throws: PlanFormatErrorBox.self) { try PlanFormatErrorBox.check(plan) }
    #expect(told?.reason.contains("token") == true, "\(told?.reason ?? "")")
    // Attention over selected rows.
    plan = whole.plans[0]
    let attention = plan[at: "operations"][at: plan.operations("attention")[0]]
    var projection = plan[at: "operations"][at: plan.operations("linear")[0]]
    #expect(projection["output"] == attention["input"])
    projection[at: "input"] = selection[at: "output"]
    for value in ["input", "output"] { try select(try #require(attention[value]?.int), &plan) }
    var norm = try #require(all.last { $0["norm"] != nil && $0["residual"] == nil })
    norm[at: "input"] = selection[at: "output"]
    plan[at: "operations"] = [all[0], selection, norm, projection, attention, logits]
    plan[at: "caches"][at: 0][at: "layers"] = 1
    let other = #expect(throws: PlanFormatErrorBox.self) { try PlanFormatErrorBox.check(plan) }
    #expect(other?.reason.contains("token") == true, "\(other?.reason ?? "")")
  }

  private func reason(_ plan: JSONValue) -> String? {
    do { try PlanFormatErrorBox.check(plan) } catch { return (error as? PlanFormatErrorBox)?.reason ?? "\(error)" }
    return nil
  }

  /// What else lies in a value's buffer would be read: an earlier step's numbers, another request's.
  @Test func `a value is read only while it is where it was written`() async throws {
    let (_, whole) = try await forge()
    let operations = try #require(whole.plans[0]["operations"]?.array)
    let attention = whole.plans[0].operations("attention")[0], projection = whole.plans[0].operations("linear")[0]
    let qkv = try #require(operations[attention]["input"]?.int)
    #expect(projection < attention && operations[projection]["output"]?.int == qkv)
    let scale: JSONValue = ["unary": "scale", "factor": 1, "value": .int(qkv)]
    // While it is there, anything may read it.
    var plan = whole.plans[0]
    plan[at: "operations"] = .array(operations[..<attention] + [scale] + operations[attention...])
    #expect(reason(plan) == nil)
    // Attention norms and turns queries and keys where they are.
    plan[at: "operations"] = .array(operations[...attention] + [scale] + operations[(attention + 1)...])
    #expect(reason(plan)?.contains("was written over") == true, "\(reason(plan) ?? "accepted")")
    // Another value in the same buffer.
    plan = whole.plans[0]
    let values = try #require(plan["values"]?.array)
    plan[at: "values"] = .array(values + [values[qkv]])
    var other = operations[projection]
    other[at: "output"] = .int(values.count)
    plan[at: "operations"] = .array(operations[...projection] + [other] + operations[(projection + 1)...])
    #expect(reason(plan)?.contains("was written over") == true, "\(reason(plan) ?? "accepted")")
  }

  @Test func `the last operation gives the logits and nothing else`() async throws {
    // As many tokens as a row is wide, so that a norm of the model fits logits.
    let (_, whole) = try await forge(SmallModel(hidden: 48, layers: 2, vocabulary: 48, type: .float32))
    var plan = whole.plans[0]
    let operations = try #require(plan["operations"]?.array), values = try #require(plan["values"]?.array), slots = try #require(plan["slots"]?.array)
    let logits = try #require(operations.last?["output"]?.int)
    let width = try #require(values[logits]["width"])
    func value(_ slot: Int) -> JSONValue {
      var value = values[logits]
      value[at: "slot"] = .int(slots.count + slot)
      return value
    }
    plan[at: "values"] = .array(values + [value(0), value(1)])
    plan[at: "slots"] = .array(slots + [width, width])
    var again = try #require(operations.last)
    again[at: "output"] = .int(values.count)
    let norm: JSONValue = [
      "norm": "transformer.ln_f.weight", "kind": "rms", "epsilon": .double(1e-5), "input": .int(values.count), "residual": .int(logits), "output": .int(values.count + 1),
    ]
    plan[at: "operations"] = .array(operations + [again, norm])
    #expect(reason(plan)?.contains("more than logits") == true, "\(reason(plan) ?? "accepted")")
  }

  @Test func `a weight cannot pass for padding`() async throws {
    var (life, forge) = try await forge()
    // Padding is not compared with the plan; a weight of that name must be.
    let name = "transformer.ln_f.weight"
    var weights = try #require(forge.plans[0]["weights"]?.object)
    weights["x.padding"] = weights[name]
    weights[name] = nil
    var operations = try #require(forge.plans[0]["operations"]?.array)
    for index in operations.indices where operations[index]["norm"]?.string == name { operations[index][at: "norm"] = "x.padding" }
    forge.plans[0][at: "operations"] = .array(operations)
    forge.plans[0][at: "weights"] = .object(weights)
    #expect(try forge.write(to: life.directory("whole")))
    // As large as the plan says, it is a weight like others; now it is one byte.
    let bytes = try #require(contents(life.directory("whole/rank0.engine")))
    let shape = "\"x.padding\":{\"dtype\":\"F32\",\"shape\":[48]"
    var text = bytes
    let from = Array(shape.utf8), to = Array("\"x.padding\":{\"dtype\":\"U8\",\"shape\":[192]".utf8)
    let start = try #require((0..<bytes.count - from.count).first { bytes[$0] == from[0] && bytes[$0..<$0 + from.count].elementsEqual(from) })
    text.replaceSubrange(start..<start + from.count, with: to + [UInt8](repeating: 0x20, count: from.count - to.count))
    life.directory.write("whole/rank0.engine", text)
    #expect(throws: EngineError.self) { try EngineDirectory(life.directory("whole")) }
  }

  @Test func `the cache is as the attentions need it`() async throws {
    for (field, value) in [("layers", 60000), ("layers", 3), ("keyValueHeads", 1 << 33), ("headSize", 1 << 39)] {
      var (life, forge) = try await forge()
      forge.plans[0][at: "caches"][at: 0][at: field] = .int(value)
      try expectRefused(life, forge, field)
    }
    var (life, forge) = try await forge()
    let second = forge.plans[0].operations("attention")[1]
    forge.plans[0][at: "operations"][at: second][at: "attention"] = 0
    try expectRefused(life, forge, "two attentions, one layer of the cache")
  }

  @Test func `what a stage cannot do is refused`() async throws {
    for kind in ["send", "receive"] {
      var (life, forge) = try await forge()
      var operations = try #require(forge.plans[0]["operations"]?.array)
      let value = try #require(operations[0]["output"])
      operations.insert(.object([kind: value]), at: 1)
      forge.plans[0][at: "operations"] = .array(operations)
      try expectRefused(life, forge, kind)
    }
  }

  @Test func `buffers that no machine has are refused, not asked for`() async throws {
    var (life, forge) = try await forge()
    for slot in 0..<(forge.plans[0]["slots"]?.array?.count ?? 0) { forge.plans[0][at: "slots"][at: slot] = .int(1 << 24) }
    var more = try #require(forge.plans[0]["slots"]?.array)
    more += [JSONValue](repeating: .int(1 << 24), count: 5000)
    forge.plans[0][at: "slots"] = .array(more)
    try expectRefused(life, forge, "slots")
    forge = try EngineForge(life.directory("engine"))
    forge.plans[0][at: "limits"][at: "sequenceLength"] = .int(1 << 28)
    try expectRefused(life, forge, "rotary tables of 2^28 positions")
  }

  @Test func `a rotation by numbers that are none is refused`() async throws {
    for (field, value) in [("base", JSONValue.double(0)), ("base", .double(-10000)), ("scaling", ["kind": "linear", "factor": .double(0)])] {
      var (life, forge) = try await forge()
      forge.plans[0][at: "rotaries"][at: 0][at: field] = value
      try expectRefused(life, forge, field)
    }
  }
}

/// A plan read alone.
struct PlanFormatErrorBox: Error {
  let reason: String
  static func check(_ json: JSONValue) throws {
    do { _ = try Plan(json: json) } catch { throw PlanFormatErrorBox(reason: "\(error)") }
  }
}
