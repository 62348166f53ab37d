/* Linear layers over packed panels: the register tiles and the loops around them.
 *
 * A tile computes `rows` x `panels` of outputs with all sums in registers. A weight row of a panel is 16 outputs
 * side by side, so a sum is a plain lane: no horizontal additions, and an output's order of summation is the order
 * of its inputs whatever the tile's shape. That is what makes every tactic and every row count give equal bits. */

typedef struct {
  const char *panel;     /* first panel of the tile */
  int64_t panel_bytes;
  const float *bias;     /* of the tile's outputs, zero for padding; or null */
  const void *x;         /* first row; f32, or rounded bf16 */
  int64_t x_stride;
  float *out;            /* the tile's first row and first output */
  int64_t out_stride;
  int64_t k;
  int64_t columns;       /* outputs to write: the last panel may hold padding */
} tile_args;

typedef void tile_function(const tile_args *);

/* The last panel of a layer may hold fewer outputs than lanes. */
static __attribute__((noinline)) void store_columns(float *out, vf sum, int64_t columns) {
  if (columns >= DK_LANES) store(out, sum);
  else if (columns > 0) store_part(out, sum, columns);
}
/* Adds the bias and stores the v-th vector of a row of outputs. */
INLINE void finish(const tile_args *a, const int vectors, int row, int v, vf sum) {
  float *out = a->out + row * a->out_stride + v * DK_LANES;
  if (a->bias) sum += load(a->bias + v * DK_LANES);
  if (a->columns == vectors * DK_LANES) store(out, sum);
  else store_columns(out, sum, a->columns - v * DK_LANES);
}

enum { MAX_ROWS = 14, MAX_VECTORS = 16 };

/* Where the v-th vector of a tile's weight row lies. */
INLINE const char *vector_start(const tile_args *a, int v, int weight_bytes) {
  return a->panel + (v / PARTS) * a->panel_bytes + (v % PARTS) * DK_LANES * weight_bytes;
}

/* Decode. Four partial sums: input i goes to sum i mod 4. */
INLINE void decode_tile(const tile_args *a, const dk_type type, const int rows, const int panels) {
  const int vectors = panels * PARTS;
  const int unit = type == DK_BF16 ? 4 : type == DK_F16 ? 2 : 4; /* bytes of one lane in a stored row */
  const int64_t k = a->k, whole = k & ~(int64_t)3;
  const float *x = a->x;
  const char *w[MAX_VECTORS];
  vf sum[4][MAX_VECTORS][8];
  UNROLL for (int v = 0; v < vectors; v++) w[v] = vector_start(a, v, unit);
  UNROLL for (int c = 0; c < 4; c++)
    UNROLL for (int v = 0; v < vectors; v++)
      UNROLL for (int r = 0; r < rows; r++) sum[c][v][r] = splat(0);

  for (int64_t i = 0; i < whole; i += 4) {
    if (type == DK_BF16) {
      UNROLL for (int pair = 0; pair < 2; pair++)
        UNROLL for (int v = 0; v < vectors; v++) {
          const char *p = w[v] + (i / 2 + pair) * 64;
          if (v % PARTS == 0) __builtin_prefetch(p + DK_PREFETCH_BYTES);
          vu both = load_u(p);
          vf even = as_f(both << 16), odd = as_f(both & 0xffff0000u);
          UNROLL for (int r = 0; r < rows; r++) {
            sum[2 * pair][v][r] = fma_(splat(x[r * a->x_stride + i + 2 * pair]), even, sum[2 * pair][v][r]);
            sum[2 * pair + 1][v][r] = fma_(splat(x[r * a->x_stride + i + 2 * pair + 1]), odd, sum[2 * pair + 1][v][r]);
          }
        }
    } else {
      UNROLL for (int c = 0; c < 4; c++)
        UNROLL for (int v = 0; v < vectors; v++) {
          const char *p = w[v] + (i + c) * PANEL * unit;
          if (v % PARTS == 0 && (type == DK_F32 || c % 2 == 0)) __builtin_prefetch(p + DK_PREFETCH_BYTES);
          vf one = load_as(type, p, 0);
          UNROLL for (int r = 0; r < rows; r++)
            sum[c][v][r] = fma_(splat(x[r * a->x_stride + i + c]), one, sum[c][v][r]);
        }
    }
  }
  UNROLL for (int c = 0; c < 3; c++) { /* what is left of k, at most three inputs */
    if (whole + c >= k) break;
    UNROLL for (int v = 0; v < vectors; v++) {
      vf one;
      if (type == DK_BF16) {
        vu both = load_u(w[v] + (whole + c) / 2 * 64);
        one = c % 2 == 0 ? as_f(both << 16) : as_f(both & 0xffff0000u);
      } else {
        one = load_as(type, w[v] + (whole + c) * PANEL * unit, 0);
      }
      UNROLL for (int r = 0; r < rows; r++)
        sum[c][v][r] = fma_(splat(x[r * a->x_stride + whole + c]), one, sum[c][v][r]);
    }
  }
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int r = 0; r < rows; r++)
      finish(a, vectors, r, v, (sum[0][v][r] + sum[1][v][r]) + (sum[2][v][r] + sum[3][v][r]));
}

/* Prefill with f16 or f32 weights and f32 activations: one sum an output. */
INLINE void prefill_tile_float(const tile_args *a, const dk_type type, const int rows, const int panels) {
  const int vectors = panels * PARTS;
  const int unit = type == DK_F16 ? 2 : 4;
  const int64_t k = a->k;
  const float *x[MAX_ROWS];
  const char *w[MAX_VECTORS];
  vf sum[MAX_VECTORS][MAX_ROWS];
  UNROLL for (int r = 0; r < rows; r++) x[r] = (const float *)a->x + r * a->x_stride;
  UNROLL for (int v = 0; v < vectors; v++) w[v] = vector_start(a, v, unit);
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int r = 0; r < rows; r++) sum[v][r] = splat(0);
  for (int64_t i = 0; i < k; i++) {
    vf weight[MAX_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) weight[v] = load_as(type, w[v] + i * PANEL * unit, 0);
    UNROLL for (int r = 0; r < rows; r++) {
      vf one = splat(x[r][i]);
      UNROLL for (int v = 0; v < vectors; v++) sum[v][r] = fma_(one, weight[v], sum[v][r]);
    }
  }
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int r = 0; r < rows; r++) finish(a, vectors, r, v, sum[v][r]);
}

/* Prefill with bf16 weights and rounded bf16 activations: one sum an output, two inputs a step. */
INLINE void prefill_tile_pairs(const tile_args *a, const int rows, const int panels) {
  const int vectors = panels * PARTS;
  const int64_t pairs = (a->k + 1) / 2;
  const char *x[MAX_ROWS];
  const char *w[MAX_VECTORS];
  vf sum[MAX_VECTORS][MAX_ROWS];
  UNROLL for (int r = 0; r < rows; r++) x[r] = (const char *)a->x + r * a->x_stride * 2;
  UNROLL for (int v = 0; v < vectors; v++) w[v] = vector_start(a, v, 4);
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int r = 0; r < rows; r++) sum[v][r] = splat(0);
  for (int64_t i = 0; i < pairs; i++) {
    vu weight[MAX_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) weight[v] = load_u(w[v] + i * 64);
    UNROLL for (int r = 0; r < rows; r++) {
      uint32_t two;
      memcpy(&two, x[r] + i * 4, 4);
#if DK_HAS_BF16
      UNROLL for (int v = 0; v < vectors; v++) {
        vu twos = (vu)two;
        __m512bh left, right;
        memcpy(&left, &twos, sizeof left);
        memcpy(&right, &weight[v], sizeof right);
        sum[v][r] = (vf)_mm512_dpbf16_ps((__m512)sum[v][r], left, right);
      }
#else
      vf even = as_f((vu)(two << 16)), odd = as_f((vu)(two & 0xffff0000u));
      UNROLL for (int v = 0; v < vectors; v++) {
        sum[v][r] = fma_(even, as_f(weight[v] << 16), sum[v][r]);
        sum[v][r] = fma_(odd, as_f(weight[v] & 0xffff0000u), sum[v][r]);
      }
#endif
    }
  }
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int r = 0; r < rows; r++) finish(a, vectors, r, v, sum[v][r]);
}

#include "linear_int8.h"

/* Every tile that exists for this instruction set: DK_DECODE_TILES(X), DK_PREFILL_TILES(X) list X(rows, panels). */
#define DEFINE_DECODE(R, P)                                                                          \
  static void decode_f32_##R##x##P(const tile_args *a) { decode_tile(a, DK_F32, R, P); }             \
  static void decode_f16_##R##x##P(const tile_args *a) { decode_tile(a, DK_F16, R, P); }             \
  static void decode_bf16_##R##x##P(const tile_args *a) { decode_tile(a, DK_BF16, R, P); }           \
  static void decode_i8_##R##x##P(const tile_args *a) { decode_tile_int8(a, R, P); }
#define DEFINE_PREFILL(R, P)                                                                         \
  static void prefill_f32_##R##x##P(const tile_args *a) { prefill_tile_float(a, DK_F32, R, P); }     \
  static void prefill_f16_##R##x##P(const tile_args *a) { prefill_tile_float(a, DK_F16, R, P); }     \
  static void prefill_bf16_##R##x##P(const tile_args *a) { prefill_tile_pairs(a, R, P); }
DK_DECODE_TILES(DEFINE_DECODE)
DK_PREFILL_TILES(DEFINE_PREFILL)

enum { MAX_PANELS = 4 };
#define ENTRY_DECODE_F32(R, P) [P][R] = decode_f32_##R##x##P,
#define ENTRY_DECODE_F16(R, P) [P][R] = decode_f16_##R##x##P,
#define ENTRY_DECODE_BF16(R, P) [P][R] = decode_bf16_##R##x##P,
#define ENTRY_DECODE_I8(R, P) [P][R] = decode_i8_##R##x##P,
#define ENTRY_PREFILL_F32(R, P) [P][R] = prefill_f32_##R##x##P,
#define ENTRY_PREFILL_F16(R, P) [P][R] = prefill_f16_##R##x##P,
#define ENTRY_PREFILL_BF16(R, P) [P][R] = prefill_bf16_##R##x##P,
static tile_function *const decode_tiles[4][MAX_PANELS + 1][MAX_ROWS + 1] = {
  [DK_F32] = {DK_DECODE_TILES(ENTRY_DECODE_F32)},
  [DK_F16] = {DK_DECODE_TILES(ENTRY_DECODE_F16)},
  [DK_BF16] = {DK_DECODE_TILES(ENTRY_DECODE_BF16)},
  [DK_I8] = {DK_DECODE_TILES(ENTRY_DECODE_I8)},
};
static tile_function *const prefill_tiles[3][MAX_PANELS + 1][MAX_ROWS + 1] = {
  [DK_F32] = {DK_PREFILL_TILES(ENTRY_PREFILL_F32)},
  [DK_F16] = {DK_PREFILL_TILES(ENTRY_PREFILL_F16)},
  [DK_BF16] = {DK_PREFILL_TILES(ENTRY_PREFILL_BF16)},
};

/* Covers the outputs with tiles of at most `max_rows` x `max_panels`: panels outside, so that a panel comes from
 * memory once and stays in the cache for all rows. */
INLINE void cover(tile_function *const tiles[MAX_PANELS + 1][MAX_ROWS + 1], int max_rows, int max_panels,
                  const dk_linear *w, const char *x, int64_t x_stride, int64_t x_bytes, float *out, int64_t out_stride,
                  int64_t first_row, int64_t end_row, int64_t first_panel, int64_t end_panel) {
  const int64_t panel_bytes = dk_panel_bytes(w->type, w->k);
  float bias[MAX_PANELS * PANEL];
  for (int64_t panel = first_panel; panel < end_panel;) {
    int panels = end_panel - panel < max_panels ? (int)(end_panel - panel) : max_panels;
    while (!tiles[panels][1]) panels--;
    tile_args a = {
      .panel = (const char *)w->panels + panel * panel_bytes, .panel_bytes = panel_bytes,
      .bias = w->bias ? bias : NULL, .x_stride = x_stride, .out_stride = out_stride, .k = w->k,
      .columns = w->n - panel * PANEL,
    };
    if (a.columns > (int64_t)panels * PANEL) a.columns = (int64_t)panels * PANEL;
    if (w->bias)
      for (int i = 0; i < panels * PANEL; i++)
        bias[i] = i < a.columns ? dk_float_at(w->bias_type, w->bias, panel * PANEL + i) : 0;
    for (int64_t row = first_row; row < end_row;) {
      int rows = end_row - row < max_rows ? (int)(end_row - row) : max_rows;
      while (!tiles[panels][rows]) rows--;
      a.x = x + row * x_stride * x_bytes;
      a.out = out + row * out_stride + panel * PANEL;
      tiles[panels][rows](&a);
      row += rows;
    }
    panel += panels;
  }
}

static const int decode_shapes[][2] = {DK_DECODE_TACTICS};
static const int prefill_shapes[][2] = {DK_PREFILL_TACTICS};

static void linear_decode(int32_t tactic, const dk_linear *w, const float *x, int64_t x_stride, float *out,
                          int64_t out_stride, int64_t rows, int64_t first_panel, int64_t end_panel) {
  const int *shape = decode_shapes[tactic];
  cover(decode_tiles[w->type], shape[0], shape[1], w, (const char *)x, x_stride, 4, out, out_stride,
        0, rows, first_panel, end_panel);
}

static void linear_prefill(int32_t tactic, const dk_linear *w, const void *x, int64_t x_stride, float *out,
                           int64_t out_stride, int64_t first_row, int64_t end_row, int64_t first_panel,
                           int64_t end_panel) {
  const int *shape = prefill_shapes[tactic];
  cover(prefill_tiles[w->type], shape[0], shape[1], w, x, x_stride, w->type == DK_BF16 ? 2 : 4, out, out_stride,
        first_row, end_row, first_panel, end_panel);
}
