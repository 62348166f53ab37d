import Families
import Tensors

/// What an adapter does to each weight of a model, and everything that is in the way.
struct AdapterPlan {
  let adapter: LoRAAdapter
  let layout: ShardLayout
  /// By weight name in the base model.
  private(set) var changes: [String: AdapterChange] = [:]
  private(set) var problems: [AdapterProblem] = []
  /// What was read otherwise than PEFT would write it.
  private(set) var warnings: [SourceWarning] = []
  private let loading: AdapterLoading
  /// By weight name in the base model: its shape.
  private let weights: [String: [Int]]

  static let otherModel = "Check that the adapter was trained on this model."
  static let otherSettings = "Take the adapter_config.json that was saved with these tensors."
  static let saveAgain = "Save the adapter again with the program that made it."

  /// - Parameters:
  ///   - tiesEmbeddings: The model's author declares table and output head to be one.
  ///   - sharesEmbedding: They are stored as one.
  init(_ adapter: LoRAAdapter, _ layout: ShardLayout, tiesEmbeddings: Bool, sharesEmbedding: Bool) {
    self.adapter = adapter
    self.layout = layout
    var weights: [String: [Int]] = [:]
    for rank in 0..<layout.mapping.worldSize {
      for tensor in layout.tensors(rank: rank) {
        for piece in tensor.pieces { weights[piece.source] = piece.sourceShape }
      }
    }
    self.weights = weights
    let tables = Self.tables(of: layout)
    self.tables = tables
    loading = AdapterLoading(adapter.config, tables: tables, tiesEmbeddings: tiesEmbeddings)
    let modules = AdapterModules(
      adapter.file, weights: weights.keys, layerCount: layout.shape.layerCount, wholeModels: layout.family.wholeModels,
      otherNames: layout.family.transformersModules(layout.shape))
    problems += adapter.problems + modules.problems
    warnings += modules.warnings.map { SourceWarning("lora_A, lora_B", in: adapter.file.origin, $0) }
    if adapter.file.names.isEmpty {
      problems.append(AdapterProblem(.files, "the file holds no tensors", remedy: Self.saveAgain))
    }
    var found = Findings()
    let pathOfTable = tables.first.flatMap { modules.path(of: Self.module(of: $0.table)) }
    for module in modules.byName.keys.sorted() {
      guard var parts = modules.byName[module] else { continue }
      let way = loading.way(module, parts.path, isMatrix: weights["\(module).weight"]?.count == 2)
      let rows = loading.rows(module, parts.path, pathOfTable: pathOfTable)
      if loading.isClaimedTwice(module, parts.path, way, rows: rows) { found.claimedTwice.append(module) }
      if loading.isWholeWithRows(module, parts.path) { found.wholeWithRows.append(module) }
      for (setting, tensor) in loading.takeUnloaded(from: &parts, way: way, rows: rows) {
        found.unnamed[setting, default: []].append(AdapterModules.short(tensor))
      }
      add(module, parts, way, &found)
      if let rows, let name = parts.roles[.tokens] { addTokens(name, rows, of: module, &found) }
    }
    requireTokens(modules, tiesEmbeddings: tiesEmbeddings, &found)
    requireWhole(modules, &found)
    // A table's magnitudes are of its columns, a head's of its rows: one cannot stand for the other.
    for pair in tables where loading.tiesChanges && changes[pair.head]?.lowRank == nil {
      guard changes[pair.table]?.lowRank?.magnitude != nil else { continue }
      found.partners.append("\(Self.module(of: pair.head)).lora_magnitude_vector, as ensure_weight_tying is set")
    }
    problems += found.problems(configuredRank: adapter.config.rank, pools: adapter.config.poolsInputs, vocabulary: layout.shape.vocabularySize)
    let place = adapter.path.appending(LoRAConfig.fileName).string
    if changes.isEmpty, problems.isEmpty, !found.unnamed.isEmpty {
      problems.append(
        AdapterProblem(
          .settings, "the configuration names none of the modules that the tensors are for, so PEFT would load nothing: \(NameSummary(found.unnamed.values.flatMap { $0 }.sorted(), limit: 4))",
          remedy: Self.otherSettings))
    } else {
      warnings += found.warnings(in: place)
    }
    for pair in tables { keepTied(pair, modules, tiesEmbeddings: tiesEmbeddings) }
    if sharesEmbedding, problems.isEmpty { checkSharing() }
  }

  private static func module(of weight: String) -> String { String(weight[..<(weight.lastIndex(of: ".") ?? weight.endIndex)]) }

  private func shape(_ tensor: String) -> [Int] { adapter.file.description(of: tensor)?.shape ?? [] }

  // MARK: One module

  private mutating func add(_ module: String, _ parts: AdapterModules.Parts, _ way: AdapterTargets.Way?, _ found: inout Findings) {
    for name in parts.roles.values {
      guard let type = adapter.file.description(of: name)?.elementType, !NumberFormat.converts(type, to: .float32) else { continue }
      found.elementTypes.append("\(AdapterModules.short(name)) \(type.rawValue)")
    }
    addLowRank(module, parts, way, &found)
    for (role, name) in parts.roles {
      let (parameter, isUsed): (String, Bool) =
        switch role {
        case .replacement(let parameter), .base(let parameter): (parameter, true)
        case .original(let parameter): (parameter, false)
        default: ("", false)
        }
      let weight = "\(module).\(parameter)"
      guard !parameter.isEmpty else { continue }
      guard let expected = weights[weight] else {
        if parameter == "bias", weights["\(module).weight"] != nil {
          // A copy that was never trained changes nothing, but belongs to another model all the same.
          found.trainedBiases.append(AdapterModules.short(name))
        } else {
          found.without.append(AdapterModules.short(name))
        }
        continue
      }
      check(name, expected, weight, &found)
      guard isUsed else { continue }
      if changes[weight]?.replacement != nil { found.twice.append(weight) }
      changes[weight, default: AdapterChange()].replacement = name
    }
  }

  private mutating func addLowRank(_ module: String, _ parts: AdapterModules.Parts, _ way: AdapterTargets.Way?, _ found: inout Findings) {
    let isTable = loading.isTable(module)
    /// Which tensor multiplies inputs, which makes outputs, and whether each is stored the other way round.
    typealias Kind = (down: AdapterTensorName.Role, isDownTransposed: Bool, up: AdapterTensorName.Role, isUpTransposed: Bool)
    let kinds: [Kind] = [
      (.down, false, .up, false), (.embeddingUp, true, .embeddingDown, true), (.tableDown, true, .tableUp, false),
      isTable ? (.mlxUp, false, .mlxDown, false) : (.mlxDown, true, .mlxUp, true),
    ]
    let present = kinds.filter { parts.roles[$0.down] != nil || parts.roles[$0.up] != nil }
    guard let kind = present.first else {
      for role in [AdapterTensorName.Role.magnitude, .upBias] { if let name = parts.roles[role] { found.partners.append("of \(AdapterModules.short(name))") } }
      return
    }
    guard present.count == 1 else { found.twice.append("\(module).weight"); return }
    guard let down = parts.roles[kind.down], let up = parts.roles[kind.up] else {
      found.partners.append("of \(AdapterModules.short(parts.roles[kind.down] ?? parts.roles[kind.up] ?? module))")
      return
    }
    let config = adapter.config
    let key = LoRAConfig.key(parts.path, way)
    let ownRank = config.rank(of: key)
    // A tied head has the table's factors, and a scale of its own.
    let tied = loading.tiesChanges && loading.isHead(module) ? tables.first.flatMap { config.rank(of: Self.module(of: $0.table)) } : nil
    let rank = tied ?? ownRank ?? shape(up)[safe: kind.isUpTransposed ? 0 : 1] ?? 0
    let scale = config.scale(of: key, rank: ownRank ?? rank)
    guard let weight = weights["\(module).weight"], weight.count == 2 else { found.without.append(AdapterModules.short(down)); return }
    let downShape = kind.isDownTransposed ? [weight[1], rank] : [rank, weight[1]]
    let upShape = kind.isUpTransposed ? [rank, weight[0]] : [weight[0], rank]
    check(down, downShape, "\(module).weight", rankAt: kind.isDownTransposed ? 1 : 0, &found)
    check(up, upShape, "\(module).weight", rankAt: kind.isUpTransposed ? 0 : 1, &found)
    let magnitude = parts.roles[.magnitude]
    if config.usesDoRA == true, magnitude == nil { found.partners.append("\(module).lora_magnitude_vector, as use_dora is set") }
    if let magnitude {
      if config.usesDoRA == false { found.unasked.append(AdapterModules.short(magnitude)) }
      check(magnitude, [weight[isTable ? 1 : 0]], "\(module).weight", &found)
    }
    if let bias = parts.roles[.upBias] {
      if let expected = weights["\(module).bias"] {
        check(bias, expected, "\(module).bias", &found)
        changes["\(module).bias", default: AdapterChange()].addedBias = (bias, scale)
      } else {
        found.biases.append(AdapterModules.short(bias))
      }
    }
    changes["\(module).weight", default: AdapterChange()].lowRank = .init(
      down: down, isDownTransposed: kind.isDownTransposed, up: up, isUpTransposed: kind.isUpTransposed, magnitude: magnitude,
      scalesColumns: isTable, rank: rank, scale: scale)
  }

  /// Notes a shape that is not the expected one, by its likeliest cause.
  private func check(_ tensor: String, _ expected: [Int], _ weight: String, rankAt: Int? = nil, _ found: inout Findings) {
    guard let shape = adapter.file.description(of: tensor)?.shape else { return }  // of a type that is reported already
    guard shape != expected else { return }
    let text = "\(AdapterModules.short(tensor)) \(shape) instead of \(expected)"
    if shape.contains(0) { found.empty.append(text); return }
    guard shape.count == expected.count else { note(text, shape, &found); return }
    let differing = shape.indices.filter { shape[$0] != expected[$0] }
    let vocabulary = layout.shape.vocabularySize
    if isOfVocabulary(weight), differing.contains(where: { expected[$0] == vocabulary && $0 != rankAt }),
      differing.allSatisfy({ expected[$0] == vocabulary || $0 == rankAt }),
      let size = differing.first(where: { $0 != rankAt }).map({ shape[$0] })
    {
      found.vocabularies.insert(size)
      return
    }
    if differing == rankAt.map({ [$0] }) { found.ranks.append(text) } else { note(text, shape, &found) }
  }

  private func note(_ text: String, _ shape: [Int], _ found: inout Findings) {
    if shape.count == 1 { found.flat.append(text) } else { found.shapes.append(text) }
  }

  private func isOfVocabulary(_ weight: String) -> Bool {
    layout.family.tensors.contains { rule in rule.parts.contains { $0.huggingFace == weight && $0.outputs == .vocabulary } }
  }

  // MARK: Rows of tables

  private mutating func addTokens(_ name: String, _ rows: [Int], of module: String, _ found: inout Findings) {
    let weight = "\(module).weight"
    guard let expected = weights[weight], expected.count == 2 else { found.without.append(AdapterModules.short(name)); return }
    if weights["\(module).bias"] != nil { found.biased.append(module) }
    check(name, [rows.count, expected[1]], "", &found)
    if let largest = rows.max(), largest >= expected[0] {
      if isOfVocabulary(weight) {
        found.tokenBeyond = max(found.tokenBeyond ?? 0, largest)
      } else {
        found.shapes.append("\(weight) has \(expected[0]) rows, and trainable_token_indices names row \(largest)")
      }
    }
    changes[weight, default: AdapterChange()].tokens = .init(values: name, rows: rows)
  }

  /// PEFT needs every module that `trainable_token_indices` names, and a tensor of each.
  private func requireTokens(_ modules: AdapterModules, tiesEmbeddings: Bool, _ found: inout Findings) {
    let config = adapter.config
    for entry in config.tokens where !entry.rows.isEmpty {
      let table = tables.first.map { Self.module(of: $0.table) }
      let named = weights.keys.filter { $0.hasSuffix(".weight") }.map(Self.module).sorted().filter { module in
        guard let end = entry.module else { return module == table }
        return modules.path(of: module)?.hasSuffix(end) ?? false
      }
      if named.isEmpty { found.partners.append("a module whose name ends in '\(NameSummary([entry.module ?? ""]))', which trainable_token_indices names") }
      for module in named where changes["\(module).weight"]?.tokens == nil {
        // Of two tied tables with the same rows only the first is saved.
        if tiesEmbeddings, loading.isHead(module), let table, changes["\(table).weight"]?.tokens?.rows == entry.rows { continue }
        found.partners.append("\(module).token_adapter.trainable_tokens_delta, as trainable_token_indices is set")
      }
    }
  }

  /// PEFT needs every tensor of a module that `modules_to_save` names.
  private func requireWhole(_ modules: AdapterModules, _ found: inout Findings) {
    let targets = adapter.config.targets
    guard !targets.saved.isEmpty, !targets.namesAll else { return }
    for weight in weights.keys.sorted() {
      let module = Self.module(of: weight)
      let parameter = String(weight.dropFirst(module.count + 1))
      guard let path = modules.path(of: module), targets.savesWhole(path) else { continue }
      // A tied head with rows of the table's has a name of its own for what lies below them.
      let roles = modules.byName[module]?.roles ?? [:]
      if roles[.replacement(parameter)] != nil || roles[.base(parameter)] != nil { continue }
      found.partners.append("\(weight), as modules_to_save is set")
    }
  }

  // MARK: Two tables that may be one

  /// Tables and the output heads that a model may share with them, by weight name.
  private let tables: [(table: String, head: String)]
  private static func tables(of layout: ShardLayout) -> [(table: String, head: String)] {
    layout.family.tensors.compactMap { rule in
      guard let table = rule.tiedTo, let head = rule.parts.first?.huggingFace else { return nil }
      return (table, head)
    }
  }

  /// Whether a tensor of the checkpoint is the copy that models with tied embeddings do without.
  func isTiedCopy(_ name: String) -> Bool { layout.family.tensors.contains { $0.tiedTo != nil && $0.name == name } }

  /// One stored table takes only a change that is meant for both of its uses.
  private mutating func checkSharing() {
    for (table, head) in tables where !AdapterSameness(adapter.file).isSame(changes[table], changes[head]) {
      let changed = [table, head].filter { changes[$0] != nil }
      problems.append(
        AdapterProblem(
          .tiedTables,
          "it changes \(changed.map { "'\($0)'" }.joined(separator: " and ")) \(changed.count == 1 ? "alone" : "differently"), and the engine stores '\(table)' and '\(head)' as one table",
          remedy: "Merge it into a copy of the model that has two tables (tie_word_embeddings false), and build a new engine from that."))
    }
  }

  /// What a model with tied tables does with a change to one of them, as PEFT loads it.
  private mutating func keepTied(_ pair: (table: String, head: String), _ modules: AdapterModules, tiesEmbeddings: Bool) {
    guard tiesEmbeddings else { return }
    // Rows of the table are those of the head, unless it has its own.
    if let tokens = changes[pair.table]?.tokens, changes[pair.head]?.tokens == nil {
      changes[pair.head, default: AdapterChange()].tokens = tokens
    }
    // What was not trained as a copy of its own is loaded into the one table.
    for (from, to) in [(pair.table, pair.head), (pair.head, pair.table)] {
      let module = Self.module(of: from)
      let isOwn = adapter.config.targets.savesWhole(modules.byName[module]?.path ?? module) && !loading.tiesCopies
      if let copy = changes[from]?.replacement, changes[to]?.replacement == nil, !isOwn {
        changes[to, default: AdapterChange()].replacement = copy
      }
    }
    if loading.tiesChanges, changes[pair.head]?.lowRank == nil, var change = changes[pair.table]?.lowRank {
      let key = Self.module(of: pair.head)
      change.scale = adapter.config.scale(of: key, rank: adapter.config.rank(of: key) ?? change.rank)
      changes[pair.head, default: AdapterChange()].lowRank = change
    }
  }

  // MARK: What it comes to

  func touched(rank: Int) -> [String: AdaptedWeights.Touched] {
    var result: [String: AdaptedWeights.Touched] = [:]
    for tensor in layout.tensors(rank: rank) {
      let own = tensor.pieces.map { changes[$0.source] }
      if own.contains(where: { $0 != nil }) { result[tensor.name] = .init(tensor: tensor, changes: own) }
    }
    return result
  }
}

extension [Int] {
  fileprivate subscript(safe index: Int) -> Int? { indices.contains(index) ? self[index] : nil }
}
