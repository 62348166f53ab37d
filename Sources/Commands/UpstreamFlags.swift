/// Flags of the upstream commands that mean nothing for a CPU engine.
enum UpstreamFlags {
  private static let plugin = "it chooses a TensorRT plugin, and this target has its own kernels"

  static let build: [IgnoredFlag] =
    [
      "bert_attention_plugin", "gpt_attention_plugin", "gemm_plugin", "gemm_swiglu_plugin", "low_latency_gemm_plugin",
      "low_latency_gemm_swiglu_plugin", "fp8_rowwise_gemm_plugin", "dora_plugin", "moe_plugin", "mamba_conv1d_plugin",
      "nccl_plugin", "gemm_allreduce_plugin", "weight_only_groupwise_quant_matmul_plugin",
      "weight_only_quant_matmul_plugin", "layernorm_quantization_plugin", "rmsnorm_quantization_plugin",
    ].map { IgnoredFlag($0, plugin) }
    + [
      "context_fmha", "bert_context_fmha_fp32_acc", "use_paged_context_fmha", "use_fp8_context_fmha", "fuse_fp4_quant",
      "norm_quant_fusion", "reduce_fusion", "user_buffer", "multiple_profiles", "paged_state", "pp_reduce_scatter",
    ].map { IgnoredFlag($0, "it switches a TensorRT kernel, and this target has its own") }
    + [
      IgnoredFlag("remove_input_padding", "input is never padded here"),
      IgnoredFlag("use_fused_mlp", "the gated MLP is always fused here"),
      IgnoredFlag("tokens_per_block", "cache blocks hold 16 tokens here"),
      IgnoredFlag("kv_cache_type", "the cache is always paged here"),
      IgnoredFlag("paged_kv_cache", "the cache is always paged here"),
      IgnoredFlag("opt_num_tokens", "kernels here need no size to optimise for"),
      IgnoredFlag("profiling_verbosity", "the plan can be read in the engine file"),
      IgnoredFlag("weight_sparsity", takesValue: false, "there are no sparse kernels here"),
      IgnoredFlag("weight_streaming", takesValue: false, "weights are used from the mapped file anyway"),
      IgnoredFlag("fast_build", takesValue: false, "builds are fast here"),
      IgnoredFlag("enable_debug_output", takesValue: false, "there is no debug output in an engine here"),
      IgnoredFlag("visualize_network", "the plan can be read in the engine file"),
      IgnoredFlag("monitor_memory", takesValue: false, "memory is bounded here"),
      IgnoredFlag("logits_dtype", "logits are float32 here"),
      IgnoredFlag("gather_generation_logits", takesValue: false, "log-probabilities need no flag here"),
      IgnoredFlag("gather_context_logits", takesValue: false, "log-probabilities need no flag here"),
      IgnoredFlag("gather_all_token_logits", takesValue: false, "log-probabilities need no flag here"),
      IgnoredFlag("max_beam_width", "there is no beam search here"),
      IgnoredFlag("max_encoder_input_len", "there are no encoders here"),
      IgnoredFlag("max_prompt_embedding_table_size", "there is no prompt tuning here"),
      IgnoredFlag("max_multimodal_len", "there is no prompt tuning here"),
      IgnoredFlag("streamingllm", "attention always sees the whole sequence here"),
      IgnoredFlag("gpus_per_node", "ranks of a CPU engine share one machine"),
      IgnoredFlag("cluster_key", "ranks of a CPU engine share one machine"),
      IgnoredFlag("auto_parallel", "convert with --tp_size and --pp_size"),
    ]
}
