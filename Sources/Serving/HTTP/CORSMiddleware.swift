import HTTPTypes
import Hummingbird

/// Lets pages of other origins use the server from browsers (Fetch Standard, section 3.3), where the operator names them.
///
/// Paths that change weights are never among what such pages may use.
struct CORSMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let origins: CORSOrigins
  let routes: [Route]

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    let path = request.uri.path
    guard !AdminAuthenticationMiddleware.guards(path) else { return try await next(request, context) }
    guard let origin = request.headers[.origin], origins.allow(origin) else { return varied(try await next(request, context)) }
    // Browsers ask without a key whether a page may send one.
    let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil && routes.contains { $0.matches(path) }
    var response = isPreflight ? preflight(request, path) : try await next(request, context)
    response.headers[.accessControlAllowOrigin] = origins.isAny ? "*" : origin
    if !isPreflight { response.headers[.accessControlExposeHeaders] = "x-request-id, x-ignored-fields, retry-after" }
    return varied(response)
  }

  /// Where origins are named, answers to others are others, and a cache must not mix them.
  private func varied(_ response: Response) -> Response {
    guard !origins.isAny else { return response }
    var response = response
    response.headers.append(HTTPField(name: .vary, value: "Origin"))
    return response
  }

  private func preflight(_ request: Request, _ path: String) -> Response {
    var methods = Set(routes.filter { $0.matches(path) }.map(\.method.rawValue))
    if methods.contains("GET") { methods.insert("HEAD") }
    var response = Response(status: .noContent)
    response.headers[.accessControlAllowMethods] = methods.sorted().joined(separator: ", ")
    // Clients send headers of their own, which say who they are.
    response.headers[.accessControlAllowHeaders] = request.headers[.accessControlRequestHeaders].flatMap(Self.names) ?? "authorization, content-type"
    response.headers[.accessControlMaxAge] = "600"
    return response
  }

  /// What is asked for, where it is a list of names.
  private static func names(_ list: String) -> String? {
    let isList =
      list.utf8.count <= 2048
      && list.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ","), UInt8(ascii: " ")].contains(byte)
      }
    return isList ? list : nil
  }
}
