public import JSON

/// Norms of heads, rotary embedding, cache write, causal attention with shared key-value heads (arXiv:2305.13245).
///
/// For a query at position p: scores `s[t] = cap(scale · q·k[t])` over the positions t ≤ p, with a window w only those t > p - w;
/// `cap(x) = softCap · tanh(x / softCap)`; weights `exp(s[t]) / (Σ exp(s) + exp(sink))`, where a head with a sink (arXiv:2309.17453)
/// gives part of its weight to nothing; output `Σ weight[t] · v[t]`.
/// `qkv` is `[heads + 2·keyValueHeads] · headSize` wide, `output` `heads · headSize`.
public struct Attention: OperationBody {
  /// `head = head / sqrt(mean(head²) + epsilon) * weight`; weight `[headSize]`, the same for all heads. Or of all heads of a row together,
  /// as if they were one: weight `[heads · headSize]`.
  public struct HeadNorm: Sendable, Hashable {
    /// Engine name, `[headSize]`, or `[heads · headSize]` of heads together; in rows.
    public var weight: String
    /// Added to the mean square, under the root. Finite.
    public var epsilon: Float
    /// Whether the mean is that of all query heads, or all key heads, of a row.
    public var spansHeads: Bool
    /// - Parameter weight: Engine name, `[headSize]`, or as wide as all heads together where it spans them.
    public init(weight: String, epsilon: Float, spansHeads: Bool = false) { (self.weight, self.epsilon, self.spansHeads) = (weight, epsilon, spansHeads) }
  }
  public static let name = "attention"
  /// Token rows: query heads, then key heads, then value heads. Holds normed and turned queries and keys afterwards.
  public var qkv: ValueID
  /// Token rows, query head beside query head.
  public var output: ValueID
  /// Index into the plan's caches, by ``Network/assignCaches(_:)``.
  public var cache: Int
  /// The attention's place in its cache, from 0 in the order of operations; no two attentions of a cache have the same.
  public var layer: Int
  /// Query heads of this rank; head h reads key-value head `h · keyValueHeads / heads`.
  public var heads: Int
  /// Of this rank, as many as the cache has; divides `heads`.
  public var keyValueHeads: Int
  /// Elements of a query, a key or a value; the cache's.
  public var headSize: Int
  /// Factor of the scores, usually 1/√headSize.
  public var scale: Float
  /// Index into the plan's rotary embeddings; nil: positions are not turned.
  public var rotary: Int?
  /// Norm of each query head before it is turned; nil: none.
  public var queryNorm: HeadNorm?
  /// Norm of each key head before it is turned and stored; nil: none.
  public var keyNorm: HeadNorm?
  /// Positions that a query sees, its own among them; nil: all before it.
  public var window: Int?
  /// Bound of the scores, within ``Unary/caps``; nil: they are taken as they are.
  public var softCap: Float?
  /// A logit for every query head, `[heads]`.
  public var sinks: String?

  /// `cache` and `layer` may stay at 0: ``Network/assignCaches(_:)`` sets both.
  public init(
    qkv: ValueID, output: ValueID, cache: Int = 0, layer: Int = 0, heads: Int, keyValueHeads: Int, headSize: Int, scale: Float,
    rotary: Int? = nil, queryNorm: HeadNorm? = nil, keyNorm: HeadNorm? = nil, window: Int? = nil, softCap: Float? = nil, sinks: String? = nil
  ) {
    self.qkv = qkv
    self.output = output
    self.cache = cache
    self.layer = layer
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.scale = scale
    self.rotary = rotary
    self.queryNorm = queryNorm
    self.keyNorm = keyNorm
    self.window = window
    self.softCap = softCap
    self.sinks = sinks
  }

  public var reads: [ValueID] { [qkv] }
  public var writes: [ValueID] { [output] }
  /// Queries and keys are normed and turned where they are.
  public var consumes: [ValueID] { [qkv] }
  public var weightNames: [String] { [queryNorm?.weight, keyNorm?.weight, sinks].compactMap { $0 } }
  public func renumbered(_ new: (ValueID) -> ValueID) -> Self {
    var other = self
    (other.qkv, other.output) = (new(qkv), new(output))
    return other
  }

  public var json: JSONObject {
    var members: JSONObject = [
      Self.name: .int(layer), "cache": .int(cache), "heads": .int(heads), "keyValueHeads": .int(keyValueHeads), "headSize": .int(headSize),
      "scale": .double(Double(scale)),
    ]
    members.set("rotary", rotary.map { .int($0) })
    for (key, norm) in [("queryNorm", queryNorm), ("keyNorm", keyNorm)] {
      members.set(key, norm.map(\.json))
    }
    members.set("window", window.map { .int($0) })
    members.set("softCap", softCap.map { .double(Double($0)) })
    members.set("sinks", sinks.map { .string($0) })
    members["input"] = qkv.json
    members["output"] = output.json
    return members
  }
  public init(json: JSONValue) throws(PlanFormatError) {
    func norm(_ key: String) throws(PlanFormatError) -> HeadNorm? {
      guard let member = json[key], !member.isNull else { return nil }
      return try HeadNorm(json: member)
    }
    self.init(
      qkv: try json.value("input"), output: try json.value("output"), cache: try json.integer("cache"), layer: try json.integer(Self.name),
      heads: try json.size("heads"), keyValueHeads: try json.size("keyValueHeads"), headSize: try json.size("headSize"),
      scale: Float(try json.number("scale")), rotary: try json.optionalInteger("rotary"), queryNorm: try norm("queryNorm"),
      keyNorm: try norm("keyNorm"), window: try json.optionalInteger("window"), softCap: try json.optionalNumber("softCap"),
      sinks: try json.optionalText("sinks"))
  }

  public func check(_ plan: PlanView) throws(PlanFormatError) {
    try plan.requireTokenRows(qkv, output)
    try plan.require(plan.caches.indices.contains(cache), "it names cache \(cache) of \(plan.caches.count)")
    let format = plan.caches[cache]
    try plan.require(
      heads <= 1 << 16 && keyValueHeads <= heads && heads % keyValueHeads == 0 && scale.isFinite, "head counts do not fit")
    // Which also bounds them.
    try plan.require(keyValueHeads == format.keyValueHeads && headSize == format.headSize, "heads differ from the cache's")
    try plan.require(layer >= 0 && layer < format.layers, "layer \(layer) is outside the cache")
    try plan.require(
      plan.width(qkv) == (heads + 2 * keyValueHeads) * headSize && plan.width(output) == heads * headSize,
      "the attention's widths do not fit")
    if let rotary {
      try plan.require(plan.rotaries.indices.contains(rotary), "it names rotary embedding \(rotary) of \(plan.rotaries.count)")
      try plan.require(
        plan.rotaries[rotary].dimension <= headSize, "the rotary embedding turns \(plan.rotaries[rotary].dimension) elements of a head of \(headSize)")
    }
    if let window { try plan.require(window >= 1, "its window is \(window)") }
    if let softCap { try plan.require(Unary.caps.contains(softCap), "its soft cap is \(softCap)") }
    for (norm, count) in [(queryNorm, heads), (keyNorm, keyValueHeads)] {
      guard let norm else { continue }
      try plan.require(norm.weight, is: [norm.spansHeads ? count * headSize : headSize])
      try plan.require(norm.epsilon.isFinite, "the norm \"\(norm.weight)\" does not fit")
    }
    if let sinks { try plan.require(sinks, is: [heads]) }
  }
}

extension Attention.HeadNorm {
  /// `spansHeads` is written only where it is true.
  fileprivate var json: JSONValue {
    var members: JSONObject = ["weight": .string(weight), "epsilon": .double(Double(epsilon))]
    if spansHeads { members["spansHeads"] = true }
    return .object(members)
  }
  fileprivate init(json: JSONValue) throws(PlanFormatError) {
    self.init(weight: try json.text("weight"), epsilon: Float(try json.number("epsilon")), spansHeads: try json.optionalFlag("spansHeads") ?? false)
  }
}
