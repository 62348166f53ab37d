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

  enum Kind: String, Sendable { case none, kill, once, from }

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
    let library = try Self.library.get()
    let directory = TemporaryDirectory()
    let counter = directory.write("count", [UInt8](repeating: 0, count: 8))
    var environment = ProcessInfo.processInfo.environment
    environment["LD_PRELOAD"] = library.string
    environment["DRYDOCK_FAULT_KIND"] = kind.rawValue
    environment["DRYDOCK_FAULT_AT"] = String(at)
    environment["DRYDOCK_FAULT_ERRNO"] = String(errno.rawValue)
    environment["DRYDOCK_FAULT_CALLS"] = calls
    environment["DRYDOCK_FAULT_COUNT"] = counter.string
    if withoutExchange { environment["DRYDOCK_FAULT_NO_EXCHANGE"] = "1" }
    let execution = try Execution.run(executable, arguments, environment: environment)
    let count = (contents(counter) ?? []).reversed().reduce(0) { $0 << 8 | Int($1) }
    return (execution, count)
  }
}
