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
    /// Settings that name no module of some tensors, which PEFT does not load.
    let leavesOut: [String]
    var testDescription: String { name }
  }
  static let directory = AdapterTests.adapters.appending("matrix")
  static let matrix = try? Expected.json("adapters/matrix/matrix.json")
  static let cases: [Case] = (matrix?["cases"]?.array ?? []).compactMap { json in
    guard let name = json["name"]?.string, let base = json["base"]?.string else { return nil }
    return Case(name: name, base: base, refused: json["refused"]?.string, leavesOut: json["leavesOut"]?.array?.compactMap(\.string) ?? [])
  }

  static func layout(_ source: ModelSource, _ mapping: Mapping) throws -> ShardLayout {
    let config = try CheckpointConfig(parsing: source.model.checkpointConfig(elementType: .float32, mapping: mapping))
    return try ShardLayout(config: config, origin: "engine")
  }

  @Test func `the matrix is there`() {
    #expect(Self.cases.count > 180 && Self.cases.count { !$0.leavesOut.isEmpty } > 15 && Self.cases.count { $0.refused != nil } > 15)
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
      let text = "\(error.map { "\($0)" } ?? "")"
      #expect(text.contains(cause) && text.split(separator: "\n").allSatisfy { $0.count <= 300 }, "\(text)")
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
    let found = try adapted(base)
    try Self.compare(found, expected, ranks: mapping.worldSize)
    // A model without its head has other names, which is told, too.
    let leftOut = found.warnings.filter { $0.subject != "lora_A, lora_B" }
    #expect(leftOut.map(\.subject) == item.leavesOut && leftOut.allSatisfy { $0.description.contains("left out as PEFT does") }, "\(leftOut)")
    guard ties, mapping.worldSize == 1 else { return }
    let shared = SharedTable(base: base)
    if try expected.bytes(of: "lm_head.weight", rank: 0) == expected.bytes(of: "transformer.vocab_embedding.weight", rank: 0) {
      let one = try adapted(shared, shares: true)
      #expect(!one.touchedNames(rank: 0).contains("lm_head.weight"))
      try Self.compare(one, expected, ranks: 1)
    } else {
      let error = #expect(throws: AdapterError.self) { _ = try adapted(shared, shares: true) }
      #expect(error?.problems.map(\.kind) == [.tiedTables])
    }
  }

  /// The embedding table of a model, `[14, 12]`, half of it on each of two ranks.
  struct HalfTables: WeightSource {
    let whole: [UInt8]
    let splitsRows: Bool
    var origin: String { "halves" }
    static let table = "transformer.vocab_embedding.weight"
    func names(rank: Int) -> [String] { [Self.table] }
    func description(of name: String, rank: Int) -> TensorDescription? {
      name == Self.table ? TensorDescription(shape: splitsRows ? [7, 12] : [14, 6], elementType: .float32) : nil
    }
    func half(_ rank: Int, of bytes: [UInt8]) -> [UInt8] {
      splitsRows
        ? Array(bytes[rank * 7 * 48..<(rank + 1) * 7 * 48])
        : (0..<14).flatMap { bytes[$0 * 48 + rank * 24..<$0 * 48 + (rank + 1) * 24] }
    }
    func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      let row = splitsRows ? 48 : 24
      unsafe destination.copyBytes(from: half(rank, of: whole)[rows.lowerBound * row..<rows.upperBound * row])
    }
  }

  @Test(arguments: [true, false]) func `lengths of a table's columns count the rows that other ranks hold`(splitsRows: Bool) throws {
    let source = try ModelSource(Self.directory.appending("untied"))
    func layout(_ mapping: Mapping) throws -> ShardLayout {
      var json = try #require(source.model.checkpointConfig(elementType: .float32, mapping: mapping).object)
      if mapping.worldSize > 1 {
        json["use_parallel_embedding"] = true
        json["embedding_sharding_dim"] = .int(splitsRows ? 0 : 1)
      }
      return try ShardLayout(config: CheckpointConfig(parsing: .object(json)), origin: "engine")
    }
    let adapter = try LoRAAdapter(directory: Self.directory.appending("dora-table"))
    let base = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .float32)
    let whole = try AdaptedWeights(base: base, adapter: adapter, layout: layout(Mapping())).bytes(of: HalfTables.table, rank: 0)
    let halves = HalfTables(whole: try base.bytes(of: HalfTables.table, rank: 0), splitsRows: splitsRows)
    let parts = try AdaptedWeights(base: halves, adapter: adapter, layout: layout(Mapping(tensorParallel: 2)))
    for rank in 0..<2 {
      #expect(try bytes(of: HalfTables.table, rank: rank, step: 2, from: parts) == halves.half(rank, of: whole))
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
