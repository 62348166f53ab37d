import SystemPackage
import TestSupport
import Testing

/// Runs one command again and again, with a fault at each of its calls in turn, and checks the promise each time:
/// sources untouched, the target old, new or absent, and the next run succeeds.
struct Exhaustion {
  let executable: FilePath
  let arguments: [String]
  /// Files and directories that the command reads.
  let sources: [FilePath]
  /// The directory that the command writes, in a directory of its own.
  let target: FilePath
  /// Puts the old target there; nil: there is none, so it may also be absent afterwards.
  let makeOld: (() -> Void)?
  /// Files that a run writes differently each time, such as one that holds the date.
  var volatile: Set<String> = []

  struct Tried: CustomStringConvertible {
    var kills = 0
    var full = 0
    var faults = 0
    var reads = 0
    var short = 0
    var description: String {
      "\(kills) kills, \(full) times disk full, \(faults) faults of the disk, \(short) short writes, \(reads) read errors: "
        + "\(kills + full + faults + short + reads) fault points"
    }
  }

  /// - Parameter stride: Try every so-manieth call only.
  @discardableResult
  func run(_ label: String, stride step: Int = 1, withoutExchange: Bool = false) throws -> Tried {
    reset()
    let before = sources.map(snapshot)
    let old = state()
    // What a run without faults gives, and how many calls of each kind it makes.
    let undisturbed = try FaultHook(kind: .none, calls: FaultHook.changes, withoutExchange: withoutExchange).run(executable, arguments)
    try #require(undisturbed.execution.status == 0, "\(label): \(undisturbed.execution.errors)")
    let new = state()
    try #require(!new.isEmpty && undisturbed.count > 3)

    var tried = Tried()
    func attempt(_ kind: FaultHook.Kind, _ errno: Errno, _ calls: String, _ count: inout Int) throws {
      reset()
      let total = try FaultHook(kind: .none, calls: calls, withoutExchange: withoutExchange).run(executable, arguments).count
      for number in Swift.stride(from: 1, through: total, by: step) {
        let what: Comment = "\(label): \(kind.rawValue) \(errno) at call \(number) of \(total) [\(calls)]"
        reset()
        let hook = FaultHook(kind: kind, at: number, errno: errno, calls: calls, withoutExchange: withoutExchange)
        let (execution, reached) = try hook.run(executable, arguments)
        count += 1
        #expect(reached >= number, "the fault was reached: \(what)")
        if kind == .kill {
          #expect(execution.wasKilled && execution.status == 9, what)
        } else {
          #expect(!execution.wasKilled && (execution.status == 0 || execution.status == 1), "\(what): \(execution.errors)")
          if execution.status == 1 { #expect(execution.errors.contains("error: "), what) }
        }
        let now = state()
        let isAbsent = names(in: target) == nil
        // Without a way to swap names there is one moment at which a kill leaves neither; the next run mends it.
        let mayBeAbsent = makeOld == nil || withoutExchange
        #expect(isAbsent ? mayBeAbsent : now == new || (makeOld != nil && now == old), "the target is old, new or absent: \(what)")
        if execution.status == 0 && !execution.wasKilled { #expect(now == new, what) }
        if kind == .short { #expect(execution.status == 0, "the rest is written too: \(what): \(execution.errors)") }
        #expect(sources.map(snapshot) == before, "sources are untouched: \(what)")
        let next = try Execution.run(executable, arguments)
        #expect(next.status == 0, "the next run succeeds: \(what): \(next.errors)")
        #expect(state() == new, "the next run's result is whole: \(what)")
        #expect(
          names(in: target.removingLastComponent())?.filter { $0.contains("drydock") } == [], "nothing is left over: \(what)")
      }
    }
    try attempt(.kill, .ioError, FaultHook.changes, &tried.kills)
    try attempt(.from, .noSpace, "wnt", &tried.full)
    try attempt(.once, .ioError, FaultHook.changes, &tried.faults)
    try attempt(.from, .ioError, FaultHook.changes, &tried.faults)
    try attempt(.short, .ioError, "w", &tried.short)
    try attempt(.once, .ioError, "r", &tried.reads)
    print("\(label): \(tried)")
    return tried
  }

  private func state() -> [String: [UInt8]] {
    var found = snapshot(target)
    for name in found.keys where volatile.contains(name) { found[name] = [] }
    return found
  }

  private func reset() {
    remove(target)
    for name in names(in: target.removingLastComponent()) ?? [] where name.contains("drydock") {
      remove(target.removingLastComponent().appending(name))
    }
    makeOld?()
  }
}
