/* Which instruction set this machine offers: processor (CPUID), operating system (XGETBV), permission (AMX). */
#include "include/CPUKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

static uint64_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Linux hands out the 8 KB of tile registers only to processes that ask. */
static bool may_use_tiles(void) {
#if defined(__linux__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}

static dk_isa detect(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return DK_PORTABLE;
  const uint32_t leaf1 = 1u << 12 /* FMA */ | 1u << 27 /* OSXSAVE */ | 1u << 28 /* AVX */ | 1u << 29 /* F16C */;
  if ((c & leaf1) != leaf1) return DK_PORTABLE;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6) return DK_PORTABLE; /* xmm, ymm */
  uint32_t b7, c7, d7, a71;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return DK_PORTABLE;
  if (!(b7 & 1u << 5 /* AVX2 */)) return DK_PORTABLE;
  if (!__get_cpuid_count(7, 1, &a71, &b, &c, &d)) a71 = 0;
  const uint32_t avx512 = 1u << 16 /* F */ | 1u << 17 /* DQ */ | 1u << 30 /* BW */ | 1u << 31 /* VL */;
  if ((b7 & avx512) != avx512 || !(a71 & 1u << 5 /* BF16 */) || (state & 0xe6) != 0xe6) return DK_AVX2;
  const uint32_t amx = 1u << 22 /* AMX-BF16 */ | 1u << 24 /* AMX-TILE */;
  if ((d7 & amx) != amx || (state & 0x60000) != 0x60000 || !may_use_tiles()) return DK_AVX512;
  return DK_AMX;
}
#else
static dk_isa detect(void) { return DK_PORTABLE; }
#endif

dk_isa dk_best_isa(void) {
  static _Atomic int32_t known; /* 1 + the answer; two threads at once find the same */
  int32_t answer = known;
  if (answer == 0) known = answer = 1 + (int32_t)detect();
  return (dk_isa)(answer - 1);
}
