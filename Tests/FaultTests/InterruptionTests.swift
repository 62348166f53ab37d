import Foundation
import SystemPackage
import TestSupport
import Testing

/// SIGINT and SIGTERM while a refit works: it ends with nothing left behind, or, from its last step on, is done.
struct InterruptionTests {
  @Test(arguments: [SIGINT, SIGTERM])
  func `a refit that is interrupted clears away what it wrote`(_ signal: Int32) throws {
    let bench = try EngineBench()
    try bench.build()
    let result = bench.directory("alone")
    try bench.succeed("refit", bench.refit(bench.engine, to: result))
    bench.makeOldEngine()
    let arguments = bench.refit(bench.target)
    let total = try FaultHook(kind: .none, calls: FaultHook.changes).run(bench.command("refit"), arguments).count
    try #require(total > 10)
    var (ended, done) = (0, 0)
    for number in stride(from: 1, through: total, by: signal == SIGINT ? 1 : 4) {
      bench.makeOldEngine()
      let one = try FaultHook(kind: .pause, at: number, calls: FaultHook.changes).start(bench.command("refit"), arguments)
      while one.count < number && one.running.isRunning { usleep(500) }
      kill(one.running.processIdentifier, signal)
      while one.running.isPending(signal) && one.running.isRunning { usleep(500) }
      one.resume()
      let execution = one.running.wait()
      let comment: Comment = "signal \(signal) before call \(number) of \(total): \(execution.errors)"
      #expect(!execution.wasKilled, comment)
      #expect(execution.status == 128 + signal || execution.status == 0, comment)
      #expect(bench.areSame(bench.target, execution.status == 0 ? result : bench.engine), comment)
      #expect(text(bench.target.appending("README.md")) == "mine", comment)
      #expect(bench.leftovers == [], comment)
      if execution.status == 0 {
        done += 1
      } else {
        ended += 1
        #expect(execution.errors.contains("interrupted"), comment)
      }
    }
    #expect(ended > 0)
    print("signal \(signal) at \(ended + done) moments of a refit in place: ended \(ended) times, was done \(done) times")
  }
}
