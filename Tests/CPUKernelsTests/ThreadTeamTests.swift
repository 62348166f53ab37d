import CPUBackend
import CPUKernels
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
  @Test(arguments: [1, 2, 3, 8])
  func `every thread runs the body once, and the caller sees all of it`(threadCount: Int) {
    let team = ThreadTeam(threadCount: threadCount)
    #expect(team.threadCount == threadCount)
    let calls = Counters(threadCount)
    for round in 1...100 {
      team.run { thread, count in
        calls.add(1, at: thread)
        calls.add(count == threadCount ? 0 : 1000, at: thread)
      }
      for thread in 0..<threadCount { #expect(calls[thread] == round) }
    }
  }

  @Test(arguments: [2, 3, 5])
  func `nobody passes a barrier before all have come`(threadCount: Int) {
    let team = ThreadTeam(threadCount: threadCount)
    let steps = Counters(threadCount)
    let early = Atomic(0)
    team.run { thread, count in
      for step in 1...200 {
        steps.add(1, at: thread)
        team.barrier(thread)
        for other in 0..<count where steps[other] != step { early.add(1, ordering: .relaxed) }
        team.barrier(thread)
      }
    }
    #expect(early.load(ordering: .relaxed) == 0)
  }

  @Test(.timeLimit(.minutes(8)))
  func `many teams on few processors finish, also after sleeping`() async {
    await withTaskGroup(of: Int.self) { group in
      for index in 0..<12 {
        group.addTask {
          var total = 0
          for round in 0..<4 {
            let team = ThreadTeam(threadCount: 1 + index % 5)
            let sum = Atomic(0)
            for _ in 0..<50 {
              team.run { thread, _ in
                sum.add(1, ordering: .relaxed)
                team.barrier(thread)
                sum.add(1, ordering: .relaxed)
              }
            }
            if round % 2 == 0 { try? await Task.sleep(for: .milliseconds(2)) }  // long enough for workers to sleep
            team.run { _, _ in sum.add(1, ordering: .relaxed) }
            total += sum.load(ordering: .relaxed) - team.threadCount * 101
          }
          return total
        }
      }
      for await difference in group { #expect(difference == 0) }
    }
  }

  @Test func `shares cover everything once, in order`() {
    for count in [0, 1, 2, 7, 48, 3072] {
      for threads in 1...9 {
        let shares = (0..<threads).map { ThreadTeam.share(of: count, thread: $0, threadCount: threads) }
        #expect(shares.flatMap { Array($0) } == Array(0..<count))
        #expect((shares.map(\.count).max() ?? 0) - (shares.map(\.count).min() ?? 0) <= 1)
      }
    }
  }
}

/// A count for each thread, readable by all.
private final class Counters: Sendable {
  private let values: Mutex<[Int]>
  init(_ count: Int) { values = Mutex([Int](repeating: 0, count: count)) }
  func add(_ amount: Int, at index: Int) { values.withLock { $0[index] += amount } }
  subscript(_ index: Int) -> Int { values.withLock { $0[index] } }
}
