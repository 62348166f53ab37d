/* Causal attention over the paged cache, as a running softmax.
 *
 * Queries that read the same KV head (heads of a group, neighbouring rows) form a tile, so that keys and values are
 * loaded once for all of them. A tile walks the positions in chunks of 128: scores, running maximum, exponentials,
 * then values. A query's own arithmetic never depends on its neighbours: chunks start at multiples of 128 for all,
 * sums run in the order of positions, and positions after a query's own are not touched. */

enum { TILE_QUERIES = 24, CHUNK = 128, CHUNK_BLOCKS = CHUNK / DK_BLOCK_TOKENS };

typedef struct {
  const dk_attention_shape *shape;
  const char *blocks[CHUNK_BLOCKS]; /* this KV head's keys in each block of the chunk */
  int64_t value_offset;             /* bytes from a block's keys to its values */
  int64_t value_stride;             /* elements of a value row: head_dim rounded up to 16 */
  int queries;
  int hidden[TILE_QUERIES];         /* positions at the chunk's start that are before each query's window */
  int valid[TILE_QUERIES];          /* after the last position of this chunk that each query sees */
  float largest[TILE_QUERIES];      /* of all scores so far */
  vf weight_sum[TILE_QUERIES];
  float query[TILE_QUERIES][DK_MAX_HEAD_DIM];  /* scaled */
  float score[TILE_QUERIES][CHUNK];            /* then weight */
  float result[TILE_QUERIES][DK_MAX_HEAD_DIM]; /* not yet divided by weight_sum */
} attention_tile;

/* Scores of `queries` queries with the tokens of `blocks` blocks. Two sums each: even and odd dimensions. */
INLINE void score_tile(attention_tile *t, const dk_type type, int first_query, const int queries, int first_block,
                       const int blocks) {
  const int dim = t->shape->head_dim, bytes = type == DK_F32 ? 4 : 2;
  const int vectors = blocks * PARTS;
  const char *key[DK_SCORE_BLOCKS * PARTS];
  const float *q = t->query[first_query];
  vf sum[2][DK_SCORE_BLOCKS * PARTS][DK_SCORE_QUERIES];
  UNROLL for (int v = 0; v < vectors; v++) {
    key[v] = t->blocks[first_block + v / PARTS] + (v % PARTS) * DK_LANES * bytes;
    UNROLL for (int i = 0; i < queries; i++) sum[0][v][i] = sum[1][v][i] = splat(0);
  }
  for (int d = 0; d + 2 <= dim; d += 2)
    UNROLL for (int c = 0; c < 2; c++)
      UNROLL for (int v = 0; v < vectors; v++) {
        vf k = load_as(type, key[v] + (d + c) * DK_BLOCK_TOKENS * bytes, 0);
        UNROLL for (int i = 0; i < queries; i++)
          sum[c][v][i] = fma_(splat(q[i * DK_MAX_HEAD_DIM + d + c]), k, sum[c][v][i]);
      }
  if (dim % 2)
    UNROLL for (int v = 0; v < vectors; v++) {
      vf k = load_as(type, key[v] + (dim - 1) * DK_BLOCK_TOKENS * bytes, 0);
      UNROLL for (int i = 0; i < queries; i++)
        sum[0][v][i] = fma_(splat(q[i * DK_MAX_HEAD_DIM + dim - 1]), k, sum[0][v][i]);
    }
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int i = 0; i < queries; i++)
      store(t->score[first_query + i] + first_block * DK_BLOCK_TOKENS + v * DK_LANES, sum[0][v][i] + sum[1][v][i]);
}

/* Adds weight * value for tokens first..<end of the chunk to `vectors` vectors of results. */
INLINE void value_tile(attention_tile *t, const dk_type type, int first_query, const int queries, int d,
                       const int vectors, int first, int end) {
  const int bytes = type == DK_F32 ? 4 : 2;
  vf sum[DK_VALUE_VECTORS][DK_VALUE_QUERIES];
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int i = 0; i < queries; i++) sum[v][i] = load(t->result[first_query + i] + d + v * DK_LANES);
  for (int token = first; token < end;) {
    const char *value = t->blocks[token / DK_BLOCK_TOKENS] + t->value_offset;
    int stop = (token / DK_BLOCK_TOKENS + 1) * DK_BLOCK_TOKENS;
    if (stop > end) stop = end;
    for (; token < stop; token++) {
      const char *row = value + ((token % DK_BLOCK_TOKENS) * t->value_stride + d) * bytes;
      vf one[DK_VALUE_VECTORS];
      UNROLL for (int v = 0; v < vectors; v++) one[v] = load_as(type, row, v * DK_LANES);
      UNROLL for (int i = 0; i < queries; i++) {
        vf weight = splat(t->score[first_query + i][token]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v][i] = fma_(weight, one[v], sum[v][i]);
      }
    }
  }
  UNROLL for (int v = 0; v < vectors; v++)
    UNROLL for (int i = 0; i < queries; i++) store(t->result[first_query + i] + d + v * DK_LANES, sum[v][i]);
}

/* Splits a count into the sizes that have a tile: 6, 3, 2, 1, as far as the registers go. */
INLINE int tile_size(int left, int most) { return left >= 6 && most >= 6 ? 6 : left >= 3 && most >= 3 ? 3 : left >= 2 ? 2 : 1; }

INLINE void score_queries(attention_tile *t, const dk_type type, int first_query, int block, const int blocks) {
  for (int q = first_query, n; q < t->queries; q += n) {
    n = tile_size(t->queries - q, DK_SCORE_QUERIES);
    switch (n) {
#if DK_SCORE_QUERIES >= 6
      case 6: score_tile(t, type, q, 6, block, blocks); break;
      case 3: score_tile(t, type, q, 3, block, blocks); break;
#endif
      case 2: score_tile(t, type, q, 2, block, blocks); break;
      default: score_tile(t, type, q, 1, block, blocks);
    }
  }
}

INLINE void value_queries(attention_tile *t, const dk_type type, int first_query, int d, const int vectors) {
  for (int q = first_query, n; q < t->queries; q += n) {
    n = tile_size(t->queries - q, DK_VALUE_QUERIES);
    /* What all of them see; queries are in the order of their positions. The rest goes one by one. */
    int begin = t->hidden[q + n - 1], common = t->valid[q];
    if (begin > common) begin = common;
    for (int i = q; i < q + n; i++)
      if (t->hidden[i] < begin) value_tile(t, type, i, 1, d, vectors, t->hidden[i], begin);
    switch (n) {
#if DK_VALUE_QUERIES >= 6
      case 6: value_tile(t, type, q, 6, d, vectors, begin, common); break;
#endif
      case 3: value_tile(t, type, q, 3, d, vectors, begin, common); break;
      case 2: value_tile(t, type, q, 2, d, vectors, begin, common); break;
      default: value_tile(t, type, q, 1, d, vectors, begin, common);
    }
    for (int i = q + 1; i < q + n; i++) {
      const int first = t->hidden[i] > common ? t->hidden[i] : common;
      if (t->valid[i] > first) value_tile(t, type, i, 1, d, vectors, first, t->valid[i]);
    }
  }
}

/* Scores to weights: e^(score - largest), what came before scaled down to the new maximum. */
INLINE void softmax_chunk(attention_tile *t, int q) {
  float *score = t->score[q];
  const int valid = t->valid[q], end = (valid + DK_LANES - 1) / DK_LANES * DK_LANES;
  if (t->shape->soft_cap > 0) {
    const vf cap = splat(t->shape->soft_cap), reciprocal = splat(1 / t->shape->soft_cap);
    for (int i = 0; i < end; i += DK_LANES) store(score + i, soft_cap(load(score + i), cap, reciprocal));
  }
  for (int i = 0; i < t->hidden[q]; i++) score[i] = -__builtin_inff();
  for (int i = valid; i < end; i++) score[i] = -__builtin_inff();
  vf most = splat(t->largest[q]);
  for (int i = 0; i < end; i += DK_LANES) most = max_(load(score + i), most);
  const float largest = max_lanes(most);
  if (largest != t->largest[q]) {
    const vf scale = exp_(splat(t->largest[q]) - splat(largest));
    t->weight_sum[q] *= scale;
    for (int64_t d = 0; d < t->value_stride; d += DK_LANES) store(t->result[q] + d, load(t->result[q] + d) * scale);
    t->largest[q] = largest;
  }
  vf sum = t->weight_sum[q];
  for (int i = 0; i < end; i += DK_LANES) {
    vf weight = exp_(load(score + i) - splat(largest));
    store(score + i, weight);
    sum += weight;
  }
  t->weight_sum[q] = sum;
}

/* One chunk for the queries from first_query on; those before end earlier. */
INLINE void attention_chunk(attention_tile *t, const dk_type type, int first_query, int blocks) {
  int block = 0;
#if DK_SCORE_BLOCKS >= 2
  for (; block + 2 <= blocks; block += 2) score_queries(t, type, first_query, block, 2);
#endif
  for (; block < blocks; block++) score_queries(t, type, first_query, block, 1);
  for (int q = first_query; q < t->queries; q++) softmax_chunk(t, q);
  int64_t d = 0;
  for (; d + DK_VALUE_VECTORS * DK_LANES <= t->value_stride; d += DK_VALUE_VECTORS * DK_LANES)
    value_queries(t, type, first_query, (int)d, DK_VALUE_VECTORS);
  for (; d < t->value_stride; d += DK_LANES) value_queries(t, type, first_query, (int)d, 1);
}
static __attribute__((noinline)) void attention_chunk_f32(attention_tile *t, int first_query, int blocks) {
  attention_chunk(t, DK_F32, first_query, blocks);
}
static __attribute__((noinline)) void attention_chunk_bf16(attention_tile *t, int first_query, int blocks) {
  attention_chunk(t, DK_BF16, first_query, blocks);
}

static void attention(const dk_attention_shape *shape, const void *pool, const int32_t *block_table,
                      int64_t first_position, const float *q, int64_t q_stride, float *out, int64_t out_stride,
                      int64_t first_row, int64_t end_row, int64_t first_head, int64_t end_head) {
  const int64_t dim = shape->head_dim, group = shape->heads / shape->kv_heads;
  const int64_t block_bytes = dk_cache_block_bytes(shape), head_bytes = block_bytes / shape->kv_heads;
  attention_tile t;
  t.shape = shape;
  t.value_offset = dim * DK_BLOCK_TOKENS * dk_type_bytes(shape->cache_type);
  t.value_stride = (dim + 15) / 16 * 16;
  for (int64_t head = first_head; head < end_head;) {
    const int64_t kv_head = head / group;
    int64_t heads = (kv_head + 1) * group - head;
    if (heads > end_head - head) heads = end_head - head;
    if (heads > TILE_QUERIES) heads = TILE_QUERIES;
    const int64_t tile_rows = TILE_QUERIES / heads;
    for (int64_t row = first_row; row < end_row; row += tile_rows) {
      const int64_t rows = end_row - row < tile_rows ? end_row - row : tile_rows;
      t.queries = (int)(rows * heads);
      for (int i = 0; i < t.queries; i++) {
        const float *from = q + (row + i / heads) * q_stride + (head + i % heads) * dim;
        for (int64_t d = 0; d < dim; d++) t.query[i][d] = from[d] * shape->scale;
        memset(t.result[i], 0, sizeof(float) * (size_t)t.value_stride);
        t.largest[i] = -__builtin_inff();
        t.weight_sum[i] = splat(0);
      }
      const int64_t end_position = first_position + row + rows; /* after the last position that any query sees */
      int64_t start = 0; /* of the chunk that the first query's window begins in */
      if (shape->window > 0 && first_position + row + 1 > shape->window)
        start = (first_position + row + 1 - shape->window) / CHUNK * CHUNK;
      for (; start < end_position; start += CHUNK) {
        int64_t tokens = end_position - start;
        if (tokens > CHUNK) tokens = CHUNK;
        const int blocks = (int)((tokens + DK_BLOCK_TOKENS - 1) / DK_BLOCK_TOKENS);
        for (int b = 0; b < blocks; b++)
          t.blocks[b] = (const char *)pool + block_table[start / DK_BLOCK_TOKENS + b] * block_bytes + kv_head * head_bytes;
        int first_query = 0;
        t.queries = 0; /* those whose window has begun: later ones have later windows */
        for (int i = 0; i < rows * heads; i++) {
          int64_t sees = first_position + row + i / heads + 1 - start, hidden = shape->window > 0 ? sees - shape->window : 0;
          if (sees <= 0) first_query = i + 1;
          if (hidden < CHUNK) t.queries = i + 1;
          t.hidden[i] = (int)(hidden < 0 ? 0 : hidden);
          t.valid[i] = (int)(sees > CHUNK ? CHUNK : sees);
        }
        if (shape->cache_type == DK_F32) attention_chunk_f32(&t, first_query, blocks);
        else attention_chunk_bf16(&t, first_query, blocks);
      }
      for (int i = 0; i < rows * heads; i++) {
        float *to = out + (row + i / heads) * out_stride + (head + i % heads) * dim;
        vf sum = splat(sum_lanes(t.weight_sum[i]));
        if (shape->sinks) { /* relative to the largest score, whichever it is */
          const float sink = shape->sinks[head + i % heads], largest = sink > t.largest[i] ? sink : t.largest[i];
          const vf scale = exp_(splat(t.largest[i] - largest));
          sum = fma_(sum, scale, exp_(splat(sink - largest)));
          for (int64_t d = 0; d < t.value_stride; d += DK_LANES) store(t.result[i] + d, load(t.result[i] + d) * scale);
        }
        EACH_VECTOR(d, part, dim) put(to, d, part, load(t.result[i] + d) / sum);
      }
    }
    head += heads;
  }
}
