public import SystemPackage

/// Weights as a user asks for them: a path, and what is to be done on the way.
public struct SourceRequest: Sendable, Hashable {
  /// A checkpoint, a Hugging Face directory, a GGUF file, an engine, or a LoRA adapter (a PEFT directory or a GGUF file).
  public var path: FilePath
  /// What the path is named for: an adapter where it must be one, also where a model lies beside it.
  public var role: SourceRole
  /// Base weights for an adapter; nil: those of the engine that it is put on.
  public var basePath: FilePath?
  /// More adapters, on top of whatever the source is.
  public var adapters: [FilePath]
  /// Multiplies what adapters change.
  public var loraScale: Double

  /// The path's own weights, on an engine's own where it is an adapter.
  public init(_ path: FilePath, as role: SourceRole = .weights, basePath: FilePath? = nil, adapters: [FilePath] = [], loraScale: Double = 1) {
    (self.path, self.role, self.basePath, self.adapters, self.loraScale) = (path, role, basePath, adapters, loraScale)
  }
}
