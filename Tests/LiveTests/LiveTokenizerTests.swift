import EngineFixtures
import Engines
import Foundation
import Inference
import SystemPackage
import TestSupport
import Testing

/// New weights whose files say other things than those of the engine that serves, which stay.
@Suite(.timeLimit(.minutes(5))) struct LiveTokenizerTests {
  /// Ten letters; the order says which id is which.
  private func write(_ directory: TemporaryDirectory, _ name: String, _ letters: String, template: String) {
    let vocabulary = letters.enumerated().map { "\"\($0.element)\": \($0.offset)" }.joined(separator: ", ")
    directory.write(
      "\(name)/tokenizer.json",
      #"{"added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"}, "#
        + #""model": {"type": "BPE", "vocab": {\#(vocabulary)}, "merges": []}}"#)
    directory.write("\(name)/chat_template.jinja", template)
  }

  @Test func `other tokens are refused unless asked for, and another template is told`() async throws {
    let life = Lifecycle()
    let model = SmallModel()
    for (name, seed) in [("A", 1), ("same", 2), ("template", 3), ("tokens", 4)] { _ = try model.write(life.directory, name, seed: UInt64(seed)) }
    write(life.directory, "A", "abcdefghij", template: "a")
    write(life.directory, "same", "abcdefghij", template: "a")
    write(life.directory, "template", "abcdefghij", template: "b")
    write(life.directory, "tokens", "abcdefghji", template: "a")
    try await life.build(life.directory("A"), "engine", scope: .all)
    let refitter = try await LiveRefitter(try EngineDirectory(life.directory("engine")))
    func source(_ name: String) -> LiveSource { LiveSource(path: life.directory(name).string) }

    #expect(try await refitter.make(source("same")).warnings == [])
    let told = try await refitter.make(source("template")).warnings
    #expect(told.count == 1 && told[0].contains("another chat template from \(life.directory("template"))"), "\(told)")
    let refused = await #expect(throws: LiveWeightsError.self) { try await refitter.make(source("tokens")) }
    #expect(refused == .otherTokenizer(life.directory("tokens").string))
    var asked = source("tokens")
    asked.keepsTokenizer = true
    #expect(try await refitter.make(asked).warnings.contains { $0.contains("another tokenizer from") })
  }
}
