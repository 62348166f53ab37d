// Attention where each sequence has one row, in the arithmetic of heads.cu: a block turns the queries that it attends with, and the row's
// key and value where they are of its split, so that none waits for another to store them.
//
// Keys and values that stood in the cache before the step are asked for before the kernel before has ended.

template <bool IS_EARLY> INLINE uint2 load_cached(const u16 *from) {
  uint2 x;
  // Strong, or it would be moved below the wait that comes after it.
  if (IS_EARLY) asm volatile("ld.relaxed.gpu.global.v2.b32 {%0,%1}, [%2];" : "=r"(x.x), "=r"(x.y) : "l"(from) : "memory");
  else x = *reinterpret_cast<const uint2 *>(from);
  return x;
}

// IS_WHOLE: no sequence has more than one split, so there is nothing to merge. Else, where there are counts, the last block of a row's splits
// merges them as dk_merge does.
template <bool IS_WHOLE> INLINE void attend_row(const dk_attend_row_arguments &both) {
  const dk_attend_arguments &a = both.attend;
  constexpr int steps = D / 16, stride = DK_CUDA_SPLIT_TOKENS + 8, split_pages = DK_CUDA_SPLIT_TOKENS / 16, query_stride = D + 8;
  constexpr int warps = DK_CUDA_ATTEND_THREADS / 32, columns = (D / 8 + warps - 1) / warps, own_pages = split_pages / warps;
  constexpr bool is_early = D <= 128;
  constexpr int raw_bytes = warps * D * 4, weight_bytes = 16 * stride * 2;
  __shared__ __align__(16) u8 first_bytes[raw_bytes > weight_bytes ? raw_bytes : weight_bytes];  // heads before they are rounded, then weights
  __shared__ __align__(16) u16 query[16 * query_stride], own_key[D], own_value[D];
  __shared__ float peaks[warps][16];
  __shared__ int blocks[split_pages];
  let_next_start();
  u16 *weights = reinterpret_cast<u16 *>(first_bytes);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const dk_attention_tile tile = at<dk_attention_tile>(a.tiles)[blockIdx.x];
  const int split = blockIdx.z, first = split * DK_CUDA_SPLIT_TOKENS;
  if (split >= tile.splits) {
    await_previous();
    return;
  }
  const int group = a.heads / a.kv_heads, kv = blockIdx.y / a.chunks, chunk = blockIdx.y % a.chunks;
  const int queries = min(a.tile_heads, group - chunk * a.tile_heads), first_head = kv * group + chunk * a.tile_heads;
  const int end = tile.first_position + 1 - first;  // positions of this split that are seen; may be more than it has
  const int pages = min(split_pages, (end + 15) / 16), sees = min(end, DK_CUDA_SPLIT_TOKENS);
  const bool is_last = split + 1 == tile.splits;
  const int own = is_last ? end - 1 : -1;  // where the row itself stands
  const u16 *pool = at<u16>(a.pool) + u64(kv) * block_elements;
  const u64 block = u64(a.kv_heads) * block_elements;
  if (threadIdx.x < pages) blocks[threadIdx.x] = at<int>(a.tables)[tile.table + split * split_pages + threadIdx.x];
  __syncthreads();
  uint2 key[is_early ? own_pages : 1][steps][2];
  auto load_keys = [&](int j) {
    const int page = warp * own_pages + j;
    if (page >= pages) return;
    const u16 *keys = pool + blocks[page] * block + lane * 4;
#pragma unroll
    for (int k = 0; k < steps; ++k)
#pragma unroll
      for (int n = 0; n < 2; ++n) key[is_early ? j : 0][k][n] = load_cached<is_early>(keys + (k * 2 + n) * 128);
  };
  constexpr int ahead = is_early ? 8 : 2;
  uint2 value[2][ahead][columns];
  auto load_values = [&](int part) {
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int page = part * ahead + i;
      if (page >= pages) continue;
      const u16 *values = pool + blocks[page] * block + 16 * D + lane * 4;
#pragma unroll
      for (int j = 0; j < columns; ++j) {
        const int column = warp + warps * j;
        if (D / 8 % warps == 0 || column < D / 8) value[part % 2][i][j] = is_early && part == 0 ? load_cached<true>(values + column * 128) : load_cached<false>(values + column * 128);
      }
    }
  };
  Angles angles;
  angles.load(both.turn, tile.first_row);
  if (is_early) {
#pragma unroll
    for (int j = 0; j < own_pages; ++j) load_keys(j);
    load_values(0);
  }
  await_previous();
  {
    float *x = reinterpret_cast<float *>(first_bytes) + warp * D;
    const int there = queries + (is_last ? 2 : 0);
    for (int i = warp; i < there; i += warps) {
      const int head = i < queries ? first_head + i : a.heads + (i > queries ? a.kv_heads : 0) + kv;
      turn_head(both.turn, angles, x, tile.first_row, head);
      store_query(i < queries ? query + i * query_stride : i == queries ? own_key : own_value, x);
      if (i >= queries && chunk == 0) store_cell(both.turn, x, tile.first_row, kv, i > queries);
      __syncwarp();
    }
  }
  __syncthreads();

  // Scores: some pages a warp.
  float score[own_pages][2][4];
  float peak[2] = {-DK_INFINITY, -DK_INFINITY};
#pragma unroll
  for (int j = 0; j < own_pages; ++j) {
    const int page = warp * own_pages + j;
    if (page >= pages) continue;
    if (!is_early) load_keys(j);
    float acc[2][4] = {};
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      u32 q[4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const bool has = g + 8 * i < queries;
        const u16 *from = query + (g + 8 * i) * query_stride + k * 16 + 2 * t;
        q[i] = has ? *reinterpret_cast<const u32 *>(from) : 0;
        q[2 + i] = has ? *reinterpret_cast<const u32 *>(from + 8) : 0;
      }
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        uint2 v = key[is_early ? j : 0][k][n];
        if (page * 16 + n * 8 + g == own)
          v = make_uint2(*reinterpret_cast<const u32 *>(own_key + k * 16 + 2 * t), *reinterpret_cast<const u32 *>(own_key + k * 16 + 2 * t + 8));
        multiply(acc[n], q[0], q[1], q[2], q[3], v.x, v.y);
      }
    }
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        score[j][n][c] = acc[n][c] * a.scale;
        if (page * 16 + n * 8 + 2 * t + c % 2 < sees) peak[c / 2] = fmaxf(peak[c / 2], score[j][n][c]);
      }
  }
  if (!is_early) load_values(0);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    peak[i] = fmaxf(peak[i], __shfl_xor_sync(~0u, peak[i], 1));
    peak[i] = fmaxf(peak[i], __shfl_xor_sync(~0u, peak[i], 2));
    if (t == 0) peaks[warp][g + 8 * i] = peak[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int w = 0; w < warps; ++w) peak[i] = fmaxf(peak[i], peaks[w][g + 8 * i]);
#pragma unroll
  for (int j = 0; j < own_pages; ++j)
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int position = (warp * own_pages + j) * 16 + n * 8 + 2 * t;
        const float x = position < sees ? exp2_fast(score[j][n][2 * i] - peak[i]) : 0.0f;
        const float y = position + 1 < sees ? exp2_fast(score[j][n][2 * i + 1] - peak[i]) : 0.0f;
        *reinterpret_cast<u32 *>(weights + (g + 8 * i) * stride + position) = pair(x, y);
      }
  __syncthreads();

  // Results: every eighth 8 elements of a head a warp.
  float acc[columns][4] = {}, sum[4] = {};
#pragma unroll
  for (int part = 0; part < split_pages / ahead; ++part) {
    if (part + 1 < split_pages / ahead) load_values(part + 1);
#pragma unroll
    for (int p = 0; p < ahead; ++p) {
      const int page = part * ahead + p;
      if (page >= pages) continue;
      const u16 *w = weights + g * stride + page * 16 + 2 * t;
      const u32 a0 = *reinterpret_cast<const u32 *>(w), a1 = *reinterpret_cast<const u32 *>(w + 8 * stride);
      const u32 a2 = *reinterpret_cast<const u32 *>(w + 8), a3 = *reinterpret_cast<const u32 *>(w + 8 * stride + 8);
      multiply(sum, a0, a1, a2, a3, 0x3f803f80u, 0x3f803f80u);
      // What nobody has stored yet may be anything, and zero times that no number.
      const int left = end - page * 16;
      const u32 low = 2 * t + 1 < left ? ~0u : 2 * t < left ? 0xffffu : 0, high = 2 * t + 9 < left ? ~0u : 2 * t + 8 < left ? 0xffffu : 0;
      const int place_of_own = own - page * 16;  // among the page's positions
#pragma unroll
      for (int i = 0; i < columns; ++i) {
        if (D / 8 % warps && warp + warps * i >= D / 8) continue;
        uint2 v = value[part % 2][p][i];
        v.x &= low, v.y &= high;
        if (place_of_own >= 0 && place_of_own < 16 && place_of_own % 8 / 2 == t) {
          const u32 mine = own_value[(warp + warps * i) * 8 + g], before = place_of_own < 8 ? v.x : v.y;
          const u32 with_own = place_of_own % 2 ? (before & 0xffffu) | mine << 16 : mine;
          if (place_of_own < 8) v.x = with_own;
          else v.y = with_own;
        }
        multiply(acc[i], a0, a1, a2, a3, v.x, v.y);
      }
    }
  }
  if (IS_WHOLE) {
    const int width = a.heads * DK_HEAD, groups = packed_groups(a.rows);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (g + 8 * i >= queries) continue;
#pragma unroll
      for (int j = 0; j < columns; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int d = (warp + warps * j) * 8 + 2 * t + c, k = (first_head + g + 8 * i) * DK_HEAD + d;
          if (d >= DK_HEAD) continue;
          const float y = __fdiv_rn(acc[j][2 * i + c], sum[2 * i]);
          if (a.output) at<float>(a.output)[u64(tile.first_row) * width + k] = y;
          if (a.packed) at<u16>(a.packed)[packed_index(tile.first_row, k, width, groups)] = narrow(y);
        }
    }
    if (a.packed && blockIdx.y == 0) finish_packed(at<u16>(a.packed), tile.first_row, width, groups);
  }
#pragma unroll
  for (int i = 0; i < (IS_WHOLE ? 0 : 2); ++i) {
    if (g + 8 * i >= queries) continue;
    const u64 index = u64(tile.partial + split) * a.heads + first_head + g + 8 * i;
    if (warp == 0 && t == 0) at<float>(a.peaks)[index] = peak[i], at<float>(a.sums)[index] = sum[2 * i];
    float *result = at<float>(a.results) + index * D + 2 * t;
#pragma unroll
    for (int j = 0; j < columns; ++j) {
      const int column = warp + warps * j;
      if (D / 8 % warps && column >= D / 8) continue;
      *reinterpret_cast<float2 *>(result + column * 8) = make_float2(acc[j][2 * i], acc[j][2 * i + 1]);
    }
  }
  if (IS_WHOLE || !both.counts) return;
  __shared__ int is_merging;
  __syncthreads();
  if (threadIdx.x == 0) {
    u32 *count = at<u32>(both.counts) + tile.first_row * gridDim.y + blockIdx.y;
    __threadfence();
    is_merging = atomicAdd(count, 1) + 1 == tile.splits;
    if (is_merging) *count = 0;
    __threadfence();
  }
  __syncthreads();
  if (!is_merging) return;
  constexpr int most = 8;
  const int width = a.heads * DK_HEAD, groups = packed_groups(a.rows);
  for (int i = threadIdx.x; i < queries * D; i += DK_CUDA_ATTEND_THREADS) {
    const int head = first_head + i / D, d = i % D;
    const u64 start = u64(tile.partial) * a.heads + head;
    Merged merged;
    float result = 0.0f;
    for (int begin = 0; begin < tile.splits; begin += most) {
      float part[most], part_peak[most], part_sum[most];
#pragma unroll
      for (int j = 0; j < most; ++j) {
        const u64 index = start + u64(begin + j) * a.heads;
        const bool has = begin + j < tile.splits;
        part[j] = has ? __ldcg(at<float>(a.results) + index * D + d) : 0.0f;
        part_peak[j] = has ? __ldcg(at<float>(a.peaks) + index) : 0.0f, part_sum[j] = has ? __ldcg(at<float>(a.sums) + index) : 0.0f;
      }
#pragma unroll
      for (int j = 0; j < most; ++j) {
        if (begin + j >= tile.splits) continue;
        const float2 scale = merged.take(part_peak[j], part_sum[j]);
        result = fmaf(scale.y, part[j], result * scale.x);
      }
    }
    if (d >= DK_HEAD) continue;
    const float y = __fdiv_rn(result, merged.sum);
    const int k = head * DK_HEAD + d;
    if (both.output) at<float>(both.output)[u64(tile.first_row) * width + k] = y;
    if (both.packed) at<u16>(both.packed)[packed_index(tile.first_row, k, width, groups)] = narrow(y);
  }
  if (both.packed && blockIdx.y == 0) finish_packed(at<u16>(both.packed), tile.first_row, width, groups);
}

#define ATTEND_ROW(NAME, IS_WHOLE)                                                                                 \
  KERNEL __launch_bounds__(DK_CUDA_ATTEND_THREADS, DK_HEAD_PADDED <= 64 ? 3 : DK_HEAD_PADDED <= 128 ? 2 : 1)       \
      NAME(const __grid_constant__ dk_attend_row_arguments both) {                                                 \
    attend_row<IS_WHOLE>(both);                                                                                    \
  }
ATTEND_ROW(dk_attend_row, true) ATTEND_ROW(dk_attend_row_splits, false)
