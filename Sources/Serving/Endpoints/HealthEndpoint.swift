import Hummingbird

/// `GET /health`: 200 with no body while the engine can answer, else 503.
struct HealthEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.get, "/health") { _, _ in
      if case .failed(let reason) = core.engine.health { throw APIError.unavailable(reason) }
      return Response(status: .ok)
    }
  }
}
