import Inference
import JSON

/// Puts together what `/v1/chat/completions` answers.
struct ChatReply: Sendable {
  let core: ServingCore
  let call: ChatRequest
  let promptLength: Int
  var head: ReplyHead

  /// What `echo` puts in front of an answer: the assistant's last message, which the answer continues.
  var echo: String { call.echo ? call.conversation.messages.last?["content"]?.string ?? "" : "" }

  func logProbabilities(_ tokens: [GeneratedToken]) -> JSONValue {
    guard let count = call.sampling.parameters.logProbabilities else { return nil }
    return LogProbabilities(engine: core.engine, count: count).chat(tokens)
  }

  /// The whole reply, and its counts.
  func whole(_ sheet: AnswerSheet) -> (JSONValue, TokenCounts) {
    var usage = TokenCounts(prompts: [promptLength])
    let choices = sheet.entries.enumerated().map { index, entry -> JSONValue in
      if let end = entry.end { usage.add(end, isFirstOfPrompt: index == 0) }
      var choice: JSONObject = [
        "index": .int(index),
        "message": ["role": "assistant", "content": .string(echo + entry.text), "refusal": nil],
        "logprobs": logProbabilities(entry.tokens),
        "finish_reason": entry.end.map { .string($0.reason) } ?? nil, "stop_reason": entry.end?.stop ?? nil,
      ]
      if let versions = entry.versions.json { choice["weight_versions"] = versions }
      return .object(choice)
    }
    var head = head
    if let version = sheet.weightVersion { head.fingerprint = version }
    return (head.json(choices: choices, usage: usage.json), usage)
  }
}

/// The same, piece by piece.
struct ChatStreamWriter {
  private var reply: ChatReply
  private let fields: StreamFields
  private(set) var usage: TokenCounts
  private(set) var finishReasons: [String] = []
  private(set) var versions = WeightVersions()
  private var generated: [Int]

  init(reply: ChatReply, fields: StreamFields) {
    self.reply = reply
    self.fields = fields
    usage = TokenCounts(prompts: [reply.promptLength])
    generated = Array(repeating: 0, count: reply.call.sampling.choiceCount)
  }

  /// Each answer's role.
  func opening() -> [JSONValue] {
    generated.indices.map { chunk($0, delta: ["role": "assistant", "content": .string(reply.echo)]) }
  }

  /// A piece's text, then, where it is the last, how the answer ended.
  mutating func chunks(_ piece: AnswerPiece) -> [JSONValue] {
    if let version = piece.weightVersion { reply.head.fingerprint = version }
    versions.add(piece)
    count(piece)
    var chunks: [JSONValue] = []
    if !piece.text.isEmpty || !piece.tokens.isEmpty {
      chunks.append(
        chunk(piece.index, delta: ["content": .string(piece.text)], logProbabilities: reply.logProbabilities(piece.tokens)))
    }
    if let end = piece.end { chunks.append(chunk(piece.index, delta: [:], end: end)) }
    return chunks
  }

  /// The counts, where they were asked for.
  func closing() -> [JSONValue] {
    fields.includesUsage ? [reply.head.json(choices: [], usage: usage.json)] : []
  }

  private func chunk(
    _ index: Int, delta: JSONValue, logProbabilities: JSONValue = nil, end: AnswerEnd? = nil
  ) -> JSONValue {
    var choice: JSONObject = [
      "index": .int(index), "delta": delta, "logprobs": logProbabilities,
      "finish_reason": end.map { .string($0.reason) } ?? nil,
    ]
    if let end { choice["stop_reason"] = end.stop }
    return reply.head.json(choices: [.object(choice)], usage: currentUsage)
  }

  private mutating func count(_ piece: AnswerPiece) {
    generated[piece.index] += piece.tokens.count
    guard let end = piece.end else { return }
    finishReasons.append(end.reason)
    usage.add(end, isFirstOfPrompt: piece.index == 0)
    generated[piece.index] = 0
  }

  /// With the tokens of answers that have not ended.
  var usageSoFar: TokenCounts {
    var sum = usage
    sum.completionTokens += generated.reduce(0, +)
    return sum
  }

  private var currentUsage: JSONValue? {
    if fields.reportsUsageContinuously { return usageSoFar.json }
    return fields.includesUsage ? .some(nil) : nil
  }
}
