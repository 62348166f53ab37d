import SystemPackage
public import WeightSources

/// Where new weights for a running engine come from; the same kinds as for a refit of files.
public struct LiveSource: Sendable, Hashable {
  /// The model, checkpoint, engine or adapter, and what of it is wanted.
  public var request: SourceRequest
  /// The version of the running weights that an adapter is put on; nil: the engine file's, whatever version is active.
  public var baseVersion: String?
  /// Keep the engine's frozen weights where the source's differ, instead of refusing.
  public var ignoresFrozen: Bool
  /// Take weights whose tokens mean something else than the running engine's tokenizer says.
  public var keepsTokenizer: Bool

  /// - Parameter request: A source as for `trtllm-refit`.
  public init(_ request: SourceRequest, baseVersion: String? = nil, ignoresFrozen: Bool = false, keepsTokenizer: Bool = false) {
    (self.request, self.baseVersion, self.ignoresFrozen, self.keepsTokenizer) = (request, baseVersion, ignoresFrozen, keepsTokenizer)
  }
  /// A path's weights as they are.
  public init(path: String) { self.init(SourceRequest(FilePath(path))) }
}
