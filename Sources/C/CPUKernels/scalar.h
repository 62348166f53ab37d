/* Single elements between types, for work that moves elements one by one. */
#ifndef DK_SCALAR_H
#define DK_SCALAR_H
#include <string.h>

#include "include/CPUKernels.h"

static inline float dk_float_from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

/* Nearest even; NaN stays NaN. */
static inline uint16_t dk_bf16_from_float(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Exact. */
static inline float dk_float_from_f16(uint16_t h) {
  uint32_t magnitude = h & 0x7fff, sign = (uint32_t)(h & 0x8000) << 16, u = magnitude << 13;
  float f;
  if (magnitude >= 0x7c00) {
    u |= 0x7f800000;
  } else {
    memcpy(&f, &u, 4);
    f *= 0x1p112f;
    memcpy(&u, &f, 4);
  }
  u |= sign;
  memcpy(&f, &u, 4);
  return f;
}

static inline float dk_float_at(dk_type type, const void *p, int64_t i) {
  if (type == DK_F32) return ((const float *)p)[i];
  uint16_t h = ((const uint16_t *)p)[i];
  return type == DK_BF16 ? dk_float_from_bf16(h) : dk_float_from_f16(h);
}
#endif
