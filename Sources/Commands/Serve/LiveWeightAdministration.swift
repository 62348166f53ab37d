import Checkpoints
import Engines
import Files
import Inference
import JSON
import Logging
import Safetensors
import Serving
import SystemPackage
import WeightSources

/// A running engine's weights as the server's administration wants them: requests in, JSON out.
struct LiveWeightAdministration: WeightAdministration {
  let weights: LiveWeights
  let logger: Logger
  /// Lines of warnings that one preparation may write.
  private static let mostLines = 20

  func files(of source: String) -> [String] { GGUFFile.files(of: FilePath(source)).map(\.string) }

  func prepare(_ source: LiveSource) async throws -> JSONValue {
    let clock = ContinuousClock()
    let start = clock.now
    let facts = try await refusing(versionField: "base_version") {
      try await weights.prepare(source)
    }
    for warning in facts.warnings.prefix(Self.mostLines) {
      logger.warning("new weights", metadata: ["weights": .string(facts.name), "warning": .string(warning)])
    }
    if facts.warnings.count > Self.mostLines {
      logger.warning("new weights", metadata: ["weights": .string(facts.name), "more_warnings": "\(facts.warnings.count - Self.mostLines)"])
    }
    guard case .object(var members) = Self.json(facts, withDigests: false) else { return nil }
    members["seconds"] = .double(Format.roundedSeconds(clock.now - start))
    return .object(members)
  }

  func activate(version: String, inFlight: InFlightRequests) async throws -> JSONValue {
    told(try await refusing { try await weights.activate(version, inFlight: inFlight) })
  }

  func undo(inFlight: InFlightRequests) async throws -> JSONValue {
    told(try await refusing { try await weights.undo(inFlight) })
  }

  /// What goes for the version that is active now goes into the log as well as into the reply.
  private func told(_ change: LiveWeights.Change) -> JSONValue {
    for warning in change.warnings.prefix(Self.mostLines) {
      logger.warning("weights in use", metadata: ["weights": .string(change.to), "warning": .string(warning)])
    }
    return Self.json(change)
  }

  func delete(version: String) async throws -> JSONValue {
    try await refusing { try await weights.delete(version) }
    return ["deleted": .string(version)]
  }

  func overview() async throws -> JSONValue {
    let overview = await weights.overview()
    return [
      "active": .string(overview.active), "previous": overview.previous.map(JSONValue.string) ?? nil,
      "memory_bytes": .int(overview.byteCount),
      "preparing": overview.preparing.map { ["completed_bytes": .int($0.completed), "total_bytes": .int($0.total)] } ?? nil,
      "versions": .array(overview.versions.map { Self.json($0, withDigests: true) }),
    ]
  }

  // MARK: Errors

  /// What the caller asked for and cannot have is the caller's error; all else the server's.
  /// - Parameter versionField: The field that names a version.
  private func refusing<R>(versionField: String = "version", _ body: () async throws -> R) async throws -> R {
    do { return try await body() } catch let error as RefitError {
      throw Self.refusal(RefitProblem.report(error.problems, linesPerHeading: .max) + "\nThe weights in use are as they were.")
    } catch let error as LiveWeightsError {
      switch error {
      case .unknownVersion:
        throw APIError(
          status: 404, message: error.description, type: "invalid_request_error", parameter: versionField, code: "version_not_found")
      case .busy, .inUse, .nothingToUndo:
        throw APIError(status: 409, message: error.description, type: "invalid_request_error", code: "conflict")
      case .carriesAdapter, .needsNoBaseVersion:
        throw Self.refusal(error.description + "\nThe weights in use are as they were.", parameter: versionField)
      case .nonFinite:
        throw Self.refusal(error.description + "\nThe weights in use are as they were.")
      case .otherTokenizer:
        throw Self.refusal(error.description, parameter: "keep_tokenizer")
      case .withoutEffect(let field):
        throw Self.refusal(error.description, parameter: field)
      case .engineReplaced:
        throw APIError(status: 409, message: error.description, type: "invalid_request_error", code: "engine_replaced")
      case .outOfMemory, .outOfDeviceMemory:
        throw APIError(status: 507, message: error.description, type: "server_error", code: "out_of_memory")
      }
    } catch let error as EngineLoopError {
      throw APIError(status: 503, message: error.description, type: "server_error", code: "engine_failed")
    } catch let error as CancellationError {
      throw error
    } catch let error where Self.isAboutTheSource(error) {
      throw Self.refusal("\(error)\nThe weights in use are as they were.")
    }
  }

  private static func isAboutTheSource(_ error: any Error) -> Bool {
    error is EngineError || error is FileError || error is WeightSourceError || error is SafetensorsError
      || error is CheckpointError || error is GGUFError || error is JSONError
  }

  private static func refusal(_ message: String, parameter: String = "source") -> APIError {
    APIError(status: 400, message: message, type: "invalid_request_error", parameter: parameter, code: "weights_refused")
  }

  // MARK: JSON

  private static func json(_ change: LiveWeights.Change) -> JSONValue {
    [
      "version": .string(change.to), "previous": .string(change.from),
      "pause_microseconds": .double(seconds(change.pause) * 1e6), "seconds": .double(Format.roundedSeconds(change.total)),
      "warnings": .strings(change.warnings),
    ]
  }

  private static func json(_ facts: LiveWeights.Facts, withDigests: Bool) -> JSONValue {
    var members: JSONObject = [
      "version": .string(facts.name), "active": .bool(facts.isActive), "engine_file": .bool(facts.isEngineFile),
      "memory_bytes": .int(facts.byteCount),
      "weights": ["made": .int(facts.made), "unchanged": .int(facts.unchanged), "kept": .int(facts.kept)],
      "warnings": .strings(facts.warnings),
    ]
    if let lineage = facts.lineage {
      members["created"] = .string(lineage.created)
      members["source"] = ["kind": .string(lineage.sourceKind), "path": .string(lineage.sourcePath)]
      members["adapters"] = .array(
        lineage.adapters.map { ["path": .string($0.path), "sha256": .string($0.digest), "scale": .double($0.scale)] })
      members["parent"] = .strings(lineage.parent)
    }
    members["digests"] = .array(
      facts.digests.map {
        var rank: JSONObject = ["file": .string($0.file), "root": .string($0.root)]
        if withDigests { rank["weights"] = .object(JSONObject($0.weights.mapValues { .string($0) })) }
        return .object(rank)
      })
    return .object(members)
  }

  private static func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }
}
