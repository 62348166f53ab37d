/// What transformers 5 takes where a configuration says nothing, and which keys its class looks at.
package struct ConfigurationDefaults: Sendable {
  package enum Bias: Sendable {
    /// The class looks at `attention_bias` or `mlp_bias`; false by default.
    case asked
    case never
    case always
  }
  package var positions: Int
  /// Of keys that other classes require: `hidden_size`, ….
  package var sizes: [String: Int] = [:]
  /// nil: as many as attention heads.
  package var keyValueHeadCount: Int?
  /// nil: the hidden size divided by the attention heads.
  package var headSize: Int?
  package var slidingWindow: Int?
  /// Whether the class heeds a window that is given, though it has none by default.
  package var takesWindow = false
  /// The key without which there is no window, and the one of the first layer that has it, with its default.
  package var windowFlag: String?
  package var firstWindowLayer: (key: String, layer: Int)?
  /// Keys beside the window's that published files have and the class does not look at.
  package var unreadWindowKeys: [String] = []
  /// The key of the activation's name, and that name.
  package var activation = (key: "hidden_act", name: "silu")
  package var rotaryBase = 10_000.0
  package var normEpsilon = 1e-6
  package var tiesEmbeddings = false
  /// The key of a flag that lets every token see later ones, which no engine does.
  package var bidirectionalFlag: String?
  package var attentionBias = Bias.asked
  package var mlpBias = Bias.asked
}
