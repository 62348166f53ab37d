import Foundation
public import SystemPackage

/// A command that ran to its end.
public struct Execution: Sendable {
  /// Exit code; the signal's number where one ended it.
  public let status: Int32
  public let wasKilled: Bool
  public let output: String
  public let errors: String

  /// Runs a command and waits.
  public static func run(
    _ executable: FilePath, _ arguments: [String], environment: [String: String]? = nil, directory: FilePath? = nil
  ) throws -> Execution {
    try RunningCommand(executable, arguments, environment: environment, directory: directory).wait()
  }

  /// One of our commands, built beside the tests; those in the directory `DRYDOCK_COMMANDS`, where that is set.
  public static func command(_ name: String) -> FilePath? {
    if let given = ProcessInfo.processInfo.environment["DRYDOCK_COMMANDS"] { return FilePath(given).appending(name) }
    let here = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    var directories = [FilePath(here).removingLastComponent()]
    // Where a helper runs the tests, their bundle is among its arguments.
    directories += CommandLine.arguments.filter { $0.contains(".xctest") }.map { FilePath($0).removingLastComponent() }
    return directories.map { $0.appending(name) }.first { FileManager.default.isExecutableFile(atPath: $0.string) }
  }
}
