import Foundation
import SystemPackage
import TestSupport
import Testing

/// The cache of engines on file systems that cannot rename without replacing.
struct CacheFaultTests {
  let directory = TemporaryDirectory()

  @Test func `an engine makes room for another without that call`() throws {
    let tiny = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models/tiny")
    let cache = directory("cache")
    func run(_ type: String, _ more: [String] = []) throws -> Execution {
      let hook = FaultHook(kind: .none, calls: "", withoutExchange: true)
      let arguments = ["--model", tiny.string, "--engine_cache", cache.string, "--dtype", type, "--input_text", "a", "--max_output_len", "2"]
      return try hook.run(try #require(Execution.command("trtllm-run")), arguments + more).execution
    }
    let first = try run("float32")
    #expect(first.status == 0, "\(first.errors)")
    let kept = try #require(names(in: cache))
    let engine = cache.appending(try #require(kept.first))
    let size = try (names(in: engine) ?? []).reduce(0) { sum, name in
      sum + ((try FileManager.default.attributesOfItem(atPath: engine.appending(name).string)[.size] as? Int) ?? 0)
    }
    let second = try run("bfloat16", ["--engine_cache_size", "\(size * 5 / 4)"])
    #expect(second.status == 0 && second.errors.contains("removed \(engine)"), "\(second.errors)")
    #expect(names(in: cache)?.count == 1 && names(in: cache) != kept)
  }
}
