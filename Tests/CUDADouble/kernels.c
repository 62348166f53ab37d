/* What the CUDA kernels compute, one element after the other, in the arithmetic that docs/cuda.md describes but for the roundings
 * inside a link of 16 products. The order of keys and values in a block is the double's own: nobody else reads it. */
#include "CSHA256.h"
#include "CUDAArguments.h"
#include "state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float wide(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float y;
  memcpy(&y, &bits, 4);
  return y;
}
static uint16_t narrow(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return 0x7fff;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static uint64_t padded(uint64_t width) { return (width + 15) / 16 * 16; }
/* Groups of 8 rows of a packed value of so many rows that lie together. */
static uint64_t packed_groups(uint64_t rows) {
  uint64_t groups = 1;
  while (groups * 8 < rows && groups * 8 < DK_CUDA_PACKED_ROWS) groups *= 2;
  return groups;
}
static uint64_t packed_index(uint64_t row, uint64_t k, uint64_t width, uint64_t rows) {
  const uint64_t p = k % 16 / 2, place = (p < 4 ? 2 * p : 2 * (p - 4) + 1) * 2 + k % 2;
  const uint64_t tile = row / DK_CUDA_PACKED_ROWS * (padded(width) / 16) + k / 16;
  return (tile * packed_groups(rows) + row % DK_CUDA_PACKED_ROWS / 8) * 128 + row % 8 * 16 + (place ^ (row & 4) * 2);
}
static float activate(int kind, float x) {
  switch (kind) {
  case 0: return x / (1 + expf(-x));
  case 1: return 0.5f * x * (1 + erff(x * 0.7071067812f));
  case 2: return x / (1 + expf(-2 * 0.7978845608f * (x + 0.044715f * x * x * x)));
  default: return x > 0 || x != x ? x : 0;
  }
}

#define ROWS(type, variable, address, count, access) \
  type *variable = double_##access(l->name, address, (uint64_t)(count) * sizeof(type)); \
  if (!variable) return
#define ARGUMENT(kernel) \
  kernel##_arguments a; \
  memcpy(&a, l->argument, sizeof a)

/* One of so many rows of float32 as it is, packed, or both. */
static void store(
    const struct launch *l, dk_address output, dk_address packed, uint64_t row, uint64_t rows, uint64_t width, const float *values) {
  if (output) {
    ROWS(float, y, output + row * width * 4, width, write);
    memcpy(y, values, width * 4);
  }
  if (!packed) return;
  for (uint64_t k = 0; k < padded(width); k++) {
    ROWS(uint16_t, y, packed + packed_index(row, k, width, rows) * 2, 1, write);
    *y = k < width ? narrow(values[k]) : 0;
  }
}

static void embed(const struct launch *l) {
  ARGUMENT(dk_embed);
  const uint64_t columns = a.is_panel ? (a.width + 1) / 2 * 32 : a.width, rows = a.is_panel ? (a.table_rows + 15) / 16 : a.table_rows;
  ROWS(const int32_t, tokens, a.tokens, l->grid[0], read);
  ROWS(const uint16_t, table, a.table, rows * columns, read);
  ROWS(float, output, a.output, (uint64_t)l->grid[0] * a.width, write);
  for (uint32_t row = 0; row < l->grid[0]; row++)
    for (int k = 0; k < a.width; k++) {
      const int id = tokens[row] - a.first_token;
      float value = 0;
      if (id >= 0 && id < a.table_rows)
        value = wide(a.is_panel ? table[id / 16 * columns + id % 16 * 2 + k / 2 * 32 + k % 2] : table[(uint64_t)id * a.width + k]) * a.scale;
      output[(uint64_t)row * a.width + k] = value;
    }
}

static void norm(const struct launch *l) {
  ARGUMENT(dk_norm);
  const uint64_t n = a.width;
  ROWS(const uint16_t, weight, a.weight, n, read);
  for (uint32_t row = 0; row < l->grid[0]; row++) {
    ROWS(float, x, a.residual + row * n * 4, n, read);
    if (a.delta) {
      ROWS(const float, delta, a.delta + row * n * 4, n, read);
      for (uint64_t k = 0; k < n; k++) x[k] += delta[k];
    }
    double sum = 0;
    for (uint64_t k = 0; k < n; k++) sum += (double)x[k] * x[k];
    const float scale = 1 / sqrtf((float)sum / n + a.epsilon);
    float y[n];
    for (uint64_t k = 0; k < n; k++) y[k] = x[k] * scale * wide(weight[k]);
    store(l, a.output, a.packed, row, l->grid[0], n, y);
  }
}

static void pack(const struct launch *l) {
  ARGUMENT(dk_pack);
  for (uint32_t row = 0; row < l->grid[0]; row++) {
    ROWS(const float, x, a.input + (uint64_t)row * a.width * 4, a.width, read);
    store(l, 0, a.packed, row, l->grid[0], a.width, x);
  }
}

static void gated(const struct launch *l) {
  ARGUMENT(dk_gated);
  for (uint32_t row = 0; row < l->grid[0]; row++) {
    ROWS(const float, x, a.input + (uint64_t)row * a.width * 8, 2 * a.width, read);
    float y[a.width];
    for (int k = 0; k < a.width; k++) y[k] = activate(a.activation, x[a.width + k]) * x[k];
    store(l, a.output, a.packed, row, l->grid[0], a.width, y);
  }
}

static void add(const struct launch *l) {
  ARGUMENT(dk_add);
  ROWS(float, target, a.target, a.count, read);
  ROWS(const float, value, a.value, a.count, read);
  for (uint64_t i = 0; i < a.count; i++) target[i] += value[i];
}

static void choose_rows(const struct launch *l) {
  ARGUMENT(dk_select);
  ROWS(const int32_t, rows, a.rows, l->grid[0], read);
  for (uint32_t i = 0; i < l->grid[0]; i++) {
    ROWS(const float, x, a.input + (uint64_t)rows[i] * a.width * 4, a.width, read);
    store(l, a.output, 0, i, l->grid[0], a.width, x);
  }
}

/* One row's outputs; its input is `own`, packed, or the argument's. */
static int product(const struct launch *l, const dk_linear_arguments *a, uint64_t row, float *y, const uint16_t *own) {
  const uint64_t bytes = (uint64_t)((a->inputs + 1) / 2) * 64, tiles = padded(a->inputs) / 16;
  const uint16_t *weight = double_read(l->name, a->weight, (uint64_t)(a->outputs + 15) / 16 * bytes);
  const uint16_t *bias = a->bias ? double_read(l->name, a->bias, 2 * (uint64_t)a->outputs) : NULL;
  if (!weight || (a->bias && !bias)) return 0;
  if (a->weight % 16 || (!own && a->packed % 16)) double_note("%s: not aligned to 16 bytes", l->name);
  float x[tiles * 16];
  for (uint64_t tile = 0; tile < tiles; tile++) {
    const uint64_t start = packed_index(row, tile * 16, a->inputs, a->rows) & ~15ull;
    const uint16_t *packed = own ? own + start : double_read(l->name, a->packed + start * 2, 32);
    if (!packed) return 0;
    for (int k = 0; k < 16; k++) x[tile * 16 + k] = wide(packed[packed_index(row, k, 16, a->rows) % 16]);
  }
  for (int n = 0; n < a->outputs; n++) {
    float sum = 0;
    for (uint64_t tile = 0; tile < tiles; tile++) {
      double link = sum;
      for (int k = tile * 16; k < (int)tile * 16 + 16 && k < a->inputs; k++)
        link += (double)x[k] * wide(weight[n / 16 * (bytes / 2) + k / 2 * 32 + n % 16 * 2 + k % 2]);
      sum = (float)link;
    }
    y[n] = bias ? sum + wide(bias[n]) : sum;
  }
  return 1;
}

static void linear(const struct launch *l) {
  ARGUMENT(dk_linear);
  float y[a.outputs];
  for (int row = 0; row < a.rows; row++)
    if (product(l, &a, row, y, NULL)) store(l, a.output, 0, row, a.rows, a.outputs, y);
}
static void product_gated(const struct launch *l, const dk_linear_arguments *a, dk_address activated, int activation) {
  const int width = a->outputs / 2;
  float y[a->outputs];
  for (int row = 0; row < a->rows; row++) {
    if (!product(l, a, row, y, NULL)) return;
    for (int k = 0; k < width; k++) y[k] = activate(activation, y[width + k]) * y[k];
    store(l, 0, activated, row, a->rows, width, y);
  }
}
static void linear_gated(const struct launch *l) {
  ARGUMENT(dk_linear_gated);
  product_gated(l, &a.linear, a.activated, a.activation);
}
/* What the kernel that is named takes for granted of its launch. */
static int check_wide(const struct launch *l, const dk_linear_wide_arguments *a, int is_gated) {
  const char *numbers = l->name + strlen("dk_linear_wide_") + (is_gated ? strlen("gated_") : 0);
  int groups = 0, rows = 0, parts = 0;
  const int halves = is_gated ? 2 : 1;
  const int is_right = sscanf(numbers, "%d_%d_%d", &groups, &rows, &parts) == 3 && a->linear.inputs % (64 * parts) == 0 &&
                       l->threads == (uint32_t)(groups + 1) * 128 && l->grid[0] % 2 == 0 && a->own >= 1 && a->own * halves <= 4 * groups &&
                       a->linear.stages >= 2 && a->linear.stages <= 16 && a->linear.early >= 1 &&
                       a->window >= 1 && a->window <= a->linear.stages && a->linear.early <= a->linear.stages;
  const uint64_t stage = (uint64_t)(16 * a->own * halves + rows) * 128 * parts + (is_gated ? 1024 : 0);
  if (is_right && 1024 + a->linear.stages * stage <= l->shared) return 1;
  double_note("%s: %d inputs, %u blocks of %u threads, %d panels, %d stages in %u bytes", l->name, a->linear.inputs, l->grid[0], l->threads, a->own,
      a->linear.stages, l->shared);
  return 0;
}
static void linear_wide(const struct launch *l) {
  ARGUMENT(dk_linear_wide);
  float y[a.linear.outputs];
  if (!check_wide(l, &a, 0)) return;
  for (int row = 0; row < a.linear.rows; row++)
    if (product(l, &a.linear, row, y, NULL)) store(l, a.linear.output, 0, row, a.linear.rows, a.linear.outputs, y);
}
static void linear_wide_gated(const struct launch *l) {
  ARGUMENT(dk_linear_wide);
  if (check_wide(l, &a, 1)) product_gated(l, &a.linear, a.activated, a.activation);
}

/* A product of few rows, what stands before it and what behind. As the kernel, it reads all that it needs before it writes. */
static void linear_row(const struct launch *l) {
  ARGUMENT(dk_linear_row);
  const int is_gated = l->kernel == LINEAR_ROW_GATED, width = is_gated ? a.linear.outputs / 2 : a.linear.outputs, inputs = a.linear.inputs;
  const int is_one = !strncmp(l->name, "dk_linear_row_", 14), tiles = atoi(strrchr(l->name, '_') + 1), rows = a.linear.rows;
  const uint32_t stage = (is_gated ? 2 : 1) * a.own * 512 * tiles + (is_one ? 0 : 256 * tiles);
  if ((is_one ? rows != 1 : rows < 2 || rows > 8 || a.residual) || inputs % 16 || a.linear.outputs % (is_gated ? 32 : 2) ||
      (a.residual && inputs > DK_CUDA_ROW_NORM_INPUTS) || a.own < 1 || a.own > DK_CUDA_ROW_WARPS || a.linear.stages < 2 ||
      a.linear.stages > 32 || a.window < 1 || a.linear.early < 1 || a.zero || l->threads != 32 * (DK_CUDA_ROW_WARPS + 1) ||
      1024 + (is_one ? (inputs * 2 + 127) / 128 * 128 : 0) + a.linear.stages * stage > l->shared)
    double_note("%s: %d rows, %d by %d, %d stages of %u in %u bytes", l->name, rows, a.linear.outputs, inputs, a.linear.stages, stage, l->shared);
  uint16_t packed[packed_index(0, inputs - 16, inputs, 1) + 128];
  if (a.residual) {
    ROWS(const float, x, a.residual, inputs, read);
    ROWS(const uint16_t, gain, a.gain, inputs, read);
    double sum = 0;
    for (int k = 0; k < inputs; k++) sum += (double)x[k] * x[k];
    const float scale = 1 / sqrtf((float)sum / inputs + a.epsilon);
    for (int k = 0; k < inputs; k++) packed[packed_index(0, k, inputs, 1)] = narrow(x[k] * scale * wide(gain[k]));
  }
  float y[rows][a.linear.outputs];
  for (int row = 0; row < rows; row++) {
    if (!product(l, &a.linear, row, y[row], a.residual ? packed : NULL)) return;
    if (is_gated)
      for (int k = 0; k < width; k++) y[row][k] = activate(a.activation, y[row][width + k]) * y[row][k];
    if (a.sum) {
      ROWS(const float, before, a.sum + (uint64_t)row * width * 4, width, read);
      for (int k = 0; k < width; k++) y[row][k] += before[k];
    }
  }
  for (int row = 0; row < rows; row++) store(l, is_gated ? 0 : a.sum ? a.sum : a.linear.output, is_gated ? a.activated : 0, row, rows, width, y[row]);
}

static void turn_rows(const struct launch *l, dk_turn_arguments a, uint32_t from, uint32_t end) {
  const int all = a.heads + 2 * a.kv_heads, head_size = l->head, half = a.rotary / 2;
  const uint64_t d_padded = padded(head_size);
  ROWS(const int32_t, positions, a.positions, end, read);
  ROWS(const int32_t, cells, a.cells, end, read);
  for (uint32_t row = from; row < end; row++)
    for (int head = 0; head < all; head++) {
      ROWS(const float, input, a.qkv + ((uint64_t)row * all + head) * head_size * 4, head_size, read);
      float x[d_padded];
      memset(x, 0, sizeof x);
      memcpy(x, input, 4 * head_size);
      const int is_query = head < a.heads, is_value = head >= a.heads + a.kv_heads;
      const dk_address gain = is_query ? a.query_norm : a.key_norm;
      if (gain && !is_value) {
        ROWS(const uint16_t, weight, gain, head_size, read);
        double sum = 0;
        for (int d = 0; d < head_size; d++) sum += (double)x[d] * x[d];
        const float scale = 1 / sqrtf((float)sum / head_size + a.epsilon);
        for (int d = 0; d < head_size; d++) x[d] *= scale * wide(weight[d]);
      }
      if (!is_value && half) {
        ROWS(const float, cosines, a.cosines + (uint64_t)positions[row] * half * 4, half, read);
        ROWS(const float, sines, a.sines + (uint64_t)positions[row] * half * 4, half, read);
        for (int i = 0; i < half; i++) {
          const int one = a.is_paired ? 2 * i : i, other = a.is_paired ? 2 * i + 1 : i + half;
          const float p = x[one], q = x[other];
          x[one] = p * cosines[i] - q * sines[i];
          x[other] = q * cosines[i] + p * sines[i];
        }
      }
      const uint64_t block = (uint64_t)(cells[row] / 16) * a.kv_heads + (head - a.heads + a.kv_heads) % a.kv_heads;
      const dk_address to = is_query ? a.queries + ((uint64_t)row * a.heads + head) * d_padded * 2
                                     : a.pool + (block * 2 * 16 + (is_value ? 16 : 0) + cells[row] % 16) * d_padded * 2;
      ROWS(uint16_t, y, to, d_padded, write);
      for (uint64_t d = 0; d < d_padded; d++) y[d] = narrow(x[d]);
    }
}
static void turn(const struct launch *l) {
  ARGUMENT(dk_turn);
  turn_rows(l, a, 0, l->grid[0]);
}

/* Splits of a query so far, as docs/cuda.md says: those that the attention kernels merge and those that dk_merge does come to the same bits. */
struct merged {
  float top, sum, result[1024];
};
static void take(struct merged *m, float peak, float sum, const float *result, int count) {
  const float top = peak > m->top ? peak : m->top, before = exp2f(m->top - top), now = exp2f(peak - top);
  m->top = top, m->sum = fmaf(now, sum, m->sum * before);
  for (int d = 0; d < count; d++) m->result[d] = fmaf(now, result[d], m->result[d] * before);
}

/* The result of one query over a split, before division. */
static int attend_query(
    const struct launch *l, const dk_attend_arguments *a, const int32_t *table, uint64_t row, int head, int first, int count, float *peak, float *sum, float *result) {
  const uint64_t d_padded = padded(l->head);
  const int kv = head / (a->heads / a->kv_heads);
  const uint16_t *query = double_read(l->name, a->queries + (row * a->heads + head) * d_padded * 2, d_padded * 2);
  if (!query) return 0;
  const uint16_t *keys[DK_CUDA_SPLIT_TOKENS], *values[DK_CUDA_SPLIT_TOKENS];
  float score[DK_CUDA_SPLIT_TOKENS];
  *peak = -INFINITY;
  for (int i = 0; i < count; i++) {
    const uint64_t block = (uint64_t)table[(first + i) / 16] * a->kv_heads + kv;
    const dk_address at = a->pool + (block * 2 * 16 + (first + i) % 16) * d_padded * 2;
    keys[i] = double_read(l->name, at, d_padded * 2);
    values[i] = double_read(l->name, at + 16 * d_padded * 2, d_padded * 2);
    if (!keys[i] || !values[i]) return 0;
    double s = 0;
    for (uint64_t d = 0; d < d_padded; d++) s += (double)wide(query[d]) * wide(keys[i][d]);
    score[i] = (float)s * a->scale;
    if (score[i] > *peak) *peak = score[i];
  }
  double total = 0, out[d_padded];
  memset(out, 0, sizeof out);
  for (int i = 0; i < count; i++) {
    const float weight = wide(narrow(exp2f(score[i] - *peak)));
    total += weight;
    for (uint64_t d = 0; d < d_padded; d++) out[d] += (double)weight * wide(values[i][d]);
  }
  *sum = (float)total;
  for (uint64_t d = 0; d < d_padded; d++) result[d] = (float)out[d];
  return 1;
}

/* Also of prompts, whose splits are merged here: those of a query in order. */
static void attend_tiles(const struct launch *l, dk_attend_arguments a) {
  const int is_prompt = l->kernel == ATTEND_PROMPT;
  if (is_prompt && !a.output && !a.packed) double_note("%s: nowhere to put results", l->name);
  const uint64_t d_padded = padded(l->head), width = (uint64_t)a.heads * l->head;
  ROWS(const dk_attention_tile, tiles, a.tiles, l->grid[0], read);
  for (uint32_t t = 0; t < l->grid[0]; t++) {
    const dk_attention_tile tile = tiles[t];
    const int blocks = (tile.first_position + tile.rows + 15) / 16;
    ROWS(const int32_t, table, a.tables + (uint64_t)tile.table * 4, blocks, read);
    if (!is_prompt && (uint32_t)tile.splits > l->grid[2]) double_note("%s: %d splits, launched for %u", l->name, tile.splits, l->grid[2]);
    for (int r = 0; r < tile.rows; r++) {
      float whole[width];
      for (int head = 0; head < a.heads; head++) {
        struct merged merged = {.top = -INFINITY};
        for (int split = 0; split < tile.splits; split++) {
          const int first = split * DK_CUDA_SPLIT_TOKENS, sees = tile.first_position + r + 1 - first;
          if (sees <= 0) continue;
          float peak, sum, result[d_padded];
          const int count = sees < DK_CUDA_SPLIT_TOKENS ? sees : DK_CUDA_SPLIT_TOKENS;
          if (!attend_query(l, &a, table, tile.first_row + r, head, first, count, &peak, &sum, result)) return;
          if (a.output || a.packed) {
            take(&merged, peak, sum, result, l->head);
            continue;
          }
          const uint64_t partial = (uint64_t)(tile.partial + r * tile.splits + split) * a.heads + head;
          ROWS(float, p, a.peaks + partial * 4, 1, write);
          ROWS(float, s, a.sums + partial * 4, 1, write);
          ROWS(float, y, a.results + partial * d_padded * 4, d_padded, write);
          *p = peak, *s = sum;
          memcpy(y, result, d_padded * 4);
        }
        for (int d = 0; d < l->head; d++) whole[head * l->head + d] = merged.result[d] / merged.sum;
      }
      if (a.output || a.packed) store(l, a.output, a.packed, tile.first_row + r, a.rows, width, whole);
    }
  }
}

static void attend(const struct launch *l) {
  ARGUMENT(dk_attend);
  attend_tiles(l, a);
}
/* The kernel keeps the queries to itself. */
/* Splits whose partial results are in memory. */
static void merge_row(const struct launch *l, const dk_attend_arguments *a, uint64_t row, int first, int splits, int rows, uint64_t output, uint64_t packed) {
  const uint64_t d_padded = padded(l->head), width = (uint64_t)a->heads * l->head;
  float y[width];
  for (int head = 0; head < a->heads; head++) {
    struct merged merged = {.top = -INFINITY};
    for (int split = 0; split < splits; split++) {
      const uint64_t index = (uint64_t)(first + split) * a->heads + head;
      ROWS(const float, peak, a->peaks + index * 4, 1, read);
      ROWS(const float, part, a->sums + index * 4, 1, read);
      ROWS(const float, result, a->results + index * d_padded * 4, d_padded, read);
      take(&merged, *peak, *part, result, l->head);
    }
    for (int d = 0; d < l->head; d++) y[head * l->head + d] = merged.result[d] / merged.sum;
  }
  store(l, output, packed, row, rows, width, y);
}
static void attend_row(const struct launch *l) {
  ARGUMENT(dk_attend_row);
  const int is_whole = !strcmp(l->name, "dk_attend_row");
  if (is_whole != (a.attend.output || a.attend.packed)) double_note("%s: with the other's arguments", l->name);
  ROWS(const dk_attention_tile, tiles, a.attend.tiles, l->grid[0], read);
  for (uint32_t t = 0; t < l->grid[0]; t++) {
    if (tiles[t].rows != 1 || (is_whole && tiles[t].splits != 1)) double_note("%s: a tile of %d rows, %d splits", l->name, tiles[t].rows, tiles[t].splits);
    turn_rows(l, a.turn, tiles[t].first_row, tiles[t].first_row + 1);
  }
  attend_tiles(l, a.attend);
  if (!a.counts) return;
  if (is_whole || (!a.output && !a.packed)) double_note("%s: merges what is whole, or to nowhere", l->name);
  const int chunks = l->grid[1];
  for (uint32_t t = 0; t < l->grid[0]; t++) {
    ROWS(uint32_t, counts, a.counts + (uint64_t)tiles[t].first_row * chunks * 4, chunks, read);
    for (int i = 0; i < chunks; i++)
      if (counts[i]) double_note("%s: begins to count at %u", l->name, counts[i]);
    merge_row(l, &a.attend, tiles[t].first_row, tiles[t].partial, tiles[t].splits, a.attend.rows, a.output, a.packed);
  }
}

static void merge(const struct launch *l) {
  ARGUMENT(dk_merge);
  for (uint32_t x = 0; x < l->grid[0]; x++) {
    const uint64_t row = a.first_row + x;
    ROWS(const int32_t, partial, a.partials + row * 4, 1, read);
    ROWS(const int32_t, position, a.positions + row * 4, 1, read);
    const dk_attend_arguments parts = {.peaks = a.peaks, .sums = a.sums, .results = a.results, .heads = a.heads};
    merge_row(l, &parts, row, *partial, *position / DK_CUDA_SPLIT_TOKENS + 1, a.rows, a.output, a.packed);
  }
}

static void choose(const struct launch *l) {
  ARGUMENT(dk_choose);
  for (uint32_t row = 0; row < l->grid[0]; row++) {
    ROWS(const float, x, a.logits + (uint64_t)row * a.stride * 4, a.vocabulary, read);
    ROWS(int32_t, chosen, a.chosen + row * 4, 1, write);
    *chosen = 0;
    for (int i = 1; i < a.vocabulary; i++)
      if (x[i] > x[*chosen]) *chosen = i;
    for (int i = a.vocabulary - 1; i >= 0; i--)
      if (x[i] != x[i] || x[i] == INFINITY) *chosen = ~i;
  }
}

static void read_words(const struct launch *l) {
  ARGUMENT(dk_read);
  double_read(l->name, a.words, a.count * 16);
}

static float half_to_float(uint16_t x) {
  _Float16 y;
  memcpy(&y, &x, 2);
  return (float)y;
}
static uint64_t panel_place(uint64_t row, uint64_t column, uint64_t columns) { return row / 16 * ((columns + 1) / 2) * 32 + column / 2 * 32 + row % 16 * 2 + column % 2; }
static uint16_t rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void make(const struct launch *l) {
#pragma clang fp contract(off)
  ARGUMENT(dk_make);
  const uint64_t columns = a.columns, size = a.type == DK_CUDA_F32 ? 4 : 2;
  ROWS(uint32_t, bad, a.bad, 1, read);
  for (int r = 0; r < a.rows + a.zero_rows; r++)
    for (uint64_t c = 0; c < (a.has_panels ? (columns + 1) / 2 * 2 : columns); c++) {
      uint16_t made = 0;
      if (r < a.rows && c < columns) {
        const uint64_t row = a.source_row + r, index = a.has_source_panels ? panel_place(row, c, columns) : row * columns + c;
        const uint8_t *from = double_read(l->name, a.source + index * size, size);
        if (!from) return;
        uint16_t half = 0;
        float x;
        if (size == 4) memcpy(&x, from, 4);
        else memcpy(&half, from, 2), x = a.type == DK_CUDA_BF16 ? wide(half) : half_to_float(half);
        if (a.rounds) x = wide(rounded(x));
        if (a.adds_offset) x = x + a.offset;
        for (int i = 0; i < a.change_count; i++) {
          const dk_low_rank *change = &a.changes[i];
          ROWS(const float, up, change->up + (uint64_t)r * change->rank * 4, change->rank, read);
          float sum = 0;
          for (int k = 0; k < change->rank; k++) {
            ROWS(const float, down, change->down + (k * columns + c) * 4, 1, read);
            sum = sum + up[k] * *down;
          }
          x = x + change->scale * sum;
        }
        if (a.adds_constant) x = x + a.constant;
        made = a.type == DK_CUDA_BF16 && !a.change_count && !a.adds_offset && !a.adds_constant ? half : rounded(x);
        *bad += (made & 0x7f80) == 0x7f80;
      }
      const uint64_t row = a.first_row + r;
      ROWS(uint16_t, to, a.output + (a.has_panels ? panel_place(row, c, columns) : row * columns + c) * 2, 1, write);
      *to = made;
    }
}

/* Each launch takes its blocks and leaves the words between where the digest will be, as the kernel does. */
static void digest(const struct launch *l) {
  ARGUMENT(dk_digest);
  ROWS(const dk_digest_run, runs, a.runs, a.run_count, read);
  for (int i = 0; i < a.run_count; i++)
    for (uint64_t start = 0; start < runs[i].count; start += DK_CUDA_LEAF_BYTES) {
      const uint64_t leaf = runs[i].first_leaf + start / DK_CUDA_LEAF_BYTES, left = runs[i].count - start;
      const uint64_t count = left < DK_CUDA_LEAF_BYTES ? left : DK_CUDA_LEAF_BYTES, blocks = count / 64, end = a.first_block + a.block_count;
      if ((uint64_t)a.first_block > blocks) continue;
      uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
      if (leaf >= a.leaf_count) double_note("%s: more leaves than it was told", l->name);
      if (a.first_block) {
        ROWS(const uint32_t, between, a.leaves + leaf * 32, 8, read);
        memcpy(h, between, sizeof h);
      }
      if (runs[i].bytes % 16) double_note("%s: not aligned to 16 bytes", l->name);
      ROWS(const uint8_t, bytes, runs[i].bytes + start, count, read);
      const uint64_t whole = end < blocks ? end : blocks;
      if ((uint64_t)a.first_block < whole) sha256_compress(false, h, bytes + a.first_block * 64, (int64_t)(whole - a.first_block));
      const int is_end = blocks < end || end >= DK_CUDA_LEAF_BLOCKS;
      if (is_end) {
        uint8_t last[128] = {0};
        const uint64_t rest = count % 64, size = rest < 56 ? 64 : 128;
        memcpy(last, bytes + blocks * 64, rest);
        last[rest] = 0x80;
        for (int j = 0; j < 8; j++) last[size - 1 - j] = (uint8_t)(count * 8 >> 8 * j);
        sha256_compress(false, h, last, (int64_t)size / 64);
      }
      ROWS(uint32_t, to, a.leaves + leaf * 32, 8, write);
      for (int j = 0; j < 8; j++) to[j] = is_end ? __builtin_bswap32(h[j]) : h[j];
    }
}

static const struct {
  size_t size;
  void (*run)(const struct launch *);
} kernels[KERNELS] = {
    [EMBED] = {sizeof(dk_embed_arguments), embed}, [NORM] = {sizeof(dk_norm_arguments), norm}, [PACK] = {sizeof(dk_pack_arguments), pack},
    [GATED] = {sizeof(dk_gated_arguments), gated}, [ADD] = {sizeof(dk_add_arguments), add}, [SELECT] = {sizeof(dk_select_arguments), choose_rows},
    [LINEAR] = {sizeof(dk_linear_arguments), linear}, [LINEAR_GATED] = {sizeof(dk_linear_gated_arguments), linear_gated},
    [LINEAR_WIDE] = {sizeof(dk_linear_wide_arguments), linear_wide}, [LINEAR_WIDE_GATED] = {sizeof(dk_linear_wide_arguments), linear_wide_gated},
    [LINEAR_ROW] = {sizeof(dk_linear_row_arguments), linear_row}, [LINEAR_ROW_GATED] = {sizeof(dk_linear_row_arguments), linear_row},
    [TURN] = {sizeof(dk_turn_arguments), turn}, [ATTEND] = {sizeof(dk_attend_arguments), attend},
    [ATTEND_PROMPT] = {sizeof(dk_attend_arguments), attend}, [ATTEND_ROW] = {sizeof(dk_attend_row_arguments), attend_row}, [MERGE] = {sizeof(dk_merge_arguments), merge},
    [CHOOSE] = {sizeof(dk_choose_arguments), choose}, [READ] = {sizeof(dk_read_arguments), read_words},
    [MAKE] = {sizeof(dk_make_arguments), make}, [DIGEST] = {sizeof(dk_digest_arguments), digest}};

size_t double_argument_size(enum kernel kernel) { return kernels[kernel].size; }
void double_run(const struct launch *launch) { kernels[launch->kernel].run(launch); }
