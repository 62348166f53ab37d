import HTTPTypes
import Hummingbird
import JSON
import Tokenizers

/// `POST /v1/completions`: continues texts.
struct CompletionsEndpoint: Sendable {
  let core: ServingCore
  var route: Route { Route(.post, "/v1/completions") { try await respond($0, $1) } }

  /// A request that has been read, and whose answers have begun.
  private struct Begun: Sendable {
    let place: RequestLimiter.Place
    let fields: SamplingFields
    let group: AnswerGroup
    let reply: CompletionReply
    let unknownFields: [String]
  }

  private func respond(_ request: Request, _ context: ServingContext) async throws -> Response {
    let begun = try await core.read(request, context) { [core] body, budget in
      let call = try CompletionRequest(body, limits: core.limits)
      try core.checkModel(call.model)
      return try begin(call, budget)
    }
    context.noteUnknown(begun.unknownFields)
    return try await respond(begun, context)
  }

  private func begin(_ call: CompletionRequest, _ budget: WorkBudget) throws -> Begun {
    let place = try core.admit()
    var textBytes = 0
    let prompts = try call.prompts.map { try tokens(of: $0, call, &textBytes, budget) }
    var fields = call.sampling
    if fields.candidateCount > fields.choiceCount, fields.parameters.logProbabilities == nil {
      fields.parameters.logProbabilities = 0  // what the candidates are compared by
    }
    try checkScores(call, prompts)
    let reply = CompletionReply(
      core: core, call: call, prompts: prompts,
      head: ReplyHead(
        prefix: "cmpl", object: "text_completion", model: core.options.modelName,
        fingerprint: core.engine.weightVersion))
    let group = try AnswerGroup(
      engine: core.engine, prompts: prompts, fields: fields, makesText: call.detokenizes, metrics: core.metrics)
    return Begun(place: place, fields: fields, group: group, reply: reply, unknownFields: call.unknownFields)
  }

  /// Scores of prompts are all kept until they are sent.
  private func checkScores(_ call: CompletionRequest, _ prompts: [[Int32]]) throws(APIError) {
    guard call.sampling.scoresPrompt else { return }
    let each = call.sampling.candidateCount * (1 + (call.sampling.parameters.logProbabilities ?? 0))
    let wanted = prompts.reduce(0) { $0 + $1.count } * each
    guard wanted > RequestLimits.maximumPromptScores else { return }
    throw .invalid(
      "logprobs",
      "With echo, logprobs asks for \(wanted) log-probabilities of prompt tokens; one request may ask for at most \(RequestLimits.maximumPromptScores).")
  }

  private func respond(_ begun: Begun, _ context: ServingContext) async throws -> Response {
    let (place, fields, group, reply) = (begun.place, begun.fields, begun.group, begun.reply)
    let prompts = reply.prompts
    let interruptions = await core.interruptions(context)
    context.record.note {
      $0.streams = fields.stream != nil
      $0.promptTokens = prompts.reduce(0) { $0 + $1.count }
      $0.weightVersion = reply.head.fingerprint
    }
    guard let stream = fields.stream else {
      var sheet = AnswerSheet(count: prompts.count * fields.candidateCount)
      try await group.run(interruptions: interruptions) { if let piece = $0 { sheet.add(piece) } }
      withExtendedLifetime(place) {}
      let (text, usage) = try await core.reply(context, entries: sheet.entryCount + reply.echoEntryCount) { [sheet] in
        let (json, usage) = reply.whole(sheet)
        return (json.serialized(), usage)
      }
      context.record.note(usage, sheet)
      return Response(jsonText: text)
    }
    return Response.eventStream(context: context) { events in
      var writer = CompletionStreamWriter(reply: reply, fields: stream)
      defer { context.record.note(writer.usageSoFar, writer.finishReasons, writer.versions) }
      for index in 0..<writer.openingCount { try await events.send(writer.opening(index)) }
      try await group.run(interruptions: interruptions, silence: core.options.keepAliveInterval) { piece in
        guard let piece else { return try await events.keepAlive() }
        let scored = (piece.promptScores ?? []).reduce(0) { $0 + 1 + ($1.top?.count ?? 0) }
        let (next, text) = try await core.reply(context, entries: scored) { [writer] in
          var writer = writer
          let text = writer.chunk(piece).serialized()
          return (writer, text)
        }
        writer = next
        try await events.send(text: text)
      }
      for chunk in writer.closing() { try await events.send(chunk) }
      withExtendedLifetime(place) {}
    }
  }

  private func tokens(
    of prompt: CompletionRequest.Prompt, _ call: CompletionRequest, _ textBytes: inout Int, _ budget: WorkBudget
  ) throws -> [Int32] {
    let ids =
      switch prompt {
      case .tokens(let ids): ids
      case .text(let text):
        try core.tokenize(
          text, addSpecialTokens: call.addsSpecialTokens, fields: call.sampling, textBytes: &textBytes, budget: budget)
      }
    guard !ids.isEmpty else {
      throw APIError.invalid("prompt", "The prompt has no tokens; this model needs at least one to start from.")
    }
    return call.sampling.truncated(ids)
  }
}
