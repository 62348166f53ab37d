import Hummingbird

/// Lets in who knows the API key.
struct AuthenticationMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let key: Secret
  /// Whether there are paths that the admin key opens.
  var hasAdministration = false
  /// Paths for anybody: what load balancers ask, and a page that asks for the key.
  static let open: Set<String> = ["/health", "/healthz", "/ping", "/v1/health", "/version", "/", "/page.css", "/page.js"]

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    guard Self.open.contains(request.uri.path) || hasOwnKey(request) || Self.isBearer(request, of: key) else {
      throw APIError.wrongKey
    }
    return try await next(request, context)
  }

  /// Whether the path asks for another key.
  private func hasOwnKey(_ request: Request) -> Bool {
    hasAdministration && AdminAuthenticationMiddleware.guards(request.uri.path)
  }

  static func isBearer(_ request: Request, of key: Secret) -> Bool {
    guard let header = request.headers[.authorization] else { return false }
    let parts = header.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
    return key.matches(parts[1])
  }
}
