import Foundation
import SystemPackage
import TestSupport
import Testing

/// More connections than anybody needs, none of which wants anything good.
@Suite(.serialized, .timeLimit(.minutes(8))) struct ManyConnectionsTests {
  /// As many descriptors as the system gives, for this process; a server that it starts asks for itself.
  private static let descriptors: Int = {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    unsafe getrlimit(resource, &limit)
    limit.rlim_cur = limit.rlim_max
    unsafe setrlimit(resource, &limit)
    unsafe getrlimit(resource, &limit)
    return Int(clamping: limit.rlim_cur)
  }()

  /// What each of them says before it falls silent.
  private static let openings = [
    "", "GET /health HTTP/1.1\r\nHost: x", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"model\": ",
  ]

  @Test func `real requests are answered beside ten thousand idle and half-open connections, which leave nothing behind`() throws {
    let directory = TemporaryDirectory()
    let count = min(10_000, Self.descriptors - 256)
    let server = try ServerProcess(try Engines.tiny(in: directory), in: directory)
    let prompts = ["The ship came into", "Once upon a time", "def add(a, b):\n    "]
    let quiet = try prompts.map { try server.complete($0).text }
    let before = server.descriptorCount
    var memory = [server.memory]
    var held: [Int] = []
    for _ in 0..<3 {
      var sockets = try (0..<count).map { index in
        // No faster than the server takes them: the system drops what overfills the queue in front of it.
        if index % 500 == 499 { eventually(within: .seconds(2)) { server.descriptorCount - before >= index - 500 } }
        let socket = try Socket(port: server.port)
        socket.write(Self.openings[index % Self.openings.count])
        return socket
      }
      // The idle ones are sent away after ten seconds.
      var most = 0
      eventually(within: .seconds(8)) {
        most = max(most, server.descriptorCount - before)
        return most >= count - 50
      }
      held.append(most)
      for (prompt, wanted) in zip(prompts, quiet) { #expect(try server.complete(prompt).text == wanted) }
      #expect(try server.send("GET", "/health").status == 200)
      // The compiler may let go of what is not used any more.
      withExtendedLifetime(sockets) {}
      sockets.removeAll()
      eventually(within: .seconds(20)) { server.descriptorCount <= before }
      #expect(server.descriptorCount <= before)
      memory.append(server.memory)
    }
    print("connections: \(count) at once of \(Self.descriptors) descriptors, three times; the server held \(held); its memory before and after each \(memory.map { $0 >> 20 }) MB")
    #expect(held.allSatisfy { $0 >= count - 50 }, "all were held at once")
    // What the first round made the allocator keep serves the next, more or less: 4 KB lost with each would be too much.
    #expect(memory[3] <= memory[1] + 2 * count * 4096)
    for (prompt, wanted) in zip(prompts, quiet) { #expect(try server.complete(prompt).text == wanted) }
    #expect(server.stop() == 0)
  }
}
