import Hummingbird
import JSON

/// `POST /v1/chat/completions`: answers a conversation.
struct ChatEndpoint: Sendable {
  let core: ServingCore
  var route: Route { Route(.post, "/v1/chat/completions") { try await respond($0, $1) } }

  private func respond(_ request: Request, _ context: ServingContext) async throws -> Response {
    let call = try ChatRequest(
      try await request.jsonObject(limit: core.options.maximumBodyBytes), limits: core.limits)
    try core.checkModel(call.model)
    context.noteUnknown(call.unknownFields)
    let place = try core.admit()
    let prompt = call.sampling.truncated(try tokens(of: call))
    guard !prompt.isEmpty else { throw APIError.invalid("messages", "The chat template made no tokens of these messages.") }
    let fields = call.sampling
    let group = try AnswerGroup(
      engine: core.engine, prompts: [prompt], fields: fields, makesText: true, metrics: core.metrics)
    let interruptions = await core.interruptions(context)
    let fingerprint = core.engine.weightVersion
    context.record.note {
      $0.streams = fields.stream != nil
      $0.promptTokens = prompt.count
      $0.weightVersion = fingerprint
    }
    func reply(object: String) -> ChatReply {
      ChatReply(
        core: core, call: call, promptLength: prompt.count,
        head: ReplyHead(prefix: "chatcmpl", object: object, model: core.options.modelName, fingerprint: fingerprint))
    }
    guard let stream = fields.stream else {
      var sheet = AnswerSheet(count: fields.choiceCount)
      try await group.run(interruptions: interruptions) { sheet.add($0) }
      withExtendedLifetime(place) {}
      let (json, usage) = reply(object: "chat.completion").whole(sheet)
      context.record.note(usage, sheet)
      return Response(json: json)
    }
    let chunks = reply(object: "chat.completion.chunk")
    return Response.eventStream(context: context) { events in
      var writer = ChatStreamWriter(reply: chunks, fields: stream)
      defer { context.record.note(writer.usageSoFar, writer.finishReasons, writer.versions) }
      for chunk in writer.opening() { try await events.send(chunk) }
      try await group.run(interruptions: interruptions) {
        for chunk in writer.chunks($0) { try await events.send(chunk) }
      }
      for chunk in writer.closing() { try await events.send(chunk) }
      withExtendedLifetime(place) {}
    }
  }

  private func tokens(of call: ChatRequest) throws -> [Int32] {
    if let ids = call.promptIDs { return ids }
    let text = try call.echo ? core.openPrompt(of: call.conversation) : core.prompt(of: call.conversation)
    return try core.tokenize(
      text, addSpecialTokens: call.addsSpecialTokens, fields: call.sampling)
  }
}
