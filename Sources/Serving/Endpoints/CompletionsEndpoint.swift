import HTTPTypes
import Hummingbird
import JSON

/// `POST /v1/completions`: continues texts.
struct CompletionsEndpoint: Sendable {
  let core: ServingCore
  var route: Route { Route(.post, "/v1/completions") { try await respond($0, $1) } }

  private func respond(_ request: Request, _ context: ServingContext) async throws -> Response {
    let call = try CompletionRequest(
      try await request.jsonObject(limit: core.options.maximumBodyBytes), limits: core.limits)
    try core.checkModel(call.model)
    context.noteUnknown(call.unknownFields)
    let place = try core.admit()
    let prompts = try call.prompts.map { try tokens(of: $0, call) }
    var fields = call.sampling
    if fields.candidateCount > fields.choiceCount, fields.parameters.logProbabilityCount == nil {
      fields.parameters.logProbabilityCount = 0  // what the candidates are compared by
    }
    let group = try AnswerGroup(
      engine: core.engine, prompts: prompts, fields: fields, makesText: call.detokenizes, metrics: core.metrics)
    let reply = CompletionReply(
      core: core, call: call, prompts: prompts,
      head: ReplyHead(
        prefix: "cmpl", object: "text_completion", model: core.options.modelName,
        fingerprint: core.engine.weightVersion))
    let interruptions = await core.interruptions(context)
    context.record.note {
      $0.streams = fields.stream != nil
      $0.promptTokens = prompts.reduce(0) { $0 + $1.count }
      $0.weightVersion = reply.head.fingerprint
    }
    guard let stream = fields.stream else {
      var sheet = AnswerSheet(count: prompts.count * fields.candidateCount)
      try await group.run(interruptions: interruptions) { sheet.add($0) }
      withExtendedLifetime(place) {}
      let (json, usage) = reply.whole(sheet)
      context.record.note(usage, sheet)
      return Response(json: json)
    }
    return Response.eventStream(context: context) { events in
      var writer = CompletionStreamWriter(reply: reply, fields: stream)
      defer { context.record.note(writer.usageSoFar, writer.finishReasons, writer.versions) }
      for chunk in writer.opening() { try await events.send(chunk) }
      try await group.run(interruptions: interruptions) { try await events.send(writer.chunk($0)) }
      for chunk in writer.closing() { try await events.send(chunk) }
      withExtendedLifetime(place) {}
    }
  }

  private func tokens(of prompt: CompletionRequest.Prompt, _ call: CompletionRequest) throws -> [Int32] {
    let ids =
      switch prompt {
      case .tokens(let ids): ids
      case .text(let text):
        try core.tokenize(text, addSpecialTokens: call.addsSpecialTokens, fields: call.sampling)
      }
    guard !ids.isEmpty else {
      throw APIError.invalid("prompt", "The prompt has no tokens; this model needs at least one to start from.")
    }
    return call.sampling.truncated(ids)
  }
}
