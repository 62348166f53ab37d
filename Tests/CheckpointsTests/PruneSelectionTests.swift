import Checkpoints
import Testing

struct PruneSelectionTests {
  static let layer = "transformer.layers.3."

  @Test(arguments: [
    "attention.qkv.weight", "attention.dense.weight", "attention.proj.weight", "mlp.fc.weight", "mlp.gate.weight",
    "mlp.proj.weight", "self_attention.qkv.weight", "self_attention.dense.weight", "cross_attention.qkv.weight",
    "cross_attention.dense.weight", "residual_mlp.fc.weight", "residual_mlp.gate.weight", "residual_mlp.proj.weight",
    "mlp.shared_expert.fc.weight", "mlp.shared_expert.proj.weight", "mlp.shared_experts.gate.weight",
    "mlp.experts.fc.weight", "mlp.experts.17.proj.weight", "mlp.experts.0.gate.weight",
  ]) func `weights that a refit brings back are chosen`(name: String) {
    #expect(PruneSelection.isPrunable(Self.layer + name))
    #expect(PruneSelection.isPrunable(name), "a name need not begin with a layer")
  }
  @Test(arguments: [
    "attention.qkv.bias", "attention.dense.bias", "mlp.fc.bias", "mlp.proj.bias", "mlp.router.weight",
    "mlp.shared_expert_gate.weight", "mlp.fc.weights_scaling_factor", "mlp.fc.weights_scaling_factor_2",
    "attention.qkv.weights_scaling_factor", "mlp.proj.activation_scaling_factor", "mlp.fc.per_channel_scale",
    "mlp.proj.smoother", "mlp.gate.zero", "attention.qkv.prequant_scaling_factor", "attention.kv_cache_scaling_factor",
    "attention.q_layernorm.weight", "attention.quantization_scaling_factor", "input_layernorm.weight",
    "post_layernorm.weight", "mlp.inner_layernorm.weight", "notattention.qkv.weight", "attention.qkv.weight.extra",
    "attention.rotary.qkv", "attention.fc.weight", "mlp.qkv.weight", "attention.weight", "mlp.weight",
  ]) func `biases, scales, norms, routers and look-alikes are not`(name: String) {
    #expect(!PruneSelection.isPrunable(Self.layer + name))
  }
  @Test(arguments: [
    "transformer.vocab_embedding.weight", "transformer.position_embedding.weight", "transformer.ln_f.weight",
    "lm_head.weight", "lm_head.per_channel_scale", "", ".", "weight", ".weight", "..weight", "0.qkv.weight", "12.3.weight",
  ]) func `nothing outside attention and MLP is`(name: String) { #expect(!PruneSelection.isPrunable(name)) }

  @Test func `patterns add and keep; keeping wins`() {
    let selection = PruneSelection(prune: [Glob("lm_head.*")], keep: [Glob("*.0.*"), Glob("*.mlp.gate.weight")])
    #expect(selection.selects("lm_head.weight") && selection.selects("transformer.layers.1.mlp.fc.weight"))
    #expect(!selection.selects("transformer.layers.0.mlp.fc.weight"))
    #expect(!selection.selects("transformer.layers.1.mlp.gate.weight"))
    let all = PruneSelection(all: true, keep: [Glob("*bias")])
    #expect(all.selects("transformer.ln_f.weight") && !all.selects("transformer.ln_f.bias"))
  }

  @Test(arguments: [
    ("*", "", true), ("*", "a.b", true), ("", "", true), ("", "a", false), ("a", "A", false), ("?", "é", true), ("?", "", false),
    ("a*c", "abbc", true), ("a*c", "abbcd", false), ("*a*b*", "xxaxxbxx", true), ("*a*b*", "xxbxxaxx", false),
    ("[ab]", "b", true), ("[!ab]", "b", false), ("[^ab]", "c", true), ("[a-c]x", "bx", true), ("[a-c]x", "dx", false),
    ("[]]", "]", true), ("[a", "[a", true), ("[c-a]", "b", false), ("a**b", "ab", true), ("layers.[0-9].*", "layers.5.w", true),
    ("layers.[0-9].*", "layers.15.w", false), ("a.b", "axb", false),
  ]) func `a pattern stands for whole names, as in a shell`(pattern: String, name: String, expected: Bool) {
    #expect(Glob(pattern).matches(name) == expected)
  }
  @Test func `a pattern made to be slow is not`() {
    let pattern = Glob(String(repeating: "a*", count: 50) + "b")
    #expect(!pattern.matches(String(repeating: "a", count: 2000)))
  }
}
