/* The paged cache: block sizes, and storing keys and values. Reading is attention.h. */
#include "scalar.h"

int64_t dk_cache_block_bytes(const dk_attention_shape *shape) {
  const int64_t dim = shape->head_dim, padded = (dim + 15) / 16 * 16;
  return shape->kv_heads * DK_BLOCK_TOKENS * (dim + padded) * dk_type_bytes(shape->cache_type);
}

void dk_cache_store(const dk_attention_shape *shape, void *pool, const int32_t *block_table, int64_t first_position,
                    const float *k, int64_t k_stride, const float *v, int64_t v_stride, int64_t rows) {
  const int64_t dim = shape->head_dim, padded = (dim + 15) / 16 * 16;
  const int64_t block_bytes = dk_cache_block_bytes(shape), head_bytes = block_bytes / shape->kv_heads;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t position = first_position + r, token = position % DK_BLOCK_TOKENS;
    for (int64_t h = 0; h < shape->kv_heads; h++) {
      char *head = (char *)pool + block_table[position / DK_BLOCK_TOKENS] * block_bytes + h * head_bytes;
      const float *key = k + r * k_stride + h * dim, *value = v + r * v_stride + h * dim;
      if (shape->cache_type == DK_F32) {
        float *keys = (float *)head, *values = keys + dim * DK_BLOCK_TOKENS + token * padded;
        for (int64_t d = 0; d < dim; d++) keys[d * DK_BLOCK_TOKENS + token] = key[d];
        memcpy(values, value, (size_t)dim * sizeof *value);
        for (int64_t d = dim; d < padded; d++) values[d] = 0;
      } else {
        uint16_t *keys = (uint16_t *)head, *values = keys + dim * DK_BLOCK_TOKENS + token * padded;
        for (int64_t d = 0; d < dim; d++) keys[d * DK_BLOCK_TOKENS + token] = dk_bf16_from_float(key[d]);
        for (int64_t d = 0; d < dim; d++) values[d] = dk_bf16_from_float(value[d]);
        for (int64_t d = dim; d < padded; d++) values[d] = 0;
      }
    }
  }
}
