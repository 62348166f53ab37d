/// Why bytes are not the JSON that was expected, and where.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong with the text: the first fault that was met. Nothing after it was looked at.
  public enum Problem: Equatable, Sendable {
    /// Inside a value, or before the first.
    case unexpectedEnd
    /// Another byte than one that can stand here; `expected` is for people, such as `':'`.
    case unexpectedByte(UInt8, expected: String)
    /// A spelling that RFC 8259 does not have, such as `01` or `1.`.
    case invalidNumber
    /// An unknown letter after a backslash, digits that are none, or half of a surrogate pair.
    case invalidEscape
    /// An escape of half a surrogate pair, which alone is no character.
    case loneSurrogate
    /// Bytes that are not UTF-8, which JSON must be.
    case invalidUTF8
    /// A byte below 0x20, which can stand in a string as an escape only.
    case controlCharacterInString(UInt8)
    /// A name that stands twice in one object.
    case duplicateKey(String)
    /// Arrays and objects inside each other.
    case tooDeep(limit: Int)
    /// Values of any kind in the whole document.
    case tooManyValues(limit: Int)
    /// A member's name, without its quotes.
    case keyTooLong(bytes: Int, limit: Int)
    /// Combining marks in a row, in a name or a string; see ``CombiningMarks``.
    case tooManyMarks(limit: Int)
    /// Anything but white space behind the document's value.
    case trailingBytes
  }
  /// What was met at ``offset``.
  public let problem: Problem
  /// Byte offset from the start of the text.
  public let offset: Int

  /// What to do about such a file of a model: a sentence.
  public var remedy: String {
    if case .duplicateKey = problem { "Take one of the two out." } else { "Download the file again." }
  }

  public var description: String {
    let what =
      switch problem {
      case .unexpectedEnd: "the text ends in the middle of a value"
      case .unexpectedByte(let byte, let expected): "found \(Self.show(byte)), expected \(expected)"
      case .invalidNumber: "not a JSON number"
      case .invalidEscape: "invalid escape sequence in a string"
      case .loneSurrogate: "an escape is half of a surrogate pair, which alone is no character"
      case .invalidUTF8: "the text is not valid UTF-8"
      case .controlCharacterInString(let byte): "control character \(Self.show(byte)) inside a string"
      case .duplicateKey(let key): "the key \"\(key.prefix(100))\" appears twice in one object"
      case .tooDeep(let limit): "values are nested deeper than \(limit) levels"
      case .tooManyValues(let limit): "there are more than \(limit) values"
      case .keyTooLong(let bytes, let limit): "a name has \(bytes) bytes, more than \(limit)"
      case .tooManyMarks(let limit): "a string has more than \(limit) combining marks in a row"
      case .trailingBytes: "there is text after the end of the value"
      }
    if case .duplicateKey = problem { return "at byte \(offset) \(what)" }
    return "invalid JSON at byte \(offset): \(what)"
  }
  private static func show(_ byte: UInt8) -> String {
    byte >= 0x20 && byte < 0x7F ? "'\(Character(UnicodeScalar(byte)))'" : "byte 0x" + String(byte, radix: 16)
  }
}
