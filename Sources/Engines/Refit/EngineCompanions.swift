import Checkpoints
import Digests
import Files
import JSON
import OrderedCollections
import SystemPackage
import Tokenizers
import WeightSources

/// What a refit does to the files beside an engine's weights.
public struct CompanionChanges: Sendable, Equatable {
  /// Names of files that get other bytes.
  public var replaced: [String] = []
  /// Names of files that are new.
  public var added: [String] = []
  /// Names of files that go.
  public var removed: [String] = []
  /// `tokenizer and chat template from PATH`; nil where nothing changes that matters.
  public var summary: String?
  /// Why files of the source, or the lack of them, change nothing; nil where there is nothing to say.
  public var note: String?

  /// All files stay.
  public init() {}
  /// Whether all files stay as they are.
  public var isEmpty: Bool { replaced.isEmpty && added.isEmpty && removed.isEmpty }
}

/// The files that will stand beside the rank files of a refitted engine, chosen before anything is written.
///
/// A whole model brings all of its own, so that the engine is what a build of that model would be. An adapter brings what it
/// carries. A tokenizer is one set, taken whole or not at all; it takes the chat templates along that were beside it. Files
/// that are no model's, such as notes that a user put into the directory, stay.
struct EngineCompanions: Sendable {
  /// All files but `config.json`, `lineage.json` and the rank files.
  private(set) var files: CompanionFiles
  /// For the lineage: digest and source of each that is the model's.
  private(set) var record: OrderedDictionary<String, Lineage.File> = [:]
  /// `config.json` anew; nil where it stays byte for byte.
  private(set) var configuration: String?
  private(set) var changes = CompanionChanges()
  private(set) var problems: [RefitProblem] = []
  private(set) var warnings: [String] = []
  /// Where the last of the new files came from.
  private(set) var origin: FilePath?
  /// Names that are the model's, so that they go where they are not written.
  private(set) var owned: Set<String>
  /// Of the engine's own files, also of those that are no model's; and as they lie in its directory.
  private var digests: [String: String] = [:]
  private var written: [String: String] = [:]

  /// The engine's own files, as they are.
  init(engine: EngineDirectory, lineage: Lineage?) throws {
    files = try CompanionFiles(of: engine)
    owned = Set((lineage?.files ?? [:]).keys).union(ModelSource.auxiliaryNames)
    for name in files.names {
      guard let content = files[name] else { continue }
      let digest = try content.digest()
      digests[name] = digest
      written[name] =
        switch content.contents {
        case .file: digest
        case .bytes where engine.auxiliaryFiles.contains(name): try AuxiliaryFile(name, at: engine.path.appending(name)).digest()
        case .bytes: nil
        }
      // What was once recorded would count as the model's from then on.
      guard owned.contains(name) else { continue }
      let known = lineage?.files?[name]
      record[name] = known?.digest == digest ? known : Lineage.File(digest: digest, source: Directory.absolute(engine.path).string)
    }
  }

  /// - Parameter keeps: Leave the engine's files alone; only `config.json` follows the weights.
  init(engine: EngineDirectory, source: RefitSource, lineage: Lineage?, keeps: Bool) throws {
    try self.init(engine: engine, lineage: lineage)
    let (before, ownedBefore) = (files, owned)
    var origins: [String: String] = [:]
    var last: FilePath?
    for given in source.companions {
      let taken = take(given)
      guard !taken.isEmpty else { continue }
      for name in taken { origins[name] = Directory.absolute(given.path).string }
      last = given.path
    }
    if !keeps { try refuseUnreadable(source, before, vocabulary: engine.pretrained.vocabularySize) }
    if keeps {
      if files.names != before.names || origins.contains(where: { (try? files[$0.key]?.digest()) != digests[$0.key] }) {
        changes.note = "the engine's own tokenizer, chat template and generation settings stay, as asked"
      }
      (files, origins, warnings, owned) = (before, [:], [], ownedBefore)
    }
    record = [:]
    for name in files.names {
      guard let content = files[name] else { continue }
      let isNew = origins[name] != nil || digests[name] == nil
      let digest = isNew ? try content.digest() : digests[name] ?? ""
      let origin = origins[name] ?? lineage?.files?[name].flatMap { $0.digest == digest ? $0.source : nil } ?? Directory.absolute(engine.path).string
      if owned.contains(name) { record[name] = Lineage.File(digest: digest, source: origin) }
      if written[name] == nil { changes.added.append(name) } else if written[name] != digest { changes.replaced.append(name) }
    }
    if origins["tokenizer.json"] == nil { warnings = before.notes + warnings }
    changes.removed = before.names.filter { files[$0] == nil }
    origin = last
    if let last, !changes.isEmpty { try describe(from: before, to: last, vocabulary: engine.pretrained.vocabularySize) }
    configuration = Self.configuration(engine, source)
    if let architecture = source.config?.architecture, architecture != engine.pretrained.architecture {
      try follow(architecture, keepsTokenizer: origins["tokenizer.json"] == nil)
    }
  }

  /// `config.json` names another architecture from now on, by which a tokenizer that stays may be read otherwise.
  private mutating func follow(_ architecture: String, keepsTokenizer: Bool) throws {
    let old = files
    files.architecture = architecture
    guard keepsTokenizer, files.hasTokenizer else { return }
    let (before, after) = (try old.tokenizerFiles().rebuiltClass, try files.tokenizerFiles().rebuiltClass)
    guard before != after else { return }
    func made(_ name: String?) -> String { name.map { "a \($0)" } ?? "as tokenizer.json has it" }
    warnings.append(
      "the engine's tokenizer stays, but of a \(architecture) transformers makes it \(made(after)), not \(made(before)): ids of prompts can change")
  }

  /// A model whose own tokenizer cannot be read, as of a GGUF file's of a kind that is not known: the engine's takes its place only where
  /// that is asked for.
  private mutating func refuseUnreadable(_ source: RefitSource, _ before: CompanionFiles, vocabulary: Int) throws {
    for given in source.companions where given.isModel {
      guard let reason = given.files.unreadableTokenizer else { continue }
      let refusal = "\(given.path): \(TokenizerFindings.refusal(reason))"
      if before.hasTokenizer, try before.findings(modelVocabulary: vocabulary).unusable == nil { problems.append(.unusableFiles(refusal)) } else { warnings.append(refusal) }
    }
  }

  /// Puts the chat template of a tokenizer_config.json that comes without its tokenizer into the engine's, where it counts alone.
  ///
  /// - Returns: The names of files that changed.
  private mutating func takeTemplate(of given: CompanionFiles) -> [String] {
    let name = "tokenizer_config.json"
    guard files.hasTokenizer, !given.has(.chatTemplate), let bytes = try? given[name]?.bytes(),
      let template = (try? JSONValue(parsing: bytes, allowsNonFinite: true))?["chat_template"], !template.isNull,
      files.change(name, { $0["chat_template"] = template })
    else { return [] }
    for name in files.names where CompanionFiles.part(of: name) == .chatTemplate { files.contents[name] = nil }
    return [name]
  }

  /// - Returns: The names that now come from `given`.
  private mutating func take(_ given: RefitSource.Companions) -> [String] {
    var taken = given.files.names
    var changed: [String] = []
    if !given.files.hasTokenizer {
      // Without tokenizer.json nothing can be read; what goes with one of its own makes no set with the engine's.
      let parts = taken.filter { CompanionFiles.part(of: $0) == .tokenizer }
      if !parts.isEmpty, files.has(.tokenizer) || !given.isModel {
        warnings.append(
          "\(given.path): \(parts.joined(separator: ", ")) without a tokenizer.json: left out, the engine's tokenizer stays. "
            + "Save the tokenizer there again with a current transformers.")
        taken.removeAll { parts.contains($0) }
        if given.isModel { changed = takeTemplate(of: given.files) }
      } else if given.isModel, files.hasTokenizer, given.files.unreadableTokenizer == nil {
        changes.note = "\(given.path) has no tokenizer: the engine's stays"
      }
    }
    warnings += given.files.notes.map { "\(given.path): \($0)" }
    // What a user put beside the engine is not replaced by a file of the same name.
    let theirs = taken.filter { CompanionFiles.part(of: $0) == .other && files[$0] != nil && !owned.contains($0) }
    taken.removeAll { theirs.contains($0) }
    if given.isModel {
      // Files of the old model that no tokenizer is made of go, too.
      for name in files.names where owned.contains(name) && !taken.contains(name) {
        let part = CompanionFiles.part(of: name)
        if given.files.hasTokenizer || part == .other { files.contents[name] = nil }
      }
    } else {
      taken.removeAll { CompanionFiles.part(of: $0) == .other }
      if given.files.hasTokenizer {
        for name in files.names where [.tokenizer, .chatTemplate].contains(CompanionFiles.part(of: name)) { files.contents[name] = nil }
      }
    }
    if given.files.has(.chatTemplate), !given.files.hasTokenizer {
      for name in files.names where CompanionFiles.part(of: name) == .chatTemplate { files.contents[name] = nil }
      // The old one may stand in the tokenizer's configuration, too.
      let name = "tokenizer_config.json"
      if let content = files[name], let bytes = try? content.bytes(), let json = try? JSONValue(parsing: bytes, allowsNonFinite: true),
        json["chat_template"].map({ !$0.isNull }) ?? false, files.change(name, { $0["chat_template"] = nil })
      {
        changed.append(name)
      }
    }
    for name in taken { files.contents[name] = given.files[name] }
    owned.formUnion(taken)
    return taken + changed
  }

  /// Says what changed, and looks at what is new as run and serve would.
  private mutating func describe(from before: CompanionFiles, to origin: FilePath, vocabulary: Int) throws {
    let (old, new) = (try before.tokenizerFiles(), try files.tokenizerFiles())
    let found = new.differences(from: old)
    let parts = TokenizerFiles.Part.allCases.filter { found.contains($0) }
    // What the new files do not have does not come from them.
    let gone = parts.filter { $0 == .chatTemplate && !new.hasNamedTemplates || $0 == .generation && !new.hasGenerationSettings }
    func list(_ parts: [TokenizerFiles.Part]) -> String {
      let words = parts.map(\.rawValue)
      return words.count < 3 ? words.joined(separator: " and ") : words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
    }
    let come = parts.filter { !gone.contains($0) }
    let sentences = [come.isEmpty ? nil : "\(list(come)) from \(origin)", gone.isEmpty ? nil : "no \(list(gone)) any more: \(origin) has none"]
    changes.summary = parts.isEmpty ? nil : sentences.compactMap { $0 }.joined(separator: "; ")
    if gone.contains(.chatTemplate) {
      warnings.append("\(origin) has no chat template, so the engine loses its own: --keep_tokenizer keeps the engine's tokenizer and template")
    }
    let findings = try files.findings(modelVocabulary: vocabulary)
    problems += findings.misfits.map { .tokenizer($0) }
    // What cannot be used takes the place of nothing that can. Where the engine has none, it is as good as what a build gives.
    let own = try before.findings(modelVocabulary: vocabulary)
    if let reason = findings.unusable {
      let refusal = TokenizerFindings.refusal(reason)
      if before.hasTokenizer, own.unusable == nil { problems.append(.unusableFiles(refusal)) } else { warnings.append(refusal) }
    }
    if let reason = findings.unusableTemplate {
      if old.hasChatTemplate, own.unusableTemplate == nil { problems.append(.unusableFiles(reason)) } else { warnings.append(reason) }
    }
    warnings += findings.notes
  }

  /// The engine's configuration with the new model's in place of the old one's; nil where the weights below stay.
  private static func configuration(_ engine: EngineDirectory, _ source: RefitSource) -> String? {
    guard var model = source.config?.json.object, var all = engine.configuration.object else { return nil }
    if let type = engine.pretrained.elementType.configName, model["dtype"]?.string != type { model["dtype"] = .string(type) }
    // Floats were encoded on the way.
    if let config = source.config, config.quantization.isEncoded(into: engine.pretrained.quantization) {
      model["quantization"] = engine.pretrained.json["quantization"]
      var own = model[ModelNames.section]?.object ?? [:]
      own[Quantization.orderKey] = engine.pretrained.json[ModelNames.section]?[Quantization.orderKey]
      if !own.isEmpty { model[ModelNames.section] = .object(own) }
    }
    if model["is_pruned"]?.bool == true { model["is_pruned"] = nil }
    all["pretrained_config"] = .object(model)
    // Whatever was stripped is filled now.
    if case .object(var build)? = all["build_config"], build["use_strip_plan"]?.bool == true {
      build["use_strip_plan"] = false
      all["build_config"] = .object(build)
    }
    return JSONValue.object(all).serialized(indent: 4) + "\n"
  }

  /// Copies all into a new engine directory.
  func write(to output: OutputDirectory, engine: EngineDirectory) throws {
    for file in files.all { try output.write(file) }
    if let configuration {
      try output.write("config.json", text: configuration)
    } else {
      try output.copyFile(from: engine.path.appending("config.json"), name: "config.json")
    }
  }

  /// What tells these files from others, for several processes that must mean the same.
  var fingerprint: String {
    (record.map { "\($0.key) \($0.value.digest)" } + [configuration ?? ""]).joined(separator: "\n")
  }
}

extension AuxiliaryFile {
  /// SHA-256.
  func digest() throws(FileError) -> String {
    var hash = SHA256()
    switch contents {
    case .bytes(let bytes): hash.update(bytes)
    case .file(let path):
      let file = try ReadableFile(path)
      for start in stride(from: 0, to: file.byteCount, by: 1 << 20) {
        hash.update(try file.bytes(start..<min(start + 1 << 20, file.byteCount)))
      }
    }
    return hash.finalize().hexadecimal
  }
}

extension CompanionFiles {
  /// The files beside an engine's weights. Named chat templates that a user put there in a directory of their own are where a
  /// build writes them.
  ///
  /// - Parameter names: Which files; nil for all.
  init(of engine: EngineDirectory, names: [String]? = nil) throws(FileError) {
    let files = (names ?? engine.auxiliaryFiles).filter { name in
      name != TokenizerFiles.templateDirectory
        && (!ModelSource.auxiliaryNames.contains(name) || Directory.kind(of: engine.path.appending(name)) == .file)
    }
    self.init(files, in: engine.path, architecture: engine.pretrained.architecture)
    try takeTemplates(of: engine.path)
  }
}
