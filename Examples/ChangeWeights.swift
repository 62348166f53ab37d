import Backends
import Engines
import Execution
public import Inference
public import SystemPackage
import Tokenizers

/// An engine whose weights change while it answers.
///
/// New weights are made beside those in use, checked and digested; activating them changes a pointer between two steps, so every
/// token is chosen by one version, and undoing it goes back at once.
public struct ChangingChat: Sendable {
  public let chat: Chat
  public let weights: LiveWeights

  public init(engine path: FilePath) async throws {
    let directory = try EngineDirectory(path)
    let opened = try BackendRegistry.all().open(directory)
    let loop = try EngineLoop(executor: opened)
    chat = Chat(tokenizer: try Tokenizer(files: directory.tokenizerFiles(), modelVocabulary: directory.pretrained.vocabularySize), loop: loop)
    weights = try LiveWeights(engine: opened, loop: loop, refitter: try await LiveRefitter(directory))
  }

  /// Puts an adapter, or a whole model of the same structure, in the place of the weights in use.
  ///
  /// Requests that run are finished by the weights they began with. Cancelling before the change leaves everything as it was.
  public func change(to source: FilePath) async throws -> LiveWeights.Change {
    let made = try await weights.prepare(LiveSource(path: source.string))
    return try await weights.activate(made.name)
  }

  public func undo() async throws -> LiveWeights.Change { try await weights.undo() }
}
