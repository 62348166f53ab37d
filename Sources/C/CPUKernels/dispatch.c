/* The public functions: each hands over to the table of the chosen instruction set. */
#include "scalar.h"
#include "table.h"

/* Panels of codes that are expanded together: as many as any tactic takes side by side. */
enum { EXPANDED_PANELS = 4 };

static const dk_table *table(dk_isa isa) {
#if defined(__x86_64__)
  if (isa >= DK_AVX512) return &dk_table_avx512;
  if (isa == DK_AVX2) return &dk_table_avx2;
#endif
  (void)isa;
  return &dk_table_portable;
}

int64_t dk_type_bytes(dk_type type) { return type == DK_F32 ? 4 : type == DK_I8 ? 1 : 2; }
int64_t dk_panel_count(int64_t n) { return (n + 15) / 16; }
int64_t dk_panel_bytes(dk_type type, int64_t k) {
  if (type == DK_I8) return DK_SCALE_BYTES + (k + 3) / 4 * 64;
  return type == DK_BF16 ? (k + 1) / 2 * 64 : k * 16 * dk_type_bytes(type);
}
int64_t dk_rounded_stride(int64_t k) { return (k + 31) / 32 * 32; }

void dk_linear_decode(dk_isa isa, int32_t tactic, const dk_linear *w, const float *x, int64_t x_stride, float *out,
                      int64_t out_stride, int64_t rows, int64_t first_panel, int64_t end_panel) {
  table(isa)->linear_decode(tactic, w, x, x_stride, out, out_stride, rows, first_panel, end_panel);
}

int64_t dk_prefill_scratch_bytes(dk_type type, int64_t k) { return type == DK_I8 ? EXPANDED_PANELS * dk_panel_bytes(DK_BF16, k) : 0; }

static void prefill(dk_isa isa, int32_t tactic, const dk_linear *w, const void *x, int64_t x_stride, float *out, int64_t out_stride,
                    int64_t first_row, int64_t end_row, int64_t first_panel, int64_t end_panel) {
#if defined(__x86_64__)
  if (isa == DK_AMX && w->type == DK_BF16) {
    dk_linear_prefill_amx(w, x, x_stride, out, out_stride, first_row, end_row, first_panel, end_panel);
    return;
  }
#endif
  table(isa)->linear_prefill(tactic, w, x, x_stride, out, out_stride, first_row, end_row, first_panel, end_panel);
}

/* The codes of a few panels at a time as bfloat16; then scale and bias of what comes of them. */
static void prefill_int8(dk_isa isa, int32_t tactic, const dk_linear *w, const void *x, int64_t x_stride, float *out,
                         int64_t out_stride, int64_t first_row, int64_t end_row, int64_t first_panel, int64_t end_panel, void *scratch) {
  const int64_t panel_bytes = dk_panel_bytes(DK_I8, w->k), wide_bytes = dk_panel_bytes(DK_BF16, w->k);
  for (int64_t panel = first_panel; panel < end_panel; panel += EXPANDED_PANELS) {
    const int64_t panels = end_panel - panel < EXPANDED_PANELS ? end_panel - panel : EXPANDED_PANELS;
    const char *codes = (const char *)w->panels + panel * panel_bytes;
    for (int64_t p = 0; p < panels; p++) table(isa)->expand_int8((char *)scratch + p * wide_bytes, codes + p * panel_bytes, w->k);
    const int64_t left = w->n - panel * 16;
    const dk_linear wide = {
      .panels = scratch, .bias = NULL, .n = left < panels * 16 ? left : panels * 16, .k = w->k, .type = DK_BF16, .bias_type = DK_BF16,
    };
    prefill(isa, tactic, &wide, x, x_stride, out + panel * 16, out_stride, first_row, end_row, 0, panels);
    for (int64_t p = 0; p < panels; p++) {
      const int64_t first = (panel + p) * 16, columns = w->n - first < 16 ? w->n - first : 16;
      float bias[16];
      if (w->bias)
        for (int64_t c = 0; c < columns; c++) bias[c] = dk_float_at(w->bias_type, w->bias, first + c);
      table(isa)->scale_outputs(out + first_row * out_stride + first, out_stride, end_row - first_row,
                                (const float *)(codes + p * panel_bytes), w->bias ? bias : NULL, columns);
    }
  }
}

void dk_linear_prefill(dk_isa isa, int32_t tactic, const dk_linear *w, const void *x, int64_t x_stride, float *out,
                       int64_t out_stride, int64_t first_row, int64_t end_row, int64_t first_panel, int64_t end_panel, void *scratch) {
  if (w->type == DK_I8)
    prefill_int8(isa, tactic, w, x, x_stride, out, out_stride, first_row, end_row, first_panel, end_panel, scratch);
  else
    prefill(isa, tactic, w, x, x_stride, out, out_stride, first_row, end_row, first_panel, end_panel);
}

void dk_encode_int8(dk_isa isa, int8_t *codes, float *scale, const float *x, int64_t k) {
  table(isa)->encode_int8(codes, scale, x, k);
}

/* Names of all shapes that some tactic has: by rows, panels. */
#define NAME(rows, panels) [rows][panels] = "rows=" #rows ",panels=" #panels
static const char *const shape_names[15][5] = {
  NAME(1, 1), NAME(1, 2), NAME(1, 4), NAME(2, 1), NAME(2, 2), NAME(3, 2), NAME(4, 1), NAME(6, 1), NAME(6, 4),
  NAME(8, 2), NAME(8, 3), NAME(12, 2), NAME(14, 1), NAME(14, 2),
};

int32_t dk_decode_tactic_count(dk_isa isa) { return table(isa)->decode_tactics; }

const char *dk_decode_tactic_name(dk_isa isa, int32_t tactic) {
  const dk_table *t = table(isa);
  if (tactic < 0 || tactic >= t->decode_tactics) return NULL;
  return shape_names[t->decode_shapes[tactic][0]][t->decode_shapes[tactic][1]];
}

int32_t dk_prefill_tactic_count(dk_isa isa, dk_type type) {
  return isa == DK_AMX && (type == DK_BF16 || type == DK_I8) ? 1 : table(isa)->prefill_tactics;
}

const char *dk_prefill_tactic_name(dk_isa isa, dk_type type, int32_t tactic) {
  const dk_table *t = table(isa);
  if (tactic < 0 || tactic >= dk_prefill_tactic_count(isa, type)) return NULL;
  if (isa == DK_AMX && (type == DK_BF16 || type == DK_I8)) return "tiles=2x2";
  return shape_names[t->prefill_shapes[tactic][0]][t->prefill_shapes[tactic][1]];
}

void dk_convert(dk_isa isa, void *out, dk_type out_type, const void *x, dk_type x_type, int64_t count) {
  table(isa)->convert(out, out_type, x, x_type, count);
}

int64_t dk_count_nonfinite(dk_isa isa, const void *x, dk_type type, int64_t count) {
  return table(isa)->count_nonfinite(x, type, count);
}

void dk_add_low_rank(dk_isa isa, float *w, int64_t w_stride, const float *b, const float *a, int64_t a_stride, int64_t rows,
                     int64_t columns, int64_t rank, float scale) {
  table(isa)->add_low_rank(w, w_stride, b, a, a_stride, rows, columns, rank, scale);
}

void dk_round_rows(dk_isa isa, uint16_t *out, const float *x, int64_t x_stride, int64_t rows, int64_t k) {
  const int64_t stride = dk_rounded_stride(k);
  for (int64_t r = 0; r < rows; r++) {
    table(isa)->convert(out + r * stride, DK_BF16, x + r * x_stride, DK_F32, k);
    for (int64_t i = k; i < stride; i++) out[r * stride + i] = 0;
  }
}

void dk_rmsnorm(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight,
                dk_type type, int64_t rows, int64_t n, float epsilon) {
  table(isa)->rmsnorm(out, out_stride, x, x_stride, weight, type, rows, n, epsilon);
}

void dk_add_rmsnorm(dk_isa isa, float *out, int64_t out_stride, float *residual, int64_t residual_stride, const float *x,
                    int64_t x_stride, const void *weight, dk_type type, int64_t rows, int64_t n, float epsilon) {
  table(isa)->add_rmsnorm(out, out_stride, residual, residual_stride, x, x_stride, weight, type, rows, n, epsilon);
}

void dk_layernorm(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight,
                  const void *bias, dk_type type, int64_t rows, int64_t n, float epsilon) {
  table(isa)->layernorm(out, out_stride, x, x_stride, weight, bias, type, rows, n, epsilon);
}

void dk_activation(dk_isa isa, dk_activation_kind f, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                   int64_t rows, int64_t n) {
  table(isa)->activation(f, out, out_stride, x, x_stride, rows, n);
}

void dk_gated_activation(dk_isa isa, dk_activation_kind f, float *out, int64_t out_stride, const float *x,
                         int64_t x_stride, int64_t rows, int64_t n) {
  table(isa)->gated_activation(f, out, out_stride, x, x_stride, rows, n);
}

void dk_limited_gate(dk_isa isa, float limit, float alpha, float offset, float *out, int64_t out_stride, const float *x,
                     int64_t x_stride, int64_t rows, int64_t n) {
  table(isa)->limited_gate(limit, alpha, offset, out, out_stride, x, x_stride, rows, n);
}

void dk_scale(dk_isa isa, float *x, float factor, int64_t count) { table(isa)->scale(x, factor, count); }

void dk_soft_cap(dk_isa isa, float *x, float cap, int64_t count) { table(isa)->soft_cap(x, cap, count); }

void dk_add(dk_isa isa, float *sum, const float *x, int64_t count) { table(isa)->add(sum, x, count); }

void dk_add_scaled(dk_isa isa, float *sum, const float *x, float factor, int64_t count) {
  table(isa)->add_scaled(sum, x, factor, count);
}

void dk_route(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, int64_t rows, int64_t experts,
              int64_t chosen, bool normalizes, float scale) {
  table(isa)->route(out, out_stride, x, x_stride, rows, experts, chosen, normalizes, scale);
}

int64_t dk_argmax(dk_isa isa, const float *x, int64_t count) { return table(isa)->argmax(x, count); }

void dk_rope(dk_isa isa, dk_rope_style style, float *x, int64_t x_stride, int64_t rows, int64_t heads, int64_t head_dim,
             int64_t rotary_dim, const float *cos, const float *sin, int64_t first_position) {
  table(isa)->rope(style, x, x_stride, rows, heads, head_dim, rotary_dim, cos, sin, first_position);
}

void dk_attention(dk_isa isa, const dk_attention_shape *shape, const void *pool, const int32_t *block_table,
                  int64_t first_position, const float *q, int64_t q_stride, float *out, int64_t out_stride,
                  int64_t first_row, int64_t end_row, int64_t first_head, int64_t end_head) {
  table(isa)->attention(shape, pool, block_table, first_position, q, q_stride, out, out_stride, first_row, end_row,
                        first_head, end_head);
}
