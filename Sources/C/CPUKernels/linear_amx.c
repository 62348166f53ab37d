/* linear_amx.h on the instructions. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "table.h"

/* LDTILECFG's operand. */
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_configuration;

static const tile_configuration configuration = {
  .palette = 1,
  .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
  .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

#define TILES_BEGIN() _tile_loadconfig(&configuration)
#define TILES_END() _tile_release()
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, row_bytes) _tile_loadd(t, from, (size_t)(row_bytes))
#define TILE_STORE(t, to, row_bytes) _tile_stored(t, to, (size_t)(row_bytes))
#define TILE_DOT(sum, a, b) _tile_dpbf16ps(sum, a, b)
#define AMX_FUNCTION void dk_linear_prefill_amx

#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl"))), apply_to = function)
#include "linear_amx.h"
#pragma clang attribute pop
#endif
