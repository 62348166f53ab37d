import Hummingbird

/// Lets callers of `/admin/v1/` in who know the admin key. The API key does not open it.
struct AdminAuthenticationMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let key: Secret

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    guard !Self.guards(request.uri.path) || AuthenticationMiddleware.isBearer(request, of: key) else {
      throw APIError.wrongAdminKey
    }
    return try await next(request, context)
  }

  /// The router forgives doubled and trailing slashes, so this does.
  static func guards(_ path: String) -> Bool {
    path.utf8.drop { $0 == UInt8(ascii: "/") }.prefix { $0 != UInt8(ascii: "/") }.elementsEqual("admin".utf8)
  }
}
