import CPUBackend
import CPUKernels
import Checkpoints
import EngineFixtures
import Engines
import Execution
import Families
import JSON
import SystemPackage
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

/// Every family against what transformers and PEFT compute of the same tiny random model (Scripts/reference/family_models.py), at
/// every mapping.
@Suite struct FamilyTests {
  struct Subject: CustomTestStringConvertible, Sendable {
    var name: String
    var tensorParallel: Int
    var pipelineParallel: Int
    var expertParallel = 1
    var testDescription: String { "\(name) tp \(tensorParallel) pp \(pipelineParallel)\(expertParallel == 1 ? "" : " ep \(expertParallel)")" }
    var mapping: Mapping { Mapping(tensorParallel: tensorParallel, pipelineParallel: pipelineParallel, expertParallel: expertParallel) }
  }
  private static let names =
    [
      "qwen2", "qwen2-tied", "qwen3", "qwen3-tied", "gemma3", "gemma3-bfloat16", "gemma3-capped",
      "gemma2",
      "granite",
      "smollm3",
      "exaone4", "exaone4-whole",
    ] + mixtures
  /// Of families whose layers stay on one rank.
  private static let unsplit = ["olmo2"]
  private static let mixtures = ["qwen3-moe", "qwen3-moe-mixed", "mixtral"]
  static let all: [Subject] =
    subjects(names, [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2)]) + subjects(mixtures, [(2, 1), (4, 1), (2, 2)], expertParallel: 2)
    + subjects(unsplit, [(1, 1), (1, 2), (1, 4)])

  /// - Parameter mappings: Of tensor-parallel ranks and pipeline stages.
  private static func subjects(_ names: [String], _ mappings: [(Int, Int)], expertParallel: Int = 1) -> [Subject] {
    names.flatMap { name in
      mappings.map { Subject(name: name, tensorParallel: $0.0, pipelineParallel: $0.1, expertParallel: expertParallel) }
    }
  }
  /// What llama.cpp has no format for.
  private static let withoutGGUF: Set<String> = ["qwen3-moe-mixed"]
  /// What is said of configurations, where anything is.
  private static let warned = ["gemma3-capped": ["attn_logit_softcapping"]]
  private static let place = FilePath(#filePath).removingLastComponent().appending("Expected/families")

  private func expected(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: try #require(contents(Self.place.appending(name).appending("expected.json"))))
  }

  private func convert(_ subject: Subject, _ file: String, in life: Lifecycle, _ name: String) throws -> FilePath {
    let path = Self.place.appending(subject.name)
    let source = try ModelSource(file.isEmpty ? path : path.appending(file))
    // The same model lies there in llama.cpp's format, too.
    #expect(source.warnings.map(\.subject) == (file.isEmpty ? (Self.withoutGGUF.contains(subject.name) ? [] : ["model.gguf"]) + (Self.warned[subject.name] ?? []) : []), "\(source.warnings)")
    try CheckpointConverter(source, mapping: subject.mapping, elementType: .float32).write(to: life.directory(name))
    return life.directory(name)
  }

  /// The logits of every row, prompts cut into pieces.
  private func scores(_ engine: CPUEngine, _ ids: [Int32]) throws -> [[Float]] {
    var rows: [[Float]] = []
    let blocks = (0..<Int32((ids.count + 15) / 16)).map { $0 }
    var start = 0
    while start < ids.count {
      let end = min(start + 20, ids.count)
      let slice = SequenceSlice(rows: 0..<end - start, firstPosition: start, blockTable: blocks, phase: .prefill, logitRows: end - start)
      unsafe try engine.step(Batch(tokens: Array(ids[start..<end]), sequences: [slice])) { _, logits in unsafe rows.append(Array(logits)) }
      start = end
    }
    return rows
  }

  private func check(_ path: FilePath, _ wanted: JSONValue, _ ids: [Int32], _ what: String) throws {
    let engine = try CPUEngine(try EngineDirectory(path))
    let rows = try scores(engine, ids)
    let logprobs = try #require(wanted["logprobs"]?.array)
    #expect(rows.count == ids.count && logprobs.count == ids.count)
    var worst = 0.0
    for (row, wanted) in zip(rows, logprobs) {
      let values = row.map(Double.init)
      let top = values.max() ?? 0
      let sum = top + log(values.reduce(0) { $0 + exp($1 - top) })
      for (value, wanted) in zip(values, (wanted.array ?? []).compactMap(\.double)) { worst = max(worst, abs(value - sum - wanted)) }
    }
    #expect(worst < 2e-3, "\(what): log-probabilities are \(worst) off")
    var found = Array(ids[0..<9])
    var next = try scores(engine, found).last ?? []
    let greedy = try #require(wanted["greedy"]?.array).compactMap(\.int)
    while found.count < 9 + greedy.count {
      let best = Int32(next.firstIndex(of: next.max() ?? 0) ?? 0)
      let blocks = (0..<Int32((found.count + 16) / 16)).map { $0 }
      let slice = SequenceSlice(rows: 0..<1, firstPosition: found.count, blockTable: blocks, phase: .decode, logitRows: 1)
      found.append(best)
      unsafe try engine.step(Batch(tokens: [best], sequences: [slice])) { _, logits in unsafe next = Array(logits) }
    }
    #expect(found[9...].map(Int.init) == greedy, "\(what): other tokens")
  }

  @Test(arguments: all)
  func `log-probabilities and tokens are those of transformers, with an adapter those of PEFT, and refits are exact`(_ subject: Subject) async throws {
    let life = Lifecycle.unmeasured()
    let expected = try expected(subject.name)
    let ids = try #require(expected["ids"]?.array).compactMap(\.int).map { Int32($0) }
    let checkpoint = try convert(subject, "", in: life, "checkpoint")
    try await life.build(checkpoint, "engine")
    try check(life.directory("engine"), try #require(expected["base"]), ids, "base")
    try await life.refit("engine", with: Self.place.appending(subject.name).appending("lora"), to: "adapted")
    try check(life.directory("adapted"), try #require(expected["lora"]), ids, "adapter")
    try await life.refit("adapted", with: checkpoint, to: "again")
    life.expectSame("again", "engine", "an adapter and then the base")
    try await life.strip("engine", to: "stripped")
    try await life.refit("stripped", with: checkpoint, to: "filled")
    life.expectSame("filled", "engine", "stripped and filled")
    _ = try Pruner(CheckpointDirectory(checkpoint), options: .init()).run(to: life.directory("pruned"))
    try await life.build(life.directory("pruned"), "from-pruned")
    life.expectSame("from-pruned", "stripped", "pruned and built")
    guard !Self.withoutGGUF.contains(subject.name) else { return }
    // The same numbers by llama.cpp's names.
    let gguf = try convert(subject, "model.gguf", in: life, "from-gguf")
    for rank in 0..<subject.tensorParallel * subject.pipelineParallel {
      #expect(contents(gguf.appending("rank\(rank).safetensors")) == contents(checkpoint.appending("rank\(rank).safetensors")), "rank \(rank)")
    }
  }

  /// Rules and network name the same weights with the same shapes, in every family, at every mapping, with and without biases.
  @Test(arguments: ModelFamily.all.flatMap(\.architectures))
  func `what is converted is what the network reads`(_ architecture: String) throws {
    for (tensorParallel, pipelineParallel, expertParallel) in [(1, 1, 1), (2, 1, 1), (4, 1, 1), (1, 3, 1), (2, 2, 1), (2, 1, 2), (4, 1, 2)] {
      for biases in [true, false] {
        let family = try ModelFamily(architecture: architecture, origin: "test")
        let hasExperts = family.hasExperts
        guard hasExperts || expertParallel == 1 else { continue }
        var model = SmallModel(
          tensorParallel: tensorParallel, pipelineParallel: pipelineParallel, tied: false, biases: biases,
          members: [
            "architecture": .string(architecture), "sliding_window": 8, "mlp_bias": .bool(biases && family.tensors.contains { $0.feature == .mlpBias }),
          ])
        if hasExperts {
          model.members["moe"] = ["num_experts": 6, "top_k": 2, "normalization_mode": 1]
          model.members["moe_intermediate_size"] = 32
          model.members["mlp_only_layers"] = [1]
          model.members["mapping"] = [
            "tp_size": .int(tensorParallel), "pp_size": .int(pipelineParallel), "moe_ep_size": .int(expertParallel),
          ]
        }
        let config = try CheckpointConfig(parsing: model.config)
        guard family.decoder.sharingProblem(config.mapping) == nil else {
          let refusal = #expect(throws: WeightSourceError.self) { try ShardLayout(config: config, origin: "test") }
          #expect("\(try #require(refusal))".contains("over all heads"))
          let told = #expect(throws: UnsupportedModel.self) { try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false) }
          #expect("\(try #require(told))".contains("over all heads"))
          continue
        }
        let layout = try ShardLayout(config: config, origin: "test")
        for rank in 0..<tensorParallel * pipelineParallel {
          let network = try ModelFamily.network(config: config, rank: rank, sharesEmbedding: false)
          // A bias that is added once belongs to the first rank of its group.
          let shapes = network.weights.mapValues(\.shape)
          let offered = Dictionary(uniqueKeysWithValues: layout.tensors(rank: rank).map { ($0.name, $0.shape) })
          for (name, shape) in shapes { #expect(offered[name] == shape, "\(architecture) rank \(rank): \(name)") }
          for name in offered.keys where shapes[name] == nil { #expect(name.hasSuffix(".bias") && rank % tensorParallel > 0, "\(architecture) rank \(rank): nothing reads \(name)") }
        }
      }
    }
  }
}
