import HTTPTypes
import Hummingbird
import JSON

/// Turns whatever an endpoint throws into an answer of OpenAI's shape.
struct ErrorMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let routes: [Route]

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    let error: APIError
    do {
      return try await next(request, context)
    } catch let failure as HTTPError where failure.status == .notFound {
      // The router says "not found" for a wrong method, too.
      error = unrouted(request)
    } catch let failure as HTTPError {
      error = APIError(
        status: failure.status.code, message: failure.body ?? failure.status.reasonPhrase, type: "invalid_request_error")
    } catch let failure {
      error = APIError(failure)
    }
    // That a stopping server refuses, load balancers' polls most of all, is no failure.
    if error.status >= 500, error != .draining {
      context.logger.error("request failed", metadata: ["error": "\(error.message)"])
    }
    return Response(error)
  }

  private func unrouted(_ request: Request) -> APIError {
    let path = request.uri.path
    let allowed = routes.filter { $0.matches(path) }.map(\.method.rawValue)
    if allowed.isEmpty { return .unknownPath(path, known: routes.filter(\.isListed).map(\.shownPath).filter { !$0.hasPrefix(Administration.prefix) }) }
    return .wrongMethod(request.method.rawValue, path: path, allowed: allowed)
  }
}

extension Response {
  init(_ error: APIError) {
    self.init(json: error.json, status: HTTPResponse.Status(code: error.status))
    if let seconds = error.retryAfter { headers[.retryAfter] = String(seconds) }
    if let allowed = error.allowedMethods { headers[.allow] = allowed }
    if error.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
    if error.closesConnection { headers[.connection] = "close" }
  }
}
