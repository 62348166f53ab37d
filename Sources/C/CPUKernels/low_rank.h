/* Low-rank updates of weights, and the search for NaN and infinity: work of refitting, not of inference. */

/* Sums in registers: rows x vectors of a tile. */
#if DK_LANES == 16
enum { UPDATE_ROWS = 4, UPDATE_VECTORS = 4 };
#else
enum { UPDATE_ROWS = 2, UPDATE_VECTORS = 4 };
#endif

INLINE void add_low_rank_tile(const int row_count, const int vector_count, float *w, int64_t w_stride, const float *b,
                              const float *a, int64_t a_stride, int64_t rank, float scale) {
#pragma clang fp contract(off)
  vf sum[UPDATE_ROWS][UPDATE_VECTORS] = {0};
  for (int64_t k = 0; k < rank; k++) {
    vf wide[UPDATE_VECTORS];
    UNROLL for (int v = 0; v < vector_count; v++) wide[v] = load(a + k * a_stride + v * DK_LANES);
    UNROLL for (int r = 0; r < row_count; r++) {
      vf factor = splat(b[r * rank + k]);
      UNROLL for (int v = 0; v < vector_count; v++) sum[r][v] = sum[r][v] + factor * wide[v];
    }
  }
  UNROLL for (int r = 0; r < row_count; r++)
    UNROLL for (int v = 0; v < vector_count; v++) {
      float *to = w + r * w_stride + v * DK_LANES;
      store(to, load(to) + splat(scale) * sum[r][v]);
    }
}

INLINE void add_low_rank_rows(const int row_count, float *w, int64_t w_stride, const float *b, const float *a,
                              int64_t a_stride, int64_t columns, int64_t rank, float scale) {
#pragma clang fp contract(off)
  int64_t c = 0;
  for (; c + UPDATE_VECTORS * DK_LANES <= columns; c += UPDATE_VECTORS * DK_LANES)
    add_low_rank_tile(row_count, UPDATE_VECTORS, w + c, w_stride, b, a + c, a_stride, rank, scale);
  for (; c + DK_LANES <= columns; c += DK_LANES) add_low_rank_tile(row_count, 1, w + c, w_stride, b, a + c, a_stride, rank, scale);
  for (int r = 0; r < row_count; r++)
    for (int64_t i = c; i < columns; i++) {
      float sum = 0;
      for (int64_t k = 0; k < rank; k++) sum = sum + b[r * rank + k] * a[k * a_stride + i];
      w[r * w_stride + i] = w[r * w_stride + i] + scale * sum;
    }
}

static void add_low_rank(float *w, int64_t w_stride, const float *b, const float *a, int64_t a_stride, int64_t rows,
                         int64_t columns, int64_t rank, float scale) {
  /* A strip of A that stays in the second cache while all rows pass. */
  const int64_t strip = 64 * UPDATE_VECTORS * DK_LANES / 4;
  for (int64_t c = 0; c < columns; c += strip) {
    const int64_t width = columns - c < strip ? columns - c : strip;
    int64_t r = 0;
    for (; r + UPDATE_ROWS <= rows; r += UPDATE_ROWS)
      add_low_rank_rows(UPDATE_ROWS, w + r * w_stride + c, w_stride, b + r * rank, a + c, a_stride, width, rank, scale);
    for (; r < rows; r++) add_low_rank_rows(1, w + r * w_stride + c, w_stride, b + r * rank, a + c, a_stride, width, rank, scale);
  }
}

/* All bits of the exponent set: NaN or infinity in every IEEE type. The loops are left to the compiler's vectors; a
 * block's sum fits its own narrow lanes. */
INLINE int64_t count_exponents16(const char *x, uint16_t exponent, int64_t count) {
  int64_t found = 0;
  for (int64_t first = 0; first < count; first += 4096) {
    const int64_t end = count - first < 4096 ? count : first + 4096;
    uint16_t block = 0;
    for (int64_t i = first; i < end; i++) {
      uint16_t value;
      memcpy(&value, x + i * 2, sizeof value);
      block = (uint16_t)(block + ((value & exponent) == exponent));
    }
    found += block;
  }
  return found;
}

static int64_t count_nonfinite(const void *x, dk_type type, int64_t count) {
  if (type != DK_F32) return count_exponents16(x, type == DK_BF16 ? 0x7f80 : 0x7c00, count);
  int64_t found = 0;
  for (int64_t first = 0; first < count; first += 4096) {
    const int64_t end = count - first < 4096 ? count : first + 4096;
    uint32_t block = 0;
    for (int64_t i = first; i < end; i++) {
      uint32_t value;
      memcpy(&value, (const char *)x + i * 4, sizeof value);
      block += (value & 0x7f800000) == 0x7f800000;
    }
    found += block;
  }
  return found;
}
