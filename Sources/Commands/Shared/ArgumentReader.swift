import JSON

/// Reads a command line before ArgumentParser does, for what that lets pass without a word or tells without help: unknown
/// and missing options and values of another form (all together, with the nearest names), two names of one option, flags of
/// upstream without a meaning.
struct ArgumentReader {
  let table: FlagTable
  let ignored: [String: IgnoredFlag]
  /// See ``DrydockCommand/missing(beside:)``.
  let alsoMissing: (Set<String>) -> [String]
  /// See ``DrydockCommand/optionsElsewhere``.
  let elsewhere: [String: String]

  /// What ArgumentParser is to read, and lines for the user.
  private(set) var arguments: [String] = []
  private(set) var notes: [String] = []

  private var problems: [String] = []
  /// For each place in the table the name that was used and its value.
  private var given: [Int: (name: String, value: String?)] = [:]
  /// Options that a misspelt one was taken for: they are not missing, too.
  private var meant: Set<String> = []
  private var hasWords = false
  /// Words that belong to no option, where there must be none.
  private var strays: [String] = []
  /// Whether a word may have been taken for the value of an option that is unknown.
  private var hasUnknown = false
  private var wantsHelp = false

  /// Flags whose values may look like anything.
  private static let keys: Set<String> = ["--api_key", "--admin_key"]

  init(
    _ table: FlagTable, ignoring ignored: [IgnoredFlag], elsewhere: [String: String] = [:],
    missing: @escaping (Set<String>) -> [String] = { _ in [] }
  ) {
    self.table = table
    self.elsewhere = elsewhere
    alsoMissing = missing
    self.ignored = Dictionary(ignored.map { ("--" + $0.name, $0) }) { first, _ in first }
  }

  /// - Throws: ``UsageError`` with everything that is wrong.
  mutating func read(_ words: [String]) throws(UsageError) {
    let flags = words.prefix { $0 != "--" }
    if flags.contains("--help") || flags.contains("-h") || words == ["help"] { arguments = ["--help"]; return }
    if let own = flags.firstIndex(where: { FlagTable.ownNames.contains(String($0.prefix { $0 != "=" })) }) {
      // The name of a shell may follow.
      arguments = [flags[own]] + flags[(own + 1)...].prefix(1).filter { flags[own] == "--generate-completion-script" && !$0.hasPrefix("-") }
      return
    }
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        note(words: rest)
        arguments += [word] + rest
        break
      }
      guard word.hasPrefix("-"), word != "-", Double(word) == nil else {
        note(words: [word])
        arguments.append(word)
        continue
      }
      readFlag(word, &rest)
      if wantsHelp { arguments = ["--help"]; return }
    }
    let missing = missing
    noteStrays(missing)
    if !missing.isEmpty { problems.append("missing: \(missing.joined(separator: ", "))") }
    guard problems.isEmpty else { throw UsageError(problems.joined(separator: "\n"), showsUsage: !missing.isEmpty) }
  }

  private mutating func note(words: ArraySlice<String>) {
    hasWords = hasWords || !words.isEmpty
    if !table.takesWords { strays += words }
  }

  /// Words without their options: those that are missing may be meant, in their order.
  private mutating func noteStrays(_ missing: [String]) {
    guard !strays.isEmpty else { return }
    let options = missing.compactMap { $0.split(separator: " ").first.map(String.init) }
    let which = strays.prefix(4).map { "'\($0)'" }.joined(separator: ", ") + (strays.count > 4 ? ", …" : "")
    let remedy =
      options.isEmpty
      ? "A value with spaces in it needs quotes."
      : "Give \(strays.count == 1 ? "it" : "them") with \(options.prefix(strays.count).joined(separator: ", "))."
    problems.append("\(which) \(strays.count == 1 ? "belongs" : "belong") to no option. \(remedy)")
  }

  private var missing: [String] {
    let there = table.options.enumerated().filter { given[$0] != nil || $1.names.contains(where: meant.contains) }.map(\.element.names[0])
    return (hasWords || hasUnknown ? [] : table.requiredWords)
      + table.options.filter { $0.isRequired && !there.contains($0.names[0]) }.map(\.usage) + alsoMissing(Set(there))
  }

  private mutating func readFlag(_ word: String, _ rest: inout ArraySlice<String>) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    var (name, value) = (parts[0], parts.count == 2 ? parts[1] : nil)
    guard let place = complete(&name) else {
      // Whatever was meant, what follows is its value, or a word of its own.
      hasUnknown = true
      if value == nil, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
      return
    }
    if let match = ignored[name], table.place(of: name) == nil {
      notes.append("\(name) is ignored: \(match.reason)")
      if match.takesValue, value == nil, let next = rest.first, !next.hasPrefix("--") { rest.removeFirst() }
      return
    }
    if name == "--help" { return wantsHelp = true }
    let option = table.options[place]
    guard option.valueName != nil else {
      note(name, nil, at: place)
      arguments.append(value.map { "\(name)=\($0)" } ?? name)
      return
    }
    if value == nil {
      guard let next = takeValue(of: name, &rest) else { return }
      value = next
    }
    guard let value else { return }
    if value.isEmpty, option.isPath { return problems.append("\(name) is empty: name a path") }
    if let form = option.form, form.number(value) == nil {
      problems.append("\(name) is '\(value)'; give \(form.description)")
    } else if !option.values.isEmpty, !option.values.contains(value) {
      problems.append("\(name) is '\(value)'; give \(option.values.dropLast().joined(separator: ", ")) or \(option.values[option.values.count - 1])")
    }
    note(name, value, at: place)
    // A value is a value, whatever it begins with, and also where it is empty.
    arguments += value.isEmpty ? [name, value] : ["\(name)=\(value)"]
  }

  /// The value that stands behind a flag; nil where there is none, which is a problem.
  private mutating func takeValue(of name: String, _ rest: inout ArraySlice<String>) -> String? {
    guard let next = rest.first else {
      problems.append("\(name) needs a value")
      return nil
    }
    if next.hasPrefix("-"), next != "-", Double(next) == nil {
      let flag = String(next.prefix { $0 != "=" })
      let isFlag = table.names.contains(flag) || ignored[flag] != nil
      guard Self.keys.contains(name), !isFlag else {
        // A key that is missing, as of an unset variable, must not take the next flag in its place.
        problems.append(
          isFlag
            ? "\(name) is followed by the flag \(flag): give its value, or where it is spelt so, as \(name)=VALUE"
            : "\(name) needs a value; one that begins with a dash is written \(name)=VALUE")
        return nil
      }
    }
    return rest.popFirst()
  }

  /// Two names of one option must not say two things.
  private mutating func note(_ name: String, _ value: String?, at place: Int) {
    guard let first = given[place] else { return given[place] = (name, value) }
    guard !table.options[place].isRepeatable else { return }
    if first.name == name {
      notes.append("\(name) is given more than once; the last counts")
    } else if !isSame(first.value, value, table.options[place].form) {
      problems.append(
        "\(first.name) and \(name) are two names of one option, given as '\(first.value ?? "")' and '\(value ?? "")': give one of them")
    }
    given[place] = (name, value)
  }

  /// Whether two values say one thing; numbers may be spelt in more ways than one.
  private func isSame(_ one: String?, _ other: String?, _ form: ValueForm?) -> Bool {
    guard let form, let one = one.flatMap(form.number), let other = other.flatMap(form.number) else { return one == other }
    return one == other
  }

  /// Makes of a beginning the whole name, as argparse does.
  ///
  /// - Returns: The place in the table (any, for an ignored flag); nil where nothing or more than one is meant, which is a problem.
  private mutating func complete(_ name: inout String) -> Int? {
    if let place = table.place(of: name) { return place }
    if ignored[name] != nil { return 0 }
    let places = table.places(beginning: name)
    let others = ignored.keys.filter { name.hasPrefix("--") && $0.hasPrefix(name) }
    if name.count > 2, places.count + others.count == 1 {
      name = places.first.flatMap { [name] in table.options[$0].names.first { $0.hasPrefix(name) } } ?? others[0]
      return places.first ?? 0
    }
    if name.count > 2, places.count + others.count > 1 {
      let all = places.flatMap { [name] in table.options[$0].names.filter { $0.hasPrefix(name) } } + others
      problems.append("\(name) could be \(all.sorted().joined(separator: ", "))")
      return nil
    }
    let spelt = "--" + name.drop { $0 == "-" }.replacing("-", with: "_")
    let nearest = table.names.contains(spelt) ? spelt : nearestName(to: spelt, among: (table.names.union(ignored.keys)).sorted())
    if let place = elsewhere[spelt] {
      problems.append("unknown option '\(name)'. \(place)")
      return nil
    }
    if let nearest { meant.insert(nearest) }
    problems.append("unknown option '\(name)'." + (nearest.map { " Did you mean '\($0)'?" } ?? ""))
    return nil
  }
}
