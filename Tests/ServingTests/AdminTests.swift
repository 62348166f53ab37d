import Engines
import Foundation
import HTTPTypes
import Inference
import JSON
import Serving
import Synchronization
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Says what it was asked.
final class ScriptedWeights: WeightAdministration {
  let calls = Mutex<[String]>([])
  /// What `prepare` does.
  private let making: @Sendable () async throws -> Void
  init(_ making: @Sendable @escaping () async throws -> Void = {}) { self.making = making }

  private func note(_ call: String) -> JSONValue {
    calls.withLock { $0.append(call) }
    return ["version": "fp_new"]
  }
  /// Of `first.part`, `second.part` beside it.
  func files(of source: String) -> [String] {
    source.hasSuffix("first.part") ? [source, source.replacing("first.part", with: "second.part")] : [source]
  }
  func prepare(_ source: LiveSource) async throws -> JSONValue {
    try await making()
    let name = { (path: FilePath) in path.lastComponent?.string ?? "" }
    let request = source.request
    return note(
      "prepare \(name(request.path)) \(request.basePath.map(name) ?? source.baseVersion ?? "-") \(request.adapters.map(name)) \(request.loraScale) \(source.ignoresFrozen)")
  }
  func activate(version: String, inFlight: InFlightRequests) async throws -> JSONValue { note("activate \(version) \(inFlight)") }
  func undo(inFlight: InFlightRequests) async throws -> JSONValue { note("undo \(inFlight)") }
  func delete(version: String) async throws -> JSONValue { note("delete \(version)") }
  func overview() async throws -> JSONValue { note("overview") }
}

/// How far something scripted has come.
private final class Progress: Sendable {
  let began = Atomic(false)
  let ended = Atomic(false)
}

/// `/admin/v1/`: who may enter, what may be read, and what is asked of the engine.
@Suite(.timeLimit(.minutes(8))) struct AdminTests {
  static let path = "/admin/v1/weights"
  private let directory = TemporaryDirectory()
  let weights: ScriptedWeights
  let root: URL
  let outside: URL

  init() throws {
    weights = ScriptedWeights()
    let base = URL(filePath: directory.path.string)
    (root, outside) = (base.appending(path: "root"), base.appending(path: "root-outside"))
    for directory in [root.appending(path: "model"), root.appending(path: "lora"), outside.appending(path: "secret")] {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      try Data("{}".utf8).write(to: directory.appending(path: "config.json"))
    }
  }

  func options(apiKey: String? = nil, _ weights: ScriptedWeights? = nil) throws -> ServerOptions {
    let root = try #require(WeightsRoot(root.path))
    return testOptions {
      $0.apiKey = apiKey.map { Secret($0) }
      $0.administration = Administration(key: Secret("admin secret"), weightsRoot: root, weights: weights ?? self.weights)
    }
  }
  static func bearer(_ key: String) -> HTTPFields { [.authorization: "Bearer \(key)"] }

  @Test func `without an admin key the paths do not exist`() async throws {
    try await withServer {
      for method in [HTTPRequest.Method.get, .post, .delete] {
        for path in ["", "/prepare", "/activate", "/undo", "/refit", "/fp_1"] {
          let reply = try await $0.send(method, Self.path + path, "{}", headers: Self.bearer("anything"))
          #expect(reply.status == 404)
          #expect(reply.error["message"]?.string?.contains("/admin") == true)
          #expect(reply.error["message"]?.string?.contains("Known paths: /health") == true)
          #expect(reply.error["message"]?.string?.contains("/v1/models/{name}") == true)
          #expect(reply.error["message"]?.string?.components(separatedBy: "admin").count == 2, "only the path that was asked for")
        }
      }
    }
  }

  @Test(arguments: [nil, "api secret"])
  func `only the admin key opens the paths, and it opens no other`(apiKey: String?) async throws {
    try await withServer(options: try options(apiKey: apiKey)) { server in
      let wrong: [HTTPFields] = [
        [:], Self.bearer("api secret"), Self.bearer("admin secre"), Self.bearer("admin secretx"), Self.bearer(""),
        [.authorization: "admin secret"], [.authorization: "Basic admin secret"],
      ]
      for headers in wrong {
        for (method, path) in [
          (HTTPRequest.Method.get, Self.path), (.post, Self.path + "/refit"), (.delete, Self.path + "/fp"), (.get, "/admin/v1/other"),
          (.get, "//admin//v1/weights"), (.get, Self.path + "/"),
        ] {
          let reply = try await server.send(method, path, "{}", headers: headers)
          #expect(reply.status == 401, "\(method) \(path) \(headers)")
          #expect(reply.error["code"] == "invalid_admin_key")
        }
      }
      #expect(weights.calls.withLock { $0 }.isEmpty)
      #expect(try await server.send(.get, Self.path, headers: Self.bearer("admin secret")).status == 200)
      let models = try await server.send(.get, "/v1/models", headers: Self.bearer("admin secret"))
      #expect(models.status == (apiKey == nil ? 200 : 401))
      #expect(try await server.send(.get, "/v1/models", headers: Self.bearer("api secret")).status == 200)
    }
  }

  @Test func `each request reaches the engine with its fields`() async throws {
    try await withServer(options: try options()) { server in
      func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws -> Reply {
        try await server.send(method, Self.path + path, body, headers: Self.bearer("admin secret"))
      }
      let absolute = root.appending(path: "lora").path
      for (method, path, body) in [
        (HTTPRequest.Method.get, "", nil as String?), (.post, "/prepare", #"{"source": "model"}"#),
        (.post, "/prepare", #"{"source": "./lora/../lora/", "base": "model", "adapters": ["\#(absolute)"], "lora_scale": 0.5, "ignore_frozen": true}"#),
        (.post, "/prepare", #"{"source": "lora", "base_version": "fp_0"}"#),
        (.post, "/activate", #"{"version": "fp_1"}"#), (.post, "/activate", #"{"version": "fp_1", "in_flight": "abort"}"#),
        (.post, "/activate", #"{"version": "fp_1", "in_flight": "switch"}"#), (.post, "/undo", nil),
        (.post, "/undo", #"{"in_flight": "switch", "cache": "recompute"}"#),
        (.post, "/refit", #"{"source": "lora", "in_flight": "switch", "cache": "keep"}"#), (.delete, "/fp_1", nil),
      ] {
        let reply = try await send(method, path, body)
        #expect(reply.status == 200, "\(path): \(reply.text)")
      }
      #expect(
        weights.calls.withLock { $0 } == [
          "overview", "prepare model - [] 1.0 false", #"prepare lora model ["lora"] 0.5 true"#, "prepare lora fp_0 [] 1.0 false",
          "activate fp_1 finish",
          "activate fp_1 abort", "activate fp_1 switchKeepingCache", "undo finish", "undo switchRecomputing",
          "prepare lora - [] 1.0 false", "activate fp_new switchKeepingCache", "delete fp_1",
        ])
      let wrong = try await send(.put, "/fp_1", "{}")
      #expect(wrong.status == 405 && wrong.headers[.allow]?.contains("DELETE") == true)
    }
  }

  @Test(arguments: [
    ("prepare", "{}", "source"), ("prepare", #"{"source": 5}"#, "source"), ("prepare", #"{"source": ""}"#, "source"),
    ("prepare", #"{"source": "model", "lora_scale": "x"}"#, "lora_scale"),
    ("prepare", #"{"source": "model", "adapters": "no"}"#, "adapters"), ("prepare", #"{"source": "model", "base": "no"}"#, "base"),
    ("prepare", #"{"source": "lora", "base": "model", "base_version": "fp_0"}"#, "base_version"),
    ("prepare", #"{"source": "lora", "base_version": 5}"#, "base_version"),
    ("prepare", #"{"source": "model", "in_flight": "abort"}"#, "in_flight"), ("refit", #"{"source": "model", "soruce": 1}"#, "soruce"),
    ("activate", "{}", "version"), ("activate", #"{"version": "a", "in_flight": "drop"}"#, "in_flight"),
    ("activate", #"{"version": "a", "cache": "keep"}"#, "cache"), ("undo", #"{"in_flight": "switch", "cache": "x"}"#, "cache"),
  ])
  func `a wrong field is refused by name before anything is asked of the engine`(path: String, body: String, field: String) async throws {
    try await withServer(options: try options()) {
      let reply = try await $0.send(.post, "\(Self.path)/\(path)", body, headers: Self.bearer("admin secret"))
      #expect(reply.status == 400)
      #expect(reply.error["param"]?.string == field)
      #expect(weights.calls.withLock { $0 }.isEmpty)
    }
  }

  @Test(arguments: [
    ("prepare", #"{"sauce": "model"}"#, "'sauce' is there: did you mean 'source'?"), ("activate", #"{"verzion": "a"}"#, "did you mean 'version'?"),
    ("prepare", #"{"source": "model", "lora_scael": 2}"#, "Did you mean lora_scale?"), ("undo", #"{"inflight": "abort"}"#, "Did you mean in_flight?"),
  ])
  func `a misspelt field is told with the nearest`(path: String, body: String, words: String) async throws {
    try await withServer(options: try options()) {
      let reply = try await $0.send(.post, "\(Self.path)/\(path)", body, headers: Self.bearer("admin secret"))
      #expect(reply.status == 400 && reply.error["message"]?.string?.contains(words) == true, "\(reply.text)")
    }
  }

  @Test func `nothing outside the weights root can be named, by dots, absolute paths or links`() async throws {
    let manager = FileManager.default
    try manager.createSymbolicLink(at: root.appending(path: "link"), withDestinationURL: outside)
    try manager.createSymbolicLink(atPath: root.appending(path: "relative").path, withDestinationPath: "../root-outside/secret")
    try manager.createSymbolicLink(at: root.appending(path: "lora/adapter_model.safetensors"), withDestinationURL: outside.appending(path: "secret/config.json"))
    // Files that a name leads to: of a hub's cache, and those that whoever opens a source says belong to it.
    try manager.createDirectory(at: root.appending(path: "hub/snapshots/r"), withIntermediateDirectories: true)
    try manager.createSymbolicLink(at: root.appending(path: "hub/snapshots/r/model.safetensors"), withDestinationURL: outside.appending(path: "secret/config.json"))
    try Data("GGUF".utf8).write(to: root.appending(path: "first.part"))
    try manager.createSymbolicLink(at: root.appending(path: "second.part"), withDestinationURL: outside.appending(path: "secret/config.json"))
    try manager.createSymbolicLink(at: root.appending(path: "inner"), withDestinationURL: root.appending(path: "model"))
    try await withServer(options: try options()) { server in
      for name in [
        "..", "../root-outside/secret", "model/../../root-outside", outside.path, "/etc", "/", "link", "link/secret", "relative",
        "lora", "hub", "first.part", "/etc/passwd", "model/../..", "../nothing-there", "model\\u0000", "inner/../../root-outside",
      ] {
        for field in [#""source": "\#(name)""#, #""source": "model", "base": "\#(name)""#, #""source": "model", "adapters": ["\#(name)"]"#] {
          let reply = try await server.send(.post, Self.path + "/refit", "{\(field)}", headers: Self.bearer("admin secret"))
          #expect(reply.status == 400, "\(name)")
          if !name.contains("u0000") { #expect(reply.error["code"] == "outside_weights_root", "\(name): \(reply.text)") }
        }
      }
      #expect(weights.calls.withLock { $0 }.isEmpty)
      let missing = try await server.send(.post, Self.path + "/prepare", #"{"source": "nothing"}"#, headers: Self.bearer("admin secret"))
      #expect(missing.error["code"] == "source_not_found")
      let long = String(repeating: "x", count: 5000)
      for name in [long, "../\(long)"] {
        let reply = try await server.send(.post, Self.path + "/prepare", #"{"source": "\#(name)"}"#, headers: Self.bearer("admin secret"))
        #expect(reply.status == 400 && reply.error["message"]?.string.map { $0.count <= 300 } == true, "\(reply.text.prefix(400))")
      }
      let inner = try await server.send(.post, Self.path + "/prepare", #"{"source": "inner"}"#, headers: Self.bearer("admin secret"))
      #expect(inner.status == 200, "a link within the root is fine")
    }
  }

  @Test func `what the engine refuses reaches the client in OpenAI's shape, and refit stops there`() async throws {
    let refusing = ScriptedWeights { throw APIError(status: 400, message: "two tensors are missing", type: "invalid_request_error", code: "weights_refused") }
    try await withServer(options: try options(refusing)) {
      let reply = try await $0.send(.post, Self.path + "/refit", #"{"source": "model"}"#, headers: Self.bearer("admin secret"))
      #expect(reply.status == 400)
      #expect(reply.error["code"] == "weights_refused" && reply.error["message"] == "two tensors are missing")
      #expect(refusing.calls.withLock { $0 }.isEmpty, "nothing was activated")
    }
  }

  @Test func `a client that leaves ends the preparation`() async throws {
    let progress = Progress()
    let slow = ScriptedWeights {
      progress.began.store(true, ordering: .sequentiallyConsistent)
      do { try await Task.sleep(for: .seconds(60)) } catch {
        progress.ended.store(true, ordering: .sequentiallyConsistent)
        throw error
      }
    }
    try await withLiveServer(ScriptedEngine(), options: try options(slow)) { server in
      try await server.connect { connection in
        let body = #"{"source": "model"}"#
        try await connection.send(
          "POST \(Self.path)/refit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin secret\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        try await eventually("it begins") { progress.began.load(ordering: .sequentiallyConsistent) }
        try await connection.channel.close().get()
      }
      try await eventually("it ends") { progress.ended.load(ordering: .sequentiallyConsistent) }
      #expect(slow.calls.withLock { $0 }.isEmpty)
    }
  }
}
