import Checkpoints
import JSON
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Adapters that were trained on a model that also sees, whose text model an engine is.
struct WholeModelAdapterTests {
  let directory = TemporaryDirectory(inMemory: true)
  private let family = FilePath(#filePath).removingLastComponent().appending("Expected/families/gemma3")

  private func adapted(_ path: FilePath) throws -> AdaptedWeights {
    let source = try ModelSource(family)
    let base = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .float32)
    return try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: path), layout: base.layout)
  }

  /// The family's adapter under other names, with zeros for further tensors.
  private func write(_ name: String, without plain: Bool = false, adding more: [String: [Int]] = [:], _ rename: (String) -> String) throws -> FilePath {
    let bytes = try #require(contents(family.appending("lora/adapter_model.safetensors")))
    let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    var header = JSONObject()
    for (name, value) in try #require(try JSONValue(parsing: Array(bytes[8..<8 + count])).object) where name != "__metadata__" && !plain { header[rename(name)] = value }
    var data = plain ? [] : Array(bytes[(8 + count)...])
    for (name, shape) in more.sorted(by: { $0.key < $1.key }) {
      let size = shape.reduce(4, *)
      header[name] = ["dtype": "F32", "shape": .ints(shape), "data_offsets": .ints([data.count, data.count + size])]
      data += [UInt8](repeating: 0, count: size)
    }
    var text = Array(JSONValue.object(header).serialized().utf8)
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    directory.write("\(name)/adapter_model.safetensors", (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data)
    directory.write("\(name)/adapter_config.json", try #require(contents(family.appending("lora/adapter_config.json"))))
    return directory(name)
  }

  private static let seeing: [String: [Int]] = [
    "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight": [4, 8],
    "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_B.weight": [8, 4],
    "base_model.model.model.multi_modal_projector.mm_input_projection_weight": [8, 64],
    "base_model.model.model.multi_modal_projector.mm_soft_emb_norm.weight": [8],
  ]

  @Test(arguments: ["base_model.model.model.language_model.", "base_model.model.language_model.model."])
  func `names that PEFT gives there are no warning, and what is for seeing is left out with one`(prefix: String) throws {
    let plain = try adapted(family.appending("lora"))
    let renamed = try adapted(try write("renamed") { $0.replacing("base_model.model.model.", with: prefix) })
    #expect(renamed.warnings.isEmpty, "\(renamed.warnings)")
    let whole = try adapted(try write("whole", adding: Self.seeing) { $0.replacing("base_model.model.model.", with: prefix) })
    #expect(whole.warnings.count == 1 && whole.warnings[0].description.contains("of 4 of") && whole.warnings[0].description.contains("see images"), "\(whole.warnings)")
    #expect(whole.warnings.allSatisfy { $0.description.count <= 300 })
    for name in plain.names(rank: 0) {
      #expect(try renamed.bytes(of: name, rank: 0) == plain.bytes(of: name, rank: 0) && whole.bytes(of: name, rank: 0) == plain.bytes(of: name, rank: 0), "\(name)")
    }
  }

  @Test func `an adapter of the parts that see alone is refused as that`() throws {
    let path = try write("seeing", without: true, adding: Self.seeing) { $0 }
    let error = #expect(throws: AdapterError.self) { _ = try adapted(path) }
    #expect(error?.problems.contains { $0.detail.contains("all 4 tensors are for the parts of the model that see images") } == true, "\(error.map { "\($0)" } ?? "")")
  }
}
