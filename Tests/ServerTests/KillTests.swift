import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// A server that is killed, at moments when it has something in hand.
@Suite(.serialized, .timeLimit(.minutes(8))) struct KillTests {
  private static let prompt = "The ship came into"

  @Test func `killed at any point of a preparation, it starts again with the engine's own weights`() throws {
    let directory = TemporaryDirectory()
    let engine = try Engines.tiny(in: directory)
    let adapter = Engines.project("Models/tiny-lora")
    let files = snapshot(engine)
    let arguments = ["--admin_key", "k", "--weights_root", adapter.string]
    func launch() throws -> ServerProcess {
      try ServerProcess(engine, in: directory, arguments[0], arguments[1], arguments[2], arguments[3])
    }
    var server = try launch()
    let own = try server.complete(Self.prompt)
    // How long a whole refit takes here, so that the kills fall within it.
    let clock = ContinuousClock()
    let start = clock.now
    #expect(try server.send("POST", "/admin/v1/weights/refit", ["source": .string(adapter.string)], key: "k").status == 200)
    let whole = clock.now - start
    let adapted = try server.complete(Self.prompt)
    #expect(adapted.text != own.text && adapted.version != own.version)
    var answered = 0
    for part in 0..<8 {
      server.crash()
      #expect(snapshot(engine) == files, "a server writes nothing into its engine")
      server = try launch()
      #expect(try server.complete(Self.prompt) == own)
      let socket = try Socket(port: server.port)
      let body = JSONValue.object(["source": .string(adapter.string)]).serialized()
      socket.write(
        "POST /admin/v1/weights/refit HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      usleep(UInt32(whole / .microseconds(1) * Double(part) / 7))
      if part == 7 { answered += socket.readToEnd(seconds: 30).hasPrefix("HTTP/1.1 200 ") ? 1 : 0 }
    }
    #expect(answered == 1, "the last is killed after the change")
    #expect(try server.complete(Self.prompt) == adapted)
    server.crash()
    server = try launch()
    #expect(try server.complete(Self.prompt) == own)
    #expect(server.stop() == 0)
  }

  @Test func `killed in the middle of streams, the port is free and the next server answers`() throws {
    let directory = TemporaryDirectory()
    let engine = try Engines.tiny(in: directory)
    let first = try ServerProcess(engine, in: directory)
    let own = try first.complete(Self.prompt)
    let body = JSONValue.object(["model": "m", "prompt": "Once", "stream": true, "ignore_eos": true, "max_tokens": 400]).serialized()
    let sockets = try (0..<8).map { _ in
      let socket = try Socket(port: first.port)
      socket.write(
        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      return socket
    }
    // Each stream has begun.
    let begun = sockets.map { $0.read(seconds: 30) { $0.contains("data: ") } }
    first.crash()
    for (socket, beginning) in zip(sockets, begun) {
      #expect(beginning.contains("data: "), "\(beginning)")
      #expect(!(beginning + socket.readToEnd(seconds: 5)).contains("[DONE]"), "the kill came too late to say anything")
    }
    let second = try ServerProcess(engine, in: directory, "--port", "\(first.port)")
    #expect(second.port == first.port)
    #expect(try second.complete(Self.prompt) == own)
    #expect(second.stop() == 0)
  }
}
