/// The tokens with a role, as the model's files name them.
public struct SpecialTokens: Sendable, Equatable {
  /// `bos_token`; nil where no file names one.
  public var beginning: String?
  /// `eos_token`.
  public var end: String?
  /// `unk_token`.
  public var unknown: String?
  /// `pad_token`.
  public var padding: String?
  /// All of the above and others (`sep_token`, …) under the names that chat templates use.
  public var byName: [String: String] = [:]
}

extension SpecialTokens {
  init(_ named: NamedTokens) {
    for (name, value) in named.roles { byName[name] = value.content }
    beginning = byName["bos_token"]
    end = byName["eos_token"]
    unknown = byName["unk_token"]
    padding = byName["pad_token"]
  }
}
