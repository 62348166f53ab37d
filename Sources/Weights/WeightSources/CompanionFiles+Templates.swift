public import Files
public import JSON
public import SystemPackage
import Tokenizers

extension CompanionFiles {
  /// The files of a model or an adapter in Hugging Face's format, in `directory`.
  ///
  /// A checkpoint and an engine are one directory, so named chat templates of `additional_chat_templates` go where older
  /// versions of transformers keep them: into tokenizer_config.json, with the one of chat_template.jinja.
  public init(beside directory: FilePath, architecture: String?) throws(FileError) {
    let present = ModelSource.auxiliaryNames.filter { Directory.kind(of: directory.appending($0)) == .file }
    self.init(present, in: directory, architecture: architecture)
    try takeTemplates(of: directory)
    try takeOlderTemplate()
  }

  /// Named chat templates of `directory`, where the other files are from, into tokenizer_config.json; and what lies in it under
  /// a name that counts and cannot be read is reported.
  public mutating func takeTemplates(of directory: FilePath) throws(FileError) {
    let found = try Self.templateFiles(beside: directory)
    notes += try Self.unreadable(in: directory) + found.notes
    let (folder, plain) = (TokenizerFiles.templateDirectory, "chat_template.jinja")
    guard !found.names.isEmpty else { return }
    guard hasTokenizer else {
      notes.append("\(folder) is left out, as there is no tokenizer.json beside it")
      return
    }
    if contents.removeValue(forKey: Self.olderTemplate) != nil {
      notes.append("the chat template of \(Self.olderTemplate) counts no more beside \(folder), as in transformers")
    }
    func bytes(_ file: String) throws(FileError) -> [UInt8]? {
      file == plain ? try contents[plain]?.bytes() : try ReadableFile.contents(of: directory.appending(file))
    }
    let files = try TokenizerFiles.templateFiles(plain: contents[plain] != nil, additional: found.names.map { "\(folder)/\($0)" }, bytes: bytes)
    notes += files.notes
    var texts: JSONObject = [:]
    for (name, file) in files.byName.sorted(by: { ($0.key == "default" ? 0 : 1, $0.key) < ($1.key == "default" ? 0 : 1, $1.key) }) {
      guard let text = try bytes(file).flatMap({ String(validating: $0, as: UTF8.self) }) else {
        notes.append("\(file.inMessage) is not UTF-8: left out")
        continue
      }
      texts[name] = .string(text)
    }
    guard !texts.isEmpty else { return }
    if texts["default"] == nil { notes.append("\(folder) has no default template: a chat must name one of \(texts.keys.sorted().joined(separator: ", ").inMessage)") }
    var replaced = false
    let changed = change("tokenizer_config.json") { members in
      replaced = members["chat_template"].map { !$0.isNull } ?? false
      members["chat_template"] = .array(texts.map { ["name": .string($0.key), "template": $0.value] })
    }
    guard changed else { return }
    contents[plain] = nil
    if replaced { notes.append("the chat template of tokenizer_config.json counts no more beside \(folder), as in transformers") }
  }

  /// Names of the files of named chat templates below `directory`, and of what is there and no file.
  public static func templateFiles(beside directory: FilePath) throws(FileError) -> (names: [String], notes: [String]) {
    let place = directory.appending(TokenizerFiles.templateDirectory)
    guard Directory.kind(of: place) == .directory else { return ([], []) }
    var (names, notes): ([String], [String]) = ([], [])
    for name in try Directory.names(in: place) where name.hasSuffix(".jinja") {
      let kind = Directory.kind(of: place.appending(name))
      if kind == .file { names.append(name) } else { notes.append(unreadable("\(TokenizerFiles.templateDirectory)/\(name)", kind)) }
    }
    return (names, notes)
  }

  /// What lies in a directory under a name that counts and is no regular file: as in transformers it counts as absent. In a
  /// model that is one file there is nothing of the kind.
  public static func unreadable(in directory: FilePath) throws(FileError) -> [String] {
    guard Directory.kind(of: directory) == .directory else { return [] }
    return try Directory.names(in: directory).compactMap { name in
      let kind = Directory.kind(of: directory.appending(name))
      if name == TokenizerFiles.templateDirectory { return kind == .directory ? nil : unreadable(name, kind, wanted: "directory") }
      guard ModelSource.auxiliaryNames.contains(name), kind != .file else { return nil }
      return unreadable(name, kind)
    }
  }
  private static func unreadable(_ name: String, _ kind: Directory.Kind?, wanted: String = "regular file") -> String {
    let what =
      switch kind {
      case nil: "a link to nothing, or cannot be looked at"
      case .file: "a file"
      case .directory: "a directory"
      case .other: "no regular file"
      }
    return "\(name.inMessage) is \(what): it counts as absent, as in transformers, which takes a \(wanted)"
  }

  private static let olderTemplate = "chat_template.json"
  /// A template in chat_template.json alone becomes chat_template.jinja, which counts before an engine's own in
  /// tokenizer_config.json.
  private mutating func takeOlderTemplate() throws(FileError) {
    let (older, plain) = (Self.olderTemplate, "chat_template.jinja")
    guard let content = contents[older], contents[plain] == nil else { return }
    func json(_ file: AuxiliaryFile) throws(FileError) -> JSONValue? {
      let bytes = try file.bytes()
      return try? JSONValue(parsing: bytes, allowsNonFinite: true)
    }
    if let configuration = contents["tokenizer_config.json"], let own = try json(configuration)?["chat_template"], !own.isNull { return }
    guard let text = try json(content)?["chat_template"]?.string else { return }
    contents[older] = nil
    contents[plain] = AuxiliaryFile(plain, bytes: Array(text.utf8))
    notes.append("the only chat template is in \(older): it counts here, while the tokenizers of transformers 5 do not read that file")
  }

  /// Writes the file anew, or for the first time. One that cannot be read stays, and is reported where all are looked at.
  @discardableResult
  public mutating func change(_ name: String, _ change: (inout JSONObject) -> Void) -> Bool {
    var members: JSONObject = [:]
    if let content = contents[name] {
      guard case .object(let old)? = try? JSONValue(parsing: content.bytes(), allowsNonFinite: true) else { return false }
      members = old
    }
    let before = members
    change(&members)
    guard members != before else { return true }
    contents[name] = AuxiliaryFile(name, json: members)
    return true
  }
}

extension AuxiliaryFile {
  init(_ name: String, json members: JSONObject) {
    self.init(name, bytes: Array((JSONValue.object(members).serialized(indent: 2) + "\n").utf8))
  }
}
