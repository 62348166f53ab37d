import Families

/// What the name of an adapter's tensor says: the path of a module, and the tensor's part in it.
///
/// PEFT writes `base_model.model.` + module + `.lora_A.weight` and so on. Other savers leave their wrappers in the path or
/// the adapter's name behind `lora_A`; ``ModulePaths`` finds the module then.
struct AdapterTensorName {
  enum Role: Hashable {
    /// `[r, in]` and `[out, r]`.
    case down, up
    /// `[out]`, added to the module's bias.
    case upBias
    /// Of an embedding table: `[r, rows]` and `[columns, r]`.
    case embeddingDown, embeddingUp
    /// Of an embedding table in a GGUF file: `[columns, r]` and `[rows, r]`.
    case tableDown, tableUp
    /// mlx's: `[in, r]` and `[r, out]`.
    case mlxDown, mlxUp
    /// DoRA's lengths, of rows (`[out]`), or of a table's columns.
    case magnitude
    /// Rows of a table that are the adapter's own.
    case tokens
    /// A whole parameter that takes the place of the base's.
    case replacement(String)
    /// The parameter to which a change is added.
    case base(String)
    /// What the module was before training, which nothing uses.
    case original(String)
    /// Nothing to a trained adapter.
    case training
  }
  /// Paths that the module may have, the likeliest first: whether a component is an adapter's name is not always to be seen.
  let paths: [[Substring]]
  let role: Role
  /// The adapter's name, where it was left in the tensor's.
  var adapterName: Substring?

  private static let markers: [Substring: Role] = [
    "lora_A": .down, "lora_B": .up, "lora_embedding_A": .embeddingDown, "lora_embedding_B": .embeddingUp, "lora_a": .mlxDown,
    "lora_b": .mlxUp, "lora_magnitude_vector": .magnitude, "lora_velora_embed": .training, "lora_monteclora_sampler": .training,
  ]

  init?(_ name: String) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard !parts.contains(where: \.isEmpty) else { return nil }
    if let index = parts.lastIndex(where: { Self.markers[$0] != nil }), let role = Self.markers[parts[index]] {
      self.init(path: Array(parts[..<index]), role, tail: parts[(index + 1)...])
    } else if let index = parts.lastIndex(of: "token_adapter") {
      self.init(path: Array(parts[..<index]), tokenTail: parts[(index + 1)...])
    } else if let last = parts.last, last == "weight" || last == "bias", !parts.contains(where: { $0.hasPrefix("lora_") }) {
      self.init(whole: parts.dropLast(), String(last))
    } else {
      return nil
    }
  }

  private init?(path: [Substring], _ role: Role, tail: ArraySlice<Substring>) {
    paths = [path]
    if role == .training { self.role = role; return }
    var tail = tail
    var role = role
    switch tail.last {
    case "weight": tail.removeLast()
    case "bias" where role == .up:
      role = .upBias
      tail.removeLast()
    default: break
    }
    guard tail.count <= 1 else { return nil }
    self.role = role
    adapterName = tail.first
  }

  private init?(path: [Substring], tokenTail tail: ArraySlice<Substring>) {
    paths = [path]
    switch tail.first {
    case "trainable_tokens_delta" where tail.count <= 2:
      role = .tokens
      adapterName = tail.dropFirst().first
    case "trainable_tokens_original": role = .training
    case "base_layer" where tail.count == 2 && tail.last == "weight": role = .base("weight")
    default: return nil
    }
  }

  private init(whole path: ArraySlice<Substring>, _ parameter: String) {
    if let index = path.lastIndex(of: "modules_to_save") {
      let (before, after) = (Array(path[..<index]), path[(index + 1)...])
      role = .replacement(parameter)
      paths = [before + after, before + after.dropFirst()]
    } else if let index = path.lastIndex(of: "original_module") {
      role = .original(parameter)
      paths = [Array(path[..<index]) + path[(index + 1)...]]
    } else if path.last == "base_layer" {
      role = .base(parameter)
      paths = [Array(path.dropLast())]
    } else {
      role = .replacement(parameter)
      paths = [Array(path)]
    }
  }
}

/// Finds a model's module by the path that an adapter's saver gave it.
///
/// Only wrappers that hand everything on to what they hold are taken away, so a path leads to one module or to none.
struct ModulePaths {
  struct Found {
    let module: String
    /// The path as the adapter's author saw it, for patterns.
    let path: String
    /// What was taken away or added, for people; empty for PEFT's own way of writing.
    let wrappers: [String]
  }
  let known: Set<String>
  /// Classes of models that have this one as a part, under names of their own.
  var wholeModels: [WholeModel] = []
  /// Modules that transformers knows by another name than the model's files.
  var otherNames: [String: String] = [:]

  /// Wrappers that may stand anywhere, and whose they are.
  private static let runtime: [Substring: String] = [
    "_orig_mod": "torch.compile", "_fsdp_wrapped_module": "FSDP", "_checkpoint_wrapped_module": "activation checkpoints",
  ]
  /// Wrappers that may stand in front of a model, and whose they are.
  private static let leading: [Substring: String] = [
    "base_model": "PEFT, once more", "model": "a module around the model", "module": "DataParallel or DeepSpeed",
    "language_model": "a model that also sees or hears", "llm": "a model that also sees or hears", "pretrained_model": "TRL",
  ]

  /// Names come out of a file, and a path is matched with patterns: one of more components than any model's is none.
  private static let componentLimit = 64

  /// Whether a tensor is for a part of such a model that text does without.
  func isOfOtherPart(_ name: String) -> Bool {
    guard !wholeModels.isEmpty else { return false }
    var path = name.split(separator: ".", omittingEmptySubsequences: false).filter { Self.runtime[$0] == nil }[...]
    while path.first == "module" { path.removeFirst() }
    if path.starts(with: ["base_model", "model"]) { path.removeFirst(2) }
    let rest = path.joined(separator: ".")
    return wholeModels.contains { $0.otherPrefixes.contains { rest.hasPrefix($0) } }
  }

  private func module(_ path: String) -> String? { known.contains(path) ? path : otherNames[path] }

  func find(_ parts: [Substring]) -> Found? {
    guard parts.count <= Self.componentLimit else { return nil }
    var wrappers: [String] = []
    func note(_ part: Substring, _ whose: String) {
      let text = "'\(part)' of \(whose)"
      if !wrappers.contains(text) { wrappers.append(text) }
    }
    var rest = parts.filter { part in
      guard let whose = Self.runtime[part] else { return true }
      note(part, whose)
      return false
    }
    while rest.first == "module" {
      note("module", Self.leading["module"] ?? "")
      rest.removeFirst()
    }
    let seen: [Substring]
    if rest.starts(with: ["base_model", "model"]) {
      rest.removeFirst(2)
      seen = rest
      let path = rest.joined(separator: ".")
      if let module = module(path) { return Found(module: module, path: path, wrappers: wrappers) }
      // As PEFT writes it for the model around this one.
      if let module = wholeModels.lazy.compactMap({ $0.textName(path + ".")?.dropLast() }).map(String.init).first(where: known.contains) {
        return Found(module: module, path: path, wrappers: wrappers)
      }
    } else {
      seen = rest
      wrappers.append("no 'base_model.model.'")
    }
    func found() -> Found? {
      let path = rest.joined(separator: ".")
      if let module = module(path) { return Found(module: module, path: seen.joined(separator: "."), wrappers: wrappers) }
      guard let module = module("model." + path) else { return nil }
      return Found(module: module, path: seen.joined(separator: "."), wrappers: wrappers + ["no 'model.'"])
    }
    if let found = found() { return found }
    // In the middle: `model.language_model.layers`.
    if let index = rest.firstIndex(of: "language_model"), index > 0 {
      note("language_model", Self.leading["language_model"] ?? "")
      rest.remove(at: index)
      if let found = found() { return found }
    }
    while let first = rest.first, let whose = Self.leading[first] {
      note(first, whose)
      rest.removeFirst()
      if let found = found() { return found }
    }
    return nil
  }
}
