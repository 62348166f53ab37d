/* The last include of an instruction-set file: gathers its kernels under DK_TABLE. */
const dk_table DK_TABLE = {
  .decode_shapes = decode_shapes,
  .prefill_shapes = prefill_shapes,
  .decode_tactics = sizeof decode_shapes / sizeof *decode_shapes,
  .prefill_tactics = sizeof prefill_shapes / sizeof *prefill_shapes,
  .linear_decode = linear_decode,
  .linear_prefill = linear_prefill,
  .convert = convert,
  .rmsnorm = rmsnorm,
  .add_rmsnorm = add_rmsnorm,
  .layernorm = layernorm,
  .activation = activation,
  .gated_activation = gated_activation,
  .add = add,
  .argmax = argmax,
  .rope = rope,
  .attention = attention,
};
