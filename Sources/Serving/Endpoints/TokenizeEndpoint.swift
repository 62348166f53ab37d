import Hummingbird
import JSON

/// `POST /tokenize`: a text or a conversation to token ids.
struct TokenizeEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.post, "/tokenize") { request, context in
      let call = try TokenizeRequest(try await request.jsonObject(limit: core.options.maximumBodyBytes))
      try core.checkModel(call.model)
      context.noteUnknown(call.unknownFields)
      let text =
        switch call.input {
        case .text(let text): text
        case .conversation(let conversation): try core.prompt(of: conversation)
        }
      let ids = try core.engine.tokenize(text, addSpecialTokens: call.addsSpecialTokens)
      var reply: JSONObject = [
        "count": .int(ids.count), "max_model_len": .int(core.engine.limits.maximumSequenceLength),
        "tokens": .ints(ids.map(Int.init)),
      ]
      if call.returnsTokenStrings {
        reply["token_strs"] = .strings(ids.map { String(decoding: core.engine.bytes(of: $0), as: UTF8.self) })
      }
      return Response(json: .object(reply))
    }
  }
}

/// `POST /detokenize`: token ids to text.
struct DetokenizeEndpoint: Sendable {
  let core: ServingCore
  var route: Route {
    Route(.post, "/detokenize") { request, context in
      let call = try DetokenizeRequest(
        try await request.jsonObject(limit: core.options.maximumBodyBytes), limits: core.engine.limits)
      try core.checkModel(call.model)
      context.noteUnknown(call.unknownFields)
      return Response(json: [
        "prompt": .string(core.engine.detokenize(call.tokens, skipSpecialTokens: call.skipsSpecialTokens))
      ])
    }
  }
}

extension ServingCore {
  /// The chat template's text; what the template objects to is the request's fault.
  func prompt(of conversation: Conversation) throws(APIError) -> String {
    do { return try engine.applyChatTemplate(conversation) } catch let error as APIError { throw error } catch {
      throw .invalid("messages", "The chat template does not take these messages: \(error)", code: "chat_template_error")
    }
  }
}

extension ServingContext {
  func noteUnknown(_ fields: [String]) {
    guard !fields.isEmpty else { return }
    logger.debug("unknown request fields are ignored", metadata: ["fields": .string(fields.joined(separator: ","))])
  }
}
