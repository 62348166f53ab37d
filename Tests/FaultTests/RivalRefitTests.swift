import Foundation
import SystemPackage
import TestSupport
import Testing

/// Two refits that write one directory at the same time: one wins, the other says so, and the result is one of theirs.
struct RivalRefitTests {
  private struct Rivals {
    let bench: EngineBench
    let inPlace: Bool
    /// What each of them makes when it is alone.
    let results: [FilePath]
    var engine: FilePath { inPlace ? bench.target : bench.engine }

    init(inPlace: Bool) throws {
      bench = try EngineBench()
      try bench.build()
      self.inPlace = inPlace
      results = [bench.directory("alone0"), bench.directory("alone1")]
      for number in 0..<2 { try bench.succeed("refit", arguments(number, from: bench.engine, to: results[number])) }
      try #require(!bench.areSame(results[0], results[1]), "or this would prove nothing")
    }
    func arguments(_ number: Int, from engine: FilePath? = nil, to target: FilePath? = nil) -> [String] {
      bench.refit(engine ?? self.engine, to: target, adapted: number == 0)
    }

    /// Checks what is there when both have ended.
    ///
    /// - Returns: Whether each of them reports success.
    func check(_ executions: [Execution], _ comment: Comment) throws -> [Bool] {
      for execution in executions {
        #expect(!execution.wasKilled && (execution.status == 0 || execution.status == 1), "\(comment): \(execution.errors)")
        guard execution.status == 1 else { continue }
        #expect(
          execution.errors.contains("another run is writing here") || (inPlace && execution.errors.contains("was replaced while")),
          "the loser says why: \(comment): \(execution.errors)")
      }
      let won = executions.map { $0.status == 0 }
      #expect(won.contains(true), "one wins: \(comment)")
      #expect(
        zip(won, results).contains { $0 && bench.areSame(bench.target, $1) }, "the result is that of one that says so: \(comment)")
      #expect(text(bench.target.appending("README.md")) == "mine", comment)
      let verified = try Execution.run(bench.command("refit"), ["--verify_engine", bench.target.string])
      #expect(verified.status == 0, "\(comment): \(verified.errors)")
      #expect(bench.leftovers == [], comment)
      return won
    }
  }

  @Test(arguments: [false, true])
  func `started together, many times`(_ inPlace: Bool) throws {
    let rivals = try Rivals(inPlace: inPlace)
    var (first, second, both) = (0, 0, 0)
    for round in 0..<40 {
      rivals.bench.makeOldEngine()
      let order = round % 2 == 0 ? [0, 1] : [1, 0]
      let started = try order.map { try RunningCommand(rivals.bench.command("refit"), rivals.arguments($0)) }
      let executions = started.map { $0.wait() }
      let won = try rivals.check(order == [0, 1] ? executions : executions.reversed(), "round \(round)")
      if won == [true, true] { both += 1 } else if won[0] { first += 1 } else { second += 1 }
    }
    print("two refits at once\(inPlace ? " in place" : ""): the first won \(first) times, the second \(second), one after the other \(both)")
  }

  /// One stops before each of its calls in turn, so also in the middle of its commit, and the other runs then.
  @Test(arguments: [false, true])
  func `at every moment of another`(_ inPlace: Bool) throws {
    let rivals = try Rivals(inPlace: inPlace)
    rivals.bench.makeOldEngine()
    let total = try FaultHook(kind: .none, calls: FaultHook.changes).run(rivals.bench.command("refit"), rivals.arguments(0)).count
    try #require(total > 10)
    var (refused, overtaken) = (0, 0)
    for number in 1...total {
      rivals.bench.makeOldEngine()
      let hook = FaultHook(kind: .pause, at: number, calls: FaultHook.changes)
      let one = try hook.start(rivals.bench.command("refit"), rivals.arguments(0))
      while one.count < number && one.running.isRunning { usleep(500) }
      let other = try Execution.run(rivals.bench.command("refit"), rivals.arguments(1))
      #expect(one.running.isRunning, "it was still waiting at call \(number) of \(total)")
      one.resume()
      let won = try rivals.check([one.running.wait(), other], "stopped before call \(number) of \(total)")
      if inPlace { #expect(won != [true, true], "what the other did is not undone unseen") }
      refused += won[1] ? 0 : 1
      overtaken += won[1] ? 1 : 0
    }
    // Only before it has taken the lock, and after it has given the directory its name, can another get in between.
    #expect(overtaken <= 3, "\(overtaken) of \(total)")
    print("a refit\(inPlace ? " in place" : "") during another, at each of its \(total) calls: refused \(refused) times, done \(overtaken) times")
  }
}
