extension GGUFTokenizer {
  /// The chat templates by name. As llama.cpp does, the one for tools counts as the default where there is no other.
  var chatTemplates: [String: String] {
    var templates = namedChatTemplates
    let given = [chatTemplate, templates["default"], templates["tool_use"]].compactMap { $0 }
    templates["default"] = given.first { !$0.isEmpty } ?? given.first
    return templates.compactMapValues { $0 == "chatml" ? Self.chatML : Self.builtIn.contains($0) ? nil : $0 }
  }

  /// Where a text is no template but the name of one that llama.cpp has itself.
  private static let chatML =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
  private static let builtIn: Set<String> = [
    "llama2", "llama2-sys", "llama2-sys-bos", "llama2-sys-strip", "mistral-v1", "mistral-v3", "mistral-v3-tekken", "mistral-v7",
    "mistral-v7-tekken", "phi3", "phi4", "falcon3", "zephyr", "monarch", "gemma", "orion", "openchat", "vicuna", "vicuna-orca", "deepseek",
    "deepseek2", "deepseek3", "deepseek-ocr", "command-r", "llama3", "chatglm3", "chatglm4", "glmedge", "minicpm", "exaone3", "exaone4",
    "exaone-moe", "rwkv-world", "granite", "granite-4.0", "granite-4.1", "gigachat", "megrez", "yandex", "bailing", "bailing-think",
    "bailing2", "llama4", "smolvlm", "hunyuan-moe", "gpt-oss", "hunyuan-dense", "hunyuan-vl", "kimi-k2", "seed_oss", "grok-2",
    "pangu-embedded", "solar-open",
  ]

  /// What is to be said of how chats are written: a line each.
  public var notes: [String] {
    var notes = (model == "gpt2" ? [WordRule.note(preTokenizer)].compactMap(\.self) : []) + roleNotes + typeNotes
    let templates = chatTemplates
    if let name = chatTemplate, Self.builtIn.contains(name) {
      notes.append("metadata: tokenizer.chat_template is '\(name)', the name of a template that llama.cpp has itself, and only 'chatml' is known here: chats need a chat_template.jinja")
    }
    let own = [chatTemplate, namedChatTemplates["default"]].compactMap { $0 }
    if own.allSatisfy(\.isEmpty), let tools = namedChatTemplates["tool_use"], !tools.isEmpty {
      notes.append("metadata: the only chat template is tokenizer.chat_template.tool_use: it counts for every chat, as in llama.cpp")
    } else if own.isEmpty, !templates.isEmpty {
      let names = templates.keys.sorted()
      notes.append("metadata: there is no tokenizer.chat_template: a chat must name one of \(names.prefix(10).joined(separator: ", "))\(EndTokens.rest(names.count))")
    }
    if addsBeginning ?? (model == "llama"), let id = resolved.beginningID, tokens.indices.contains(id), let template = templates["default"], !template.isEmpty,
      !template.contains("bos_token"), !template.contains(tokens[id])
    {
      notes.append(
        "metadata: the chat template does not begin with \(tokens[id].prefix(40)), and add_bos_token is true: prompts of a chat begin without it, as in transformers; llama.cpp's server adds it")
    }
    return notes
  }
}
