// Shared by all kernels. Compiled at run time, in several programs (`KernelProgram`), without fused multiply-adds but where `fmaf` stands:
// what is computed must not depend on what else a compiler found to combine.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__ void
#define INLINE __device__ __forceinline__
#define DK_INFINITY __int_as_float(0x7f800000)

extern __shared__ __align__(1024) u8 shared[];

template <class T> INLINE T *at(dk_address address) { return reinterpret_cast<T *>(address); }

// The next kernel of the stream may start, as far as its blocks find room; it waits below for all of this one.
INLINE void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
// Every kernel, and every thread of it that goes on, comes here before it reads or writes what others write or read.
INLINE void await_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Not moved below a wait that comes after it, as an ordinary load may be.
INLINE float load_strong(const float *from) {
  float x;
  asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(x) : "l"(from) : "memory");
  return x;
}

INLINE float wide(u16 x) { return __uint_as_float(u32(x) << 16); }
// To nearest even; NaN stays NaN.
INLINE u32 pair(float low, float high) {
  u32 result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
INLINE u16 narrow(float x) { return u16(pair(x, 0.0f)); }

// acc += a . b, 16 by 8 outputs, 16 inputs. Lane (g, t) = (lane / 4, lane % 4) has rows g and g + 8, columns 2t and 2t + 1 of acc.
INLINE void multiply(float (&acc)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// Place of element k of 16 in a packed row.
INLINE int place(int k) {
  int p = k / 2;
  return (p < 4 ? 2 * p : 2 * (p - 4) + 1) * 2 + k % 2;
}
// Groups of 8 rows of a packed value that lie together, see `CUDAArguments.h`.
INLINE int packed_groups(int rows) {
  return rows <= 8 ? 1 : rows <= 16 ? 2 : rows <= 32 ? 4 : rows <= 64 ? 8 : rows <= 128 ? 16 : DK_CUDA_PACKED_ROWS / 8;
}
INLINE u64 packed_index(int row, int k, int width, int groups) {
  const u64 tile = u64(row / DK_CUDA_PACKED_ROWS) * ((width + 15) / 16) + k / 16;
  return (tile * groups + row % DK_CUDA_PACKED_ROWS / 8) * 128 + row % 8 * 16 + (place(k % 16) ^ (row & 4) * 2);
}
// A lane's 8 bytes of 8 rows by 16 elements: those of row lane / 4.
INLINE int packed_lane(int lane) { return lane * 8 ^ (lane & 16); }
// Zeros beyond a row's end, up to its last 16.
INLINE void finish_packed(u16 *packed, int row, int width, int groups) {
  int k = width + threadIdx.x;
  if (k < (width + 15) / 16 * 16) packed[packed_index(row, k, width, groups)] = 0;
}

INLINE float sum_of_warp(float x) {
#pragma unroll
  for (int o = 16; o; o >>= 1) x += __shfl_xor_sync(~0u, x, o);
  return x;
}

INLINE u32 shared_address(const void *p) { return u32(__cvta_generic_to_shared(p)); }
// 16 bytes to shared memory, in the background; the last 16 - count of them zeros.
INLINE void copy_async(u32 to, const void *from, int count = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(count) : "memory");
}
INLINE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> INLINE void await_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

INLINE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Within some units in the last place, which rounding to bfloat16 hides; division to the last bit would cost products of prompts a tenth.
INLINE float silu(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.0f + exp2_fast(x * -1.4426950409f)));
  return x * y;
}

INLINE float activate(int kind, float x) {
  switch (kind) {
    case 0: return silu(x);
    case 1: return 0.5f * x * (1.0f + erff(x * 0.7071067812f));
    case 2: {  // (1 + tanh u) / 2 = 1 / (1 + e^-2u)
      const float u = 0.7978845608f * fmaf(0.044715f * x * x, x, x);
      return __fdiv_rn(x, 1.0f + expf(-2.0f * u));
    }
    default: return x != x ? x : fmaxf(x, 0.0f);
  }
}

// Copies of whole runs that a barrier in shared memory counts: from compute capability 9.0 on.
#if __CUDA_ARCH__ >= 900
INLINE void make_barrier(u32 barrier, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory"); }
INLINE void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
INLINE void expect_bytes(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
INLINE void arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }
// Ends in an error rather than never, should a copy not come.
INLINE void await_barrier(u32 barrier, u32 parity) {
  u32 is_complete = 0;
  for (u32 tries = 0; !is_complete; ++tries) {
    asm volatile(
        "{\n .reg .pred p;\n mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
        : "=r"(is_complete) : "r"(barrier), "r"(parity) : "memory");
    if (tries > 4000000u) __trap();
  }
}
// Of what is read once.
INLINE u64 once_policy() {
  u64 once;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(once));
  return once;
}
// A multiple of 16 bytes, read once.
INLINE void copy_run(u32 to, const void *from, u32 bytes, u32 barrier, u64 once) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from), "r"(bytes), "r"(barrier), "l"(once)
      : "memory");
}
// The same of what others read, too.
INLINE void copy_plain(u32 to, const void *from, u32 bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}
// What others have written to memory, and this thread has waited for, stands before what a copy reads there.
INLINE void order_before_reads() { asm volatile("fence.proxy.async.global;" ::: "memory"); }
// What this thread has read of shared memory stands before what a copy puts there.
INLINE void order_before_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
#endif
