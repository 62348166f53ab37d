public import JSON
public import Networks
import OrderedCollections
import Schemes
import Tensors

extension Plan {
  /// What the engine file's metadata hold, in this order of members: in format 3 with artifacts, which format 2 did not know.
  public var json: JSONValue {
    var members: JSONObject = [
      "formatVersion": .int(artifacts.isEmpty ? 2 : Self.formatVersion),
      "target": .string(target),
      "rank": .int(rank),
      "tensorParallel": .int(tensorParallel),
      "pipelineParallel": .int(pipelineParallel),
      "limits": [
        "batchSize": .int(limits.batchSize), "inputLength": .int(limits.inputLength),
        "sequenceLength": .int(limits.sequenceLength), "tokens": .int(limits.tokens),
      ],
      "elementType": .string(elementType.rawValue),
      "vocabularySize": .int(vocabularySize),
      "rotaries": .array(rotaries.map(\.json)),
      "caches": .array(
        caches.map { cache in
          [
            "layers": .int(cache.layers), "keyValueHeads": .int(cache.keyValueHeads), "headSize": .int(cache.headSize),
            "elementType": .string(cache.elementType.rawValue),
          ]
        }),
    ]
    members["values"] = .array(
      zip(values, slots.slot).map { value, slot in
        ["name": .string(value.name), "width": .int(value.width), "rows": .string(value.rows.rawValue), "slot": .int(slot)]
      })
    members["slots"] = .ints(slots.widths)
    members["operations"] = .array(operations.map(\.json))
    members["tactics"] = .array(tactics.map(\.json))
    members["weights"] = .object(
      JSONObject(
        weights.mapValues {
          [
            "shape": .ints($0.shape), "elementType": .string($0.scheme.name), "layout": .string($0.layout.rawValue),
            "role": .string($0.role.rawValue), "refittable": .bool($0.isRefittable), "recipe": $0.recipe.json,
          ]
        }))
    if !artifacts.isEmpty { members["artifacts"] = .array(artifacts.map(\.json)) }
    return .object(members)
  }

  /// Reads and checks a plan: afterwards every index, shape and width in it fits every other.
  ///
  /// A plan of format 1 is read as what format 2 says in its place.
  public init(json: JSONValue) throws(PlanFormatError) {
    let version = try json.integer("formatVersion")
    guard (1...Self.formatVersion).contains(version) else {
      throw PlanFormatError(
        "the plan has format \(version), this program reads 1 to \(Self.formatVersion): "
          + (version > Self.formatVersion ? "use a newer drydock" : "build the engine again"))
    }
    let json = version == 1 ? try PlanFormat1.upgraded(json) : json
    let limits = try json.member("limits")
    var rotaries: [RotaryEmbedding] = []
    for rotary in try json.list("rotaries") { rotaries.append(try RotaryEmbedding(json: rotary)) }
    var caches: [CacheFormat] = []
    for cache in try json.list("caches") {
      caches.append(
        CacheFormat(
          layers: try cache.integer("layers"), keyValueHeads: try cache.size("keyValueHeads"), headSize: try cache.size("headSize"),
          elementType: try cache.elementType("elementType")))
    }
    var values: [Value] = []
    var slot: [Int] = []
    for value in try json.list("values") {
      guard let rows = Value.Rows(rawValue: try value.text("rows")) else { throw PlanFormatError("unknown row kind") }
      values.append(Value(name: try value.text("name"), width: try value.size("width"), rows: rows))
      slot.append(try value.integer("slot"))
    }
    var operations: [Operation] = []
    for operation in try json.list("operations") { operations.append(try Operation(json: operation)) }
    var tactics: [KernelTactics] = []
    for entry in try json.list("tactics") { tactics.append(try KernelTactics(json: entry)) }
    guard let weightMembers = try json.member("weights").object else { throw PlanFormatError("\"weights\" is not an object") }
    var weights: OrderedDictionary<String, PlannedWeight> = [:]
    for (name, entry) in weightMembers {
      guard let layout = WeightLayout(rawValue: try entry.text("layout")),
        let role = WeightRole(rawValue: try entry.text("role")), let refittable = try entry.member("refittable").bool
      else { throw PlanFormatError("weight \"\(name)\" has an unknown layout or role") }
      weights[name] = PlannedWeight(
        shape: try entry.shape("shape"), scheme: try entry.scheme("elementType"), layout: layout, role: role,
        isRefittable: refittable, recipe: try Recipe(json: try entry.member("recipe")))
    }
    var artifacts: [PlannedArtifact] = []
    if version > 2 { for entry in try json.list("artifacts") { artifacts.append(try PlannedArtifact(json: entry)) } }
    self.init(
      target: try json.text("target"), rank: try json.integer("rank"),
      tensorParallel: try json.size("tensorParallel"), pipelineParallel: try json.size("pipelineParallel"),
      limits: PlanLimits(
        batchSize: try limits.size("batchSize"), inputLength: try limits.size("inputLength"),
        sequenceLength: try limits.size("sequenceLength"), tokens: try limits.size("tokens")),
      elementType: try json.elementType("elementType"), vocabularySize: try json.size("vocabularySize"),
      rotaries: rotaries, caches: caches,
      values: values, slots: BufferSlots(slot: slot, widths: try json.shape("slots")), operations: operations,
      tactics: tactics, weights: weights, artifacts: artifacts)
    try check()
  }
}

extension JSONValue {
  /// A number scheme: an element type's name, or that of a scheme in fewer bits.
  func scheme(_ key: String) throws(PlanFormatError) -> NumberScheme {
    let name = try text(key)
    guard let scheme = NumberScheme(name: name) else { throw PlanFormatError("unknown element type \"\(name)\"") }
    return scheme
  }
  fileprivate func elementType(_ key: String) throws(PlanFormatError) -> ElementType {
    let name = try text(key)
    guard let type = ElementType(rawValue: name) else { throw PlanFormatError("unknown element type \"\(name)\"") }
    return type
  }
}
