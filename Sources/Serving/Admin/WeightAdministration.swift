public import Engines
public import Inference
public import JSON

/// What changes an engine's weights while it serves.
///
/// Whatever is thrown reaches the client: an ``APIError`` as it is, all else as 500.
public protocol WeightAdministration: Sendable {
  /// Every file that is opened where a file is named as a source: itself, and those that belong to it wherever they lie.
  func files(of source: String) -> [String]
  /// Checks a source, whose paths are canonical and below the root that the server was given, and makes its weights beside those in use. Cancelling the task leaves everything as it was.
  /// - Returns: The version: an object whose `version` names it.
  func prepare(_ source: LiveSource) async throws -> JSONValue
  /// - Returns: The change.
  func activate(version: String, inFlight: InFlightRequests) async throws -> JSONValue
  /// Goes back to the version that was active before.
  func undo(inFlight: InFlightRequests) async throws -> JSONValue
  /// Gives a version's memory back; the one in use and the engine's own stay.
  /// - Returns: An object whose `deleted` names it.
  func delete(version: String) async throws -> JSONValue
  /// - Returns: All versions, the active one, what is being made and how far it is, bytes of memory.
  func overview() async throws -> JSONValue
}
