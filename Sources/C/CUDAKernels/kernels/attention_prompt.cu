// Attention of many rows of a sequence: a block has 128 queries, 16 a warp, and takes one split after the other, keys and values of
// which lie in shared memory. The arithmetic is that of heads.cu.
#if __CUDA_ARCH__ >= 900 && DK_HEAD_PADDED <= 128

KERNEL __launch_bounds__(DK_CUDA_PROMPT_THREADS, 1) dk_attend_prompt(const __grid_constant__ dk_attend_arguments a) {
  constexpr int steps = D / 16, columns = D / 8, split_pages = DK_CUDA_SPLIT_TOKENS / 16, page_bytes = 32 * D;  // of keys, or of values
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const u32 barriers = shared_address(shared);  // of keys, of values
  u8 *keys = shared + 1024, *values = keys + split_pages * page_bytes;
  uint4 *query = reinterpret_cast<uint4 *>(values + split_pages * page_bytes) + warp * steps * 32 + lane;  // each lane's own
  if (threadIdx.x == 0) {
    make_barrier(barriers, 1), make_barrier(barriers + 8, 1);
    publish_barriers();
  }
  __syncthreads();
  let_next_start();
  await_previous();
  // Later tiles attend to more, and go first.
  const dk_attention_tile tile = at<dk_attention_tile>(a.tiles)[gridDim.x - 1 - blockIdx.x];
  const int group = a.heads / a.kv_heads, kv = blockIdx.y / a.chunks, chunk = blockIdx.y % a.chunks;
  const int tile_heads = min(a.tile_heads, group - chunk * a.tile_heads);
  const int queries = tile.rows * tile_heads, first_head = kv * group + chunk * a.tile_heads, end = tile.first_position + tile.rows;
  const int *table = at<int>(a.tables) + tile.table;
  const u8 *pool = at<u8>(a.pool) + u64(kv) * block_elements * 2;
  const u64 block = u64(a.kv_heads) * block_elements * 2;
  // A warp copies keys (0) or values (1) of a split, a page a lane.
  auto copy_pages = [&](int split, int which) {
    const int pages = min(split_pages, (end - split * DK_CUDA_SPLIT_TOKENS + 15) / 16);
    if (lane == 0) expect_bytes(barriers + 8 * which, pages * page_bytes);
    __syncwarp();
    if (lane < pages)
      copy_plain(
          shared_address(which ? values : keys) + lane * page_bytes, pool + table[split * split_pages + lane] * block + which * page_bytes,
          page_bytes, barriers + 8 * which);
  };
  if (warp == 0) {
    order_before_reads();
    copy_pages(0, 0), copy_pages(0, 1);
  }

  // Of the lane's two queries: the row, the head, and how many positions it sees.
  int row[2], head[2], sees[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int index = warp * 16 + g + 8 * i;
    const bool has = index < queries;
    row[i] = has ? index / tile_heads : 0, head[i] = first_head + (has ? index % tile_heads : 0);
    sees[i] = has ? tile.first_position + row[i] + 1 : 0;
  }
  {
    const u16 *from[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) from[i] = at<u16>(a.queries) + (u64(tile.first_row + row[i]) * a.heads + head[i]) * D + 2 * t;
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      uint4 q;
      q.x = *reinterpret_cast<const u32 *>(from[0] + k * 16), q.y = *reinterpret_cast<const u32 *>(from[1] + k * 16);
      q.z = *reinterpret_cast<const u32 *>(from[0] + k * 16 + 8), q.w = *reinterpret_cast<const u32 *>(from[1] + k * 16 + 8);
      query[k * 32] = q;
    }
  }
  // What any query of the warp sees.
  const int last = min(queries, warp * 16 + 16) - 1;
  const int reach = last >= warp * 16 ? tile.first_position + last / tile_heads + 1 : 0;
  Merged merged[2];
  float result[columns][4];
#pragma unroll
  for (int j = 0; j < columns; ++j)
#pragma unroll
    for (int c = 0; c < 4; ++c) result[j][c] = 0.0f;

  for (int split = 0; split < tile.splits; ++split) {
    const int first = split * DK_CUDA_SPLIT_TOKENS, left = reach - first, pages = min(split_pages, (left + 15) / 16);
    float score[split_pages][2][4];
#pragma unroll
    for (int page = 0; page < split_pages; ++page)
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c) score[page][n][c] = 0.0f;
    await_barrier(barriers, split & 1);
#pragma unroll 1
    for (int k = 0; k < steps; ++k) {
      const uint4 q = query[k * 32];
#pragma unroll
      for (int page = 0; page < split_pages; ++page) {
        if (page >= pages) continue;
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          const uint2 v = *reinterpret_cast<const uint2 *>(keys + page * page_bytes + (k * 2 + n) * 256 + lane * 8);
          multiply(score[page][n], q.x, q.y, q.z, q.w, v.x, v.y);
        }
      }
    }
    float peak[2] = {-DK_INFINITY, -DK_INFINITY};
    const int limit[2] = {sees[0] - first - 2 * t, sees[1] - first - 2 * t};
#pragma unroll
    for (int page = 0; page < split_pages; ++page)
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          score[page][n][c] *= a.scale;
          if (page * 16 + n * 8 + c % 2 < limit[c / 2]) peak[c / 2] = fmaxf(peak[c / 2], score[page][n][c]);
        }
    u32 weight[split_pages][4];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      peak[i] = fmaxf(peak[i], __shfl_xor_sync(~0u, peak[i], 1));
      peak[i] = fmaxf(peak[i], __shfl_xor_sync(~0u, peak[i], 2));
#pragma unroll
      for (int page = 0; page < split_pages; ++page)
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          const int position = page * 16 + n * 8;
          const float x = position < limit[i] ? exp2_fast(score[page][n][2 * i] - peak[i]) : 0.0f;
          const float y = position + 1 < limit[i] ? exp2_fast(score[page][n][2 * i + 1] - peak[i]) : 0.0f;
          weight[page][2 * n + i] = pair(x, y);
        }
    }
    __syncthreads();  // all have read the keys
    if (warp == 0 && split + 1 < tile.splits) copy_pages(split + 1, 0);
    await_barrier(barriers + 8, split & 1);
    float acc[columns][4], sum[4] = {};
#pragma unroll
    for (int j = 0; j < columns; ++j)
#pragma unroll
      for (int c = 0; c < 4; ++c) acc[j][c] = 0.0f;
#pragma unroll
    for (int page = 0; page < split_pages; ++page) {
      if (page >= pages) continue;
      const u32 *w = weight[page];
      multiply(sum, w[0], w[1], w[2], w[3], 0x3f803f80u, 0x3f803f80u);
      // What nobody has stored yet may be anything, and zero times that no number.
      const int there = end - first - page * 16;
      const u32 low = 2 * t + 1 < there ? ~0u : 2 * t < there ? 0xffffu : 0, high = 2 * t + 9 < there ? ~0u : 2 * t + 8 < there ? 0xffffu : 0;
#pragma unroll
      for (int j = 0; j < columns; ++j) {
        uint2 v = *reinterpret_cast<const uint2 *>(values + page * page_bytes + j * 256 + lane * 8);
        v.x &= low, v.y &= high;
        multiply(acc[j], w[0], w[1], w[2], w[3], v.x, v.y);
      }
    }
    __syncthreads();  // all have read the values
    if (warp == 0 && split + 1 < tile.splits) copy_pages(split + 1, 1);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (sees[i] <= first) continue;
      const float2 scale = merged[i].take(peak[i], sum[2 * i]);
#pragma unroll
      for (int j = 0; j < columns; ++j)
#pragma unroll
        for (int c = 0; c < 2; ++c) result[j][2 * i + c] = fmaf(scale.y, acc[j][2 * i + c], result[j][2 * i + c] * scale.x);
    }
  }
  const int width = a.heads * DK_HEAD, groups = packed_groups(a.rows);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (sees[i] <= 0) continue;
    const int r = tile.first_row + row[i];
#pragma unroll
    for (int j = 0; j < columns; ++j)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const int d = j * 8 + 2 * t + c, k = head[i] * DK_HEAD + d;
        if (d >= DK_HEAD) continue;
        const float y = __fdiv_rn(result[j][2 * i + c], merged[i].sum);
        if (a.output) at<float>(a.output)[u64(r) * width + k] = y;
        if (a.packed) at<u16>(a.packed)[packed_index(r, k, width, groups)] = narrow(y);
      }
  }
  if (a.packed && blockIdx.y == 0)
    for (int r = 0; r < tile.rows; ++r) finish_packed(at<u16>(a.packed), tile.first_row + r, width, groups);
}
#endif
