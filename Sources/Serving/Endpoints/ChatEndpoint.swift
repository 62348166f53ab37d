import Hummingbird
import JSON
import Tokenizers

/// `POST /v1/chat/completions`: answers a conversation.
struct ChatEndpoint: Sendable {
  let core: ServingCore
  var route: Route { Route(.post, "/v1/chat/completions") { try await respond($0, $1) } }

  /// A request that has been read, and whose answers have begun.
  private struct Begun: Sendable {
    let call: ChatRequest
    let place: RequestLimiter.Place
    let promptLength: Int
    let group: AnswerGroup
    let fingerprint: String
  }

  private func respond(_ request: Request, _ context: ServingContext) async throws -> Response {
    let read = try await core.read(request, context) { [core] body, budget in
      let call = try ChatRequest(body, limits: core.limits)
      try core.checkModel(call.model)
      // Its own template makes a small request a large one.
      return (call, call.conversation.template == nil ? try begin(call, budget) : nil)
    }
    context.noteUnknown(read.0.unknownFields)
    let begun: Begun
    if let done = read.1 {
      begun = done
    } else {
      begun = try await core.work(context, .large) { [call = read.0] in try begin(call, $0) }
    }
    return try await respond(begun, context)
  }

  private func begin(_ call: ChatRequest, _ budget: WorkBudget) throws -> Begun {
    let place = try core.admit()
    let prompt = call.sampling.truncated(try tokens(of: call, budget))
    guard !prompt.isEmpty else { throw APIError.invalid("messages", "The chat template made no tokens of these messages.") }
    let fingerprint = core.engine.weightVersion
    let group = try AnswerGroup(
      engine: core.engine, prompts: [prompt], fields: call.sampling, makesText: true, metrics: core.metrics)
    return Begun(call: call.withoutPrompt, place: place, promptLength: prompt.count, group: group, fingerprint: fingerprint)
  }

  private func respond(_ begun: Begun, _ context: ServingContext) async throws -> Response {
    let (call, place, group, fingerprint) = (begun.call, begun.place, begun.group, begun.fingerprint)
    let fields = call.sampling
    let interruptions = await core.interruptions(context)
    context.record.note {
      $0.streams = fields.stream != nil
      $0.promptTokens = begun.promptLength
      $0.weightVersion = fingerprint
    }
    func reply(object: String) -> ChatReply {
      ChatReply(
        core: core, call: call, promptLength: begun.promptLength,
        head: ReplyHead(prefix: "chatcmpl", object: object, model: core.options.modelName, fingerprint: fingerprint))
    }
    guard let stream = fields.stream else {
      var sheet = AnswerSheet(count: fields.choiceCount)
      try await group.run(interruptions: interruptions) { if let piece = $0 { sheet.add(piece) } }
      withExtendedLifetime(place) {}
      let (text, usage) = try await core.reply(context, entries: sheet.entryCount) { [sheet, reply = reply(object: "chat.completion")] in
        let (json, usage) = reply.whole(sheet)
        return (json.serialized(), usage)
      }
      context.record.note(usage, sheet)
      return Response(jsonText: text)
    }
    let chunks = reply(object: "chat.completion.chunk")
    return Response.eventStream(context: context) { events in
      var writer = ChatStreamWriter(reply: chunks, fields: stream)
      defer { context.record.note(writer.usageSoFar, writer.finishReasons, writer.versions) }
      // Behind the prompt's work: clients take the first event for the first token.
      var opening = writer.opening()
      try await group.run(interruptions: interruptions, silence: core.options.keepAliveInterval) { piece in
        guard let piece else { return try await events.keepAlive() }
        for chunk in opening + writer.chunks(piece) { try await events.send(chunk) }
        opening = []
      }
      for chunk in opening { try await events.send(chunk) }
      for chunk in writer.closing() { try await events.send(chunk) }
      withExtendedLifetime(place) {}
    }
  }

  private func tokens(of call: ChatRequest, _ budget: WorkBudget) throws -> [Int32] {
    if let ids = call.promptIDs { return ids }
    let text =
      try call.continuesLast
      ? core.openPrompt(of: call.conversation, field: call.echo ? "echo" : "continue_final_message", budget: budget) : core.prompt(of: call.conversation, budget: budget)
    var textBytes = 0
    return try core.tokenize(
      text, addSpecialTokens: call.addsSpecialTokens, fields: call.sampling, textBytes: &textBytes, budget: budget)
  }
}
