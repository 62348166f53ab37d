import JSON

/// Everything that ``Tokenizer`` is made of, as read from its files.
struct TokenizerParts {
  var encoder: BytePairEncoder
  var decoder: TokenDecoder
  var normalizer: Normalizer
  var preTokenizer: PreTokenizer
  var postProcessor: PostProcessor
  var addedToText = AddedTokenFinder()
  var addedToNormalized = AddedTokenFinder()
  /// By the token's bytes: a `String` would hold two spellings of one character equal.
  var addedIDs: [[UInt8]: Int32] = [:]
  var specialTokens: SpecialTokens
  var endOfSequenceIDs: Set<Int32> = []
  var chatTemplates: [String: Result<ChatTemplate, TokenizerError>]
  var vocabularySize: Int
  /// What the files disagree on, and what of them nothing uses: a line each.
  var notes: [String] = []
  var remarks: [String] = []

  /// - Parameter limit: The model's vocabulary: added tokens that only a side file names have no place beyond it.
  init(files: TokenizerFiles, limit: Int? = nil) throws(TokenizerError) {
    let name = "tokenizer.json"
    guard let written = try files.json(name) else { throw TokenizerError(file: name, problem: .missing) }
    let reader = JSONMembers(file: name)
    let configuration = try files.json("tokenizer_config.json")
    let modelConfiguration = try? files.json("config.json")
    let rebuilding = TokenizerClass(configuration: configuration, model: modelConfiguration, text: files.bytes(name) ?? [])
    let map = try files.json("special_tokens_map.json")
    var roles = rebuilding?.roles ?? [:]
    // Padding that tokenizer.json asks for, but where a class has a default of its own.
    if rebuilding == nil || rebuilding == .llama { roles["pad_token"] = written["padding"]?["pad_token"]?.string }
    let named = NamedTokens(configuration: configuration, map: map, defaults: roles)
    specialTokens = SpecialTokens(named)
    let json = rebuilding?.applied(to: written, configuration: configuration, unknown: specialTokens.unknown) ?? written

    normalizer = try Normalizer(json["normalizer"], reader: reader)
    preTokenizer = try PreTokenizer(json["pre_tokenizer"], reader: reader.inside("pre_tokenizer"))
    postProcessor = try PostProcessor(json["post_processor"], reader: reader)
    let decoderKind = try TokenDecoder.Kind(json["decoder"], reader: reader)
    let isByteLevel = try preTokenizer.isByteLevel(reader)
    guard isByteLevel == (decoderKind == .byteLevel) else {
      throw reader.inconsistent("only one of 'pre_tokenizer' and 'decoder' is byte-level")
    }
    guard let model = json["model"] else { throw reader.invalid("model", "an object") }
    encoder = try BytePairEncoder(model, isByteLevel: isByteLevel, reader: reader.inside("model"))

    var added: [AddedToken] = []
    for (index, token) in (json["added_tokens"]?.array ?? []).enumerated() {
      let token = try AddedToken(token, reader: reader.inside("added_tokens[\(index)]"))
      guard token.id < encoder.vocabulary.idBound else {
        throw reader.inconsistent("the added token '\(token.content)' has the id \(token.id), far beyond the \(encoder.vocabulary.count) tokens of the vocabulary")
      }
      added.append(token)
    }
    if let unknown = model["unk_token"]?.string, encoder.unknown == nil {
      notes.append("the unknown token '\(unknown.prefix(40))' is not in the vocabulary of \(name): a character that the vocabulary lacks is left out, where transformers fails")
    }
    notes += TokenizerClass.notes(configuration: configuration, model: modelConfiguration)
    notes += rebuilding?.notes(configuration: configuration) ?? []
    if let stray = TokenizerClass.strayByteLevel(configuration: configuration, model: modelConfiguration, tokenizer: written, text: files.bytes(name) ?? []) {
      notes.append(stray)
    }
    notes += TokenizerSettings.notes(configuration, map: map, model: modelConfiguration, vocabularyCount: encoder.vocabulary.count)
    if let rebuilding,
      (try? written["model"].map { try reader.bool($0, "ignore_merges", default: false) }) == true
        || (try? Normalizer(written["normalizer"], reader: reader))?.steps != normalizer.steps
        || (try? PreTokenizer(written["pre_tokenizer"], reader: reader))?.steps != preTokenizer.steps
    {
      remarks.append(rebuilding.remark(configuration: configuration))
    }
    let places = try AddedTokenPlaces(
      own: added, isRebuilt: rebuilding != nil, vocabulary: encoder.vocabulary, files: files, configuration: configuration, named: named,
      limit: limit)
    added = places.tokens
    if rebuilding == .qwen2 {
      // It adds those with a role and the further ones once more, plainly.
      let roles = Set((named.roles.map(\.value) + named.extra).map { Array($0.content.utf8) })
      for index in added.indices where roles.contains(Array(added[index].content.utf8)) {
        added[index] = AddedToken(content: added[index].content, id: added[index].id, isSpecial: true)
      }
    }
    notes += places.notes
    if !places.outside.isEmpty {
      notes.append("added tokens that tokenizer.json lacks and the model has no row for are left out: " + places.outside.quoted)
    }
    for token in added {
      guard token.content.utf8.count <= AddedToken.longestContent else {
        throw reader.unsupported("an added token", String(token.content.prefix(40)) + "…", "at most \(AddedToken.longestContent) bytes")
      }
      addedIDs[Array(token.content.utf8)] = token.id
      if token.normalized {
        addedToNormalized.insert(token, spelling: normalizer.apply(Array(token.content.utf8)))
      } else {
        addedToText.insert(token, spelling: Array(token.content.utf8))
      }
    }
    // As Hugging Face's tokenizers since 0.23: a token that is looked for in normalised text becomes text as it is found there.
    var spelled = added
    // It is left out of answers only where a special token is spelled so.
    let special = Set(added.filter(\.isSpecial).map { Array($0.content.utf8) })
    for (index, token) in added.enumerated() where token.normalized {
      let text = normalizer.apply(Array(token.content.utf8))
      spelled[index].content = String(decoding: text, as: UTF8.self)
      spelled[index].isSpecial = special.contains(text)
    }
    decoder = TokenDecoder(kind: decoderKind, vocabulary: encoder.vocabulary, added: spelled)
    vocabularySize = max(encoder.vocabulary.idLimit, (added.map { Int($0.id) }.max() ?? -1) + 1)

    var ids: [String: Int32] = [:]
    for token in [specialTokens.beginning, specialTokens.end].compactMap({ $0 }) {
      ids[token] = addedIDs[Array(token.utf8)] ?? encoder.vocabulary.id(of: token)
    }
    let ends = try EndTokens(files: files, roleID: specialTokens.end.flatMap { ids[$0] })
    endOfSequenceIDs = ends.ids
    notes += ends.notes
    remarks += ends.remarks
    let templates = try ChatTemplateSources(files: files, configuration: configuration)
    chatTemplates = templates.parsed()
    notes += templates.notes
    notes += postProcessor.notes(configuration, specialTokens, ids)
    for id in postProcessor.prefix + postProcessor.suffix where id >= vocabularySize {
      throw reader.inconsistent("'post_processor' adds the id \(id), but the highest id is \(vocabularySize - 1)")
    }
  }
}

extension Sequence<String> {
  /// At most ten, in quotation marks, and how many more.
  var quoted: String {
    let all = Array(self)
    return all.prefix(10).map { "'\($0)'" }.joined(separator: ", ") + (all.count > 10 ? " and \(all.count - 10) more" : "")
  }
}

extension BytePairEncoder {
  private static func crowded(_ name: String, _ reader: JSONMembers) -> TokenizerError {
    reader.inconsistent("'\(reader.place(name))' is made so that reading it takes for ever")
  }

  init(_ model: JSONValue, isByteLevel: Bool, reader: JSONMembers) throws(TokenizerError) {
    // Old files leave the type out; only byte-pair encoding has merges.
    let type = model["type"]?.string ?? (model["merges"] == nil ? "without a type" : "BPE")
    guard type == "BPE" else { throw reader.unsupported("model type", type, "BPE") }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let value = model[name]?.string, !value.isEmpty { throw reader.unsupported(reader.place(name), value, "none") }
    }
    if let dropout = model["dropout"]?.double, dropout != 0 {
      throw reader.unsupported(reader.place("dropout"), "\(dropout)", "none: ids would depend on chance")
    }
    guard let entries = model["vocab"]?.object else { throw reader.invalid("vocab", "an object of tokens and ids") }
    var vocabulary = Vocabulary(capacity: entries.count)
    for (token, value) in entries {
      guard let id = value.int.flatMap(Int32.init(exactly:)), vocabulary.insert(token, id: id) else {
        guard !vocabulary.isCrowded else { throw Self.crowded("vocab", reader) }
        throw reader.inconsistent(
          "the token '\(token)' has the id \(value.serialized()), which another token has or is no id")
      }
    }

    let list = try reader.array(model, "merges")
    merges = MergeTable(capacity: list.count)
    var joined: [UInt8] = []
    for (rank, entry) in list.enumerated() {
      let pair: (ArraySlice<UInt8>, ArraySlice<UInt8>)
      if let text = entry.string {
        let bytes = Array(text.utf8)
        guard let space = bytes.firstIndex(of: 0x20), space == bytes.lastIndex(of: 0x20) else {
          throw reader.invalid("merges[\(rank)]", "two tokens with a space between them")
        }
        pair = (bytes[..<space], bytes[(space + 1)...])
      } else if let two = entry.array, two.count == 2, let left = two[0].string, let right = two[1].string {
        pair = (Array(left.utf8)[...], Array(right.utf8)[...])
      } else {
        throw reader.invalid("merges[\(rank)]", "two tokens")
      }
      joined.removeAll(keepingCapacity: true)
      joined += pair.0
      joined += pair.1
      guard let left = vocabulary.id(of: pair.0), let right = vocabulary.id(of: pair.1),
        let result = vocabulary.id(of: joined[...])
      else {
        throw reader.inconsistent("merges[\(rank)], \(entry.serialized()), names or makes a token that 'vocab' lacks")
      }
      merges.insert(left, right, MergeTable.Merge(rank: Int32(rank), result: result))
      guard !merges.isCrowded else { throw Self.crowded("merges", reader) }
    }

    if isByteLevel {
      alphabet = .bytes(ByteAlphabet.scalars.map { vocabulary.id(of: String($0)) ?? -1 })
    } else if try reader.bool(model, "byte_fallback", default: false) {
      alphabet = .scalars(
        byteFallback: (UInt8.min...UInt8.max).map { byte in
          let digits = String(byte, radix: 16, uppercase: true)
          return vocabulary.id(of: "<0x" + (digits.count == 1 ? "0" : "") + digits + ">") ?? -1
        })
    } else {
      alphabet = .scalars(byteFallback: nil)
    }
    unknown = nil
    if let token = model["unk_token"]?.string {
      unknown = vocabulary.id(of: token)
    }
    takesWholeWords = try reader.bool(model, "ignore_merges", default: false)
    fusesUnknown = try reader.bool(model, "fuse_unk", default: false)
    self.vocabulary = vocabulary
  }
}
