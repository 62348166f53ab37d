public import Files
import JSON
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
    let (place, plain) = (directory.appending(TokenizerFiles.templateDirectory), "chat_template.jinja")
    try takeOlderTemplate()
    let files = try Self.templateFiles(beside: directory)
    guard !files.isEmpty else { return }
    guard hasTokenizer else {
      notes.append("\(TokenizerFiles.templateDirectory) is left out, as there is no tokenizer.json beside it")
      return
    }
    var texts: JSONObject = [:]
    func add(_ name: String, _ bytes: [UInt8]?, _ file: String) {
      guard let bytes else { return }
      guard let text = String(validating: bytes, as: UTF8.self) else { return notes.append("\(file.inMessage) is not UTF-8: left out") }
      texts[name] = .string(text)
    }
    add("default", try contents[plain]?.bytes(), plain)
    for file in files.sorted() {
      add(String(file.dropLast(".jinja".count)), try ReadableFile.contents(of: place.appending(file)), "\(TokenizerFiles.templateDirectory)/\(file)")
    }
    guard !texts.isEmpty else { return }
    if texts["default"] == nil { notes.append("\(TokenizerFiles.templateDirectory) has no default template: a chat must name one of \(texts.keys.sorted().joined(separator: ", ").inMessage)") }
    var replaced = false
    let changed = change("tokenizer_config.json") { members in
      replaced = members["chat_template"].map { !$0.isNull } ?? false
      members["chat_template"] = .array(texts.map { ["name": .string($0.key), "template": $0.value] })
    }
    guard changed else { return }
    contents[plain] = nil
    if replaced { notes.append("the chat template of tokenizer_config.json counts no more beside \(TokenizerFiles.templateDirectory), as in transformers") }
  }

  /// Names of the files of named chat templates below `directory`.
  public static func templateFiles(beside directory: FilePath) throws(FileError) -> [String] {
    let place = directory.appending(TokenizerFiles.templateDirectory)
    guard Directory.kind(of: place) == .directory else { return [] }
    return try Directory.names(in: place).filter { $0.hasSuffix(".jinja") && Directory.kind(of: place.appending($0)) == .file }
  }

  /// A template in chat_template.json alone becomes chat_template.jinja, which counts before an engine's own in
  /// tokenizer_config.json.
  private mutating func takeOlderTemplate() throws(FileError) {
    let (older, plain) = ("chat_template.json", "chat_template.jinja")
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

  /// Writes the file anew, or for the first time. One that cannot be read stays, and is told where all are looked at.
  @discardableResult
  mutating func change(_ name: String, _ change: (inout JSONObject) -> Void) -> Bool {
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
