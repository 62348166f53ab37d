/// Where new weights for a running engine come from; the same kinds as for a refit of files.
public struct LiveSource: Sendable, Hashable {
  /// A checkpoint, a Hugging Face directory, a GGUF file, an engine, or a LoRA adapter (a PEFT directory or a GGUF file).
  public var path: String
  /// Base weights of an adapter; nil: those of `baseVersion`.
  public var basePath: String?
  /// The version of the running weights that an adapter is put on; nil: the engine file's, whatever version is active.
  public var baseVersion: String?
  /// More adapters on top.
  public var adapters: [String]
  /// Multiplies what adapters change.
  public var loraScale: Double
  /// Keep the engine's frozen weights where the source's differ, instead of refusing.
  public var ignoresFrozen: Bool
  /// Take weights whose tokens mean something else than the running engine's tokenizer says.
  public var keepsTokenizer: Bool

  public init(
    path: String, basePath: String? = nil, baseVersion: String? = nil, adapters: [String] = [], loraScale: Double = 1,
    ignoresFrozen: Bool = false, keepsTokenizer: Bool = false
  ) {
    self.path = path
    self.basePath = basePath
    self.baseVersion = baseVersion
    self.adapters = adapters
    self.loraScale = loraScale
    self.ignoresFrozen = ignoresFrozen
    self.keepsTokenizer = keepsTokenizer
  }
}
