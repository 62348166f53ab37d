import CPUBackend
import CPUKernels
import Checkpoints
import Engines
import Files
import JSON
import Networks
import Schemes
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// This machine, whose kernels are not measured: which of them are chosen is of no interest here.
struct Unmeasured: PlanTarget {
  private let target = CPUTarget(threadCount: 2)
  var name: String { target.name }
  var device: String { target.device }
  func linearLayout(_ scheme: NumberScheme) -> WeightLayout? { target.linearLayout(scheme) }
  func cacheElementType(_ elementType: ElementType) -> ElementType { target.cacheElementType(elementType) }
  func obstacles(to plan: Plan) -> [String] { target.obstacles(to: plan) }
  func hasKernels(for tactics: KernelTactics) -> Bool { target.hasKernels(for: tactics) }
  func measure(_ problem: KernelProblem) -> KernelTactics {
    KernelTactics(problem, decode: "first", prefill: "first")
  }
}

/// `build(model) == build(convert(model))`: conversion is composition, so leaving the file in between out changes nothing.
@Suite struct BuildSourceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var model: String
    var tensorParallel = 1
    var pipelineParallel = 1
    var elementType: ElementType?
    var testDescription: String { "\(model) tp \(tensorParallel) pp \(pipelineParallel) \(elementType?.rawValue ?? "auto")" }
    var mapping: Mapping { Mapping(tensorParallel: tensorParallel, pipelineParallel: pipelineParallel) }
    var path: FilePath {
      FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("\(model)").lexicallyNormalized()
    }
  }
  static let models = "Tests/WeightSourcesTests/Expected/models/"
  static let cases = [
    Case(model: "Models/tiny"), Case(model: "Models/tiny", tensorParallel: 2, elementType: .bfloat16),
    Case(model: "Models/tiny", pipelineParallel: 2, elementType: .float32), Case(model: models + "tied", tensorParallel: 3),
    Case(model: models + "biases", pipelineParallel: 2), Case(model: models + "tied.gguf"),
    Case(model: models + "quantized.gguf"), Case(model: models + "quantized.gguf", tensorParallel: 2, elementType: .float32),
  ]

  private func build(_ source: BuildSource, _ target: FilePath) async throws -> EngineBuilder.Result {
    var options = EngineBuilder.Options()
    options.workers = 2
    let builder = EngineBuilder(options: options, target: Unmeasured())
    return try await builder.write(try builder.prepare(source), of: source, to: target)
  }

  @Test(arguments: cases) func `an engine built from a model is the engine built from its checkpoint`(_ test: Case) async throws {
    let d = TemporaryDirectory(inMemory: true)
    let converter = try CheckpointConverter(try ModelSource(test.path), mapping: test.mapping, elementType: test.elementType)
    try converter.write(to: d("checkpoint"))
    _ = try await build(try BuildSource(d("checkpoint")), d("one"))
    _ = try await build(try BuildSource(test.path, elementType: test.elementType, mapping: test.mapping), d("two"))
    var (one, two) = (snapshot(d("one")), snapshot(d("two")))
    let lineages = [one.removeValue(forKey: Lineage.fileName), two.removeValue(forKey: Lineage.fileName)]
    let (first, second) = (try JSONValue(parsing: lineages[0] ?? []), try JSONValue(parsing: lineages[1] ?? []))
    #expect(one.keys.sorted() == two.keys.sorted() && one.keys.contains("rank\(test.mapping.worldSize - 1).engine"))
    #expect(one.keys.contains("tokenizer.json") == !test.model.hasSuffix("biases"), "or the test proves nothing of tokenizers")
    for (name, bytes) in one { #expect(two[name] == bytes, "\(name)") }
    // What was built, from which names; only the source and the time are others.
    for (key, value) in first.object ?? [:] where key != "source" && key != "created" && key != "files" {
      #expect(second[key] == value, "lineage's \(key)")
    }
    #expect(first["files"]?.object?.mapValues { $0["sha256"] } == second["files"]?.object?.mapValues { $0["sha256"] })
    #expect(second["source"]?["path"]?.string == test.path.string)
    #expect(second["source"]?["kind"]?.string == (test.model.hasSuffix("gguf") ? "gguf" : "huggingFace"))
  }

  @Test func `an engine and an adapter are no models to build from`() async throws {
    let d = TemporaryDirectory(inMemory: true)
    _ = try await build(try BuildSource(Case(model: "Models/tiny").path), d("engine"))
    #expect(throws: WeightSourceError.self) { try BuildSource(d("engine")) }
    #expect(throws: WeightSourceError.self) { try BuildSource(Case(model: "Models/tiny-lora").path) }
  }
}
