import JSON
import Tensors

extension AdapterTargets {
  /// Reads PEFT's settings; what cannot be read goes to the problems, and then every module counts as named.
  static func read(_ settings: inout AdapterSettings) -> AdapterTargets {
    let before = settings.problems.count
    var targets = AdapterTargets()
    let names = settings.take { (reader, budget) throws(WeightSourceError) in try Self.names("target_modules", reader, &budget, takesAll: true) }
    let excluded = settings.take { (reader, budget) throws(WeightSourceError) in try Self.names("exclude_modules", reader, &budget, takesAll: false) }
    let parameters = settings.take { (reader, _) throws(WeightSourceError) in try Self.strings("target_parameters", reader) }
    let layers = settings.take { (reader, _) throws(WeightSourceError) in try Self.layers(reader) }
    let layerNames = settings.take { (reader, budget) throws(WeightSourceError) in try Self.layerNames(reader, &budget) }
    let saved = settings.take { (reader, budget) throws(WeightSourceError) in try Self.saved(reader, &budget) }
    targets.modules = (names ?? nil) ?? .list(defaults)
    // An empty string excludes nothing.
    targets.excluded = settings.reader.json["exclude_modules"]?.string == "" ? nil : excluded ?? nil
    targets.parameters = Set((parameters ?? nil) ?? [])
    targets.layers = layers ?? nil
    targets.layerNames = layerNames ?? []
    targets.saved = saved ?? []
    let found = targets
    settings.take { (reader, _) throws(WeightSourceError) in try found.checkCombinations(reader) }
    targets.savesTables = found.saved.contains { isTable($0.end) }
    switch found.modules {
    case .list(let names): targets.targetsTables = names.contains(where: isTable)
    case .pattern(let pattern): targets.targetsTables = tables.contains(where: pattern.matches)
    case .allLinear: break
    }
    targets.namesAll = settings.problems.count > before
    return targets
  }

  private static func saved(
    _ reader: ConfigReader, _ budget: inout ModulePattern.Budget
  ) throws(WeightSourceError) -> [(end: String, pattern: ModulePattern)] {
    let key = "modules_to_save"
    guard let ends = try strings(key, reader) else { return [] }
    // Each is tried with every module of the model.
    guard ends.count <= 4096 else { throw reader.failed(key, "holds \(ends.count) names, which is more than can be looked for") }
    var saved: [(end: String, pattern: ModulePattern)] = []
    for end in ends { saved.append((end, try pattern(end, for: .components, key, reader, &budget))) }
    return saved
  }

  private static func isTable(_ name: String) -> Bool { tables.contains(name.split(separator: ".").last.map(String.init) ?? "") }

  /// What PEFT refuses, too.
  private func checkCombinations(_ reader: ConfigReader) throws(WeightSourceError) {
    let hasLayers = reader.json["layers_to_transform"].map { !$0.isNull } ?? false
    if reader.json["target_modules"]?.string != nil {
      for key in ["layers_to_transform", "layers_pattern"] where reader.json[key].map({ !$0.isNull }) ?? false {
        throw reader.failed(key, "is set, and target_modules is a string: PEFT takes it with a list of names only")
      }
    }
    if !hasLayers, !layerNames.isEmpty { throw reader.failed("layers_pattern", "is set without layers_to_transform, which PEFT refuses") }
    // PEFT makes such a list shorter first, and a whole path is then no longer one.
    if layers != nil, case .list(let names) = modules, names.count >= 20 {
      throw reader.failed("layers_to_transform", "is set beside \(names.count) names in target_modules, which PEFT makes fewer of: what is left is not known")
    }
  }

  private static func names(
    _ key: String, _ reader: ConfigReader, _ budget: inout ModulePattern.Budget, takesAll: Bool
  ) throws(WeightSourceError) -> Names? {
    guard let value = reader.value(key), !value.isNull else { return nil }
    guard let text = value.string else { return .list(Set(try strings(key, reader) ?? [])) }
    if takesAll, text.lowercased() == "all-linear" { return .allLinear }
    return .pattern(try pattern(text, for: .whole, key, reader, &budget))
  }

  private static func strings(_ key: String, _ reader: ConfigReader) throws(WeightSourceError) -> [String]? {
    guard let elements = try reader.optional(key, "a list of names", \.array) else { return nil }
    var names: [String] = []
    for element in elements {
      guard let name = element.string else { throw reader.failed(key, "holds \(element.kind), expected names") }
      names.append(name)
    }
    return names
  }

  private static func layers(_ reader: ConfigReader) throws(WeightSourceError) -> Set<Int>? {
    let key = "layers_to_transform"
    guard let value = reader.value(key), !value.isNull else { return nil }
    if let layer = value.int { return [layer] }
    guard let elements = value.array else { throw reader.failed(key, "is \(value.kind), expected numbers of layers") }
    let layers = elements.compactMap(\.int)
    guard layers.count == elements.count else { throw reader.failed(key, "holds something else than numbers of layers") }
    return layers.isEmpty ? nil : Set(layers)
  }

  private static func layerNames(_ reader: ConfigReader, _ budget: inout ModulePattern.Budget) throws(WeightSourceError) -> [ModulePattern] {
    let key = "layers_pattern"
    guard let value = reader.value(key), !value.isNull else { return [] }
    var names: [String] = []
    if let name = value.string { names = name.isEmpty ? [] : [name] } else if let list = try strings(key, reader) { names = list }
    var patterns: [ModulePattern] = []
    for name in names {
      let pattern = try pattern(name, for: .whole, key, reader, &budget)
      // PEFT puts no group around it, and takes the first of several numbers that a repetition leaves.
      guard pattern.fixed != nil else {
        throw reader.failed(key, "holds '\(NameSummary([name]))', and only a name without repetitions and alternatives can be read here")
      }
      patterns.append(pattern)
    }
    return patterns
  }

  static func pattern(
    _ text: String, for use: ModulePattern.Use, _ key: String, _ reader: ConfigReader, _ budget: inout ModulePattern.Budget
  ) throws(WeightSourceError) -> ModulePattern {
    let pattern: ModulePattern
    do throws(ModulePattern.Failure) { pattern = try ModulePattern(text, for: use) } catch {
      throw reader.failed(key, "holds '\(NameSummary([text]))', which is not a regular expression that can be read here: it \(error.reason)")
    }
    guard budget.pays(for: pattern) else {
      throw reader.failed(key, "holds more, with '\(NameSummary([text]))', than is matched here: all patterns of an adapter together are too long")
    }
    return pattern
  }
}
