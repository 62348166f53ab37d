import Foundation
import SystemPackage
import TestSupport

/// The library that is preloaded into commands, compiled once for all tests.
struct FaultHook {
  private static let directory = TemporaryDirectory()
  /// Where the compiled library is.
  static let library: Result<FilePath, BuildFailure> = {
    let source = FilePath(#filePath).removingLastComponent().appending("fault_hook.c")
    let output = directory("fault_hook.so")
    for compiler in ["cc", "clang", "gcc"] {
      let result = try? Execution.run(
        FilePath("/usr/bin/env"), [compiler, "-shared", "-fPIC", "-O1", "-o", output.string, source.string, "-ldl"])
      if result?.status == 0 { return .success(output) }
    }
    return .failure(BuildFailure())
  }()
  struct BuildFailure: Error, CustomStringConvertible {
    var description: String { "no C compiler (cc, clang or gcc) builds the fault hook" }
  }

  enum Kind: String, Sendable { case none, kill, once, from, short, pause }

  var kind: Kind
  var at = 0
  var errno: Errno = .ioError
  /// Letters as in fault_hook.c.
  var calls: String
  /// Pretend that the file system cannot swap two names.
  var withoutExchange = false

  /// Every call that changes a file or a name.
  static let changes = "wsnmut"

  /// Runs a command with this fault, and says how many calls were counted.
  func run(_ executable: FilePath, _ arguments: [String]) throws -> (execution: Execution, count: Int) {
    let command = try start(executable, arguments)
    return (command.running.wait(), command.count)
  }

  /// A command under way, with its calls counted.
  struct Started {
    let running: RunningCommand
    fileprivate let directory: TemporaryDirectory
    /// Ends a pause.
    func resume() { directory.write("resume", "") }
    var count: Int { (contents(directory("count")) ?? []).reversed().reduce(0) { $0 << 8 | Int($1) } }
  }
  func start(_ executable: FilePath, _ arguments: [String]) throws -> Started {
    let directory = TemporaryDirectory()
    directory.write("count", [UInt8](repeating: 0, count: 8))
    var environment = ProcessInfo.processInfo.environment.merging(try variables(counter: directory("count"))) { $1 }
    environment["DRYDOCK_FAULT_UNTIL"] = directory("resume").string
    return Started(running: try RunningCommand(executable, arguments, environment: environment), directory: directory)
  }

  /// What the environment of a command must hold.
  ///
  /// - Parameter counter: A file of 8 bytes.
  func variables(counter: FilePath) throws -> [String: String] {
    var variables = [
      "LD_PRELOAD": try Self.library.get().string, "DRYDOCK_FAULT_KIND": kind.rawValue, "DRYDOCK_FAULT_AT": String(at),
      "DRYDOCK_FAULT_ERRNO": String(errno.rawValue), "DRYDOCK_FAULT_CALLS": calls, "DRYDOCK_FAULT_COUNT": counter.string,
    ]
    if withoutExchange { variables["DRYDOCK_FAULT_NO_EXCHANGE"] = "1" }
    return variables
  }
}
