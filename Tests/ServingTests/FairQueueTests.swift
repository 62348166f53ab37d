import Serving
import Testing

@Suite struct FairQueueTests {
  private func filled(_ clients: String, limit: Int = 100) -> FairQueue<Int> {
    var queue = FairQueue<Int>(limit: limit)
    for (index, client) in clients.enumerated() { _ = queue.add(.init(id: UInt64(index), client: String(client), job: index)) }
    return queue
  }
  private func order(_ queue: FairQueue<Int>) -> [Int] {
    var queue = queue
    var jobs: [Int] = []
    while let entry = queue.next() { jobs.append(entry.job) }
    return jobs
  }

  @Test func `clients take turns, and each client's jobs keep their order`() {
    #expect(order(filled("aaaaab")) == [0, 5, 1, 2, 3, 4])
    #expect(order(filled("aabbc")) == [0, 2, 4, 1, 3])
  }

  @Test func `a client whose turn it was comes after those who came meanwhile`() {
    var queue = filled("aab")
    #expect(queue.next()?.job == 0)
    _ = queue.add(.init(id: 10, client: "c", job: 10))
    #expect(order(queue) == [2, 1, 10])
  }

  @Test func `a full queue refuses the newcomer of who has most, and displaces the last of who has more`() {
    var queue = filled("aaab", limit: 4)
    #expect(queue.add(.init(id: 10, client: "a", job: 10))?.job == 10)
    #expect(queue.add(.init(id: 11, client: "c", job: 11))?.job == 2)
    #expect(queue.count == 4)
    // Two against two: nobody has more.
    #expect(queue.add(.init(id: 12, client: "b", job: 12))?.job == 12)
    #expect(order(queue) == [0, 3, 11, 1])
  }

  @Test func `what must be done is never displaced`() {
    var queue = FairQueue<Int>(limit: 2)
    for id in UInt64(0)..<3 { #expect(queue.add(.init(id: id, client: "a", job: Int(id)), isBounded: id == 0) == nil) }
    #expect(queue.add(.init(id: 10, client: "b", job: 10))?.job == 0)
    #expect(queue.add(.init(id: 11, client: "c", job: 11))?.job == 11)
    #expect(order(queue) == [1, 10, 2])
  }

  @Test func `what must be done finds room in a full queue`() {
    var queue = filled("aa", limit: 2)
    #expect(queue.add(.init(id: 9, client: "a", job: 9), isBounded: false) == nil)
    #expect(order(queue) == [0, 1, 9])
  }

  @Test func `an entry that is taken out leaves no turn behind`() {
    var queue = filled("abab")
    #expect(queue.remove(1)?.job == 1 && queue.remove(3)?.job == 3 && queue.remove(3) == nil)
    #expect(queue.count == 2 && order(queue) == [0, 2])
    #expect(queue.removeAll().map(\.job) == [0, 2] && queue.count == 0 && queue.next() == nil)
  }
}

@Suite struct BodyMemoryTests {
  @Test func `large bodies share a bound, small ones are never refused, and a share is given back`() {
    let memory = BodyMemory(limit: 1 << 20, largestBody: 8 << 20)
    var first: BodyMemory.Share? = memory.share()
    #expect(first?.grow(to: 1 << 20) == true && memory.used == 1 << 20)
    let second = memory.share()
    #expect(second.grow(to: 64 << 10))
    #expect(!second.grow(to: (64 << 10) + 1))
    #expect(memory.used == 1 << 20)
    first = nil
    #expect(memory.used == 0)
    #expect(second.grow(to: (64 << 10) + 1) && memory.used == 128 << 10)
    _ = first
  }

  @Test func `the largest bodies leave a quarter to those of an eighth of their size`() {
    let memory = BodyMemory(limit: 16 << 20, largestBody: 8 << 20)
    let large = (0..<3).map { _ in memory.share() }
    #expect(large.map { $0.grow(to: 8 << 20) } == [true, false, false] && large[1].grow(to: 4 << 20) && !large[2].grow(to: (1 << 20) + 1))
    let middle = (0..<5).map { _ in memory.share() }
    #expect(middle.map { $0.grow(to: 1 << 20) } == [true, true, true, true, false])
    #expect(!middle[0].grow(to: (1 << 20) + 1))
    withExtendedLifetime((large, middle)) {}
  }
}
