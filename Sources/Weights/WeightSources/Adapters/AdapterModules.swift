import Families
import Tensors

/// An adapter's tensors sorted by the module of the model that they are for.
struct AdapterModules {
  struct Parts {
    /// The module's path as the adapter's author saw it.
    let path: String
    var roles: [AdapterTensorName.Role: String] = [:]
  }
  private(set) var byName: [String: Parts] = [:]
  /// What the author's paths have in front of the model's, and the other way round; nil where modules differ in it.
  private(set) var prefixes: (author: String, model: String)?
  private(set) var problems: [AdapterProblem] = []
  private(set) var warnings: [String] = []

  /// - Parameters:
  ///   - weights: Names of the model's parameters.
  ///   - wholeModels: Classes of models that have this one as a part.
  ///   - otherNames: Modules that transformers knows by another name than the model's files, by that name.
  init(
    _ file: any AdapterFile, weights: some Collection<String>, layerCount: Int, wholeModels: [WholeModel] = [], otherNames: [String: String] = [:]
  ) {
    let paths = ModulePaths(known: Set(weights.map { $0[..<($0.lastIndex(of: ".") ?? $0.endIndex)] }.map(String.init)), wholeModels: wholeModels, otherNames: otherNames)
    var others: [String] = []
    // TRL's, of reinforcement learning: no part of what generates, and not read by PEFT.
    var valueHeads: [String] = []
    var strange: [String] = [], lost: [String] = [], beyond: [String] = [], twice: [String] = []
    var wrappers: [String] = []
    var adapters: Set<Substring> = []
    var largest = 0
    let names = file.names
    for name in names {
      if paths.isOfOtherPart(name) { others.append(name); continue }
      if name.split(separator: ".").contains("v_head") { valueHeads.append(name); continue }
      guard let parsed = file.parsed(name) else { strange.append(name); continue }
      if parsed.role == .training { continue }
      if let adapter = parsed.adapterName { adapters.insert(adapter) }
      guard let found = parsed.paths.lazy.compactMap(paths.find).first else {
        if let layer = Self.layer(parsed.paths[0]), layer >= layerCount, Self.isKnown(parsed.paths[0], layer, paths) {
          largest = max(largest, layer)
          beyond.append(name)
        } else {
          lost.append(name)
        }
        continue
      }
      for wrapper in found.wrappers where !wrappers.contains(wrapper) { wrappers.append(wrapper) }
      if let other = byName[found.module]?.roles[parsed.role] {
        // A copy that was saved along with the table: PEFT reads the one without the wrapper's name.
        if name.contains(".modules_to_save.") { continue }
        if !other.contains(".modules_to_save.") { twice.append(name) }
      }
      byName[found.module, default: Parts(path: found.path)].roles[parsed.role] = name
    }
    let renamed = Set(otherNames.values)
    let found = Set(
      byName.filter { !renamed.contains($0.key) }.map { module, parts in
        let common = zip(module.reversed(), parts.path.reversed()).prefix { $0 == $1 }.count
        return [String(parts.path.dropLast(common)), String(module.dropLast(common))]
      })
    if let prefix = found.first, found.count == 1 { prefixes = (prefix[0], prefix[1]) }
    note(strange: strange, lost: lost, beyond: beyond, largest: largest, layerCount: layerCount, of: names.count)
    if !others.isEmpty, others.count == names.count {
      problems.append(
        AdapterProblem(
          .modules, naming: others.map(Self.short), remedy: "Take an adapter whose target_modules name the language model, too."
        ) { "all \($0.count) tensors are for the parts of the model that see images, which engines do not have: \($0)" })
    } else if !others.isEmpty {
      warnings.append(
        "of \(others.count) of \(names.count) tensors are for parts that see images, and left out, as text does without: "
          + SourceWarning.shortened(NameSummary(others.map(Self.short).sorted(), limit: 1).description, to: 90))
    }
    if !valueHeads.isEmpty {
      warnings.append("stand beside \(valueHeads.count) tensors of a value head, left out as PEFT does: \(SourceWarning.shortened(NameSummary(valueHeads.sorted(), limit: 1).description, to: 90))")
    }
    if adapters.count > 1 {
      problems.append(
        AdapterProblem(
          .names, "the tensors are of \(adapters.count) adapters: \(NameSummary(adapters.map(String.init).sorted()))",
          remedy: "Save each by itself: save_pretrained with selected_adapters."))
    } else if !twice.isEmpty {
      problems.append(AdapterProblem(.names, naming: twice.map(Self.short), remedy: AdapterPlan.saveAgain) { "\($0.count) tensors are there twice under different names: \($0)" })
    }
    if let adapter = adapters.first { wrappers.append("the adapter's name '\(NameSummary([String(adapter)]))'") }
    if !wrappers.isEmpty {
      warnings.append("have other names than PEFT gives them (\(wrappers.joined(separator: ", "))); each leads to one module, and was read as that")
    }
  }

  /// The path that a module of the model had for the adapter's author; nil where that model had none, or it is not known.
  func path(of module: String) -> String? {
    if let known = byName[module]?.path { return known }
    guard let prefixes, module.hasPrefix(prefixes.model) else { return nil }
    return prefixes.author + module.dropFirst(prefixes.model.count)
  }

  private mutating func note(strange: [String], lost: [String], beyond: [String], largest: Int, layerCount: Int, of count: Int) {
    let foreign = strange.filter { $0.contains("lora_down") || $0.contains("lora_up") || $0.hasSuffix(".alpha") }
    if !strange.isEmpty {
      problems.append(
        AdapterProblem(
          .names, naming: foreign.count == strange.count ? strange : strange.map(Self.short), remedy: LoRAConfig.mergeRemedy
        ) {
          foreign.count == strange.count
            ? "all \(strange.count) tensors are named as kohya-ss's trainers of image models do: \($0)"
            : "\(strange.count) of \(count) tensors have no part in a LoRA adapter: \($0)"
        })
    }
    if !beyond.isEmpty {
      problems.append(
        AdapterProblem(
          .modules, naming: beyond.map(Self.short), remedy: AdapterPlan.otherModel
        ) { "\(beyond.count) of \(count) tensors are for layers up to \(largest), and the model's last is \(layerCount - 1): \($0)" })
    }
    if !lost.isEmpty {
      let common = NameSummary.commonPrefix(lost).map { ", which begin with '\($0)'" } ?? ""
      problems.append(
        AdapterProblem(
          .modules, naming: lost.map(Self.short), remedy: AdapterPlan.otherModel
        ) { "\(lost.count) of \(count) tensors are for modules that the model does not have\(common.count < 90 ? common : ""): \($0)" })
    }
  }

  /// A tensor's name for people, without what all have in common.
  static func short(_ name: String) -> String {
    name.hasPrefix("base_model.model.") ? String(name.dropFirst("base_model.model.".count)) : name
  }

  private static func layer(_ path: [Substring]) -> Int? {
    guard let index = path.firstIndex(of: "layers"), index + 1 < path.count else { return nil }
    return Int(path[index + 1])
  }
  private static func isKnown(_ path: [Substring], _ layer: Int, _ paths: ModulePaths) -> Bool {
    paths.find(path.map { $0 == Substring(String(layer)) ? "0" : $0 }) != nil
  }
}
