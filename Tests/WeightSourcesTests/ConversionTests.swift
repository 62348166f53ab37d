import Checkpoints
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Against shards computed by numpy from the description of the format; see `Scripts/reference/tiny_models.py`.
struct ConversionTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let model: String
    let elementType: ElementType
    let mapping: Mapping
    let ranks: [JSONValue]
    var testDescription: String { "\(model) \(elementType.rawValue) tp \(mapping.tensorParallel) pp \(mapping.pipelineParallel)" }
  }
  static let cases: [Case] = {
    guard let models = try? Expected.json("models/expected.json").object else { return [] }
    return models.flatMap { model, cases in
      (cases.array ?? []).map { value in
        Case(
          model: model, elementType: ElementType(configName: value["dtype"]?.string ?? "") ?? .float64,
          mapping: Mapping(tensorParallel: value["tp"]?.int ?? 0, pipelineParallel: value["pp"]?.int ?? 0),
          ranks: value["ranks"]?.array ?? [])
      }
    }
  }()
  static func source(_ name: String) throws -> ModelSource { try ModelSource(Expected.directory.appending("models/\(name)")) }

  @Test func `there are cases`() { #expect(Self.cases.count == 13) }

  @Test(arguments: cases) func `every rank holds the tensors and bytes that the format asks for`(_ test: Case) throws {
    let source = try Self.source(test.model)
    let weights = try ConvertedWeights(source.tensors, model: source.model, mapping: test.mapping, elementType: test.elementType)
    #expect(test.ranks.count == test.mapping.worldSize)
    for (rank, expected) in test.ranks.enumerated() {
      #expect(Set(weights.names(rank: rank)) == Set((expected.object ?? [:]).keys))
      for (name, tensor) in expected.object ?? [:] {
        let description = try #require(weights.description(of: name, rank: rank))
        #expect(description.shape == tensor["shape"]?.array?.compactMap(\.int) && description.elementType == test.elementType, "\(name)")
        for step in [1, 7, 1000] {
          #expect(try fnv(bytes(of: name, rank: rank, step: step, from: weights)) == tensor["hash"]?.string, "\(name), tiles of \(step)")
        }
      }
    }
  }

  @Test(arguments: cases) func `the written checkpoint is the same bytes, for any number of workers`(_ test: Case) throws {
    let directory = TemporaryDirectory()
    var first: [String: [UInt8]]?
    for workers in [1, 3] {
      var converter = try CheckpointConverter(Self.source(test.model), mapping: test.mapping, elementType: test.elementType)
      converter.workers = workers
      let summary = try converter.write(to: directory("out"))
      let checkpoint = try Checkpoint(directory: directory("out"))
      let weights = CheckpointWeights(checkpoint)
      var count = 0
      for (rank, expected) in test.ranks.enumerated() {
        #expect(Set(weights.names(rank: rank)) == Set((expected.object ?? [:]).keys))
        for (name, tensor) in expected.object ?? [:] {
          #expect(try fnv(weights.bytes(of: name, rank: rank)) == tensor["hash"]?.string, "\(name)")
          count += 1
        }
      }
      #expect(summary.tensorCount == count)
      #expect(checkpoint.config.mapping == test.mapping && checkpoint.config.elementType == test.elementType)
      let all = snapshot(directory("out"))
      #expect((all["tokenizer.json"] != nil) == (test.model == "tied" || test.model.hasSuffix(".gguf")))
      #expect(first == nil || first == all)
      first = all
    }
  }

  @Test func `values that the type cannot hold are told before the checkpoint appears`() throws {
    let directory = TemporaryDirectory()
    for (name, bytes) in snapshot(Expected.directory.appending("models/tied")) { directory.write("m/\(name)", bytes) }
    // The first two values of a matrix: one beyond float16, and an infinity.
    let path = directory("m/model.safetensors")
    var bytes = try #require(contents(path))
    let start = 8 + bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try #require(try JSONValue(parsing: Array(bytes[8..<start])).object)
    let tensor = try #require(header["model.layers.0.mlp.up_proj.weight"])
    let place = start + (try #require(tensor["data_offsets"]?.array?.first?.int))
    #expect(tensor["dtype"] == "BF16")
    for (index, byte) in ([0x74, 0x49, 0x80, 0x7F] as [UInt8]).enumerated() { bytes[place + index] = byte }
    directory.write("m/model.safetensors", bytes)
    struct Refused: Error {}
    for (type, count, words) in [(ElementType.float16, 2, " (float16 ends at 65504; bfloat16 does not)"), (.bfloat16, 1, "")] {
      let converter = try CheckpointConverter(ModelSource(directory("m")), mapping: Mapping(), elementType: type)
      let line = "rank 0: transformer.layers.0.mlp.gate.weight: \(count) value(s) are NaN or infinite\(words)"
      #expect(try converter.write(to: directory("out-\(type)")).warnings == [line])
      #expect(throws: Refused.self) {
        try converter.write(
          to: directory("none"),
          check: { summary in
            #expect(summary.warnings == [line])
            throw Refused()
          })
      }
      #expect(snapshot(directory("none")).isEmpty)
    }
  }

  @Test func `the configuration says what the format's description asks`() throws {
    let source = try Self.source("biases")
    let json = source.model.checkpointConfig(elementType: .bfloat16, mapping: Mapping(tensorParallel: 2, pipelineParallel: 3))
    let config = try CheckpointConfig(parsing: json)
    #expect(config.architecture == "LlamaForCausalLM" && config.elementType == .bfloat16 && config.logitsElementType == .float32)
    #expect(config.hiddenSize == 24 && config.headCount == 4 && config.keyValueHeadCount == 2 && config.headSize == 8)
    #expect(config.intermediateSize == 20 && config.vocabularySize == 33 && config.layerCount == 3 && config.maximumPositions == 128)
    #expect(config.attentionBias == true && config.mlpBias && config.tieWordEmbeddings == false && !config.useParallelEmbedding)
    #expect(config.positionEmbeddingType == "rope_gpt_neox" && config.rotaryDimension == 8 && config.rotaryBase == 10000)
    #expect(config.rotaryScaling?["rope_type"] == "llama3" && config.rotaryScaling?["factor"]?.double == 8)
    #expect(json["norm_epsilon"] == .number(JSONNumber(1e-05)) && json["hidden_act"] == "silu")
    #expect(json["mapping"]?["world_size"] == 6 && json["quantization"]?["quant_algo"] == .null)
    let mistral = try Self.source("tied").model
    #expect(mistral.architecture == "MistralForCausalLM" && mistral.tiesEmbeddings && mistral.automaticElementType == .bfloat16)
    #expect(try Self.source("biases").model.automaticElementType == .float16)
  }

  @Test func `a mapping that does not divide the model is refused with those that do`() throws {
    let source = try Self.source("tied")  // 9 heads on 3, intermediate 48, 2 layers
    for tensor in [2, 4, 9] {
      let text = try #require(
        message {
          _ = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(tensorParallel: tensor), elementType: .bfloat16)
        })
      #expect(text.contains("\(tensor) tensor-parallel") && text.contains("Sizes that fit: 1, 3."), "\(text)")
    }
    let text = try #require(
      message {
        _ = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(pipelineParallel: 3), elementType: .bfloat16)
      })
    #expect(text.contains("at most 2"))
  }

  @Test func `a source that is cut short while it is read leaves nothing behind`() throws {
    let directory = TemporaryDirectory()
    let whole = try #require(contents(Expected.directory.appending("models/quantized.gguf")))
    let other = directory.write("in/other.gguf", whole)
    let broken = try CheckpointConverter(ModelSource(other), mapping: Mapping(tensorParallel: 2))
    try truncate(other, to: whole.count / 2)
    let text = try #require(message { try broken.write(to: directory("bad")) })
    #expect(text.contains("other.gguf") && text.contains("cut short"))
    #expect(names(in: directory.path) == ["in"])
  }
}
