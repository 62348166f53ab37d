import Backends
import Engines
import Execution
public import SystemPackage

/// Builds an engine of a model, a Hugging Face directory or a GGUF file, and refits it with a LoRA adapter into a new directory.
///
/// Both directories appear complete or not at all; the first engine stays as it is.
public func buildAndRefit(model: FilePath, adapter: FilePath, engine: FilePath, refitted: FilePath) async throws {
  // What is built is for this machine: its kernels say how weights lie.
  let source = try BuildSource(model)
  let builder = EngineBuilder(options: .init(), target: BackendRegistry.all().standard.planTarget(threadCount: nil))
  _ = try await builder.write(try builder.prepare(source), of: source, to: engine)

  // Everything is checked before anything is written; an error names all problems.
  let base = try EngineDirectory(engine)
  let weights = try RefitSource(adapter, for: base)
  let refitter = Refitter(engine: base)
  try await refitter.write(try await refitter.prepare(weights), from: weights, to: refitted)
}
