/* Prefill on AMX tiles: 2 x 2 tiles of 16 rows x 16 outputs, 32 inputs a step. Written over a thin layer of tile
 * operations: linear_amx.c gives it the instructions, linear_amx_emulated.c plain C, so that packing and indexing are
 * proven on any machine.
 *
 *   TILES_BEGIN(), TILES_END()   configure eight tiles of 16 rows x 64 bytes; release them
 *   TILE_ZERO(t), TILE_LOAD(t, from, row_bytes), TILE_STORE(t, to, row_bytes)
 *   TILE_DOT(sum, a, b)          sum[m][n] += a[m][2i] b[i][2n] + a[m][2i+1] b[i][2n+1], i in 0..<16
 *
 * The layout needs no repacking: 16 pair rows of a panel (1 KB) are a B tile, 16 rounded rows x 32 inputs an A tile.
 * Tiles 0...3 are sums [row tile * 2 + panel], 4 and 5 rows, 6 and 7 weights. */
#include "scalar.h"

enum { TILE_ROWS = 16, TILE_BYTES = 64, STEP = 32 /* inputs */ };

/* Rows that lie short of a whole tile, or weights at a panel's end, are copied to a zero-filled tile: reading on would
 * leave the array, and garbage times zero may be NaN. */
static void copy_tile(void *tile, const void *from, int64_t row_bytes, int64_t rows) {
  memset(tile, 0, TILE_ROWS * TILE_BYTES);
  for (int64_t r = 0; r < rows; r++) memcpy((char *)tile + r * TILE_BYTES, (const char *)from + r * row_bytes, TILE_BYTES);
}

/* rows <= 32 rows by panels <= 2 panels. */
static inline __attribute__((always_inline)) void amx_block(
    const dk_linear *w, const uint16_t *x, int64_t x_stride, float *out, int64_t out_stride, int64_t rows, int64_t panel,
    const int row_tiles, const int panels) {
  const int64_t panel_bytes = dk_panel_bytes(w->type, w->k), pairs = (w->k + 1) / 2;
  const char *weights = (const char *)w->panels + panel * panel_bytes;
  _Alignas(64) char rows_tile[2][TILE_ROWS * TILE_BYTES], weight_tile[2][TILE_ROWS * TILE_BYTES];
  TILE_ZERO(0);
  if (panels == 2) TILE_ZERO(1);
  if (row_tiles == 2) TILE_ZERO(2);
  if (row_tiles == 2 && panels == 2) TILE_ZERO(3);
  for (int64_t pair = 0; pair < pairs; pair += TILE_ROWS) {
    const uint16_t *from = x + pair * 2;
    if (row_tiles == 2 || rows == TILE_ROWS) {
      TILE_LOAD(4, from, x_stride * 2);
    } else {
      copy_tile(rows_tile[0], from, x_stride * 2, rows);
      TILE_LOAD(4, rows_tile[0], TILE_BYTES);
    }
    if (row_tiles == 2) {
      if (rows == 2 * TILE_ROWS) {
        TILE_LOAD(5, from + TILE_ROWS * x_stride, x_stride * 2);
      } else {
        copy_tile(rows_tile[1], from + TILE_ROWS * x_stride, x_stride * 2, rows - TILE_ROWS);
        TILE_LOAD(5, rows_tile[1], TILE_BYTES);
      }
    }
    const char *weight = weights + pair * TILE_BYTES;
    if (pairs - pair >= TILE_ROWS) {
      TILE_LOAD(6, weight, TILE_BYTES);
      if (panels == 2) TILE_LOAD(7, weight + panel_bytes, TILE_BYTES);
    } else {
      copy_tile(weight_tile[0], weight, TILE_BYTES, pairs - pair);
      TILE_LOAD(6, weight_tile[0], TILE_BYTES);
      if (panels == 2) {
        copy_tile(weight_tile[1], weight + panel_bytes, TILE_BYTES, pairs - pair);
        TILE_LOAD(7, weight_tile[1], TILE_BYTES);
      }
    }
    TILE_DOT(0, 4, 6);
    if (panels == 2) TILE_DOT(1, 4, 7);
    if (row_tiles == 2) TILE_DOT(2, 5, 6);
    if (row_tiles == 2 && panels == 2) TILE_DOT(3, 5, 7);
  }
  _Alignas(64) float sums[2 * TILE_ROWS][32];
  TILE_STORE(0, sums[0], sizeof sums[0]);
  if (panels == 2) TILE_STORE(1, sums[0] + 16, sizeof sums[0]);
  if (row_tiles == 2) TILE_STORE(2, sums[TILE_ROWS], sizeof sums[0]);
  if (row_tiles == 2 && panels == 2) TILE_STORE(3, sums[TILE_ROWS] + 16, sizeof sums[0]);
  const int64_t first = panel * 16, columns = w->n - first < panels * 16 ? w->n - first : panels * 16;
  float bias[32] = {0};
  if (w->bias)
    for (int64_t j = 0; j < columns; j++) bias[j] = dk_float_at(w->bias_type, w->bias, first + j);
  for (int64_t r = 0; r < rows; r++) {
    float *to = out + r * out_stride + first;
    if (w->bias)
      for (int64_t j = 0; j < columns; j++) to[j] = sums[r][j] + bias[j];
    else
      memcpy(to, sums[r], (size_t)columns * sizeof *to);
  }
}

AMX_FUNCTION(const dk_linear *w, const uint16_t *x, int64_t x_stride, float *out, int64_t out_stride, int64_t first_row,
             int64_t end_row, int64_t first_panel, int64_t end_panel) {
  TILES_BEGIN();
  for (int64_t panel = first_panel; panel < end_panel; panel += 2) {
    const bool two = end_panel - panel >= 2;
    for (int64_t row = first_row; row < end_row; row += 2 * TILE_ROWS) {
      const int64_t rows = end_row - row < 2 * TILE_ROWS ? end_row - row : 2 * TILE_ROWS;
      const uint16_t *from = x + row * x_stride;
      float *to = out + row * out_stride;
      if (rows > TILE_ROWS) {
        if (two) amx_block(w, from, x_stride, to, out_stride, rows, panel, 2, 2);
        else amx_block(w, from, x_stride, to, out_stride, rows, panel, 2, 1);
      } else {
        if (two) amx_block(w, from, x_stride, to, out_stride, rows, panel, 1, 2);
        else amx_block(w, from, x_stride, to, out_stride, rows, panel, 1, 1);
      }
    }
  }
  TILES_END();
}
