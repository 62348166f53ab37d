#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif
import JSON
import Tensors

extension SourceModel {
  /// Reads a GGUF file's hyperparameters.
  ///
  /// - Throws: ``GGUFError`` where a key is missing or of the wrong kind; ``WeightSourceError`` where the family or a
  ///   setting is not supported.
  public init(gguf file: GGUFFile) throws {
    let metadata = file.metadata
    let architecture = try metadata.architecture()
    let family = try ModelFamily(ggufArchitecture: architecture, origin: file.origin)
    func key(_ name: String) -> String { "\(architecture).\(name)" }
    func failed(_ name: String, _ reason: String) -> WeightSourceError {
      WeightSourceError(file.origin, .configuration(key: key(name), file: "metadata", reason: reason))
    }
    func size(_ name: String) throws -> Int? {
      guard let value = try metadata.optional(key(name), "a single whole number", \.int) else { return nil }
      guard (1...Int(Int32.max)).contains(value) else { throw failed(name, "is \(value), expected a positive number") }
      return value
    }
    func required(_ name: String) throws -> Int {
      guard let value = try size(name) else { throw failed(name, "is missing") }
      return value
    }
    if let experts = try metadata.optional(key("expert_count"), "an integer", \.int), experts > 0 {
      throw failed("expert_count", "is \(experts); mixtures of experts are not supported")
    }
    let hiddenSize = try required("embedding_length")
    let headCount = try required("attention.head_count")
    let keyValueHeadCount = try size("attention.head_count_kv") ?? headCount
    guard headCount % keyValueHeadCount == 0 else {
      throw failed("attention.head_count_kv", "is \(keyValueHeadCount), which does not divide the \(headCount) attention heads")
    }
    let headSize = try size("attention.key_length") ?? hiddenSize / headCount
    guard headSize > 0, headSize % 2 == 0 else { throw failed("attention.key_length", "is \(headSize), expected an even number") }
    if let valueSize = try size("attention.value_length"), valueSize != headSize {
      throw failed("attention.value_length", "is \(valueSize), but keys have \(headSize); only equal sizes are supported")
    }
    let rotaryDimension = try size("rope.dimension_count") ?? headSize
    guard rotaryDimension <= headSize, rotaryDimension % 2 == 0 else {
      throw failed("rope.dimension_count", "is \(rotaryDimension), expected an even number up to \(headSize)")
    }
    guard let embedding = file.tensors["token_embd.weight"], embedding.shape.count == 2 else {
      throw WeightSourceError(file.origin, .missing(names: ["token_embd.weight"]))
    }
    let base = try metadata.optional(key("rope.freq_base"), "a number", \.double) ?? 10000
    let bos = try metadata.optional("tokenizer.ggml.bos_token_id", "an integer", \.int)
    let eos = try metadata.optional("tokenizer.ggml.eos_token_id", "an integer", \.int)
    let eot = try metadata.optional("tokenizer.ggml.eot_token_id", "an integer", \.int)
    let matrices = file.tensors.values.filter { $0.shape.count == 2 }
    let isQuantized = matrices.contains { !$0.type.isPlain }
    self.init(
      origin: file.origin, family: family, architecture: family.architectures[0],
      shape: ModelShape(
        hiddenSize: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize,
        intermediateSize: try required("feed_forward_length"), vocabularySize: embedding.shape[0],
        layerCount: try required("block_count")),
      hiddenActivation: "silu",
      normEpsilon: JSONNumber(try metadata.require(key("attention.layer_norm_rms_epsilon"), "a number", \.double)),
      rotaryBase: JSONNumber(base), rotaryDimension: rotaryDimension,
      rotaryScaling: try RotaryScaling(file, architecture: architecture, base: base, dimension: rotaryDimension).json,
      maximumPositions: try size("context_length"),
      slidingWindow: try size("attention.sliding_window"),
      tiesEmbeddings: file.tensors["output.weight"] == nil,
      attentionBias: file.tensors["blk.0.attn_q.bias"] != nil, mlpBias: file.tensors["blk.0.ffn_gate.bias"] != nil,
      elementType: isQuantized ? .float32 : embedding.type.delivered ?? .float32,
      isQuantized: isQuantized, bosTokenID: bos, eosTokenIDs: [eos, eot].compactMap { $0 })
  }
}

/// How a GGUF file stretches rotary embedding, in Hugging Face's words.
private struct RotaryScaling {
  /// A `rope_scaling` object, or nil for none.
  let json: JSONValue?

  init(_ file: GGUFFile, architecture: String, base: Double, dimension: Int) throws {
    let metadata = file.metadata
    func key(_ name: String) -> String { "\(architecture).rope.scaling.\(name)" }
    let kind = try metadata.optional(key("type"), "a string", \.string) ?? "none"
    let factor = try metadata.optional(key("factor"), "a number", \.double)
    let original = try metadata.optional(key("original_context_length"), "an integer", \.int)
    if file.tensors["rope_freqs.weight"] != nil {
      json = try Self.llama3(file, base: base, dimension: dimension, original: original ?? 8192)
      return
    }
    switch (kind, factor) {
    case ("none", _), ("linear", nil), ("linear", 1): json = nil
    case ("linear", let factor?): json = ["rope_type": "linear", "factor": .double(factor)]
    default:
      throw WeightSourceError(
        file.origin, .configuration(key: key("type"), file: "metadata", reason: "is '\(kind)', which is not supported. Supported: none, linear and Llama 3's"))
    }
  }

  /// Llama 3's scaling stands in GGUF only as a table of divisors, one for each plane. Its parameters are taken
  /// from the table and the values that Meta published (low 1, high 4); a table that they do not explain is refused.
  private static func llama3(_ file: GGUFFile, base: Double, dimension: Int, original: Int) throws -> JSONValue {
    let name = "rope_freqs.weight"
    guard let description = file.description(of: name), description.elementType == .float32, description.shape == [dimension / 2] else {
      throw WeightSourceError(
        file.origin, .shape(tensor: name, found: file.tensors[name]?.shape ?? [], expected: [dimension / 2], why: "half the rotary dimensions, float32"))
    }
    let bytes = try file.bytes(of: name)
    let found = unsafe bytes.withUnsafeBytes { buffer in
      (0..<dimension / 2).map { unsafe Double(buffer.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
    }
    let (low, high) = (1.0, 4.0)
    let factor = found.max() ?? 1
    for (plane, divisor) in found.enumerated() {
      let wavelength = 2 * Double.pi * pow(base, 2 * Double(plane) / Double(dimension))
      let expected: Double
      if wavelength < Double(original) / high {
        expected = 1
      } else if wavelength > Double(original) / low {
        expected = factor
      } else {
        let smooth = (Double(original) / wavelength - low) / (high - low)
        expected = 1 / ((1 - smooth) / factor + smooth)
      }
      guard abs(divisor - expected) <= 1e-3 * expected else {
        throw WeightSourceError(file.origin, .other(
          "'\(name)' holds rotary divisors that are not Llama 3's (plane \(plane): \(divisor), expected \(expected)). "
            + "Convert from the Hugging Face model instead, whose configuration says how they were made."))
      }
    }
    return [
      "rope_type": "llama3", "factor": .double(factor), "low_freq_factor": .double(low), "high_freq_factor": .double(high),
      "original_max_position_embeddings": .int(original),
    ]
  }
}
