import Checkpoints
import EngineFixtures
import Engines
import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// The four equalities of docs/architecture.md, byte for byte.
@Suite struct EqualityTests {
  @Test(arguments: SmallModel.all)
  func `refitting A with B is building B with A's timing cache`(_ model: SmallModel) async throws {
    let life = Lifecycle()
    let a = try model.write(life.directory, "A", seed: 1)
    let b = try model.write(life.directory, "B", seed: 2)
    let built = try await life.build(a, "engine-A", scope: .all)
    try await life.refit("engine-A", with: b, to: "refitted")
    try await life.build(b, "engine-B", scope: .all, timingCache: built.timingCache)
    life.expectSame("refitted", "engine-B", "refit(build(A), B) == build(B)")
    #expect(life.rankFiles("engine-A") != life.rankFiles("engine-B"), "A and B differ, or this proves nothing")
  }

  @Test(arguments: SmallModel.all, RefitScope.allCases)
  func `filling a stripped engine gives the engine again`(_ model: SmallModel, _ scope: RefitScope) async throws {
    let life = Lifecycle()
    let a = try model.write(life.directory, "A", seed: 3)
    let built = try await life.build(a, "full", scope: scope)
    try await life.strip("full", to: "stripped")
    #expect(try EngineDirectory(life.directory("stripped")).ranks.allSatisfy { $0.isStripped })
    try await life.build(a, "built-stripped", strip: true, scope: scope, timingCache: built.timingCache)
    life.expectSame("stripped", "built-stripped", "strip(build(A)) == build(A, strip)")
    try await life.refit("stripped", with: a, to: "filled")
    life.expectSame("filled", "full", "refit(strip(build(A)), A) == build(A)")
  }

  @Test(arguments: SmallModel.all, [false, true])
  func `a pruned checkpoint builds the stripped engine, which refits to the full one`(
    _ model: SmallModel, _ everything: Bool
  ) async throws {
    let life = Lifecycle()
    let a = try model.write(life.directory, "A", seed: 4)
    let built = try await life.build(a, "full")
    let pruned = try Pruned.write(a, life.directory, "pruned", everything: everything)
    try await life.build(pruned, "from-pruned", timingCache: built.timingCache)
    if !everything {
      try await life.strip("full", to: "stripped")
      life.expectSame("from-pruned", "stripped", "build(prune(A)) is the stripped build(A)")
    }
    #expect(try EngineDirectory(life.directory("from-pruned")).ranks.allSatisfy { $0.isStripped })
    try await life.refit("from-pruned", with: a, to: "filled")
    life.expectSame("filled", "full", "refit(build(prune(A)), A) == build(A)")
  }

  @Test(arguments: SmallModel.all.filter { $0.parallelEmbedding == nil })
  func `a LoRA and then the base give the first file again`(_ model: SmallModel) async throws {
    let life = Lifecycle()
    let a = try model.write(life.directory, "A", seed: 5)
    try await life.build(a, "base")
    let adapter = try Adapter.write(model, life.directory, "lora", seed: 6)
    try await life.refit("base", with: adapter, to: "adapted")
    #expect(life.rankFiles("adapted") != life.rankFiles("base"))
    try await life.refit("adapted", with: a, to: "back")
    life.expectSame("back", "base", "refit(refit(E, LoRA), A) == E")
    // The engine's own weights and the checkpoint's are the same base.
    try await life.refit("adapted", with: SourceRequest(adapter, basePath: a), to: "adapted-again")
    life.expectSame("adapted-again", "adapted", "LoRA over the checkpoint == LoRA over the engine")
  }

  @Test func `refitting in place replaces the engine`() async throws {
    let life = Lifecycle()
    let model = SmallModel(tensorParallel: 2)
    let (a, b) = (try model.write(life.directory, "A", seed: 7), try model.write(life.directory, "B", seed: 8))
    let built = try await life.build(a, "engine", scope: .all)
    try await life.build(b, "wanted", scope: .all, timingCache: built.timingCache)
    try await life.refit("engine", with: b, to: "engine")
    life.expectSame("engine", "wanted", "in place")
  }

  @Test func `an engine is a source for another of the same plan`() async throws {
    let life = Lifecycle()
    let model = SmallModel(pipelineParallel: 2)
    let (a, b) = (try model.write(life.directory, "A", seed: 9), try model.write(life.directory, "B", seed: 10))
    let built = try await life.build(a, "A-engine", scope: .all)
    try await life.build(b, "B-engine", scope: .all, timingCache: built.timingCache)
    try await life.refit("A-engine", with: life.directory("B-engine"), to: "copy")
    life.expectSame("copy", "B-engine", "refit(A, engine of B) == engine of B")
  }
}

/// Prunes by the documented names, independently of the product's pruner.
enum Pruned {
  static func write(_ source: FilePath, _ directory: TemporaryDirectory, _ name: String, everything: Bool) throws -> FilePath {
    makeDirectory(directory(name))
    let json = try JSONValue(parsing: contents(source.appending("config.json")) ?? [])
    var config = try #require(json.object)
    config["is_pruned"] = true
    directory.write("\(name)/config.json", JSONValue.object(config).serialized())
    directory.write("\(name)/tokenizer.json", "{}")
    let words = ["attention.qkv.weight", "attention.dense.weight", "mlp.fc.weight", "mlp.proj.weight", "mlp.gate.weight"]
    for file in try #require(names(in: source)) where file.hasSuffix(".safetensors") {
      let full = try SafetensorsFile(source.appending(file))
      func empties(_ name: String) -> Bool { everything || words.contains { name.hasSuffix($0) } }
      let output = try WritableFile(creating: directory(name).appending(file))
      let writer = try SafetensorsWriter(
        file: output,
        tensors: full.header.entries.map {
          ($0.name, empties($0.name) ? TensorDescription(shape: [0], elementType: $0.description.elementType) : $0.description)
        })
      for entry in full.header.entries where !empties(entry.name) { try writer.write(entry.name, try full.bytes(of: entry.name)) }
      try output.close()
    }
    return directory(name)
  }
}

/// A PEFT adapter of random numbers over some of a small model's linear layers.
enum Adapter {
  static func write(_ model: SmallModel, _ directory: TemporaryDirectory, _ name: String, seed: UInt64, rank: Int = 3) throws -> FilePath {
    makeDirectory(directory(name))
    directory.write(
      "\(name)/adapter_config.json",
      #"{"peft_type": "LORA", "r": \#(rank), "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"], "bias": "none"}"#)
    var random = SeededGenerator(seed: seed)
    var tensors: [(String, [Int], Matrix)] = []
    for layer in 0..<model.layers {
      for (module, inputs, outputs) in [
        ("self_attn.q_proj", model.hidden, model.heads * model.headSize),
        ("self_attn.v_proj", model.hidden, model.keyValueHeads * model.headSize),
        ("self_attn.o_proj", model.heads * model.headSize, model.hidden),
        ("mlp.gate_proj", model.hidden, model.intermediate), ("mlp.down_proj", model.intermediate, model.hidden),
      ] {
        let prefix = "base_model.model.model.layers.\(layer).\(module)."
        let a = Matrix(rows: rank, columns: inputs) { .random(in: -0.3...0.3, using: &random) }
        let b = Matrix(rows: outputs, columns: rank) { .random(in: -0.3...0.3, using: &random) }
        tensors += [(prefix + "lora_A.weight", [rank, inputs], a), (prefix + "lora_B.weight", [outputs, rank], b)]
      }
    }
    let file = try WritableFile(creating: directory(name).appending("adapter_model.safetensors"))
    let writer = try SafetensorsWriter(file: file, tensors: tensors.map { ($0.0, TensorDescription(shape: $0.1, elementType: .float32)) })
    for tensor in tensors { try writer.write(tensor.0, tensor.2.bytes(.float32)) }
    try file.close()
    return directory(name)
  }
}
