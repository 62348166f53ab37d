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
    #expect(cases.count > 200)
    for one in cases {
      let name = try #require(one["name"]?.string)
      let texts = try #require(all[one["files"]?["texts"] == nil ? "texts" : "texts_of_classes"]?.array).compactMap(\.string)
      let expected = try #require(one["expected"])
      let tokenizer = try Tokenizer(files: try files(try #require(one["files"]?.object)))
      for (index, text) in texts.enumerated() {
        let ids = tokenizer.encode(text)
        #expect(JSONValue.ints(ids.map(Int.init)) == expected["ids"]?.array?[index], "\(name): \(text)")
        #expect(.string(tokenizer.decode(ids)) == expected["decoded"]?.array?[index], "\(name): \(text)")
      }
      for (role, token) in expected["roles"]?.object ?? [:] where role != "pad_token" || one["files"]?["tokenizer.json"] == nil {
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
  }

  private func notes(_ changed: JSONObject, vocabulary: Int = 2000) throws -> TokenizerFindings {
    try files(changed).findings(modelVocabulary: vocabulary)
  }

  @Test func `places that disagree are told, with the one that counts`() throws {
    let roles: JSONValue = ["bos_token": "<|im_start|>", "eos_token": "<|im_end|>"]
    #expect(try notes(["tokenizer_config.json": roles]) == TokenizerFindings())
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
    let rebuilt = try notes(["tokenizer_config.json": ["tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": true]], vocabulary: 5000)
    #expect(rebuilt.all.isEmpty && rebuilt.remarks.count == 1 && rebuilt.remarks[0].contains("cuts text otherwise than GPT2Tokenizer, the tokenizer_class, which counts"), "\(rebuilt)")
    let begins = try notes(["tokenizer_config.json": ["bos_token": "<|im_start|>", "add_bos_token": true]])
    #expect(begins.notes.count == 1 && begins.notes[0].contains("add_bos_token true, but tokenizer.json does not add '<|im_start|>'"))
    let moved = try notes(["added_tokens.json": ["<new>": 1500]])
    #expect(moved.notes.count == 1 && moved.notes[0].contains("'<new>' the id 1500; it gets the next free one"))
  }

  @Test func `generation settings that would change answers are told by name, once`() throws {
    let told = try notes(["generation_config.json": [
      "_from_model_config": true, "eos_token_id": 2, "do_sample": true, "temperature": 0.6, "top_p": 1.0, "top_k": 40,
      "repetition_penalty": 1.1, "suppress_tokens": [3], "bad_words_ids": [], "transformers_version": "5.24.0", "max_new_tokens": 20,
    ]])
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
    for wrong: JSONValue in [["do_sample": true, "temperature": -1], ["repetition_penalty": 0], ["do_sample": true, "top_p": "x"], ["do_sample": true, "top_k": .double(1e300)], ["do_sample": true, "top_k": .double(50.7)]] {
      #expect(throws: TokenizerError.self) { _ = try defaults(wrong) }
    }
  }

  @Test func `a tokenizer that cannot be used, or that does not fit, is told before anything runs`() throws {
    let small = try notes([:], vocabulary: 100)
    #expect(small.unusable == nil && small.misfits.count == 1 && small.misfits[0].hasPrefix("tokenizer.json knows"))
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
    func ends(_ tokens: [String], end: Int? = nil, turn: Int? = nil, message: Int? = nil) throws -> [Int] {
      let files = try TokenizerFiles.fromGGUF(
        metadata: GGUFTokenizer(
          model: "gpt2", preTokenizer: "gpt-2", tokens: tokens, tokenTypes: tokens.map { _ in 3 }, endID: end, endOfTurnID: turn,
          endOfMessageID: message))
      let value = files["generation_config.json"]?["eos_token_id"]
      return (value?.array ?? value.map { [$0] } ?? []).compactMap(\.int)
    }
    #expect(try ends(["a", "<|im_end|>", "b", "<|endoftext|>"]) == [1, 3])
    #expect(try ends(["<|eot_id|>", "b", "c", "d"], end: 3, turn: 2, message: 1) == [3, 2, 1, 0])
    #expect(try ends(["<|end|>", "<|return|>", "<|call|>"]) == [1, 2])
    #expect(try ends(["</s>", "<|tool_response>"]) == [1])
    #expect(try ends(["<|end|>", "</s>", "<|file_sep|>"]) == [0, 1, 2])
    #expect(try ends(["a"]) == [])
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
}
