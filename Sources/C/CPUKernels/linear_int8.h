/* Linear layers whose weights are int8 with one scale an output (part of linear.h).
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
