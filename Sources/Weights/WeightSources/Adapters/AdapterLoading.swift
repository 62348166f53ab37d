import Tensors

/// Which tensors of a module PEFT loads, and how the module is adapted, as the configuration says.
struct AdapterLoading {
  private let config: LoRAConfig
  private let tables: [(table: String, head: String)]
  private let tiesEmbeddings: Bool

  /// - Parameter tables: Tables and the output heads that may be one with them, by weight name.
  init(_ config: LoRAConfig, tables: [(table: String, head: String)], tiesEmbeddings: Bool) {
    (self.config, self.tables, self.tiesEmbeddings) = (config, tables, tiesEmbeddings)
  }

  /// Changes of one of two tied tables are meant for the other as well.
  var tiesChanges: Bool { tiesEmbeddings && config.keepsEmbeddingsTied && config.targets.targetsTables && !config.targets.savesTables }
  /// Whole copies of one of two tied tables are meant for the other as well.
  var tiesCopies: Bool { tiesEmbeddings && config.keepsEmbeddingsTied && config.targets.savesTables }

  func isTable(_ module: String) -> Bool { tables.contains { $0.table == "\(module).weight" } }
  func isHead(_ module: String) -> Bool { tables.contains { $0.head == "\(module).weight" } }

  /// - Parameters:
  ///   - path: The module's, as the adapter's author saw it.
  ///   - isMatrix: Its weight has two dimensions.
  func way(_ module: String, _ path: String, isMatrix: Bool) -> AdapterTargets.Way? {
    let (isTable, isHead) = (isTable(module), isHead(module))
    // PEFT names both itself then.
    if tiesChanges, isHead || isTable && config.targets.excluded?.contains(path, isLinear: false) != true { return .module }
    return config.targets.way(of: path, isLinear: isMatrix && !isTable && !isHead)
  }

  /// Rows of the module's weight that the adapter has itself; those of a table are its tied head's, too.
  func rows(_ module: String, _ path: String, pathOfTable: String?) -> [Int]? {
    if let rows = ownRows(module, path) { return rows }
    guard tiesEmbeddings, isHead(module), let pathOfTable else { return nil }
    return config.tokenRows(of: pathOfTable, isTable: true)
  }
  func ownRows(_ module: String, _ path: String) -> [Int]? { config.tokenRows(of: path, isTable: isTable(module)) }

  /// Takes out of a module's tensors what PEFT does not load.
  ///
  /// - Returns: The setting that names no such module, and the tensor, for each.
  func takeUnloaded(
    from parts: inout AdapterModules.Parts, way: AdapterTargets.Way?, rows: [Int]?
  ) -> [(setting: String, tensor: String)] {
    guard !config.targets.namesAll else { return [] }
    let isWhole = config.targets.savesWhole(parts.path)
    var taken: [(setting: String, tensor: String)] = []
    for (role, name) in parts.roles {
      let setting: String? =
        switch role {
        case .original, .training: nil
        case .tokens: rows == nil ? "trainable_token_indices" : nil
        case .base: way == nil && rows == nil && !isWhole ? "target_modules" : nil
        // What is neither changed nor wrapped has its own name; else PEFT looks for another.
        case .replacement: isWhole || way == nil && rows == nil || name.contains(".modules_to_save.") ? nil : "modules_to_save"
        default: way == nil ? "target_modules" : nil
        }
      guard let setting else { continue }
      parts.roles[role] = nil
      taken.append((setting, name))
    }
    return taken
  }

  /// Whether a module is saved whole and has trained tokens besides, of which PEFT takes both.
  func isWholeWithRows(_ module: String, _ path: String) -> Bool {
    !config.targets.namesAll && ownRows(module, path) != nil && config.targets.wraps(path)
  }

  /// Whether two settings claim the module, which PEFT refuses.
  ///
  /// - Parameter rows: See ``rows(_:_:pathOfTable:)``; PEFT puts a tied head's over a change, and cannot put them over a copy.
  func isClaimedTwice(_ module: String, _ path: String, _ way: AdapterTargets.Way?, rows: [Int]?) -> Bool {
    guard !config.targets.namesAll else { return false }
    let isWhole = config.targets.wraps(path)
    let own = ownRows(module, path)
    return way == .both || way != nil && isWhole || rows != nil && own == nil && isWhole || way != nil && own != nil
  }
}
