import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// `trtllm-serve` given a model rather than an engine.
@Suite(.serialized) struct ModelServerTests {
  let directory = TemporaryDirectory()
  private var cache: FilePath { directory("cache") }

  private func names(_ server: ServerProcess) throws -> [String] {
    let list = try JSONValue(parsing: try server.send("GET", "/v1/models").body)
    return (list["data"]?.array ?? []).compactMap { $0["id"]?.string }
  }

  @Test func `a model is served under its name, and goes on when its engine is removed under it`() throws {
    let server = try ServerProcess(
      Engines.project("Models/tiny"), in: directory, named: nil, "--engine_cache", cache.string, "--dtype", "float32")
    #expect(try names(server) == ["tiny"])
    let chat: JSONValue = ["model": "tiny", "messages": [["role": "user", "content": "a b"]], "max_tokens": 8, "temperature": 0]
    func reply() throws -> JSONValue? {
      let reply = try server.send("POST", "/v1/chat/completions", chat)
      #expect(reply.status == 200, "\(reply.body)")
      return try JSONValue(parsing: reply.body)["choices"]
    }
    let before = try reply()
    // As a built engine is.
    let built = try ServerProcess(try Engines.tiny(in: directory), in: directory, named: "tiny")
    let wanted = try built.send("POST", "/v1/chat/completions", chat)
    #expect(try JSONValue(parsing: wanted.body)["choices"] == before)
    #expect(built.stop() == 0)
    // It is in use, so making room for another leaves it.
    let other = try Execution.run(
      try ServerProcess.command("run"),
      ["--model", Engines.project("Models/tiny").string, "--engine_cache", cache.string, "--engine_cache_size", "600kB", "--input_text", "a"])
    #expect(other.status == 1 && other.errors.contains("running processes"), "\(other.errors)")
    #expect(try reply() == before)
    remove(cache)
    #expect(try reply() == before)
    #expect(try server.send("GET", "/health").status == 200)
    #expect(server.stop() == 0)
  }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel))
  func `a GGUF file is served under its name without the ending`() throws {
    let file = directory("Small-Model.Q8_0.gguf")
    makeSymbolicLink(file, to: try #require(Extras.model))
    let server = try ServerProcess(file, in: directory, named: nil, "--engine_cache", cache.string)
    #expect(try names(server) == ["Small-Model.Q8_0"])
    #expect(server.stop() == 0)
  }
}
