import Hummingbird

/// Refuses new requests once the server has been stopped; `/metrics` stays readable to the end.
struct DrainMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let drain: Drain

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    if drain.isDraining, !["/metrics", "/prometheus/metrics"].contains(request.uri.path) { throw APIError.draining }
    return try await next(request, context)
  }
}
