public import ArgumentParser
import Files
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
  /// Without dashes, such as `load_by_shard`.
  public let name: String
  /// Whether the next word belongs to it.
  public let takesValue: Bool
  /// Why it does nothing here: a clause without a full stop.
  public let reason: String
  /// - Parameter reason: A clause without a full stop, for the note that it is ignored.
  public init(_ name: String, takesValue: Bool = true, _ reason: String) {
    self.name = name
    self.takesValue = takesValue
    self.reason = reason
  }
}

/// A command of ours.
public protocol DrydockCommand: AsyncParsableCommand, Sendable {
  /// Flags of the upstream command that are taken and do nothing.
  static var ignoredFlags: [IgnoredFlag] { get }
  /// What is missing beside required options, given the names of those that are there; each as the message shows it.
  static func missing(beside given: Set<String>) -> [String]
  /// Options, with dashes, that people look for here and that are elsewhere: a sentence each.
  static var optionsElsewhere: [String: String] { get }
  /// Whether cancelling the task ends ``run()`` soon and leaves nothing behind.
  static var endsWhenCancelled: Bool { get }
}
extension DrydockCommand {
  /// None, where a command does not say otherwise.
  public static var ignoredFlags: [IgnoredFlag] { [] }
  /// Nothing, where a command does not say otherwise.
  public static func missing(beside given: Set<String>) -> [String] { [] }
  /// None, where a command does not say otherwise.
  public static var optionsElsewhere: [String: String] { [:] }
  /// false, where a command does not say otherwise.
  public static var endsWhenCancelled: Bool { false }
}

/// Runs a command as a process; messages on standard error.
///
/// Exit codes: 0 done; 2 where the command line is wrong by itself (an option that is unknown, missing, malformed or at odds
/// with another) or asks of what its paths hold a result that this cannot give (another type, the scale of an adapter that is
/// none); 1 for everything else, such as a path that does not exist.
///
/// An option that only turns out to be idle, and without which the result is the same, is a warning: `--engine_cache` beside
/// an engine, `--top_k` at temperature 0.
public enum CommandRunner {
  /// - Parameter given: The arguments after the command's name.
  public static func main<Command: DrydockCommand>(
    _ type: Command.Type, _ given: [String] = Array(CommandLine.arguments.dropFirst())
  ) async -> Never {
    let name = Command.configuration.commandName ?? "drydock"
    let table = FlagTable(of: type)
    let redaction = Redaction(given, known: table.names)
    func printError(_ text: String) { Self.printError(redaction(text)) }
    func fail(_ usage: UsageError) -> Never {
      let lines = usage.message.split(separator: "\n").map { "\(name): error: \($0)" } + (usage.showsUsage ? ["usage: \(Command.usageString())"] : [])
      printError(lines.joined(separator: "\n") + "\nSee '\(name) --help' for all options and examples.")
      exit(2)
    }
    var command: any ParsableCommand
    do {
      var reader = ArgumentReader(table, ignoring: Command.ignoredFlags, elsewhere: Command.optionsElsewhere, missing: Command.missing)
      try reader.read(given)
      for note in reader.notes { printError("\(name): \(note)") }
      command = try Command.parseAsRoot(reader.arguments)
    } catch let usage as UsageError {
      fail(usage)
    } catch {
      exitWithHelp(of: type, error)
      fail(UsageError(Command.message(for: error)))
    }
    do {
      if let ours = command as? Command {
        try await run(ours, name: name)
      } else {  // such as help
        try command.run()
      }
      exit(0)
    } catch let usage as UsageError {
      fail(usage)
    } catch let code as ExitCode {
      exit(code.rawValue)
    } catch let error as ValidationError {
      fail(UsageError(error.message))
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
        if received.exchange(number, ordering: .relaxed) != 0 { end(bySignal: number) }
        work.cancel()
      }
    }
    defer { watch.cancel() }
    do { try await work.value } catch is CancellationError {
      printError("\(name): interrupted; outputs are as they were")
      end(bySignal: received.load(ordering: .relaxed))
    }
  }

  /// Ends the process with the exit code that shells give for a signal.
  static func end(bySignal number: Int32) -> Never { exit(128 + number) }

  /// Ends the process where the "error" is that help was asked for.
  private static func exitWithHelp<Command: DrydockCommand>(of type: Command.Type, _ error: any Error) {
    guard Command.exitCode(for: error) == .success else { return }
    print(arranged(Command.fullMessage(for: error)))
    exit(0)
  }

  /// Control characters, which names from untrusted files may hold, are spelt out: they must not steer a terminal.
  public static func printError(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(wrapped).joined(separator: "\n")
    let line = lines.withControlsSpelt(but: ["\n", "\t"]) + "\n"
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
  /// A page of help with the general options before those of a group, which ArgumentParser puts first.
  static func arranged(_ page: String) -> String {
    guard let usage = page.firstRange(of: "\n\nUSAGE:"), let options = page.firstRange(of: "\n\nOPTIONS:\n") else { return page }
    var sections = page[usage.lowerBound..<options.lowerBound].split(separator: "\n\n").map(String.init)
    let first = sections.firstIndex { !$0.hasPrefix("USAGE:") && !$0.hasPrefix("ARGUMENTS:") } ?? sections.endIndex
    sections.insert("OPTIONS:\n" + page[options.upperBound...].split(separator: "\n").joined(separator: "\n"), at: first)
    return page[..<usage.lowerBound] + "\n\n" + sections.joined(separator: "\n\n") + "\n"
  }

  /// A line of more than 300 characters as several, broken after a sentence or at least at a space; a path is never broken.
  static func wrapped(_ line: Substring) -> String {
    var rest = line
    var lines: [Substring] = []
    while rest.count > 300, case let window = rest.prefix(300).dropFirst(80),
      let space = window.ranges(of: ". ").last.map({ window.index(after: $0.lowerBound) }) ?? window.lastIndex(of: " ")
    {
      lines.append(rest[..<space])
      rest = rest[rest.index(after: space)...]
    }
    lines.append(rest)
    return lines.joined(separator: "\n    ")
  }
}

/// The command line is wrong by itself, or asks for a result that what its paths hold cannot give: exit code 2.
public struct UsageError: Error, Sendable {
  /// A line for each thing that is wrong.
  public let message: String
  /// Whether the command's synopsis helps.
  public let showsUsage: Bool
  /// - Parameter message: A line for each thing that is wrong.
  public init(_ message: String, showsUsage: Bool = false) {
    self.message = message
    self.showsUsage = showsUsage
  }
}

/// A path or what is there does not do: exit code 1, as for everything that only the machine can tell.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Puts the flag that named a file before an error about it.
func naming<R>(_ flag: String, _ body: () throws -> R) throws -> R {
  do { return try body() } catch let error as FileError { throw CommandFailure("\(flag): \(error)") }
}
