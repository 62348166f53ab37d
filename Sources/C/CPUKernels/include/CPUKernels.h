/* Arithmetic of the CPU back end, and the threads that it runs on. No policy: callers choose the instruction set, the
 * tactic and each thread's share. Only dk_best_isa, which remembers its answer, and dk_team, which owns threads, keep state,
 * allocate or can fail.
 *
 * Contract of every function, unless it says otherwise:
 *   - Shapes are not checked; the caller has checked them. Counts may be 0. Pointers of empty arrays may be null.
 *   - Strides count elements between the starts of two rows. Rows need no alignment beyond their element's.
 *   - Outputs do not overlap inputs.
 *   - A row's result depends on that row and the weights only: not on the number of rows, the split over
 *     threads, or the tactic. Equal to the bit. Between instruction sets results differ within the tolerance.
 *   - NaN and infinity propagate as in plain IEEE arithmetic.
 *   - `isa` is at most dk_best_isa(): a higher one executes instructions that the machine lacks. */
#ifndef DK_CPU_KERNELS_H
#define DK_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Instruction sets and element types ------------------------------------------------------------------ */

typedef enum : int32_t {
  DK_PORTABLE = 0, /* plain C, any processor */
  DK_AVX2 = 1,     /* AVX2, FMA, F16C */
  DK_AVX512 = 2,   /* AVX-512 F, BW, VL, DQ, BF16 */
  DK_AMX = 3,      /* DK_AVX512 and AMX-TILE, AMX-BF16; only the bfloat16 prefill differs from DK_AVX512 */
} dk_isa;

/* The highest that processor and operating system offer. The first call asks the kernel for permission to use
 * AMX tile data (the whole process keeps it). Safe from any thread; cheap after the first call. */
dk_isa dk_best_isa(void);

/* DK_I8: codes of weights that have a scale an output; only where a function says so. */
typedef enum : int32_t { DK_F32 = 0, DK_F16 = 1, DK_BF16 = 2, DK_I8 = 3 } dk_type;

/* 4, 2, 2, 1. */
int64_t dk_type_bytes(dk_type type);

/* ---- Linear layers -------------------------------------------------------------------------------------- */

enum { DK_SCALE_BYTES = 64 }; /* of an int8 panel */

/* Weights W [n, k] in panels of 16 outputs (docs/architecture.md, "Packed weight layouts"):
 *   bfloat16          [ceil(n/16)][ceil(k/2)][16][2]     "panel16x2"; element k is zero where k is odd
 *   float16, float32  [ceil(n/16)][k][16]                "panel16"
 *   int8              [ceil(n/16)] { scales f32 [16], codes [ceil(k/4)][16][4] }    "panel16x4"; codes from k on are zero.
 *                     Element (j, i) is code (j, i) times scale j.
 * Outputs from n to the panel's end are zero rows. */
typedef struct {
  const void *panels;
  const void *bias;  /* [n], in bias_type; null: none */
  int64_t n, k;      /* outputs, inputs */
  dk_type type;
  dk_type bias_type;
} dk_linear;

/* Bytes of one panel, of all panels, and ceil(n/16). */
int64_t dk_panel_bytes(dk_type type, int64_t k);
int64_t dk_panel_count(int64_t n);

/* Decode: few rows, the weights' bytes are the cost; each is read from memory once for all rows.
 *   out[r, j] = sum_i x[r, i] * W[j, i] + bias[j]   for r in 0..<rows, j in the panels first_panel..<end_panel
 *   x    f32 [rows, k], out f32 [rows, n]; columns of other panels are left alone, so threads share out
 * Weights are widened exactly; products are summed in f32, in four partial sums (i mod 4), then added pairwise.
 * |error| <= (k + 2) * 2^-24 * (sum_i |x W| + |bias|).
 * tactic: 0..<dk_decode_tactic_count(isa); all give the same bits. */
void dk_linear_decode(dk_isa isa, int32_t tactic, const dk_linear *w, const float *x, int64_t x_stride,
                      float *out, int64_t out_stride, int64_t rows, int64_t first_panel, int64_t end_panel);
int32_t dk_decode_tactic_count(dk_isa isa);
/* For timing caches and reports: "panels=2". Null outside 0..<count. */
const char *dk_decode_tactic_name(dk_isa isa, int32_t tactic);

/* Prefill: many rows, arithmetic is the cost. Same formula, for rows first_row..<end_row.
 *   bfloat16 weights: x is bfloat16, as written by dk_round_rows (rows of dk_rounded_stride(k), zero padded).
 *     Products of pairs of inputs are summed in f32 in the order of i. With DK_AVX512 and DK_AMX the processor's
 *     dot product takes subnormal inputs and results as zero.
 *   int8 weights: x as for bfloat16; codes, which bfloat16 holds exactly, are expanded into `scratch` a few panels at a time;
 *     sums as for bfloat16 weights, multiplied by the scale at the end.
 *   float16, float32 weights: x is f32 [rows, k]; one f32 sum in the order of i.
 * |error| <= (k + 2) * 2^-24 * (sum_i |x W| + |bias|), with x as rounded. */
void dk_linear_prefill(dk_isa isa, int32_t tactic, const dk_linear *w, const void *x, int64_t x_stride,
                       float *out, int64_t out_stride, int64_t first_row, int64_t end_row,
                       int64_t first_panel, int64_t end_panel, void *scratch);
/* Bytes of scratch memory that each thread brings to dk_linear_prefill, 64-byte aligned for speed; 0: it may be null. */
int64_t dk_prefill_scratch_bytes(dk_type type, int64_t k);
int32_t dk_prefill_tactic_count(dk_isa isa, dk_type type);
/* "rows=14,panels=2". Null outside 0..<count. */
const char *dk_prefill_tactic_name(dk_isa isa, dk_type type, int32_t tactic);

/* For tests: the AMX kernel's code over tiles emulated in plain C, on any machine. bfloat16 weights only. */
void dk_linear_prefill_amx_emulated(const dk_linear *w, const uint16_t *x, int64_t x_stride, float *out,
                                    int64_t out_stride, int64_t first_row, int64_t end_row, int64_t first_panel,
                                    int64_t end_panel);

/* k rounded up to 32: one AMX tile row. */
int64_t dk_rounded_stride(int64_t k);
/* out[r, i] = x[r, i] to bfloat16, nearest even, NaN stays NaN; zero from k to dk_rounded_stride(k).
 *   out  bf16 [rows, dk_rounded_stride(k)], 64-byte aligned for speed */
void dk_round_rows(dk_isa isa, uint16_t *out, const float *x, int64_t x_stride, int64_t rows, int64_t k);

/* ---- Element types -------------------------------------------------------------------------------------- */

/* out[i] = x[i] in another type; rounds to nearest even, overflow gives infinity, NaN stays NaN. Equal types copy
 * the bits. Unaligned pointers are fine. */
void dk_convert(dk_isa isa, void *out, dk_type out_type, const void *x, dk_type x_type, int64_t count);

/* How many of `count` elements are NaN or infinite. Unaligned pointers are fine. */
int64_t dk_count_nonfinite(dk_isa isa, const void *x, dk_type type, int64_t count);

/* Packs up to 16 rows of W [n, k], row-major, into one panel; rows from `rows` to 16 become zero.
 * x_stride in elements; panel as in dk_linear, 64-byte aligned for speed. Bits are copied, never rounded. */
void dk_pack_panel(dk_type type, void *panel, const void *x, int64_t x_stride, int64_t rows, int64_t k);
/* The inverse: writes `rows` rows of k elements. */
void dk_unpack_panel(dk_type type, void *out, int64_t out_stride, const void *panel, int64_t rows, int64_t k);

/* The same for int8: codes [rows, k], rows codes_stride apart, and scales f32 [rows]. */
void dk_pack_int8_panel(void *panel, const int8_t *codes, int64_t codes_stride, const float *scales, int64_t rows, int64_t k);
void dk_unpack_int8_panel(int8_t *codes, int64_t codes_stride, float *scales, const void *panel, int64_t rows, int64_t k);

/* One row x f32 [k] as int8: scale = max |x| / 127 rounded to bfloat16, codes[i] = x[i] / scale rounded to nearest even
 * and held within -127...127. |x[i] - scale codes[i]| <= scale / 2. Encoding scale * codes again gives both again, to
 * the bit, since 127 * scale is exact. A row of zeros has scale 0; one with NaN or infinity has scale NaN and codes 0. */
void dk_encode_int8(dk_isa isa, int8_t *codes, float *scale, const float *x, int64_t k);

/* LoRA: W += scale * (B A) over a tile, in float32 (arXiv:2106.09685).
 *   w [rows, columns], rows w_stride apart;  b [rows, rank], packed;  a [rank, columns], rows a_stride apart
 * Each element is s = 0; s = s + b[r, k] * a[k, c] for k from 0 on; w = w + scale * s, every operation rounded: equal
 * to the bit on every instruction set, whatever the tile. */
void dk_add_low_rank(dk_isa isa, float *w, int64_t w_stride, const float *b, const float *a, int64_t a_stride, int64_t rows,
                     int64_t columns, int64_t rank, float scale);

/* Embedding rows: out[r, i] = scale * W[ids[r], i], r in 0..<rows. The caller has checked every id.
 * W row-major [vocabulary, k] in `type`. */
void dk_gather_rows(dk_type type, float *out, int64_t out_stride, const void *w, int64_t k, const int32_t *ids,
                    int64_t rows, float scale);
/* The same from panels, as shared with the output layer. */
void dk_gather_panels(dk_type type, float *out, int64_t out_stride, const void *panels, int64_t k, const int32_t *ids,
                      int64_t rows, float scale);

/* ---- Norms, activations, sums --------------------------------------------------------------------------- */

/* out[r, i] = weight[i] * x[r, i] / sqrt(mean_i x[r, i]^2 + epsilon)
 *   x, out f32 [rows, n]; out == x allowed.   weight [n] in `type`.
 * Sums in f32; relative error below 1e-6 + n * 2^-28. Source: arXiv:1910.07467. */
void dk_rmsnorm(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight,
                dk_type type, int64_t rows, int64_t n, float epsilon);
/* residual += x, then out = rmsnorm(residual). out may be x, not residual. */
void dk_add_rmsnorm(dk_isa isa, float *out, int64_t out_stride, float *residual, int64_t residual_stride, const float *x,
                    int64_t x_stride, const void *weight, dk_type type, int64_t rows, int64_t n, float epsilon);
/* out[r, i] = weight[i] * (x[r, i] - mean) / sqrt(variance + epsilon) + bias[i]; bias may be null; out == x allowed. */
void dk_layernorm(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight,
                  const void *bias, dk_type type, int64_t rows, int64_t n, float epsilon);

typedef enum : int32_t {
  DK_SILU = 0,      /* x / (1 + e^-x) */
  DK_GELU_TANH = 1, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
  DK_GELU_ERF = 2,  /* x/2 (1 + erf(x / sqrt 2)) */
  DK_RELU = 3,      /* max(x, 0) */
  DK_IDENTITY = 4,
} dk_activation_kind;

/* out[r, i] = f(x[r, i]), i in 0..<n; out == x allowed. |error| <= 1e-6 (1 + |x|). */
void dk_activation(dk_isa isa, dk_activation_kind f, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                   int64_t rows, int64_t n);
/* out[r, i] = f(x[r, n + i]) * x[r, i]: a row of x is [up (n), gate (n)], TensorRT-LLM's fused_fc.
 * out == x allowed. */
void dk_gated_activation(dk_isa isa, dk_activation_kind f, float *out, int64_t out_stride, const float *x,
                         int64_t x_stride, int64_t rows, int64_t n);
/* out[r, i] = a sigmoid(alpha a) (b + offset) with a = min(x[r, n + i], limit), b = x[r, i] within -limit...limit (gpt-oss). */
void dk_limited_gate(dk_isa isa, float limit, float alpha, float offset, float *out, int64_t out_stride, const float *x,
                     int64_t x_stride, int64_t rows, int64_t n);
/* x[i] *= factor. */
void dk_scale(dk_isa isa, float *x, float factor, int64_t count);
/* x[i] = cap tanh(x[i] / cap). |error| <= 3e-7 cap. */
void dk_soft_cap(dk_isa isa, float *x, float cap, int64_t count);
/* sum[i] += x[i]. */
void dk_add(dk_isa isa, float *sum, const float *x, int64_t count);
/* sum[i] += factor * x[i], rounded once where the instruction set can. */
void dk_add_scaled(dk_isa isa, float *sum, const float *x, float factor, int64_t count);
/* Index of the first largest value; NaN never wins; 0 where all are NaN, -1 where count is 0. */
int64_t dk_argmax(dk_isa isa, const float *x, int64_t count);

/* ---- Mixtures of experts --------------------------------------------------------------------------------- */

/* Shares of experts: of each row of logits x [rows, experts] the `chosen` largest, of equals the first, NaN never; out[r, e] is
 * scale * e^x[e] / sum for those and 0 for the others, the sum being over all experts or, with `normalizes`, over the chosen.
 * out == x allowed; chosen is 1...experts. |relative error| <= 1e-6 + 2^-23 (largest x - x[e]). A row with NaN or +infinity, or -infinity alone, gives NaN for
 * the first `chosen`. */
void dk_route(dk_isa isa, float *out, int64_t out_stride, const float *x, int64_t x_stride, int64_t rows, int64_t experts,
              int64_t chosen, bool normalizes, float scale);

/* ---- Attention over a paged cache ----------------------------------------------------------------------- */

enum { DK_BLOCK_TOKENS = 16 };

/* A layer's cache is a pool of blocks; block b starts at b * dk_cache_block_bytes. A block holds 16 tokens: for
 * each KV head its keys transposed, then its values, rows of values padded to a multiple of 16:
 *   [kv_heads] { K [head_dim][16 tokens], V [16 tokens][head_dim rounded up to 16] }
 * so that scores and outputs both run along lanes. Position p of a sequence is token p % 16 of block
 * block_table[p / 16]. What no token was stored to is never used, whatever its bits. */
typedef struct {
  int32_t heads, kv_heads; /* heads is a multiple of kv_heads; query head h reads KV head h / (heads / kv_heads) */
  int32_t head_dim;        /* 1...DK_MAX_HEAD_DIM */
  dk_type cache_type;      /* DK_F32 or DK_BF16 */
  float scale;             /* of the scores, usually 1 / sqrt(head_dim) */
  int64_t window;          /* positions that a query sees, its own among them; 0: all before it */
  float soft_cap;          /* scores s become soft_cap * tanh(s / soft_cap); 0: they stay */
  const float *sinks;      /* [heads]: a score of each head that no value belongs to; null: none */
} dk_attention_shape;

enum { DK_MAX_HEAD_DIM = 512 };

/* A multiple of 32. Give the pool 64-byte alignment. */
int64_t dk_cache_block_bytes(const dk_attention_shape *shape);

/* Stores keys and values of positions first_position..<first_position + rows.
 *   k, v  f32 [rows, kv_heads * head_dim] */
void dk_cache_store(const dk_attention_shape *shape, void *pool, const int32_t *block_table, int64_t first_position,
                    const float *k, int64_t k_stride, const float *v, int64_t v_stride, int64_t rows);

typedef enum : int32_t {
  DK_ROPE_HALVES = 0,      /* pairs (i, i + rotary_dim/2): GPT-NeoX, Llama in Hugging Face's order */
  DK_ROPE_INTERLEAVED = 1, /* pairs (2i, 2i + 1): GPT-J */
} dk_rope_style;

/* Rotates, in place, the first rotary_dim of each head: (a, b) -> (a cos - b sin, b cos + a sin).
 *   x         f32 [rows, heads * head_dim]; row r is at position first_position + r
 *   cos, sin  f32 [positions, rotary_dim / 2]; rotary_dim even, at most head_dim
 * Query and key heads that lie side by side can be rotated in one call. */
void dk_rope(dk_isa isa, dk_rope_style style, float *x, int64_t x_stride, int64_t rows, int64_t heads, int64_t head_dim,
             int64_t rotary_dim, const float *cos, const float *sin, int64_t first_position);

/* Causal attention of one sequence, for rows first_row..<end_row and query heads first_head..<end_head.
 *   out[r, h] = sum_t softmax_t(scale * q[r, h] . k[t]) v[t]   over positions t in 0...first_position + r, with a window only
 *               the last `window` of them; a sink adds e^sink to what the weights are divided by
 *   q    f32 [rows, heads * head_dim], out the same; row r is at position first_position + r
 * Keys and values up to the last row's position have been stored. Sums in f32, in the order of positions.
 * |error| <= 1e-5 max |v| for scores of moderate size. Threads share heads, rows or both; whole groups of
 * heads that share a KV head are cheaper. */
void dk_attention(dk_isa isa, const dk_attention_shape *shape, const void *pool, const int32_t *block_table,
                  int64_t first_position, const float *q, int64_t q_stride, float *out, int64_t out_stride,
                  int64_t first_row, int64_t end_row, int64_t first_head, int64_t end_head);

/* ---- A team of threads ---------------------------------------------------------------------------------- */

/* Threads that work on one thing together. Waiting threads look for work for 100 us, then sleep; with more team
 * threads in the process than processors they give way after 2 us and sleep after 20. */
typedef struct dk_team dk_team;
typedef void dk_team_function(void *context, int32_t thread, int32_t count);

/* A team of `count` threads, the caller of dk_team_run being thread 0; fewer where the system gives no more. Null
 * without memory. Workers block all signals. */
dk_team *dk_team_create(int32_t count);
int32_t dk_team_count(const dk_team *team);
/* Joins the workers. No run may be under way. */
void dk_team_destroy(dk_team *team);
/* Calls function(context, thread, count) once on every thread of the team; returns when all have. What the caller
 * wrote before is seen by all; what they wrote is seen by the caller. One run at a time, never inside another: aborts. */
void dk_team_run(dk_team *team, dk_team_function *function, void *context);
/* Inside a run: returns when every thread of the team has called it as often as this one. What a thread wrote before
 * its call is seen by all after theirs. Every thread calls it equally often, or the run never ends. */
void dk_team_barrier(dk_team *team);

#ifdef __cplusplus
}
#endif
#endif
