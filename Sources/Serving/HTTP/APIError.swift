import Inference
public import JSON
import Tokenizers

/// An answer that is no success, in OpenAI's shape: `{"error": {message, type, param, code}}`.
public struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The HTTP status, 400 or more.
  public var status: Int
  /// Says what is wrong, with the value, and what is allowed.
  public var message: String
  /// OpenAI's class of error, such as `invalid_request_error`.
  public var type: String
  /// The request field at fault, with its path: `messages[0].content`.
  public var parameter: String?
  /// For programs, such as `model_not_found`.
  public var code: String?
  /// Seconds.
  public var retryAfter: Int?
  /// Comma-separated methods, for 405.
  public var allowedMethods: String?
  /// Ends the connection after the answer, where the rest of the request is not worth reading.
  public var closesConnection = false

  /// - Parameter parameter: The request field at fault, where it is one.
  public init(status: Int, message: String, type: String, parameter: String? = nil, code: String? = nil) {
    self.status = status
    self.message = message
    self.type = type
    self.parameter = parameter
    self.code = code
  }

  public var description: String { "\(status) \(type): \(message)" }

  /// The body of the answer.
  public var json: JSONValue {
    [
      "error": [
        "message": .string(message), "type": .string(type),
        "param": parameter.map(JSONValue.string) ?? nil, "code": code.map(JSONValue.string) ?? nil,
      ]
    ]
  }
}

extension APIError {
  static func invalid(_ parameter: String?, _ message: String, code: String? = nil) -> APIError {
    APIError(status: 400, message: message, type: "invalid_request_error", parameter: parameter, code: code)
  }
  /// A field that upstream has and this server does not act on.
  static func unsupported(_ parameter: String, _ message: String) -> APIError {
    .invalid(parameter, message, code: "unsupported_parameter")
  }
  static func unknownModel(_ name: String, served: String) -> APIError {
    APIError(
      status: 404, message: "The model '\(FieldReader.brief(name))' does not exist here; this server serves '\(served)'.",
      type: "invalid_request_error", parameter: "model", code: "model_not_found")
  }
  static func unknownPath(_ path: String, known: [String]) -> APIError {
    APIError(
      status: 404, message: "No such path: \(FieldReader.brief(path)). Known paths: \(known.joined(separator: ", ")).",
      type: "invalid_request_error", code: "not_found")
  }
  static func wrongMethod(_ method: String, path: String, allowed: [String]) -> APIError {
    let list = allowed.joined(separator: ", ")
    var error = APIError(
      status: 405, message: "\(path) does not answer \(method), only \(list).", type: "invalid_request_error",
      code: "method_not_allowed")
    error.allowedMethods = list
    return error
  }
  static var wrongKey: APIError {
    APIError(
      status: 401,
      message: "This server needs its API key, as the header 'Authorization: Bearer KEY'; there was none or another.",
      type: "invalid_request_error", code: "invalid_api_key")
  }
  static var wrongAdminKey: APIError {
    APIError(
      status: 401,
      message: "This path needs the server's admin key, as the header 'Authorization: Bearer KEY'; there was none or another.",
      type: "invalid_request_error", code: "invalid_admin_key")
  }
  static func bodyTooLarge(limit: Int) -> APIError {
    var error = APIError(
      status: 413, message: "The request body is larger than the limit of \(limit) bytes.",
      type: "invalid_request_error", code: "request_too_large")
    error.closesConnection = true
    return error
  }
  static func targetTooLong(limit: Int) -> APIError {
    .refused(414, "The request's path and query have more than \(limit) bytes together.", code: "target_too_long")
  }
  static func notImplemented(_ message: String) -> APIError { .refused(501, message, code: "not_implemented") }
  static func wrongHead(_ message: String) -> APIError { .refused(400, message) }
  private static func refused(_ status: Int, _ message: String, code: String? = nil) -> APIError {
    APIError(status: status, message: message, type: "invalid_request_error", code: code)
  }
  static var headerTooLarge: APIError {
    APIError(
      status: 431, message: "The request header is too large: it has too many fields, or one of more than 80 KiB. Send less in it.",
      type: "invalid_request_error", code: "header_too_large")
  }
  /// The body's own framing is broken, so nobody can tell where the next request would begin.
  static func brokenBody(_ reason: String) -> APIError {
    var error = APIError.invalid(nil, "The request body is not sent as its header says: \(reason).")
    error.closesConnection = true
    return error
  }
  static func framing(perByte: Int) -> APIError {
    var error = APIError.invalid(
      nil, "The request body has more than \(perByte) bytes of framing for each of its own. Send larger chunks, without extensions.")
    error.closesConnection = true
    return error
  }
  static func bodyTooSlow(seconds: Int) -> APIError {
    var error = APIError(
      status: 408, message: "The request was not complete within \(seconds) seconds.", type: "invalid_request_error",
      code: "request_timeout")
    error.closesConnection = true
    return error
  }
  /// - Parameter type: nil where none is given.
  static func unsupportedMediaType(_ type: String?) -> APIError {
    APIError(
      status: 415, message: "The request body is of \(type.map { "type '\($0)'" } ?? "no type that is said"); send 'Content-Type: application/json', not compressed.",
      type: "invalid_request_error", code: "unsupported_media_type")
  }
  static func busy(_ what: String, retryAfter: Int) -> APIError {
    var error = APIError(
      status: 429, message: "\(what) Try again in \(retryAfter) s.", type: "rate_limit_error",
      code: "rate_limit_exceeded")
    error.retryAfter = retryAfter
    return error
  }
  /// Large bodies on their way hold all the memory that there is for them.
  static var noRoomForBody: APIError {
    var error = APIError(
      status: 503, message: "Too many large requests are on their way. Try again in 2 s.", type: "server_error",
      code: "server_busy")
    error.retryAfter = 2
    error.closesConnection = true
    return error
  }
  static func tooCostly(_ exceeded: WorkBudget.Exceeded) -> APIError {
    .invalid(nil, "This request was stopped while it was read: \(exceeded). Shorten it.", code: "request_too_costly")
  }
  static var draining: APIError {
    var error = APIError(
      status: 503, message: "The server is shutting down and takes no new requests.", type: "server_error",
      code: "shutting_down")
    error.retryAfter = 5
    error.closesConnection = true
    return error
  }
  /// For what was under way when the server was stopped, and did not end in time.
  static func cutOff(after limit: Duration) -> APIError {
    var error = APIError(
      status: 503,
      message: "The server is shutting down, and this was not done within the \(limit / .seconds(1)) s that running requests are given. "
        + "What has come so far is not complete.",
      type: "server_error", code: "shutting_down")
    error.retryAfter = 5
    error.closesConnection = true
    return error
  }
  static func unavailable(_ reason: String) -> APIError {
    APIError(status: 503, message: "The engine cannot answer: \(reason)", type: "server_error", code: "engine_failed")
  }
  static func failed(_ message: String) -> APIError {
    APIError(status: 500, message: message, type: "server_error", code: "internal_error")
  }
  /// The client is gone; nobody reads this. The number is what web servers write into their logs.
  static var clientGone: APIError {
    APIError(status: 499, message: "The client closed the connection.", type: "client_closed_request")
  }

  /// Any error as an answer.
  init(_ error: any Error) {
    switch error {
    case let error as APIError: self = error
    case EngineRefusal.queueFull(let seconds): self = .busy("Too many requests wait already.", retryAfter: seconds)
    case EngineRefusal.shuttingDown: self = .draining
    case EngineRefusal.invalid(let message): self = .invalid(nil, message)
    case is CancellationError: self = .clientGone
    case let error as WeightsReplaced:
      self.init(status: 503, message: error.description, type: "server_error", code: "weights_replaced")
      retryAfter = 1
    default: self = .failed("\(error)")
    }
  }
}
