import Checkpoints
import Families
import JSON
import Networks
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Configurations of families against what transformers 5 makes of them (`Scripts/reference/family_facts.py`), each read and turned into
/// the network that it means.
@Suite struct FamilyFactsTests {
  let directory = TemporaryDirectory(inMemory: true)

  private func open(_ test: FamilyFacts.Case) throws -> (source: ModelSource, weights: ConvertedWeights) {
    let config = try #require(test.json["config"]?.object)
    let (shape, kind) = (test.json["tensors"], test.kind)
    var tiny = TinySource()
    tiny.layers = config["num_hidden_layers"]?.int ?? 2
    tiny.headSize = shape?["head_size"]?.int ?? 4
    tiny.keyValueHeads = shape?["kv"]?.int ?? 2
    tiny.hasAttentionBias = shape?["attention_bias"]?.bool ?? false
    tiny.hasMLPBias = shape?["mlp_bias"]?.bool ?? false
    tiny.hasOuterNorms = kind["outer_norms"]?.bool ?? false
    tiny.hasHeadNorms = kind["head_norms"]?.bool ?? false
    tiny.hasSpanningNorms = kind["spanning_norms"]?.bool ?? false
    tiny.without = [shape?["without"], kind["without"]].flatMap { ($0?.array ?? []).compactMap(\.string) }
    tiny.write(config, to: directory("model"), in: directory)
    let source = try ModelSource(directory("model"))
    return (source, try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: source.model.elementType))
  }

  @Test(arguments: FamilyFacts.all.map(\.name)) func `there are cases, and what is said of some is said of cases that there are`(_ name: String) throws {
    let facts = try #require(FamilyFacts.all.first { $0.name == name })
    let names = Set(facts.cases.map(\.name))
    #expect(names.count >= 20 && names.count == facts.cases.count)
    #expect(names.isSuperset(of: facts.refused.keys) && names.isSuperset(of: facts.warned.keys) && names.isSuperset(of: facts.taken))
  }

  @Test(arguments: FamilyFacts.all.flatMap(\.cases)) func `a fact is read where transformers reads it`(_ test: FamilyFacts.Case) throws {
    let (facts, expected) = (test.facts, try #require(test.json["expected"]))
    if let word = facts.refused[test.name] {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(test) }
      #expect("\(try #require(error))".contains(word), "\(error.map { "\($0)" } ?? "")")
      return
    }
    if expected["refused"] != nil, !facts.taken.contains(test.name) {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(test) }
      #expect("\(try #require(error))".count < 400)
      return
    }
    let (source, weights) = try open(test)
    let model = source.model
    #expect(source.warnings.map(\.subject) == facts.warned[test.name] ?? FamilyFacts.sharedWarnings[test.name] ?? [], "\(source.warnings)")
    for warning in source.warnings { #expect(warning.description.count <= 300) }
    guard expected["refused"] == nil else { return }

    #expect(model.architecture == expected["architecture"]?.string)
    let config = try CheckpointConfig(parsing: model.checkpointConfig(elementType: model.elementType, mapping: Mapping()))
    let network = try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false)
    try check(network, model, expected)
    #expect(model.shape.headSize == expected["headSize"]?.int && model.shape.keyValueHeadCount == expected["keyValueHeads"]?.int)
    #expect(model.maximumPositions == expected["positions"]?.int && config.normEpsilon == expected["epsilon"]?.double)
    #expect(model.hiddenActivation == expected["activation"]?.string.flatMap { ModelFactsTests.activations[$0] })
    #expect(model.attentionBias == expected["attentionBias"]?.bool && model.mlpBias == expected["mlpBias"]?.bool)
    #expect(model.elementType.configName == expected["dtype"]?.string)
    let (table, head) = (try weights.bytes(of: "transformer.vocab_embedding.weight", rank: 0), try weights.bytes(of: "lm_head.weight", rank: 0))
    #expect((table == head) == expected["tied"]?.bool)
  }

  /// What layers see and turn, and every factor and bound.
  private func check(_ network: Network, _ model: SourceModel, _ expected: JSONValue) throws {
    func number(_ key: String) -> Double { expected[key]?.double ?? .nan }
    func isClose(_ found: Float, _ wanted: Double) -> Bool { abs(Double(found) - wanted) <= 1e-6 * abs(wanted) }
    let windows = try #require(expected["windows"]?.array).map(\.int)
    let turned = try #require(expected["turned"]?.array).map(\.bool)
    let frequencies = try #require(expected["frequencies"]?.array).compactMap(\.double)
    let attentions = network.operations.compactMap { if case .attention(let attention) = $0 { attention } else { nil } }
    #expect(attentions.count == expected["layers"]?.int)
    for (index, attention) in attentions.enumerated() {
      // A window that no operation bounds bounds the sequence.
      #expect(attention.window == windows[index] || !model.family.hasWindowedLayers && model.slidingWindow == windows[index], "layer \(index)")
      #expect((attention.rotary != nil) == turned[index], "layer \(index)")
      #expect(isClose(attention.scale, number("scale")) && attention.softCap.map(Double.init) == expected["scoreCap"]?.double)
      guard let rotary = attention.rotary else { continue }
      let found = network.rotaries[rotary].frequencies
      #expect(found.count == frequencies.count)
      for (found, wanted) in zip(found, frequencies) { #expect(abs(found - wanted) <= 1e-5 * wanted, "layer \(index)") }
    }
    let embeddings = network.operations.compactMap { if case .embed(let embed) = $0 { embed.scale } else { nil } }
    #expect(embeddings.count == 1 && isClose(embeddings[0], number("embeddingScale")))
    let kinds = network.operations.compactMap { if case .unary(let unary) = $0 { unary.kind } else { nil } }
    let (residual, logits, cap) = (number("residualScale"), number("logitScale"), expected["logitCap"]?.double)
    let scales = kinds.compactMap { if case .scale(let scale) = $0 { scale } else { nil } }
    let wanted = (residual == 1 ? [] : [Double](repeating: residual, count: 2 * attentions.count)) + (logits == 1 ? [] : [logits])
    #expect(scales.count == wanted.count && zip(scales, wanted).allSatisfy { isClose($0, $1) }, "\(scales)")
    let caps = kinds.compactMap { if case .softCap(let cap) = $0 { Double(cap) } else { nil } }
    #expect(caps == [cap].compactMap(\.self))
  }
}
