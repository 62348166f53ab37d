import CUDABackend
import Checkpoints
import Engines
import Families
import JSON
import Testing

@Suite struct CUDAMixtureTests {
  @Test func `a model with experts is refused by the name of the operation`() throws {
    let config = try CheckpointConfig(parsing: [
      "architecture": "MixtralForCausalLM", "dtype": "bfloat16", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61,
      "intermediate_size": 32, "hidden_act": "swiglu", "position_embedding_type": "rope_gpt_neox", "moe": ["num_experts": 4, "top_k": 2],
    ])
    var planner = Planner(target: CUDATarget(), limits: PlanLimits(batchSize: 1, inputLength: 8, sequenceLength: 16, tokens: 8))
    let error = #expect(throws: UnsupportedModel.self) { try planner.plan(config: config, rank: 0, sharesEmbedding: false) }
    #expect(error?.description == "the model needs the operation \"routing\", for which --target cuda has no kernels yet: build for cpu")
  }
}
