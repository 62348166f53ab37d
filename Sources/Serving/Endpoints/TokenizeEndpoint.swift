import Hummingbird
import JSON
import Tokenizers

/// `POST /tokenize`: a text or a conversation to token ids.
struct TokenizeEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.post, "/tokenize") { request, context in
      let call = try await core.read(request, context) { [core] body, _ in
        let call = try TokenizeRequest(body, limits: core.limits)
        try core.checkModel(call.model)
        return call
      }
      context.noteUnknown(call.unknownFields)
      return Response(jsonText: try await core.work(context, call.size) { [core] budget in try core.reply(to: call, budget) })
    }
  }
}

extension ServingCore {
  fileprivate func reply(to call: TokenizeRequest, _ budget: WorkBudget) throws -> String {
    let text =
      switch call.input {
      case .text(let text): text
      case .conversation(let conversation): try prompt(of: conversation, budget: budget)
      }
    try checkTextBytes(text.utf8.count)
    let ids = try engine.tokenize(text, addSpecialTokens: call.addsSpecialTokens, budget: budget)
    var reply: JSONObject = [
      "count": .int(ids.count), "max_model_len": .int(engine.limits.maximumSequenceLength),
      "tokens": .ints(ids.map(Int.init)),
    ]
    if call.returnsTokenStrings {
      reply["token_strs"] = .strings(ids.map { String(decoding: engine.bytes(of: $0), as: UTF8.self) })
    }
    return JSONValue.object(reply).serialized()
  }
}

extension TokenizeRequest {
  fileprivate var size: RequestWorkers.Size {
    switch input {
    case .text(let text): text.utf8.count > 64 << 10 ? .large : .small
    case .conversation(let conversation): conversation.size
    }
  }
}

/// `POST /detokenize`: token ids to text.
struct DetokenizeEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.post, "/detokenize") { request, context in
      let (text, unknown) = try await core.read(request, context) { [core] body, _ in
        let call = try DetokenizeRequest(body, limits: core.engine.limits)
        try core.checkModel(call.model)
        let prompt = core.engine.detokenize(call.tokens, skipSpecialTokens: call.skipsSpecialTokens)
        return ((["prompt": .string(prompt)] as JSONValue).serialized(), call.unknownFields)
      }
      context.noteUnknown(unknown)
      return Response(jsonText: text)
    }
  }
}

extension ServingCore {
  /// The chat template's text; what the template objects to is the request's fault.
  func prompt(of conversation: Conversation, budget: WorkBudget) throws -> String {
    do { return try engine.applyChatTemplate(conversation, budget: budget) } catch let error as APIError { throw error } catch {
      if budget.isCancelled { throw CancellationError() }
      throw APIError.invalid("messages", "The chat template does not take these messages: \(error)", code: "chat_template_error")
    }
  }
}

extension Conversation {
  /// Large where the request brings its own template: nobody knows what that will do.
  var size: RequestWorkers.Size {
    if template != nil { return .large }
    let bytes = messages.reduce(0) { $0 + ($1["content"]?.string?.utf8.count ?? 0) }
    return bytes > 64 << 10 ? .large : .small
  }
}
