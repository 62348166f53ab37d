import Checkpoints
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

struct HuggingFaceTests {
  let directory = TemporaryDirectory()

  /// A copy of a tiny model, to be spoiled.
  func copy(_ name: String = "biases") -> FilePath {
    for (file, bytes) in snapshot(Expected.directory.appending("models/\(name)")) { directory.write(file, bytes) }
    return directory.path
  }
  func edit(_ file: String, _ change: (inout JSONObject) -> Void) throws {
    var members = try #require(try JSONValue(parsing: contents(directory(file)) ?? []).object)
    change(&members)
    directory.write(file, JSONValue.object(members).serialized())
  }
  func convert(_ mapping: Mapping = Mapping()) throws {
    let source = try ModelSource(directory.path)
    _ = try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: .float32)
  }

  @Test func `all missing shards are named at once`() throws {
    _ = copy()
    try edit("model.safetensors.index.json") { members in
      guard var map = members["weight_map"]?.object else { return }
      map["a"] = "model-00007.safetensors"
      map["b"] = "model-00008.safetensors"
      members["weight_map"] = .object(map)
    }
    let text = try #require(message { try convert() })
    #expect(text.contains("model-00007.safetensors, model-00008.safetensors"))
  }

  @Test(arguments: ["../x.safetensors", "/etc/x.safetensors", "sub/../../x.safetensors", "..", "x.bin", ""])
  func `an index cannot lead out of its directory`(shard: String) throws {
    _ = copy()
    try edit("model.safetensors.index.json") { $0["weight_map"] = ["lm_head.weight": .string(shard)] }
    let text = try #require(message { try convert() })
    #expect(text.contains("not a safetensors file in this directory"))
  }

  @Test func `an index may name files in any spelling, and a tensor's wrong one of its files, as for transformers`() throws {
    _ = copy()
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    let plain = try ModelSource(directory.path)
    let bytes = try #require(contents(directory(first)))
    try edit("model.safetensors.index.json") { members in
      members["weight_map"] = .object((members["weight_map"]?.object ?? [:]).mapValues { .string($0.string == first ? "./sub/\(first)" : second) })
    }
    #expect(message { try convert() }?.contains("sub/\(first)") == true)
    directory.write("sub/\(first)", bytes)
    let moved = try ModelSource(directory.path)
    #expect(try plain.tensors.names.allSatisfy { try plain.tensors.bytes(of: $0) == moved.tensors.bytes(of: $0) })
    try edit("model.safetensors.index.json") { members in
      guard var map = members["weight_map"]?.object, let name = map.first(where: { $0.value.string != second })?.key else { return }
      map[name] = .string(second)
      members["weight_map"] = .object(map)
    }
    let misplaced = try ModelSource(directory.path)
    #expect(try plain.tensors.names.allSatisfy { try plain.tensors.bytes(of: $0) == misplaced.tensors.bytes(of: $0) })
    #expect(misplaced.warnings.contains { $0.description.contains("is in another file than the index says") }, "\(misplaced.warnings)")
  }

  @Test func `a tensor that is not in the shard the index says is missing`() throws {
    _ = copy()
    try edit("model.safetensors.index.json") { members in
      guard var map = members["weight_map"]?.object else { return }
      map["ghost.weight"] = "model-00001-of-00002.safetensors"
      members["weight_map"] = .object(map)
    }
    #expect(message { try convert() }?.contains("ghost.weight") == true)
  }

  @Test func `pickles are refused, and why is said`() throws {
    directory.write("config.json", "{}")
    directory.write("pytorch_model.bin", "x")
    let text = try #require(message { _ = try ModelSource(directory.path) })
    #expect(text.contains("pytorch_model.bin") && text.contains("run code"))
  }

  @Test func `an unknown family is refused with those that are known`() throws {
    _ = copy()
    try edit("config.json") { $0["architectures"] = ["FalconForCausalLM"] }
    let text = try #require(message { try convert() })
    #expect(text.contains("FalconForCausalLM") && text.contains("LlamaForCausalLM, MistralForCausalLM"))
  }

  @Test func `quantised weights are refused by their method`() throws {
    _ = copy()
    try edit("config.json") { $0["quantization_config"] = ["quant_method": "gptq"] }
    #expect(message { try convert() }?.contains("gptq") == true)
    // One that quantises while it loads a model, and is told not to.
    try edit("config.json") { $0["quantization_config"] = ["quant_method": "bitsandbytes", "load_in_4bit": false, "load_in_8bit": false] }
    #expect(message { try convert() } == nil)
    try edit("config.json") { $0["quantization_config"] = ["quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false] }
    #expect(message { try convert() }?.contains("bitsandbytes") == true)
  }

  @Test func `a configuration that does not fit the weights is refused with both shapes`() throws {
    _ = copy()
    try edit("config.json") { $0["intermediate_size"] = 40 }
    let text = try #require(message { try convert() })
    #expect(text.contains("[20, 24]") && text.contains("[40, 24]") || text.contains("[24, 20]") && text.contains("[24, 40]") || text.contains("[20]"), "\(text)")
  }

  @Test func `weights without a place and absent weights are all named`() throws {
    _ = copy()
    try edit("config.json") { $0["mlp_bias"] = false }
    let surplus = try #require(message { try convert() })
    #expect(surplus.contains("mlp_bias") && surplus.contains("9 such tensors") && surplus.contains("model.layers.*.mlp."), "\(surplus)")
    try edit("config.json") {
      $0["mlp_bias"] = true
      $0["num_hidden_layers"] = 4
    }
    let missing = try #require(message { try convert() })
    #expect(missing.contains("num_hidden_layers is 4, and the weights hold 3 layers"), "\(missing)")
  }

  @Test(arguments: ["hidden_size", "num_attention_heads", "intermediate_size", "vocab_size", "num_hidden_layers"])
  func `a size that is absent or senseless is named`(key: String) throws {
    _ = copy()
    for value: JSONValue in [.null, 0, -1, "8", 1e30, []] {
      try edit("config.json") { $0[key] = value }
      #expect(message { try convert() }?.contains(key) == true, "\(key) = \(value)")
    }
  }

  @Test func `rotary settings of old and new configurations read the same`() throws {
    _ = copy()
    let old = try ModelSource(directory.path).model
    try edit("config.json") { members in
      members.removeValue(forKey: "rope_theta")
      guard var scaling = members.removeValue(forKey: "rope_scaling")?.object else { return }
      scaling["rope_theta"] = 10000.0
      members["rope_parameters"] = .object(scaling)
    }
    let new = try ModelSource(directory.path).model
    #expect(new.rotaryBase.double == old.rotaryBase.double && new.rotaryScaling == old.rotaryScaling && old.rotaryScaling != nil)
    try edit("config.json") { $0["rope_parameters"] = ["rope_type": "default", "rope_theta": 5.0] }
    let plain = try ModelSource(directory.path).model
    #expect(plain.rotaryScaling == nil && plain.rotaryBase.double == 5)
    for nothing: JSONValue in [false, [], "", 0] {
      try edit("config.json") { $0["rope_scaling"] = nothing }
      #expect(try ModelSource(directory.path).model.rotaryBase.double == 5, "\(nothing)")
    }
  }

  @Test func `of a tensor in two files the copy in the last counts, as in transformers, and that is told`() throws {
    // The second file of the model, with a tensor of the first added, whose values are all zero.
    _ = copy()
    let index = try JSONValue(parsing: contents(directory("model.safetensors.index.json")) ?? [])
    let (first, last) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    let (name, _) = try #require(index["weight_map"]?.object?.first { $0.value.string == first && $0.key.contains("up_proj.weight") })
    let description = try #require(try HuggingFaceDirectory(directory.path).description(of: name))
    let bytes = try #require(contents(directory(last)))
    let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    var header = try #require(try JSONValue(parsing: Array(bytes[8..<8 + count])).object)
    let (start, size) = (bytes.count - 8 - count, description.rowCount * description.rowByteCount)
    header[name] = [
      "dtype": .string(description.elementType.rawValue), "shape": .ints(description.shape), "data_offsets": .ints([start, start + size]),
    ]
    let text = Array(JSONValue.object(header).serialized().utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    directory.write(last, length + text + bytes[(8 + count)...] + [UInt8](repeating: 0, count: size))
    let source = try ModelSource(directory.path)
    #expect(try source.tensors.bytes(of: name).allSatisfy { $0 == 0 })
    #expect(source.warnings.map(\.subject) == [name] && source.warnings[0].description.contains("the copy in the last (\(last)) counts"), "\(source.warnings)")
  }

  @Test func `a key that appears twice is called that`() throws {
    _ = copy()
    let text = try #require(String(validating: contents(directory("config.json")) ?? [], as: UTF8.self))
    directory.write("config.json", text.replacing("{", with: #"{"rope_theta": 1,"#, maxReplacements: 1))
    let said = try #require(message { try convert() })
    #expect(said.contains("the key \"rope_theta\" appears twice") && said.contains("Take one of the two out.") && !said.contains("invalid"), "\(said)")
  }

  @Test func `more positions than there may be are told with how many there may be`() throws {
    _ = copy()
    try edit("config.json") { $0["max_position_embeddings"] = .int(1_000_000_000_000_000_000) }
    #expect(message { try convert() }?.contains("expected a number from 1 to 2147483647") == true)
  }
}
