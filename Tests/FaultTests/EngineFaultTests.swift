import SystemPackage
import TestSupport
import Testing

/// The promise of prune, kept by the commands that make checkpoints and engines: a fault at every call that changes a
/// file, and at every read.
struct EngineFaultTests {
  @Test func `converting leaves the old output or the result`() throws {
    let bench = try EngineBench()
    try Exhaustion(
      executable: bench.command("convert"),
      arguments: ["--model_dir", bench.model.string, "--output_dir", bench.target.string, "--tp_size", "2", "--workers", "1"],
      sources: [bench.model], target: bench.target, makeOld: bench.makeOldCheckpoint
    ).run("convert")
  }
  @Test func `building leaves the old output or the result`() throws {
    let bench = try EngineBench()
    try bench.build()
    try Exhaustion(
      executable: bench.command("build"),
      arguments: [
        "--checkpoint_dir", bench.checkpoint.string, "--output_dir", bench.target.string, "--workers", "1",
        "--input_timing_cache", bench.timingCache.string,
      ], sources: [bench.checkpoint, bench.timingCache], target: bench.target, makeOld: bench.makeOldBuild, volatile: ["lineage.json"]
    ).run("build")
  }
}

/// Refit with a fault at every call that changes a file, and at every read: into nothing, over an old engine, in place,
/// and by several processes.
struct RefitFaultTests {
  private func exhaust(
    _ label: String, inPlace: Bool = false, old: Bool = true, _ more: [String] = [], withoutExchange: Bool = false
  ) throws {
    let bench = try EngineBench()
    try bench.build()
    try Exhaustion(
      executable: bench.command("refit"), arguments: bench.refit(inPlace ? bench.target : bench.engine, more),
      sources: [bench.adapter, bench.checkpoint] + (inPlace ? [] : [bench.engine]), target: bench.target,
      makeOld: old ? { bench.makeOldEngine() } : nil, volatile: ["lineage.json"]
    ).run(label, withoutExchange: withoutExchange)
  }

  @Test func `refitting into nothing`() throws { try exhaust("refit, no old engine", old: false) }
  @Test func `refitting over an old engine, with verification`() throws {
    try exhaust("refit --verify, over an old engine", ["--verify"])
  }
  @Test func `refitting in place`() throws { try exhaust("refit in place", inPlace: true) }
  @Test func `refitting in place, with verification`() throws {
    try exhaust("refit --verify in place", inPlace: true, ["--verify"])
  }
  @Test func `refitting in place without a swap of names`() throws {
    try exhaust("refit in place, file system without exchange", inPlace: true, withoutExchange: true)
  }

  /// A shell that refits rank after rank and dies of what a refit died of.
  private func exhaustByRanks(_ label: String, inPlace: Bool, _ more: [String] = []) throws {
    let bench = try EngineBench()
    try bench.build()
    let arguments = bench.refit(inPlace ? bench.target : bench.engine, more)
    let line = try ([bench.command("refit").string] + arguments).map { "'\($0)'" }.joined(separator: " ")
    let script = """
      run() { "$@"; s=$?; [ $s -gt 128 ] && kill -9 $$; [ $s = 0 ] || exit $s; }
      run \(line) --rank 1
      run \(line) --rank 0
      """
    try Exhaustion(
      executable: "/bin/sh", arguments: ["-c", script],
      sources: [bench.adapter, bench.checkpoint] + (inPlace ? [] : [bench.engine]), target: bench.target,
      makeOld: inPlace ? { bench.makeOldEngine() } : nil, volatile: ["lineage.json"]
    ).run(label)
  }
  @Test func `refitting by several processes`() throws { try exhaustByRanks("refit by two processes", inPlace: false) }
  @Test func `refitting in place by several processes, with verification`() throws {
    try exhaustByRanks("refit --verify in place by two processes", inPlace: true, ["--verify"])
  }
}
