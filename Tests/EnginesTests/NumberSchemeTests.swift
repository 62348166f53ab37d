import CPUBackend
import CPUKernels
import Checkpoints
import EngineFixtures
import Engines
import Execution
import JSON
import Safetensors
import Schemes
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Weights in fewer bits, through the whole of an engine's life.
@Suite struct NumberSchemeTests {
  struct Subject: CustomTestStringConvertible, Sendable {
    var scheme: NumberScheme
    var name: String
    var tensorParallel = 1
    var pipelineParallel = 1
    var testDescription: String { "\(scheme.name) \(name) tp \(tensorParallel) pp \(pipelineParallel)" }
    var mapping: Mapping { Mapping(tensorParallel: tensorParallel, pipelineParallel: pipelineParallel) }
  }
  static let subjects = NumberScheme.coded.flatMap { scheme in
    ["qwen3", "gemma3", "qwen2-tied", "qwen3-moe"].flatMap { name in
      [(1, 1), (2, 1), (1, 2), (2, 2)].map { Subject(scheme: scheme, name: name, tensorParallel: $0, pipelineParallel: $1) }
    }
  }
  private static let place = FilePath(#filePath).removingLastComponent().appending("Expected")
  private func model(_ name: String) -> FilePath { Self.place.appending("families").appending(name) }

  private func build(_ source: BuildSource, in life: Lifecycle, _ name: String, strip: Bool = false) async throws {
    var options = EngineBuilder.Options()
    options.workers = 2
    options.strip = strip
    options.scope = .all
    let builder = EngineBuilder(options: options, target: Unmeasured())
    _ = try await builder.write(try builder.prepare(source), of: source, to: life.directory(name))
  }

  @Test(arguments: subjects)
  func `an engine is the same by way of a checkpoint, of floats, of codes, of another engine, and filled`(_ subject: Subject) async throws {
    let life = Lifecycle.unmeasured()
    let path = model(subject.name)
    try CheckpointConverter(try ModelSource(path), mapping: subject.mapping, elementType: .bfloat16, scheme: subject.scheme)
      .write(to: life.directory("coded"))
    try CheckpointConverter(try ModelSource(path), mapping: subject.mapping, elementType: .bfloat16).write(to: life.directory("floats"))
    let floats = life.directory("floats"), coded = life.directory("coded")
    try await build(try BuildSource(path, elementType: .bfloat16, mapping: subject.mapping, scheme: subject.scheme), in: life, "engine")
    let engine = try EngineDirectory(life.directory("engine"))
    #expect(engine.ranks.allSatisfy { $0.plan.weights.values.contains { $0.scheme == subject.scheme } }, "or the test proves nothing")
    #expect(engine.ranks.allSatisfy { file in file.plan.weights.filter { $0.value.scheme == subject.scheme }.allSatisfy { $0.value.role == .attention || $0.value.role == .mlp } })
    try await build(try BuildSource(coded), in: life, "by-checkpoint")
    life.expectSame("by-checkpoint", "engine", "build(convert(A)) == build(A)")
    #expect(contents(life.directory("by-checkpoint").appending("config.json")) == contents(life.directory("engine").appending("config.json")))

    // From other weights, whatever they come as.
    try await build(try BuildSource(path, elementType: .bfloat16, mapping: subject.mapping), in: life, "plain")
    let other = try SmallModelShift.write(floats, to: life.directory, "other")
    try await life.refit("engine", with: other, to: "moved")
    #expect(life.rankFiles("moved") != life.rankFiles("engine"), "or the test proves nothing")
    for (source, name) in [(path, "model"), (floats, "floats"), (coded, "codes"), (life.directory("engine"), "engine"), (life.directory("plain"), "plain engine")] {
      try await life.refit("moved", with: source, to: "back from \(name)")
      life.expectSame("back from \(name)", "engine", "refit from \(name)")
      #expect(contents(life.directory("back from \(name)").appending("config.json")) == contents(life.directory("engine").appending("config.json")), "\(name)")
    }
    try await life.strip("engine", to: "stripped")
    for (source, name) in [(floats, "floats"), (coded, "codes")] {
      try await life.refit("stripped", with: source, to: "filled with \(name)")
      life.expectSame("filled with \(name)", "engine", "filled with \(name)")
    }
    let pruned = try Pruned.write(coded, life.directory, "pruned", everything: false)
    try await build(try BuildSource(pruned), in: life, "from-pruned")
    life.expectSame("from-pruned", "stripped", "a pruned checkpoint builds the stripped engine")
  }

  @Test(arguments: subjects.filter { $0.name != "gemma3" })
  func `an adapter needs the floats below it, and gives what building from merged floats gives`(_ subject: Subject) async throws {
    let life = Lifecycle.unmeasured()
    let path = model(subject.name), adapter = model(subject.name).appending("lora")
    try CheckpointConverter(try ModelSource(path), mapping: subject.mapping, elementType: .float32).write(to: life.directory("floats"))
    try await build(try BuildSource(path, elementType: .float32, mapping: subject.mapping, scheme: subject.scheme), in: life, "engine")
    let error = await #expect(throws: (any Error).self) { try await life.refit("engine", with: adapter, to: "refused") }
    #expect(
      "\(try #require(error))".contains(
        "holds \(subject.scheme.title) weights, and an adapter is added to float weights. Give those that it was trained on: with --base_checkpoint_dir, or as --checkpoint_dir beside --lora_dir."))
    // Floats of their own: an engine of plain float32, which the adapter is put on, is the merged model.
    try await build(try BuildSource(path, elementType: .float32, mapping: subject.mapping), in: life, "plain")
    try await life.refit("plain", with: adapter, to: "merged")
    try await life.refit("engine", with: SourceRequest(adapter, basePath: life.directory("floats")), to: "adapted")
    try await life.refit("engine", with: life.directory("merged"), to: "from merged")
    life.expectSame("adapted", "from merged", "encode(W + BA)")
    #expect(life.rankFiles("adapted") != life.rankFiles("engine"))
    try await life.refit("adapted", with: life.directory("floats"), to: "back")
    life.expectSame("back", "engine", "an adapter and then the base")
  }

  /// A checkpoint of wider floats is rounded to the engine's type first, as the model itself is.
  @Test func `floats of another type give the codes that the model gives`() async throws {
    let life = Lifecycle.unmeasured()
    let path = model("qwen3")
    try await build(try BuildSource(path, elementType: .bfloat16, scheme: .int8PerOutput), in: life, "engine")
    try CheckpointConverter(try ModelSource(path), mapping: Mapping(), elementType: .float32).write(to: life.directory("wide"))
    try await life.refit("engine", with: life.directory("wide"), to: "again")
    life.expectSame("again", "engine", "from float32")
  }

  /// Codes and scales by PyTorch, answers by transformers of the decoded weights (Scripts/reference/number_schemes.py).
  @Test(arguments: ["qwen3", "gemma3"])
  func `codes are those of PyTorch, and answers those of transformers`(_ name: String) async throws {
    let life = Lifecycle.unmeasured()
    let expected = Self.place.appending("schemes").appending("\(name)-W8A16")
    try CheckpointConverter(try ModelSource(model(name)), mapping: Mapping(), elementType: .float32, scheme: .int8PerOutput).write(to: life.directory("coded"))
    let parts = try SafetensorsFile(expected.appending("parts.safetensors"))
    let written = try SafetensorsFile(life.directory("coded").appending("rank0.safetensors"))
    var count = 0
    for layer in 0..<4 {
      for (ours, theirs) in [
        ("attention.qkv", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]), ("attention.dense", ["self_attn.o_proj"]),
        ("mlp.fc", ["mlp.gate_proj"]), ("mlp.gate", ["mlp.up_proj"]), ("mlp.proj", ["mlp.down_proj"]),
      ] {
        for (mine, part) in [("weight", "weight"), ("per_channel_scale", "scales")] {
          let wanted = try theirs.flatMap { try parts.bytes(of: "model.layers.\(layer).\($0).\(part)") }
          #expect(try written.bytes(of: "transformer.layers.\(layer).\(ours).\(mine)") == wanted, "layer \(layer) \(ours) \(mine)")
          count += 1
        }
      }
    }
    #expect(count == 40)

    try await build(try BuildSource(life.directory("coded")), in: life, "engine")
    let json = try JSONValue(parsing: try #require(contents(expected.appending("expected.json"))))
    let ids = try #require(json["ids"]?.array).compactMap(\.int).map { Int32($0) }
    let wanted = try #require(json["logprobs"]?.array).map { ($0.array ?? []).compactMap(\.double) }
    let engine = try CPUEngine(try EngineDirectory(life.directory("engine")))
    let blocks = (0..<Int32((ids.count + 15) / 16)).map { $0 }
    // Token by token inputs stay float32; a prompt's are rounded to bfloat16.
    var worst = (token: 0.0, prompt: 0.0)
    var seen = 0
    func distance(_ row: [Float], _ wanted: [Double]) -> Double {
      let values = row.map(Double.init), top = row.map(Double.init).max() ?? 0
      let sum = top + log(values.reduce(0) { $0 + exp($1 - top) })
      return zip(values, wanted).reduce(0) { max($0, abs($1.0 - sum - $1.1)) }
    }
    for (position, id) in ids.enumerated() {
      let slice = SequenceSlice(rows: 0..<1, firstPosition: position, blockTable: blocks, phase: .decode, logitRows: 1)
      unsafe try engine.step(Batch(tokens: [id], sequences: [slice])) { _, logits in worst.token = unsafe max(worst.token, distance(Array(logits), wanted[position])) }
    }
    for start in [0, 40] {
      let rows = start..<min(ids.count, start + 40)
      let slice = SequenceSlice(rows: 0..<rows.count, firstPosition: start, blockTable: blocks, phase: .prefill, logitRows: rows.count)
      unsafe try engine.step(Batch(tokens: Array(ids[rows]), sequences: [slice])) { _, logits in
        worst.prompt = unsafe max(worst.prompt, distance(Array(logits), wanted[seen]))
        seen += 1
      }
    }
    #expect(worst.token < 2e-3 && worst.prompt < 0.15, "\(worst)")
    #expect(worst.prompt > worst.token, "or prompts are not rounded, and the documents are wrong")
  }

  @Test func `what cannot be W8A16 is refused with its reason`() async throws {
    let life = Lifecycle.unmeasured()
    let path = model("qwen3")
    try CheckpointConverter(try ModelSource(path), mapping: Mapping(), elementType: .bfloat16, scheme: .int8PerOutput).write(to: life.directory("coded"))
    func edited(_ name: String, _ edit: (inout JSONObject) -> Void) throws -> FilePath {
      for (file, bytes) in snapshot(life.directory("coded")) where file != "config.json" { life.directory.write("\(name)/\(file)", bytes) }
      let text = try #require(contents(life.directory("coded").appending("config.json")))
      var config = try #require(try JSONValue(parsing: text).object)
      edit(&config)
      life.directory.write("\(name)/config.json", JSONValue.object(config).serialized())
      return life.directory(name)
    }
    func refusal(_ path: FilePath) async -> String {
      do { try await build(try BuildSource(path), in: life, "never"); return "" } catch { return "\(error)" }
    }
    // As upstream writes them: codes in the order of a GPU.
    let foreign = await refusal(try edited("foreign") { $0["drydock"] = nil })
    #expect(foreign.contains("holds whole numbers in the order of a GPU model that is not named: convert the model again, with --quantization W8A16"), "\(foreign)")
    let split = await refusal(
      try edited("split") {
        var quantization = $0["quantization"]?.object ?? [:]
        quantization["exclude_modules"] = ["*.mlp.fc"]
        $0["quantization"] = .object(quantization)
      })
    #expect(split.contains("quantization.exclude_modules") && split.contains("leaves out some of"), "\(split)")
    // An engine of floats takes no codes.
    try await build(try BuildSource(path, elementType: .bfloat16), in: life, "plain")
    let error = await #expect(throws: RefitError.self) { try await life.refit("plain", with: life.directory("coded"), to: "never") }
    #expect("\(try #require(error))".contains("quantization.quant_algo"))
    #expect(!"\(try #require(error))".contains("element type mismatch"), "one cause, one message")
    #expect(names(in: life.directory("never")) == nil)
  }
}

/// A checkpoint with other values: each 16-bit element one step further from zero.
private enum SmallModelShift {
  static func write(_ checkpoint: FilePath, to directory: TemporaryDirectory, _ name: String) throws -> FilePath {
    for (file, bytes) in snapshot(checkpoint) {
      guard file.hasSuffix(".safetensors") else { directory.write("\(name)/\(file)", bytes); continue }
      var bytes = bytes
      let header = 8 + bytes[..<8].enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
      for index in stride(from: header, to: bytes.count, by: 2) { bytes[index] ^= 0x15 }
      directory.write("\(name)/\(file)", bytes)
    }
    return directory(name)
  }
}
