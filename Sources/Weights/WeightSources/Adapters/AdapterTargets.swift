/// Which modules of a model an adapter's configuration names, found as PEFT 0.21 finds them when it loads the adapter.
///
/// PEFT loads no tensor of a module that is not named so, whatever the file holds. All paths are those that the adapter's
/// author saw, which in a model without its head begin with `layers`.
struct AdapterTargets: Sendable {
  enum Names: Sendable {
    /// Paths, or their ends in whole components.
    case list(Set<String>)
    case pattern(ModulePattern)
    /// Every linear layer but the output head.
    case allLinear

    func contains(_ path: String, isLinear: Bool) -> Bool {
      switch self {
      case .list(let names): names.contains(path) || AdapterTargets.endings(of: path).contains(where: names.contains)
      case .pattern(let pattern): pattern.matches(path)
      case .allLinear: isLinear
      }
    }
  }
  /// How a weight was adapted.
  enum Way: Equatable {
    case module
    /// By its own name, which patterns are then matched with.
    case parameter
    /// Both, which PEFT refuses.
    case both
  }

  /// Adapters of other savers name none: every module that tensors are for is meant.
  var namesAll = false
  var modules: Names = .list([])
  var excluded: Names?
  /// `layers_to_transform`
  var layers: Set<Int>?
  /// Names that the number of a layer stands behind; none: any name.
  var layerNames: [ModulePattern] = []
  /// `target_parameters`
  var parameters: Set<String> = []
  /// `modules_to_save`, as ends of paths and as PEFT's pattern of modules that take no change.
  var saved: [(end: String, pattern: ModulePattern)] = []
  /// The names of the two tables stand in `modules_to_save`, or in `target_modules`: only then PEFT keeps them equal.
  var savesTables = false, targetsTables = false

  static let everything = AdapterTargets(namesAll: true)
  /// What PEFT takes where `target_modules` is not set, for every family that is built in.
  static let defaults: Set<String> = ["q_proj", "v_proj"]
  static let tables: Set<String> = ["embed_tokens", "lm_head"]

  init(namesAll: Bool = false) { self.namesAll = namesAll }

  /// - Parameters:
  ///   - weight: The weight's name within the module.
  ///   - isLinear: Of a linear layer that is not the output head.
  /// - Returns: nil where the module is not named.
  func way(of path: String, weight: String = "weight", isLinear: Bool) -> Way? {
    if namesAll { return .module }
    // A part of a stack is no module, so that target_modules cannot name it where target_parameters names the stack.
    if let stack = StackedAdapterFile.stack(of: path), namesParameter(stack) { return .parameter }
    let isParameter = namesParameter("\(path).\(weight)")
    switch (names(path, isLinear: isLinear), isParameter) {
    case (true, true): return .both
    case (true, false): return .module
    case (false, true): return .parameter
    case (false, false): return nil
    }
  }

  /// Whether `target_parameters` names a parameter, by its path.
  func namesParameter(_ parameter: String) -> Bool {
    !parameters.isEmpty && (parameters.contains(parameter) || Self.endings(of: parameter).contains(where: parameters.contains))
  }

  private func names(_ path: String, isLinear: Bool) -> Bool {
    if let excluded, excluded.contains(path, isLinear: isLinear) { return false }
    if saved.contains(where: { $0.pattern.matches(path) }) { return false }
    guard modules.contains(path, isLinear: isLinear) else { return false }
    // A whole path is taken whatever layer it is in.
    guard let layers, case .list(let names) = modules, !names.contains(path) else { return true }
    return layer(of: path).map(layers.contains) ?? false
  }

  /// The number that PEFT takes for that of the layer: the first that stands behind one of the names, or behind any but
  /// the path's first component.
  private func layer(of path: String) -> Int? {
    let parts = path.split(separator: ".", omittingEmptySubsequences: false)
    func number(_ index: Int) -> Int? {
      guard index < parts.count - 1, parts[index].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return Int(parts[index])
    }
    guard !layerNames.isEmpty else { return parts.indices.dropFirst(2).lazy.compactMap(number).first }
    for name in layerNames {
      for start in parts.indices {
        for end in parts.indices.dropFirst(start + 1) where name.matches(parts[start..<end].joined(separator: ".")) {
          if let number = number(end) { return number }
        }
      }
    }
    return nil
  }

  /// Whether the module, or one that it is in, was trained whole: PEFT wraps every module whose path ends so, also in the
  /// middle of a component.
  func savesWhole(_ path: String) -> Bool {
    guard !saved.isEmpty else { return false }
    var path = path[...]
    while true {
      if saved.contains(where: { path.hasSuffix($0.end) }) { return true }
      guard let dot = path.lastIndex(of: ".") else { return false }
      path = path[..<dot]
    }
  }
  /// Whether the module itself is wrapped to be trained whole.
  func wraps(_ path: String) -> Bool { saved.contains { path.hasSuffix($0.end) } }

  /// What stands behind each dot of a path.
  static func endings(of path: String) -> [String] {
    path.indices.filter { path[$0] == "." }.map { String(path[path.index(after: $0)...]) }
  }
}
