// Work that goes once over a row. A block a row, so a row's result is its own.

KERNEL dk_embed(const __grid_constant__ dk_embed_arguments a) {
  let_next_start();
  await_previous();
  const int row = blockIdx.x;
  const int id = at<int>(a.tokens)[row] - a.first_token;
  float *output = at<float>(a.output) + u64(row) * a.width;
  const bool has = id >= 0 && id < a.table_rows;
  const u16 *table = at<u16>(a.table);
  const u64 start = a.is_panel ? u64(id / 16) * ((a.width + 1) / 2 * 32) + id % 16 * 2 : u64(id) * a.width;
  for (int k = threadIdx.x; k < a.width; k += blockDim.x) {
    float value = 0.0f;
    if (has) value = wide(table[start + (a.is_panel ? k / 2 * 32 + k % 2 : k)]) * a.scale;
    output[k] = value;
  }
}

// V neighbouring elements at once. Rows of up to 2048 V elements are kept in registers: read once, all loads under way together.
template <int V>
INLINE void norm_row(const dk_norm_arguments &a) {
  constexpr int most = 8;
  struct alignas(4 * V) Floats { float x[V]; };
  struct alignas(2 * V) Halves { u16 x[V]; };
  __shared__ float sums[8];
  const int row = blockIdx.x, n = a.width, count = n / V, groups = packed_groups(gridDim.x);
  Floats *residual = at<Floats>(a.residual) + u64(row) * count;
  const Floats *delta = a.delta ? at<Floats>(a.delta) + u64(row) * count : nullptr;
  const Halves *weight = at<Halves>(a.weight);
  const bool fits = count <= 256 * most;
  Floats x[most], d[most];
  Halves w[most];
  if (fits) {
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * 256 + threadIdx.x < count) w[i] = weight[i * 256 + threadIdx.x];
  }
  await_previous();
  float sum = 0.0f;
  if (fits) {
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * 256 + threadIdx.x < count) x[i] = residual[i * 256 + threadIdx.x];
    if (delta) {
#pragma unroll
      for (int i = 0; i < most; ++i)
        if (i * 256 + threadIdx.x < count) d[i] = delta[i * 256 + threadIdx.x];
#pragma unroll
      for (int i = 0; i < most; ++i)
        if (i * 256 + threadIdx.x < count) {
#pragma unroll
          for (int v = 0; v < V; ++v) x[i].x[v] += d[i].x[v];
          residual[i * 256 + threadIdx.x] = x[i];
        }
    }
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * 256 + threadIdx.x < count) {
#pragma unroll
        for (int v = 0; v < V; ++v) sum = fmaf(x[i].x[v], x[i].x[v], sum);
      }
  } else {
    for (int i = threadIdx.x; i < count; i += 256) {
      Floats y = residual[i];
      if (delta) {
        const Floats z = delta[i];
#pragma unroll
        for (int v = 0; v < V; ++v) y.x[v] += z.x[v];
        residual[i] = y;
      }
#pragma unroll
      for (int v = 0; v < V; ++v) sum = fmaf(y.x[v], y.x[v], sum);
    }
  }
  sum = sum_of_warp(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += sums[i];
  const float scale = __frcp_rn(__fsqrt_rn(__fdiv_rn(sum, float(n)) + a.epsilon));
  auto store = [&](int index, const Floats &x, const Halves &w) {
    Floats y;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      y.x[v] = x.x[v] * scale * wide(w.x[v]);
      if (a.packed) at<u16>(a.packed)[packed_index(row, index * V + v, n, groups)] = narrow(y.x[v]);
    }
    if (a.output) at<Floats>(a.output)[u64(row) * count + index] = y;
  };
  if (fits) {
#pragma unroll
    for (int i = 0; i < most; ++i)
      if (i * 256 + threadIdx.x < count) store(i * 256 + threadIdx.x, x[i], w[i]);
  } else {
    for (int i = threadIdx.x; i < count; i += 256) store(i, residual[i], weight[i]);
  }
  if (a.packed) finish_packed(at<u16>(a.packed), row, n, groups);
}

KERNEL __launch_bounds__(256) dk_norm(const __grid_constant__ dk_norm_arguments a) {
  let_next_start();
  if (a.width % 4 == 0) norm_row<4>(a);
  else norm_row<1>(a);
}

KERNEL dk_pack(const __grid_constant__ dk_pack_arguments a) {
  let_next_start();
  await_previous();
  const int row = blockIdx.x, groups = packed_groups(gridDim.x);
  const float *input = at<float>(a.input) + u64(row) * a.width;
  for (int k = threadIdx.x; k < a.width; k += blockDim.x)
    at<u16>(a.packed)[packed_index(row, k, a.width, groups)] = narrow(input[k]);
  finish_packed(at<u16>(a.packed), row, a.width, groups);
}

KERNEL dk_gated(const __grid_constant__ dk_gated_arguments a) {
  let_next_start();
  await_previous();
  const int row = blockIdx.x, n = a.width, groups = packed_groups(gridDim.x);
  const float *factor = at<float>(a.input) + u64(row) * 2 * n, *activated = factor + n;
  for (int k = blockIdx.y * blockDim.x + threadIdx.x; k < n; k += blockDim.x * gridDim.y) {
    const float y = activate(a.activation, activated[k]) * factor[k];
    if (a.output) at<float>(a.output)[u64(row) * n + k] = y;
    if (a.packed) at<u16>(a.packed)[packed_index(row, k, n, groups)] = narrow(y);
  }
  if (a.packed && blockIdx.y == 0) finish_packed(at<u16>(a.packed), row, n, groups);
}

KERNEL dk_add(const __grid_constant__ dk_add_arguments a) {
  let_next_start();
  await_previous();
  for (u64 i = blockIdx.x * u64(blockDim.x) + threadIdx.x; i < a.count; i += u64(gridDim.x) * blockDim.x)
    at<float>(a.target)[i] += at<float>(a.value)[i];
}

KERNEL dk_select(const __grid_constant__ dk_select_arguments a) {
  let_next_start();
  await_previous();
  const float *input = at<float>(a.input) + u64(at<int>(a.rows)[blockIdx.x]) * a.width;
  float *output = at<float>(a.output) + u64(blockIdx.x) * a.width;
  for (int k = threadIdx.x; k < a.width; k += blockDim.x) output[k] = input[k];
}

KERNEL dk_choose(const __grid_constant__ dk_choose_arguments a) {
  __shared__ float largest[32];
  __shared__ int index[32], bad[32];
  let_next_start();
  await_previous();
  const float *logits = at<float>(a.logits) + u64(blockIdx.x) * a.stride;
  const int none = 0x7fffffff;
  float best = -DK_INFINITY;
  int where = none, wrong = none;
  auto see = [&](int i, float x) {
    if (x != x || x == DK_INFINITY) wrong = min(wrong, i);
    if (x > best || where == none) best = x, where = i;
  };
  // Four neighbours at once and many of them on the way, then what is left.
  const int fours = a.stride % 4 ? 0 : a.vocabulary / 4;
  for (int start = threadIdx.x; start < fours; start += 8 * 1024) {
    float4 x[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      if (start + j * 1024 < fours) x[j] = reinterpret_cast<const float4 *>(logits)[start + j * 1024];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const int i = 4 * (start + j * 1024);
      if (i < 4 * fours) see(i, x[j].x), see(i + 1, x[j].y), see(i + 2, x[j].z), see(i + 3, x[j].w);
    }
  }
  for (int i = 4 * fours + threadIdx.x; i < a.vocabulary; i += 1024) see(i, logits[i]);
  auto take = [&](float other, int at, int other_wrong) {
    if (at != none && (where == none || other > best || (other == best && at < where))) best = other, where = at;
    wrong = min(wrong, other_wrong);
  };
#pragma unroll
  for (int o = 16; o; o >>= 1)
    take(__shfl_xor_sync(~0u, best, o), __shfl_xor_sync(~0u, where, o), __shfl_xor_sync(~0u, wrong, o));
  if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = best, index[threadIdx.x / 32] = where, bad[threadIdx.x / 32] = wrong;
  __syncthreads();
  if (threadIdx.x) return;
  for (int i = 1; i < 32; ++i) take(largest[i], index[i], bad[i]);
  at<int>(a.chosen)[blockIdx.x] = wrong != none ? ~wrong : where;
}

KERNEL dk_read(const __grid_constant__ dk_read_arguments a) {
  await_previous();
  u32 sum = 0;
  for (u64 i = blockIdx.x * u64(blockDim.x) + threadIdx.x; i < a.count; i += u64(gridDim.x) * blockDim.x) {
    const uint4 word = at<uint4>(a.words)[i];
    sum ^= word.x ^ word.y ^ word.z ^ word.w;
  }
  if (sum == 0x12345678u) *at<u32>(a.result) = sum;  // so that reading cannot be left out
}
