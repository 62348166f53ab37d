import Checkpoints
import JSON
import Networks
import OrderedCollections

/// Whether a source is a model of the engine's very plan: its configuration is planned again, and the plans compared.
///
/// So whatever a planner comes to read of a configuration is compared as well. Members of the configuration only explain
/// a difference that the plans have proven.
struct StructureCheck {
  let engine: EngineDirectory

  func problems(_ source: RefitSource) -> [RefitProblem] {
    guard let config = source.config else { return [] }
    var problems = shardingProblems(config)
    if let other = source.engine, Self.isEdited(other) {
      problems.append(.plan(reason: "\(other.path): the plan is not that of its config.json"))
    }
    // Sharding was reported, element types are converted: what else differs?
    var adopted = config.json
    adopted[member: "dtype"] = engine.pretrained.json["dtype"]
    // Floats are encoded on the way.
    if config.quantization.isEncoded(into: engine.pretrained.quantization) {
      adopted[member: "quantization"] = engine.pretrained.json["quantization"]
    }
    if !problems.isEmpty { adopted[member: "mapping"] = engine.pretrained.json["mapping"] }
    guard let file = engine.ranks.first(where: { plan(adopted, like: $0.plan) != $0.plan.essence }) else { return problems }
    let own = plan(engine.pretrained.json, like: file.plan)
    if own != file.plan.essence {
      // The planner of another version may have made another plan of the same configuration.
      if own != nil, !Self.isOfThisVersion(engine), own == plan(adopted, like: file.plan) { return problems }
      problems.append(.plan(reason: "\(file.path): the plan is not that of the engine's config.json"))
    }
    let members = differences(engine.pretrained.json, adopted)
    let culprits = culprits(members[...], in: adopted) { plan($0, like: file.plan) != own }
    problems += culprits.map { .configuration(field: $0.name, engine: $0.text(in: engine.pretrained.json), checkpoint: $0.text(in: adopted)) }
    if culprits.isEmpty, own == file.plan.essence {
      let names = members.prefix(10).map(\.name).joined(separator: ", ")
      problems.append(.plan(reason: "the source's configuration makes another plan; members that differ: \(names)"))
    }
    return problems
  }

  private func shardingProblems(_ config: CheckpointConfig) -> [RefitProblem] {
    let (mine, theirs) = (engine.pretrained.mapping, config.mapping)
    return [("mapping.tp_size", \Mapping.tensorParallel), ("mapping.pp_size", \.pipelineParallel)].compactMap { field, size in
      guard mine[keyPath: size] != theirs[keyPath: size] else { return nil }
      return .sharding(
        field: field, engine: mine[keyPath: size], checkpoint: theirs[keyPath: size], tensorParallel: mine.tensorParallel,
        pipelineParallel: mine.pipelineParallel)
    }
  }

  /// The essence of a plan, or nil where the configuration cannot be planned.
  private func plan(_ json: JSONValue, like recorded: Plan) -> Plan? {
    guard let config = try? CheckpointConfig(parsing: json), config.layerCount == engine.pretrained.layerCount else {
      return nil  // a plan of so many layers as a file asks for may not fit into memory, and is another one anyway
    }
    return try? recorded.again(config).essence
  }

  /// An engine of this version whose plans are not those of its own configuration.
  private static func isEdited(_ engine: EngineDirectory) -> Bool {
    guard isOfThisVersion(engine) else { return false }
    return engine.ranks.contains { (try? $0.plan.again(engine.pretrained).essence) != $0.plan.essence }
  }
  private static func isOfThisVersion(_ engine: EngineDirectory) -> Bool { engine.configuration["version"]?.string == Tool.version }

  // MARK: Members that explain a difference

  /// The path of a member of `config.json`.
  private struct Member {
    let key: String
    /// Within the object at `key`.
    let inner: String?
    var name: String { inner.map { "\(key).\($0)" } ?? key }

    func value(in json: JSONValue) -> JSONValue? { inner.map { json[key]?[$0] } ?? json[key] }
    func text(in json: JSONValue) -> String {
      guard let value = value(in: json) else { return "not set" }
      let text = value.string ?? value.serialized()
      return text.count > 60 ? text.prefix(60) + "…" : text
    }
  }

  private func differences(_ mine: JSONValue, _ theirs: JSONValue) -> [Member] {
    func keys(_ one: JSONValue?, _ other: JSONValue?) -> [String] {
      let (one, other) = (one?.object ?? [:], other?.object ?? [:])
      return (one.keys + other.keys.filter { one[$0] == nil }).filter { one[$0] != other[$0] }
    }
    return keys(mine, theirs).flatMap { key in
      guard mine[key]?.object != nil, theirs[key]?.object != nil else { return [Member(key: key, inner: nil)] }
      return keys(mine[key], theirs[key]).map { Member(key: key, inner: $0) }
    }
  }

  /// The members whose values, put into the engine's configuration, make another plan, found by halving: a file may
  /// have any number of others.
  private func culprits(_ members: ArraySlice<Member>, in source: JSONValue, _ differs: (JSONValue) -> Bool) -> [Member] {
    var json = engine.pretrained.json
    for member in members {
      if let inner = member.inner {
        var object = json[member.key] ?? .object([:])
        object[member: inner] = member.value(in: source)
        json[member: member.key] = object
      } else {
        json[member: member.key] = member.value(in: source)
      }
    }
    guard !members.isEmpty, differs(json) else { return [] }
    guard members.count > 1 else { return Array(members) }
    let middle = members.startIndex + members.count / 2
    return culprits(members[..<middle], in: source, differs) + culprits(members[middle...], in: source, differs)
  }
}

extension JSONValue {
  /// A member of an object; nil takes it away.
  fileprivate subscript(member key: String) -> JSONValue? {
    get { self[key] }
    set {
      guard var members = object else { return }
      members[key] = newValue
      self = .object(members)
    }
  }
}
