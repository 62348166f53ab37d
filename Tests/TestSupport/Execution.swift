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
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable.string)
    process.arguments = arguments
    if let environment { process.environment = environment }
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory.string) }
    // Files rather than pipes: nothing to drain, so nothing to hang on.
    let folder = TemporaryDirectory()
    folder.write("out", "")
    folder.write("err", "")
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: folder("out").string)
    process.standardError = FileHandle(forWritingAtPath: folder("err").string)
    try process.run()
    process.waitUntilExit()
    return Execution(
      status: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: text(folder("out")) ?? "", errors: text(folder("err")) ?? "")
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
