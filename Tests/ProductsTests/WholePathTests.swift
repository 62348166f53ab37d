import Engines
import Examples
import SystemPackage
import TestSupport
import Testing

/// What a Swift program does with the libraries (`Examples`), from a model's directory to an answer and on to other weights.
///
/// Imports are plain there, so only what is public can be used; the target's dependencies are products of the package.
@Suite struct WholePathTests {
  private let models = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models")
  private let question = "What is the capital of France?"
  private let plain = "The capital of France is Paris."
  private let adapted = "Ahoy! The capital of France be Paris, matey."

  @Test func `a Swift program builds, refits, runs and changes weights with the libraries alone`() async throws {
    let directory = TemporaryDirectory()
    let (engine, refitted) = (directory.path.appending("e"), directory.path.appending("r"))
    try await buildAndRefit(
      model: models.appending("tiny"), adapter: models.appending("tiny-lora"), engine: engine, refitted: refitted)
    for (path, wanted) in [(engine, plain), (refitted, adapted)] {
      let chat = try Chat(engine: path)
      #expect(try await chat.answer(question) == wanted)
      await chat.loop.stop(drain: true)
    }

    let changing = try await ChangingChat(engine: engine)
    #expect(try await changing.chat.answer(question) == plain)
    let change = try await changing.change(to: models.appending("tiny-lora"))
    #expect(try await changing.chat.answer(question) == adapted)
    let undone = try await changing.undo()
    #expect(undone.to == change.from && undone.from == change.to)
    #expect(try await changing.chat.answer(question) == plain)
    await changing.chat.loop.stop(drain: true)
  }
}
