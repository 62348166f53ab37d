extension GGUFTokenizer {
  /// The chat templates by name. As llama.cpp does, the one for tools counts as the default where there is no other.
  var chatTemplates: [String: String] {
    var templates = namedChatTemplates
    let given = [chatTemplate, templates["default"], templates["tool_use"]].compactMap { $0 }
    templates["default"] = given.first { !$0.isEmpty } ?? given.first
    return templates
  }

  /// What is to be said of how chats are written: a line each.
  public var notes: [String] {
    var notes: [String] = []
    let templates = chatTemplates
    let own = [chatTemplate, namedChatTemplates["default"]].compactMap { $0 }
    if own.allSatisfy(\.isEmpty), let tools = namedChatTemplates["tool_use"], !tools.isEmpty {
      notes.append("metadata: the only chat template is tokenizer.chat_template.tool_use: it counts for every chat, as in llama.cpp")
    } else if own.isEmpty, !templates.isEmpty {
      let names = templates.keys.sorted()
      notes.append("metadata: there is no tokenizer.chat_template: a chat must name one of \(names.prefix(10).joined(separator: ", "))\(EndTokens.rest(names.count))")
    }
    if addsBeginning ?? (model == "llama"), let id = beginningID, tokens.indices.contains(id), let template = templates["default"], !template.isEmpty,
      !template.contains("bos_token"), !template.contains(tokens[id])
    {
      notes.append(
        "metadata: the chat template does not begin with \(tokens[id].prefix(40)), and add_bos_token is true: prompts of a chat begin without it, as in transformers; llama.cpp's server adds it")
    }
    return notes
  }
}
