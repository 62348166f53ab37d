/// One tensor of a TensorRT-LLM checkpoint: where it stands, what it is made of, how tensor-parallel ranks share it.
package struct TensorRule: Sendable {
  package enum Place: Sendable {
    /// On the first pipeline stage.
    case first
    /// Once in every layer; names get `transformer.layers.{index in the stage}.` in front.
    case layer
    /// On the last pipeline stage.
    case last
  }
  package enum Layers: Sendable {
    case all
    /// Those with one MLP, in a family of which others have experts.
    case withoutExperts
    case withExperts
  }
  package enum Feature: Sendable { case attentionBias, mlpBias }
  package enum Split: Sendable {
    /// The same on every rank.
    case none
    /// Each rank holds some output rows (upstream's "column parallel").
    case outputs
    /// Each rank holds some input columns (upstream's "row parallel").
    case inputs
    /// The embedding table: split only if the checkpoint asks for it.
    case embedding
  }
  /// A source tensor. In its names `*` stands for the layer's number in the whole model, `#` for that of an expert.
  package struct Part: Sendable {
    package let huggingFace: String
    package let gguf: String
    package let outputs: ModelShape.Dimension
    /// nil for a vector.
    package let inputs: ModelShape.Dimension?
    /// Whether rotary embedding turns the output rows, whose order then depends on the format.
    package var isRotated = false
  }
  package let name: String
  package let place: Place
  package let split: Split
  /// Stacked along rows, in this order, within each rank.
  package let parts: [Part]
  /// The tensor exists only in models with this feature; nil for every model.
  package var feature: Feature? = nil
  /// Which layers have the tensor.
  package var layers = Layers.all
  /// Whether it holds a matrix for each expert of the rank, made of the parts, one below the other.
  package var isStack = false
  /// Kept in float32, whatever the model's type is.
  package var isFloat32 = false
  /// Added to what Hugging Face's files hold; GGUF files and checkpoints hold the sum. Such tensors are kept in float32, so that
  /// the sum loses nothing.
  package var offset: Float = 0
  /// Where the tensor is a copy of another in models with tied embeddings: that one's name in Hugging Face's format.
  package var tiedTo: String? = nil

  /// The full name in layer `layer` of a stage.
  package func name(layer: Int) -> String { place == .layer ? "transformer.layers.\(layer).\(name)" : name }
}

extension String {
  /// The name with `*` replaced by a layer's number.
  package func inLayer(_ layer: Int) -> String {
    guard let star = firstIndex(of: "*") else { return self }
    return self[..<star] + String(layer) + self[index(after: star)...]
  }
}

extension TensorRule {
  /// Whether a layer of the whole model has the tensor.
  package func exists(inLayer layer: Int, of shape: ModelShape) -> Bool {
    switch layers {
    case .all: true
    case .withExperts: shape.experts.map { !$0.denseLayers.contains(layer) } ?? false
    case .withoutExperts: shape.experts.map { $0.denseLayers.contains(layer) } ?? true
    }
  }
}

extension String {
  /// The name with `#` replaced by an expert's number.
  package func ofExpert(_ expert: Int) -> String {
    guard let place = firstIndex(of: "#") else { return self }
    return self[..<place] + String(expert) + self[index(after: place)...]
  }
}
