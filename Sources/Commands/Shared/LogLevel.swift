import ArgumentParser

/// `--log_level`, with upstream's words.
struct LogOptions: ParsableArguments {
  @Option(
    name: .customLong("log_level"),
    help: ArgumentHelp("How much to say on standard error.", valueName: "level"))
  var level: LogLevel = .info

  func log(_ command: String) -> CommandLog { CommandLog(command: command, level: level) }
}

enum LogLevel: String, ExpressibleByArgument, Sendable, Comparable, CaseIterable {
  case internalError = "internal_error"
  case error, warning, info, verbose, debug, trace

  private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  static func < (left: Self, right: Self) -> Bool { left.order < right.order }
}

/// Messages of a command, on standard error.
struct CommandLog: Sendable {
  let command: String
  let level: LogLevel

  func info(_ text: @autoclosure () -> String) { say(.info, text()) }
  func warning(_ text: @autoclosure () -> String) { say(.warning, "warning: " + text()) }
  /// At most 20; the rest is counted.
  func warnings(_ all: [String]) {
    for text in all.prefix(20) { warning(text) }
    if all.count > 20 { warning("… and \(all.count - 20) more like these") }
  }
  func verbose(_ text: @autoclosure () -> String) { say(.verbose, text()) }

  private func say(_ level: LogLevel, _ text: @autoclosure () -> String) {
    guard level <= self.level else { return }
    CommandRunner.printError("\(command): \(text())")
  }
}
