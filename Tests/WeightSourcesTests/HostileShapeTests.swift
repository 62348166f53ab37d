import Checkpoints
import JSON
import Testing
import WeightSources

/// Sizes that a configuration may claim without a tensor to prove them.
@Suite struct HostileShapeTests {
  private func layout(_ changes: JSONObject) throws -> ShardLayout {
    var members: JSONObject = [
      "architecture": "LlamaForCausalLM", "dtype": "float32", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
      "head_size": 4, "intermediate_size": 12, "vocab_size": 10,
    ]
    members.merge(changes) { $1 }
    return try ShardLayout(config: CheckpointConfig(parsing: .object(members)), origin: "test")
  }

  @Test func `sizes that fit are tried up to what a command takes, not for every head that a file claims`() {
    let error = #expect(throws: WeightSourceError.self) {
      try layout(["num_attention_heads": .int(1 << 30), "intermediate_size": 4096, "mapping": ["world_size": 3, "tp_size": 3]])
    }
    #expect(error?.description.contains("Sizes that fit: 1, 2, 4") == true && error?.description.contains("2048") == false)
  }

  @Test func `a number of layers that no table could hold is refused`() throws {
    #expect(throws: CheckpointError.self) { try layout(["num_hidden_layers": .int(1 << 30)]) }
    #expect(throws: CheckpointError.self) { try layout(["num_hidden_layers": .int(CheckpointConfig.maximumLayerCount + 1)]) }
    _ = try layout(["num_hidden_layers": 1000])
  }
}
