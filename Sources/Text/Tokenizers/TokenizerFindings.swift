import JSON

/// What is to be said of a model's tokenizer files before anything runs with them.
public struct TokenizerFindings: Sendable, Equatable {
  /// Why run and serve will refuse them; nil where they will not.
  public var unusable: String?
  /// Why they do not fit the model's vocabulary, a line each.
  public var misfits: [String] = []
  /// Why the chat template that run and serve would use cannot be; nil where it can or there is none.
  public var unusableTemplate: String?
  /// Places that disagree, other templates that cannot be read, settings that nothing uses: a line each.
  public var notes: [String] = []

  /// What counts as in transformers, and is no fault, but may surprise: a line each, shown once.
  public var remarks: [String] = []

  /// Nothing was found.
  public init() {}
  /// All that is a warning, the gravest first.
  public var all: [String] { (unusable.map { [Self.refusal($0)] } ?? []) + misfits + (unusableTemplate.map { [$0] } ?? []) + notes }

  /// The warning that run and serve will refuse the files, on one line that is cut where it is long.
  public static func refusal(_ reason: String) -> String { oneLine("trtllm-run and trtllm-serve will refuse this tokenizer, and need another, named with --tokenizer_dir: \(reason)") }

  /// Text out of a file on one line, cut where it is long.
  static func oneLine(_ text: String) -> String {
    let line = String(text.map { $0.isNewline ? " " : $0 })
    guard line.count > 280 else { return line }
    // Between words, where there are any.
    let (start, end) = (line.prefix(200), line.suffix(75))
    let first = start.lastIndex(of: " ").map { start[..<$0] }.flatMap { $0.count > 150 ? $0 : nil } ?? start
    let last = end.firstIndex(of: " ").map { end[$0...].dropFirst() }.flatMap { $0.count > 40 ? $0 : nil } ?? end
    return "\(first) … \(last)"
  }
}

extension TokenizerFiles {
  /// The class that is made anew in the place of tokenizer.json's own steps, which depends on the model's architecture; nil for none.
  public var rebuiltClass: String? {
    guard let text = bytes("tokenizer.json") else { return nil }
    return TokenizerClass(configuration: try? json("tokenizer_config.json"), model: try? json("config.json"), text: text)?.rawValue
  }
  /// Whether none of the files that a tokenizer is read from is there.
  public var isEmpty: Bool { Self.names.allSatisfy { bytes($0) == nil } }

  /// Reads all of the files as run and serve would.
  ///
  /// - Parameter modelVocabulary: How many tokens the model has.
  public func findings(modelVocabulary: Int) -> TokenizerFindings {
    var findings = TokenizerFindings()
    do throws(TokenizerError) {
      let (generation, note) = self.generation
      if let note { findings.notes.append(note) }
      for (file, json) in [("generation_config.json", generation)] {
        for key in ["eos_token_id", "bos_token_id"] {
          let wrong = EndTokens.ids(json?[key]).filter { Int($0) >= modelVocabulary }
          if !wrong.isEmpty {
            findings.misfits.append(
              "\(file): \(key) names \(wrong.prefix(10).map(String.init).joined(separator: ", "))\(EndTokens.rest(wrong.count)), but the model has \(modelVocabulary) tokens")
          }
        }
      }
      findings.notes += GenerationSettings.notes(generation)
      let parts = bytes("tokenizer.json") == nil ? nil : try TokenizerParts(files: self, limit: modelVocabulary)
      if let parts {
        if parts.vocabularySize > modelVocabulary {
          findings.notes.append(
            "tokenizer.json knows \(parts.vocabularySize) tokens, the model \(modelVocabulary): a prompt with one of the others is refused, as transformers fails at it")
        }
        findings.notes += parts.notes
        findings.remarks += parts.remarks
        for (name, template) in parts.chatTemplates.sorted(by: { $0.key < $1.key }) {
          guard case .failure(let error) = template else { continue }
          if name == "default" {
            findings.unusableTemplate = TokenizerFindings.oneLine("the chat template cannot be used: \(error)")
          } else {
            findings.notes.append("the chat template '\(name)' cannot be used: \(error)")
          }
        }
      }
    } catch {
      findings.unusable = "\(error)"
    }
    findings.misfits = findings.misfits.map(TokenizerFindings.oneLine)
    findings.notes = findings.notes.map(TokenizerFindings.oneLine)
    return findings
  }

  /// In what two sets of files differ.
  public enum Part: String, Sendable, CaseIterable {
    /// Ids of tokens, or how text is cut into them.
    case tokenizer
    /// The prompt text of a conversation.
    case chatTemplate = "chat template"
    /// `generation_config.json`.
    case generation = "generation settings"
  }

  /// What the files say otherwise than `other`; how they are written does not count.
  public func differences(from other: TokenizerFiles) -> Set<Part> {
    var found: Set<Part> = []
    for name in Self.names {
      if bytes(name) == other.bytes(name) { continue }
      let (mine, its) = (try? json(name), try? other.json(name))
      switch name {
      case "config.json", "chat_template.jinja", "chat_template.json": break
      case "generation_config.json": if mine != its || mine == nil && bytes(name) != nil { found.insert(.generation) }
      case "tokenizer_config.json": if Self.withoutTemplate(mine) != Self.withoutTemplate(its) { found.insert(.tokenizer) }
      default: if mine != its || mine == nil && bytes(name) != nil { found.insert(.tokenizer) }
      }
    }
    if templateTexts != other.templateTexts { found.insert(.chatTemplate) }
    return found
  }

  /// Whether there is any chat template, under whichever name. An empty text is none.
  public var hasNamedTemplates: Bool { templateTexts?.values.contains { !$0.isEmpty } ?? false }
  /// Whether there is one for every chat. An empty text is none: a prompt made with it has no tokens.
  public var hasChatTemplate: Bool { templateTexts?["default"].map { !$0.isEmpty } ?? false }
  /// Whether there is a `generation_config.json`.
  public var hasGenerationSettings: Bool { bytes("generation_config.json") != nil }
  private var templateTexts: [String: String]? {
    (try? ChatTemplateSources(files: self, configuration: json("tokenizer_config.json")))?.byName.mapValues(\.text)
  }
  private static func withoutTemplate(_ json: JSONValue??) -> JSONValue? {
    guard case .object(var members)? = json ?? nil else { return json ?? nil }
    members["chat_template"] = nil
    return .object(members)
  }
}

extension Tokenizer {
  /// Whether every id that either knows is the same token in both.
  public func hasSameTokens(as other: Tokenizer) -> Bool {
    let count = Int32(max(vocabularySize, other.vocabularySize))
    return (0..<count).allSatisfy { bytes(ofID: $0) == other.bytes(ofID: $0) }
  }
}
