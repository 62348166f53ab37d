import CPUBackend
import EngineFixtures
import Execution
import Engines
import JSON
import SystemPackage
import TestSupport
import Testing

/// A plan comes from a file: whatever is done to it, it is refused or safe to walk, never a crash and never a wait for ever.
@Suite struct SpoiledPlanTests {
  /// What became of engines with spoiled plans. A test of which nothing opens, or nothing is refused, tests nothing.
  private struct Counts {
    /// Of a plan that no file could hold: never tried.
    var impossible = 0
    var refusedByFile = 0
    var refusedByEngine = 0
    var opened = 0
    var stepped = 0
  }

  private func run(_ forge: EngineForge, _ life: Lifecycle, _ counts: inout Counts) throws {
    let path = life.directory("spoiled")
    guard try forge.write(to: path) else { counts.impossible += 1; return }
    let directory: EngineDirectory
    do { directory = try EngineDirectory(path) } catch is EngineError { counts.refusedByFile += 1; return }
    var options = ExecutorOptions()
    options.threadCount = 2
    options.maximumBatchRows = 64
    options.maximumSequences = 2
    options.cacheByteCount = 1 << 20
    let engine: CPUEngine
    do { engine = try CPUEngine(directory, options: options) } catch is EngineError { counts.refusedByEngine += 1; return }
    counts.opened += 1
    let highest = Int32(engine.limits.vocabularySize - 1)
    let rows = min(20, engine.limits.maximumBatchRows, engine.limits.maximumSequenceLength)
    let blocks = [Int32(engine.limits.cacheBlockCount - 1), 0]
    let prompt = Batch(
      tokens: (0..<Int32(rows)).map { $0 % 2 == 0 ? highest : 0 },
      sequences: [SequenceSlice(rows: 0..<rows, firstPosition: 0, blockTable: blocks, phase: .prefill, logitRows: rows)])
    var sum: Float = 0
    unsafe try engine.step(prompt) { unsafe sum += $1.reduce(0, +) }
    if rows < engine.limits.maximumSequenceLength {
      let token = Batch(
        tokens: [highest], sequences: [SequenceSlice(rows: 0..<1, firstPosition: rows, blockTable: blocks, phase: .decode, wantsLogits: true)])
      unsafe try engine.step(token) { unsafe sum += $1.reduce(0, +) }
    }
    counts.stepped += 1
  }

  private func forge(_ model: SmallModel, seed: UInt64) async throws -> (Lifecycle, EngineForge) {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: seed), "engine")
    return (life, try EngineForge(life.directory("engine")))
  }

  @Test func `a spoiled plan alone is refused or still whole`() async throws {
    let (_, forge) = try await forge(SmallModel(), seed: 20)
    var random = SeededGenerator(seed: 21)
    var refused = 0
    for _ in 0..<600 {
      do {
        let plan = try Plan(json: Spoiler.spoil(forge.plans[0], &random))
        #expect(plan.values.count == plan.slots.slot.count)
      } catch { refused += 1 }
    }
    #expect(refused > 300 && refused < 600, "most single changes break something: \(refused)")
  }

  @Test(arguments: [SmallModel(layers: 2), SmallModel(layers: 2, type: .float32, tied: false, biases: true)])
  func `one thing that changed in a file`(_ model: SmallModel) async throws {
    let (life, whole) = try await forge(model, seed: 22)
    var random = SeededGenerator(seed: 23)
    var counts = Counts()
    for _ in 0..<150 {
      var forge = whole
      forge.plans[0] = Spoiler.spoil(forge.plans[0], &random)
      try run(forge, life, &counts)
    }
    #expect(counts.refusedByFile > 30 && counts.opened > 3 && counts.stepped == counts.opened && counts.impossible < 10, "\(counts)")
  }

  /// Numbers that agree with each other get past any check that looks at one of them.
  @Test(arguments: [SmallModel(layers: 2), SmallModel(layers: 2, type: .float32, tied: false, biases: true)])
  func `several that changed together in a file`(_ model: SmallModel) async throws {
    let (life, whole) = try await forge(model, seed: 24)
    var random = SeededGenerator(seed: 25)
    var counts = Counts()
    for round in 0..<240 {
      var forge = whole
      switch round % 4 {
      case 0:
        for _ in 0..<2 { forge.plans[0] = Spoiler.spoil(forge.plans[0], &random) }
      case 1: forge.plans[0] = Spoiler.replaceNumber(forge.plans[0], &random)
      case 2: forge.plans[0] = Spoiler.resize(forge.plans[0], &random)
      default:
        forge.plans[0] = Spoiler.resize(forge.plans[0], &random)
        forge.plans[0] = Spoiler.resize(forge.plans[0], &random)
      }
      try run(forge, life, &counts)
    }
    #expect(counts.refusedByFile > 30 && counts.opened > 30 && counts.stepped == counts.opened && counts.impossible < 10, "\(counts)")
  }

  @Test func `more heads than kernels have room for get as far as the back end, and no farther`() async throws {
    let (life, whole) = try await forge(SmallModel(hidden: 48, heads: 1, keyValueHeads: 1, headSize: 256, layers: 1), seed: 26)
    var counts = Counts()
    for size in [256, 512, 514, 768, 1024] {
      var forge = whole
      forge.plans[0] = forge.plans[0].replacing([256: size, 768: 3 * size])
      try run(forge, life, &counts)
    }
    #expect(counts.stepped == 2 && counts.refusedByEngine == 3 && counts.impossible == 0, "\(counts)")
  }

  @Test(arguments: [
    SmallModel(layers: 2, tensorParallel: 2), SmallModel(layers: 2, tensorParallel: 2, pipelineParallel: 2, parallelEmbedding: 0),
    SmallModel(layers: 2, type: .float32, pipelineParallel: 2),
  ]) func `ranks that changed against each other`(_ model: SmallModel) async throws {
    let (life, whole) = try await forge(model, seed: 27)
    var other = model
    other.hidden = 64
    other.vocabulary = 41
    let (_, stranger) = try await forge(other, seed: 28)
    var random = SeededGenerator(seed: 29)
    var counts = Counts()
    for round in 0..<150 {
      var forge = whole
      let rank = forge.plans.indices.randomElement(using: &random) ?? 0
      switch round % 5 {
      case 0: forge.plans[rank] = Spoiler.spoil(forge.plans[rank], &random)
      case 1: forge.plans[rank] = Spoiler.resize(forge.plans[rank], &random)
      case 2:  // the same in every rank
        var copy = random
        for rank in forge.plans.indices {
          copy = random
          forge.plans[rank] = Spoiler.replaceNumber(forge.plans[rank], &copy)
        }
        random = copy
      case 3: forge.plans[rank] = stranger.plans[rank]
      default:  // collectives left out or done twice
        var operations = forge.plans[rank]["operations"]?.array ?? []
        let meetings = ["allReduce", "allGather", "send", "receive"].flatMap { forge.plans[rank].operations($0) }
        guard let index = meetings.randomElement(using: &random) else { continue }
        if Bool.random(using: &random) { operations.remove(at: index) } else { operations.insert(operations[index], at: index) }
        forge.plans[rank][at: "operations"] = .array(operations)
      }
      try run(forge, life, &counts)
    }
    #expect(counts.refusedByFile > 60 && counts.opened > 3 && counts.stepped == counts.opened && counts.impossible < 10, "\(counts)")
  }
}

/// Changes plans.
enum Spoiler {
  /// One thing somewhere in a document.
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
      case 2: elements.swapAt(index, elements.indices.randomElement(using: &random)!)
      default: elements[index] = spoil(elements[index], &random)
      }
      return .array(elements)
    case .number(let number):
      let old = number.int ?? 0
      return [.int(old &+ 1), .int(old &- 1), .int(-1), .int(0), .int(Int.max), .int(1 << 33), .int(old &* 2), "x"].randomElement(using: &random)!
    case .string(let text): return [.string(text + "x"), "BF16", "F32", "rows", "panel16", .int(3), "selected"].randomElement(using: &random)!
    case .bool(let flag): return .bool(!flag)
    default: return .int(1)
    }
  }

  /// One number, wherever it stands.
  static func replaceNumber(_ plan: JSONValue, _ random: inout SeededGenerator) -> JSONValue {
    let numbers = Set(numbers(plan)).sorted()
    guard let old = numbers.randomElement(using: &random) else { return plan }
    let new = [old &+ 1, old &- 1, old &* 2, old / 2, old &+ 16, 1].randomElement(using: &random)!
    return plan.replacing([old: new])
  }
  private static func numbers(_ value: JSONValue) -> [Int] {
    switch value {
    case .object(let members): members.values.flatMap(numbers)
    case .array(let elements): elements.flatMap(numbers)
    default: value.int.map { [$0] } ?? []
    }
  }

  /// A value's width, with all that must agree with it: its buffer, the weights that make it and read it, head counts.
  static func resize(_ plan: JSONValue, _ random: inout SeededGenerator) -> JSONValue {
    var plan = plan
    let count = plan["values"]?.array?.count ?? 0
    guard count > 0 else { return plan }
    let value = Int.random(in: 0..<count, using: &random)
    var width = plan["values"]?.array?[value]["width"]?.int ?? 1
    let change = Int.random(in: 0..<5, using: &random)
    for (index, operation) in (plan["operations"]?.array ?? []).enumerated() where operation["attention"] != nil {
      guard operation["input"]?.int == value || operation["output"]?.int == value, let heads = operation["heads"]?.int,
        let keyValueHeads = operation["keyValueHeads"]?.int, let size = operation["headSize"]?.int
      else { continue }
      // Other heads for this attention alone, and both of its values with it.
      let new = change < 3 ? heads * (change + 2) : max(keyValueHeads, heads / 2)
      plan[at: "operations"][at: index][at: "heads"] = .int(new)
      for (value, width) in [("input", (new + 2 * keyValueHeads) * size), ("output", new * size)] {
        if let value = operation[value]?.int { plan = resize(plan, value, to: width) }
      }
      return plan
    }
    width = change == 0 ? width * 2 : change == 1 ? max(1, width / 2) : change == 2 ? width + 1 : change == 3 ? width + 16 : 1
    return resize(plan, value, to: width)
  }

  private static func resize(_ plan: JSONValue, _ first: Int, to width: Int) -> JSONValue {
    var plan = plan
    var open = [first], done: Set<Int> = []
    while let value = open.popLast() {
      guard done.insert(value).inserted else { continue }
      plan[at: "values"][at: value][at: "width"] = .int(width)
      for operation in plan["operations"]?.array ?? [] {
        func names(_ key: String) -> Bool { operation[key]?.int == value }
        switch operation.object?.keys.first {
        case "linear"?:
          guard let name = operation["linear"]?.string, var shape = plan["weights"]?[name]?["shape"]?.array?.compactMap(\.int), shape.count == 2
          else { continue }
          if names("output") { shape[0] = width }
          if names("input") { shape[1] = width }
          plan.reshape(weight: name, to: shape)
          if names("output"), let bias = operation["bias"]?.string { plan.reshape(weight: bias, to: [width]) }
        case "norm"?:
          let members = ["input", "output", "residual"].compactMap { operation[$0]?.int }
          guard members.contains(value), let name = operation.object?.values.first?.string else { continue }
          plan.reshape(weight: name, to: [width])
          open += members
        case "embed"? where names("output"):
          guard let name = operation["embed"]?.string, let rows = plan["weights"]?[name]?["shape"]?.array?.first?.int else { continue }
          plan.reshape(weight: name, to: [rows, width])
        case "add"?: if names("add") || names("to") { open += ["add", "to"].compactMap { operation[$0]?.int } }
        case "select"?: if names("select") || names("output") { open += ["select", "output"].compactMap { operation[$0]?.int } }
        default: break
        }
      }
    }
    // Buffers as wide as the widest value in them, as a planner makes them.
    var widths = [Int](repeating: 1, count: plan["slots"]?.array?.count ?? 0)
    for value in plan["values"]?.array ?? [] {
      guard let slot = value["slot"]?.int, widths.indices.contains(slot), let width = value["width"]?.int else { continue }
      widths[slot] = max(widths[slot], width)
    }
    plan[at: "slots"] = .ints(widths)
    return plan
  }
}
