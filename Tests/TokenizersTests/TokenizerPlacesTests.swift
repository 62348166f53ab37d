import JSON
import Testing
import Tokenizers

/// Facts that stand in several files, against what transformers makes of the same files (Scripts/reference/tokenizer_places.py).
@Suite struct TokenizerPlacesTests {
  private func files(_ changed: JSONObject) throws -> TokenizerFiles {
    var contents: [String: [UInt8]] = [:]
    let base = changed["base"]?.string ?? "smollm"
    guard case .object(var own) = try Expected.json("Expected/tokenizer-\(base).json") else { throw Missing() }
    for (name, content) in changed where name.contains(".") {
      switch content {
      case .string(let text): contents[name] = Array(text.utf8)
      case .object(let members) where name == "tokenizer.json": own.merge(members) { $1 }
      default: contents[name] = Array(content.serialized().utf8)
      }
    }
    contents["tokenizer.json"] = Array(JSONValue.object(own).serialized().utf8)
    return TokenizerFiles(contents: contents)
  }
  private struct Missing: Error {}

  @Test func `facts in several files count as in transformers`() throws {
    let all = try Expected.json("Expected/tokenizer-places.json")
    let cases = try #require(all["cases"]?.array)
    #expect(cases.count > 650)
    for one in cases {
      let name = one["name"]?.string ?? ""
      do { try check(one, name, all) } catch { Issue.record("\(name): \(error)") }
    }
  }

  private func check(_ one: JSONValue, _ name: String, _ all: JSONValue) throws {
    let kind = one["files"]?["texts"] != nil ? "texts_of_classes" : one["files"]?["base"] != nil ? "texts_of_names" : "texts"
    let texts = try #require(all[kind]?.array).compactMap(\.string)
    let expected = try #require(one["expected"])
    let tokenizer = try Tokenizer(files: try files(try #require(one["files"]?.object)))
    for (index, text) in texts.enumerated() {
      let ids = tokenizer.encode(text)
      #expect(JSONValue.ints(ids.map(Int.init)) == expected["ids"]?.array?[index], "\(name): \(text)")
      #expect(.string(tokenizer.decode(ids)) == expected["decoded"]?.array?[index], "\(name): \(text)")
    }
    for (role, token) in expected["roles"]?.object ?? [:] {
      #expect(tokenizer.specialTokens.byName[role] == token.string, "\(name): \(role)")
    }
    if let ends = expected["eos_token_id"], !ends.isNull {
      #expect(Set((ends.array ?? [ends]).compactMap(\.int)) == Set(tokenizer.endOfSequenceIDs.map(Int.init)), "\(name)")
    }
    #expect(tokenizer.chatTemplateNames == (expected["templates"]?.array ?? []).compactMap(\.string), "\(name)")
    if let chat = expected["chat"]?.string {
      #expect(try tokenizer.applyChatTemplate(messages: [["role": "user", "content": "Hi"]], tools: expected["templates"]?.array?.contains("default") == true ? nil : []) == chat, "\(name)")
    }
  }

  private func notes(_ changed: JSONObject, vocabulary: Int = 2000) throws -> TokenizerFindings {
    try files(changed).findings(modelVocabulary: vocabulary)
  }

  @Test func `places that disagree are told, with the one that counts`() throws {
    let roles: JSONValue = ["bos_token": "<|im_start|>", "eos_token": "<|im_end|>"]
    #expect(try notes(["tokenizer_config.json": roles, "generation_config.json": ["eos_token_id": 2]]) == TokenizerFindings())
    // transformers' generate() looks at no role.
    let role = try notes(["tokenizer_config.json": roles])
    #expect(role.all.isEmpty && role.remarks.count == 1 && role.remarks[0].contains("by eos_token of tokenizer_config.json alone"), "\(role)")
    let ends = try notes(["tokenizer_config.json": roles, "generation_config.json": ["eos_token_id": [0, 5]]])
    #expect(ends.notes.count == 1 && ends.notes[0].contains("at 0, 5 by generation_config.json, at 2 by tokenizer_config.json"))
    // More ends than the role's are no contradiction.
    #expect(try notes(["tokenizer_config.json": roles, "generation_config.json": ["eos_token_id": [0, 2]]]).all.isEmpty)
    let template = try notes(["tokenizer_config.json": ["chat_template": "a"], "chat_template.jinja": "b"])
    #expect(template.notes == ["chat_template.jinja and tokenizer_config.json hold different chat templates: chat_template.jinja counts"])
    #expect(try notes(["tokenizer_config.json": ["chat_template": "a"], "chat_template.jinja": "a"]).all.isEmpty)
    let named = try notes(["tokenizer_config.json": ["chat_template": "a"], "additional_chat_templates/tool_use.jinja": "t"])
    #expect(named.notes == ["tokenizer_config.json has chat templates that count no more beside additional_chat_templates/tool_use.jinja: 'default'"])
    let older = try notes(["chat_template.json": ["chat_template": "a"]])
    #expect(older.notes.count == 1 && older.notes[0].contains("do not read that file"))
    for wrong: JSONValue in [5, true, ["a"], [["name": "default"]], ["default": 5]] {
      let found = try notes(["tokenizer_config.json": ["chat_template": wrong]])
      #expect(found.unusable == nil && found.unusableTemplate?.contains("'chat_template'") == true, "\(wrong): \(found)")
    }
    for (name, word) in [("CodeLlamaTokenizerFast", "CodeLlamaTokenizer in its own way"), ("GPTNeoXTokenizer", "GPTNeoXTokenizer in its own way")] {
      let other = try notes(["tokenizer_config.json": ["tokenizer_class": .string(name)]])
      #expect(other.notes.count == 1 && other.notes[0].contains(word))
    }
    #expect(try notes(["tokenizer_config.json": ["auto_map": ["AutoTokenizer": ["t.T", nil]]]]).notes.count == 1)
    let rebuilt = try notes(["tokenizer_config.json": ["tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": true], "generation_config.json": ["eos_token_id": 0]], vocabulary: 5000)
    #expect(rebuilt.remarks.count == 1 && rebuilt.remarks[0].contains("cuts text otherwise than GPT2Tokenizer, the tokenizer_class, which counts"), "\(rebuilt)")
    let begins = try notes(["tokenizer_config.json": ["bos_token": "<|im_start|>", "add_bos_token": true]])
    #expect(begins.notes.count == 1 && begins.notes[0].contains("add_bos_token true, but tokenizer.json does not add '<|im_start|>'"))
    let moved = try notes(["added_tokens.json": ["<new>": 1500]])
    #expect(moved.notes.count == 1 && moved.notes[0].contains("'<new>' the id 1500; it gets the next free one"))
  }

  @Test func `an unknown token that the vocabulary lacks is told`() throws {
    let base = try #require(try Expected.json("Expected/tokenizer-smollm.json")["model"]?.object)
    let found = try notes(["tokenizer.json": ["model": .object(base.merging(["unk_token": "<none>"] as JSONObject) { $1 })]])
    #expect(found.unusable == nil && found.notes.count == 1 && found.notes[0].hasPrefix("the unknown token '<none>' is not in the vocabulary"), "\(found)")
  }

  @Test func `tokens for which there is no room are told once, as left out`() throws {
    let limit = try Tokenizer(files: files([:])).vocabularySize
    let added = (0..<100).map { ("<m\($0)>", JSONValue.int(limit + $0)) }
    let found = try notes(["added_tokens.json": .object(JSONObject(uniqueKeysWithValues: added))], vocabulary: limit)
    #expect(found.notes.count == 1 && found.notes[0].hasSuffix("'<m9>' and 90 more"), "\(found.notes)")
  }

  private static func token(_ content: String, _ more: JSONObject = [:]) -> JSONValue {
    .object((["content": .string(content), "lstrip": false, "rstrip": false, "normalized": false, "single_word": false, "special": true] as JSONObject).merging(more) { $1 })
  }

  @Test func `a token that is written with another id than it has is told, in whichever file`() throws {
    let own = try #require(try Expected.json("Expected/tokenizer-smollm.json")["added_tokens"]?.array)
    func told(_ changed: JSONObject, _ said: String..., sourceLocation: SourceLocation = #_sourceLocation) throws {
      let found = try notes(changed)
      #expect(found.notes.count == said.count, "\(found.notes)", sourceLocation: sourceLocation)
      for (note, text) in zip(found.notes, said) { #expect(note.contains(text), "\(note)", sourceLocation: sourceLocation) }
    }
    try told(["tokenizer.json": ["added_tokens": .array(own + [Self.token("<new>", ["id": 900])])]], "tokenizer.json gives '<new>' the id 900; it gets the next free one, 773")
    try told(["tokenizer.json": ["added_tokens": .array(own + [Self.token("q", ["id": 900])])]], "the id 900; the one that it has already counts, ")
    try told(
      ["tokenizer.json": ["added_tokens": .array(own + [Self.token("<new>", ["id": 773]), Self.token("<new>", ["id": 774])])]],
      "gives '<new>' the id 774; the one that it has already counts, 773")
    // The same token with the same rules.
    try told(["tokenizer_config.json": ["added_tokens_decoder": ["700": Self.token("<|im_end|>")]]], "gives '<|im_end|>' the id 700; tokenizer.json's counts, 2")
    try told(["tokenizer_config.json": ["added_tokens_decoder": ["1900": Self.token("<new>")]]], "gives '<new>' the id 1900; it gets the next free one, 773")
    try told(["added_tokens.json": ["<new>": 2]], "gives '<new>' the id 2, which is that of '<|im_end|>' in tokenizer.json: it is left out")
    try told(["added_tokens.json": ["<|im_end|>": 2]])
    // One place and one id is told once, and however many there are, it is a handful of lines.
    let many = own + (0..<30).map { Self.token("<n\($0)>", ["id": .int(900 + $0)]) }
    let found = try notes(["tokenizer.json": ["added_tokens": .array(many)]])
    #expect(found.notes.count == 11 && found.notes[10] == "20 more added tokens are written with other ids than they have", "\(found.notes)")
  }

  @Test func `settings of a tokenizer that nothing uses, or that transformers refuses, are told by name`() throws {
    func told(_ settings: JSONObject, _ said: String?, base: String = "smollm", sourceLocation: SourceLocation = #_sourceLocation) throws {
      let found = try notes(["base": .string(base), "tokenizer_config.json": .object(settings)], vocabulary: 5000)
      #expect(found.unusable == nil && found.notes.count == (said == nil ? 0 : 1), "\(settings): \(found)", sourceLocation: sourceLocation)
      if let said { #expect(found.notes.first?.contains(said) == true, "\(found.notes)", sourceLocation: sourceLocation) }
    }
    try told(["split_special_tokens": true], "split_special_tokens is true, and nothing uses it")
    try told(["split_special_tokens": false], nil)
    try told(["split_special_tokens": 1], "split_special_tokens is 1, which transformers refuses")
    for (files, chosen) in [
      (["tokenizer.4.0.json"], "tokenizer.4.0.json"), (["tokenizer.json", "tokenizer.4.1.json", "tokenizer.5.0.json"], "tokenizer.5.0.json"),
      (["tokenizer.99.0.json"], nil), (["tokenizer.json"], nil), ([], nil),
      // In the order of their texts, and none after the first that is too new.
      (["tokenizer.4.0.json", "tokenizer.10.0.json"], nil),
    ] as [([String], String?)] {
      try told(["fast_tokenizer_files": .strings(files)], chosen.map { "makes transformers 5 read \"\($0)\" in the place of tokenizer.json" })
    }
    try told(["fast_tokenizer_files": "tokenizer.4.0.json"], nil)
    try told(["clean_up_tokenization_spaces": true], nil)
    try told(
      ["clean_up_tokenization_spaces": true, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true],
      "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output is set, and nothing uses it")
    for value: JSONValue in [0, "yes", nil] {
      try told(["tokenizer_class": "GPT2Tokenizer", "add_prefix_space": value], "add_prefix_space is \(value.serialized()), which a GPT2Tokenizer of transformers refuses")
    }
    try told(["tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": "yes"], "which a Qwen2Tokenizer of transformers refuses", base: "qwen2")
    try told(["tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": nil], nil, base: "qwen2")
    try told(["tokenizer_class": "LlamaTokenizer", "add_prefix_space": 0, "legacy": "yes"], nil, base: "llama2")
    try told(["tokenizer_class": 5], "tokenizer_class is 5, which is no name of a class")
    try told(["eos_token": 5], "eos_token is 5, which is no token")
    try told(["extra_special_tokens": ["<extra>", 5]], "extra_special_tokens holds 5, which is no token")
    try told(["additional_special_tokens": "abc"], "additional_special_tokens holds \"abc\"")
    try told(["additional_special_tokens": nil], nil)
    try told(["added_tokens_decoder": []], "added_tokens_decoder is an array, which transformers refuses")
    let stray = try notes([
      "base": "llama2", "tokenizer_config.json": ["tokenizer_class": "LlamaTokenizer"],
      "tokenizer.json": [
        "normalizer": ["type": "Replace", "pattern": ["String": "ByteLevel"], "content": "x"]
      ],
    ])
    #expect(stray.notes.count == 1 && stray.notes[0].contains("names \"ByteLevel\" where it cuts no text"), "\(stray)")
    #expect(try notes(["base": "llama3", "tokenizer_config.json": ["tokenizer_class": "LlamaTokenizer"]], vocabulary: 5000).notes.isEmpty)
    let map = try notes(["special_tokens_map.json": ["eos_token": ["<|im_end|>"]]])
    #expect(map.notes.count == 1 && map.notes[0].hasPrefix("special_tokens_map.json: eos_token is"), "\(map)")
  }

  @Test func `one chat template that is no text keeps no other from use, and is told by its name`() throws {
    for wrong: JSONValue in [[["name": "default", "template": "d"], ["name": "rag", "template": 5]], ["default": "d", "rag": nil]] {
      let changed: JSONObject = ["tokenizer_config.json": ["chat_template": wrong]]
      let found = try notes(changed)
      #expect(found.unusableTemplate == nil && found.notes.count == 1 && found.notes[0].hasPrefix("the chat template 'rag' cannot be used: tokenizer_config.json"), "\(found)")
      #expect(try Tokenizer(files: files(changed)).applyChatTemplate(messages: []) == "d")
    }
    let nameless = try notes(["tokenizer_config.json": ["chat_template": [["name": "default", "template": "d"], ["template": "e"]]]])
    #expect(nameless.unusableTemplate == nil && nameless.notes.count == 1 && nameless.notes[0].contains("has 1 entries without a name"), "\(nameless)")
    let twice = try notes(["tokenizer_config.json": ["chat_template": [["name": "default", "template": "d"], ["name": "default", "template": "e"]]]])
    #expect(twice.notes == ["tokenizer_config.json has two chat templates 'default': the last counts, as in transformers"])
    let broken = TokenizerFiles(contents: [
      "tokenizer.json": Array(try Expected.json("Expected/tokenizer-smollm.json").serialized().utf8), "chat_template.jinja": Array("d".utf8),
      "additional_chat_templates/rag.jinja": [0xFF],
    ]).findings(modelVocabulary: 2000)
    #expect(broken.unusable == nil && broken.unusableTemplate == nil && broken.notes.count == 1 && broken.notes[0].contains("'rag' cannot be used"), "\(broken)")
  }

  @Test func `template files of one name are told, with the one that counts`() throws {
    let file = try notes(["tokenizer_config.json": ["chat_template": [["name": "file", "template": "l"]]], "additional_chat_templates/file.jinja": "f"])
    #expect(file.notes.first?.hasPrefix("additional_chat_templates/file.jinja counts as the default chat template, as in transformers") == true, "\(file)")
    let both = try notes(["chat_template.jinja": "p", "additional_chat_templates/file.jinja": "f"])
    #expect(both.notes == ["chat_template.jinja and additional_chat_templates/file.jinja hold different chat templates: additional_chat_templates/file.jinja counts"])
    #expect(try notes(["chat_template.jinja": "p", "additional_chat_templates/default.jinja": "p"]).all.isEmpty)
  }

  @Test func `generation settings that would change answers are told by name, once`() throws {
    let told = try notes([
      "generation_config.json": [
        "_from_model_config": true, "eos_token_id": 2, "do_sample": true, "temperature": 0.6, "top_p": 1.0, "top_k": 40,
        "repetition_penalty": 1.1, "suppress_tokens": [3], "bad_words_ids": [], "transformers_version": "5.24.0", "max_new_tokens": 20,
      ]
    ])
    #expect(told.notes.count == 2)
    #expect(told.notes[0].contains("do_sample, repetition_penalty 1.1, temperature 0.6, top_k 40 count only with '--generation_config auto'"), "\(told.notes)")
    #expect(told.notes[1].contains("max_new_tokens 20, suppress_tokens have no effect here; --max_output_len"), "\(told.notes)")
    // Without do_sample, transformers does not look at them either.
    #expect(try notes(["generation_config.json": ["temperature": 0.6, "top_p": 0.9, "num_beams": 1, "early_stopping": true]]).all.isEmpty)
  }

  @Test func `sampling settings count where transformers heeds them, and what is missing is not made up`() throws {
    func defaults(_ json: JSONValue) throws -> SamplingDefaults {
      try SamplingDefaults(TokenizerFiles(contents: ["generation_config.json": Array(json.serialized().utf8)]))
    }
    let all = try defaults(["do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.05])
    #expect(all.description == "temperature 0.6, top_k 20, top_p 0.95, min_p 0.1, repetition_penalty 1.05")
    #expect(try defaults(["do_sample": true]).description == "temperature 1")
    #expect(try defaults(["do_sample": false, "temperature": 0.6, "top_p": 0.9]).description == "temperature 0")
    // Without do_sample, transformers heeds the penalty alone.
    #expect(try defaults(["temperature": 0.6, "repetition_penalty": 1.2]).description == "repetition_penalty 1.2")
    #expect(try SamplingDefaults(TokenizerFiles(contents: [:])) == SamplingDefaults())
    for wrong: JSONValue in [
      ["do_sample": true, "temperature": -1], ["repetition_penalty": 0], ["do_sample": true, "top_p": "x"], ["do_sample": true, "top_k": .double(1e300)], ["do_sample": true, "top_k": .double(50.7)],
    ] {
      #expect(throws: TokenizerError.self) { _ = try defaults(wrong) }
    }
  }

  @Test func `a tokenizer that cannot be used, or that does not fit, is told before anything runs`() throws {
    let small = try notes([:], vocabulary: 100)
    #expect(small.unusable == nil && small.misfits.isEmpty && small.notes.count == 1 && small.notes[0].hasPrefix("tokenizer.json knows"))
    let outside = try notes(["generation_config.json": ["eos_token_id": [2, 5000]]])
    #expect(outside.misfits == ["generation_config.json: eos_token_id names 5000, but the model has 2000 tokens"])
    #expect(try notes(["tokenizer.json": ["model": ["type": "Unigram", "vocab": []]]]).unusable?.contains("'Unigram'") == true)
    #expect(TokenizerFiles(contents: ["tokenizer.json": Array("{\"model\": {".utf8)]).findings(modelVocabulary: 9).unusable?.contains("JSON") == true)
    let template = try notes(["chat_template.jinja": "{% for %}"])
    #expect(template.unusable == nil && template.notes.isEmpty && template.unusableTemplate?.hasPrefix("the chat template cannot be used: chat_template.jinja") == true)
    #expect(template.all.count == 1)
    // A token that only a side file names has no row in the model: transformers gives it one that is not there.
    let limit = try Tokenizer(files: try files([:])).vocabularySize
    let padding = try notes(["tokenizer_config.json": ["pad_token": "[PAD]"]], vocabulary: limit)
    #expect(padding.misfits.isEmpty && padding.notes.count == 1 && padding.notes[0].contains("'[PAD]'"))
    let tokenizer = try Tokenizer(files: try files(["tokenizer_config.json": ["pad_token": "[PAD]"]]), modelVocabulary: limit)
    #expect(tokenizer.vocabularySize == limit && tokenizer.id(ofToken: "[PAD]") == nil)
  }

  @Test func `a GGUF file's answers end where llama.cpp ends them`() throws {
    func ends(_ tokens: [String], end: Int? = nil, turn: Int? = nil, message: Int? = nil, pad: Int? = nil, separator: Int? = nil) throws -> [Int] {
      let files = try TokenizerFiles.fromGGUF(
        metadata: GGUFTokenizer(
          model: "gpt2", preTokenizer: "gpt-2", tokens: tokens, tokenTypes: tokens.map { _ in 3 }, endID: end, endOfTurnID: turn,
          endOfMessageID: message, fillPaddingID: pad, fillSeparatorID: separator))
      let value = files["generation_config.json"]?["eos_token_id"]
      return (value?.array ?? value.map { [$0] } ?? []).compactMap(\.int)
    }
    #expect(try ends(["a", "<|im_end|>", "b", "<|endoftext|>"]) == [1, 3])
    #expect(try ends(["<|eot_id|>", "b", "c", "d"], end: 3, turn: 2, message: 1) == [3, 2, 1, 0])
    #expect(try ends(["<|end|>", "<|return|>", "<|call|>"]) == [1, 2])
    #expect(try ends(["</s>", "<|tool_response>"]) == [1])
    #expect(try ends(["<|end|>", "</s>", "<|file_sep|>"]) == [0, 1, 2])
    #expect(try ends(["a"]) == [])
    // Keys that name tokens of models that fill in code take the place of those known by their texts.
    #expect(try ends(["a", "b", "<|im_end|>"], end: 2, pad: 0, separator: 1) == [2, 0, 1])
    #expect(try ends(["<|fim_pad|>", "<|file_sep|>", "c"], pad: 2) == [1, 2])
  }

  @Test func `a GGUF file's named chat templates come along`() throws {
    let files = try TokenizerFiles.fromGGUF(
      metadata: GGUFTokenizer(
        model: "gpt2", preTokenizer: "gpt-2", tokens: ["a"], chatTemplate: "x", namedChatTemplates: ["tool_use": "t", "rag": "r"]))
    let tokenizer = try Tokenizer(files: TokenizerFiles(contents: files.mapValues { Array($0.serialized().utf8) }))
    #expect(tokenizer.chatTemplateNames == ["default", "rag", "tool_use"])
    #expect(try tokenizer.applyChatTemplate(messages: [], tools: []) == "t")
  }

  @Test func `files that mean the same are not told apart`() throws {
    let plain = try files(["tokenizer_config.json": ["chat_template": "a", "eos_token": "<|im_end|>"]])
    let moved = try files(["tokenizer_config.json": ["eos_token": "<|im_end|>"], "chat_template.jinja": "a"])
    #expect(plain.differences(from: moved).isEmpty)
    #expect(try files(["tokenizer_config.json": ["eos_token": "<|im_end|>"], "chat_template.jinja": "b"]).differences(from: plain) == [.chatTemplate])
    #expect(try files(["generation_config.json": ["eos_token_id": 1]]).differences(from: try files([:])) == [.generation])
    #expect(try files(["tokenizer.json": ["post_processor": nil, "added_tokens": []]]).differences(from: try files([:])) == [.tokenizer])
    #expect(try Tokenizer(files: plain).hasSameTokens(as: Tokenizer(files: moved)))
  }

  @Test func `a GGUF file's only template is every chat's where it is the one for tools, as in llama.cpp`() throws {
    func metadata(_ template: String? = nil, _ named: [String: String] = [:], adds: Bool? = nil) -> GGUFTokenizer {
      GGUFTokenizer(
        model: "gpt2", preTokenizer: "gpt-2", tokens: ["a", "<s>"], beginningID: 1, addsBeginning: adds, chatTemplate: template, namedChatTemplates: named)
    }
    func templates(_ metadata: GGUFTokenizer) throws -> [String] {
      try Tokenizer(files: TokenizerFiles(contents: TokenizerFiles.fromGGUF(metadata: metadata).mapValues { Array($0.serialized().utf8) })).chatTemplateNames
    }
    let tools = metadata(nil, ["tool_use": "t"])
    #expect(try templates(tools) == ["default", "tool_use"] && tools.notes.count == 1 && tools.notes[0].contains("tool_use"))
    #expect(metadata("x", ["tool_use": "t"]).notes.isEmpty && metadata("x").notes.isEmpty && metadata().notes.isEmpty)
    #expect(metadata(nil, ["rag": "r"]).notes.first?.contains("one of rag") == true)
    // llama.cpp's server puts a beginning where the template does not.
    #expect(metadata("x", adds: true).notes.first?.contains("add_bos_token") == true)
    for template in ["{{ bos_token }}x", "<s>x"] { #expect(metadata(template, adds: true).notes.isEmpty) }
    #expect(metadata("x", adds: false).notes.isEmpty)
  }

  @Test func `a generation_config.json that cannot be read counts as absent, as in transformers`() throws {
    for (text, words) in [
      ("", "generation_config.json"), (#"{"eos_token_id": 1,}"#, "byte"), ("\u{FEFF}{\"eos_token_id\": 1}", "byte 0"), ("<<<<<<< HEAD\n{}", "byte 0"), ("[]", "an array"),
    ] {
      let damaged = try files(["config.json": ["eos_token_id": 2], "generation_config.json": .string(text)])
      #expect(try Tokenizer(files: damaged).endOfSequenceIDs == [2], "\(text)")
      let findings = damaged.findings(modelVocabulary: 1000)
      #expect(findings.unusable == nil && findings.notes.contains { $0.contains("counts as absent") && $0.contains(words) }, "\(text): \(findings)")
      #expect(try SamplingDefaults(damaged) == SamplingDefaults())
    }
    let twice = try files(["config.json": ["eos_token_id": 2], "generation_config.json": #"{"eos_token_id": 2, "eos_token_id": 1}"#])
    #expect(try Tokenizer(files: twice).endOfSequenceIDs == [1])
    #expect(twice.findings(modelVocabulary: 1000).notes.contains { $0.contains("appears twice") && $0.contains("the last one counts") })
  }

  @Test func `end tokens that only the tokenizer names are told, and a long list with its count`() throws {
    let alone = try files(["tokenizer_config.json": ["eos_token": "<|im_end|>"]]).findings(modelVocabulary: 1000)
    #expect(alone.remarks.contains { $0.contains("eos_token of tokenizer_config.json alone") }, "\(alone)")
    let many = try files(["generation_config.json": ["eos_token_id": .ints(Array(900..<950))]]).findings(modelVocabulary: 900)
    #expect(many.misfits.contains { $0.contains("909 and 40 more, but") }, "\(many)")
  }
}
