import TestSupport
import Testing

@Suite struct EXAONE4FileTests {
  let directory = TemporaryDirectory(inMemory: true)

  /// The directory beside it has windows.
  @Test func `a GGUF file of EXAONE 4 with fewer than 64 layers has no windows, and all layers turn, as in llama.cpp`() throws {
    let file = try FamilyFile("exaone4", in: directory)
    #expect(file.warnings == [] && file.attentions.map(\.window) == [nil, nil, nil, nil] && file.attentions.map(\.rotary) == [0, 0, 0, 0])
  }
}
