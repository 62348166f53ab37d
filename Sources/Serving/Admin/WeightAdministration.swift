public import JSON

/// What changes an engine's weights while it serves.
///
/// Whatever is thrown reaches the client: an ``APIError`` as it is, all else as 500.
public protocol WeightAdministration: Sendable {
  /// Every file that is opened where a file is named as a source: itself, and those that belong to it wherever they lie.
  func files(of source: String) -> [String]
  /// Checks a source and makes its weights beside those in use. Cancelling the task leaves everything as it was.
  /// - Returns: The version: an object whose `version` names it.
  func prepare(_ source: WeightSourceRequest) async throws -> JSONValue
  /// - Returns: The change.
  func activate(version: String, inFlight: InFlightPolicy) async throws -> JSONValue
  /// Goes back to the version that was active before.
  func undo(inFlight: InFlightPolicy) async throws -> JSONValue
  func delete(version: String) async throws -> JSONValue
  func overview() async throws -> JSONValue
}

/// Where new weights come from. Paths are canonical and below the root that the server was given.
public struct WeightSourceRequest: Sendable, Hashable {
  public var source: String
  /// Base weights of an adapter; nil: those of `baseVersion`.
  public var base: String?
  /// The version that an adapter is put on; nil: the engine file's weights.
  public var baseVersion: String?
  public var adapters: [String]
  public var loraScale: Double
  public var ignoresFrozen: Bool
  /// Take weights whose tokenizer is another than the one that serves.
  public var keepsTokenizer = false
}

/// What becomes of answers in the making when weights change.
public enum InFlightPolicy: Sendable, Hashable {
  case finish
  case switchKeepingCache
  case switchRecomputing
  case abort
}
