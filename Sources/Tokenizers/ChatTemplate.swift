/// A model's chat template.
public struct ChatTemplate: Sendable {
  static func all(in files: TokenizerFiles, configuration: JSONValue?) throws(TokenizerError) -> [String: ChatTemplate] { [:] }
}
import JSON
