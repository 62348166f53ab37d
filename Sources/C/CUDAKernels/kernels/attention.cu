// Attention of rows of any number, in the arithmetic of heads.cu, with the splits of a row side by side.

KERNEL dk_turn(const __grid_constant__ dk_turn_arguments a) {
  __shared__ float heads[8][DK_HEAD];
  let_next_start();
  const int row = blockIdx.x, head = blockIdx.y * 8 + threadIdx.x / 32;
  Angles angles;
  angles.load(a, row);
  await_previous();
  if (head >= a.heads + 2 * a.kv_heads) return;
  float *x = heads[threadIdx.x / 32];
  turn_head(a, angles, x, row, head);
  if (head < a.heads) store_query(at<u16>(a.queries) + (u64(row) * a.heads + head) * D, x);
  else store_cell(a, x, row, (head - a.heads) % a.kv_heads, head >= a.heads + a.kv_heads);
}

KERNEL __launch_bounds__(DK_CUDA_ATTEND_THREADS) dk_attend(const __grid_constant__ dk_attend_arguments a) {
  constexpr int steps = D / 16, stride = DK_CUDA_SPLIT_TOKENS + 8, split_pages = DK_CUDA_SPLIT_TOKENS / 16;
  constexpr int warps = DK_CUDA_ATTEND_THREADS / 32, columns = (D / 8 + warps - 1) / warps, own_pages = split_pages / warps;
  __shared__ __align__(16) u16 weights[16 * stride];
  __shared__ float peaks[warps][16];
  __shared__ int blocks[split_pages];
  let_next_start();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  // What the host has said of the batch no kernel writes, so it is read before the kernel before has ended.
  const dk_attention_tile tile = at<dk_attention_tile>(a.tiles)[blockIdx.x];
  const int split = blockIdx.z, first = split * DK_CUDA_SPLIT_TOKENS;
  if (split >= tile.splits) {
    await_previous();
    return;
  }
  const int group = a.heads / a.kv_heads, kv = blockIdx.y / a.chunks, chunk = blockIdx.y % a.chunks;
  const int tile_heads = min(a.tile_heads, group - chunk * a.tile_heads);
  const int queries = tile.rows * tile_heads, first_head = kv * group + chunk * a.tile_heads;
  const int end = tile.first_position + tile.rows - first;  // positions of this split that any query sees; may be more than it has
  const int pages = min(split_pages, (end + 15) / 16);
  const u16 *pool = at<u16>(a.pool) + u64(kv) * block_elements;
  const u64 block = u64(a.kv_heads) * block_elements;
  if (threadIdx.x < pages) blocks[threadIdx.x] = at<int>(a.tables)[tile.table + split * split_pages + threadIdx.x];
  __syncthreads();
  await_previous();
  // Of the lane's two queries: the row, and how many positions of this split it sees.
  int row[2], head[2], sees[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = g + 8 * i;
    row[i] = query / tile_heads, head[i] = first_head + query % tile_heads;
    sees[i] = query < queries ? tile.first_position + row[i] + 1 - first : 0;
  }
  u32 q[steps][4];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const bool has = g + 8 * i < queries;
    const u16 *from = at<u16>(a.queries) + (u64(tile.first_row + (has ? row[i] : 0)) * a.heads + (has ? head[i] : 0)) * D + 2 * t;
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      q[k][i] = has ? *reinterpret_cast<const u32 *>(from + k * 16) : 0;
      q[k][2 + i] = has ? *reinterpret_cast<const u32 *>(from + k * 16 + 8) : 0;
    }
  }

  // Scores: some pages a warp. Keys of a page are under way while those before are multiplied.
  constexpr bool runs_ahead = D <= 128;
  float score[own_pages][2][4];
  float peak[2] = {-DK_INFINITY, -DK_INFINITY};
  uint2 key[2][steps][2];
  auto load_keys = [&](int j) {
    const int page = warp * own_pages + j;
    if (page >= pages) return;
    const u16 *keys = pool + blocks[page] * block + lane * 4;
#pragma unroll
    for (int k = 0; k < steps; ++k)
#pragma unroll
      for (int n = 0; n < 2; ++n) key[j % 2][k][n] = *reinterpret_cast<const uint2 *>(keys + (k * 2 + n) * 128);
  };
  if (runs_ahead) load_keys(0);
#pragma unroll
  for (int j = 0; j < own_pages; ++j) {
    const int page = warp * own_pages + j;
    float acc[2][4] = {};
    if (!runs_ahead) load_keys(j);
    else if (j + 1 < own_pages) load_keys(j + 1);
    if (page < pages) {
#pragma unroll
      for (int k = 0; k < steps; ++k)
#pragma unroll
        for (int n = 0; n < 2; ++n) multiply(acc[n], q[k][0], q[k][1], q[k][2], q[k][3], key[j % 2][k][n].x, key[j % 2][k][n].y);
    }
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int position = page * 16 + n * 8 + 2 * t + c % 2;
        score[j][n][c] = acc[n][c] * a.scale;
        if (position < sees[c / 2]) peak[c / 2] = fmaxf(peak[c / 2], score[j][n][c]);
      }
  }
  // Values of the first pages, which do not wait for the weights.
  constexpr int ahead = runs_ahead ? 8 : 2;
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
        if (D / 8 % warps == 0 || column < D / 8) value[part % 2][i][j] = *reinterpret_cast<const uint2 *>(values + column * 128);
      }
    }
  };
  load_values(0);
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
        const float x = position < sees[i] ? exp2_fast(score[j][n][2 * i] - peak[i]) : 0.0f;
        const float y = position + 1 < sees[i] ? exp2_fast(score[j][n][2 * i + 1] - peak[i]) : 0.0f;
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
#pragma unroll
      for (int i = 0; i < columns; ++i) {
        if (D / 8 % warps && warp + warps * i >= D / 8) continue;
        const uint2 v = value[part % 2][p][i];
        multiply(acc[i], a0, a1, a2, a3, v.x & low, v.y & high);
      }
    }
  }
  if (a.output || a.packed) {  // there is one split: what merging would give
    const int width = a.heads * DK_HEAD, groups = packed_groups(a.rows);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (sees[i] <= 0) continue;
#pragma unroll
      for (int j = 0; j < columns; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int d = (warp + warps * j) * 8 + 2 * t + c, k = head[i] * DK_HEAD + d;
          if (d >= DK_HEAD) continue;
          const float y = __fdiv_rn(acc[j][2 * i + c], sum[2 * i]);
          if (a.output) at<float>(a.output)[u64(tile.first_row + row[i]) * width + k] = y;
          if (a.packed) at<u16>(a.packed)[packed_index(tile.first_row + row[i], k, width, groups)] = narrow(y);
        }
    }
    if (a.packed && blockIdx.y == 0)
      for (int r = 0; r < tile.rows; ++r) finish_packed(at<u16>(a.packed), tile.first_row + r, width, groups);
    return;
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (sees[i] <= 0) continue;
    const u64 index = u64(tile.partial + row[i] * tile.splits + split) * a.heads + head[i];
    if (warp == 0 && t == 0) at<float>(a.peaks)[index] = peak[i], at<float>(a.sums)[index] = sum[2 * i];
    float *result = at<float>(a.results) + index * D + 2 * t;
#pragma unroll
    for (int j = 0; j < columns; ++j) {
      const int column = warp + warps * j;
      if (D / 8 % warps && column >= D / 8) continue;
      *reinterpret_cast<float2 *>(result + column * 8) = make_float2(acc[j][2 * i], acc[j][2 * i + 1]);
    }
  }
}

KERNEL dk_merge(const __grid_constant__ dk_merge_arguments a) {
  let_next_start();
  const int row = a.first_row + blockIdx.x, head = blockIdx.y, lane = threadIdx.x % 32;
  const int splits = at<int>(a.positions)[row] / DK_CUDA_SPLIT_TOKENS + 1;
  const u64 first = u64(at<int>(a.partials)[row]) * a.heads + head;
  await_previous();
  const int width = a.heads * DK_HEAD, groups = packed_groups(a.rows);
  for (int start = 0; start < D; start += blockDim.x) {
    const int d = start + threadIdx.x;
    Merged merged;
    float result = 0.0f;
    // 32 splits at a time, those after them on the way; a lane has the scales of one of them.
    float part[2][32], sum[2], own[2];
    auto load = [&](int i, int which) {
      const u64 index = first + u64(i + lane) * a.heads;
      sum[which] = i + lane < splits ? at<float>(a.sums)[index] : 0.0f, own[which] = i + lane < splits ? at<float>(a.peaks)[index] : -DK_INFINITY;
#pragma unroll
      for (int j = 0; j < 32; ++j) part[which][j] = d < D && i + j < splits ? at<float>(a.results)[(first + u64(i + j) * a.heads) * D + d] : 0.0f;
    };
    auto merge = [&](int i, int which) {
      const int count = min(32, splits - i);
      float largest = fmaxf(own[which], merged.peak);  // of all up to the lane's
#pragma unroll
      for (int o = 1; o < 32; o *= 2) {
        const float other = __shfl_up_sync(~0u, largest, o);
        if (lane >= o) largest = fmaxf(largest, other);
      }
      float before = __shfl_up_sync(~0u, largest, 1);
      if (lane == 0) before = merged.peak;
      const float2 scale = Merged::scales(before, own[which], largest);
#pragma unroll
      for (int j = 0; j < 32; ++j) {
        const float2 s = make_float2(__shfl_sync(~0u, scale.x, j), __shfl_sync(~0u, scale.y, j));
        const float split_sum = __shfl_sync(~0u, sum[which], j);
        if (j >= count) continue;
        merged.sum = fmaf(s.y, split_sum, merged.sum * s.x);
        result = fmaf(s.y, part[which][j], result * s.x);
      }
      merged.peak = __shfl_sync(~0u, largest, 31);
    };
    load(0, 0);
    for (int i = 0; i < splits; i += 64) {
      if (i + 32 < splits) load(i + 32, 1);
      merge(i, 0);
      if (i + 64 < splits) load(i + 64, 0);
      if (i + 32 < splits) merge(i + 32, 1);
    }
    if (d >= DK_HEAD) continue;
    const float y = __fdiv_rn(result, merged.sum);
    if (a.output) at<float>(a.output)[u64(row) * width + head * DK_HEAD + d] = y;
    if (a.packed) at<u16>(a.packed)[packed_index(row, head * DK_HEAD + d, width, groups)] = narrow(y);
  }
  if (a.packed && head == 0) finish_packed(at<u16>(a.packed), row, width, groups);
}
