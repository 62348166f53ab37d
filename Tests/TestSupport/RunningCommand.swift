import Foundation
public import SystemPackage

/// A command that was started and may still run.
public final class RunningCommand {
  private let process = Process()
  private let folder = TemporaryDirectory()

  public init(
    _ executable: FilePath, _ arguments: [String], environment: [String: String]? = nil, directory: FilePath? = nil
  ) throws {
    process.executableURL = URL(fileURLWithPath: executable.string)
    process.arguments = arguments
    if let environment { process.environment = environment }
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory.string) }
    // Files rather than pipes: nothing to drain, so nothing to hang on.
    folder.write("out", "")
    folder.write("err", "")
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: folder("out").string)
    process.standardError = FileHandle(forWritingAtPath: folder("err").string)
    try Self.withoutBlockedSignals { try process.run() }
  }

  public var isRunning: Bool { process.isRunning }
  public var processIdentifier: Int32 { process.processIdentifier }

  /// Whether a signal that was sent to the process has reached none of its threads yet; false where the system does not tell.
  public func isPending(_ signal: Int32) -> Bool {
    let line = (text(FilePath("/proc/\(processIdentifier)/status")) ?? "").split(separator: "\n").first { $0.hasPrefix("ShdPnd:") }
    let signals = (line?.split(separator: "\t").last).flatMap { UInt64($0, radix: 16) } ?? 0
    return signals >> (signal - 1) & 1 == 1
  }

  public func wait() -> Execution {
    process.waitUntilExit()
    return Execution(
      status: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: text(folder("out")) ?? "", errors: text(folder("err")) ?? "")
  }

  /// Tests run on threads that block signals, and a process inherits that: a shell or `mpirun` would then wait forever
  /// to be told that a child of its own has ended.
  private static func withoutBlockedSignals(_ start: () throws -> Void) rethrows {
    var (none, before) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    try start()
  }
}
