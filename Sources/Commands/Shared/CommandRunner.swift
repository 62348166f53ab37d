public import ArgumentParser
import Synchronization
import UnixSignals

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A flag of the upstream command that has no meaning for our targets: accepted so that scripts go on working.
public struct IgnoredFlag: Sendable {
  public let name: String
  public let takesValue: Bool
  public let reason: String
  public init(_ name: String, takesValue: Bool = true, _ reason: String) {
    self.name = name
    self.takesValue = takesValue
    self.reason = reason
  }
}

/// A command of ours.
public protocol DrydockCommand: AsyncParsableCommand, Sendable {
  static var ignoredFlags: [IgnoredFlag] { get }
  /// Flags with a value that may be given more than once, without `--`.
  static var repeatableFlags: Set<String> { get }
  /// Whether cancelling the task ends ``run()`` soon and leaves nothing behind.
  static var endsWhenCancelled: Bool { get }
}
extension DrydockCommand {
  public static var ignoredFlags: [IgnoredFlag] { [] }
  public static var repeatableFlags: Set<String> { [] }
  public static var endsWhenCancelled: Bool { false }
}

/// Runs a command as a process: 0 done, 1 failed, 2 wrong usage; messages on standard error.
public enum CommandRunner {
  public static func main<Command: DrydockCommand>(_ type: Command.Type) async -> Never {
    let name = Command.configuration.commandName ?? "drydock"
    let given = Array(CommandLine.arguments.dropFirst())
    let redaction = Redaction(given, known: knownFlags(of: type))
    func printError(_ text: String) { Self.printError(redaction(text)) }
    var command: any ParsableCommand
    do {
      let arguments = try prepare(given, for: type, name: name)
      command = try Command.parseAsRoot(arguments)
    } catch let usage as UsageError {
      printError("\(name): error: \(usage.message)\nSee '\(name) --help'.")
      exit(2)
    } catch {
      exitWithHelp(of: type, error)
      printError(Command.fullMessage(for: error))
      exit(2)
    }
    do {
      if let ours = command as? Command {
        try await run(ours, name: name)
      } else {  // such as help
        try command.run()
      }
      exit(0)
    } catch let usage as UsageError {
      printError("\(name): error: \(usage.message)\nSee '\(name) --help'.")
      exit(2)
    } catch let code as ExitCode {
      exit(code.rawValue)
    } catch let error as ValidationError {
      printError("\(name): error: \(error.message)")
      exit(2)
    } catch {
      exitWithHelp(of: type, error)
      printError("\(name): error: \(error)")
      exit(1)
    }
  }

  /// Where the command can be cancelled, SIGINT and SIGTERM end its work and clear away what it has written, then the
  /// process; a second signal ends the process at once. Elsewhere signals do what they do to any process.
  private static func run<Command: DrydockCommand>(_ command: Command, name: String) async throws {
    guard Command.endsWhenCancelled else {
      var command = command
      return try await command.run()
    }
    let received = Atomic<Int32>(0)
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)  // before there is anything to clear away
    let work = Task {
      var command = command
      try await command.run()
    }
    let watch = Task {
      for await signal in signals {
        let number: Int32 = signal == .sigint ? SIGINT : SIGTERM
        if received.exchange(number, ordering: .relaxed) != 0 { exit(128 + number) }
        work.cancel()
      }
    }
    defer { watch.cancel() }
    do { try await work.value } catch is CancellationError {
      printError("\(name): interrupted; outputs are as they were")
      exit(128 + received.load(ordering: .relaxed))
    }
  }

  /// Ends the process where the "error" is that help was asked for.
  private static func exitWithHelp<Command: DrydockCommand>(of type: Command.Type, _ error: any Error) {
    guard Command.exitCode(for: error) == .success else { return }
    print(Command.fullMessage(for: error))
    exit(0)
  }

  /// With dashes.
  private static func knownFlags<Command: DrydockCommand>(of type: Command.Type) -> Set<String> {
    Set(
      Command.helpMessage(includeHidden: true).split { !($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        .filter { $0.hasPrefix("--") }.map(String.init))
  }

  /// Takes ignored flags out, with a line for each, and completes unambiguous beginnings of flags, as argparse does.
  static func prepare<Command: DrydockCommand>(
    _ arguments: [String], for type: Command.Type, name: String
  ) throws(UsageError) -> [String] {
    let known = knownFlags(of: type)
    let ignored = Dictionary(uniqueKeysWithValues: Command.ignoredFlags.map { ("--" + $0.name, $0) })
    var result: [String] = []
    var given: Set<String> = []
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      if argument == "--" { return result + arguments[(index - 1)...] }
      guard argument.hasPrefix("--") else { result.append(argument); continue }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      var flag = String(parts[0])
      if !known.contains(flag), ignored[flag] == nil {
        // Of a flag spelt with hyphens the value would be taken for something else.
        let meant = "--" + flag.dropFirst(2).replacing("-", with: "_")
        if known.contains(meant) { throw UsageError("unknown option '\(flag)'. Did you mean '\(meant)'?") }
      }
      if !known.contains(flag), ignored[flag] == nil {
        let candidates = (known.union(ignored.keys)).filter { $0.hasPrefix(flag) }.sorted()
        if candidates.count == 1 { flag = candidates[0] }
        if candidates.count > 1 { throw UsageError("\(flag) could be \(candidates.joined(separator: ", "))") }
      }
      if let match = ignored[flag] {
        printError("\(name): \(flag) is ignored: \(match.reason)")
        if match.takesValue, parts.count == 1, index < arguments.count, !arguments[index].hasPrefix("--") { index += 1 }
        continue
      }
      var value = parts.count == 2 ? String(parts[1]) : nil
      // As argparse does: what looks like a negative number after a flag is its value; and a key may look like anything.
      if value == nil, index < arguments.count, arguments[index].first == "-",
        Double(arguments[index]) != nil || (known.contains(flag) && ["--api_key", "--admin_key"].contains(flag))
      {
        // A key that is missing, as of an unset variable, must not take the next flag in its place.
        let next = String(arguments[index].prefix { $0 != "=" })
        if known.contains(next) || ignored[next] != nil {
          throw UsageError("\(flag) is followed by the flag \(next): give the key, or where it is spelt so, as \(flag)=KEY")
        }
        value = arguments[index]
        index += 1
      }
      if given.contains(flag), known.contains(flag), !Command.repeatableFlags.contains(String(flag.dropFirst(2))) {
        printError("\(name): \(flag) is given more than once; the last counts")
      }
      given.insert(flag)
      result.append(value.map { flag + "=" + $0 } ?? flag)
    }
    return result
  }

  /// Control characters, which names from untrusted files may hold, are spelt out: they must not steer a terminal.
  public static func printError(_ text: String) {
    var line = ""
    for scalar in text.split(separator: "\n", omittingEmptySubsequences: false).map(wrapped).joined(separator: "\n").unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
      line += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    line += "\n"
    let bytes = Array(line.utf8)
    unsafe bytes.withUnsafeBytes { buffer in
      var offset = 0
      while offset < buffer.count {
        let written = unsafe write(2, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset)
        if written <= 0 { return }
        offset += written
      }
    }
  }
}

extension CommandRunner {
  /// A line of more than 300 characters as several, broken at spaces; a path is never broken.
  static func wrapped(_ line: Substring) -> String {
    var rest = line
    var lines: [Substring] = []
    while rest.count > 300, let space = rest.prefix(300).dropFirst(80).lastIndex(of: " ") {
      lines.append(rest[..<space])
      rest = rest[rest.index(after: space)...]
    }
    lines.append(rest)
    return lines.joined(separator: "\n    ")
  }
}

/// The command was not used as it is meant to be: exit code 2.
public struct UsageError: Error, Sendable {
  public let message: String
  public init(_ message: String) { self.message = message }
}
