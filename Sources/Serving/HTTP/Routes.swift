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
}

extension ServingCore {
  /// Every path of the server.
  var routes: [Route] {
    [
      HealthEndpoint(core: self).route, HealthGenerateEndpoint(core: self).route, VersionEndpoint(core: self).route,
      ModelsEndpoint(core: self).route, CompletionsEndpoint(core: self).route, ChatEndpoint(core: self).route,
      TokenizeEndpoint(core: self).route, DetokenizeEndpoint(core: self).route, MetricsEndpoint(core: self).route,
    ]
  }

  func makeRouter() -> Router<ServingContext> {
    let routes = routes
    let router = Router(context: ServingContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: AccessLogMiddleware(core: self, routes: routes))
    router.add(middleware: ErrorMiddleware(routes: routes))
    router.add(middleware: DrainMiddleware(drain: drain))
    if let key = options.apiKey { router.add(middleware: AuthenticationMiddleware(key: key)) }
    for route in routes {
      router.on(RouterPath(route.path), method: route.method) { try await route.respond($0, $1) }
    }
    return router
  }
}
