import HTTPTypes
import JSON
import Serving
import Testing

/// Web pages of other origins.
@Suite struct CORSTests {
  private static let page = "https://app.example"
  private static func options(_ origins: String..., key: Bool = false) -> ServerOptions {
    testOptions {
      $0.corsOrigins = try? CORSOrigins(origins)
      if key { $0.apiKey = Secret("k") }
    }
  }
  private static let body = JSONValue.object(BadRequestTests.completion).serialized()

  @Test func `a page that is named may ask, first whether it may, without a key`() async throws {
    try await withServer(options: Self.options(Self.page, key: true)) { server in
      let asked = try await server.send(
        .options, "/v1/chat/completions",
        headers: [.origin: Self.page, .accessControlRequestMethod: "POST", .accessControlRequestHeaders: "authorization,content-type,x-stainless-os"])
      #expect(asked.status == 204 && asked.text.isEmpty)
      #expect(asked.headers[.accessControlAllowOrigin] == Self.page && asked.headers[.vary] == "Origin")
      #expect(asked.headers[.accessControlAllowMethods] == "POST" && asked.headers[.accessControlAllowHeaders] == "authorization,content-type,x-stainless-os")
      let answer = try await server.send(.post, "/v1/completions", Self.body, headers: [.origin: Self.page, .authorization: "Bearer k"])
      #expect(answer.status == 200 && answer.headers[.accessControlAllowOrigin] == Self.page)
      #expect(answer.headers[.accessControlExposeHeaders]?.contains("x-request-id") == true)
      // A page must be able to read why.
      let refused = try await server.send(.post, "/v1/completions", Self.body, headers: [.origin: Self.page])
      #expect(refused.status == 401 && refused.headers[.accessControlAllowOrigin] == Self.page)
      #expect(try await server.send(.get, "/nope", headers: [.origin: Self.page, .authorization: "Bearer k"]).headers[.accessControlAllowOrigin] == Self.page)
    }
  }

  @Test(arguments: ["https://other.example", "http://app.example", "https://app.example:8443", "null", "https://app.example.evil"])
  func `others get no leave`(origin: String) async throws {
    try await withServer(options: Self.options(Self.page)) { server in
      let asked = try await server.send(.options, "/v1/completions", headers: [.origin: origin, .accessControlRequestMethod: "POST"])
      #expect(asked.status == 405 && asked.headers[.accessControlAllowOrigin] == nil)
      #expect(try await server.send(.get, "/v1/models", headers: [.origin: origin]).headers[.accessControlAllowOrigin] == nil)
    }
    let plain = try await withServer { try await $0.send(.get, "/v1/models", headers: [.origin: origin]) }
    #expect(plain.headers[.accessControlAllowOrigin] == nil)
  }

  @Test func `all pages may where a star says so, but none changes weights`() async throws {
    try await withServer(options: Self.options("*")) { server in
      let models = try await server.send(.get, "/v1/models", headers: [.origin: "https://x.example"])
      #expect(models.headers[.accessControlAllowOrigin] == "*" && models.headers[.vary] == nil)
      for path in ["/admin/v1/weights", "//admin/v1/weights/refit", "/admin//v1/weights", "/admin/"] {
        let admin = try await server.send(.options, path, headers: [.origin: "https://x.example", .accessControlRequestMethod: "POST"])
        #expect(admin.headers[.accessControlAllowOrigin] == nil && admin.status != 204, "\(path)")
      }
      let odd = try await server.send(
        .options, "/v1/models", headers: [.origin: "https://x.example", .accessControlRequestMethod: "GET", .accessControlRequestHeaders: "a b;c\u{1}"])
      #expect(odd.headers[.accessControlAllowHeaders] == "authorization, content-type" && odd.headers[.accessControlAllowMethods] == "GET, HEAD")
    }
  }

  @Test(arguments: ["", "app.example", "https://", "https://app.example/", "https://a.example/x", "https://a.example,https://b.example", "HTTPS://a.example", "https://*.example", "https://a b"])
  func `what no browser sends is no origin`(text: String) { #expect(throws: CORSOrigins.InvalidOrigin.self) { try CORSOrigins([text]) } }

  @Test func `a model has every name that it is given, and the paths of other servers answer`() async throws {
    try await withServer(options: testOptions { $0.otherModelNames = ["gpt-4o", "org/name"] }) { server in
      for name in ["tiny", "gpt-4o", "org/name"] {
        var body = BadRequestTests.completion
        body["model"] = .string(name)
        let reply = try await server.post("/v1/completions", .object(body))
        #expect(reply.status == 200 && reply.json["model"] == "tiny")
        #expect(try await server.get("/v1/models/\(name)").json["id"] == .string(name))
      }
      #expect(try await server.get("/v1/models").json["data"]?.array?.map { $0["id"] } == ["tiny", "gpt-4o", "org/name"])
      #expect(try await server.get("/v1/models/other").status == 404)
      for path in ["/health", "/healthz", "/ping", "/v1/health"] { #expect(try await server.get(path).status == 200, "\(path)") }
      #expect(try await server.get("/prometheus/metrics").text.contains("drydock_steps_total"))
      #expect(try await server.get("/nope").text.contains("/healthz") == false)
    }
  }
}
