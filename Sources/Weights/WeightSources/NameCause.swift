/// Why a model's tensors have other names than its family's, found in what all of them have in common.
struct NameCause: Equatable {
  let cause: String
  let remedy: String

  /// What programs put around a model or a layer, and what to do.
  private static let wrappers: [(prefix: String, by: String, remedy: String)] = [
    ("_orig_mod.", "a compiled model", "Save the model that was compiled (model._orig_mod)."),
    ("module.", "a model in DataParallel or DeepSpeed", "Save the model inside (model.module)."),
    ("_fsdp_wrapped_module.", "a model in FSDP", "Save with a full state dict, whose names have no wrapper."),
    ("_checkpoint_wrapped_module.", "a model with activation checkpointing", "Save the model without that wrapper."),
  ]

  /// - Parameters:
  ///   - wanted: Names that the model should have.
  ///   - missing: Those of them that are not there.
  ///   - unexpected: Names that are there and have no place.
  ///   - isGGUF: Whether they are of a GGUF file, which has its settings within.
  init?(wanted: Set<String>, missing: [String], unexpected: [String], isGGUF: Bool = false) {
    guard let first = unexpected.first else { return nil }
    let absent = Set(missing)
    func explains(_ renamed: (String) -> String) -> Bool {
      let found = unexpected.filter { absent.contains(renamed($0)) }.count
      return found > 0 && found * 2 >= absent.count
    }
    if unexpected.contains(where: { $0.contains(".lora_A.") || $0.contains(".base_layer.") }) {
      (cause, remedy) = ("the weights hold a PEFT adapter that was not merged ('.lora_A.' and '.base_layer.' in names)", "Merge it with PEFT (merge_and_unload) and save the result.")
      return
    }
    for (wrapper, by, remedy) in Self.wrappers where explains({ $0.replacing(wrapper, with: "") }) {
      let all = unexpected.allSatisfy { $0.hasPrefix(wrapper) }
      (cause, self.remedy) = ("\(all ? "every name starts with" : "names hold") '\(wrapper)': saved from \(by)", remedy)
      return
    }
    for prefix in ["model.language_model.", "language_model.model.", "language_model."] where explains({ Self.replace(prefix, in: $0) }) {
      (cause, remedy) = ("names start with '\(prefix)': this is the language model inside one for images or sound", "Save the language model alone, and name that.")
      return
    }
    if explains({ Self.drop("base_model.model.", $0) }) {
      (cause, remedy) = ("every name starts with 'base_model.model.': saved from a PEFT model", "Merge the adapter (merge_and_unload) and save the result.")
      return
    }
    // Any other prefix that all share, doubled ones among them.
    let parts = first.split(separator: ".", omittingEmptySubsequences: false)
    for count in 1..<max(2, min(parts.count, 6)) {
      let prefix = parts.prefix(count).joined(separator: ".") + "."
      guard unexpected.allSatisfy({ $0.hasPrefix(prefix) }) else { break }
      if explains({ Self.drop(prefix, $0) }) {
        (cause, remedy) = ("every name starts with '\(prefix.prefix(60))', which the family's names do not", "Save the model inside the wrapper that put it there.")
        return
      }
    }
    // An ending that all share, with what a program that rewrites weights put behind each name.
    for count in 1..<max(2, min(parts.count, 4)) {
      let ending = "." + parts.suffix(count).joined(separator: ".")
      guard ending != ".weight", ending != ".bias", unexpected.allSatisfy({ $0.hasSuffix(ending) }) else { break }
      if explains({ String($0.dropLast(ending.count)) }) {
        (cause, remedy) = ("every name ends with '\(ending.suffix(60))', which the family's names do not", "Save the model without what put it there (a parametrization, a pruning mask, an optimiser's wrapper).")
        return
      }
    }
    // Layers beyond the configuration's.
    let layers = unexpected.compactMap(Self.layer), known = wanted.compactMap(Self.layer)
    if missing.isEmpty, layers.count == unexpected.count, let top = layers.max(), let last = known.max(), layers.allSatisfy({ $0 > last }) {
      cause = "\(Self.layerCount(isGGUF)) is \(last + 1), and the weights hold \(top + 1) layers"
      remedy = isGGUF ? "Download the file again, or convert the model to GGUF again." : "Take the config.json that was saved with these weights."
      return
    }
    return nil
  }

  /// Layers that the configuration has and the weights have not.
  init?(missing: [String], wanted: Set<String>, isGGUF: Bool = false) {
    let layers = missing.compactMap(Self.layer)
    guard let first = layers.min(), first > 0, layers.count == missing.count, let last = wanted.compactMap(Self.layer).max(),
      // Biases that are not there may count as zeros.
      Set(missing).isSuperset(of: wanted.filter { name in name.hasSuffix(".weight") && Self.layer(name).map { $0 >= first } ?? false })
    else { return nil }
    cause = "\(Self.layerCount(isGGUF)) is \(last + 1), and the weights hold \(first) layers"
    remedy =
      isGGUF
      ? "Download the file again, or convert the model to GGUF again."
      : "Take the config.json that was saved with these weights, or download them again."
  }
  private static func layerCount(_ isGGUF: Bool) -> String { isGGUF ? "block_count" : "num_hidden_layers" }

  private static func drop(_ prefix: String, _ name: String) -> String { name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name }
  /// `model.language_model.layers` is `model.layers`, `language_model.lm_head` is `lm_head`.
  private static func replace(_ prefix: String, in name: String) -> String {
    guard name.hasPrefix(prefix) else { return name }
    return (prefix == "language_model." ? "" : "model.") + name.dropFirst(prefix.count)
  }
  private static func layer(_ name: String) -> Int? {
    let parts = name.split(separator: ".")
    guard let place = parts.firstIndex(where: { $0 == "layers" || $0 == "blk" }), place + 1 < parts.count else { return nil }
    // A name comes out of a file: a number beyond any model's is none.
    return Int(parts[place + 1]).flatMap { (0..<1 << 20).contains($0) ? $0 : nil }
  }
}
