import SystemPackage
import TestSupport
import Testing
import WeightSources

struct WeightSourceKindTests {
  let directory = TemporaryDirectory()

  private func kind(_ path: FilePath) throws -> WeightSourceKind { try FoundSource(at: path).kind }

  @Test func `every kind is told by what is there`() throws {
    #expect(try kind(Expected.directory.appending("models/biases")) == .huggingFace)
    #expect(try kind(Expected.directory.appending("models/tied")) == .huggingFace)
    #expect(try kind(Expected.directory.appending("models/tied.gguf")) == .gguf)
    #expect(try kind(Expected.directory.appending("adapters/plain")) == .adapter)
    directory.write("c/rank0.safetensors", "x")
    directory.write("e/rank0.engine", "x")
    #expect(try kind(directory("c")) == .checkpoint)
    #expect(try kind(directory("e")) == .engine)
  }

  @Test func `what is nothing of these says what it is and what to do`() throws {
    func text(_ path: FilePath) throws -> String { try #require(message { _ = try kind(path) }) }
    #expect(try text(directory("nowhere")).contains("nowhere"))
    makeDirectory(directory("empty"))
    #expect(try text(directory("empty")).contains("the directory is empty"))
    directory.write("g/a.gguf", "GGUF")
    directory.write("g/b.gguf", "GGUF")
    #expect(try text(directory("g")).contains("a.gguf, b.gguf cannot be read. Download"))
    for name in ["a", "b"] { directory.write("g/\(name).gguf", try #require(contents(Expected.directory.appending("models/tied.gguf")))) }
    #expect(try text(directory("g")).contains("a.gguf, b.gguf. Name one"))
    directory.write("p/pytorch_model-00001-of-00002.bin", "x")
    #expect(try text(directory("p")).contains("run code"))
    #expect(try text(directory.write("rank0.safetensors", "x")).contains("Name the directory"))
    #expect(try text(directory.write("b.gguf", "version https://git-lfs.github.com/spec/v1\n")).contains("git lfs pull"))
    directory.write("n/config.json", "{}")
    #expect(try text(directory("n")).contains("no weights beside it"))
  }
}
