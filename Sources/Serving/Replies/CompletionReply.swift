import Inference
import JSON

/// Puts together what `/v1/completions` answers.
struct CompletionReply: Sendable {
  let core: ServingCore
  let call: CompletionRequest
  let prompts: [[Int32]]
  var head: ReplyHead
  /// What `echo` puts in front of an answer to each prompt; made once.
  private let echoes: [String]

  init(core: ServingCore, call: CompletionRequest, prompts: [[Int32]], head: ReplyHead) {
    (self.core, self.call, self.prompts, self.head) = (core, call, prompts, head)
    echoes = prompts.indices.map { Self.echo($0, core, call, prompts) }
  }

  func echo(_ index: Int) -> String { echoes[index] }

  /// Roughly, tokens that `echo` adds to a whole reply.
  var echoEntryCount: Int { echoes.reduce(0) { $0 + $1.utf8.count } / 256 * call.sampling.choiceCount }

  private static func echo(_ index: Int, _ core: ServingCore, _ call: CompletionRequest, _ prompts: [[Int32]]) -> String {
    guard call.echo, call.detokenizes else { return "" }
    if case .text(let text) = call.prompts[index], prompts[index].count == 0 || call.sampling.truncatesPromptTo == nil {
      return text
    }
    return core.engine.detokenize(prompts[index], skipSpecialTokens: call.sampling.skipsSpecialTokens)
  }

  /// - Parameter promptScores: Where the prompt's own tokens come first.
  func choice(
    _ index: Int, text: String, tokens: [GeneratedToken], end: AnswerEnd?, versions: WeightVersions? = nil,
    promptScores: [GeneratedToken]? = nil, textOffset: inout Int
  ) -> JSONValue {
    let logProbabilities = call.sampling.parameters.logProbabilities.map { count -> JSONValue in
      var lists = CompletionLogProbabilities(engine: core.engine, count: count)
      if let promptScores { addPrompt(index / call.sampling.choiceCount, promptScores, to: &lists, textOffset: &textOffset) }
      for token in tokens { textOffset += lists.add(token, at: textOffset) }
      return lists.json
    }
    var members: JSONObject = [
      "index": .int(index), "text": .string(text), "logprobs": logProbabilities ?? nil,
      "finish_reason": end.map { .string($0.reason) } ?? nil, "stop_reason": end?.stop ?? nil,
    ]
    if !call.detokenizes { members["token_ids"] = .ints(tokens.map { Int($0.id) }) }
    if let versions = versions?.json { members["weight_versions"] = versions }
    return .object(members)
  }

  /// Each prompt token at its place in the text that `echo` gives; the answer's follow behind all of it.
  private func addPrompt(
    _ index: Int, _ scores: [GeneratedToken], to lists: inout CompletionLogProbabilities, textOffset: inout Int
  ) {
    let ids = prompts[index]
    // A text prompt's special tokens are part of the text; those that the tokenizer put in front of it are not.
    let isText = if case .text = call.prompts[index] { true } else { false }
    var decoder = core.engine.makeTextDecoder(skipSpecialTokens: !isText && call.sampling.skipsSpecialTokens)
    var places: [Int] = []
    var length = 0
    for id in ids {
      places.append(length)
      length += decoder.append(id).unicodeScalars.count
    }
    length += decoder.finish().unicodeScalars.count
    let shown = echo(index).unicodeScalars.count
    places = places.map { max(0, min(shown, $0 - (length - shown))) }
    for (id, place) in zip(ids, places).prefix(1) { lists.add(first: id, at: place) }
    for (token, place) in zip(scores, places.dropFirst()) { lists.add(token, at: place) }
    textOffset = shown
  }

  /// The whole reply, and its counts.
  func whole(_ sheet: AnswerSheet) -> (JSONValue, TokenCounts) {
    let candidates = call.sampling.candidateCount
    var usage = TokenCounts(prompts: prompts.map(\.count))
    for (index, entry) in sheet.entries.enumerated() {
      if let end = entry.end { usage.add(end, isFirstOfPrompt: index % candidates == 0) }
    }
    let choices = sheet.best(call.sampling.choiceCount, of: candidates).enumerated().map { index, entry in
      var offset = 0
      let start = echo(index / call.sampling.choiceCount)
      // No tokens were asked for: only the prompt comes back.
      let end = entry.end ?? AnswerEnd(reason: "length")
      return choice(
        index, text: start + entry.text, tokens: entry.tokens, end: end, versions: entry.versions,
        promptScores: entry.promptScores, textOffset: &offset)
    }
    var head = head
    if let version = sheet.weightVersion { head.fingerprint = version }
    return (head.json(choices: choices, usage: usage.json), usage)
  }
}

/// The same, piece by piece.
struct CompletionStreamWriter: Sendable {
  var reply: CompletionReply
  let fields: StreamFields
  private(set) var usage: TokenCounts
  private(set) var finishReasons: [String] = []
  private(set) var versions = WeightVersions()
  private var offsets: [Int]
  private var generated: [Int]

  init(reply: CompletionReply, fields: StreamFields) {
    self.reply = reply
    self.fields = fields
    usage = TokenCounts(prompts: reply.prompts.map(\.count))
    let count = reply.prompts.count * reply.call.sampling.choiceCount
    offsets = Array(repeating: 0, count: count)
    generated = Array(repeating: 0, count: count)
  }

  /// How many chunks come first: the prompts, where they are to come back. Scored ones come with their scores.
  var openingCount: Int { reply.call.echo && !reply.call.sampling.scoresPrompt ? offsets.count : 0 }

  mutating func opening(_ index: Int) -> JSONValue {
    let isAll = reply.call.sampling.maximumTokens == 0
    let text = reply.echo(index / reply.call.sampling.choiceCount)
    let end = AnswerEnd(reason: "length")
    return reply.head.json(
      choices: [reply.choice(index, text: text, tokens: [], end: isAll ? end : nil, textOffset: &offsets[index])],
      usage: currentUsage)
  }

  mutating func chunk(_ piece: AnswerPiece) -> JSONValue {
    if let version = piece.weightVersion { reply.head.fingerprint = version }
    versions.add(piece)
    count(piece)
    let prompt = piece.promptScores == nil ? "" : reply.echo(piece.index / reply.call.sampling.choiceCount)
    let choice = reply.choice(
      piece.index, text: prompt + piece.text, tokens: piece.tokens, end: piece.end, promptScores: piece.promptScores,
      textOffset: &offsets[piece.index])
    return reply.head.json(choices: [choice], usage: currentUsage)
  }

  /// The counts, where they were asked for.
  func closing() -> [JSONValue] {
    fields.includesUsage ? [reply.head.json(choices: [], usage: usage.json)] : []
  }

  private mutating func count(_ piece: AnswerPiece) {
    // Until an answer's end says exactly, its tokens are those that were sent.
    generated[piece.index] += piece.tokens.count
    if let end = piece.end {
      finishReasons.append(end.reason)
      usage.add(end, isFirstOfPrompt: piece.index % reply.call.sampling.choiceCount == 0)
      generated[piece.index] = 0
    }
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
