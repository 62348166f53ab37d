import JSON

/// The tokens with a role, as the model's files name them.
public struct SpecialTokens: Sendable, Equatable {
  public var beginning: String?
  public var end: String?
  public var unknown: String?
  public var padding: String?
  /// All of the above and others (`sep_token`, …) under the names that chat templates use.
  public var byName: [String: String] = [:]
}

extension SpecialTokens {
  /// As transformers: tokenizer_config.json that lists its added tokens is complete; otherwise what
  /// special_tokens_map.json says counts before it.
  ///
  /// - Parameter defaults: Roles where neither says anything; one that is null is none.
  init(configuration: JSONValue?, map: JSONValue?, defaults: [String: String] = [:]) {
    byName = defaults
    let isComplete = configuration?["added_tokens_decoder"]?.object != nil
    for source in isComplete ? [configuration] : [configuration, map] {
      for (name, value) in source?.object ?? [:] where name.hasSuffix("_token") {
        // Either the token itself or an object that describes it.
        if let token = value.string ?? value["content"]?.string { byName[name] = token } else if value.isNull { byName[name] = nil }
      }
    }
    beginning = byName["bos_token"]
    end = byName["eos_token"]
    unknown = byName["unk_token"]
    padding = byName["pad_token"]
  }
}
