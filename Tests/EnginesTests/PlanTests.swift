import CPUBackend
import CPUKernels
import Checkpoints
import Engines
import Files
import JSON
import Networks
import OrderedCollections
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing

@Suite struct PlanTests {
  private func engine(_ model: SmallModel = SmallModel()) async throws -> (Lifecycle, EngineFile) {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 20), "engine")
    return (life, try EngineFile(life.directory("engine").appending("rank0.engine")))
  }

  @Test(arguments: SmallModel.all)
  func `a plan reads back as it was written`(_ model: SmallModel) async throws {
    let (_, file) = try await engine(model)
    let again = try Plan(json: try JSONValue(parsing: file.planText))
    #expect(again == file.plan)
    #expect(file.plan.json.serialized() == file.planText)
    #expect(file.tensors.header.dataStart % 4096 == 0)
    for entry in file.tensors.header.entries where !entry.name.hasSuffix(".padding") {
      #expect(entry.range.lowerBound % 64 == 0, "\(entry.name) starts where vector loads and devices like it")
    }
  }

  @Test func `fusion leaves one linear for the gated MLP and no separate residual sums`() async throws {
    let (_, file) = try await engine()
    let names = file.plan.weights.keys
    #expect(names.contains("transformer.layers.0.mlp.fused_fc.weight"))
    #expect(!names.contains { $0.contains("mlp.fc.") || $0.contains("mlp.gate.") })
    #expect(!names.contains("lm_head.weight"), "a tied lm_head is the embedding table")
    guard case .concatenate(let parts)? = inner(file.plan.weights["transformer.layers.0.mlp.fused_fc.weight"]?.recipe) else {
      Issue.record("the fused weight is a concatenation"); return
    }
    #expect(parts.map { $0.inputs[0].name } == ["transformer.layers.0.mlp.gate.weight", "transformer.layers.0.mlp.fc.weight"], "upstream's order: gate, then fc")
  }
  private func inner(_ recipe: Recipe?) -> Recipe? {
    switch recipe {
    case .pack(_, let input)?, .cast(_, let input)?: inner(input)
    default: recipe
    }
  }

  /// A plan comes from a file: whatever is done to it, it is refused or safe to walk, never a crash.
  @Test func `a spoiled plan is refused or still whole`() async throws {
    let (life, file) = try await engine()
    let text = file.planText
    let json = try JSONValue(parsing: text)
    var random = SeededGenerator(seed: 21)
    var refused = 0
    for _ in 0..<600 {
      let spoiled = Spoiler.spoil(json, &random)
      do {
        let plan = try Plan(json: spoiled)
        #expect(plan.values.count == plan.slots.slot.count)
      } catch { refused += 1 }
    }
    #expect(refused > 300, "most single changes break something")
    // And through the file: the header is rewritten with the spoiled plan, the data left alone.
    let bytes = try #require(contents(file.path))
    for _ in 0..<60 {
      let spoiled = Spoiler.spoil(json, &random).serialized()
      let padded = spoiled.utf8.count <= text.utf8.count
      guard padded else { continue }
      let replaced = String(decoding: bytes[0..<file.tensors.header.dataStart], as: UTF8.self)
      let escaped = JSONValue.string(text).serialized().dropFirst().dropLast()
      let other = JSONValue.string(spoiled).serialized().dropFirst().dropLast()
      let header = replaced.replacing(escaped, with: other)
      guard header.utf8.count <= replaced.utf8.count, header != replaced else { continue }
      let body = header + String(repeating: " ", count: replaced.utf8.count - header.utf8.count)
      life.directory.write("engine/rank0.engine", Array(body.utf8) + bytes[file.tensors.header.dataStart...])
      do {
        let directory = try EngineDirectory(life.directory("engine"))
        var options = CPUEngine.Options()
        options.threadCount = 1
        let opened = try CPUEngine(directory, options: options)
        let batch = Batch(
          tokens: [1, 2], sequences: [SequenceSlice(rows: 0..<2, firstPosition: 0, blockTable: [0], phase: .prefill, wantsLogits: true)])
        unsafe try opened.step(batch) { _, _ in }
      } catch {}
    }
  }

  @Test func `a plan of a newer format says so`() async throws {
    let (_, file) = try await engine()
    let parsed = try JSONValue(parsing: file.planText)
    var json = try #require(parsed.object)
    json["formatVersion"] = 2
    let error = #expect(throws: PlanFormatError.self) { try Plan(json: .object(json)) }
    #expect(error?.reason.contains("newer") == true)
  }

  @Test func `buffers are shared only by values that never meet`() async throws {
    for model in SmallModel.all {
      let (_, file) = try await engine(model)
      let plan = file.plan
      #expect(plan.slots.widths.count < plan.values.count, "sharing happens")
      var lastUse: [Int: Int] = [:], firstUse: [Int: Int] = [:]
      for (index, operation) in plan.operations.enumerated() {
        for value in operation.uses.reads + operation.uses.writes {
          lastUse[value.index] = index
          firstUse[value.index] = firstUse[value.index] ?? index
        }
      }
      for a in plan.values.indices {
        for b in plan.values.indices where a < b && plan.slots.slot[a] == plan.slots.slot[b] {
          guard let a0 = firstUse[a], let a1 = lastUse[a], let b0 = firstUse[b], let b1 = lastUse[b] else { continue }
          #expect(a1 < b0 || b1 < a0, "\(plan.values[a].name) and \(plan.values[b].name)")
        }
      }
    }
  }

  @Test func `Llama 3 scaling keeps high frequencies and divides low ones`() {
    let rotary = RotaryEmbedding(
      style: .halves, dimension: 128, base: 500_000,
      scaling: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximum: 8192))
    let plain = RotaryEmbedding(style: .halves, dimension: 128, base: 500_000, scaling: .none)
    let (scaled, unscaled) = (rotary.frequencies, plain.frequencies)
    #expect(scaled[0] == unscaled[0])
    #expect(scaled[63] == unscaled[63] / 8)
    for plane in 1..<64 { #expect(scaled[plane] <= scaled[plane - 1] && scaled[plane] <= unscaled[plane]) }
  }
}

/// Changes one thing somewhere in a document.
enum Spoiler {
  static func spoil(_ value: JSONValue, _ random: inout SeededGenerator) -> JSONValue {
    switch value {
    case .object(var members) where !members.isEmpty:
      let key = members.keys.randomElement(using: &random)!
      if Int.random(in: 0..<25, using: &random) == 0 { members[key] = nil } else { members[key] = spoil(members[key]!, &random) }
      return .object(members)
    case .array(var elements) where !elements.isEmpty:
      let index = elements.indices.randomElement(using: &random)!
      switch Int.random(in: 0..<25, using: &random) {
      case 0: elements.remove(at: index)
      case 1: elements.append(elements[index])
      default: elements[index] = spoil(elements[index], &random)
      }
      return .array(elements)
    case .number(let number):
      let old = number.int ?? 0
      return [.int(old + 1), .int(old - 1), .int(-1), .int(0), .int(Int.max), .int(1 << 33), .int(old * 2), "x"].randomElement(using: &random)!
    case .string(let text): return [.string(text + "x"), "BF16", "F32", "rows", "panel16", .int(3), "selected"].randomElement(using: &random)!
    case .bool(let flag): return .bool(!flag)
    default: return .int(1)
    }
  }
}
