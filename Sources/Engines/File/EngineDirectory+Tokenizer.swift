import Files
public import Tokenizers
import WeightSources

extension EngineDirectory {
  /// What the engine carries to make text tokens and back: `Tokenizer(files:modelVocabulary:)` takes it.
  ///
  /// - Throws: `FileError`, where a file cannot be read.
  public func tokenizerFiles() throws -> TokenizerFiles { try CompanionFiles(of: self).tokenizerFiles() }
}
