import Checkpoints
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Every option of PEFT's LoRA, with PEFT's own weights beside it; see `Scripts/reference/adapter_matrix.py`.
struct AdapterMatrixTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let base: String
    /// What a refusal speaks of; nil where the adapter is to be put on.
    let refused: String?
    var testDescription: String { name }
  }
  static let directory = AdapterTests.adapters.appending("matrix")
  static let matrix = try? Expected.json("adapters/matrix/matrix.json")
  static let cases: [Case] = (matrix?["cases"]?.array ?? []).compactMap { json in
    guard let name = json["name"]?.string, let base = json["base"]?.string else { return nil }
    return Case(name: name, base: base, refused: json["refused"]?.string)
  }

  /// The base under PEFT's weights, with an output head of its own.
  struct Merged: NamedTensors {
    let base: any NamedTensors
    let changed: SafetensorsFile
    var names: [String] { Set(base.names + ["lm_head.weight"]).sorted() }
    var origin: String { "merged" }
    private func place(_ name: String) -> String {
      name == "lm_head.weight" && base.description(of: name) == nil ? "model.embed_tokens.weight" : name
    }
    func description(of name: String) -> TensorDescription? { changed.header[name]?.description ?? base.description(of: place(name)) }
    func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      if changed.header[name] != nil { return try unsafe changed.read(name, rows: rows, into: destination) }
      try unsafe base.read(place(name), rows: rows, into: destination)
    }
  }
  /// An engine that stores table and head once offers no head.
  struct Shared: WeightSource {
    let base: ConvertedWeights
    var origin: String { "engine" }
    func names(rank: Int) -> [String] { base.names(rank: rank).filter { $0 != "lm_head.weight" } }
    func description(of name: String, rank: Int) -> TensorDescription? {
      name == "lm_head.weight" ? nil : base.description(of: name, rank: rank)
    }
    func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      try unsafe base.read(name, rank: rank, rows: rows, into: destination)
    }
  }

  static func layout(_ source: ModelSource, _ mapping: Mapping) throws -> ShardLayout {
    let config = try CheckpointConfig(parsing: source.model.checkpointConfig(elementType: .float32, mapping: mapping))
    return try ShardLayout(config: config, origin: "engine")
  }

  @Test func `the matrix is there`() {
    #expect(Self.cases.count > 100 && Self.cases.count { $0.refused != nil } > 15)
  }

  @Test(arguments: cases, [Mapping(), Mapping(tensorParallel: 2)])
  func `an adapter gives PEFT's own weights, or a refusal that names the cause`(item: Case, mapping: Mapping) throws {
    let source = try ModelSource(Self.directory.appending(item.base))
    let ties = item.base == "tied"
    let base = try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: .float32)
    let layout = try Self.layout(source, mapping)
    func adapted(_ base: any WeightSource, shares: Bool = false) throws -> AdaptedWeights {
      try AdaptedWeights(
        base: base, adapter: LoRAAdapter(directory: Self.directory.appending(item.name)), layout: layout, sharesEmbedding: shares, tiesEmbeddings: ties)
    }
    if let cause = item.refused {
      let error = #expect(throws: AdapterError.self) { _ = try adapted(base) }
      #expect("\(error.map { "\($0)" } ?? "")".contains(cause))
      return
    }
    // The same model with two tables.
    let life = TemporaryDirectory()
    let config = try #require(text(Self.directory.appending("\(item.base)/config.json")))
    life.directory(copying: Self.directory.appending(item.base), config: config.replacing("\"tie_word_embeddings\": true", with: "\"tie_word_embeddings\": false"))
    let untied = try ModelSource(life.path)
    let changed = try SafetensorsFile(Self.directory.appending("\(item.name)/expected.safetensors"))
    let expected = try ConvertedWeights(
      Merged(base: untied.tensors, changed: changed), model: untied.model, mapping: mapping, elementType: .float32)
    try Self.compare(adapted(base), expected, ranks: mapping.worldSize)
    guard ties, mapping.worldSize == 1 else { return }
    let shared = Shared(base: base)
    if try expected.bytes(of: "lm_head.weight", rank: 0) == expected.bytes(of: "transformer.vocab_embedding.weight", rank: 0) {
      let one = try adapted(shared, shares: true)
      #expect(!one.touchedNames(rank: 0).contains("lm_head.weight"))
      try Self.compare(one, expected, ranks: 1)
    } else {
      let error = #expect(throws: AdapterError.self) { _ = try adapted(shared, shares: true) }
      #expect(error?.problems.map(\.kind) == [.tiedTables])
    }
  }

  static func compare(_ found: AdaptedWeights, _ expected: ConvertedWeights, ranks: Int) throws {
    for rank in 0..<ranks {
      for name in found.names(rank: rank) {
        let type = try #require(found.description(of: name, rank: rank)).elementType
        let (ours, theirs) = (
          floats(try bytes(of: name, rank: rank, step: 3, from: found), type), floats(try expected.bytes(of: name, rank: rank), .float32)
        )
        // Float32 factors, a sum of at most 9 products, another order of summing: a few units in the last place. Starts
        // that were converted back add and subtract weights of the base's size, in float32 too.
        let worst = zip(ours, theirs).map { abs($0 - $1) / (1 + abs($1)) }.reduce(0) { $1 > $0 || $1.isNaN ? $1 : $0 }
        #expect(ours.count == theirs.count && worst <= 5e-6, "\(name) of rank \(rank): off by \(worst)")
      }
    }
  }

  static let others: [String] = (matrix?["otherKinds"]?.object ?? [:]).map { $0.key }
  @Test(arguments: others) func `every other kind of adapter is refused by its name`(kind: String) throws {
    let life = TemporaryDirectory()
    life.write("adapter_config.json", try #require(Self.matrix?["otherKinds"]?[kind]).serialized())
    life.write("adapter_model.safetensors", "")
    let text = try #require(message { _ = try LoRAAdapter(directory: life.path) })
    #expect(text.contains("peft_type = \(kind)"), "\(text)")
  }
}

extension TemporaryDirectory {
  fileprivate func directory(copying base: FilePath, config: String) {
    for (file, bytes) in snapshot(base) { write(file, bytes) }
    write("config.json", config)
  }
}
