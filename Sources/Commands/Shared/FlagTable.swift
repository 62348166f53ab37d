import ArgumentParser
import JSON

/// The options of a command, as its declaration has them.
struct FlagTable: Sendable {
  struct Option: Sendable {
    /// With dashes; messages show the first.
    let names: [String]
    /// nil for a flag, which takes none.
    let valueName: String?
    let isRepeatable: Bool
    let isRequired: Bool
    /// All that the value may be; empty where it may be more than the declaration lists.
    let values: [String]

    var form: ValueForm? { valueName.flatMap { ValueForm(valueName: $0) } }
    /// `--engine_dir <path>`
    var usage: String { names[0] + (valueName.map { " <\($0)>" } ?? "") }
    var isPath: Bool { valueName.map(Self.pathNames.contains) ?? false }
    private static let pathNames: Set<String> = ["path", "dir", "file", "file.html", "skeleton"]
  }
  let options: [Option]
  /// `<model>` of words that belong to no flag and must be there.
  let requiredWords: [String]
  /// Whether words may stand there that belong to no flag.
  let takesWords: Bool
  /// Of every option, with dashes.
  let names: Set<String>

  /// What ArgumentParser itself knows of every command.
  static let ownNames = ["--version", "--help-hidden", "--experimental-dump-help", "--generate-completion-script"]

  init(of command: any ParsableArguments.Type) {
    let described = (try? JSONValue(parsing: command._dumpHelp()))?["command"]?["arguments"]?.array ?? []
    var options: [Option] = []
    var words: [String] = []
    var takesWords = false
    for argument in described {
      let valueName = argument["valueName"]?.string ?? "value"
      let isRequired = argument["isOptional"]?.bool == false
      guard argument["kind"]?.string != "positional" else {
        takesWords = true
        if isRequired { words.append("<\(valueName)>") }
        continue
      }
      let names = (argument["names"]?.array ?? []).filter { $0["kind"]?.string == "long" }.compactMap { $0["name"]?.string }
      guard !names.isEmpty else { continue }
      options.append(
        Option(
          names: names.map { "--" + $0 }, valueName: argument["kind"]?.string == "flag" ? nil : valueName,
          isRepeatable: argument["isRepeating"]?.bool ?? false, isRequired: isRequired,
          values: (argument["allValues"]?.array ?? []).compactMap(\.string)))
    }
    options.removeAll { !Set($0.names).isDisjoint(with: Self.ownNames) }
    options += Self.ownNames.map { Option(names: [$0], valueName: nil, isRepeatable: true, isRequired: false, values: []) }
    self.options = options
    requiredWords = words
    self.takesWords = takesWords
    names = Set(options.flatMap(\.names))
  }

  /// Places in ``options`` of those that `name`, with dashes, begins; ArgumentParser's hidden ones want their whole name.
  func places(beginning name: String) -> [Int] {
    options.indices.filter { options[$0].names.contains { $0.hasPrefix(name) && !Self.ownNames.contains($0) } }
  }
  func place(of name: String) -> Int? { options.firstIndex { $0.names.contains(name) } }
}
