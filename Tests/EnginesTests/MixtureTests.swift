import CPUBackend
import CPUKernels
import Checkpoints
import EngineFixtures
import Engines
import Execution
import Families
import Files
import JSON
import Networks
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Mixtures of experts through the whole of an engine's life, and on the CPU. What they compute is compared in ``FamilyTests``.
@Suite struct MixtureTests {
  private static let place = FilePath(#filePath).removingLastComponent().appending("Expected/families")

  private func convert(
    _ name: String, in life: Lifecycle, _ mapping: Mapping = Mapping(), type: ElementType = .float32, to target: String = "checkpoint"
  ) throws -> FilePath {
    try CheckpointConverter(try ModelSource(Self.place.appending(name)), mapping: mapping, elementType: type).write(to: life.directory(target))
    return life.directory(target)
  }

  /// A checkpoint of more experts than one register holds, some of which no row goes to.
  private static func many(_ type: ElementType) -> SmallMixture { SmallMixture(experts: 21, chosen: 5, type: type) }

  private func engine(_ life: Lifecycle, threads: Int, isa: InstructionSet = .best) throws -> CPUEngine {
    var options = ExecutorOptions()
    options.threadCount = threads
    options.maximumSequences = 12
    options.maximumBatchRows = 1200
    return try CPUEngine(try EngineDirectory(life.directory("engine")), options: options, instructionSet: isa)
  }

  private func step(_ engine: CPUEngine, _ slices: [(ids: [Int32], first: Int, sequence: Int, phase: SequenceSlice.Phase)]) throws -> [[Float]] {
    var batch = Batch(tokens: [], sequences: [])
    for slice in slices {
      let start = batch.tokens.count
      batch.tokens += slice.ids
      batch.sequences.append(
        SequenceSlice(
          rows: start..<batch.tokens.count, firstPosition: slice.first, blockTable: (0..<8).map { Int32(slice.sequence * 8 + $0) }, phase: slice.phase,
          wantsLogits: true))
    }
    var result = [[Float]](repeating: [], count: slices.count)
    unsafe try engine.step(batch) { index, logits in unsafe result[index] = Array(logits) }
    return result
  }

  /// To the bit: not on which rows share the step, on how many rows are gathered at a time, or on how work is shared out.
  @Test(arguments: [ElementType.float32, .bfloat16, .float16], [1, 2, 3, 7])
  func `a row's answer does not depend on its company or on threads`(_ type: ElementType, _ threads: Int) async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try Self.many(type).write(life.directory, "A", seed: 70), "engine")
    var random = SeededGenerator(seed: 71)
    let prompts = (0..<9).map { _ in (0..<100).map { _ in Int32.random(in: 0..<37, using: &random) } }
    let alone = try engine(life, threads: 1)
    var wanted: [[[Float]]] = []
    for prompt in prompts {
      let first = try step(alone, [(prompt, 0, 0, .prefill)])[0]
      wanted.append([first, try step(alone, [([5], 100, 0, .decode)])[0], try step(alone, [([6], 101, 0, .decode)])[0]])
    }
    #expect(Set(wanted.flatMap { $0.flatMap(\.self) }.map(\.bitPattern)).count > 500, "or the test proves nothing")
    let together = try engine(life, threads: threads)
    // 900 rows at once, which is more than are gathered together.
    #expect(try step(together, prompts.enumerated().map { ($1, 0, $0, .prefill) }) == wanted.map { $0[0] })
    #expect(try step(together, prompts.indices.map { ([5], 100, $0, .decode) }) == wanted.map { $0[1] })
    // Both phases in one step, prompts in pieces.
    let again = try engine(life, threads: threads)
    _ = try step(again, prompts.enumerated().map { (Array($1[..<40]), 0, $0, .prefill) })
    _ = try step(again, [(Array(prompts[0][40...]), 40, 0, .prefill), (Array(prompts[1][40...]), 40, 1, .prefill)])
    _ = try step(again, [([5], 100, 0, .decode), (Array(prompts[2][40..<70]), 40, 2, .prefill), ([5], 100, 1, .decode)])
    let mixed = try step(again, [([6], 101, 0, .decode), (Array(prompts[2][70...]), 70, 2, .prefill), ([6], 101, 1, .decode)])
    #expect(mixed == [wanted[0][2], wanted[2][0], wanted[1][2]])
  }

  /// Whatever kernel variants a plan names.
  @Test func `a tactic changes no answer`() async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try Self.many(.bfloat16).write(life.directory, "A", seed: 72), "engine")
    let prompt: [Int32] = (0..<90).map { $0 * 7 % 37 }
    // With tiles there is one variant for prompts.
    let set = InstructionSet.best == .amx ? .avx512 : InstructionSet.best
    let isa = set.kernels
    func answers(_ name: String) throws -> [[Float]] {
      let engine = try CPUEngine(try EngineDirectory(life.directory(name)), instructionSet: set)
      return [try step(engine, [(prompt, 0, 0, .prefill)])[0], try step(engine, [([3], 90, 0, .decode)])[0]]
    }
    let wanted = try answers("engine")
    let whole = try EngineForge(life.directory("engine"))
    let names = { (count: Int32, name: (Int32) -> UnsafePointer<CChar>?) in (0..<count).compactMap { unsafe name($0).map { unsafe String(cString: $0) } } }
    let decode = unsafe names(dk_decode_tactic_count(isa)) { unsafe dk_decode_tactic_name(isa, $0) }
    let prefill = unsafe names(dk_prefill_tactic_count(isa, DK_BF16)) { unsafe dk_prefill_tactic_name(isa, DK_BF16, $0) }
    for index in 0..<max(decode.count, prefill.count) {
      var forge = whole
      for rank in forge.plans.indices {
        let tactics = try #require(forge.plans[rank]["tactics"]?.array)
        #expect(!tactics.isEmpty)
        for place in tactics.indices {
          forge.plans[rank][at: "tactics"][at: place][at: "decode"] = .string(decode[index % decode.count])
          forge.plans[rank][at: "tactics"][at: place][at: "prefill"] = .string(prefill[index % prefill.count])
        }
      }
      #expect(try forge.write(to: life.directory("forged")))
      #expect(try answers("forged") == wanted, "\(index)")
      remove(life.directory("forged"))
    }
  }

  /// A file may say that every row goes to every expert: rows go to no more than there is room for.
  @Test func `an adapter of stacks may name the projections of other layers, too`() async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try convert("qwen3-moe", in: life), "engine")
    let lora = Self.place.appending("qwen3-moe/lora")
    for (name, bytes) in snapshot(lora) { life.directory.write("lora/\(name)", bytes) }
    var config = try #require(try JSONValue(parsing: contents(lora.appending("adapter_config.json")) ?? []).object)
    #expect(config["target_parameters"]?.array?.isEmpty == false)
    config["target_modules"] = .strings((config["target_modules"]?.array ?? []).compactMap(\.string) + ["gate_proj", "up_proj", "down_proj"])
    life.directory.write("lora/adapter_config.json", JSONValue.object(config).serialized())
    try await life.refit("engine", with: lora, to: "adapted")
    try await life.refit("engine", with: life.directory("lora"), to: "named")
    life.expectSame("adapted", "named", "projections named besides")
  }

  @Test func `shares that no routing gave lead nowhere`() async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try Self.many(.float32).write(life.directory, "A", seed: 73), "engine")
    var forge = try EngineForge(life.directory("engine"))
    let operations = try #require(forge.plans[0]["operations"]?.array)
    let routings = operations.indices.filter { operations[$0]["routing"] != nil }
    #expect(!routings.isEmpty)
    for index in routings {
      let routing = operations[index]
      forge.plans[0][at: "operations"][at: index] = [
        "linear": try #require(routing["routing"]), "input": try #require(routing["input"]), "output": try #require(routing["output"]),
      ]
    }
    #expect(try forge.write(to: life.directory("forged")))
    let engine = try CPUEngine(try EngineDirectory(life.directory("forged")))
    #expect(try step(engine, [((0..<60).map { $0 % 37 }, 0, 0, .prefill)])[0].allSatisfy(\.isFinite))
  }

  @Test func `a checkpoint holds stacks as upstream's do, and a router in float32`() throws {
    let life = Lifecycle()
    for (mapping, experts, width) in [
      (Mapping(), 6, 32), (Mapping(tensorParallel: 2), 6, 16), (Mapping(tensorParallel: 2, expertParallel: 2), 3, 32),
      (Mapping(tensorParallel: 4, expertParallel: 2), 3, 16),
    ] {
      let path = try convert("qwen3-moe", in: life, mapping, type: .bfloat16)
      for rank in 0..<mapping.worldSize {
        let file = try SafetensorsFile(path.appending("rank\(rank).safetensors"))
        func expect(_ name: String, _ shape: [Int], _ type: ElementType) {
          #expect(file.header["transformer.layers.0.mlp.\(name)"]?.description == TensorDescription(shape: shape, elementType: type))
        }
        expect("router.weight", [6, 32], .float32)
        expect("fc.weight", [experts, 2 * width, 32], .bfloat16)
        expect("proj.weight", [experts, 32, width], .bfloat16)
      }
      remove(path)
    }
    // Of an expert the rows of `up_proj` come first; the second group of ranks begins with expert 3.
    let path = try convert("qwen3-moe", in: life, Mapping(tensorParallel: 2, expertParallel: 2))
    let file = try SafetensorsFile(path.appending("rank1.safetensors")), model = try SafetensorsFile(Self.place.appending("qwen3-moe/model.safetensors"))
    let stack = try file.bytes(of: "transformer.layers.1.mlp.fc.weight")
    let matrix = 32 * 32 * 4
    let (up, gate) = (try model.bytes(of: "model.layers.1.mlp.experts.3.up_proj.weight"), try model.bytes(of: "model.layers.1.mlp.experts.4.gate_proj.weight"))
    #expect(Array(stack[0..<matrix]) == up && Array(stack[3 * matrix..<4 * matrix]) == gate)
  }

  /// As `torch.save` of a model's own state would have it.
  @Test(arguments: ["qwen3-moe-mixed", "mixtral"]) func `files with stacks of experts give the same checkpoint`(_ name: String) throws {
    let life = Lifecycle()
    let whole = try SafetensorsFile(Self.place.appending(name).appending("model.safetensors"))
    let isMixtral = name == "mixtral"
    let block = isMixtral ? "block_sparse_moe" : "mlp"
    var tensors: [(name: String, shape: [Int], bytes: [UInt8])] = []
    for entry in whole.header.entries where !entry.name.contains(".experts.") {
      tensors.append((entry.name.replacing("block_sparse_moe.gate", with: "mlp.gate"), entry.description.shape, try whole.bytes(of: entry.name)))
    }
    for layer in 0..<4 where whole.header["model.layers.\(layer).\(block).gate.weight"] != nil {
      func bytes(_ expert: Int, _ module: String) throws -> [UInt8] {
        try whole.bytes(of: "model.layers.\(layer).\(block).experts.\(expert).\(module).weight")
      }
      let (gate, up, down) = isMixtral ? ("w1", "w3", "w2") : ("gate_proj", "up_proj", "down_proj")
      tensors.append(("model.layers.\(layer).mlp.experts.gate_up_proj", [4, 64, 32], try (0..<4).flatMap { try bytes($0, gate) + bytes($0, up) }))
      tensors.append(("model.layers.\(layer).mlp.experts.down_proj", [4, 32, 32], try (0..<4).flatMap { try bytes($0, down) }))
    }
    #expect(tensors.contains { $0.shape.count == 3 })
    life.directory.write("model/config.json", contents(Self.place.appending(name).appending("config.json")) ?? [])
    let file = try WritableFile(creating: life.directory("model/model.safetensors"))
    let writer = try SafetensorsWriter(file: file, tensors: tensors.map { ($0.name, TensorDescription(shape: $0.shape, elementType: .float32)) })
    for tensor in tensors { try writer.write(tensor.name, tensor.bytes) }
    try file.close()
    let mapping = Mapping(tensorParallel: 2)
    try CheckpointConverter(try ModelSource(life.directory("model")), mapping: mapping, elementType: .bfloat16).write(to: life.directory("of-stacks"))
    let checkpoint = try convert(name, in: life, mapping, type: .bfloat16)
    for rank in 0..<2 {
      #expect(contents(life.directory("of-stacks").appending("rank\(rank).safetensors")) == contents(checkpoint.appending("rank\(rank).safetensors")))
    }
  }

  @Test(arguments: ["qwen3-moe-mixed", "mixtral"], [Mapping(), Mapping(tensorParallel: 2, pipelineParallel: 2), Mapping(tensorParallel: 2, expertParallel: 2)])
  func `build, refit, strip, prune and an engine as a source give the same bytes`(_ name: String, _ mapping: Mapping) async throws {
    let life = Lifecycle.unmeasured()
    let checkpoint = try convert(name, in: life, mapping, type: .bfloat16)
    try await life.build(checkpoint, "engine", scope: .all)
    try await life.build(try Pruned.write(checkpoint, life.directory, "pruned", everything: false), "from-pruned", scope: .all)
    try await life.strip("engine", to: "stripped")
    life.expectSame("from-pruned", "stripped", "build(prune(A)) == strip(build(A))")
    try await life.refit("from-pruned", with: checkpoint, to: "filled")
    life.expectSame("filled", "engine", "filled")
    // Other weights, and back: from the checkpoint, from the model, from an engine.
    let other = try Negated.write(checkpoint, life.directory, "other")
    try await life.build(other, "engine-of-other", scope: .all)
    try await life.refit("engine", with: other, to: "moved")
    life.expectSame("moved", "engine-of-other", "refit(build(A), B) == build(B)")
    #expect(life.rankFiles("moved") != life.rankFiles("engine"))
    for (source, what) in [(checkpoint, "checkpoint"), (Self.place.appending(name), "model"), (life.directory("engine"), "engine")] {
      try await life.refit("moved", with: source, to: "back from \(what)")
      life.expectSame("back from \(what)", "engine", "back from \(what)")
    }
  }

  /// An adapter by the names that transformers 4 had, where each expert's projections were modules.
  @Test func `an adapter on single experts changes those alone`() async throws {
    let life = Lifecycle.unmeasured()
    let checkpoint = try convert("qwen3-moe", in: life)
    try await life.build(checkpoint, "engine")
    var random = SeededGenerator(seed: 74)
    func factor(_ rows: Int, _ columns: Int) -> (shape: [Int], values: [Float]) {
      ([rows, columns], (0..<rows * columns).map { _ in Float.random(in: -0.3...0.3, using: &random) })
    }
    let modules = [("experts.2.gate_proj", 32, 32), ("experts.5.down_proj", 32, 32), ("experts.0.up_proj", 32, 32)]
    var factors: [String: (shape: [Int], values: [Float])] = [:]
    for (module, outputs, inputs) in modules {
      factors["\(module).lora_A"] = factor(4, inputs)
      factors["\(module).lora_B"] = factor(outputs, 4)
    }
    let named = factors.map { ("base_model.model.model.layers.1.mlp.\($0.key).weight", $0.value) }.sorted { $0.0 < $1.0 }
    makeDirectory(life.directory("lora"))
    life.directory.write("lora/adapter_config.json", #"{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["gate_proj", "up_proj", "down_proj"]}"#)
    let file = try WritableFile(creating: life.directory("lora/adapter_model.safetensors"))
    let writer = try SafetensorsWriter(file: file, tensors: named.map { ($0.0, TensorDescription(shape: $0.1.shape, elementType: .float32)) })
    for (name, factor) in named { try unsafe factor.values.withUnsafeBytes { try unsafe writer.write(name, at: 0, $0) } }
    try file.close()
    try await life.refit("engine", with: life.directory("lora"), to: "adapted")
    let (before, after) = (EngineWeights(try EngineDirectory(life.directory("engine")).ranks), EngineWeights(try EngineDirectory(life.directory("adapted")).ranks))
    func floats(_ source: EngineWeights, _ name: String) throws -> [Float] {
      try unsafe source.bytes(of: name, rank: 0).withUnsafeBytes { unsafe Array($0.bindMemory(to: Float.self)) }
    }
    for (stack, rows) in [("fc", 64), ("proj", 32)] {
      let name = "transformer.layers.1.mlp.\(stack).weight"
      let (old, new) = (try floats(before, name), try floats(after, name))
      var wanted = old.map(Double.init)
      for (module, outputs, inputs) in modules where module.hasSuffix("down_proj") == (stack == "proj") {
        let (a, b) = (try #require(factors["\(module).lora_A"]).values, try #require(factors["\(module).lora_B"]).values)
        let expert = try #require(Int(module.split(separator: ".")[1]))
        let first = expert * rows + (module.hasSuffix("gate_proj") ? 32 : 0)
        for row in 0..<outputs {
          for column in 0..<inputs {
            wanted[(first + row) * inputs + column] += 2 * (0..<4).reduce(0.0) { $0 + Double(b[row * 4 + $1]) * Double(a[$1 * inputs + column]) }
          }
        }
      }
      #expect(zip(new, wanted).allSatisfy { abs(Double($0) - $1) < 1e-5 }, "\(stack)")
      #expect(zip(new, old).count { $0 != $1 } <= (stack == "proj" ? 1 : 2) * 32 * 32)
    }
  }
}

/// A checkpoint with every weight's sign turned.
private enum Negated {
  static func write(_ checkpoint: FilePath, _ directory: TemporaryDirectory, _ name: String) throws -> FilePath {
    for (file, bytes) in snapshot(checkpoint) {
      guard file.hasSuffix(".safetensors") else { directory.write("\(name)/\(file)", bytes); continue }
      var bytes = bytes
      let header = 8 + bytes[..<8].enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
      for index in stride(from: header + 1, to: bytes.count, by: 2) { bytes[index] ^= 0x80 }
      directory.write("\(name)/\(file)", bytes)
    }
    return directory(name)
  }
}

/// A Mixtral checkpoint of random numbers, written as the format says and by nobody's converter.
private struct SmallMixture {
  var experts: Int
  var chosen: Int
  var type: ElementType
  let hidden = 48, width = 24, layers = 2, vocabulary = 37

  func write(_ directory: TemporaryDirectory, _ name: String, seed: UInt64) throws -> FilePath {
    var random = SeededGenerator(seed: seed)
    let model = SmallModel(
      hidden: hidden, intermediate: width, layers: layers, vocabulary: vocabulary, type: type, tied: false,
      members: ["architecture": "MixtralForCausalLM", "moe": ["num_experts": .int(experts), "top_k": .int(chosen), "normalization_mode": 1]])
    var tensors = model.tensors(rank: 0, seed: seed).filter { !$0.name.contains(".mlp.") }.map { ($0.name, $0.shape, $0.matrix.bytes(type), type) }
    for layer in 0..<layers {
      let prefix = "transformer.layers.\(layer).mlp."
      for (name, shape, type) in [
        ("router", [experts, hidden], ElementType.float32), ("fc", [experts, 2 * width, hidden], type), ("proj", [experts, hidden, width], type),
      ] {
        let values = Matrix(rows: shape.reduce(1, *), columns: 1) { Float.random(in: -0.25...0.25, using: &random) }
        tensors.append((prefix + name + ".weight", shape, values.bytes(type), type))
      }
    }
    directory.write("\(name)/config.json", model.config.serialized())
    directory.write("\(name)/tokenizer.json", "{}")
    let file = try WritableFile(creating: directory(name).appending("rank0.safetensors"))
    let writer = try SafetensorsWriter(file: file, tensors: tensors.map { ($0.0, TensorDescription(shape: $0.1, elementType: $0.3)) })
    for tensor in tensors { try writer.write(tensor.0, tensor.2) }
    try file.close()
    return directory(name)
  }
}
