import HTTPTypes
import JSON
import Serving
import Testing

/// The page at `/`. What it does in a browser is checked by Scripts/reference/page_check.py.
@Suite struct PageTests {
  private static let files = [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]

  @Test func `the page comes whole from this server, and lets nothing else in`() async throws {
    try await withServer(options: testOptions { $0.apiKey = Secret("k") }) { server in
      for (path, type) in Self.files {
        let reply = try await server.get(path)
        #expect(reply.status == 200 && reply.headers[.contentType]?.hasPrefix(type) == true, "\(path)")
        #expect(reply.headers[HTTPField.Name("content-security-policy")!]?.hasPrefix("default-src 'none'; script-src 'self'") == true)
        // Neither other servers' parts, nor a model's text as markup.
        for forbidden in ["http:", "https:", "\"//", "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "style=", "onclick"] {
          let lines = reply.text.split(separator: "\n").filter { $0.contains(forbidden) }
          #expect(lines.isEmpty, "\(path): \(lines)")
        }
      }
      let page = try await server.get("/").text
      for name in ["page.css", "page.js"] { #expect(page.contains("\"\(name)\"")) }
      // Every field has a label.
      for match in page.matches(of: /<(input|textarea|select) id="([a-z]+)"/) { #expect(page.contains("for=\"\(match.2)\""), "\(match.2)") }
      #expect(try await server.get("/v1/models").status == 401, "what it asks needs the key")
    }
  }

  @Test func `the script asks for paths that there are`() async throws {
    try await withServer { server in
      let script = try await server.get("/page.js").text
      for (name, path) in [("v1/models", "/v1/models"), ("v1/chat/completions", "/v1/chat/completions")] {
        #expect(script.contains("fetch(\"\(name)\""))
        #expect(try await server.get(path).status != 404)
      }
    }
  }
}
