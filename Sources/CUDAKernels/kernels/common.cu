// Shared by all kernels. Compiled at run time with DK_HEAD defined, and without fused multiply-adds but where `fmaf` stands:
// what is computed must not depend on what else a compiler found to combine.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DK_HEAD_PADDED ((DK_HEAD + 15) / 16 * 16)
#define KERNEL extern "C" __global__ void
#define INLINE __device__ __forceinline__
#define DK_INFINITY __int_as_float(0x7f800000)

extern __shared__ __align__(128) u8 shared[];

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
INLINE u64 packed_index(int row, int k, int width) {
  return (u64(row / 8) * ((width + 15) / 16) + k / 16) * 128 + row % 8 * 16 + place(k % 16);
}
// Zeros beyond a row's end, up to its last 16.
INLINE void finish_packed(u16 *packed, int row, int width) {
  int k = width + threadIdx.x;
  if (k < (width + 15) / 16 * 16) packed[packed_index(row, k, width)] = 0;
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
