// Products of few rows, each with what stands behind it, the activation of its outputs or their sum with the residual; of one row also with
// the norm of its input in front. Bits are those of the separate kernels.
//
// A block a multiprocessor, which has neighbouring units: panels, or pairs of a panel of the first half of the outputs and the one of
// the second half. `own` of them at a time are a warp's each; a stage of the ring holds T tiles of all of them, and the input of several
// rows; that of one row lies beside the ring. One more warp asks for all that, for weights also while the others wait for the kernel
// before: few copies are on their way at any time, for what others ask of memory queues behind them.
#if __CUDA_ARCH__ >= 900

INLINE void meet_consumers() { asm volatile("bar.sync 1, %0;" ::"n"(DK_CUDA_ROW_WARPS * 32) : "memory"); }

// The input in shared memory, 32 bytes for 16, in the order of a packed row.
INLINE void load_row(const dk_linear_row_arguments &a, u8 *x) {
  const uint4 *from = at<uint4>(a.linear.packed);
  const int count = a.linear.inputs / 8;
  constexpr int ahead = 8, threads = DK_CUDA_ROW_WARPS * 32;
  for (int start = threadIdx.x; start < count; start += ahead * threads) {
    uint4 v[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i)
      if (start + i * threads < count) v[i] = from[(start + i * threads) / 2 * 16 + (start + i * threads) % 2];
#pragma unroll
    for (int i = 0; i < ahead; ++i)
      if (start + i * threads < count) reinterpret_cast<uint4 *>(x)[start + i * threads] = v[i];
  }
}
// The same of the norm of the residual: the arithmetic of dk_norm, by as many threads.
struct RowNorm {
  static constexpr int most = DK_CUDA_ROW_NORM_INPUTS / 1024, threads = DK_CUDA_ROW_WARPS * 32;
  static_assert(threads == 256);
  uint2 gain[most];

  // What no kernel writes; for certain before the wait behind it.
  INLINE void load_gain(const dk_linear_row_arguments &a) {
#pragma unroll
    for (int i = 0; i < most; ++i) {
      const int index = i * threads + threadIdx.x;
      gain[i] = make_uint2(0, 0);
      if (index < a.linear.inputs / 4)
        asm volatile("ld.relaxed.gpu.global.v2.b32 {%0,%1}, [%2];" : "=r"(gain[i].x), "=r"(gain[i].y) : "l"(at<uint2>(a.gain) + index) : "memory");
    }
  }
  INLINE void load(const dk_linear_row_arguments &a, u8 *x, float *sums) {
    const int count = a.linear.inputs / 4;
    float4 v[most];
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * threads + threadIdx.x < count) v[i] = at<float4>(a.residual)[i * threads + threadIdx.x];
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * threads + threadIdx.x < count) {
        sum = fmaf(v[i].x, v[i].x, sum), sum = fmaf(v[i].y, v[i].y, sum);
        sum = fmaf(v[i].z, v[i].z, sum), sum = fmaf(v[i].w, v[i].w, sum);
      }
    sum = sum_of_warp(sum);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    meet_consumers();
    sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += sums[i];
    const float scale = __frcp_rn(__fsqrt_rn(__fdiv_rn(sum, float(a.linear.inputs)) + a.epsilon));
#pragma unroll
    for (int i = 0; i < most; ++i) {
      const int index = i * threads + threadIdx.x, pair_index = index % 4 * 2;
      if (index >= count) continue;
      u32 *to = reinterpret_cast<u32 *>(x) + index / 4 * 8 + (pair_index < 4 ? 2 * pair_index : 2 * (pair_index - 4) + 1);
      to[0] = pair(v[i].x * scale * wide(u16(gain[i].x)), v[i].y * scale * wide(u16(gain[i].x >> 16)));
      to[2] = pair(v[i].z * scale * wide(u16(gain[i].y)), v[i].w * scale * wide(u16(gain[i].y >> 16)));
    }
  }
};

template <int T, int P, bool IS_ONE, class Finish>
INLINE void linear_row(const dk_linear_row_arguments &a, Finish finish) {
  constexpr int run_bytes = T * 512, row_bytes = IS_ONE ? 0 : T * 256;
  let_next_start();
  const Panels p = panels(a.linear);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, stages = a.linear.stages;
  const int units = p.count / P, first = int(u64(units) * blockIdx.x / gridDim.x), end = int(u64(units) * (blockIdx.x + 1) / gridDim.x);
  const int own = min(a.own, end - first), steps = (p.tiles + T - 1) / T;
  const u32 full = shared_address(shared), empty = full + 256, rows_full = full + 512, stage_bytes = P * a.own * run_bytes + row_bytes;
  volatile int *has_input = reinterpret_cast<volatile int *>(shared + 768);
  float *sums = reinterpret_cast<float *>(shared + 832);
  u8 *x = shared + 1024, *ring = x + (IS_ONE ? (a.linear.inputs * 2 + 127) / 128 * 128 : 0);
  if (threadIdx.x == 0) {
    for (int i = 0; i < stages; ++i) make_barrier(full + 8 * i, 1), make_barrier(empty + 8 * i, max(own, 1)), make_barrier(rows_full + 8 * i, 1);
    *has_input = 0;
    publish_barriers();
  }
  __syncthreads();
  if (warp == DK_CUDA_ROW_WARPS) {
    const u64 half = u64(p.count / 2) * p.bytes;
    const u64 once = once_policy();
    int slot = 0, landing = 0, under_way = 0, window = a.linear.early, asked = 0;
    u32 parity = 1, landing_parity = 0;
    // The rows' part of a stage; one lane asks for it.
    auto ask_rows = [&](int stage, int slot) {
      const int tile = stage % steps * T;
      const u32 bytes = min(T, p.tiles - tile) * 256;
      expect_bytes(rows_full + 8 * slot, bytes);
      copy_plain(shared_address(ring) + slot * stage_bytes + P * a.own * run_bytes, at<u8>(a.linear.packed) + u64(tile) * 256, bytes, rows_full + 8 * slot);
    };
    bool is_there = IS_ONE;
    for (int unit = first; unit < end; unit += own) {
      const int runs = P * min(own, end - unit);
      const u8 *from = p.weight + u64(unit + lane / P) * p.bytes + (P == 2 && lane % 2 ? half : 0);
      for (int i = 0; i < steps; ++i) {
        const u32 bytes = i + 1 < steps ? run_bytes : u32(p.bytes) - i * run_bytes;
        if (lane == 0) {
          if (!is_there && (asked == stages || *has_input)) {
            while (!*has_input) {}  // nobody empties the ring before
            await_previous();
            order_before_reads();
            for (int j = 0; j < asked; ++j) ask_rows(j, j);
            is_there = true;
          }
          await_barrier(empty + 8 * slot, parity);
          if (under_way >= window && *has_input) window = a.window;
          while (under_way >= window) {
            await_barrier(full + 8 * landing, landing_parity);
            if (++landing == stages) landing = 0, landing_parity ^= 1;
            --under_way;
          }
          ++under_way;
          expect_bytes(full + 8 * slot, runs * bytes);
          if (!IS_ONE && is_there) ask_rows(asked, slot);
          ++asked;
        }
        __syncwarp();
        if (lane < runs) copy_run(shared_address(ring) + slot * stage_bytes + lane * run_bytes, from, bytes, full + 8 * slot, once);
        from += run_bytes;
        if (++slot == stages) slot = 0, parity ^= 1;
      }
    }
    if (!is_there && lane == 0 && asked > 0) {  // the ring holds all that there is
      await_previous();
      order_before_reads();
      for (int j = 0; j < asked; ++j) ask_rows(j, j);
    }
    return;
  }
  RowNorm norm;
  if (IS_ONE && a.residual) norm.load_gain(a);
  await_previous();
  if (IS_ONE && a.residual) norm.load(a, x, sums);
  else if (IS_ONE) load_row(a, x);
  if (threadIdx.x == 0) *has_input = 1;
  if (IS_ONE) meet_consumers();
  if (warp >= own) return;
  const int g = lane / 4, t = lane % 4;
  int slot = 0;
  u32 parity = 0;
  for (int unit = first; unit < end; unit += own) {
    const bool has = unit + warp < end;
    float acc[P][4] = {};
    const auto kept = finish.prepare(unit + warp, has, g, t);
    for (int i = 0; i < steps; ++i) {
      await_barrier(full + 8 * slot, parity);
      if (!IS_ONE) await_barrier(rows_full + 8 * slot, parity);
      const u8 *w = ring + slot * stage_bytes + warp * P * run_bytes + t * 64 + g * 8;
      const u8 *input = IS_ONE ? x + i * T * 32 + t * 8 : ring + slot * stage_bytes + P * a.own * run_bytes + packed_lane(lane);
      auto link = [&](int j) {
        uint2 v = make_uint2(0, 0);
        if (!IS_ONE || g == 0) v = *reinterpret_cast<const uint2 *>(input + j * (IS_ONE ? 32 : 256));
#pragma unroll
        for (int q = 0; q < P; ++q) {
          const u8 *tile = w + q * run_bytes + j * 512;
          const uint2 low = *reinterpret_cast<const uint2 *>(tile), high = *reinterpret_cast<const uint2 *>(tile + 256);
          multiply(acc[q], low.x, low.y, high.x, high.y, v.x, v.y);
        }
      };
      if (has) {
        if ((i + 1) * T <= p.tiles) {
#pragma unroll
          for (int j = 0; j < T; ++j) link(j);
        } else {
          for (int j = 0; i * T + j < p.tiles; ++j) link(j);
        }
      }
      // An arrival does not wait for loads before it; this one needs what was made of them.
      const u32 zero = __float_as_uint(acc[0][0]) & u32(a.zero);
      __syncwarp();
      if (lane == 0) arrive(empty + 8 * slot + zero);
      if (++slot == stages) slot = 0, parity ^= 1;
    }
    if (has) finish(unit + warp, g, t, acc, kept);
  }
}

// Outputs 2g and 2g + 1 of a panel for rows 2t and 2t + 1, as they are or added to the residual.
struct RowSum {
  const dk_linear_row_arguments &a;
  struct Kept { float2 row[2]; };
  INLINE Kept prepare(int panel, bool has, int g, int t) const {
    Kept before = {};
    const int n = panel * 16 + 2 * g;
#pragma unroll
    for (int i = 0; i < 2; ++i)
      if (has && a.sum && 2 * t + i < a.linear.rows && n < a.linear.outputs)
        before.row[i] = *reinterpret_cast<const float2 *>(at<float>(a.sum) + u64(2 * t + i) * a.linear.outputs + n);
    return before;
  }
  INLINE void operator()(int panel, int g, int t, const float (&acc)[1][4], const Kept &before) const {
    const int n = panel * 16 + 2 * g;
    if (n >= a.linear.outputs) return;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (2 * t + i >= a.linear.rows) continue;
      float2 y = make_float2(acc[0][i], acc[0][2 + i]);
      if (a.linear.bias) y.x += wide(at<u16>(a.linear.bias)[n]), y.y += wide(at<u16>(a.linear.bias)[n + 1]);
      if (a.sum) y = make_float2(before.row[i].x + y.x, before.row[i].y + y.y);
      *reinterpret_cast<float2 *>(at<float>(a.sum ? a.sum : a.linear.output) + u64(2 * t + i) * a.linear.outputs + n) = y;
    }
  }
};
// The activation of a pair of panels.
struct RowActivation {
  const dk_linear_row_arguments &a;
  INLINE int prepare(int, bool, int, int) const { return 0; }
  INLINE void operator()(int unit, int g, int t, const float (&acc)[2][4], int) const {
    const int n = unit * 16 + 2 * g, width = a.linear.outputs / 2;
    const u16 *bias = at<u16>(a.linear.bias);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (2 * t + i >= a.linear.rows) continue;
      float y[2];
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float one = acc[0][2 * c + i], other = acc[1][2 * c + i];
        if (bias) one += wide(bias[n + c]), other += wide(bias[width + n + c]);
        y[c] = activate(a.activation, other) * one;
      }
      *reinterpret_cast<u32 *>(at<u16>(a.activated) + packed_index(2 * t + i, n, width, 1)) = pair(y[0], y[1]);
    }
  }
};

// Few registers, so that two blocks and one of attention fit a multiprocessor.
#define ROW_BOUNDS __launch_bounds__(DK_CUDA_ROW_WARPS * 32 + 32, 3)
KERNEL ROW_BOUNDS dk_linear_row_32(const __grid_constant__ dk_linear_row_arguments a) { linear_row<32, 1, true>(a, RowSum{a}); }
KERNEL ROW_BOUNDS dk_linear_row_gated_16(const __grid_constant__ dk_linear_row_arguments a) { linear_row<16, 2, true>(a, RowActivation{a}); }
KERNEL ROW_BOUNDS dk_linear_rows_32(const __grid_constant__ dk_linear_row_arguments a) { linear_row<32, 1, false>(a, RowSum{a}); }
KERNEL ROW_BOUNDS dk_linear_rows_gated_16(const __grid_constant__ dk_linear_row_arguments a) { linear_row<16, 2, false>(a, RowActivation{a}); }
#endif
