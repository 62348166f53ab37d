import Backends
import Checkpoints
import Engines
import Execution
import Inference
import SystemPackage
import TestSupport
import Testing
import Tokenizers
import WeightSources

/// What a Swift program does with the libraries, from a model's directory to an answer and on to a refitted engine.
///
/// Imports are plain, so only what is public can be used; the target's dependencies are products of the package.
@Suite struct WholePathTests {
  private let models = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models")

  @Test func `a Swift program converts, builds, refits and runs with the libraries alone`() async throws {
    let directory = TemporaryDirectory()
    let (checkpoint, engine, refitted) = (directory.path.appending("c"), directory.path.appending("e"), directory.path.appending("r"))

    let source = try ModelSource(models.appending("tiny"))
    try CheckpointConverter(source, mapping: Mapping(), elementType: .float32).write(to: checkpoint)

    let opened = BuildSource(try Checkpoint(directory: checkpoint))
    let builder = EngineBuilder(options: .init(), target: BackendRegistry.all().standard.planTarget(threadCount: 1))
    _ = try await builder.write(try builder.prepare(opened), of: opened, to: engine)
    #expect(try await answer(engine) == "The capital of France is Paris.")

    let base = try EngineDirectory(engine)
    let adapter = try RefitSource(models.appending("tiny-lora"), for: base)
    let refitter = Refitter(engine: base)
    try await refitter.write(try await refitter.prepare(adapter), from: adapter, to: refitted)
    #expect(try await answer(refitted) == "Ahoy! The capital of France be Paris, matey.")
  }

  private func answer(_ path: FilePath) async throws -> String {
    let tokenizer = try Tokenizer(
      files: TokenizerFiles(contents: try Dictionary(
        uniqueKeysWithValues: ["tokenizer.json", "tokenizer_config.json", "generation_config.json"].map {
          ($0, try bytes(path.appending($0)))
        })))
    let loop = try EngineLoop(executor: try BackendRegistry.all().open(EngineDirectory(path)))
    let text = try tokenizer.applyChatTemplate(messages: [["role": "user", "content": "What is the capital of France?"]])
    var sampling = SamplingParameters()
    sampling.temperature = 0
    sampling.maximumTokens = 32
    let request = GenerationRequest(
      promptIDs: tokenizer.encode(text, addSpecialTokens: false), sampling: sampling,
      endOfSequenceIDs: tokenizer.endOfSequenceIDs)
    var ids: [Int32] = []
    for try await event in try loop.submit(request) {
      if case .token(let token) = event { ids.append(token.id) }
    }
    await loop.stop(drain: true)
    return tokenizer.decode(ids)
  }

  private func bytes(_ path: FilePath) throws -> [UInt8] {
    let file = try FileDescriptor.open(path, .readOnly)
    return try file.closeAfter {
      var bytes: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 1 << 16)
      while case let count = unsafe try piece.withUnsafeMutableBytes({ unsafe try file.read(into: $0) }), count > 0 { bytes += piece[..<count] }
      return bytes
    }
  }
}
