import Checkpoints
import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing

struct PrunerTests {
  let directory = TemporaryDirectory(inMemory: true)

  struct Tensor {
    var name: String
    var description: TensorDescription
    var bytes: [UInt8]
  }

  /// A checkpoint of several ranks with tensors of every element type, some empty, some scalar.
  @discardableResult
  func makeCheckpoint(
    _ name: String, seed: UInt64 = 1, tensorParallel: Int = 2, pipelineParallel: Int = 2, contextParallel: Int = 1,
    metadata: [String: String]? = ["format": "pt"], shuffledHeader: Bool = false, config: String? = nil
  ) throws -> [[Tensor]] {
    var generator = SeededGenerator(seed: seed)
    let world = tensorParallel * pipelineParallel * contextParallel
    directory.write(
      "\(name)/config.json",
      config ?? """
        {
            "architecture": "LlamaForCausalLM",
            "dtype": "bfloat16",
            "norm_epsilon": 1e-05,
            "rotary_base": 500000.0,
            "big": 123456789012345678901234567890,
            "mapping": {"world_size": \(world), "tp_size": \(tensorParallel), "pp_size": \(pipelineParallel), "cp_size": \(contextParallel)}
        }
        """)
    directory.write("\(name)/tokenizer.json", "{}")
    directory.write("\(name)/quant_cfg.json", "{\"quantized_layers\": {}}")
    var ranks: [[Tensor]] = []
    for rank in 0..<tensorParallel * pipelineParallel {
      var tensors: [Tensor] = []
      func add(_ name: String, _ shape: [Int], _ type: ElementType) {
        let description = TensorDescription(shape: shape, elementType: type)
        tensors.append(Tensor(name: name, description: description, bytes: generator.bytes(description.byteCount)))
      }
      for layer in 0..<3 {
        let prefix = "transformer.layers.\(layer)."
        add(prefix + "attention.qkv.weight", [12, 8], .bfloat16)
        add(prefix + "attention.qkv.bias", [12], .bfloat16)
        add(prefix + "attention.dense.weight", [8, 4], .float8E4M3)
        add(prefix + "input_layernorm.weight", [8], .bfloat16)
        add(prefix + "mlp.fc.weight", [16, 4], .float4)
        add(prefix + "mlp.fc.weights_scaling_factor", [16, 1], .float8E8M0)
        add(prefix + "mlp.gate.weight", [4, 4], .float6E3M2)
        add(prefix + "mlp.proj.weight", [2, 8, 4], .int8)
        add(prefix + "mlp.proj.activation_scaling_factor", [], .float32)
      }
      add("nothing", [0, 3], .float16)
      add("lm_head.weight", [10, 8], .bfloat16)
      ranks.append(tensors)
      try write("\(name)/rank\(rank).safetensors", tensors, metadata: metadata, shuffled: shuffledHeader, &generator)
    }
    return ranks
  }

  /// Writes a rank file; `shuffled` names the tensors in another order than their data, with spaces between.
  func write(
    _ name: String, _ tensors: [Tensor], metadata: [String: String]?, shuffled: Bool, _ generator: inout SeededGenerator
  ) throws {
    var members: [String] = []
    var place = 0
    for tensor in tensors {
      let end = place + tensor.bytes.count
      let gap = shuffled ? " " : ""
      members.append(
        "\"\(tensor.name)\":\(gap){\"dtype\":\"\(tensor.description.elementType.rawValue)\",\"shape\":[\(tensor.description.shape.map { String($0) }.joined(separator: ","))],\"data_offsets\":[\(place),\(end)]}")
      place = end
    }
    if shuffled { members.shuffle(using: &generator) }
    if let metadata {
      let notes = metadata.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
      members.insert("\"__metadata__\":{\(notes)}", at: shuffled ? members.count / 2 : 0)
    }
    var header = Array("{\(members.joined(separator: ","))}".utf8)
    while (8 + header.count) % 8 != 0 || (shuffled && header.count % 32 != 0) { header.append(0x20) }
    let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    directory.write(name, size + header + tensors.flatMap(\.bytes))
  }

  @discardableResult
  func prune(_ from: String, _ to: String, _ change: (inout Pruner.Options) -> Void = { _ in }) throws -> PruneReport {
    var options = Pruner.Options()
    options.workers = 2
    change(&options)
    return try Pruner(CheckpointDirectory(directory(from)), options: options).run(to: directory(to))
  }

  @Test func `chosen tensors become empty, all else stays as it is, in every rank file`() throws {
    let ranks = try makeCheckpoint("full", contextParallel: 2)
    let report = try prune("full", "pruned")
    #expect(names(in: directory("pruned")) == names(in: directory("full")))
    var gone = 0
    for (rank, tensors) in ranks.enumerated() {
      let file = try SafetensorsFile(directory("pruned/rank\(rank).safetensors"))
      #expect(file.names == tensors.map(\.name))
      #expect(file.header.metadata == ["format": "pt"])
      for tensor in tensors {
        let entry = try #require(file.header[tensor.name])
        #expect(entry.description.elementType == tensor.description.elementType)
        let isGone = PruneSelection.isPrunable(tensor.name)
        gone += isGone ? tensor.bytes.count : 0
        #expect(entry.description.shape == (isGone ? [0] : tensor.description.shape))
        #expect(try file.bytes(of: tensor.name) == (isGone ? [] : tensor.bytes))
      }
    }
    #expect(gone > 0 && report.ranks.flatMap(\.emptied).reduce(0) { $0 + $1.description.byteCount } == gone)
    #expect(report.emptiedCount == 4 * 3 * 5)
    for name in ["tokenizer.json", "quant_cfg.json"] {
      #expect(contents(directory("pruned/\(name)")) == contents(directory("full/\(name)")))
    }
    let config = try #require(text(directory("pruned/config.json")))
    #expect(config == text(directory("full/config.json"))?.replacing("}\n}", with: "},\n    \"is_pruned\": true\n}"))
    #expect(config.contains("1e-05") && config.contains("500000.0") && config.contains("123456789012345678901234567890"))
    for (rank, part) in report.ranks.enumerated() {
      #expect(part.bytesAfter == contents(directory("pruned/rank\(rank).safetensors"))?.count)
      #expect(part.bytesBefore == contents(directory("full/rank\(rank).safetensors"))?.count)
    }
  }
  @Test func `everything can be emptied, and some of it kept`() throws {
    try makeCheckpoint("full")
    try prune("full", "all") { $0.selection = PruneSelection(all: true, keep: [Glob("*bias")]) }
    let file = try SafetensorsFile(directory("all/rank3.safetensors"))
    for entry in file.header.entries { #expect((entry.description.shape == [0]) == !entry.name.hasSuffix("bias")) }
  }
  @Test func `pruning what is pruned changes nothing`() throws {
    try makeCheckpoint("full")
    for (label, change) in [
      ("plain", { _ in }), ("skeleton", { $0.skeleton = true }), ("digests", { $0.digests = true }),
    ] as [(String, (inout Pruner.Options) -> Void)] {
      try prune("full", label, change)
      try prune(label, "\(label)2")
      #expect(snapshot(directory(label)) == snapshot(directory("\(label)2")), "\(label)")
      try prune(label, "\(label)3", label == "digests" ? { $0.skeleton = true } : change)
      #expect(snapshot(directory(label)) == snapshot(directory("\(label)3")), "\(label), asked again")
    }
  }
  @Test func `the number of workers does not show in the bytes`() throws {
    try makeCheckpoint("full")
    try prune("full", "one") {
      $0.workers = 1; $0.digests = true
    }
    try prune("full", "eight") {
      $0.workers = 8; $0.digests = true
    }
    #expect(snapshot(directory("one")) == snapshot(directory("eight")))
  }

  func restore(_ skeleton: String, _ full: String, _ to: String) throws {
    try SkeletonRestorer(
      Skeleton(CheckpointDirectory(directory(skeleton))), from: CheckpointDirectory(directory(full))
    ).run(to: directory(to))
  }
  func verify(_ skeleton: String, _ full: String) throws -> SkeletonVerifier.Outcome {
    try SkeletonVerifier(Skeleton(CheckpointDirectory(directory(skeleton))), against: CheckpointDirectory(directory(full))).run()
  }

  @Test(arguments: [false, true], [false, true]) func `a skeleton gives back the original byte for byte`(
    digests: Bool, shuffled: Bool
  ) throws {
    for (index, metadata) in [nil, [:], ["format": "pt", "a": "b"]].enumerated() {
      try makeCheckpoint("full\(index)", metadata: metadata, shuffledHeader: shuffled)
      for all in [false, true] {
        let name = "skeleton\(index)\(all)"
        try prune("full\(index)", name) {
          $0.skeleton = true
          $0.digests = digests
          $0.selection.all = all
        }
        try restore(name, "full\(index)", "again")
        #expect(snapshot(directory("again")) == snapshot(directory("full\(index)")))
        let outcome = try verify(name, "full\(index)")
        #expect(outcome.differences.isEmpty && (digests ? outcome.unprovedCount == 0 : outcome.unprovedCount > 0))
        // Readers that know nothing of the notes see the file as any other.
        let headers = try [name, "full\(index)"].map { try SafetensorsFile(directory("\($0)/rank0.safetensors")).header }
        #expect(headers[0].headerOrder.map { headers[0].names[$0] } == headers[1].headerOrder.map { headers[1].names[$0] })
      }
    }
  }
  @Test func `a skeleton pruned further still gives back the original`() throws {
    try makeCheckpoint("full", shuffledHeader: true)
    try prune("full", "first") { $0.digests = true }
    try prune("first", "second") { $0.selection.all = true }
    try restore("second", "full", "again")
    #expect(snapshot(directory("again")) == snapshot(directory("full")))
    #expect(try verify("second", "full").differences.isEmpty)
  }
  @Test func `every tensor that differs is named, and only those`() throws {
    try makeCheckpoint("full")
    try prune("full", "skeleton") {
      $0.digests = true; $0.selection.all = true
    }
    try prune("full", "shapes") { $0.skeleton = true }
    for (changed, isEmptied) in [("transformer.layers.1.mlp.fc.weight", true), ("lm_head.weight", false)] {
      try makeCheckpoint("other")
      let path = directory("other/rank2.safetensors")
      let file = try SafetensorsFile(path)
      let place = file.header.dataStart + (try file.entry(changed)).range.lowerBound
      var bytes = try #require(contents(path))
      bytes[place] ^= 1
      directory.write("other/rank2.safetensors", bytes)
      let found = try verify("skeleton", "other").differences
      #expect(found.map { "\($0.file) \($0.name ?? "")" } == ["rank2.safetensors \(changed)"])
      // Without digests a value that is gone cannot be told from another.
      #expect(try verify("shapes", "other").differences.count == (isEmptied ? 0 : 1))
      let before = snapshot(directory.path)
      #expect(throws: CheckpointError.self) { try restore("skeleton", "other", "again") }
      #expect(snapshot(directory.path) == before, "a restore that cannot be proved leaves nothing")
    }
  }
  @Test func `other shapes, types, names and settings are differences`() throws {
    try makeCheckpoint("full", tensorParallel: 1, pipelineParallel: 1)
    try prune("full", "skeleton") { $0.skeleton = true }
    let config = try #require(text(directory("full/config.json")))
    directory.write("other/config.json", config.replacing("1e-05", with: "1e-06").replacing("\"dtype\": \"bfloat16\",", with: ""))
    var generator = SeededGenerator(seed: 2)
    try write(
      "other/rank0.safetensors",
      [
        Tensor(name: "lm_head.weight", description: TensorDescription(shape: [5, 16], elementType: .bfloat16), bytes: [UInt8](repeating: 0, count: 160)),
        Tensor(name: "nothing", description: TensorDescription(shape: [0, 3], elementType: .bfloat16), bytes: []),
        Tensor(name: "surplus", description: TensorDescription(shape: [1], elementType: .uint8), bytes: [0]),
      ], metadata: nil, shuffled: false, &generator)
    let reasons = Dictionary(
      uniqueKeysWithValues: try verify("skeleton", "other").differences.map { ($0.name ?? "", $0.reason) })
    #expect(reasons["lm_head.weight"] == "BF16 [5, 16] instead of BF16 [10, 8]")
    #expect(reasons["nothing"] == "BF16 [0, 3] instead of F16 [0, 3]")
    #expect(reasons["surplus"] == "not in the original" && reasons["norm_epsilon"] == "1e-06 instead of 1e-05")
    #expect(reasons["dtype"] == "missing" && reasons["transformer.layers.0.mlp.fc.weight"] == "missing")
    #expect(throws: CheckpointError.self) { try restore("skeleton", "other", "again") }
  }
  @Test func `what is no skeleton, or cannot become one, is refused`() throws {
    try makeCheckpoint("full")
    try prune("full", "plain")
    #expect(throws: CheckpointError.self) { try verify("plain", "full") }
    #expect(throws: CheckpointError.self) { try prune("plain", "late") { $0.skeleton = true } }
    #expect(throws: CheckpointError.self) { try prune("plain", "late") { $0.digests = true } }
    try prune("full", "shapes") { $0.skeleton = true }
    #expect(throws: CheckpointError.self) { try prune("shapes", "late") { $0.digests = true } }
    #expect(names(in: directory("late")) == nil)
  }
  @Test func `damaged notes are refused, not trusted`() throws {
    try makeCheckpoint("full", tensorParallel: 1, pipelineParallel: 1)
    try prune("full", "skeleton") { $0.digests = true }
    let path = directory("skeleton/rank0.safetensors")
    let good = try #require(contents(path))
    let header = try SafetensorsFile(path).header
    for (key, value) in [
      ("drydock.original_shapes", "{"), ("drydock.original_shapes", #"{"absent":[1]}"#),
      ("drydock.original_shapes", #"{"lm_head.weight":[1]}"#),
      ("drydock.original_shapes", #"{"transformer.layers.0.mlp.fc.weight":[-1]}"#),
      ("drydock.original_shapes", #"{"transformer.layers.0.mlp.fc.weight":[9223372036854775807,16]}"#),
      ("drydock.original_shapes", #"{"transformer.layers.0.mlp.fc.weight":["1"]}"#),
      ("drydock.sha256", "[]"), ("drydock.sha256", "{}"), ("drydock.root_sha256", "00"),
    ] {
      var notes = header.metadata
      notes[key] = value
      let changed = try SafetensorsHeader(describing: header.entries.map { ($0.name, $0.description) }, metadata: notes)
      directory.write("skeleton/rank0.safetensors", changed.serialized() + good[header.dataStart...])
      #expect(throws: CheckpointError.self, "\(key) \(value)") { try verify("skeleton", "full") }
    }
    var notes = header.metadata
    notes["drydock.original_header"] = #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    let changed = try SafetensorsHeader(describing: header.entries.map { ($0.name, $0.description) }, metadata: notes)
    directory.write("skeleton/rank0.safetensors", changed.serialized() + good[header.dataStart...])
    #expect(throws: CheckpointError.self) { try restore("skeleton", "full", "again") }
    #expect(names(in: directory("again")) == nil)
  }
  @Test func `an architecture that nothing knows is pruned with a warning`() throws {
    try makeCheckpoint(
      "full", tensorParallel: 1, pipelineParallel: 1, config: #"{"architecture": "NextYearForCausalLM", "odd": [1.50]}"#)
    let report = try prune("full", "pruned")
    #expect(report.emptiedCount > 0 && report.warnings.contains { $0.contains("NextYearForCausalLM") })
    #expect(text(directory("pruned/config.json")) == #"{"architecture": "NextYearForCausalLM", "odd": [1.50], "is_pruned": true}"#)
  }
  @Test func `what will not be carried, and patterns that match nothing, are said`() throws {
    try makeCheckpoint("full", tensorParallel: 1, pipelineParallel: 1)
    directory.write("full/rank7.safetensors", "")
    directory.write("full/lora/adapter", "")
    let report = try prune("full", "pruned") { $0.selection.keep = [Glob("no.such.*")] }
    for word in ["rank7.safetensors", "'lora'", "no.such.*"] { #expect(report.warnings.contains { $0.contains(word) }, "\(word)") }
    #expect(names(in: directory("pruned"))?.contains("rank7.safetensors") == false)
  }
  @Test func `an output that overlaps the checkpoint is refused before anything is written`() throws {
    try makeCheckpoint("full")
    makeSymbolicLink(directory("alias"), to: "full")
    let before = snapshot(directory.path)
    for target in ["full", "full/inside", "alias", "alias/inside"] { #expect(throws: FileError.self) { try prune("full", target) } }
    #expect(snapshot(directory.path) == before)
  }
  @Test func `large ranges keep their place within a block`() throws {
    // So that a file system which can share blocks does; and the same with every run.
    var generator = SeededGenerator(seed: 8)
    directory.write("full/config.json", #"{"architecture": "LlamaForCausalLM"}"#)
    let big = TensorDescription(shape: [1 << 20], elementType: .float16)
    let small = TensorDescription(shape: [100, 3], elementType: .float16)
    try write(
      "full/rank0.safetensors",
      [
        Tensor(name: "l.attention.qkv.weight", description: small, bytes: generator.bytes(600)),
        Tensor(name: "embedding", description: big, bytes: generator.bytes(2 << 20)),
      ], metadata: nil, shuffled: false, &generator)
    try prune("full", "pruned")
    let (old, new) = (try SafetensorsFile(directory("full/rank0.safetensors")), try SafetensorsFile(directory("pruned/rank0.safetensors")))
    let places = try [old, new].map { ($0.header.dataStart + (try $0.entry("embedding")).range.lowerBound) % 4096 }
    #expect(places[0] == places[1])
    #expect(try old.bytes(of: "embedding") == new.bytes(of: "embedding"))
  }
}
