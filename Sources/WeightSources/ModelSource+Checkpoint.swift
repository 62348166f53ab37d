public import Checkpoints
public import Files
public import JSON
import SystemPackage
public import Tensors
import Tokenizers

extension ModelSource {
  /// Tokenizer and generation files, in order of names: those of a Hugging Face directory, or those made from a GGUF
  /// file's metadata.
  ///
  /// - Throws: `TokenizerError` or ``GGUFError`` for a GGUF file whose tokenizer cannot be written as such files.
  public func auxiliaryFiles() throws -> [AuxiliaryFile] {
    guard let gguf else {
      return Self.auxiliaryNames.sorted().filter { Directory.kind(of: path.appending($0)) == .file }
        .map { AuxiliaryFile($0, at: path.appending($0)) }
    }
    let found = try gguf.metadata.tokenizer()
    let contents = try TokenizerFiles.contents(
      fromGGUF: Tokenizers.GGUFTokenizer(
        model: found.model, preTokenizer: found.pre, tokens: found.tokens, tokenTypes: found.tokenTypes, merges: found.merges,
        beginningID: found.bosTokenID, endID: found.eosTokenID, endOfTurnID: found.eotTokenID, unknownID: found.unknownTokenID,
        paddingID: found.paddingTokenID, addsBeginning: found.addsBOSToken, addsEnd: found.addsEOSToken,
        addsSpacePrefix: found.addsSpacePrefix, chatTemplate: found.chatTemplate, scores: found.scores))
    return contents.sorted { $0.key < $1.key }.map { AuxiliaryFile($0.key, bytes: $0.value) }
  }

  /// `config.json` of the checkpoint that the model is converted to.
  public func checkpointConfig(elementType: ElementType, mapping: Mapping) -> JSONValue {
    var config = model.checkpointConfig(elementType: elementType, mapping: mapping).object ?? [:]
    // So that an adapter for another model can be told later.
    if !names.isEmpty { config[ModelNames.section] = names.json }
    return .object(config)
  }
}
