import TestSupport
import Testing

@Suite struct SmolLM3FileTests {
  let directory = TemporaryDirectory(inMemory: true)

  /// The directory beside it has every second.
  @Test func `of a GGUF file of SmolLM3 every fourth layer does not turn, as in llama.cpp`() throws {
    let file = try FamilyFile("smollm3", in: directory)
    #expect(file.warnings == [] && file.attentions.map(\.rotary) == [0, 0, 0, nil])
  }
}
