/* Panels: packing rows of weights into them, unpacking, and gathering single rows. Bits are moved, not changed. */
#include "scalar.h"

enum { PANEL = 16 };

/* Panels of 4-byte units: float32 elements, or pairs of 16-bit ones. `units` a row; the destination is walked once,
 * sixteen sources side by side. */
static void interleave32(uint32_t *panel, const uint32_t *const rows[PANEL], int64_t units) {
  int64_t i = 0;
  for (; i + 4 <= units; i += 4) {
    uint32_t block[4][PANEL];
    for (int r = 0; r < PANEL; r++)
      for (int c = 0; c < 4; c++) {
        uint32_t u;
        memcpy(&u, rows[r] + i + c, 4);
        block[c][r] = u;
      }
    memcpy(panel + i * PANEL, block, sizeof block);
  }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(panel + i * PANEL + r, rows[r] + i, 4);
}

static void interleave16(uint16_t *panel, const uint16_t *const rows[PANEL], int64_t units) {
  int64_t i = 0;
  for (; i + 8 <= units; i += 8) {
    uint16_t block[8][PANEL];
    for (int r = 0; r < PANEL; r++)
      for (int c = 0; c < 8; c++) {
        uint16_t u;
        memcpy(&u, rows[r] + i + c, 2);
        block[c][r] = u;
      }
    memcpy(panel + i * PANEL, block, sizeof block);
  }
  for (; i < units; i++)
    for (int r = 0; r < PANEL; r++) memcpy(panel + i * PANEL + r, rows[r] + i, 2);
}

void dk_pack_panel(dk_type type, void *panel, const void *x, int64_t x_stride, int64_t rows, int64_t k) {
  const int64_t bytes = dk_type_bytes(type);
  if (rows < PANEL) { /* the last panel: clear it, then place rows one by one */
    memset(panel, 0, (size_t)dk_panel_bytes(type, k));
    for (int64_t r = 0; r < rows; r++) {
      const char *from = (const char *)x + r * x_stride * bytes;
      for (int64_t i = 0; i < k; i++) {
        const int64_t at = type == DK_BF16 ? i / 2 * 32 + r * 2 + i % 2 : i * PANEL + r;
        memcpy((char *)panel + at * bytes, from + i * bytes, (size_t)bytes);
      }
    }
    return;
  }
  const void *from[PANEL];
  for (int r = 0; r < PANEL; r++) from[r] = (const char *)x + r * x_stride * bytes;
  if (type == DK_F16) {
    interleave16(panel, (const uint16_t *const *)from, k);
  } else if (type == DK_F32) {
    interleave32(panel, (const uint32_t *const *)from, k);
  } else {
    interleave32(panel, (const uint32_t *const *)from, k / 2);
    if (k % 2)
      for (int r = 0; r < PANEL; r++) {
        uint16_t *to = (uint16_t *)panel + k / 2 * 32 + r * 2;
        memcpy(to, (const char *)from[r] + (k - 1) * 2, 2);
        to[1] = 0;
      }
  }
}

void dk_unpack_panel(dk_type type, void *out, int64_t out_stride, const void *panel, int64_t rows, int64_t k) {
  const int64_t bytes = dk_type_bytes(type);
  for (int64_t r = 0; r < rows; r++) {
    char *to = (char *)out + r * out_stride * bytes;
    if (type == DK_BF16) {
      const char *from = (const char *)panel + r * 4;
      for (int64_t i = 0; i < k / 2; i++) memcpy(to + i * 4, from + i * 64, 4);
      if (k % 2) memcpy(to + (k - 1) * 2, from + k / 2 * 64, 2);
    } else if (type == DK_F32) {
      for (int64_t i = 0; i < k; i++) memcpy(to + i * 4, (const char *)panel + (i * PANEL + r) * 4, 4);
    } else {
      for (int64_t i = 0; i < k; i++) memcpy(to + i * 2, (const char *)panel + (i * PANEL + r) * 2, 2);
    }
  }
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
