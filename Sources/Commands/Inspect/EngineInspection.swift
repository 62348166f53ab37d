import Engines
import JSON
import Networks
import OrderedCollections
import Tensors

/// What `trtllm-inspect` says of an engine.
struct EngineInspection {
  let engine: EngineDirectory
  let lineage: Lineage?
  /// Operations and weights of this layer of each rank only; nil: all weights, and the operations of the first layer.
  let layer: Int?

  init(_ engine: EngineDirectory, lineage: Lineage?, layer: Int?) {
    (self.engine, self.lineage, self.layer) = (engine, lineage, layer)
  }

  /// An operation with the layer that it belongs to, by the weights that it and those before it read.
  private struct Placed {
    let index: Int
    let operation: Operation
    let layer: Int?
  }

  private static func layer(of weight: String) -> Int? {
    weight.firstMatch(of: /\.layers\.(\d+)\./).flatMap { Int($0.1) }
  }

  /// What stands between two operations of one layer is of that layer; what comes before the first and after the last is not.
  private static func placed(_ plan: Plan) -> [Placed] {
    let own = plan.operations.map { $0.weightNames.lazy.compactMap(layer(of:)).first }
    let last = own.lastIndex { $0 != nil } ?? -1
    var current: Int?
    return plan.operations.enumerated().map { index, operation in
      if let found = own[index] { current = found } else if index > last, !operation.weightNames.isEmpty { current = nil }
      // Between stages, and between layers and logits.
      switch operation {
      case .select, .send, .receive: return Placed(index: index, operation: operation, layer: nil)
      default: return Placed(index: index, operation: operation, layer: current)
      }
    }
  }
  private func shownOperations(_ plan: Plan) -> [Placed] {
    let all = Self.placed(plan)
    let shown = layer ?? all.lazy.compactMap(\.layer).first
    return all.filter { $0.layer == shown || (layer == nil && $0.layer == nil) }
  }
  private func shownWeights(_ plan: Plan) -> [(name: String, weight: PlannedWeight)] {
    plan.weights.filter { layer == nil || Self.layer(of: $0.key) == layer }.map { ($0.key, $0.value) }
  }

  // MARK: JSON

  func json(ranks: [Int]) -> JSONValue {
    let list = ranks.map { rank -> JSONValue in
      let file = engine.ranks[rank]
      var plan = file.plan.json
      if layer != nil, case .object(var members) = plan {
        members["operations"] = .array(shownOperations(file.plan).map(\.operation.json))
        let names = Set(shownWeights(file.plan).map(\.name))
        if let weights = members["weights"]?.object { members["weights"] = .object(weights.filter { names.contains($0.key) }) }
        plan = .object(members)
      }
      let digests = lineage?.ranks.first { $0.file == file.path.lastComponent?.string }
      return [
        "file": .string(file.path.lastComponent?.string ?? ""), "root": file.root.map { .string($0) } ?? .null,
        "missing": .strings(file.missingWeights.filter { name in layer == nil || Self.layer(of: name) == layer }),
        "memory": [
          "weights": .int(file.plan.weights.values.reduce(0) { $0 + $1.stored.byteCount }), "cache_per_token": .int(file.plan.cacheByteCountPerToken),
        ],
        "plan": plan,
        "sha256": .object(JSONObject(uniqueKeysWithValues: shownWeights(file.plan).compactMap { name, _ in digests?.weights[name].map { (name, .string($0)) } })),
      ]
    }
    return [
      "engine": .string(engine.path.string), "config": engine.configuration, "lineage": lineage?.json ?? .null, "ranks": .array(list),
      "files": .strings(engine.auxiliaryFiles),
    ]
  }

  // MARK: Text

  func text(ranks: [Int]) -> String {
    let model = engine.pretrained
    let targets = Set(engine.ranks.map(\.plan.target)).sorted().joined(separator: ", ")
    var lines = [
      "\(engine.path.inMessage): \(model.architecture), \(model.elementType.configName ?? model.elementType.rawValue)\(model.quantization.scheme.map { ", \($0.title)" } ?? ""), "
        + "\(engine.ranks.count) rank(s) (tp \(model.mapping.tensorParallel), pp \(model.mapping.pipelineParallel)), for \(targets)",
      "  model    \(model.layerCount) layers, hidden \(model.hiddenSize), \(model.headCount) heads of \(model.headSize) "
        + "(\(model.keyValueHeadCount) for keys and values), \(middle), vocabulary \(model.vocabularySize)",
    ]
    if let limits = engine.ranks.first?.plan.limits {
      lines.append("  limits   \(limits.sequenceLength) tokens a sequence, \(limits.batchSize) sequences and \(limits.tokens) tokens a step")
    }
    let weights = engine.ranks.reduce(0) { $0 + $1.plan.weights.values.reduce(0) { $0 + $1.stored.byteCount } }
    let cache = engine.ranks.reduce(0) { $0 + $1.plan.cacheByteCountPerToken }
    let type = engine.cacheElementType
    lines.append(
      "  memory   weights \(Format.bytes(weights)); keys and values \(Format.bytes(cache)) a token in \(type?.configName ?? type?.rawValue ?? "")"
        + (engine.ranks.contains(where: \.isStripped) ? "; stripped: fill it with trtllm-refit" : ""))
    lines += artifactLines + lineageLines
    if !engine.auxiliaryFiles.isEmpty { lines.append("  files    \(engine.auxiliaryFiles.map(\.inMessage).joined(separator: ", "))") }
    for rank in ranks { lines += rankLines(engine.ranks[rank]) }
    // Nor may a line's end in a name begin one.
    return lines.map { $0.withControlsSpelt() }.joined(separator: "\n")
  }

  /// What layers have beside attention: an MLP, experts, or some the one and some the other.
  private var middle: String {
    var parts: [String] = []
    let operations = engine.ranks.lazy.flatMap(\.plan.operations)
    if operations.contains(where: { if case .gated = $0 { true } else { false } }) { parts.append("MLP \(engine.pretrained.intermediateSize)") }
    for file in engine.ranks {
      for case .experts(let experts) in file.plan.operations {
        parts.append("\(file.plan.values[experts.shares.index].width) experts of which a token goes to \(experts.chosen)")
        return parts.joined(separator: " or ")
      }
    }
    return parts.joined()
  }

  /// Compiled kernels and such, by what they are for.
  private var artifactLines: [String] {
    let all = engine.ranks.flatMap(\.plan.artifacts)
    var architectures: [String] = []
    for artifact in all where !architectures.contains(artifact.origin.architecture) { architectures.append(artifact.origin.architecture) }
    return architectures.enumerated().map { index, architecture in
      let own = all.filter { $0.origin.architecture == architecture }
      let makers = Set(own.map(\.origin.compiler)).sorted().joined(separator: ", ")
      return (index == 0 ? "  carries  " : "           ")
        + "\(own.count) compiled programs for \(architecture), \(Format.bytes(own.reduce(0) { $0 + $1.byteCount })), by \(makers)"
    }
  }

  private var lineageLines: [String] {
    guard let lineage else { return ["  lineage  none: lineage.json is missing"] }
    let done = ["build": "built", "refit": "refitted", "strip": "stripped"][lineage.action] ?? lineage.action
    var lines = ["  lineage  \(done) \(lineage.created) by \(lineage.tool) from \(lineage.sourceKind) \(lineage.sourcePath.inMessage)"]
    for adapter in lineage.adapters { lines.append("           adapter \(adapter.path.inMessage), scale \(adapter.scale)") }
    if !lineage.ranks.isEmpty { lines.append("           weights \(lineage.ranks.map { String($0.root.prefix(16)) }.joined(separator: " "))") }
    for warning in lineage.warnings.map({ $0.model + $0.files }) ?? [] { lines.append("           warned of: \(warning.inMessage)") }
    return lines
  }

  private func rankLines(_ file: EngineFile) -> [String] {
    let plan = file.plan
    var lines = ["", "\(file.path.lastComponent?.string ?? ""): \(plan.operations.count) operations, \(plan.weights.count) weights, \(plan.slots.widths.count) buffers"]
    let operations = shownOperations(plan)
    var table: [[String]] = [["", "operation", "reads", "writes", "weights"]]
    var previous: Placed?
    for placed in operations {
      if let previous, placed.index > previous.index + 1 {
        table.append(["", "…", "", "", "\(placed.index - previous.index - 1) operations of other layers, of the same kinds"])
      }
      func values(_ ids: [ValueID]) -> String { ids.map { "\(short(plan.values[$0.index].name))[\(plan.values[$0.index].width)]" }.joined(separator: ", ") }
      let uses = placed.operation.uses
      table.append(["\(placed.index)", placed.operation.name, values(uses.reads), values(uses.writes), placed.operation.weightNames.map(short).joined(separator: ", ")])
      previous = placed
    }
    if let layer, operations.isEmpty { lines.append("  no layer \(layer) in this rank") } else { lines += Self.aligned(table) }
    lines.append("")
    var weights: [[String]] = [["weight", "shape", "type", "layout", "bytes", "a refit"]]
    for (name, weight) in shownWeights(plan).filter({ layer != nil || Self.layer(of: $0.name) == nil || Self.layer(of: $0.name) == operations.lazy.compactMap(\.layer).first }) {
      weights.append([
        short(name), weight.shape.map(String.init).joined(separator: " × "), weight.scheme.title,
        weight.layout.rawValue, Format.bytes(weight.stored.byteCount),
        file.contains(name) ? (weight.isRefittable ? "changes it" : "keeps it") : "fills it",
      ])
    }
    lines += Self.aligned(weights)
    if !plan.tactics.isEmpty {
      lines.append("")
      lines += Self.aligned([["kernels for", "one token", "many"]] + plan.tactics.map { [$0.problem.title, $0.decode, $0.prefill] })
    }
    if !plan.artifacts.isEmpty, layer == nil {
      lines.append("")
      let table = plan.artifacts.map { artifact in
        let defined = artifact.origin.options.filter { $0.hasPrefix("-D") }.joined(separator: " ")
        return [artifact.name, Format.bytes(artifact.byteCount), String(artifact.digest.prefix(16)), String(artifact.origin.sourceDigest.prefix(16)), defined]
      }
      lines += Self.aligned([["compiled", "bytes", "sha256", "of source", "with"]] + table)
    }
    return lines
  }

  /// Without what all names begin with.
  private func short(_ weight: String) -> String { weight.hasPrefix("transformer.") ? String(weight.dropFirst(12)) : weight }

  private static func aligned(_ rows: [[String]]) -> [String] {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      var line = "  " + cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

extension KernelProblem {
  /// Such as `960 × 576 bfloat16`, of experts with their number in front.
  fileprivate var title: String { (matrices > 1 ? "\(matrices) of " : "") + "\(outputs) × \(inputs) \(scheme.title)" }
}
