import Engines
import HTTPTypes
import Hummingbird
import Inference
import JSON
import SystemPackage
import WeightSources

/// `/admin/v1/weights`: versions of the engine's weights, made, activated, undone and dropped while it serves.
struct WeightsEndpoints: Sendable {
  let core: ServingCore
  let administration: Administration

  private var weights: any WeightAdministration { administration.weights }

  var routes: [Route] {
    let path = Administration.prefix + "weights"
    return [
      Route(.get, path) { _, context in Response(json: try await logged(context) { try await weights.overview() }) },
      Route(.post, path + "/prepare") { request, context in
        let fields = try await fields(request, context)
        let source = try await source(fields, context)
        try refuseUnknown(fields)
        return Response(json: try await logged(context) { try await weights.prepare(source) })
      },
      Route(.post, path + "/activate") { request, context in
        let fields = try await fields(request, context)
        guard let version = try fields.string("version") else {
          throw fields.missing("version", "version is missing; it must be one of those that GET \(path) lists.")
        }
        let inFlight = try inFlight(fields)
        try refuseUnknown(fields)
        return Response(json: try await logged(context) { try await weights.activate(version: version, inFlight: inFlight) })
      },
      Route(.post, path + "/undo") { request, context in
        let fields = try await fields(request, context, optional: true)
        let inFlight = try inFlight(fields)
        try refuseUnknown(fields)
        return Response(json: try await logged(context) { try await weights.undo(inFlight: inFlight) })
      },
      Route(.post, path + "/refit") { request, context in
        let fields = try await fields(request, context)
        let source = try await source(fields, context)
        let inFlight = try inFlight(fields)
        try refuseUnknown(fields)
        return Response(
          json: try await logged(context) {
            let made = try await weights.prepare(source)
            try Task.checkCancellation()
            guard let version = made["version"]?.string else { throw APIError.failed("The new weights have no name.") }
            let change = try await weights.activate(version: version, inFlight: inFlight)
            return ["prepared": made, "activated": change]
          })
      },
      Route(.delete, path + "/{version}") { request, context in
        let version = String(request.uri.path.split(separator: "/").last ?? "")
        return Response(json: try await logged(context) { try await weights.delete(version: version) })
      },
    ]
  }

  // MARK: Fields

  private func fields(_ request: Request, _ context: ServingContext, optional: Bool = false) async throws -> FieldReader {
    if optional, request.headers[.contentLength].flatMap({ Int($0) }) ?? 0 == 0, request.headers[.transferEncoding] == nil {
      return FieldReader(JSONObject())
    }
    return try await core.read(request, context, limit: min(core.options.maximumBodyBytes, 1 << 20)) { body, _ in FieldReader(body) }
  }

  private func source(_ fields: FieldReader, _ context: ServingContext) async throws -> LiveSource {
    let root = administration.weightsRoot
    guard let name = try fields.string("source") else {
      throw fields.missing("source", "source is missing; it must be the path of weights below this server's weights root.")
    }
    let base = try fields.string("base")
    let baseVersion = try fields.string("base_version")
    if base != nil, baseVersion != nil {
      throw APIError.invalid("base_version", "base and base_version both name what an adapter is put on; give one of them.")
    }
    let adapters = try fields.strings("adapters", limit: 16)
    let scale = try fields.number("lora_scale", in: -1000...1000) ?? 1
    let ignoresFrozen = try fields.bool("ignore_frozen")
    let keepsTokenizer = try fields.bool("keep_tokenizer")
    let files = { @Sendable [weights] in weights.files(of: $0) }
    // Paths are looked up on other threads: disks may be slow, and networks hang.
    return try await core.work(context, .small) { _ in
      func path(_ name: String, _ field: String) throws -> FilePath { FilePath(try root.source(name, field: field, files: files)) }
      return LiveSource(
        SourceRequest(
          try path(name, "source"), basePath: try base.map { try path($0, "base") }, adapters: try adapters.map { try path($0, "adapters") }, loraScale: scale),
        baseVersion: baseVersion, ignoresFrozen: ignoresFrozen, keepsTokenizer: keepsTokenizer)
    }
  }

  private func inFlight(_ fields: FieldReader) throws -> InFlightRequests {
    let name = try fields.string("in_flight") ?? "finish"
    let cache = try fields.string("cache")
    if let cache, !["keep", "recompute"].contains(cache) {
      throw fields.wrong("cache", .string(cache), allowed: "\"keep\" or \"recompute\"")
    }
    if cache != nil, name != "switch" {
      throw APIError.invalid("cache", "cache is only for \"in_flight\": \"switch\"; in_flight is \"\(name)\".")
    }
    switch name {
    case "finish": return .finish
    case "abort": return .abort
    case "switch": return cache == "recompute" ? .switchRecomputing : .switchKeepingCache
    default: throw fields.wrong("in_flight", .string(name), allowed: "\"finish\", \"switch\" or \"abort\"")
    }
  }

  /// A misspelt field here would change weights in another way than was meant.
  private func refuseUnknown(_ fields: FieldReader) throws {
    guard let name = fields.unknown.first else { return }
    let nearest = nearestName(to: name, among: fields.known.sorted()).map { " Did you mean \($0)?" } ?? ""
    throw APIError.invalid(
      name, "\(FieldReader.brief(name, 80)) is not a field of this request; it knows \(fields.known.sorted().joined(separator: ", ")).\(nearest)")
  }

  // MARK: Running

  /// Runs until done, the client leaves or the server stops, whichever is first; notes the weights in use afterwards.
  private func logged(
    _ context: ServingContext, _ body: @Sendable @escaping () async throws -> JSONValue
  ) async throws -> JSONValue {
    defer { context.record.note { $0.weightVersion = core.engine.weightVersion } }
    return try await core.untilInterrupted(context, body)
  }
}
