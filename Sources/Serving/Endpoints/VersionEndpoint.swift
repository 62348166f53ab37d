import Hummingbird

/// `GET /version`.
struct VersionEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.get, "/version") { _, _ in Response(json: ["version": .string(core.options.version)]) }
  }
}
