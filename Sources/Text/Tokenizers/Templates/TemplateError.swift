/// Why a chat template cannot be read or rendered, and in which line.
public struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Why a template cannot be read or rendered. The text is what the message says after the line.
  public enum Problem: Equatable, Sendable {
    /// The text is no template: `what` was found where `expected` should stand.
    case syntax(String)
    /// A tag, filter, test or method that is not known; `nearest` is one that is.
    case unknown(kind: String, name: String, nearest: String?)
    /// Something that Jinja knows and that is refused here on purpose.
    case refused(String)
    /// The template asks for something of a value that has none.
    case undefined(String)
    /// An operation on values of the wrong kind.
    case mismatch(String)
    /// The template itself called `raise_exception`.
    case raised(String)
    /// More work, depth or output than a template may have.
    case limit(String)
  }
  /// Counted from 1.
  public let line: Int
  /// What is wrong in ``line``.
  public let problem: Problem

  /// - Parameter line: Counted from 1.
  public init(line: Int, problem: Problem) {
    self.line = line
    self.problem = problem
  }

  public var description: String {
    if case .raised(let message) = problem { return "the chat template refuses these messages: \(message)" }
    let what =
      switch problem {
      case .syntax(let what): what
      case .unknown(let kind, let name, let nearest):
        "there is no \(kind) '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? "")
      case .refused(let what): what
      case .undefined(let what): what
      case .mismatch(let what): what
      case .raised(let message): message
      case .limit(let what): "the template was stopped: \(what)"
      }
    return "chat template, line \(line): \(what)"
  }
}
