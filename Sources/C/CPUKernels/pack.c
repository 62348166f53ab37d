/* Panels: packing rows of weights into them, unpacking, and gathering single rows. Bits are moved, not changed. */
#include "scalar.h"

enum { PANEL = 16 };

/* Small transposes on 16-byte vectors, which every processor we target has; the compiler makes shuffles of them.
 * A 4-byte unit is a float32 element or a pair of 16-bit ones. */
typedef uint32_t v4 __attribute__((ext_vector_type(4)));
typedef uint16_t v8 __attribute__((ext_vector_type(8)));

static inline void transpose4(v4 m[4]) {
  v4 a = __builtin_shufflevector(m[0], m[1], 0, 4, 1, 5), b = __builtin_shufflevector(m[0], m[1], 2, 6, 3, 7);
  v4 c = __builtin_shufflevector(m[2], m[3], 0, 4, 1, 5), d = __builtin_shufflevector(m[2], m[3], 2, 6, 3, 7);
  m[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  m[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  m[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  m[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

static inline void transpose8(v8 m[8]) {
  v8 t[8];
  for (int step = 0; step < 3; step++) { /* three perfect shuffles of rows r and r + 4 */
    for (int r = 0; r < 4; r++) {
      t[2 * r] = __builtin_shufflevector(m[r], m[r + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      t[2 * r + 1] = __builtin_shufflevector(m[r], m[r + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    memcpy(m, t, sizeof t);
  }
}

/* Units done together: a whole cache line of every row, since lines of rows that lie a page apart share their place in
 * the first cache and would be thrown out between two visits. */
enum { BLOCK = 16 };

/* panel[i][r] = rows[r][i] for i in 0..<units. */
static void interleave32(char *panel, const char *rows, int64_t row_bytes, int64_t units) {
  int64_t i = 0;
  for (; i + BLOCK <= units; i += BLOCK)
    for (int r = 0; r < PANEL; r += 4)
      for (int64_t u = i; u < i + BLOCK; u += 4) {
        v4 m[4];
        for (int j = 0; j < 4; j++) memcpy(&m[j], rows + (r + j) * row_bytes + u * 4, 16);
        transpose4(m);
        for (int j = 0; j < 4; j++) memcpy(panel + (u + j) * 64 + r * 4, &m[j], 16);
      }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(panel + i * 64 + r * 4, rows + r * row_bytes + i * 4, 4);
}

static void interleave16(char *panel, const char *rows, int64_t row_bytes, int64_t units) {
  int64_t i = 0;
  for (; i + BLOCK <= units; i += BLOCK)
    for (int r = 0; r < PANEL; r += 8)
      for (int64_t u = i; u < i + BLOCK; u += 8) {
        v8 m[8];
        for (int j = 0; j < 8; j++) memcpy(&m[j], rows + (r + j) * row_bytes + u * 2, 16);
        transpose8(m);
        for (int j = 0; j < 8; j++) memcpy(panel + (u + j) * 32 + r * 2, &m[j], 16);
      }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(panel + i * 32 + r * 2, rows + r * row_bytes + i * 2, 2);
}

/* rows[r][i] = panel[i][r]. */
static void separate32(char *rows, int64_t row_bytes, const char *panel, int64_t units) {
  int64_t i = 0;
  for (; i + BLOCK <= units; i += BLOCK)
    for (int r = 0; r < PANEL; r += 4)
      for (int64_t u = i; u < i + BLOCK; u += 4) {
        v4 m[4];
        for (int j = 0; j < 4; j++) memcpy(&m[j], panel + (u + j) * 64 + r * 4, 16);
        transpose4(m);
        for (int j = 0; j < 4; j++) memcpy(rows + (r + j) * row_bytes + u * 4, &m[j], 16);
      }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(rows + r * row_bytes + i * 4, panel + i * 64 + r * 4, 4);
}

static void separate16(char *rows, int64_t row_bytes, const char *panel, int64_t units) {
  int64_t i = 0;
  for (; i + BLOCK <= units; i += BLOCK)
    for (int r = 0; r < PANEL; r += 8)
      for (int64_t u = i; u < i + BLOCK; u += 8) {
        v8 m[8];
        for (int j = 0; j < 8; j++) memcpy(&m[j], panel + (u + j) * 32 + r * 2, 16);
        transpose8(m);
        for (int j = 0; j < 8; j++) memcpy(rows + (r + j) * row_bytes + u * 2, &m[j], 16);
      }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(rows + r * row_bytes + i * 2, panel + i * 32 + r * 2, 2);
}

/* Byte of element (row, i) in a panel. */
static int64_t panel_offset(dk_type type, int64_t row, int64_t i) {
  return type == DK_BF16 ? i / 2 * 64 + row * 4 + i % 2 * 2 : (i * PANEL + row) * dk_type_bytes(type);
}

void dk_pack_panel(dk_type type, void *panel, const void *x, int64_t x_stride, int64_t rows, int64_t k) {
  const int64_t bytes = dk_type_bytes(type), row_bytes = x_stride * bytes;
  if (rows < PANEL) { /* only a layer's last panel: clear it, then place element by element */
    memset(panel, 0, (size_t)dk_panel_bytes(type, k));
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < k; i++)
        memcpy((char *)panel + panel_offset(type, r, i), (const char *)x + r * row_bytes + i * bytes, (size_t)bytes);
  } else if (type == DK_F16) {
    interleave16(panel, x, row_bytes, k);
  } else if (type == DK_F32) {
    interleave32(panel, x, row_bytes, k);
  } else {
    interleave32(panel, x, row_bytes, k / 2);
    if (k % 2)
      for (int64_t r = 0; r < PANEL; r++) {
        uint16_t pair[2] = {0, 0};
        memcpy(pair, (const char *)x + r * row_bytes + (k - 1) * 2, 2);
        memcpy((char *)panel + panel_offset(type, r, k - 1), pair, 4);
      }
  }
}

void dk_unpack_panel(dk_type type, void *out, int64_t out_stride, const void *panel, int64_t rows, int64_t k) {
  const int64_t bytes = dk_type_bytes(type), row_bytes = out_stride * bytes;
  if (rows < PANEL) {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < k; i++)
        memcpy((char *)out + r * row_bytes + i * bytes, (const char *)panel + panel_offset(type, r, i), (size_t)bytes);
  } else if (type == DK_F16) {
    separate16(out, row_bytes, panel, k);
  } else if (type == DK_F32) {
    separate32(out, row_bytes, panel, k);
  } else {
    separate32(out, row_bytes, panel, k / 2);
    if (k % 2)
      for (int64_t r = 0; r < PANEL; r++)
        memcpy((char *)out + r * row_bytes + (k - 1) * 2, (const char *)panel + panel_offset(type, r, k - 1), 2);
  }
}

void dk_pack_int8_panel(void *panel, const int8_t *codes, int64_t codes_stride, const float *scales, int64_t rows, int64_t k) {
  char *words = (char *)panel + DK_SCALE_BYTES;
  memset(panel, 0, DK_SCALE_BYTES);
  memcpy(panel, scales, (size_t)rows * sizeof *scales);
  int64_t done = 0;
  if (rows == PANEL) {
    interleave32(words, (const char *)codes, codes_stride, k / 4);
    done = k / 4 * 4;
  }
  memset(words + done * PANEL, 0, (size_t)((k + 3) / 4 * 64 - done * PANEL));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = done; i < k; i++) words[i / 4 * 64 + r * 4 + i % 4] = (char)codes[r * codes_stride + i];
}

void dk_unpack_int8_panel(int8_t *codes, int64_t codes_stride, float *scales, const void *panel, int64_t rows, int64_t k) {
  const char *words = (const char *)panel + DK_SCALE_BYTES;
  memcpy(scales, panel, (size_t)rows * sizeof *scales);
  int64_t done = 0;
  if (rows == PANEL) {
    separate32((char *)codes, codes_stride, words, k / 4);
    done = k / 4 * 4;
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = done; i < k; i++) codes[r * codes_stride + i] = (int8_t)words[i / 4 * 64 + r * 4 + i % 4];
}

void dk_gather_rows(dk_type type, float *out, int64_t out_stride, const void *w, int64_t k, const int32_t *ids,
                    int64_t rows, float scale) {
  for (int64_t r = 0; r < rows; r++) {
    const char *from = (const char *)w + ids[r] * k * dk_type_bytes(type);
    for (int64_t i = 0; i < k; i++) out[r * out_stride + i] = dk_float_at(type, from, i) * scale;
  }
}

void dk_gather_panels(dk_type type, float *out, int64_t out_stride, const void *panels, int64_t k, const int32_t *ids,
                      int64_t rows, float scale) {
  const int64_t panel_bytes = dk_panel_bytes(type, k);
  for (int64_t r = 0; r < rows; r++) {
    const char *panel = (const char *)panels + ids[r] / PANEL * panel_bytes;
    const int64_t lane = ids[r] % PANEL;
    for (int64_t i = 0; i < k; i++) {
      const int64_t at = type == DK_BF16 ? i / 2 * 32 + lane * 2 + i % 2 : i * PANEL + lane;
      out[r * out_stride + i] = dk_float_at(type, panel, at) * scale;
    }
  }
}
