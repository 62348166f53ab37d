/* What one instruction set offers; dispatch.c picks a table. Signatures are those of the public functions
 * without `isa`. */
#ifndef DK_TABLE_H
#define DK_TABLE_H
#include "include/CPUKernels.h"

typedef struct {
  const int (*decode_shapes)[2], (*prefill_shapes)[2]; /* rows, panels of each tactic */
  int32_t decode_tactics, prefill_tactics;
  void (*linear_decode)(int32_t, const dk_linear *, const float *, int64_t, float *, int64_t, int64_t, int64_t, int64_t);
  void (*linear_prefill)(int32_t, const dk_linear *, const void *, int64_t, float *, int64_t, int64_t, int64_t, int64_t,
                         int64_t);
  void (*expand_int8)(void *, const void *, int64_t);
  void (*scale_outputs)(float *, int64_t, int64_t, const float *, const float *, int64_t);
  void (*encode_int8)(int8_t *, float *, const float *, int64_t);
  void (*convert)(void *, dk_type, const void *, dk_type, int64_t);
  int64_t (*count_nonfinite)(const void *, dk_type, int64_t);
  void (*add_low_rank)(float *, int64_t, const float *, const float *, int64_t, int64_t, int64_t, int64_t, float);
  void (*rmsnorm)(float *, int64_t, const float *, int64_t, const void *, dk_type, int64_t, int64_t, float);
  void (*add_rmsnorm)(float *, int64_t, float *, int64_t, const float *, int64_t, const void *, dk_type, int64_t, int64_t,
                      float);
  void (*layernorm)(float *, int64_t, const float *, int64_t, const void *, const void *, dk_type, int64_t, int64_t, float);
  void (*activation)(dk_activation_kind, float *, int64_t, const float *, int64_t, int64_t, int64_t);
  void (*gated_activation)(dk_activation_kind, float *, int64_t, const float *, int64_t, int64_t, int64_t);
  void (*limited_gate)(float, float, float, float *, int64_t, const float *, int64_t, int64_t, int64_t);
  void (*scale)(float *, float, int64_t);
  void (*soft_cap)(float *, float, int64_t);
  void (*add)(float *, const float *, int64_t);
  void (*add_scaled)(float *, const float *, float, int64_t);
  int64_t (*argmax)(const float *, int64_t);
  void (*route)(float *, int64_t, const float *, int64_t, int64_t, int64_t, int64_t, bool, float);
  void (*rope)(dk_rope_style, float *, int64_t, int64_t, int64_t, int64_t, int64_t, const float *, const float *, int64_t);
  void (*attention)(const dk_attention_shape *, const void *, const int32_t *, int64_t, const float *, int64_t, float *,
                    int64_t, int64_t, int64_t, int64_t, int64_t);
} dk_table;

extern const dk_table dk_table_portable;
#if defined(__x86_64__)
extern const dk_table dk_table_avx2, dk_table_avx512;
void dk_linear_prefill_amx(const dk_linear *w, const uint16_t *x, int64_t x_stride, float *out, int64_t out_stride,
                           int64_t first_row, int64_t end_row, int64_t first_panel, int64_t end_panel);
#endif
#endif
