/* Vectors of DK_LANES floats, written once for every instruction set.
 *
 * An instruction-set file (portable.c, avx2.c, avx512.c) defines DK_LANES and DK_NAME(name), switches the
 * compiler to its target, and includes the kernel templates. Everything here is static and inlined, so each
 * file gets its own copy compiled for its own instructions. The types are Clang's vector types: the compiler
 * splits what the target cannot hold, and where one instruction matters it is named. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "scalar.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

/* Vectors of these widths never cross a call that is not inlined, so how a call would pass them is moot. */
#pragma clang diagnostic ignored "-Wpsabi"
#pragma clang diagnostic ignored "-Wunused-function"

typedef float vf __attribute__((ext_vector_type(DK_LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(DK_LANES)));
typedef int32_t vi __attribute__((ext_vector_type(DK_LANES)));
typedef uint16_t vh __attribute__((ext_vector_type(DK_LANES)));

enum { PANEL = 16, PARTS = PANEL / DK_LANES /* vectors in one row of a panel */ };

/* a * b + c, rounded once where the target can. Named, so that every tactic rounds alike. */
#if DK_HAS_FMA
INLINE vf fma_(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
#else
INLINE vf fma_(vf a, vf b, vf c) {
#pragma clang fp contract(off)
  return a * b + c;
}
#endif

INLINE vf splat(float s) { return (vf)s; }
INLINE vf as_f(vu u) { vf r; memcpy(&r, &u, sizeof r); return r; }
INLINE vu as_u(vf f) { vu r; memcpy(&r, &f, sizeof r); return r; }
INLINE vf load(const float *p) { vf r; memcpy(&r, p, sizeof r); return r; }
INLINE vu load_u(const void *p) { vu r; memcpy(&r, p, sizeof r); return r; }
INLINE vh load_h(const void *p) { vh r; memcpy(&r, p, sizeof r); return r; }
INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }

/* The first `n` lanes (n < DK_LANES), the rest `fill`. */
INLINE vf load_part(const float *p, int64_t n, float fill) {
  float t[DK_LANES];
  for (int i = 0; i < DK_LANES; i++) t[i] = i < n ? p[i] : fill;
  return load(t);
}
INLINE void store_part(float *p, vf v, int64_t n) {
  float t[DK_LANES];
  store(t, v);
  memcpy(p, t, (size_t)n * sizeof *p);
}

/* mask ? a : b, lane by lane; a mask lane is all ones or all zeros. */
INLINE vf choose(vi mask, vf a, vf b) {
  vu m;
  memcpy(&m, &mask, sizeof m);
  return as_f((as_u(a) & m) | (as_u(b) & ~m));
}
/* The larger; where `b` is NaN or neither is larger, `b`. */
INLINE vf max_(vf a, vf b) { return choose(a > b, a, b); }

/* Lanes swapped at a distance, for sums and maxima over all lanes: after the steps every lane holds the result. The
 * order is the same on every run, so a sum does not depend on the compiler. */
#if DK_LANES == 16
#define SWAP_8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define SWAP_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define SWAP_2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SWAP_1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif DK_LANES == 8
#define SWAP_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define SWAP_2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define SWAP_1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define SWAP_2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1)
#define SWAP_1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2)
#endif
INLINE float sum_lanes(vf v) {
#if DK_LANES == 16
  v += SWAP_8(v);
#endif
#if DK_LANES >= 8
  v += SWAP_4(v);
#endif
  v += SWAP_2(v);
  v += SWAP_1(v);
  return v[0];
}
/* NaN aside. */
INLINE float max_lanes(vf v) {
#if DK_LANES == 16
  v = max_(v, SWAP_8(v));
#endif
#if DK_LANES >= 8
  v = max_(v, SWAP_4(v));
#endif
  v = max_(v, SWAP_2(v));
  v = max_(v, SWAP_1(v));
  return v[0];
}

/* bfloat16 is the upper half of a float32: widening is a shift, and exact. */
INLINE vf widen_bf16(vh h) { return as_f(__builtin_convertvector(h, vu) << 16); }

/* float16 to float32, exact. Without an instruction: scale the bits up by 2^112; infinities and NaNs keep theirs. */
INLINE vf widen_f16(vh h) {
#if DK_LANES == 16 && DK_HAS_F16C
  __m256i t;
  memcpy(&t, &h, sizeof t);
  return (vf)_mm512_cvtph_ps(t);
#elif DK_LANES == 8 && DK_HAS_F16C
  __m128i t;
  memcpy(&t, &h, sizeof t);
  return (vf)_mm256_cvtph_ps(t);
#else
  vu u = __builtin_convertvector(h, vu), magnitude = u & 0x7fff, sign = (u & 0x8000) << 16;
  vf scaled = as_f(magnitude << 13) * splat(0x1p112f);
  vf special = as_f((magnitude << 13) | 0x7f800000);
  return as_f(as_u(choose(magnitude >= 0x7c00, special, scaled)) | sign);
#endif
}

/* DK_LANES elements of `type` starting at element `i` of `p`, widened exactly. */
INLINE vf load_as(dk_type type, const void *p, int64_t i) {
  if (type == DK_F32) return load((const float *)p + i);
  vh h = load_h((const uint16_t *)p + i);
  return type == DK_BF16 ? widen_bf16(h) : widen_f16(h);
}
INLINE vf load_as_part(dk_type type, const void *p, int64_t i, int64_t n) {
  if (type == DK_F32) return load_part((const float *)p + i, n, 0);
  uint16_t t[DK_LANES] = {0};
  memcpy(t, (const uint16_t *)p + i, (size_t)n * 2);
  return load_as(type, t, 0);
}

/* e^x. Relative error below 3e-7 where the result is normal; 0 from -104 down, infinity above 88.73; NaN stays. */
INLINE vf exp_(vf x) {
  const vf low = splat(-104.0f), high = splat(89.0f), magic = splat(12582912.0f); /* 1.5 * 2^23: rounds to a whole number */
  x = choose(x < low, low, x);
  x = choose(x > high, high, x);
  vf t = fma_(x, splat(1.44269504f), magic);
  vf n = t - magic;
  vf r = fma_(n, splat(-0.693145752f), x); /* ln 2 in two parts: the first has few bits, so n times it is exact */
  r = fma_(n, splat(-1.42860677e-6f), r);
  vf p = splat(1.0f / 720);
  p = fma_(p, r, splat(1.0f / 120));
  p = fma_(p, r, splat(1.0f / 24));
  p = fma_(p, r, splat(1.0f / 6));
  p = fma_(p, r, splat(0.5f));
  p = fma_(p, r, splat(1.0f));
  p = fma_(p, r, splat(1.0f));
#if DK_LANES == 16 && DK_HAS_F16C
  return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  vu bits = as_u(t) - as_u(magic); /* n as an integer, two's complement */
  vi whole;
  memcpy(&whole, &bits, sizeof whole);
  vi half = whole >> 1, rest = whole - half; /* two factors, as 2^n alone may lie outside the normal range */
  vi f1 = (half + 127) << 23, f2 = (rest + 127) << 23;
  vf s1, s2;
  memcpy(&s1, &f1, sizeof s1);
  memcpy(&s2, &f2, sizeof s2);
  return p * s1 * s2;
#endif
}

/* cap tanh(x / cap), with tanh u = 1 - 2 / (e^2u + 1). */
INLINE vf soft_cap(vf x, vf cap, vf reciprocal) {
  return cap - splat(2) * cap / (exp_(splat(2) * x * reciprocal) + splat(1));
}
