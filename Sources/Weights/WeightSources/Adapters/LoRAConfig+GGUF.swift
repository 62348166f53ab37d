import Families
import Files
import JSON
import Tensors

extension LoRAConfig {
  /// PEFT's name for it.
  static let fileName = "adapter_config.json"

  /// What a GGUF file's metadata says of the adapter in it, read as llama.cpp's loader does.
  ///
  /// The script that writes such files keeps `lora_alpha` and drops `use_rslora` and `alpha_pattern`, so B·A is always
  /// multiplied by alpha / r, with each module's own r.
  ///
  /// - Parameters:
  ///   - problems: Gets every setting that cannot be had.
  ///   - warnings: Gets what is said there and used by nothing.
  init(gguf file: GGUFFile, _ layout: ShardLayout, problems: inout [AdapterProblem], warnings: inout [SourceWarning]) {
    self.init(.llamaCpp)
    var found = MetadataFindings(file: file)
    found.requireText("general.type", "adapter")
    found.requireText("adapter.type", "lora")
    found.requireArchitecture(layout.family)
    if let alpha = found.alpha() { self.alpha = alpha } else { givenScale = 1 }
    found.refuseUnknown()
    found.compareWithPEFT()
    problems += found.problems
    warnings += found.warnings
  }
}

private struct MetadataFindings {
  let file: GGUFFile
  var problems: [AdapterProblem] = []
  var warnings: [SourceWarning] = []

  private static let makeAgain = "Make the file again with llama.cpp's convert_lora_to_gguf.py."
  private static let alphaKey = "adapter.lora.alpha", invocationKey = "adapter.alora.invocation_tokens", prefixKey = "adapter.lora.prompt_prefix"
  private static let known: Set<String> = ["adapter.type", alphaKey, invocationKey, prefixKey, "adapter.lora.task_name"]
  /// What describes the file, or a model's tokenizer, which no adapter is read for.
  private static let silent = ["general.", "adapter.", "split.", "tokenizer.", "quantize."]

  mutating func requireText(_ key: String, _ wanted: String) {
    let found = file.metadata[key]
    guard found?.string != wanted else { return }
    let what = found.map { $0.string.map { "'\(NameSummary([$0]))'" } ?? $0.kind } ?? "missing"
    problems.append(AdapterProblem(.settings, "\(key) is \(what), and only '\(wanted)' can be put on weights", remedy: Self.makeAgain))
  }

  mutating func requireArchitecture(_ family: ModelFamily) {
    let key = "general.architecture"
    guard let found = file.metadata[key]?.string, !family.ggufArchitectures.contains(found) else {
      if file.metadata[key]?.string == nil { requireText(key, family.ggufArchitectures.first ?? "") }
      return
    }
    problems.append(
      AdapterProblem(
        .architecture, "\(key) is '\(NameSummary([found]))', and the engine's model is of '\(family.ggufArchitectures.joined(separator: "' or '"))'",
        remedy: AdapterPlan.otherModel))
  }

  /// nil where it says 0 or nothing: B·A is then added as it is.
  mutating func alpha() -> Double? {
    guard let value = file.metadata[Self.alphaKey] else {
      warnings.append(SourceWarning(Self.alphaKey, in: "metadata", "is missing: the change is added unscaled, as llama.cpp does"))
      return nil
    }
    guard let alpha = value.double, alpha.isFinite else {
      problems.append(
        AdapterProblem(
          .settings, "\(Self.alphaKey) is \(value.double.map { "\($0)" } ?? value.kind), expected a finite number", remedy: Self.makeAgain))
      return nil
    }
    if alpha == 0 {
      warnings.append(SourceWarning(Self.alphaKey, in: "metadata", "is 0: the change is added unscaled, as llama.cpp does"))
      return nil
    }
    return alpha
  }

  /// The script writes beside the adapter that it reads, unless another place is named: what is said there and lost here is reported.
  mutating func compareWithPEFT() {
    let name = LoRAConfig.fileName  // named by GGUFFile.files(of:), so that it is checked where sources are
    guard let text = try? ReadableFile.contents(of: file.path.removingLastComponent().appending(name), limit: 64 << 20),
      let config = try? JSONValue(parsing: text, allowsNonFinite: true)
    else { return }
    var lost = ["use_rslora", "ensure_weight_tying"].filter { config[$0]?.bool == true }
    if config["alpha_pattern"]?.object?.isEmpty == false { lost.append("alpha_pattern") }
    if !lost.isEmpty {
      warnings.append(
        SourceWarning(
          lost[0], in: name, "is set beside the GGUF file\(lost.count > 1 ? ", as is \(lost[1...].joined(separator: " and "))" : ""), which cannot hold it: name the directory to put PEFT's adapter on"))
    }
  }

  mutating func refuseUnknown() {
    if let tokens = file.metadata[Self.invocationKey], tokens != .integers([]) {
      problems.append(
        AdapterProblem(
          .settings, "metadata has \(Self.invocationKey), which changes weights only from these tokens of a prompt on", remedy: LoRAConfig.mergeRemedy))
    }
    let unknown = file.metadata.values.keys.filter { $0.hasPrefix("adapter.") && !Self.known.contains($0) }.sorted()
    if !unknown.isEmpty {
      problems.append(
        AdapterProblem(
          .settings, "metadata has \(NameSummary(unknown)), which this version does not know", remedy: LoRAConfig.mergeRemedy))
    }
    if let prefix = file.metadata[Self.prefixKey]?.string, !prefix.isEmpty {
      warnings.append(SourceWarning(Self.prefixKey, in: "metadata", "is '\(SourceWarning.shortened(prefix, to: 60))', which prompts have to begin with: nothing here puts it there"))
    }
    let unused = file.metadata.values.keys.filter { key in !Self.silent.contains(where: key.hasPrefix) }.sorted()
    if !unused.isEmpty {
      warnings.append(SourceWarning("metadata", in: "metadata", "has keys that nothing uses: \(NameSummary(unused))"))
    }
    let norms = file.names.filter { $0.hasSuffix("_norm.weight") }
    if let first = norms.first {
      warnings.append(
        SourceWarning(
          first, in: "tensors", "is the adapter's own\(norms.count > 1 ? ", and \(norms.count - 1) more norms are" : ""): put in the place of the model's as PEFT does, which llama.cpp does not"))
    }
    let unreadable = file.names.filter { file.description(of: $0) == nil }
    if !unreadable.isEmpty {
      let types = Set(unreadable.compactMap { file.storage(of: $0)?.name }).sorted()
      problems.append(
        AdapterProblem(
          .elementTypes, "\(unreadable.count) tensors are of \(NameSummary(types)), which cannot be read: \(NameSummary(unreadable))",
          remedy: "Make the file again with --outtype f16 or f32."))
    }
  }
}
