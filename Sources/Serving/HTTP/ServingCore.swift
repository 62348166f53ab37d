import Hummingbird
import JSON
import Logging
import NIOCore
import Tokenizers

/// What the endpoints share.
struct ServingCore: Sendable {
  let engine: any CompletionEngine
  let options: ServerOptions
  let logger: Logger
  let metrics = ServingMetrics()
  let drain: Drain
  let answers: RequestLimiter
  let workers: RequestWorkers
  let bodyMemory: BodyMemory

  init(engine: any CompletionEngine, options: ServerOptions, logger: Logger) {
    self.engine = engine
    self.options = options
    self.logger = logger
    drain = Drain(timeLimit: options.drainTimeLimit, logger: logger)
    answers = RequestLimiter(limit: options.maximumConcurrentAnswers)
    workers = RequestWorkers(options: options.workers)
    bodyMemory = BodyMemory(limit: options.maximumBodyMemory, largestBody: options.maximumBodyBytes)
  }

  var limits: RequestLimits {
    RequestLimits(
      engine: engine.limits, maximumChoices: options.maximumChoices, trustsTemplates: options.trustsRequestChatTemplates,
      defaults: options.samplingDefaults)
  }

  func checkModel(_ name: String?) throws(APIError) {
    guard let name, !options.modelNames.contains(name) else { return }
    throw .unknownModel(name, served: options.modelName)
  }

  /// The text's token ids. One that is surely too long is refused unread: tokenizing megabytes takes seconds.
  ///
  /// - Parameter textBytes: Bytes of the request's texts so far; this one's are added.
  func tokenize(
    _ text: String, addSpecialTokens: Bool, fields: SamplingFields, textBytes: inout Int, budget: WorkBudget
  ) throws -> [Int32] {
    if let limit = engine.limits.maximumPromptBytes, fields.truncatesPromptTo == nil, text.utf8.count > limit {
      throw APIError.invalid(
        nil,
        "The prompt has \(text.utf8.count) bytes, too many to fit into \(engine.limits.maximumSequenceLength) tokens."
          + " Shorten it, or set truncate_prompt_tokens.",
        code: "context_length_exceeded")
    }
    textBytes += text.utf8.count
    try checkTextBytes(textBytes)
    return try engine.tokenize(text, addSpecialTokens: addSpecialTokens, budget: budget)
  }

  /// Tokenizing takes forty times a text's memory.
  func checkTextBytes(_ count: Int) throws(APIError) {
    let limit = engine.limits.maximumTextBytes
    guard count > limit else { return }
    throw .invalid(
      nil, "The request's texts have \(count) bytes or more; at most \(limit) are tokenized for one request. Shorten or divide them.",
      code: "context_length_exceeded")
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
    if let gone = await context.clientGone() {
      interruptions.append {
        await gone.wait()
        return .clientGone
      }
    }
    return interruptions
  }
}

extension Response {
  init(json: JSONValue, status: HTTPResponse.Status = .ok) { self.init(jsonText: json.serialized(), status: status) }

  init(jsonText: String, status: HTTPResponse.Status = .ok) {
    self.init(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: jsonText)))
  }
}
