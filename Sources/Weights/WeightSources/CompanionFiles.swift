public import Files
import JSON
public import SystemPackage
public import Tokenizers

/// The files that belong to a model's weights: tokenizer, chat templates, generation settings, and what else lies beside
/// them. Converting, building and refitting bring them along.
public struct CompanionFiles: Sendable {
  /// By file name.
  public var contents: [String: AuxiliaryFile]
  /// What is to be said of them, a line each.
  public var notes: [String]
  /// Of the model that they belong to, as Hugging Face spells it: it decides whether the class counts that
  /// tokenizer_config.json names.
  public var architecture: String?
  /// Why no files could be made of the tokenizer that the model has, as of a GGUF file's of a kind that is not known.
  public var unreadableTokenizer: String?

  /// Of two files of one name the last counts.
  public init(_ files: some Sequence<AuxiliaryFile> = [], notes: [String] = [], architecture: String? = nil) {
    contents = Dictionary(files.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    self.notes = notes
    self.architecture = architecture
  }
  /// Files of a directory, which are not opened before they are wanted.
  public init(_ names: some Sequence<String>, in directory: FilePath, architecture: String?) {
    self.init(names.map { AuxiliaryFile($0, at: directory.appending($0)) }, architecture: architecture)
  }

  /// Sorted.
  public var names: [String] { contents.keys.sorted() }
  /// nil where there is no file of that name.
  public subscript(name: String) -> AuxiliaryFile? { contents[name] }
  /// In order of names.
  public var all: [AuxiliaryFile] { names.compactMap { contents[$0] } }

  /// What a file is for.
  public enum Part: Sendable, Hashable {
    /// A tokenizer is one set: no file of it goes with those of another.
    case tokenizer
    /// `chat_template.jinja` or `chat_template.json`: the prompt text of a conversation.
    case chatTemplate
    /// `generation_config.json`: how tokens are chosen.
    case generation
    /// Anything else that lies beside the weights.
    case other
  }
  /// What a file is for, by its name alone.
  public static func part(of name: String) -> Part {
    switch name {
    case "chat_template.jinja", "chat_template.json": .chatTemplate
    case "generation_config.json": .generation
    case _ where ModelSource.auxiliaryNames.contains(name): .tokenizer
    default: .other
    }
  }
  /// Whether any file is for that.
  public func has(_ part: Part) -> Bool { contents.keys.contains { Self.part(of: $0) == part } }
  /// Whether there is a tokenizer that run and serve can read.
  public var hasTokenizer: Bool { contents["tokenizer.json"] != nil }

  /// Those that a tokenizer is read from.
  public func tokenizerFiles() throws(FileError) -> TokenizerFiles {
    try TokenizerFiles(reading: { (name) throws(FileError) -> [UInt8]? in
      guard name == "config.json" else { return try contents[name]?.bytes() }
      return architecture.map { Array(JSONValue.object(["architecture": .string($0)]).serialized().utf8) }
    })
  }

  /// What there is to say of them at the first command that sees them.
  ///
  /// - Parameter modelVocabulary: How many tokens the model has.
  public func findings(modelVocabulary: Int) throws(FileError) -> TokenizerFindings {
    var findings = try tokenizerFiles().findings(modelVocabulary: modelVocabulary)
    findings.notes = notes + findings.notes
    if let unreadableTokenizer { findings.unusable = unreadableTokenizer }
    if findings.unusable == nil, !hasTokenizer {
      let others = names.filter { Self.part(of: $0) == .tokenizer }
      findings.unusable =
        others.isEmpty
        ? nil
        : "there is no tokenizer.json, and \(others.joined(separator: ", ")) cannot take its place. Make one with transformers: "
          + "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
      if others.isEmpty { findings.remarks.append("there are no tokenizer's files: trtllm-run and trtllm-serve will want some, named with --tokenizer_dir") }
    }
    return findings
  }
}

extension ModelSource {
  /// The files that a checkpoint of this model gets beside its weights.
  public func companions() throws -> CompanionFiles {
    guard let gguf else { return try huggingFaceCompanions() }
    do {
      let tokenizer = try gguf.metadata.tokenizer()
      let files = try TokenizerFiles.contents(fromGGUF: tokenizer)
      return CompanionFiles(files.map { AuxiliaryFile($0.key, bytes: $0.value) }, notes: tokenizer.notes + gguf.metadata.tokenizerNotes)
    } catch let error where error is TokenizerError || error is GGUFError {
      var reason = "\(error)"
      if reason.hasPrefix("\(gguf.origin): ") { reason.removeFirst("\(gguf.origin): ".count) }
      guard gguf.metadata.hasTokenizer else {
        return CompanionFiles(notes: ["the metadata holds no tokenizer: \(reason) Give run and serve a directory with tokenizer.json."])
      }
      var files = CompanionFiles(notes: gguf.metadata.tokenizerNotes)
      files.unreadableTokenizer = "no tokenizer could be made from the metadata: \(reason)"
      return files
    }
  }

  /// End tokens that only config.json names go into generation_config.json, where transformers saves them.
  private func huggingFaceCompanions() throws -> CompanionFiles {
    var companions = try CompanionFiles(beside: path, architecture: model.architecture)
    let others = ["tekken.json", "tiktoken.model"].filter { Directory.kind(of: path.appending($0)) == .file }
    if !companions.has(.tokenizer), let other = others.first {
      companions.notes.append("there is no tokenizer.json, and \(other) cannot take its place. Make one with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)")
    }
    let name = "generation_config.json"
    let keys = ["bos_token_id", "eos_token_id", "pad_token_id"]
    let config = try ConfigReader(directory: path, file: "config.json").json
    let named = keys.filter { config[$0].map { !$0.isNull } ?? false }
    // An empty name is none for a Qwen2, and a class that does not exist for others.
    if companions.hasTokenizer, let name = config["tokenizer_class"]?.string, !name.isEmpty || model.architecture != "Qwen2ForCausalLM" {
      companions.change("tokenizer_config.json") { if $0["tokenizer_class"].map(\.isNull) ?? true { $0["tokenizer_class"] = .string(name) } }
    }
    let read = try companions[name].map { TokenizerFiles.generation(try $0.bytes()) }
    if let read, read.json == nil, let note = read.note {
      // As if there were none; one that is read with a note is reported where the tokenizer's files are looked at.
      companions.contents[name] = nil
      companions.notes.append(note)
    }
    if var members = read?.json?.object {
      // What is no id at all is left as it is, and reported where the tokenizer's files are looked at.
      guard let ends = config["eos_token_id"], !ends.isNull, Self.values(members["eos_token_id"]).allSatisfy({ $0.int != nil }) else { return companions }
      let (counting, others) = (Self.ids(members["eos_token_id"]), Self.ids(ends))
      if counting.allSatisfy({ $0 < 0 }) {
        members["eos_token_id"] = ends
        companions.contents[name] = AuxiliaryFile(name, json: members)
        companions.notes.append("generation_config.json names no end token: eos_token_id of config.json counts; transformers' generate() would go on to its limit")
      } else if !Set(others).isSubset(of: counting) {
        companions.notes.append(
          "eos_token_id is \(Self.list(counting)) in generation_config.json and \(Self.list(others)) in config.json: generation_config.json "
            + "counts, as in transformers")
      }
    } else if !named.isEmpty {
      var members: JSONObject = ["_from_model_config": true]
      for key in named { members[key] = config[key] }
      companions.contents[name] = AuxiliaryFile(name, json: members)
    }
    return companions
  }

  /// One value or several; null is none.
  private static func values(_ value: JSONValue?) -> [JSONValue] {
    guard let value, !value.isNull else { return [] }
    return value.array ?? [value]
  }
  private static func ids(_ value: JSONValue?) -> [Int] { values(value).compactMap(\.int) }
  private static func list(_ ids: [Int]) -> String { "\(ids.prefix(10))" + (ids.count > 10 ? " and \(ids.count - 10) more" : "") }
}
