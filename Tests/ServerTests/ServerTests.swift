import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// What only the whole command shows.
@Suite(.serialized, .timeLimit(.minutes(8))) struct ServerTests {
  @Test func `a running server says which share of the memory-read limit it reaches`() throws {
    let directory = TemporaryDirectory()
    let engine = try Engines.tiny(in: directory)
    let server = try ServerProcess(engine, in: directory)
    _ = try server.complete("The ship came into")
    let metrics = try server.send("GET", "/metrics").body
    let line = metrics.split(separator: "\n").first { $0.hasPrefix("drydock_memory_read_share ") }
    let share = try #require(line?.split(separator: " ").last.flatMap { Double($0) })
    #expect(share > 0 && share.isFinite, "\(share)")
    #expect(server.stop() == 0)
  }

  @Test(arguments: [".", "./", "../engine/", "../engine/../engine", "inner/.."])
  func `the model has the name of its directory, however that is written`(path: String) throws {
    let directory = TemporaryDirectory()
    let engine = try Engines.tiny(in: directory)
    makeDirectory(engine.appending("inner"))
    let server = try ServerProcess(FilePath(path), in: directory, from: engine, named: nil)
    let models = try JSONValue(parsing: try server.send("GET", "/v1/models").body)
    #expect(models["data"]?.array?.first?["id"] == "engine")
    #expect(server.stop() == 0)
  }

  @Test func `asking for more than the engine was built for is told, and clipped`() throws {
    let directory = TemporaryDirectory()
    let server = try ServerProcess(try Engines.tiny(in: directory), in: directory, "--max_seq_len", "100000", "--max_num_tokens", "2", "--max_batch_size", "3")
    #expect((text(server.log) ?? "").contains("--max_seq_len is 100000, but the engine was built for 512: 512 it is."))
    #expect((text(server.log) ?? "").contains("--max_batch_size is 3, but a step takes 2 tokens: 2 it is. Raise --max_num_tokens for more."))
    let models = try JSONValue(parsing: try server.send("GET", "/v1/models").body)
    #expect(models["data"]?.array?.first?["max_model_len"] == 512)
    #expect(server.stop() == 0)
    // Where the engine is what bounds a step, asking the server for more would do nothing.
    let small = TemporaryDirectory()
    let bounded = try ServerProcess(try Engines.tiny(in: small, "--max_num_tokens", "2"), in: small, "--max_num_tokens", "8", "--max_batch_size", "3")
    #expect((text(bounded.log) ?? "").contains("--max_batch_size is 3, but a step takes 2 tokens: 2 it is. The engine was built for so many: build another with --max_num_tokens 3."))
    #expect(bounded.stop() == 0)
  }

  @Test(arguments: [SIGINT, SIGTERM]) func `a second signal ends a server that waits for a running answer`(signal: Int32) throws {
    let directory = TemporaryDirectory()
    let server = try ServerProcess(try Engines.tiny(in: directory), in: directory, "--drain_seconds", "60")
    // A request whose body never comes whole is running for a minute.
    let socket = try Socket(port: server.port)
    defer { withExtendedLifetime(socket) {} }
    socket.write("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    // The question for it is the other one; twice, since an earlier question may still be leaving.
    var seen = 0
    try eventually {
      seen = try server.send("GET", "/metrics").body.contains("\ndrydock_requests_in_flight 2\n") ? seen + 1 : 0
      return seen == 2
    }
    #expect(seen == 2)
    kill(server.identifier, signal)
    let told = "running answers have 60 s to end; a second SIGINT (Ctrl-C) or SIGTERM ends the server at once"
    eventually { text(server.log)?.contains(told) == true || !server.isRunning }
    #expect(server.isRunning && text(server.log)?.contains(told) == true, "\(text(server.log) ?? "")")
    kill(server.identifier, SIGINT)
    eventually { !server.isRunning }
    try #require(!server.isRunning, "half of the time that answers have has gone, and it still runs")
    #expect(server.status == 128 + SIGINT)
  }

  @Test func `the log says once that it listens, and times as people read them`() throws {
    let directory = TemporaryDirectory()
    let server = try ServerProcess(try Engines.tiny(in: directory), in: directory)
    _ = try server.complete("The ship came into")
    #expect(server.stop() == 0)
    let log = text(server.log) ?? ""
    #expect(log.split(separator: "\n").count { $0.contains("listening") } == 1, "\(log)")
    #expect(log.contains(#/ milliseconds=\d+ /#) && log.contains(#/ seconds=\d+\.\d{1,6}( |\n)/#), "\(log)")
  }
}
