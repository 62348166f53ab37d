/* SHA-256 compression (FIPS 180-4, section 6.2.2) with the processor's SHA instructions, one stream or two in step.
 * One round must wait for the one before; the rounds of a second stream fill the time. */
#include "include/CPUKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_TARGET __attribute__((target("sha,sse4.1")))

static bool detect(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 19 /* SSE4.1 */)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29 /* SHA */);
}

bool dk_has_sha256(void) {
  static _Atomic int32_t known; /* 1 + the answer; two threads at once find the same */
  int32_t answer = known;
  if (answer == 0) known = answer = 1 + (int32_t)detect();
  return answer == 2;
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
  0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
  0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
  0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
  0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
  0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

enum { MOST = 2 };
typedef struct { __m128i abef, cdgh; } working; /* the words in the order that the instructions take */

SHA_TARGET static inline working enter(const uint32_t state[8]) {
  const __m128i dcba = _mm_loadu_si128((const __m128i *)state), hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  return (working){_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

SHA_TARGET static inline void leave(uint32_t state[8], working w) {
  const __m128i feba = _mm_shuffle_epi32(w.abef, 0x1b), dchg = _mm_shuffle_epi32(w.cdgh, 0xb1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHA_TARGET static inline __attribute__((always_inline)) void compress(
    const int streams, uint32_t *const states[], const uint8_t *const data[], int64_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  working sum[MOST];
  for (int s = 0; s < streams; s++) sum[s] = enter(states[s]);
  for (int64_t block = 0; block < blocks; block++) {
    __m128i w[MOST][4]; /* the message schedule, four words each */
    working v[MOST];
#pragma clang loop unroll(full)
    for (int s = 0; s < streams; s++) {
      v[s] = sum[s];
      for (int i = 0; i < 4; i++)
        w[s][i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data[s] + block * 64 + i * 16)), big_endian);
    }
#pragma clang loop unroll(full)
    for (int four = 0; four < 16; four++) {
      const __m128i k = _mm_load_si128((const __m128i *)(constants + four * 4));
      const int now = four % 4, next = (four + 1) % 4, last = (four + 3) % 4;
#pragma clang loop unroll(full)
      for (int s = 0; s < streams; s++) {
        const __m128i wk = _mm_add_epi32(w[s][now], k);
        v[s].cdgh = _mm_sha256rnds2_epu32(v[s].cdgh, v[s].abef, wk);
        v[s].abef = _mm_sha256rnds2_epu32(v[s].abef, v[s].cdgh, _mm_shuffle_epi32(wk, 0x0e));
        if (four < 12) { /* the words of four rounds, sixteen rounds on */
          const __m128i middle = _mm_alignr_epi8(w[s][last], w[s][(four + 2) % 4], 4);
          const __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(w[s][now], w[s][next]), middle);
          w[s][now] = _mm_sha256msg2_epu32(partial, w[s][last]);
        }
      }
    }
#pragma clang loop unroll(full)
    for (int s = 0; s < streams; s++) {
      sum[s].abef = _mm_add_epi32(sum[s].abef, v[s].abef);
      sum[s].cdgh = _mm_add_epi32(sum[s].cdgh, v[s].cdgh);
    }
  }
  for (int s = 0; s < streams; s++) leave(states[s], sum[s]);
}

SHA_TARGET void dk_sha256(uint32_t state[8], const void *data, int64_t blocks) {
  compress(1, (uint32_t *const[]){state}, (const uint8_t *const[]){data}, blocks);
}

SHA_TARGET void dk_sha256_pair(uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks) {
  compress(2, (uint32_t *const[]){state0, state1}, (const uint8_t *const[]){data0, data1}, blocks);
}

#else
bool dk_has_sha256(void) { return false; }
void dk_sha256(uint32_t state[8], const void *data, int64_t blocks) { (void)state, (void)data, (void)blocks; }
void dk_sha256_pair(uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks) {
  (void)state0, (void)data0, (void)state1, (void)data1, (void)blocks;
}
#endif
