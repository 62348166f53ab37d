// Products on compute capability 9.0, of many rows and of some, with the bits of the kernels in linear.cu: weights are operand A, in registers;
// the input is operand B, in shared memory as it lies in a packed value; sums stay in registers and run over the inputs in order.
//
// Two blocks, each of WGS warp groups of 64 outputs, share a tile of R rows: each copies half of every stage of them to both.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// d += a . b, 64 outputs by R rows, 16 inputs. Lane (g, t) of warp w has of d[4 b + c]: output row 16 w + g + (c / 2) * 8, column
// 8 b + 2 t + c % 2; of a the rows g, g + 8 of inputs 2t, 2t + 1, then the rows of inputs 2t + 8, 2t + 9.
#define DK_4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define DK_16(d, i) DK_4(d, i), DK_4(d, i + 4), DK_4(d, i + 8), DK_4(d, i + 12)
#define DK_32(d, i) DK_16(d, i), DK_16(d, i + 16)
INLINE void multiply_group(float (&d)[4], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3}, "
      "{%4,%5,%6,%7}, %8, p, 1, 1, 0;\n}"
      : DK_4(d, 0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void multiply_group(float (&d)[8], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7}, "
      "{%8,%9,%10,%11}, %12, p, 1, 1, 0;\n}"
      : DK_4(d, 0), DK_4(d, 4)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void multiply_group(float (&d)[16], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, "
      "{%16,%17,%18,%19}, %20, p, 1, 1, 0;\n}"
      : DK_16(d, 0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void multiply_group(float (&d)[32], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,"
      "%31}, "
      "{%32,%33,%34,%35}, %36, p, 1, 1, 0;\n}"
      : DK_32(d, 0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void multiply_group(float (&d)[64], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,"
      "%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63}, "
      "{%64,%65,%66,%67}, %68, p, 1, 1, 0;\n}"
      : DK_32(d, 0), DK_32(d, 32)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void multiply_group(float (&d)[128], const u32 (&a)[4], u64 b) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, 1, 0;\n wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,"
      "%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"
      "%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,"
      "%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,"
      "%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, "
      "{%128,%129,%130,%131}, %132, p, 1, 1, 0;\n}"
      : DK_32(d, 0), DK_32(d, 32), DK_32(d, 64), DK_32(d, 96)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
INLINE void begin_group() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
INLINE void end_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> INLINE void await_groups() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
// Groups of 8 rows one after the other, 256 bytes each, rows of 32 bytes with the swizzle of 32 bytes: the lower half of what says so, to
// which sixteenths of an offset may be added.
INLINE u32 describe_rows(u32 address) { return (address & 0x3ffff) >> 4 | 1 << 16; }
INLINE u64 described(u32 lower) { return u64(lower) | (16ull << 32) | (3ull << 62); }

INLINE void meet_cluster() { asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory"); }
INLINE void arrive_at(u32 barrier, u32 block) {
  asm volatile(
      "{\n .reg .b32 r;\n mapa.shared::cluster.u32 r, %0, %1;\n mbarrier.arrive.shared::cluster.b64 _, [r];\n}" ::"r"(barrier), "r"(block)
      : "memory");
}
INLINE u32 block_in_cluster() {
  u32 rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// Whether a wait would end at once.
INLINE bool has_come(u32 barrier, u32 parity) {
  u32 is_complete;
  asm volatile(
      "{\n .reg .pred p;\n mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
      : "=r"(is_complete) : "r"(barrier), "r"(parity) : "memory");
  return is_complete;
}
// To both blocks of a pair, and counted by the barrier of each.
INLINE void copy_to_both(u32 to, const void *from, u32 bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from), "r"(bytes), "r"(barrier), "h"((u16)3)
      : "memory");
}

// A block has `own` panels at a time, at most 4 WGS. Stages are S times 64 inputs, of which there is a whole number.
//
// GATED: half of them are of the first half of the outputs, half the same ones of the second; a warp has 8 outputs of both, so that
// a lane has what the activation needs.
template <int WGS, int R, int S, bool GATED, class Finish>
INLINE void linear_wide(const dk_linear_wide_arguments &a, Finish finish) {
  constexpr int tiles = 4, tile_bytes = R * 32, panel_bytes = S * tiles * 512;
  const Panels p = panels(a.linear);
  const int own = a.own, count = GATED ? p.count / 2 : p.count, stages = a.linear.stages, rows = a.linear.rows;
  const int together = packed_groups(rows), groups = (rows + 7) / 8;
  const bool is_run = together == R / 8;  // of memory, all rows of a stage
  // The second half's panels lie 32 bytes further, so that a warp's loads of both meet no bank twice.
  const u32 weight_bytes = (GATED ? 2 : 1) * own * panel_bytes + (GATED ? 1024 : 0), stage_bytes = weight_bytes + S * tiles * tile_bytes;
  // A stage's weights are there; its rows are; it has been used.
  u32 full = shared_address(shared);
  asm volatile("" : "+r"(full));  // or else it, and what is made of it, would be made again at every stage, which takes longer than the products
  const u32 given = full + 128, empty = full + 256, ring = full + 1024;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, rank = block_in_cluster();
  if (threadIdx.x == 0) {
    for (int i = 0; i < stages; ++i) make_barrier(full + 8 * i, 3), make_barrier(given + 8 * i, 1), make_barrier(empty + 8 * i, WGS * 4 * 2);
    publish_barriers();
  }
  __syncwarp();
  meet_cluster();
  let_next_start();
  const int steps = p.tiles / (S * tiles);
  const int row_tiles = (rows + R - 1) / R, units = (count + 2 * own - 1) / (2 * own) * row_tiles;
  int slot = 0;
  u32 parity = 0;
  auto advance = [&] {
    if (++slot == stages) slot = 0, parity ^= 1;
  };
  if (warp >= WGS * 4) {
    if (R == 256) asm volatile("setmaxnreg.dec.sync.aligned.u32 56;");
    // Three warps copy weights, a lane a panel, for each copy takes its time to be asked for. All of them arrive at every stage, whether they have
    // a copy of it or not, and their lanes go together: one that fell behind by a round of the ring would wait for a parity that has come and
    // gone. The fourth copies rows, which a stage is not used without, so that neither falls behind the other.
    //
    // Stages that nothing lies in yet are not waited for: a wait for the phase before the first would succeed, but only until that one ends.
    const int part = warp % 4;
    int unused = stages;
    if (part == 3) {
      const bool copies = lane < (is_run ? 1 : 2 * S);
      const int first_tile = rank * 2 * S + (is_run ? 0 : lane);
      await_previous();
      order_before_reads();
      for (int unit = blockIdx.x / 2; unit < units; unit += gridDim.x / 2) {
        const int group = unit % row_tiles * (R / 8), present = is_run ? R / 8 : min(R / 8, groups - group);
        const u8 *from = at<u8>(a.linear.packed) + ((u64(group / 32) * p.tiles + first_tile) * together + group % 32) * 256;
        const u32 bytes = is_run ? 2 * S * tile_bytes : present * 256;
        for (int i = 0; i < steps; ++i) {
          if (unused > 0) --unused;
          else await_barrier(empty + 8 * slot, parity ^ 1);
          __syncwarp();
          if (lane == 0) expect_bytes(given + 8 * slot, present * 256 * S * tiles);
          if (copies) copy_to_both(ring + slot * stage_bytes + weight_bytes + first_tile * tile_bytes, from, bytes, given + 8 * slot);
          from += u64(S) * tiles * together * 256;
          advance();
        }
      }
    } else {
      const int all = GATED ? 2 * own : own, which = lane * 3 + part, half = GATED && which >= own;
      const u32 place = which * panel_bytes + half * 32;
      // Weights are no one's output: they are asked for before the kernel before has ended, few at a time, which delay what it asks for.
      int limit = a.linear.early, under_way = 0, landing = 0;  // stages
      u32 landing_parity = 0;
      for (int unit = blockIdx.x / 2; unit < units; unit += gridDim.x / 2) {
        const int panel = (unit / row_tiles * 2 + rank) * own, there = max(0, min(own, count - panel));
        const bool copies = which < all && which - half * own < there;
        const u32 bytes = (GATED ? 2 : 1) * there * 512 * S * tiles;
        const u8 *from = p.weight + (u64(half) * count + panel + which - half * own) * p.bytes;
        for (int i = 0; i < steps; ++i) {
          if (unused > 0) {
            --unused;
            if (has_come(given, 0)) limit = a.window;
          } else {
            await_barrier(empty + 8 * slot, parity ^ 1);
            limit = a.window;
          }
          while (under_way >= limit) {
            await_barrier(full + 8 * landing, landing_parity);
            if (++landing == stages) landing = 0, landing_parity ^= 1;
            --under_way;
          }
          __syncwarp();
          const u32 barrier = full + 8 * slot;
          if (lane == 0) {
            if (part == 0) expect_bytes(barrier, bytes);
            else arrive(barrier);
          }
          if (copies) copy_plain(ring + slot * stage_bytes + place, from, panel_bytes, barrier);
          from += panel_bytes;
          ++under_way;
          advance();
        }
      }
    }
  } else {
    if (R == 256) asm volatile("setmaxnreg.inc.sync.aligned.u32 224;");
    await_previous();
    const int g = lane / 4, t = lane % 4, mine = GATED ? warp / 2 : warp;
    const bool has = mine < own;  // or else the warp multiplies what is not kept
    // Row g and row g + 8: outputs 2g and 2g + 1 of a panel, or output g of 8 in both halves. The element pairs that stand at places
    // t and t + 4 are t / 2 (+ 4 for odd t), and the one 2 later.
    const u32 one = (has ? mine * panel_bytes : 0) + (t / 2 + t % 2 * 4) * 64 + (GATED ? (warp % 2 * 8 + g) * 4 : g * 8);
    const u32 other = GATED ? one + own * panel_bytes + 32 : one + 4;
    const bool swaps = t % 2;  // lanes of one pair's parity would meet in the same banks
    u32 sooner = ring + (swaps ? other : one), later = ring + (swaps ? one : other), input = describe_rows(ring + weight_bytes);
    asm volatile("" : "+r"(sooner), "+r"(later), "+r"(input));
    u32 offset = 0;  // of the stage in the ring
    auto release = [&](int which) {
      __syncwarp();
      if (lane < 2) arrive_at(empty + 8 * which, lane);
    };
    constexpr int together_steps = S == 1 ? 2 : 1;  // so that of two sets of operands each has its registers
    bool is_there = false;                          // the stage, as far as is known
    for (int unit = blockIdx.x / 2; unit < units; unit += gridDim.x / 2) {
      const int panel = (unit / row_tiles * 2 + rank) * own + mine, row = unit % row_tiles * R;
      float acc[R / 2];
#pragma unroll
      for (int i = 0; i < R / 2; ++i) acc[i] = 0.0f;
      u32 w[2][4][4];
      int previous = -1;
      for (int i = 0; i < steps; i += together_steps) {
#pragma unroll
        for (int h = 0; h < together_steps; ++h) {
          if (i + h < steps) {
            if (!is_there) {
              await_barrier(full + 8 * slot, parity);
              await_barrier(given + 8 * slot, parity);
            }
            __syncwarp();  // what follows is for whole warps
            const u32 x_from = sooner + offset, y_from = later + offset, rows_from = input + (offset >> 4);
            const int now = slot;
            advance();
            offset = slot == 0 ? 0 : offset + stage_bytes;
#pragma unroll
            for (int s = 0; s < S; ++s) {
              const int set = (h + s) % 2;
#pragma unroll
              for (int j = 0; j < tiles; ++j)
#pragma unroll
                for (int q = 0; q < 2; ++q) {
                  u32 x, y;
                  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(x) : "r"(x_from + (s * tiles + j) * 512 + q * 128));
                  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(y) : "r"(y_from + (s * tiles + j) * 512 + q * 128));
                  w[set][j][2 * q] = swaps ? y : x, w[set][j][2 * q + 1] = swaps ? x : y;
                }
#pragma unroll
              for (int j = 0; j < tiles; ++j)  // made here: nothing may be, between the products of a group
                asm volatile("" : "+r"(w[set][j][0]), "+r"(w[set][j][1]), "+r"(w[set][j][2]), "+r"(w[set][j][3]));
              begin_group();
#pragma unroll
              for (int j = 0; j < tiles; ++j) multiply_group(acc, w[set][j], described(rows_from + (s * tiles + j) * (tile_bytes / 16)));
              end_group();
              // Asked while the products go on.
              if (s == S - 1) is_there = has_come(full + 8 * slot, parity) & has_come(given + 8 * slot, parity);
              await_groups<1>();
              if (s == 0 && previous >= 0) release(previous);
            }
            previous = now;
          }
        }
      }
      await_groups<0>();
      release(previous);
      if (has && panel < count) finish(acc, panel, warp % 2 * 8 + g, row, g, t);
    }
  }
  __syncwarp();
  meet_cluster();  // a block that has ended cannot be copied to
}

template <int R>
INLINE void store_wide(const dk_linear_arguments &a, float (&acc)[R / 2], int panel, int row, int g, int t) {
  const int n = panel * 16 + 2 * g, left = a.rows - row - 2 * t;
  const bool has_second = n + 1 < a.outputs;
  if (n >= a.outputs) return;
  if (a.bias) {
    const float x = wide(at<u16>(a.bias)[n]), y = has_second ? wide(at<u16>(a.bias)[n + 1]) : 0.0f;
#pragma unroll
    for (int i = 0; i < R / 2; ++i) acc[i] += i % 4 < 2 ? x : y;
  }
  float *output = at<float>(a.output) + u64(row + 2 * t) * a.outputs + n;
  if (a.outputs % 2 == 0) {
#pragma unroll
    for (int b = 0; b < R / 8; ++b) {
      if (b * 8 < left) *reinterpret_cast<float2 *>(output) = make_float2(acc[4 * b], acc[4 * b + 2]);
      if (b * 8 + 1 < left) *reinterpret_cast<float2 *>(output + a.outputs) = make_float2(acc[4 * b + 1], acc[4 * b + 3]);
      output += 8 * u64(a.outputs);
    }
    return;
  }
#pragma unroll
  for (int b = 0; b < R / 8; ++b) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (b * 8 + i >= left) continue;
      output[i * a.outputs] = acc[4 * b + i];
      if (has_second) output[i * a.outputs + 1] = acc[4 * b + 2 + i];
    }
    output += 8 * u64(a.outputs);
  }
}

// Not in line: of 64 copies of what has more than a few instructions most would come from beyond the cache for them.
static __device__ __noinline__ float2 activate_two(int kind, float x, float y) { return make_float2(activate(kind, x), activate(kind, y)); }

// As `store_activated` of linear.cu. Lanes g and g ^ 1 exchange, so that each stores a pair of outputs of one row.
template <int R, bool IS_SILU>
INLINE void store_wide_activated(const dk_linear_wide_arguments &a, const float (&acc)[R / 2], int panel, int output, int row, int g, int t) {
  const int n = panel * 16 + output, width = a.linear.outputs / 2, groups = packed_groups(a.linear.rows);
  const u16 *bias = at<u16>(a.linear.bias);
  const float first = bias ? wide(bias[n]) : 0.0f, second = bias ? wide(bias[width + n]) : 0.0f;
  // Rows 8 b + 2 t + g % 2 of the tile, which lies within one block of the packed value.
  const int left = a.linear.rows - row - 2 * t - g % 2;
  u16 *to = at<u16>(a.activated) + packed_index(row + 2 * t + g % 2, n & ~1, width, groups);
#pragma unroll
  for (int b = 0; b < R / 8; ++b) {
    float factor[2], activated[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      factor[i] = bias ? acc[4 * b + i] + first : acc[4 * b + i];
      activated[i] = bias ? acc[4 * b + 2 + i] + second : acc[4 * b + 2 + i];
    }
    const float2 f = IS_SILU ? make_float2(silu(activated[0]), silu(activated[1])) : activate_two(a.activation, activated[0], activated[1]);
    const float x = f.x * factor[0], y = f.y * factor[1];
    const float got = __shfl_xor_sync(~0u, g % 2 ? x : y, 4);
    if (b * 8 < left) *reinterpret_cast<u32 *>(to + b * 128) = g % 2 ? pair(got, y) : pair(x, got);
  }
}

#define WIDE(WGS, R, S)                                                                                                  \
  KERNEL __cluster_dims__(2, 1, 1) __launch_bounds__(WGS * 128 + 128, 1)                                                        \
      dk_linear_wide_##WGS##_##R##_##S(const __grid_constant__ dk_linear_wide_arguments a) {                                    \
    linear_wide<WGS, R, S, false>(a, [&](float(&acc)[R / 2], int panel, int, int row, int g, int t) {                           \
      store_wide<R>(a.linear, acc, panel, row, g, t);                                                                           \
    });                                                                                                                         \
  }                                                                                                                             \
  KERNEL __cluster_dims__(2, 1, 1) __launch_bounds__(WGS * 128 + 128, 1)                                                        \
      dk_linear_wide_gated_##WGS##_##R##_##S(const __grid_constant__ dk_linear_wide_arguments a) {                              \
    linear_wide<WGS, R, S, true>(a, [&](const float(&acc)[R / 2], int panel, int output, int row, int g, int t) {               \
      if (a.activation == 0) store_wide_activated<R, true>(a, acc, panel, output, row, g, t);                                   \
      else store_wide_activated<R, false>(a, acc, panel, output, row, g, t);                                                    \
    });                                                                                                                         \
  }

// Each takes its time to compile, so several programs have some of them: WIDE(2, 256, 1) and the like.
DK_WIDE
#endif
