/// Why a tokenizer cannot be used: which file, what in it, and how to mend it.
public struct TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong with the file, by how it can be mended.
  public enum Problem: Equatable, Sendable {
    /// No file of that name was among those given.
    case missing
    /// The file is not JSON; `reason` says where, and what to do.
    case invalidJSON(reason: String)
    /// A member has another kind than the format says, or is absent.
    case invalidMember(String, expected: String)
    /// A correct file that asks for something which is not implemented here.
    case unsupported(String, value: String, supported: String)
    /// Ids or names contradict each other.
    case inconsistent(String)
    /// A chat template that cannot be read.
    case invalidTemplate(TemplateError)
    /// The model's directory holds no chat template.
    case noChatTemplate(available: [String])
  }
  /// The name of the file, such as `tokenizer.json`.
  public let file: String
  /// What is wrong with ``file``.
  public let problem: Problem

  /// - Parameter file: Its name alone.
  public init(file: String, problem: Problem) {
    self.file = file
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .missing:
      "\(file) is missing. Name a directory that holds the model's tokenizer files, or copy them from the model's repository."
    case .invalidJSON(let reason):
      "\(file): \(reason)"
    case .invalidMember(let name, let expected):
      "\(file): '\(name)' should be \(expected). "
        + (file == "generation_config.json" ? "Change it there, or leave it out." : "Check that the file is a Hugging Face tokenizer file of a complete download.")
    case .unsupported(let what, let value, let supported):
      "\(file): \(what) \(value) is not supported; supported: \(supported)."
    case .inconsistent(let what):
      "\(file): \(what). Check that all tokenizer files are from the same revision."
    case .invalidTemplate(let error): "\(file): \(error)"
    case .noChatTemplate(let available):
      available.isEmpty
        ? "\(file): the model has no chat template. Give text instead of messages, or put a chat_template.jinja beside \(file)."
        : "no chat template is called 'default'; there are: \(available.joined(separator: ", ")). Put the default one beside tokenizer.json, as chat_template.jinja."
    }
  }
}
