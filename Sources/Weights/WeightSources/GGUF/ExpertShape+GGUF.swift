import Families

extension ExpertShape {
  /// As llama.cpp's loader reads it: every layer has experts, and their shares are divided by their sum.
  ///
  /// - Parameter intermediateSize: Of an MLP, which experts have where the file says no other.
  init(_ settings: GGUFSettings, intermediateSize: Int, layerCount: Int) throws {
    let count = try settings.required("expert_count")
    let most = max(1, Self.limit / max(1, layerCount))
    guard count <= most else { throw settings.failed("expert_count", "is \(count), expected a number up to \(most)") }
    let chosen = try settings.required("expert_used_count")
    guard chosen <= count else { throw settings.failed("expert_used_count", "is \(chosen), and there are \(count) experts") }
    if let scale = try settings.number("expert_weights_scale"), scale != 0, scale != 1 {
      throw settings.failed("expert_weights_scale", "is \(scale), which is not supported")
    }
    for key in ["expert_shared_count", "expert_shared_feed_forward_length", "expert_group_count", "leading_dense_block_count"] {
      if let value = try settings.optional(key, "an integer", \.int), value != 0 { throw settings.failed(key, "is \(value), which is not supported") }
    }
    // 1 is a softmax.
    if let kind = try settings.optional("expert_gating_func", "an integer", \.int), kind > 1 {
      throw settings.failed("expert_gating_func", "is \(kind), and only shares by softmax are supported")
    }
    self.init(
      count: count, chosen: chosen, normalizes: true, intermediateSize: try settings.size("expert_feed_forward_length") ?? intermediateSize)
  }
}
