import JSON
import Tokenizers

extension ServingCore {
  /// The chat template's text up to the end of the last message's content, for the model to go on from there.
  ///
  /// Templates close every message, so a mark is put behind the content and the text cut where it comes out. A template
  /// that trims messages trims this one.
  func openPrompt(of conversation: Conversation, field: String, budget: WorkBudget) throws -> String {
    var marked = conversation
    marked.addGenerationPrompt = false
    guard var last = marked.messages.popLast()?.object else { return try prompt(of: conversation, budget: budget) }
    let mark = "[[continue-\(RandomID.hexadecimal())]]"
    last["content"] = .string((last["content"]?.string ?? "") + mark + " ")
    marked.messages.append(.object(last))
    let text = try prompt(of: marked, budget: budget)
    // By bytes: characters of adverse texts take long to find.
    let bytes = Array(text.utf8)
    guard let start = Self.lastPlace(of: Array(mark.utf8), in: bytes) else {
      throw APIError.invalid(
        field,
        "\(field) is true, but the chat template does not write the last message as it is, so it cannot be continued. "
          + "Leave \(field) out.", code: "chat_template_error")
    }
    var open = String(decoding: bytes[..<start], as: UTF8.self).unicodeScalars
    // Where the space behind the mark went, the template trims: then the content's own spaces go, too.
    if bytes[(start + mark.utf8.count)...].first != UInt8(ascii: " ") {
      while open.last?.properties.isWhitespace == true { open.removeLast() }
    }
    return String(open)
  }

  private static func lastPlace(of part: [UInt8], in text: [UInt8]) -> Int? {
    guard part.count <= text.count else { return nil }
    return (0...text.count - part.count).last { text[$0] == part[0] && text[$0..<$0 + part.count].elementsEqual(part) }
  }
}
