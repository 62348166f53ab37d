import Hummingbird
import JSON
import Logging
import NIOCore
import NIOHTTP1

/// What the endpoints share.
struct ServingCore: Sendable {
  let engine: any CompletionEngine
  let options: ServerOptions
  let metrics = ServingMetrics()
  let drain: Drain
  let answers: RequestLimiter

  init(engine: any CompletionEngine, options: ServerOptions, logger: Logger) {
    self.engine = engine
    self.options = options
    drain = Drain(timeLimit: options.drainTimeLimit, logger: logger)
    answers = RequestLimiter(limit: options.maximumConcurrentAnswers)
  }

  var limits: RequestLimits { RequestLimits(engine: engine.limits, maximumChoices: options.maximumChoices) }

  func checkModel(_ name: String?) throws(APIError) {
    guard let name, name != options.modelName else { return }
    throw .unknownModel(name, served: options.modelName)
  }

  /// The text's token ids. One that is surely too long is refused unread: tokenizing megabytes takes seconds.
  func tokenize(_ text: String, addSpecialTokens: Bool, fields: SamplingFields) throws -> [Int32] {
    if let limit = engine.limits.maximumPromptBytes, fields.truncatesPromptTo == nil, text.utf8.count > limit {
      throw APIError.invalid(
        nil,
        "The prompt has \(text.utf8.count) bytes, too many to fit into \(engine.limits.maximumSequenceLength) tokens."
          + " Shorten it, or set truncate_prompt_tokens.",
        code: "context_length_exceeded")
    }
    return try engine.tokenize(text, addSpecialTokens: addSpecialTokens)
  }

  /// Room for one more request with answers in the making.
  func admit() throws(APIError) -> RequestLimiter.Place {
    if case .failed(let reason) = engine.health { throw .unavailable(reason) }
    guard let place = answers.enter() else {
      throw .busy("\(answers.limit) requests are being answered already.", retryAfter: 1)
    }
    return place
  }

  /// What ends a request's answers early.
  func interruptions(_ context: ServingContext) async -> [@Sendable () async -> APIError] {
    let expired = drain.expired
    let cutOff = APIError.cutOff(after: options.drainTimeLimit)
    var interruptions: [@Sendable () async -> APIError] = [
      {
        await expired.wait()
        return cutOff
      }
    ]
    if let gone = await ConnectionGuard.clientGone(on: context.channel) {
      interruptions.append {
        await gone.wait()
        return .clientGone
      }
    }
    return interruptions
  }
}

extension Request {
  /// The body as a JSON object.
  func jsonObject(limit: Int) async throws(APIError) -> JSONObject {
    if let type = headers[.contentType], !Self.isJSON(type) { throw .unsupportedMediaType(type) }
    if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
      throw .unsupportedMediaType("\(headers[.contentType] ?? "application/json"), compressed as \(encoding)")
    }
    // Said before reading: a client that announces too much need not send it.
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw .bodyTooLarge(limit: limit) }
    let bytes: [UInt8]
    do {
      var buffer = try await body.collect(upTo: limit)
      bytes = buffer.readBytes(length: buffer.readableBytes) ?? []
    } catch is NIOTooManyBytesError {
      throw .bodyTooLarge(limit: limit)
    } catch let error as APIError {
      throw error
    } catch let error as HTTPParserError where error != .invalidEOFState {
      throw .brokenBody("\(error)")
    } catch {
      throw .clientGone
    }
    if bytes.isEmpty { throw .invalid(nil, "The request has no body; it must be a JSON object.") }
    let value: JSONValue
    do { value = try JSONValue(parsing: bytes, maximumDepth: 64) } catch {
      throw .invalid(nil, "The request body is no JSON: \(error).", code: "invalid_json")
    }
    guard let object = value.object else {
      throw .invalid(nil, "The request body is \(value.kind); it must be a JSON object.")
    }
    return object
  }

  private static func isJSON(_ type: String) -> Bool {
    let name = type.split(separator: ";", omittingEmptySubsequences: false)[0].lowercased()
      .trimming { $0 == " " || $0 == "\t" }
    return name == "application/json" || (name.hasPrefix("application/") && name.hasSuffix("+json"))
  }
}

extension String {
  fileprivate func trimming(_ isSpace: (Character) -> Bool) -> Substring {
    let head = drop(while: isSpace)
    return head.lastIndex { !isSpace($0) }.map { head[...$0] } ?? ""
  }
}

extension Response {
  init(json: JSONValue, status: HTTPResponse.Status = .ok) {
    self.init(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: json.serialized())))
  }
}
