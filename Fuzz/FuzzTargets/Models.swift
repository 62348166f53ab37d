import Checkpoints
import Files
import JSON
import SystemPackage
import Tensors
import Tokenizers
@testable import WeightSources

extension FuzzTarget {
  /// A GGUF file's header; data are made up behind it. What is accepted is read as trtllm-convert would: configuration,
  /// tokenizer, the first rows of every tensor. What is an adapter changes the weights of a small model.
  static let gguf = FuzzTarget(name: "gguf") { input in
    let path = Place.directory("gguf") + "/model.gguf"
    Place.write(input + SafetensorsBytes.pattern.prefix(64 << 10), path)
    guard let file = try? GGUFFile(FilePath(path)) else { return }
    for name in file.names {
      guard let description = file.description(of: name) else { continue }
      let rows = max(0, description.rowCount - 2)..<description.rowCount
      var bytes = [UInt8](repeating: 0, count: rows.count * description.rowByteCount)
      try? unsafe bytes.withUnsafeMutableBytes { unsafe try file.read(name, rows: rows, into: $0) }
    }
    if let metadata = try? file.metadata.tokenizer() {
      if let contents = try? TokenizerFiles.contents(fromGGUF: metadata),
        let tokenizer = try? Tokenizer(files: TokenizerFiles(contents: contents))
      {
        use(tokenizer)
      }
    }
    if let source = try? ModelSource(gguf: file, path: FilePath(path)) { read(source) }
    for base in MadeUpWeights.all {
      if let adapter = try? LoRAAdapter(gguf: FilePath(path), for: base.layout) { put(adapter, on: base) }
    }
  }

  /// A PEFT directory: adapter_config.json and the header of adapter_model.safetensors, with a zero byte between them. What
  /// is accepted changes the weights of a small model, whole and over two ranks.
  static let adapter = FuzzTarget(name: "adapter", form: .json) { input in
    let parts = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map { Array($0) }
    let directory = Place.directory("adapter")
    Place.write(parts[0], directory + "/adapter_config.json")
    Place.write(SafetensorsBytes.file(header: parts.count > 1 ? parts[1] : []), directory + "/adapter_model.safetensors")
    guard let adapter = try? LoRAAdapter(directory: FilePath(directory)) else { return }
    for base in MadeUpWeights.all { put(adapter, on: base) }
  }

  /// Reads everything that an adapter changes, also of a model that stores table and head once.
  private static func put(_ adapter: LoRAAdapter, on base: MadeUpWeights) {
    for shares in [false, true] {
      guard
        let weights = try? AdaptedWeights(base: base, adapter: adapter, layout: base.layout, strength: 0.5, sharesEmbedding: shares)
      else { continue }
      for rank in 0..<base.layout.mapping.worldSize {
        for name in weights.touchedNames(rank: rank) {
          guard let description = weights.description(of: name, rank: rank) else { preconditionFailure("\(name) has gone") }
          var bytes = [UInt8](repeating: 0, count: description.byteCount)
          try? unsafe bytes.withUnsafeMutableBytes {
            unsafe try weights.read(name, rank: rank, rows: 0..<description.rowCount, into: $0)
          }
        }
      }
    }
  }
}

/// The weights of a small model, without a file.
final class MadeUpWeights: WeightSource {
  let layout: ShardLayout
  private let descriptions: [[String: TensorDescription]]
  let origin = "made up"

  static let all: [MadeUpWeights] = [MadeUpWeights(tensorParallel: 1), MadeUpWeights(tensorParallel: 2)]

  init(tensorParallel: Int) {
    let json: JSONValue = [
      "architecture": "LlamaForCausalLM", "dtype": "float32", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
      "num_key_value_heads": 1, "head_size": 4, "intermediate_size": 12, "vocab_size": 10, "attn_bias": true,
      "mapping": ["world_size": .int(tensorParallel), "tp_size": .int(tensorParallel)],
    ]
    guard let config = try? CheckpointConfig(parsing: json), let layout = try? ShardLayout(config: config, origin: origin) else {
      preconditionFailure("the small model's configuration")
    }
    self.layout = layout
    descriptions = (0..<tensorParallel).map { rank in
      Dictionary(
        uniqueKeysWithValues: layout.tensors(rank: rank).map { ($0.name, TensorDescription(shape: $0.shape, elementType: .float32)) })
    }
  }

  func names(rank: Int) -> [String] { descriptions[rank].keys.sorted() }
  func description(of name: String, rank: Int) -> TensorDescription? { descriptions[rank][name] }
  func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    unsafe destination.initializeMemory(as: UInt8.self, repeating: 0x3C)
  }
}
