import JSON
@testable import Tokenizers

extension FuzzTarget {
  /// tokenizer.json, tokenizer_config.json, special_tokens_map.json and generation_config.json, with zero bytes between them.
  /// Ids of a tokenizer that loads are in its vocabulary and no more than its text has cause for; decoding at once and bit
  /// by bit gives the same text.
  static let tokenizer = FuzzTarget(name: "tokenizer", form: .json) { input in
    let names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"]
    let parts = input.split(separator: 0, maxSplits: 3, omittingEmptySubsequences: false).map { Array($0) }
    let contents = Dictionary(uniqueKeysWithValues: zip(names, parts).filter { !$1.isEmpty })
    guard let tokenizer = try? Tokenizer(files: TokenizerFiles(contents: contents)) else { return }
    use(tokenizer)
  }

  private static let texts = [
    "", "Hello, world! It's 12345 o'clock.\n\n  \tdef f(x):  return x", "<s>a <|im_start|>user</s>", "é e\u{301} 日本 🙂🏽 \u{200D} \u{FFFD}\u{0}",
    String(repeating: "ab ", count: 60), String(repeating: " ", count: 60), "a",
  ]

  static func use(_ tokenizer: Tokenizer) {
    for text in texts {
      for special in [false, true] {
        let ids = tokenizer.encode(text, addSpecialTokens: special)
        precondition(ids.count <= 128 * (text.utf8.count + 1) + 2048, "\(ids.count) ids of \(text.utf8.count) bytes")
        precondition(ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize }, "an id outside the vocabulary")
        let decoded = tokenizer.decode(ids, skipSpecialTokens: special)
        var decoder = tokenizer.makeIncrementalDecoder(skipSpecialTokens: special)
        var joined = ""
        for id in ids { joined += decoder.feed(id) }
        joined += decoder.finish()
        precondition(Array(joined.utf8) == Array(decoded.utf8), "decoded piece by piece: \(joined.debugDescription), at once: \(decoded.debugDescription)")
      }
    }
    for name in tokenizer.chatTemplateNames {
      guard let template = try? tokenizer.chatTemplate(named: name) else { continue }
      render(template)
    }
  }

  /// A chat template's source. What it makes is bounded, and the same each time.
  static let template = FuzzTarget(name: "template") { input in
    guard let template = try? ChatTemplate(source: String(decoding: input, as: UTF8.self)) else { return }
    render(template)
  }

  private static let conversations: [[JSONValue]] = [
    [
      ["role": "system", "content": "Be brief."], ["role": "user", "content": "Who are you? <|im_end|>"],
      ["role": "assistant", "content": " Ahoy! ", "tool_calls": [["type": "function", "function": ["name": "f", "arguments": ["x": 1, "y": [2.5, nil]]]]]],
      ["role": "tool", "content": "{\"a\": 1}", "name": "f"], ["role": "user", "content": [["type": "text", "text": "héllo 🙂"]]],
    ],
    [["role": "user", "content": "Hi"]],
    [],
  ]
  private static let tools: JSONValue = [
    ["type": "function", "function": ["name": "f", "description": "d", "parameters": ["type": "object", "properties": ["x": ["type": "number"]]]]]
  ]

  static func render(_ template: ChatTemplate) {
    var limits = TemplateRenderer.Limits()
    limits.work = 50_000  // as the product's, but that many inputs can be tried
    limits.stringBytes = 1 << 18
    for (index, messages) in conversations.enumerated() {
      func text() -> String? {
        try? template.render(
          messages: messages, tools: index == 0 ? tools : nil, addGenerationPrompt: index < 2,
          extra: ["bos_token": "<s>", "eos_token": "</s>", "enable_thinking": true], now: CalendarTime(year: 2025, month: 2, day: 28), limits: limits)
      }
      let made = text()
      precondition((made?.utf8.count ?? 0) <= limits.stringBytes)
      if index == 0 { precondition(made == text(), "another text the second time") }
    }
  }
}
