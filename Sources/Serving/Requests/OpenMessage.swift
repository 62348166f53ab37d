import JSON

extension ServingCore {
  /// The chat template's text up to the end of the last message's content, for the model to go on from there.
  ///
  /// Templates close every message, so a mark is put behind the content and the text cut where it comes out. A template
  /// that trims messages trims this one.
  func openPrompt(of conversation: Conversation) throws(APIError) -> String {
    var marked = conversation
    marked.addGenerationPrompt = false
    guard var last = marked.messages.popLast()?.object else { return try prompt(of: conversation) }
    let mark = "[[continue-\(RandomID.hexadecimal())]]"
    last["content"] = .string((last["content"]?.string ?? "") + mark + " ")
    marked.messages.append(.object(last))
    let text = try prompt(of: marked)
    guard let range = text.ranges(of: mark).last else {
      throw .invalid(
        "echo", "echo is true, but the chat template does not write the last message as it is, so it cannot be continued. "
          + "Leave echo out.", code: "chat_template_error")
    }
    var open = text[..<range.lowerBound]
    // Where the space behind the mark went, the template trims: then the content's own spaces go, too.
    if text[range.upperBound...].first != " " { while open.last?.isWhitespace == true { open.removeLast() } }
    return String(open)
  }
}
