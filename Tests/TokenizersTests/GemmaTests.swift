import JSON
import SystemPackage
import TestSupport
import Testing
import Tokenizers
import WeightSources

/// The vocabulary of a published Gemma 3, whose 262144 tokens no small one stands for (Scripts/reference/gemma_tokens.py).
@Suite struct GemmaTests {
  @Test(.enabled(if: Extras.gemma != nil, Extras.noGemma))
  func `the ids of Gemma 3 are those of llama.cpp`() throws {
    let expected = try Expected.json("Expected/gemma3-270m-tokens.json")
    let metadata = try GGUFFile(try #require(Extras.gemma)).metadata.tokenizer()
    let files = TokenizerFiles(contents: try TokenizerFiles.contents(fromGGUF: metadata))
    #expect(files.findings(modelVocabulary: 262_144) == TokenizerFindings())
    let tokenizer = try Tokenizer(files: files)
    #expect(tokenizer.vocabularySize == 262_144)
    let cases = try #require(expected["cases"]?.array)
    #expect(cases.count > 200)
    for item in cases {
      let text = try #require(item["text"]?.string)
      let ids = tokenizer.encode(text)
      #expect(.ints(ids.map(Int.init)) == item["ids"], "\(text.debugDescription)")
      #expect(same(tokenizer.decode(ids, skipSpecialTokens: false), "<bos>" + text.replacing("▁", with: " ")))
    }
    // llama.cpp ends at "</s>" as well, which here is a tag of HTML.
    #expect(Set((expected["ends"]?.array ?? []).compactMap(\.int)) == Set(tokenizer.endOfSequenceIDs.map(Int.init)).union([212]))
    #expect(tokenizer.endOfSequenceIDs == [1, 106])
  }
}
