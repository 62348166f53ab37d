import JSON
import Networks

/// Plans as they were before an attention named its cache and its rotary embedding: one of each for all.
enum PlanFormat1 {
  /// The same plan in the words of format 2.
  static func upgraded(_ json: JSONValue) throws(PlanFormatError) -> JSONValue {
    guard var members = json.object else { throw PlanFormatError("the plan is not an object") }
    let rotary = try json.member("rotary")
    let cache = try json.member("cache")
    let layers = try cache.integer("layers")
    guard layers >= 0 else { throw PlanFormatError("the cache has \(layers) layers") }
    let hasCache = layers > 0
    var operations: [JSONValue] = []
    for operation in try json.list("operations") { operations.append(try upgraded(operation, isTurned: !rotary.isNull)) }
    members["rotary"] = nil
    members["cache"] = nil
    members["rotaries"] = rotary.isNull ? [] : [rotary]
    members["caches"] = hasCache ? [cache] : []
    members["operations"] = .array(operations)
    return .object(members)
  }

  private static func upgraded(_ operation: JSONValue, isTurned: Bool) throws(PlanFormatError) -> JSONValue {
    guard let old = operation.object, let kind = old.keys.first else { return operation }
    switch kind {
    case "rmsNorm":
      return .object(
        Norm(input: try operation.id("input"), weight: try operation.text(kind), epsilon: try operation.float("epsilon"), output: try operation.id("output"))
          .json)
    case "addRMSNorm":
      return .object(
        Norm(
          input: try operation.id("delta"), residual: try operation.id("residual"), weight: try operation.text(kind),
          epsilon: try operation.float("epsilon"), output: try operation.id("output")
        ).json)
    case "gatedActivation":
      var new: JSONObject = [Gated.name: try operation.member(kind)]
      for (key, value) in old.dropFirst() { new[key] = value }
      return .object(new)
    case "attention", "normedAttention":
      func norm(_ key: String) throws(PlanFormatError) -> Attention.HeadNorm? {
        kind == "attention" ? nil : .init(weight: try operation.text(key), epsilon: try operation.float("epsilon"))
      }
      return .object(
        Attention(
          qkv: try operation.id("input"), output: try operation.id("output"), layer: try operation.integer(kind),
          heads: try operation.size("heads"), keyValueHeads: try operation.size("keyValueHeads"), headSize: try operation.size("headSize"),
          scale: try operation.float("scale"), rotary: isTurned ? 0 : nil, queryNorm: try norm("queryNorm"), keyNorm: try norm("keyNorm")
        ).json)
    case "embed", "linear", "activatedProduct", "add", "select", "allReduce", "allGather", "send", "receive": return operation
    default: throw PlanFormatError("unknown operation \"\(kind)\" of a plan of format 1")
    }
  }
}

extension JSONValue {
  fileprivate func id(_ key: String) throws(PlanFormatError) -> ValueID { ValueID(try integer(key)) }
  fileprivate func float(_ key: String) throws(PlanFormatError) -> Float { Float(try number(key)) }
}
