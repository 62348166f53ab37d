// Causal attention over the paged cache. Positions are taken in splits of 256. Within a split a query's arithmetic is
//   scores     one chain over the head's elements, 16 at a time, on bfloat16, times the scale
//   weights    2^(score - largest of the split), to bfloat16; zero for positions after the query's own
//   sum        one chain over the split's positions, 16 at a time, of the weights
//   result     the same of weight times value
// and splits are merged in order, see `Merged`. Which queries share a block, and how many splits others have, does not enter.
//
// A block of the cache has for each KV head its keys [head / 16][16 positions][16 packed] and its values
// [head / 8][8][16 positions], in the order of pairs that "packed" has: what a lane needs are 8 neighbouring bytes of both.

// The size of heads is known when the kernels are compiled.
#define DK_HEAD_PADDED ((DK_HEAD + 15) / 16 * 16)
constexpr int D = DK_HEAD_PADDED;
constexpr int block_elements = 2 * DK_CUDA_BLOCK_TOKENS * D;  // of one KV head

INLINE int key_index(int token, int d) { return (d / 16 * 16 + token) * 16 + place(d % 16); }
INLINE int value_index(int token, int d) { return 16 * D + d * 16 + place(token); }

// What splits so far come to, relative to their largest score: each is brought to the larger of the two.
struct Merged {
  float peak = -DK_INFINITY, sum = 0.0f;
  static __device__ float2 scales(float before, float split, float largest) {
    return make_float2(exp2_fast(before - largest), exp2_fast(split - largest));
  }
  // What results so far, and those of the split, are multiplied by.
  __device__ float2 take(float split_peak, float split_sum) {
    const float largest = fmaxf(peak, split_peak);
    const float2 scale = scales(peak, split_peak, largest);
    peak = largest, sum = fmaf(scale.y, split_sum, sum * scale.x);
    return scale;
  }
};

// Cosines and sines of a row's position, which no kernel writes: may be asked for before the kernel before has ended.
struct Angles {
  static constexpr int each = (D / 2 + 31) / 32;
  float c[each], s[each];
  INLINE void load(const dk_turn_arguments &a, int row) {
    const int half = a.rotary / 2;
    const u64 position = u64(at<int>(a.positions)[row]) * half;
#pragma unroll
    for (int j = 0; j < each; ++j) {
      const int i = threadIdx.x % 32 + 32 * j;
      c[j] = i < half ? load_strong(at<float>(a.cosines) + position + i) : 0.0f;
      s[j] = i < half ? load_strong(at<float>(a.sines) + position + i) : 0.0f;
    }
  }
};

// A warp's part of dk_turn: norm and rotary embedding of a head, which is put into shared memory for it.
INLINE void turn_head(const dk_turn_arguments &a, const Angles &angles, float *x, int row, int head) {
  const int lane = threadIdx.x % 32, all = a.heads + 2 * a.kv_heads;
  const float *input = at<float>(a.qkv) + (u64(row) * all + head) * DK_HEAD;
  for (int d = lane; d < DK_HEAD; d += 32) x[d] = input[d];
  const bool is_query = head < a.heads, is_value = head >= a.heads + a.kv_heads;
  const u16 *norm = at<u16>(is_query ? a.query_norm : a.key_norm);
  if (norm && !is_value) {
    float sum = 0.0f;
    for (int d = lane; d < DK_HEAD; d += 32) sum = fmaf(x[d], x[d], sum);
    const float scale = __frcp_rn(__fsqrt_rn(__fdiv_rn(sum_of_warp(sum), float(DK_HEAD)) + a.epsilon));
    for (int d = lane; d < DK_HEAD; d += 32) x[d] = x[d] * scale * wide(norm[d]);
  }
  __syncwarp();
  if (!is_value) {
    const int half = a.rotary / 2;
#pragma unroll
    for (int j = 0; j < Angles::each; ++j) {
      const int i = lane + 32 * j;
      if (i >= half) continue;
      const int one = a.is_paired ? 2 * i : i, other = a.is_paired ? 2 * i + 1 : i + half;
      const float c = angles.c[j], s = angles.s[j], p = x[one], q = x[other];
      x[one] = fmaf(p, c, -(q * s));
      x[other] = fmaf(q, c, p * s);
    }
  }
  __syncwarp();
}
INLINE void store_query(u16 *query, const float *x) {
  for (int d = threadIdx.x % 32; d < D; d += 32) query[d] = d < DK_HEAD ? narrow(x[d]) : 0;
}
// A key or a value to its cell of the cache.
INLINE void store_cell(const dk_turn_arguments &a, const float *x, int row, int kv, bool is_value) {
  const int cell = at<int>(a.cells)[row];
  u16 *block = at<u16>(a.pool) + (u64(cell / 16) * a.kv_heads + kv) * block_elements;
  for (int d = threadIdx.x % 32; d < D; d += 32) {
    const u16 value = d < DK_HEAD ? narrow(x[d]) : 0;
    block[is_value ? value_index(cell % 16, d) : key_index(cell % 16, d)] = value;
  }
}
