/* Linear layers whose weights are int8 with one scale an output (include after linear.h and convert.h).
 *
 * A panel is 16 scales (f32), then words of four inputs, one word an output: see CPUKernels.h. Codes are whole numbers
 * that float32 and bfloat16 hold exactly, so a sum runs over codes and is multiplied by the scale once, at its end. */

INLINE vf code_at(vu four, const int c) { return __builtin_convertvector((vi)(four << (24 - 8 * c)) >> 24, vf); }

/* Decode. Four partial sums as for the other types: input i goes to sum i mod 4. */
INLINE void decode_tile_int8(const tile_args *a, const int rows, const int panels) {
  const int vectors = panels * PARTS;
  const int64_t k = a->k, whole = k & ~(int64_t)3;
  const float *x = a->x;
  const char *w[MAX_VECTORS];
  vf sum[4][MAX_VECTORS][8];
  UNROLL for (int v = 0; v < vectors; v++) w[v] = vector_start(a, v, 4) + DK_SCALE_BYTES;
  UNROLL for (int c = 0; c < 4; c++)
    UNROLL for (int v = 0; v < vectors; v++)
      UNROLL for (int r = 0; r < rows; r++) sum[c][v][r] = splat(0);
  for (int64_t i = 0; i < whole; i += 4)
    UNROLL for (int v = 0; v < vectors; v++) {
      const char *p = w[v] + i * PANEL;
      if (v % PARTS == 0) __builtin_prefetch(p + DK_PREFETCH_BYTES);
      vu four = load_u(p);
      UNROLL for (int c = 0; c < 4; c++) {
        vf one = code_at(four, c);
        UNROLL for (int r = 0; r < rows; r++)
          sum[c][v][r] = fma_(splat(x[r * a->x_stride + i + c]), one, sum[c][v][r]);
      }
    }
  UNROLL for (int c = 0; c < 3; c++) { /* what is left of k, at most three inputs */
    if (whole + c >= k) break;
    UNROLL for (int v = 0; v < vectors; v++) {
      vf one = code_at(load_u(w[v] + whole * PANEL), c);
      UNROLL for (int r = 0; r < rows; r++)
        sum[c][v][r] = fma_(splat(x[r * a->x_stride + whole + c]), one, sum[c][v][r]);
    }
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    vf scale = load((const float *)(a->panel + (v / PARTS) * a->panel_bytes) + (v % PARTS) * DK_LANES);
    UNROLL for (int r = 0; r < rows; r++) {
      vf total = (sum[0][v][r] + sum[1][v][r]) + (sum[2][v][r] + sum[3][v][r]);
      finish(a, vectors, r, v, total * scale);
    }
  }
}

#define DEFINE_DECODE_INT8(R, P) \
  static void decode_i8_##R##x##P(const tile_args *a) { decode_tile_int8(a, R, P); }
DK_DECODE_TILES(DEFINE_DECODE_INT8)
#define ENTRY_DECODE_I8(R, P) [P][R] = decode_i8_##R##x##P,
static tile_function *const decode_tiles_int8[MAX_PANELS + 1][MAX_ROWS + 1] = {DK_DECODE_TILES(ENTRY_DECODE_I8)};

static void linear_decode_int8(int32_t tactic, const dk_linear *w, const float *x, int64_t x_stride, float *out,
                               int64_t out_stride, int64_t rows, int64_t first_panel, int64_t end_panel) {
  const int *shape = decode_shapes[tactic];
  cover(decode_tiles_int8, shape[0], shape[1], w, (const char *)x, x_stride, 4, out, out_stride, 0, rows, first_panel,
        end_panel);
}

/* The codes of a panel as a panel of bfloat16 ("panel16x2"), exactly. */
static void expand_int8(void *out, const void *panel, int64_t k) {
  const char *codes = (const char *)panel + DK_SCALE_BYTES;
  const int64_t pairs = (k + 1) / 2;
  for (int64_t pair = 0; pair < pairs; pair += 2)
    UNROLL for (int part = 0; part < PARTS; part++) {
      vu four = load_u(codes + pair / 2 * 64 + part * DK_LANES * 4);
      char *to = (char *)out + pair * 64 + part * DK_LANES * 4;
      vu first = as_u(code_at(four, 0)) >> 16 | as_u(code_at(four, 1)), second = as_u(code_at(four, 2)) >> 16 | as_u(code_at(four, 3));
      memcpy(to, &first, sizeof first);
      if (pair + 1 < pairs) memcpy(to + 64, &second, sizeof second);
    }
}

/* out = out * scale + bias over the outputs of one panel. */
static void scale_outputs(float *out, int64_t out_stride, int64_t rows, const float *scale, const float *bias, int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      float value = out[r * out_stride + c] * scale[c];
      out[r * out_stride + c] = bias ? value + bias[c] : value;
    }
}

static void encode_int8(int8_t *codes, float *scale, const float *x, int64_t k) {
  /* Magnitudes compared as whole numbers: NaN is above infinity, which is above every number. */
  vu largest = (vu)0;
  int64_t i = 0;
  for (; i + DK_LANES <= k; i += DK_LANES) {
    vu magnitude = as_u(load(x + i)) & 0x7fffffff;
    largest = __builtin_elementwise_max(largest, magnitude);
  }
  uint32_t most = 0;
  for (int lane = 0; lane < DK_LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
  for (; i < k; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    most = bits > most ? bits : most;
  }
  if (most >= 0x7f800000) { /* a row with NaN or infinity is NaN */
    *scale = __builtin_nanf("");
    memset(codes, 0, (size_t)k);
    return;
  }
  float magnitude;
  memcpy(&magnitude, &most, sizeof magnitude);
  const uint32_t narrow = (uint32_t)narrow_bf16(splat(magnitude / 127))[0] << 16;
  memcpy(scale, &narrow, sizeof *scale);
  if (*scale == 0) {
    memset(codes, 0, (size_t)k);
    return;
  }
  typedef int8_t vb __attribute__((ext_vector_type(DK_LANES)));
  const vf one = splat(*scale), most_code = splat(127), unit = splat(0x1.8p23f); /* adding it rounds to whole numbers */
  for (i = 0; i < k; i += DK_LANES) {
    const int64_t n = k - i < DK_LANES ? k - i : DK_LANES;
    vf q = (n == DK_LANES ? load(x + i) : load_part(x + i, n, 0)) / one;
    q = choose(q > most_code, most_code, choose(q < -most_code, -most_code, q));
    q = q + unit;
    q = q - unit;
    vb bytes = __builtin_convertvector(__builtin_convertvector(q, vi), vb);
    memcpy(codes + i, &bytes, (size_t)n);
  }
}
