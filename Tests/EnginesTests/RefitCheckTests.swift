import EngineFixtures
import Engines
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Everything that is wrong is found before anything is written, and all of it is told.
@Suite struct RefitCheckTests {
  private func problems(_ life: Lifecycle, _ source: FilePath, ignoresFrozen: Bool = false) async throws -> [RefitProblem] {
    let before = snapshot(life.directory.path)
    do {
      try await life.refit("engine", with: source, to: "out", ignoresFrozen: ignoresFrozen)
      Issue.record("the refit should have been refused")
      return []
    } catch let error as RefitError {
      #expect(snapshot(life.directory.path) == before, "nothing was written")
      return error.problems
    }
  }
  private func built(_ model: SmallModel, strip: Bool = false) async throws -> (Lifecycle, FilePath) {
    let life = Lifecycle()
    let checkpoint = try model.write(life.directory, "A", seed: 30)
    try await life.build(checkpoint, "engine", strip: strip)
    return (life, checkpoint)
  }

  @Test func `missing, misshapen and empty tensors are told together`() async throws {
    let model = SmallModel(tied: false)
    let (life, _) = try await built(model)
    let bad = try model.write(life.directory, "bad", seed: 31) { tensors in
      // Both parts of a fused weight are told, not only the first.
      tensors.removeAll { $0.name.hasPrefix("transformer.layers.1.mlp.fc") || $0.name.hasPrefix("transformer.layers.1.mlp.gate") }
      tensors.removeAll { $0.name == "transformer.layers.1.attention.dense.weight" || $0.name == "transformer.ln_f.weight" }
      let index = tensors.firstIndex { $0.name == "transformer.layers.0.mlp.proj.weight" }!
      tensors[index] = (tensors[index].name, [model.intermediate, model.hidden], tensors[index].matrix)
      let empty = tensors.firstIndex { $0.name == "transformer.layers.2.mlp.fc.weight" }!
      tensors[empty] = (tensors[empty].name, [0], Matrix(rows: 0, columns: 0, values: []))
    }
    let found = try await problems(life, bad)
    #expect(found.contains(.missing(tensor: "transformer.layers.1.attention.dense.weight", rank: 0)))
    #expect(found.contains(.missing(tensor: "transformer.ln_f.weight", rank: 0)))
    #expect(
      found.contains(
        .shapeMismatch(
          tensor: "transformer.layers.0.mlp.proj.weight", rank: 0, engine: [model.hidden, model.intermediate],
          checkpoint: [model.intermediate, model.hidden])))
    #expect(found.contains(.notInitialized(tensor: "transformer.layers.2.mlp.fc.weight", rank: 0)))
    #expect(found.contains(.missing(tensor: "transformer.layers.1.mlp.fc.weight", rank: 0)))
    #expect(found.contains(.missing(tensor: "transformer.layers.1.mlp.gate.weight", rank: 0)))
    #expect(found.count == 6)
    let report = RefitProblem.report(found)
    for heading in [
      "Missing refittable weights from checkpoint", "Failed to refit weight: shape mismatch",
      "Failed because weight is not initialized in model",
    ] { #expect(report.contains(heading), "upstream's words") }
  }

  @Test func `other frozen weights are refused, kept on demand, or changed by the wider scope`() async throws {
    let model = SmallModel()
    let (life, _) = try await built(model)
    let other = try model.write(life.directory, "B", seed: 32)
    #expect(try await problems(life, other) == [.frozenDiffers(weight: "transformer.vocab_embedding.weight", rank: 0)])
    try await life.refit("engine", with: other, to: "kept", ignoresFrozen: true)
    let (kept, engine) = (try EngineFile(life.directory("kept/rank0.engine")), try EngineFile(life.directory("engine/rank0.engine")))
    let name = "transformer.vocab_embedding.weight"
    #expect(try kept.tensors.bytes(of: name) == engine.tensors.bytes(of: name))
    #expect(try kept.tensors.bytes(of: "transformer.ln_f.weight") != engine.tensors.bytes(of: "transformer.ln_f.weight"))
  }

  @Test func `tied and untied embeddings do not mix`() async throws {
    let (life, _) = try await built(SmallModel())
    let untied = try SmallModel(tied: false).write(life.directory, "untied", seed: 30) { tensors in
      // The same embedding table as the engine's; only lm_head differs.
      let same = SmallModel().tensors(rank: 0, seed: 30).first { $0.name.contains("vocab_embedding") }!
      tensors[tensors.firstIndex { $0.name.contains("vocab_embedding") }!] = same
    }
    #expect(try await problems(life, untied).contains(.untied))

    let (other, _) = try await built(SmallModel(tied: false))
    let tied = try SmallModel(tied: false).write(other.directory, "tied", seed: 30) { $0.removeAll { $0.name == "lm_head.weight" } }
    #expect(try await problems(other, tied) == [.tied(rank: 0)])
  }

  @Test func `each size of the structure that differs is named, and none that agrees`() async throws {
    let (life, _) = try await built(SmallModel())
    let other = try SmallModel(hidden: 52, heads: 4, keyValueHeads: 4, headSize: 13, layers: 2).write(life.directory, "B", seed: 33)
    let found = try await problems(life, other)
    func told(_ field: String) -> Bool { found.contains { if case .configuration(field, _, _) = $0 { true } else { false } } }
    for field in ["hidden_size", "num_hidden_layers", "num_key_value_heads", "head_size"] { #expect(told(field), "\(field)") }
    #expect(!told("vocab_size"))
  }

  @Test func `a model with more tokens is told by its vocabulary, not by its tables`() async throws {
    let found = RefitProblem.report([
      .vocabulary(engine: "429", checkpoint: "432", tensors: ["transformer.vocab_embedding.weight", "lm_head.weight"])
    ])
    #expect(found.contains("Failed to refit weight: shape mismatch") && found.contains("the vocabulary has another size") && found.contains("Tokens were added"))
    let (life, _) = try await built(SmallModel(tied: false))
    var model = SmallModel(tied: false)
    model.vocabulary += 3
    let problems = try await problems(life, try model.write(life.directory, "grown", seed: 30))
    let engine = SmallModel(tied: false).vocabulary
    #expect(
      problems == [
        .vocabulary(engine: "\(engine)", checkpoint: "\(engine + 3)", tensors: ["transformer.vocab_embedding.weight", "lm_head.weight"])
      ], "\(problems)")
  }

  @Test func `a fault of every layer and rank is a few lines below what to do`() {
    let problems = (0..<4).flatMap { rank in (0..<126).map { RefitProblem.missing(tensor: "transformer.layers.\($0).mlp.gate.weight", rank: rank) } }
    let lines = RefitProblem.report(problems).split(separator: "\n")
    #expect(lines.count == 3 && lines[1].hasPrefix("  →") && lines[2] == "  rank *  transformer.layers.*.mlp.gate.weight (504)")
  }

  @Test func `a second adapter is not stacked on the first`() async throws {
    let model = SmallModel()
    let (life, _) = try await built(model)
    let adapter = try Adapter.write(model, life.directory, "lora", seed: 34)
    try await life.refit("engine", with: adapter, to: "once")
    remove(life.directory("engine"))
    try await life.refit("once", with: life.directory("A"), to: "engine")  // back at the base: fine again
    try await life.refit("engine", with: adapter, to: "engine")
    let found = try await problems(life, adapter)
    guard case .adapterOnAdapter(let adapters, let parent, false)? = found.first else { Issue.record("\(found)"); return }
    #expect(adapters == [adapter.string] && !parent.isEmpty)
  }

  @Test func `an adapter that another engine brings along is told, and nothing is stacked on it`() async throws {
    let model = SmallModel()
    let (life, _) = try await built(model)
    let adapter = try Adapter.write(model, life.directory, "lora", seed: 34)
    try await life.refit("engine", with: adapter, to: "adapted")
    let adapted = life.directory("adapted")
    try await life.refit("engine", with: adapted, to: "copy")
    #expect(try Lineage(directory: life.directory("copy"))?.adapters.map(\.path) == [adapter.string])
    for (source, base, more) in [(adapter, adapted, []), (adapted, nil, [adapter])] as [(FilePath, FilePath?, [FilePath])] {
      let request = SourceRequest(source, basePath: base, adapters: more)
      let engine = try EngineDirectory(life.directory("engine"))
      let opened = try RefitSource(request, for: engine)
      let error = await #expect(throws: RefitError.self) { try await Refitter(engine: engine).prepare(opened) }
      #expect(error?.problems == [.adapterOnAdapter(adapters: [adapter.string], parent: [], isSource: true)])
    }
    let copy = try EngineDirectory(life.directory("copy"))
    let again = try RefitSource(adapter, for: copy)
    let error = await #expect(throws: RefitError.self) { try await Refitter(engine: copy).prepare(again) }
    #expect(error?.problems.count == 1)
  }

  @Test func `an adapter on base weights of another structure is told with all that differs`() async throws {
    let (life, _) = try await built(SmallModel())
    let adapter = try Adapter.write(SmallModel(), life.directory, "lora", seed: 34)
    var other = SmallModel()
    other.intermediate *= 2
    let base = try other.write(life.directory, "other", seed: 35)
    let engine = try EngineDirectory(life.directory("engine"))
    let error = await #expect(throws: RefitError.self) { try await Refitter(engine: engine).prepare(RefitSource(SourceRequest(adapter, basePath: base), for: engine)) }
    #expect(error?.problems.contains { if case .configuration("intermediate_size", _, _) = $0 { true } else { false } } == true, "\(error?.problems ?? [])")
  }

  @Test func `surplus tensors are only warned of`() async throws {
    let model = SmallModel()
    let (life, _) = try await built(model)
    let more = try model.write(life.directory, "more", seed: 30) { tensors in
      tensors.append(("transformer.layers.0.surplus.weight", [1, 1], Matrix(rows: 1, columns: 1, values: [1])))
    }
    let opened = try EngineDirectory(life.directory("engine"))
    let refitter = Refitter(engine: opened)
    let prepared = try await refitter.prepare(try RefitSource(more, for: opened))
    #expect(prepared.warnings.contains { $0.contains("surplus") })
  }

  @Test(arguments: SmallModel.all) func `a checkpoint like the engine's own gives no cause for a warning`(_ model: SmallModel) async throws {
    let (life, checkpoint) = try await built(model)
    let opened = try EngineDirectory(life.directory("engine"))
    var options = Refitter.Options()
    options.isStrict = true
    let prepared = try await Refitter(engine: opened, options: options).prepare(try RefitSource(checkpoint, for: opened))
    #expect(prepared.warnings == [] && prepared.ignored == 0)
  }

  @Test func `what follows from another structure is counted, not shown`() {
    let problems: [RefitProblem] = [
      .configuration(field: "hidden_size", engine: "64", checkpoint: "32"), .shapeMismatch(tensor: "a.0.weight", rank: 0, engine: [2], checkpoint: [1]),
      .missing(tensor: "b.weight", rank: 0),
    ]
    let report = RefitProblem.report(problems)
    #expect(report.contains("hidden_size  engine 64  checkpoint 32") && report.contains("Failed to refit weight: shape mismatch (1): as the configurations differ"), "\(report)")
    #expect(!report.contains("a.0.weight") && !report.contains("b.weight"))
    #expect(RefitProblem.report([problems[1]]).contains("a.0.weight"))
  }
}
