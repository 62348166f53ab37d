import NIOCore
import Serving
import Testing

@Suite struct InputRateTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
  private let largest = 8 << 20
  private var rate: InputRate { InputRate(bytesPerSecond: 256 << 20, largestBody: largest) }

  /// How long after `now` a connection may read on that reads so much in parts of 64 KiB, all at once.
  private func wait(_ byteCount: Int, _ rate: InputRate, _ usage: inout InputRate.Usage, at now: NIODeadline) -> TimeAmount {
    var until = now
    for _ in 0..<byteCount >> 16 { until = max(until, rate.take(64 << 10, by: &usage, at: now)) }
    return until - now
  }

  @Test func `the largest body comes as it likes, a flood at the rate, and what was not used does not add up`() {
    let rate = rate
    var usage = InputRate.Usage()
    #expect(wait(largest, rate, &usage, at: start) == .zero)
    let flood = wait(256 << 20, rate, &usage, at: start)
    #expect(flood > .milliseconds(950) && flood < .milliseconds(1050), "\(flood)")
    // After a minute at a 256th of the rate the same connection is as good as new; an hour of nothing is worth one body, no more.
    for later in [start + .minutes(60), start + .minutes(120)] {
      #expect(wait(largest, rate, &usage, at: later) == .zero)
      #expect(wait(256 << 20, rate, &usage, at: later) > .milliseconds(950))
    }
  }

  @Test func `a flood over some connections holds up no request over another, whether they last or are new each time`() {
    let rate = rate
    var flooders = Array(repeating: InputRate.Usage(), count: 100)
    for index in flooders.indices { _ = wait(64 << 20, rate, &flooders[index], at: start) }
    // Later, while they go on.
    let later = start + .seconds(20)
    for index in flooders.indices { _ = wait(2 << 20, rate, &flooders[index], at: later) }
    #expect(rate.take(1, by: &flooders[0], at: later) > later + .milliseconds(500))
    var honest = InputRate.Usage()
    #expect(wait(largest, rate, &honest, at: later) == .zero)
    // New connections for each largest body: the beginning of an honest one does not wait for the ends of theirs.
    let last = later + .seconds(60)
    for _ in 0..<25 {
      var usage = InputRate.Usage()
      _ = wait(largest, rate, &usage, at: last)
    }
    var another = InputRate.Usage()
    #expect(wait(1 << 20, rate, &another, at: last) < .milliseconds(200))
    #expect(wait(largest - 1 << 20, rate, &another, at: last) > .milliseconds(500))
  }

  @Test func `who has sent much gets a quarter of the rate, whatever others send`() {
    let rate = rate
    var much = InputRate.Usage()
    _ = wait(64 << 20, rate, &much, at: start)
    // Ten seconds of nothing but new connections, as fast as they may.
    var now = start + .seconds(1)
    let end = now + .seconds(10)
    var (next, read) = (now, 0)
    while now < end {
      var usage = InputRate.Usage()
      let may = now + wait(1 << 20, rate, &usage, at: now)
      // One at a time: the next comes when this one is read.
      while next < may, next < end {
        next = max(next, rate.take(64 << 10, by: &much, at: max(now, next)))
        read += 64 << 10
      }
      now = max(may, now + .milliseconds(1))
    }
    #expect(read > 10 * (60 << 20), "\(read >> 20) MiB")
  }

  @Test func `small requests never wait`() {
    let rate = rate
    var flood = InputRate.Usage()
    _ = wait(1 << 30, rate, &flood, at: start)
    var now = start
    var usage = InputRate.Usage()
    for _ in 0..<10_000 {
      now = now + .milliseconds(1)
      #expect(rate.take(1000, by: &usage, at: now) == now)
    }
  }
}
