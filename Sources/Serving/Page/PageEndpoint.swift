import HTTPTypes
import Hummingbird
import NIOCore

/// `GET /`: a page to chat with the model, and its two files. Nothing in it comes from elsewhere; it asks this server alone.
struct PageEndpoint: Sendable {
  var routes: [Route] {
    [
      file("/", "text/html; charset=utf-8", Page.html), file("/page.css", "text/css; charset=utf-8", Page.style),
      file("/page.js", "text/javascript; charset=utf-8", Page.script),
    ]
  }

  private func file(_ path: String, _ type: String, _ text: String) -> Route {
    Route(.get, path, isListed: false) { _, _ in
      Response(status: .ok, headers: Self.headers(type), body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
  }

  private static func headers(_ type: String) -> HTTPFields {
    var headers: HTTPFields = [.contentType: type, .cacheControl: "no-cache"]
    headers[HTTPField.Name("content-security-policy")!] =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers[HTTPField.Name("x-content-type-options")!] = "nosniff"
    headers[HTTPField.Name("referrer-policy")!] = "no-referrer"
    return headers
  }
}

/// The page's texts.
enum Page {}
