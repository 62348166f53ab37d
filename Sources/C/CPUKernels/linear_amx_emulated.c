/* linear_amx.h on tiles emulated in plain C, for tests. As the processor: inputs widened, products and sums in f32,
 * even and odd inputs of a step summed apart, subnormals taken as zero. */
#include "scalar.h"

typedef union {
  uint16_t half[16][32];
  float single[16][16];
  char bytes[16][64];
} tile;

static float flushed(float x) { return __builtin_fabsf(x) < 0x1p-126f ? 0.0f : x; }

static void load_tile(tile *t, const void *from, size_t row_bytes) {
  for (size_t r = 0; r < 16; r++) memcpy(t->bytes[r], (const char *)from + r * row_bytes, 64);
}
static void store_tile(const tile *t, void *to, size_t row_bytes) {
  for (size_t r = 0; r < 16; r++) memcpy((char *)to + r * row_bytes, t->bytes[r], 64);
}
static void dot(tile *sum, const tile *a, const tile *b) {
  for (int m = 0; m < 16; m++)
    for (int n = 0; n < 16; n++) {
      float part[2] = {0, 0};
      for (int i = 0; i < 16; i++)
        for (int c = 0; c < 2; c++)
          part[c] += flushed(dk_float_from_bf16(a->half[m][2 * i + c])) * flushed(dk_float_from_bf16(b->half[i][2 * n + c]));
      sum->single[m][n] += part[0] + part[1];
    }
}

static _Thread_local tile tiles[8]; /* a core's registers */

#define TILES_BEGIN() memset(tiles, 0, sizeof tiles)
#define TILES_END() memset(tiles, 0xff, sizeof tiles) /* NaN: nobody may rely on what is left */
#define TILE_ZERO(t) memset(&tiles[t], 0, sizeof tiles[t])
#define TILE_LOAD(t, from, row_bytes) load_tile(&tiles[t], from, (size_t)(row_bytes))
#define TILE_STORE(t, to, row_bytes) store_tile(&tiles[t], to, (size_t)(row_bytes))
#define TILE_DOT(sum, a, b) dot(&tiles[sum], &tiles[a], &tiles[b])
#define AMX_FUNCTION void dk_linear_prefill_amx_emulated
#include "linear_amx.h"
