/// Of a class whose layers differ in what they see: some a window, some everything.
package struct LayerDefaults: Sendable {
  /// A bound of scores or logits, `cap · tanh(x / cap)`.
  package enum SoftCap: Sendable {
    /// The class has none, and does not look.
    case never
    /// The class looks at a key; where nothing says, it has this one, or none.
    case asked(Double?)
  }
  /// Every so many layers one sees everything.
  package var pattern: Int
  /// Whether a configuration may say another (`sliding_window_pattern`); otherwise `layer_types` alone counts.
  package var readsPattern = true
  /// Positions that a layer with a window sees, where a checkpoint or a GGUF file does not say it; nil: it must.
  package var window: Int?
  /// Of the rotary embedding of layers with a window; nil: it is that of the others.
  package var localBase: Double?
  /// Scores are divided by its square root (`query_pre_attn_scalar`); nil: by that of the head's size, and no key says otherwise.
  package var queryScalar: Double?
  /// `final_logit_softcapping`.
  package var logitSoftCap = SoftCap.never
  /// `attn_logit_softcapping`.
  package var scoreSoftCap = SoftCap.never
  /// How llama.cpp knows what a GGUF file does not say.
  package var gguf = GGUFKnowledge()

  package struct GGUFKnowledge: Sendable {
    /// The number of layers of the model whose scores are divided by √(hidden size / heads); nil: no model's are.
    package var hiddenScalarLayers: Int?
    /// The number of layers of the model that has windows; nil: every model has those that it speaks of.
    package var windowedLayers: Int?
  }

  /// Which layers have a window, where every so many one sees everything.
  ///
  /// - Parameter pattern: At least 1.
  package static func windows(pattern: Int, layerCount: Int) -> [Bool] { (1...max(1, layerCount)).map { $0 % pattern != 0 } }
}

extension LayerDefaults.SoftCap {
  package var isAsked: Bool { if case .asked = self { true } else { false } }
  /// Where nothing says.
  package var standard: Double? { if case .asked(let cap) = self { cap } else { nil } }
}
