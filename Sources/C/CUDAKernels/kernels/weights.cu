// Making new weights and their digests while steps run. Steps come first, but a block that runs is not taken away, so that the host launches little
// work at a time, with few blocks a multiprocessor.

// ---- Rows of weights ------------------------------------------------------------------------------------------------

// To bfloat16 with the processor's bits: to nearest even, a NaN keeps its upper half and becomes quiet.
INLINE u32 rounded_bits(float x) {
  const u32 bits = __float_as_uint(x);
  return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
INLINE float wide_half(u16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
  return y;
}

// Place of an element of 16 bits among the panels of a weight.
INLINE u64 panel_index(int row, int column, int columns) { return (u64(row / 16) * ((columns + 1) / 2) + column / 2) * 32 + row % 16 * 2 + column % 2; }

INLINE float load_number(const dk_make_arguments &a, int row, int column) {
  const u64 i = a.has_source_panels ? panel_index(row, column, a.columns) : u64(row) * a.columns + column;
  if (a.type == DK_CUDA_F32) return at<float>(a.source)[i];
  const u16 bits = at<u16>(a.source)[i];
  return a.type == DK_CUDA_BF16 ? wide(bits) : wide_half(bits);
}
INLINE void split(u32 both, float &low, float &high) { low = __uint_as_float(both << 16), high = __uint_as_float(both & 0xffff0000u); }

constexpr int PANEL = 16;
// Of a change's rank, that are in shared memory at once: a thread's number of a block each.
constexpr int RANKS = DK_CUDA_MAKE_THREADS / PANEL;

// The numbers of two neighbouring columns, in all rows of a panel that are made.
INLINE void load_pair(const dk_make_arguments &a, int first, int from, int to, int pair, float (&x)[PANEL][2]) {
  const int column = 2 * pair, row = a.source_row + first - a.first_row;  // of the source, that makes the panel's first
  const bool is_whole = from == 0 && to == PANEL, is_even = a.columns % 2 == 0 && a.source % (a.type == DK_CUDA_F32 ? 8 : 4) == 0;
  if (a.has_source_panels && is_whole && row % PANEL == 0) {
    const uint4 *source = at<uint4>(a.source) + panel_index(row, column, a.columns) / 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint4 four = source[i];
      split(four.x, x[4 * i][0], x[4 * i][1]), split(four.y, x[4 * i + 1][0], x[4 * i + 1][1]);
      split(four.z, x[4 * i + 2][0], x[4 * i + 2][1]), split(four.w, x[4 * i + 3][0], x[4 * i + 3][1]);
    }
    return;
  }
#pragma unroll
  for (int r = 0; r < PANEL; ++r) {
    x[r][0] = x[r][1] = 0.0f;
    if (r < from || r >= to) continue;
    if (a.has_source_panels) {
      split(at<u32>(a.source)[panel_index(row + r, column, a.columns) / 2], x[r][0], x[r][1]);
    } else if (a.type == DK_CUDA_BF16 && is_even) {
      split(at<u32>(a.source)[(u64(row + r) * a.columns + column) / 2], x[r][0], x[r][1]);
    } else if (a.type == DK_CUDA_F32 && is_even) {
      const float2 both = at<float2>(a.source)[(u64(row + r) * a.columns + column) / 2];
      x[r][0] = both.x, x[r][1] = both.y;
    } else {
      x[r][0] = load_number(a, row + r, column);
      if (column + 1 < a.columns) x[r][1] = load_number(a, row + r, column + 1);
    }
  }
}

// Every thread has two columns of a panel's 16 rows: neighbours read and write what lies together, of rows and of panels.
KERNEL __launch_bounds__(DK_CUDA_MAKE_THREADS, 2) dk_make(const __grid_constant__ dk_make_arguments a) {
  __shared__ __align__(16) float up[RANKS][PANEL];
  await_previous();
  const int pairs = (a.columns + 1) / 2, last = a.first_row + a.rows, end = last + a.zero_rows;
  const int first_panel = a.first_row / PANEL, panels = (end + PANEL - 1) / PANEL - first_panel;
  const int strips = (pairs + DK_CUDA_MAKE_THREADS - 1) / DK_CUDA_MAKE_THREADS;
  const bool keeps = a.type == DK_CUDA_BF16 && !a.change_count && !a.adds_offset && !a.adds_constant;
  u32 bad = 0;
  for (u64 work = blockIdx.x; work < u64(panels) * strips; work += gridDim.x) {
    const int first = (first_panel + int(work / strips)) * PANEL, pair = int(work % strips) * DK_CUDA_MAKE_THREADS + threadIdx.x;
    // Of the panel's rows, those that are made, and those that are written.
    const int from = max(a.first_row - first, 0), to = min(last - first, PANEL), written = min(end - first, PANEL);
    const int mine = min(pair, pairs - 1), column = 2 * mine;
    float x[PANEL][2];
    load_pair(a, first, from, to, mine, x);
#pragma unroll
    for (int r = 0; r < PANEL; ++r)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if (a.rounds) x[r][j] = __uint_as_float(rounded_bits(x[r][j]) << 16);
        if (a.adds_offset) x[r][j] = __fadd_rn(x[r][j], a.offset);
      }
    for (int c = 0; c < a.change_count; ++c) {
      const dk_low_rank &change = a.changes[c];
      float sum[PANEL][2] = {};
      for (int start = 0; start < change.rank; start += RANKS) {
        const int ranks = min(RANKS, change.rank - start);
        __syncthreads();
        {
          const int k = threadIdx.x % RANKS, r = threadIdx.x / RANKS;
          if (k < ranks) up[k][r] = r >= from && r < to ? at<float>(change.up)[u64(first + r - a.first_row) * change.rank + start + k] : 0.0f;
        }
        __syncthreads();
        const float *down = at<float>(change.down) + u64(start) * a.columns + column;
#pragma unroll 4
        for (int k = 0; k < ranks; ++k) {
          float2 y;
          if (a.columns % 2 == 0) y = *reinterpret_cast<const float2 *>(down + u64(k) * a.columns);
          else y.x = down[u64(k) * a.columns], y.y = column + 1 < a.columns ? down[u64(k) * a.columns + 1] : 0.0f;
#pragma unroll
          for (int r = 0; r < PANEL; r += 4) {
            const float4 factor = *reinterpret_cast<const float4 *>(&up[k][r]);
            sum[r][0] = __fadd_rn(sum[r][0], __fmul_rn(factor.x, y.x)), sum[r][1] = __fadd_rn(sum[r][1], __fmul_rn(factor.x, y.y));
            sum[r + 1][0] = __fadd_rn(sum[r + 1][0], __fmul_rn(factor.y, y.x)), sum[r + 1][1] = __fadd_rn(sum[r + 1][1], __fmul_rn(factor.y, y.y));
            sum[r + 2][0] = __fadd_rn(sum[r + 2][0], __fmul_rn(factor.z, y.x)), sum[r + 2][1] = __fadd_rn(sum[r + 2][1], __fmul_rn(factor.z, y.y));
            sum[r + 3][0] = __fadd_rn(sum[r + 3][0], __fmul_rn(factor.w, y.x)), sum[r + 3][1] = __fadd_rn(sum[r + 3][1], __fmul_rn(factor.w, y.y));
          }
        }
      }
#pragma unroll
      for (int r = 0; r < PANEL; ++r)
#pragma unroll
        for (int j = 0; j < 2; ++j) x[r][j] = __fadd_rn(x[r][j], __fmul_rn(change.scale, sum[r][j]));
    }
    if (pair >= pairs) continue;
    u32 made[PANEL];
#pragma unroll
    for (int r = 0; r < PANEL; ++r) {
      u32 bits[2];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if (a.adds_constant) x[r][j] = __fadd_rn(x[r][j], a.constant);
        bits[j] = keeps ? __float_as_uint(x[r][j]) >> 16 : rounded_bits(x[r][j]);
        if (r < from || r >= to || column + j >= a.columns) bits[j] = 0;  // fills up a panel, or an odd row
        bad += (bits[j] & 0x7f80) == 0x7f80;
      }
      made[r] = bits[0] | bits[1] << 16;
    }
    if (a.has_panels && from == 0 && written == PANEL) {
      uint4 *output = at<uint4>(a.output) + panel_index(first, column, a.columns) / 8;
#pragma unroll
      for (int i = 0; i < 4; ++i) output[i] = make_uint4(made[4 * i], made[4 * i + 1], made[4 * i + 2], made[4 * i + 3]);
      continue;
    }
#pragma unroll
    for (int r = 0; r < PANEL; ++r) {
      if (r < from || r >= written) continue;
      if (a.has_panels) {
        at<u32>(a.output)[panel_index(first + r, column, a.columns) / 2] = made[r];
      } else {
        u16 *output = at<u16>(a.output) + u64(first + r) * a.columns + column;
        if (a.columns % 2 == 0 && a.output % 4 == 0) {
          *reinterpret_cast<u32 *>(output) = made[r];
        } else {
          output[0] = u16(made[r]);
          if (column + 1 < a.columns) output[1] = u16(made[r] >> 16);
        }
      }
    }
  }
  if (bad) atomicAdd(at<u32>(a.bad), bad);
}

// ---- Digests --------------------------------------------------------------------------------------------------------

INLINE u32 turned(u32 x, int n) { return __funnelshift_r(x, x, n); }
INLINE u32 swapped(u32 x) { return __byte_perm(x, 0, 0x0123); }

// Section 6.2.2 of FIPS 180-4.
INLINE void compress(u32 (&h)[8], u32 (&w)[16]) {
  constexpr u32 k[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
      0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
      0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
      0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
      0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
      0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];
#pragma unroll
  for (int r = 0; r < 64; ++r) {
    if (r >= 16) {
      const u32 x = w[(r + 1) % 16], y = w[(r + 14) % 16];
      w[r % 16] += (turned(x, 7) ^ turned(x, 18) ^ x >> 3) + w[(r + 9) % 16] + (turned(y, 17) ^ turned(y, 19) ^ y >> 10);
    }
    const u32 t1 = i + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + (k[r] + w[r % 16]);
    const u32 t2 = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    i = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += i;
}

// Takes blocks of a leaf from `first` on, and its end where that comes before block `end`.
INLINE void hash_leaf(const u8 *bytes, u32 count, u32 first, u32 end, u32 *digest) {
  const u32 blocks = count / 64;
  if (first > blocks) return;  // done
  u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}, w[16];
  if (first)
#pragma unroll
    for (int i = 0; i < 8; ++i) h[i] = digest[i];
  const uint4 *from = reinterpret_cast<const uint4 *>(bytes);
  const u32 last = min(end, blocks);
  uint4 next[4];
  if (first < last)
#pragma unroll
    for (int i = 0; i < 4; ++i) next[i] = from[first * 4 + i];
#pragma unroll 1
  for (u32 block = first; block < last; ++block) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      w[4 * i] = swapped(next[i].x), w[4 * i + 1] = swapped(next[i].y), w[4 * i + 2] = swapped(next[i].z), w[4 * i + 3] = swapped(next[i].w);
    // The next block is on its way while this one is worked on.
    if (block + 1 < last)
#pragma unroll
      for (int i = 0; i < 4; ++i) next[i] = from[(block + 1) * 4 + i];
    compress(h, w);
  }
  const bool ends = blocks < end || end >= DK_CUDA_LEAF_BLOCKS;
  if (ends) {
    // What is left, a bit, zeros, and how many bits there were: one block or two.
    const u32 left = count % 64, parts = left < 56 ? 1 : 2;
#pragma unroll 1
    for (u32 part = 0; part < parts; ++part) {
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        w[i] = 0;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const u32 place = part * 64 + 4 * i + j;
          const u32 byte = place < left ? bytes[blocks * 64 + place] : place == left ? 0x80u : 0u;
          w[i] |= byte << (24 - 8 * j);
        }
      }
      if (part + 1 == parts) w[15] = count * 8;
      compress(h, w);
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) digest[i] = ends ? swapped(h[i]) : h[i];
}

KERNEL __launch_bounds__(DK_CUDA_DIGEST_THREADS) dk_digest(const __grid_constant__ dk_digest_arguments a) {
  await_previous();
  const dk_digest_run *runs = at<dk_digest_run>(a.runs);
  for (u64 leaf = blockIdx.x * u64(DK_CUDA_DIGEST_THREADS) + threadIdx.x; leaf < a.leaf_count; leaf += u64(gridDim.x) * DK_CUDA_DIGEST_THREADS) {
    int low = 0, high = a.run_count - 1;  // the last run that begins at or before the leaf
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (runs[middle].first_leaf <= leaf) low = middle;
      else high = middle - 1;
    }
    const u64 start = (leaf - runs[low].first_leaf) * DK_CUDA_LEAF_BYTES, left = runs[low].count - start;
    hash_leaf(at<u8>(runs[low].bytes) + start, left < DK_CUDA_LEAF_BYTES ? u32(left) : DK_CUDA_LEAF_BYTES, a.first_block,
              a.first_block + a.block_count, at<u32>(a.leaves) + leaf * 8);
  }
}
