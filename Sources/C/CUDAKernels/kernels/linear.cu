// Products of few rows, and of many on cards that have no better kernel for them.

// Outputs 2g and 2g + 1 of a panel for rows 2t and 2t + 1 of 8.
INLINE void store_outputs(const dk_linear_arguments &a, int panel, int row, const float (&acc)[4], int lane) {
  const int n = panel * 16 + lane / 4 * 2, first = row + lane % 4 * 2;
  float bias[2] = {0.0f, 0.0f};
  if (a.bias) {
    if (n < a.outputs) bias[0] = wide(at<u16>(a.bias)[n]);
    if (n + 1 < a.outputs) bias[1] = wide(at<u16>(a.bias)[n + 1]);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (first + i >= a.rows) continue;
    float *output = at<float>(a.output) + u64(first + i) * a.outputs + n;
    const float x = a.bias ? acc[i] + bias[0] : acc[i], y = a.bias ? acc[2 + i] + bias[1] : acc[2 + i];
    if (n + 1 < a.outputs && a.outputs % 2 == 0) {
      *reinterpret_cast<float2 *>(output) = make_float2(x, y);
    } else {
      if (n < a.outputs) output[0] = x;
      if (n + 1 < a.outputs) output[1] = y;
    }
  }
}

// The same of two panels to what dk_gated makes of them.
INLINE void store_activated(const dk_linear_gated_arguments &a, int row, const float (&factor)[4], const float (&activated)[4], int lane) {
  const int n = blockIdx.x * 16 + lane / 4 * 2, first = row + lane % 4 * 2, width = a.linear.outputs / 2;
  const u16 *bias = at<u16>(a.linear.bias);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (first + i >= a.linear.rows) continue;
    float y[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      float one = factor[2 * c + i], other = activated[2 * c + i];
      if (bias) one += wide(bias[n + c]), other += wide(bias[width + n + c]);
      y[c] = activate(a.activation, other) * one;
    }
    *reinterpret_cast<u32 *>(at<u16>(a.activated) + packed_index(first + i, n, width, packed_groups(a.linear.rows))) = pair(y[0], y[1]);
  }
}

#if __CUDA_ARCH__ < 900
// Few rows, before 9.0: a warp a panel, whose weights it copies through a ring of its own. They are asked for before the input is there.
template <int N>
INLINE void linear_chain(const dk_linear_arguments &a) {
  constexpr int tiles_a_stage = DK_CUDA_STAGE_BYTES / 512;
  let_next_start();
  const Panels p = panels(a);
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int panel = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  const bool has = panel < p.count;
  u8 *ring = shared + threadIdx.x / 32 * a.stages * DK_CUDA_STAGE_BYTES;
  const u8 *source = p.weight + (has ? panel : 0) * p.bytes;
  const int stages = (p.tiles + tiles_a_stage - 1) / tiles_a_stage;
  int into = 0;
  auto ask = [&](int stage) {
    if (has && stage < stages) {
#pragma unroll
      for (int j = 0; j < tiles_a_stage; ++j) {
        const u64 offset = u64(stage) * DK_CUDA_STAGE_BYTES + j * 512 + lane * 16;
        const bool inside = offset < p.bytes;
        copy_async(shared_address(ring + into * DK_CUDA_STAGE_BYTES + j * 512 + lane * 16), source + (inside ? offset : 0), inside ? 16 : 0);
      }
    }
    commit_copies();
    into = into + 1 == a.stages ? 0 : into + 1;
  };
  for (int i = 0; i < a.stages - 1; ++i) ask(i);
  await_previous();
  if (!has) return;
  const u8 *x = at<u8>(a.packed) + packed_lane(lane);
  const u32 tile_bytes = packed_groups(a.rows) * 256;
  uint2 next[tiles_a_stage][N];
  auto load = [&](int stage) {
#pragma unroll
    for (int j = 0; j < tiles_a_stage; ++j) {
      const int tile = stage * tiles_a_stage + j;
#pragma unroll
      for (int b = 0; b < N; ++b) {
        next[j][b] = make_uint2(0, 0);
        if (tile < p.tiles && b * 8 + g < a.rows) next[j][b] = *reinterpret_cast<const uint2 *>(x + u64(tile) * tile_bytes + b * 256);
      }
    }
  };
  float acc[N][4] = {};
  int from = 0;
  load(0);
  for (int stage = 0; stage < stages; ++stage) {
    uint2 now[tiles_a_stage][N];
#pragma unroll
    for (int j = 0; j < tiles_a_stage; ++j)
#pragma unroll
      for (int b = 0; b < N; ++b) now[j][b] = next[j][b];
    if (N <= 2) load(stage + 1);
    // All but the youngest stages - 2 are there.
    switch (a.stages) {
      case 2: await_copies<0>(); break;
      case 3: await_copies<1>(); break;
      case 4: await_copies<2>(); break;
      case 6: await_copies<4>(); break;
      case 8: await_copies<6>(); break;
      case 12: await_copies<10>(); break;
      case 16: await_copies<14>(); break;
      default: await_copies<0>();
    }
    __syncwarp();
    ask(stage + a.stages - 1);  // where the stage before lay, which all lanes have read
    const u8 *w = ring + from * DK_CUDA_STAGE_BYTES + t * 64 + g * 8;
#pragma unroll
    for (int j = 0; j < tiles_a_stage; ++j) {
      const uint2 low = *reinterpret_cast<const uint2 *>(w + j * 512), high = *reinterpret_cast<const uint2 *>(w + j * 512 + 256);
#pragma unroll
      for (int b = 0; b < N; ++b) multiply(acc[b], low.x, low.y, high.x, high.y, now[j][b].x, now[j][b].y);
    }
    if (N > 2) load(stage + 1);
    from = from + 1 == a.stages ? 0 : from + 1;
  }
#pragma unroll
  for (int b = 0; b < N; ++b) store_outputs(a, panel, b * 8, acc[b], lane);
}

KERNEL dk_linear_chain_1(const __grid_constant__ dk_linear_arguments a) { linear_chain<1>(a); }
KERNEL dk_linear_chain_2(const __grid_constant__ dk_linear_arguments a) { linear_chain<2>(a); }
KERNEL dk_linear_chain_4(const __grid_constant__ dk_linear_arguments a) { linear_chain<4>(a); }
KERNEL dk_linear_chain_8(const __grid_constant__ dk_linear_arguments a) { linear_chain<8>(a); }

#else
// Few rows, from 9.0 on: a panel a block, whose weights come by one copy a stage of T tiles, and 8 N rows a warp, whose inputs are
// read a stage or four tiles ahead.
//
// With P = 2 a block has a panel of the first half of the outputs and the one of the second half, for `finish`.
template <int N, int T, int P, bool IS_ONE, class Finish>
INLINE void linear_ring_of(const dk_linear_arguments &a, Finish finish) {
  constexpr int ahead = N == 1 ? T : 4, run_bytes = T * 512, stage_bytes = P * run_bytes;
  let_next_start();
  const Panels p = panels(a);
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, first_group = threadIdx.x / 32 * N;
  const u32 barriers = shared_address(shared);
  const u64 once = once_policy();
  u8 *ring = shared + 128;
  const u8 *source = p.weight + blockIdx.x * p.bytes;
  const u64 half = p.count / 2 * p.bytes;
  const int stages = int((p.bytes + run_bytes - 1) / run_bytes);
  auto meet = [] {
    if (blockDim.x > 32) __syncthreads();
    else __syncwarp();
  };
  if (threadIdx.x == 0) {
    for (int i = 0; i < a.stages; ++i) make_barrier(barriers + 8 * i, 1);
    publish_barriers();
  }
  meet();
  int into = 0;
  auto ask = [&](int stage) {
    if (threadIdx.x == 0 && stage < stages) {
      const u64 offset = u64(stage) * run_bytes;
      const u32 bytes = u32(min(u64(run_bytes), p.bytes - offset));
      expect_bytes(barriers + 8 * into, P * bytes);
#pragma unroll
      for (int q = 0; q < P; ++q)
        copy_run(shared_address(ring + into * stage_bytes + q * run_bytes), source + q * half + offset, bytes, barriers + 8 * into, once);
    }
    into = into + 1 == a.stages ? 0 : into + 1;
  };
  const int early = min(a.early, a.stages - 1);
  for (int i = 0; i < early; ++i) ask(i);
  await_previous();
  for (int i = early; i < a.stages - 1; ++i) ask(i);
  const u32 tile_bytes = IS_ONE ? 256 : packed_groups(a.rows) * 256;
  const u8 *x = at<u8>(a.packed) + first_group * 256 + packed_lane(lane);
  uint2 next[ahead][N];
  auto load = [&](int tile) {
#pragma unroll
    for (int j = 0; j < ahead; ++j)
#pragma unroll
      for (int b = 0; b < N; ++b) {
        next[j][b] = make_uint2(0, 0);
        if (tile + j < p.tiles && (first_group + b) * 8 + g < a.rows) next[j][b] = *reinterpret_cast<const uint2 *>(x + u64(tile + j) * tile_bytes + b * 256);
      }
  };
  float acc[P][N][4] = {};
  const int pairs = (a.inputs + 1) / 2;
  int from = 0;
  u32 parity = 0;
  load(0);
  for (int stage = 0; stage < stages; ++stage) {
    await_barrier(barriers + 8 * from, parity);
    order_before_copies();
    meet();
    ask(stage + a.stages - 1);  // where the stage before lay, which all have read
    const u8 *w = ring + from * stage_bytes + t * 64 + g * 8;
    const bool is_whole = (stage + 1) * T * 8 <= pairs;
#pragma unroll
    for (int part = 0; part < T / ahead; ++part) {
      uint2 now[ahead][N];
#pragma unroll
      for (int j = 0; j < ahead; ++j)
#pragma unroll
        for (int b = 0; b < N; ++b) now[j][b] = next[j][b];
      load((stage * (T / ahead) + part + 1) * ahead);
#pragma unroll
      for (int j = 0; j < ahead; ++j) {
#pragma unroll
        for (int q = 0; q < P; ++q) {
          const u8 *tile = w + q * run_bytes + (part * ahead + j) * 512;
          uint2 low = *reinterpret_cast<const uint2 *>(tile), high = *reinterpret_cast<const uint2 *>(tile + 256);
          if (!is_whole) {  // what no copy has written may be anything
            const int first = (stage * T + part * ahead + j) * 8 + t;
            if (first >= pairs) low = make_uint2(0, 0);
            if (first + 4 >= pairs) high = make_uint2(0, 0);
          }
#pragma unroll
          for (int b = 0; b < N; ++b) multiply(acc[q][b], low.x, low.y, high.x, high.y, now[j][b].x, now[j][b].y);
        }
      }
    }
    if (++from == a.stages) from = 0, parity ^= 1;
  }
#pragma unroll
  for (int b = 0; b < N; ++b) finish((first_group + b) * 8, acc[0][b], acc[P - 1][b], lane);
}
// One group of rows lies without gaps, and a loop that knows it has a sixth less to do.
template <int N, int T, int P, class Finish>
INLINE void linear_ring(const dk_linear_arguments &a, Finish finish) {
  if (N == 1 && a.rows <= 8) linear_ring_of<N, T, P, true>(a, finish);
  else linear_ring_of<N, T, P, false>(a, finish);
}
#define RING(N, T)                                                                                                   \
  KERNEL __launch_bounds__(256) dk_linear_ring_##N##_##T(const __grid_constant__ dk_linear_arguments a) {            \
    linear_ring<N, T, 1>(a, [&](int row, const float(&acc)[4], const float(&)[4], int lane) {                         \
      store_outputs(a, blockIdx.x, row, acc, lane);                                                                  \
    });                                                                                                              \
  }
RING(1, 8) RING(1, 16) RING(2, 16)

#define GATED(N, T)                                                                                                  \
  KERNEL __launch_bounds__(256) dk_linear_gated_##N##_##T(const __grid_constant__ dk_linear_gated_arguments a) {     \
    linear_ring<N, T, 2>(a.linear, [&](int row, const float(&factor)[4], const float(&activated)[4], int lane) {      \
      store_activated(a, row, factor, activated, lane);                                                              \
    });                                                                                                              \
  }
GATED(1, 8) GATED(2, 8)
#endif

// Many rows: 128 outputs by 128 rows a block, 8 warps of 32 by 64, stages of 64 inputs.
KERNEL __launch_bounds__(DK_CUDA_TILE_THREADS) dk_linear_tile(const __grid_constant__ dk_linear_arguments a) {
  constexpr int tiles = 4, stage_bytes = 8 * tiles * 512 + 16 * tiles * 256, depth = 3;
  static_assert(depth * stage_bytes == DK_CUDA_TILE_BYTES);
  let_next_start();
  await_previous();
  const Panels p = panels(a);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int first_panel = blockIdx.y * 8, first_group = blockIdx.x * 16, groups = (a.rows + 7) / 8;
  const int together = packed_groups(a.rows), stages = (p.tiles + tiles - 1) / tiles;
  auto ask = [&](int stage) {
    if (stage < stages) {
      u8 *to = shared + stage % depth * stage_bytes;
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // a panel's 2048 bytes are 128 pieces of 16
        const int piece = i * DK_CUDA_TILE_THREADS + threadIdx.x, panel = first_panel + piece / 128;
        const u64 offset = u64(stage) * tiles * 512 + piece % 128 * 16;
        const bool inside = panel < p.count && offset < p.bytes;
        copy_async(shared_address(to + piece * 16), p.weight + (inside ? panel * p.bytes + offset : 0), inside ? 16 : 0);
      }
      to += 8 * tiles * 512;
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // 16 inputs of 16 groups are 256
        const int piece = i * DK_CUDA_TILE_THREADS + threadIdx.x, tile = stage * tiles + i, group = first_group + piece % 256 / 16;
        const u64 place = (u64(group / 32) * p.tiles + tile) * together + group % 32;
        const bool inside = group < groups && tile < p.tiles;
        copy_async(shared_address(to + piece * 16), at<u8>(a.packed) + (inside ? place * 256 + piece % 16 * 16 : 0), inside ? 16 : 0);
      }
    }
    commit_copies();
  };
  float acc[2][8][4] = {};
  const int m = warp % 4 * 2, n = warp / 4 * 8;  // first of the warp's panels and groups
#pragma unroll
  for (int i = 0; i < depth - 1; ++i) ask(i);
  for (int stage = 0; stage < stages; ++stage) {
    await_copies<depth - 2>();
    __syncthreads();
    ask(stage + depth - 1);  // where the stage before lay, which all have read
    const u8 *w = shared + stage % depth * stage_bytes, *x = w + 8 * tiles * 512;
#pragma unroll
    for (int j = 0; j < tiles; ++j) {
      uint2 low[2], high[2];
#pragma unroll
      for (int q = 0; q < 2; ++q) {
        const u8 *from = w + ((m + q) * tiles + j) * 512 + t * 64 + g * 8;
        low[q] = *reinterpret_cast<const uint2 *>(from), high[q] = *reinterpret_cast<const uint2 *>(from + 256);
      }
#pragma unroll
      for (int b = 0; b < 8; ++b) {
        const uint2 v = *reinterpret_cast<const uint2 *>(x + (j * 16 + n + b) * 256 + packed_lane(lane));
#pragma unroll
        for (int q = 0; q < 2; ++q) multiply(acc[q][b], low[q].x, low[q].y, high[q].x, high[q].y, v.x, v.y);
      }
    }
  }
#pragma unroll
  for (int q = 0; q < 2; ++q)
#pragma unroll
    for (int b = 0; b < 8; ++b)
      if (first_panel + m + q < p.count) store_outputs(a, first_panel + m + q, (first_group + n + b) * 8, acc[q][b], lane);
}
