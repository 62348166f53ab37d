import ArgumentParser
import JSON

/// The options of a command, as its declaration has them.
struct FlagTable: Sendable {
  struct Option: Sendable {
    /// With dashes; the first is told.
    let names: [String]
    /// nil for a flag, which takes none.
    let valueName: String?
    let isRepeatable: Bool
    let isRequired: Bool

    /// `--engine_dir <path>`
    var usage: String { names[0] + (valueName.map { " <\($0)>" } ?? "") }
    var isPath: Bool { valueName.map(Self.pathNames.contains) ?? false }
    private static let pathNames: Set<String> = ["path", "dir", "file", "file.html", "skeleton"]
  }
  let options: [Option]
  /// `<model>` of words that belong to no flag and must be there.
  let requiredWords: [String]
  /// Of every option, with dashes.
  let names: Set<String>

  /// What ArgumentParser itself knows of every command.
  private static let ownNames = ["--help-hidden", "--experimental-dump-help", "--generate-completion-script"]

  init(of command: any ParsableArguments.Type) {
    let described = (try? JSONValue(parsing: command._dumpHelp()))?["command"]?["arguments"]?.array ?? []
    var options: [Option] = []
    var words: [String] = []
    for argument in described {
      let valueName = argument["valueName"]?.string ?? "value"
      let isRequired = argument["isOptional"]?.bool == false
      guard argument["kind"]?.string != "positional" else {
        if isRequired { words.append("<\(valueName)>") }
        continue
      }
      let names = (argument["names"]?.array ?? []).filter { $0["kind"]?.string == "long" }.compactMap { $0["name"]?.string }
      guard !names.isEmpty else { continue }
      options.append(
        Option(
          names: names.map { "--" + $0 }, valueName: argument["kind"]?.string == "flag" ? nil : valueName,
          isRepeatable: argument["isRepeating"]?.bool ?? false, isRequired: isRequired))
    }
    options += Self.ownNames.map { Option(names: [$0], valueName: nil, isRepeatable: true, isRequired: false) }
    self.options = options
    requiredWords = words
    names = Set(options.flatMap(\.names))
  }

  /// Places in ``options`` of those that `name`, with dashes, is or begins.
  func places(beginning name: String) -> [Int] {
    options.indices.filter { options[$0].names.contains { $0.hasPrefix(name) } }
  }
  func place(of name: String) -> Int? { options.firstIndex { $0.names.contains(name) } }
}
