import Foundation
import SystemPackage
import TestSupport
import Testing

/// Refits whose processes a launcher starts: Open MPI itself, and the variables of others.
@Suite(.serialized) struct LauncherTests {
  private struct Bench {
    let bench: EngineBench
    let wanted: FilePath

    init(ranks: Int) throws {
      bench = try EngineBench(tensorParallel: ranks)
      try bench.build()
      wanted = bench.directory("wanted")
      try bench.succeed("refit", bench.refit(bench.engine, to: wanted))
    }
    func expectResult(_ comment: Comment) throws {
      #expect(bench.areSame(bench.target, wanted), "what one process makes: \(comment)")
      #expect(names(in: bench.directory("out")) == ["there"], "no shares are left: \(comment)")
      try bench.succeed("refit", "--verify_engine", bench.target.string)
    }
    func refit(inPlace: Bool = false) throws -> [String] {
      try [bench.command("refit").string] + bench.refit(inPlace ? bench.target : bench.engine)
    }
    /// Each process takes every so-manieth rank; the last of several lines of processes is ended by ` : `.
    func launch(_ processes: [(count: Int, command: [String])]) throws -> Execution {
      let options = ["--oversubscribe", "--bind-to", "none"] + (geteuid() == 0 ? ["--allow-run-as-root"] : [])
      let parts = processes.map { ["-n", "\($0.count)"] + $0.command }.joined(separator: [":"])
      return try Execution.run(try #require(OpenMPI.launcher), options + parts)
    }
  }

  @Test(.enabled(if: OpenMPI.launcher != nil, OpenMPI.missing), arguments: [(2, 2), (4, 4), (2, 4), (3, 2)], [false, true])
  func `mpirun gives each process its share`(_ sizes: (processes: Int, ranks: Int), _ inPlace: Bool) throws {
    let test = try Bench(ranks: sizes.ranks)
    if inPlace { test.bench.copy(test.bench.engine, to: test.bench.target) }
    let launched = try test.launch([(sizes.processes, test.refit(inPlace: inPlace))])
    #expect(launched.status == 0, "\(launched.errors)")
    #expect(launched.errors.contains("nothing to do") == (sizes.processes > sizes.ranks), "\(launched.errors)")
    try test.expectResult("\(sizes)")
  }

  @Test(.enabled(if: OpenMPI.launcher != nil, OpenMPI.missing), arguments: [false, true])
  func `one process killed leaves the target old or absent, and running again mends it`(_ inPlace: Bool) throws {
    let test = try Bench(ranks: 2)
    let counter = test.bench.directory.write("count", [UInt8](repeating: 0, count: 8))
    var (unfinished, finished) = (0, 0)
    for (killed, call) in [(0, 1), (1, 3), (0, 7), (1, 12), (0, 17), (1, 21), (0, 25)] {
      remove(test.bench.target)
      if inPlace { test.bench.copy(test.bench.engine, to: test.bench.target) }
      test.bench.directory.write("count", [UInt8](repeating: 0, count: 8))
      let variables = try FaultHook(kind: .kill, at: call, calls: FaultHook.changes).variables(counter: counter)
      let command = try test.refit(inPlace: inPlace)
      let doomed = ["/usr/bin/env"] + variables.map { "\($0.key)=\($0.value)" } + command
      let launched = try test.launch(killed == 0 ? [(1, doomed), (1, command)] : [(1, command), (1, doomed)])
      let comment: Comment = "process \(killed) killed at call \(call)"
      let isNew = test.bench.areSame(test.bench.target, test.wanted)
      let isOld = inPlace ? test.bench.areSame(test.bench.target, test.bench.engine) : names(in: test.bench.target) == nil
      #expect(isNew || isOld, "old, new or absent: \(comment)")
      // The one that finds the other's rank done makes more calls.
      let reached = (contents(counter) ?? []).reversed().reduce(0) { $0 << 8 | Int($1) } >= call
      #expect((launched.status != 0) == reached, "\(comment): \(launched.errors)")
      finished += isNew ? 1 : 0
      unfinished += isOld ? 1 : 0
      let again = try test.launch([(2, command)])
      #expect(again.status == 0, "\(comment): \(again.errors)")
      try test.expectResult("after \(comment)")
    }
    #expect(unfinished > 0, "or nothing was tried")
    print("mpirun\(inPlace ? " in place" : "") with one process killed: \(unfinished) times the target was as before, \(finished) times new; running again mended all")
  }

  @Test(arguments: [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], ["PMI_RANK", "PMI_SIZE"], ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
    ["SLURM_PROCID", "SLURM_NTASKS"],
  ])
  func `a launcher's variables choose the ranks`(_ names: [String]) throws {
    let test = try Bench(ranks: 2)
    let command = try test.bench.command("refit")
    func environment(_ process: Int, of count: Int) -> [String: String] {
      ProcessInfo.processInfo.environment.merging([names[0]: "\(process)", names[1]: "\(count)"]) { $1 }
    }
    // Two at the same time.
    let started = try (0..<2).map {
      try RunningCommand(command, test.bench.refit(test.bench.engine), environment: environment($0, of: 2))
    }
    for execution in started.map({ $0.wait() }) { #expect(execution.status == 0, "\(execution.errors)") }
    try test.expectResult("two at once")
    // One after the other, and one more than there are ranks.
    remove(test.bench.target)
    for process in [2, 1, 0] {
      let execution = try Execution.run(command, test.bench.refit(test.bench.engine), environment: environment(process, of: 3))
      #expect(execution.status == 0, "\(execution.errors)")
      #expect(execution.errors.contains("nothing to do") == (process == 2), "\(execution.errors)")
      #expect((contents(test.bench.target.appending("config.json")) != nil) == (process == 0), "valid when all are done")
    }
    try test.expectResult("one after the other")
  }
}

/// Debian's and others' Open MPI, where it is installed.
enum OpenMPI {
  static let missing: Comment = "no mpirun here: Scripts/test installs openmpi-bin where it may"
  static let launcher: FilePath? = {
    let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
    return folders.map { FilePath(String($0)).appending("mpirun") }.first { FileManager.default.isExecutableFile(atPath: $0.string) }
  }()
}
