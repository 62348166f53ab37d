import HTTPTypes
import Hummingbird

/// A path, a method, and what answers them.
struct Route: Sendable {
  let method: HTTPRequest.Method
  let path: String
  let respond: @Sendable (Request, ServingContext) async throws -> Response

  init(
    _ method: HTTPRequest.Method, _ path: String,
    _ respond: @escaping @Sendable (Request, ServingContext) async throws -> Response
  ) {
    self.method = method
    self.path = path
    self.respond = respond
  }

  /// The path as documents write it.
  var shownPath: String { path.hasSuffix("/**") ? "\(path.dropLast(2)){name}" : path }

  /// Whether a request's path is this one; `{name}` stands for any one part, `**` at the end for one or more.
  func matches(_ other: String) -> Bool {
    if path.hasSuffix("/**") {
      let (mine, its) = (path.dropLast(3).split(separator: "/"), other.split(separator: "/"))
      return its.count > mine.count && its.starts(with: mine)
    }
    guard path.contains("{") else { return path == other }
    let (mine, its) = (path.split(separator: "/"), other.split(separator: "/"))
    return mine.count == its.count && zip(mine, its).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
  }
}

extension ServingCore {
  /// Every path of the server.
  var routes: [Route] {
    [
      HealthEndpoint(core: self).route, HealthGenerateEndpoint(core: self).route, VersionEndpoint(core: self).route,
      CompletionsEndpoint(core: self).route, ChatEndpoint(core: self).route, TokenizeEndpoint(core: self).route, DetokenizeEndpoint(core: self).route, MetricsEndpoint(core: self).route,
    ] + ModelsEndpoint(core: self).routes + (options.administration.map { WeightsEndpoints(core: self, administration: $0).routes } ?? [])
  }

  func makeRouter() -> Router<ServingContext> {
    let routes = routes
    let router = Router(context: ServingContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: AccessLogMiddleware(core: self, routes: routes))
    router.add(middleware: ErrorMiddleware(routes: routes))
    router.add(middleware: DrainMiddleware(drain: drain))
    let administration = options.administration
    if let key = options.apiKey {
      router.add(middleware: AuthenticationMiddleware(key: key, hasAdministration: administration != nil))
    }
    if let administration { router.add(middleware: AdminAuthenticationMiddleware(key: administration.key)) }
    for route in routes {
      router.on(RouterPath(route.path), method: route.method) { try await route.respond($0, $1) }
    }
    return router
  }
}
