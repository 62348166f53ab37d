import HTTPTypes
import Hummingbird

/// A path, a method, and what answers them.
struct Route: Sendable {
  let method: HTTPRequest.Method
  let path: String
  let respond: @Sendable (Request, ServingContext) async throws -> Response
  private let parts: [Substring]
  private let isPattern: Bool
  private let takesMore: Bool

  /// Whether messages name it.
  let isListed: Bool

  init(
    _ method: HTTPRequest.Method, _ path: String, isListed: Bool = true,
    _ respond: @escaping @Sendable (Request, ServingContext) async throws -> Response
  ) {
    self.method = method
    self.path = path
    self.isListed = isListed
    self.respond = respond
    takesMore = path.hasSuffix("/**")
    isPattern = takesMore || path.contains("{")
    parts = path.dropLast(takesMore ? 3 : 0).split(separator: "/")
  }

  /// The same under another path, which messages do not name.
  func under(_ path: String) -> Route { Route(method, path, isListed: false, respond) }

  /// The path as documents write it.
  var shownPath: String { path.hasSuffix("/**") ? "\(path.dropLast(2)){name}" : path }

  /// Whether a request's path is this one; `{name}` stands for any one part, `**` at the end for one or more.
  ///
  /// Looks at bytes: splitting into characters takes a hundred times as long, and paths are what clients choose.
  func matches(_ other: String) -> Bool {
    guard isPattern else { return path == other }
    var rest = other.utf8[...]
    for part in parts {
      rest = rest.drop { $0 == Self.slash }
      let its = rest.prefix { $0 != Self.slash }
      guard !its.isEmpty, part.hasPrefix("{") || its.elementsEqual(part.utf8) else { return false }
      rest = rest.dropFirst(its.count)
    }
    return rest.contains { $0 != Self.slash } == takesMore
  }
  private static let slash = UInt8(ascii: "/")
}

extension ServingCore {
  /// Every path of the server.
  var routes: [Route] {
    [
      HealthEndpoint(core: self).route, HealthGenerateEndpoint(core: self).route, VersionEndpoint(core: self).route,
      CompletionsEndpoint(core: self).route, ChatEndpoint(core: self).route, TokenizeEndpoint(core: self).route, DetokenizeEndpoint(core: self).route, MetricsEndpoint(core: self).route,
    ] + ["/healthz", "/ping", "/v1/health"].map { HealthEndpoint(core: self).route.under($0) } + [MetricsEndpoint(core: self).route.under("/prometheus/metrics")]
      + PageEndpoint().routes + ModelsEndpoint(core: self).routes + (options.administration.map { WeightsEndpoints(core: self, administration: $0).routes } ?? [])
  }

  func makeRouter() -> Router<ServingContext> {
    let routes = routes
    let router = Router(context: ServingContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: AccessLogMiddleware(core: self, routes: routes))
    if let origins = options.corsOrigins { router.add(middleware: CORSMiddleware(origins: origins, routes: routes)) }
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
