import JSON
import TestSupport
import Testing
import Tokenizers

@Suite struct TokenizerFilesTests {
  /// A GGUF file's tokenizer with the vocabulary and merges of one of the small ones.
  func metadata(_ name: String, pre: String) throws -> GGUFTokenizer {
    let json = try Expected.json("Expected/tokenizer-\(name).json")
    let vocabulary = try #require(json["model"]?["vocab"]?.object)
    var tokens = [String](repeating: "", count: vocabulary.count)
    for (token, id) in vocabulary {
      let id = try #require(id.int)
      tokens[id] = token
    }
    let merges = try #require(json["model"]?["merges"]?.array).map { merge in
      merge.string ?? (merge.array ?? []).compactMap(\.string).joined(separator: " ")
    }
    let types = tokens.map { $0.hasPrefix("<|") ? 3 : 1 }
    return GGUFTokenizer(
      model: "gpt2", preTokenizer: pre, tokens: tokens, tokenTypes: types, merges: merges, beginningID: 1, endID: 0,
      endOfTurnID: 2, unknownID: 0, paddingID: 2, chatTemplate: "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
  }

  @Test(arguments: [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("smollm", "smollm")])
  func `a GGUF file's tokenizer gives the ids of the published one`(name: String, pre: String) throws {
    let files = try TokenizerFiles.fromGGUF(metadata: try metadata(name, pre: pre))
    #expect(Set(files.keys) == ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: files.mapValues { Array($0.serialized().utf8) }))
    let published = try Expected.json("Expected/tokenizer-\(name).json")
    #expect(files["tokenizer.json"]?["pre_tokenizer"] == published["pre_tokenizer"])
    #expect(files["tokenizer.json"]?["normalizer"] == published["normalizer"])
    #expect(files["tokenizer.json"]?["model"]?["ignore_merges"] == published["model"]?["ignore_merges"])

    let results = try Expected.json("Expected/tokenizer-results.json")
    let texts = try #require(results["texts"]?.array).compactMap(\.string)
    let all = try #require(results["tokenizers"]?[name]?["ids"]?.array)
    // Added tokens that only the published file has.
    let own = (published["added_tokens"]?.array ?? []).compactMap { $0["content"]?.string }.filter { !$0.hasPrefix("<|") }
    var compared = 0
    for (text, ids) in zip(texts, all) where !own.contains(where: { text.contains($0) }) {
      #expect(JSONValue.ints(tokenizer.encode(text).map(Int.init)) == ids, "\(text.debugDescription)")
      compared += 1
    }
    #expect(compared > 80)
    // Made of what llama.cpp reads, whatever class transformers would take for the architecture.
    var other = files.mapValues { Array($0.serialized().utf8) }
    other["config.json"] = Array(#"{"pretrained_config": {"architecture": "Qwen2ForCausalLM"}}"#.utf8)
    let same = try Tokenizer(files: TokenizerFiles(contents: other))
    for text in texts { #expect(same.encode(text) == tokenizer.encode(text), "\(text.debugDescription)") }

    #expect(tokenizer.specialTokens.beginning == "<|im_start|>" && tokenizer.specialTokens.end == "<|end|>")
    #expect(tokenizer.specialTokens.padding == "<|im_end|>")
    #expect(tokenizer.endOfSequenceIDs == [0, 2])
    #expect(try tokenizer.applyChatTemplate(messages: [["content": "Hi"]]) == "<|im_start|>Hi<|end|>")
  }

  @Test func `a SentencePiece vocabulary in a GGUF file gives the ids of its Hugging Face conversion`() throws {
    let expected = try Expected.json("Expected/gguf-llama.json")
    let metadata = GGUFTokenizer(
      model: "llama", tokens: try #require(expected["tokens"]?.array).compactMap(\.string),
      tokenTypes: try #require(expected["types"]?.array).compactMap(\.int), beginningID: 1, endID: 2, unknownID: 0,
      scores: try #require(expected["scores"]?.array).compactMap(\.double).map { Float($0) })
    #expect(try TokenizerFiles.fromGGUF(metadata: metadata)["tokenizer.json"]?["model"]?["merges"] == expected["merges"])
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: try TokenizerFiles.contents(fromGGUF: metadata)))
    let texts = try #require(try Expected.json("Expected/tokenizer-results.json")["texts"]?.array).compactMap(\.string)
    for (text, ids) in zip(texts, try #require(expected["ids"]?.array)) {
      #expect(JSONValue.ints(tokenizer.encode(text).map(Int.init)) == ids, "\(text.debugDescription)")
    }
    #expect(tokenizer.endOfSequenceIDs == [2] && tokenizer.decode(tokenizer.encode("  the quay")) == "  the quay")
  }

  @Test func `a Gemma vocabulary in a GGUF file gives the ids of llama.cpp`() throws {
    let expected = try Expected.json("Expected/gguf-gemma.json")
    let metadata = GGUFTokenizer(
      model: "llama", preTokenizer: "default", tokens: try #require(expected["tokens"]?.array).compactMap(\.string),
      tokenTypes: try #require(expected["types"]?.array).compactMap(\.int), beginningID: 2, endID: 1, unknownID: 3, paddingID: 0,
      addsBeginning: true, addsEnd: false, addsSpacePrefix: false,
      scores: try #require(expected["scores"]?.array).compactMap(\.double).map { Float($0) })
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: try TokenizerFiles.contents(fromGGUF: metadata)))
    let results = try Expected.json("Expected/tokenizer-results.json")
    let more = try #require(results["tokenizers"]?["gemma"]?["more"]?.array).compactMap { $0["text"]?.string }
    let texts = try #require(results["texts"]?.array).compactMap(\.string) + more
    let all = try #require(expected["ids"]?.array)
    #expect(texts.count == all.count)
    for (text, ids) in zip(texts, all) {
      #expect(JSONValue.ints(tokenizer.encode(text).map(Int.init)) == ids, "\(text.debugDescription)")
      // Characters that this small vocabulary lacks have bytes, so every text comes back.
      #expect(same(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false), "<bos>" + text.replacing("▁", with: " ")))
    }
    // llama.cpp ends at "</s>" as well, which here is a tag of HTML.
    #expect(Set((expected["ends"]?.array ?? []).compactMap(\.int)) == Set(tokenizer.endOfSequenceIDs.map(Int.init)).union([27]))
    #expect(tokenizer.endOfSequenceIDs == [1, 8] && tokenizer.specialTokens.beginning == "<bos>" && tokenizer.specialTokens.padding == "<pad>")
    #expect(tokenizer.decode([7, 330, 8]) == tokenizer.decode([330]))
  }

  @Test func `a GGUF vocabulary may hold two spellings of one character`() throws {
    let metadata = GGUFTokenizer(
      model: "llama", tokens: ["<unk>", "▁", "\u{1F71}", "\u{3AC}", "\"vocab\": {}"], tokenTypes: [2, 1, 1, 1, 4], unknownID: 0,
      addsBeginning: false, addsSpacePrefix: false, scores: [0, 0, 0, 0, 0])
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: try TokenizerFiles.contents(fromGGUF: metadata)))
    #expect(tokenizer.encode(" \u{3AC}\u{1F71}\"vocab\": {}") == [1, 3, 2, 4])
  }

  @Test func `what a GGUF file wants around a text is added`() throws {
    var metadata = try metadata("smollm", pre: "smollm")
    metadata.addsBeginning = true
    metadata.addsEnd = true
    let files = try TokenizerFiles.fromGGUF(metadata: metadata)
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: files.mapValues { Array($0.serialized().utf8) }))
    let plain = tokenizer.encode("the", addSpecialTokens: false)
    #expect(tokenizer.encode("the") == [1] + plain + [0])
  }

  @Test func `special tokens of a GGUF file that it does not name, or that are not there, are llama.cpp's defaults`() throws {
    let tokens = ["<unk>", "<s>", "</s>", "▁", "a"]
    func made(_ change: (inout GGUFTokenizer) -> Void) throws -> (ids: [Int32], ends: JSONValue?, notes: [String]) {
      var metadata = GGUFTokenizer(model: "llama", tokens: tokens, tokenTypes: [2, 3, 3, 1, 1], scores: [0, 0, 0, -1, -2])
      change(&metadata)
      let files = try TokenizerFiles.fromGGUF(metadata: metadata)
      let tokenizer = try Tokenizer(files: TokenizerFiles(contents: files.mapValues { Array($0.serialized().utf8) }))
      return (tokenizer.encode("a"), files["generation_config.json"]?["eos_token_id"], metadata.notes)
    }
    let plain = try made { _ in }
    #expect(plain.ids == [1, 3, 4] && plain.ends == 2 && plain.notes.isEmpty)
    #expect(try made { $0.addsBeginning = false }.ids == [3, 4])
    #expect(try made { $0.beginningID = 2 }.ids == [2, 3, 4])
    for wrong in [5, 32_000, Int(UInt32.max), -1] {
      let found = try made {
        $0.paddingID = wrong; $0.beginningID = wrong; $0.endID = wrong; $0.fillPaddingID = wrong; $0.unknownID = wrong
      }
      #expect(found.ids == [1, 3, 4] && found.ends == 2 && found.notes.count == 5, "\(found)")
      #expect(found.notes[0] == "metadata: tokenizer.ggml.bos_token_id is \(wrong), and there are 5 tokens: 1 ('<s>') counts, as in llama.cpp")
      #expect(found.notes.contains("metadata: tokenizer.ggml.padding_token_id is \(wrong), and there are 5 tokens: it counts as left out, as in llama.cpp"))
    }
    // Of the other kind the end is an ordinary token, which is said.
    let words = (0..<12).map { "t\($0)" }
    let other = GGUFTokenizer(model: "gpt2", preTokenizer: "gpt-2", tokens: words)
    #expect(try TokenizerFiles.fromGGUF(metadata: other)["generation_config.json"]?["eos_token_id"] == 11)
    #expect(other.notes == ["metadata: tokenizer.ggml.eos_token_id is missing: 11 ('t11') counts, as in llama.cpp"])
    #expect(GGUFTokenizer(model: "gpt2", preTokenizer: "gpt-2", tokens: ["a"]).notes.isEmpty)
    #expect(GGUFTokenizer(model: "gpt2", tokens: ["a"]).notes.first?.contains("tokenizer.ggml.pre is missing") == true)
  }

  @Test func `a token of a GGUF file that marks structure by its text does so whatever its type says`() throws {
    let tokens = ["<unk>", "<s>", "</s>", "▁", "a", "<|im_end|>", "<|fim_prefix|>", "<|file_sep|>", ""]
    func made(_ types: [Int]) throws -> (ids: [Int32], notes: [String]) {
      let metadata = GGUFTokenizer(model: "llama", tokens: tokens, tokenTypes: types, addsBeginning: false, addsSpacePrefix: false, scores: tokens.map { _ in 0 })
      let tokenizer = try Tokenizer(files: TokenizerFiles(contents: TokenizerFiles.contents(fromGGUF: metadata)))
      return (tokenizer.encode("a<|im_end|><|fim_prefix|>a<|file_sep|>[EMPTY_8]"), metadata.notes)
    }
    let control = try made([2, 3, 3, 1, 1, 3, 3, 3, 3])
    #expect(control.ids == [4, 5, 6, 4, 7, 8] && control.notes.isEmpty, "\(control)")
    let normal = try made([2, 3, 3, 1, 1, 1, 1, 5, 3])
    #expect(normal.ids == control.ids)
    #expect(
      normal.notes == [
        "metadata: tokenizer.ggml.token_type of '<|im_end|>' and of 2 more says that it is no control token: it counts as one, as in llama.cpp"
      ], "\(normal.notes)")
    // Without types all are normal.
    #expect(try made([]).ids.prefix(5) == control.ids.prefix(5))
  }

  @Test func `the name of a template that llama.cpp has itself is no template`() throws {
    func tokenizer(_ name: String) throws -> (Tokenizer, [String]) {
      let metadata = GGUFTokenizer(model: "gpt2", preTokenizer: "gpt-2", tokens: ["a"], chatTemplate: name)
      let files = try TokenizerFiles.fromGGUF(metadata: metadata)
      return (try Tokenizer(files: TokenizerFiles(contents: files.mapValues { Array($0.serialized().utf8) })), metadata.notes)
    }
    let (known, said) = try tokenizer("chatml")
    #expect(said.isEmpty)
    let chat: [JSONValue] = [["role": "system", "content": "Be brief."], ["role": "user", "content": "Hi"]]
    #expect(try known.applyChatTemplate(messages: chat) == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    let (other, notes) = try tokenizer("llama2")
    #expect(other.chatTemplateNames.isEmpty && notes.count == 1 && notes[0].contains("'llama2', the name of a template that llama.cpp has itself"), "\(notes)")
  }

  @Test(arguments: ["tekken", "default", "deepseek-coder", "deepseek-v3", "smaug-bpe", "starcoder", nil] as [String?])
  func `every rule of llama.cpp that is known makes a tokenizer`(name: String?) throws {
    var metadata = try metadata("llama3", pre: "")
    metadata.preTokenizer = name
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: TokenizerFiles.contents(fromGGUF: metadata)))
    for text in ["Hello World's 12345 ships\n\n港は静かだった。", " a/b ", "IT'S"] {
      #expect(tokenizer.decode(tokenizer.encode(text, addSpecialTokens: false)) == text)
    }
  }

  @Test func `a GGUF tokenizer that is not known is refused by name`() throws {
    var metadata = try metadata("smollm", pre: "newest-model")
    #expect(throws: TokenizerError.self) { try TokenizerFiles.fromGGUF(metadata: metadata) }
    do { _ = try TokenizerFiles.fromGGUF(metadata: metadata) } catch {
      #expect(error.description.contains("'newest-model'") && error.description.contains("gpt-2, llama-bpe, qwen2, smaug-bpe, smollm, tekken"))
    }
    metadata.preTokenizer = "smollm"
    metadata.model = "t5"
    #expect(throws: TokenizerError.self) { try TokenizerFiles.fromGGUF(metadata: metadata) }
    metadata.model = "gpt2"
    metadata.tokenTypes = [1]
    #expect(throws: TokenizerError.self) { try TokenizerFiles.fromGGUF(metadata: metadata) }
    metadata.tokenTypes = []
    metadata.tokens[5] = metadata.tokens[6]
    #expect(throws: TokenizerError.self) { try TokenizerFiles.fromGGUF(metadata: metadata) }
  }

  @Test func `files are asked for by name, and a template of its own wins`() throws {
    var asked: Set<String> = []
    let files = try TokenizerFiles { name in
      asked.insert(name)
      switch name {
      case "tokenizer.json": return try Expected.bytes("Expected/tokenizer-gpt2.json")
      case "tokenizer_config.json":
        return Array(
          #"{"bos_token":null,"eos_token":{"content":"<|im_end|>"},"chat_template":[{"name":"default","template":"a"},{"name":"tool_use","template":"t"}]}"#
            .utf8)
      case "special_tokens_map.json": return Array(#"{"bos_token":"<|im_start|>","sep_token":"<|end|>"}"#.utf8)
      case "chat_template.jinja": return Array("b{{ sep_token }}".utf8)
      default: return nil
      }
    }
    #expect(asked == Set(TokenizerFiles.names))
    let tokenizer = try Tokenizer(files: files)
    // As in transformers: the file takes the place of all templates that tokenizer_config.json holds.
    #expect(tokenizer.chatTemplateNames == ["default"])
    #expect(try tokenizer.applyChatTemplate(messages: []) == "b<|end|>")
    #expect(try tokenizer.applyChatTemplate(messages: [], tools: []) == "b<|end|>")
    #expect(tokenizer.endOfSequenceIDs == [2])
  }

  @Test func `a template that cannot be read leaves the tokenizer usable`() throws {
    let tokenizer = try Tokenizer(
      tokenizerJSON: try Expected.bytes("Expected/tokenizer-gpt2.json"), chatTemplate: "line\n{% include 'x' %}")
    #expect(tokenizer.encode("the").count > 0)
    do { _ = try tokenizer.applyChatTemplate(messages: []) } catch {
      #expect("\(error)".hasPrefix("chat_template.jinja: chat template, line 2: the tag 'include'"))
    }
    #expect(throws: TokenizerError.self) { try tokenizer.chatTemplate() }
    #expect(throws: TokenizerError(file: "tokenizer_config.json", problem: .noChatTemplate(available: ["default"]))) {
      try tokenizer.chatTemplate(named: "other")
    }
  }

  /// What is put in place of a member of a good file, and words that the message must hold.
  static let damage: [(path: [String], value: JSONValue, words: [String])] = [
    (["model"], nil, ["model"]),
    (["model", "type"], "WordPiece", ["'WordPiece'", "BPE"]),
    (["model", "vocab"], [1], ["model.vocab"]),
    (["model", "vocab"], ["a": -1], ["'a'", "-1"]),
    (["model", "vocab"], ["a": 1_000_000_000_000], ["'a'"]),
    (["model", "vocab"], ["a": 1, "b": 1], ["'b'"]),
    (["model", "merges"], ["a"], ["merges[0]"]),
    (["model", "merges"], ["a b c"], ["merges[0]"]),
    (["model", "merges"], [["a", "no such"]], ["merges[0]", "no such"]),
    (["model", "dropout"], 0.1, ["dropout", "chance"]),
    (["model", "end_of_word_suffix"], "</w>", ["end_of_word_suffix", "</w>"]),
    (["model", "ignore_merges"], "yes", ["ignore_merges", "true or false"]),
    (["pre_tokenizer"], ["type": "Whitespace"], ["pre_tokenizer", "'Whitespace'"]),
    (["pre_tokenizer"], ["type": "Split", "pattern": ["Regex": #"\p{Han}+"#], "behavior": "Isolated"], [#"\p{Han}+"#, "the property Han"]),
    (["pre_tokenizer"], ["type": "Split", "pattern": ["String": " "], "behavior": "Odd"], ["Odd"]),
    (
      ["pre_tokenizer"],
      ["type": "Sequence", "pretokenizers": [["type": "ByteLevel"], ["type": "Digits"]]], ["ByteLevel", "last"]
    ),
    (["pre_tokenizer"], nil, ["byte-level"]),
    (
      ["pre_tokenizer"],
      ["type": "Sequence", "pretokenizers": .array(Array(repeating: ["type": "Digits"], count: 100_000))], ["at most"]
    ),
    (["normalizer"], ["type": "BertNormalizer"], ["BertNormalizer"]),
    (["normalizer"], ["type": "Replace", "pattern": ["Regex": "x"], "content": ""], ["Replace"]),
    (["decoder"], ["type": "WordPiece"], ["WordPiece"]),
    (["decoder"], nil, ["decoder"]),
    (["post_processor"], ["type": "BertProcessing"], ["BertProcessing"]),
    (
      ["post_processor"],
      ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>"]]], "special_tokens": [:]], ["<s>"]
    ),
    (
      ["post_processor"],
      [
        "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "x"]], ["Sequence": ["id": "A"]]],
        "special_tokens": ["x": ["ids": [99999]]],
      ], ["99999"]
    ),
    (["added_tokens"], [["id": 1]], ["added_tokens[0].content"]),
    (["added_tokens"], [["id": 20_000_000, "content": "x"]], ["added_tokens[0].id"]),
  ]

  @Test(arguments: damage.indices)
  func `a file that asks for what is not there is refused by name`(index: Int) throws {
    let (path, value, words) = Self.damage[index]
    var json = try #require(try Expected.json("Expected/tokenizer-gpt2.json").object)
    if path.count == 1 {
      json[path[0]] = value
    } else {
      var inner = try #require(json[path[0]]?.object)
      inner[path[1]] = value
      json[path[0]] = .object(inner)
    }
    do {
      _ = try Tokenizer(tokenizerJSON: Array(JSONValue.object(json).serialized().utf8))
      Issue.record("\(path) = \(value.serialized()) was accepted")
    } catch {
      #expect(error.file == "tokenizer.json")
      for word in words { #expect(error.description.contains(word), "\(error)") }
    }
  }

  @Test func `damaged bytes are an error, whatever they are`() throws {
    let good = try Expected.bytes("Expected/tokenizer-gpt2.json")
    var numbers = SeededGenerator(seed: 3)
    var refused = 0
    for _ in 0..<300 {
      var bytes = good
      switch Int.random(in: 0...2, using: &numbers) {
      case 0: bytes = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &numbers)))
      case 1:
        for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers) }
      default:
        let start = Int.random(in: 0..<bytes.count - 40, using: &numbers)
        bytes.removeSubrange(start..<start + Int.random(in: 1...40, using: &numbers))
      }
      do { _ = try Tokenizer(tokenizerJSON: bytes).encode("the harbour") } catch { refused += 1 }
    }
    #expect(refused > 200)
    #expect(throws: TokenizerError(file: "tokenizer.json", problem: .missing)) {
      try Tokenizer(files: TokenizerFiles(contents: [:]))
    }
  }
}
