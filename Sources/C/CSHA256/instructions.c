/* SHA-256 compression with the instructions of x86-64 processors, one stream or two in step. */
#include "sha256.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_TARGET __attribute__((target("sha,sse4.1")))

static bool detect(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 19 /* SSE4.1 */)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29 /* SHA */);
}

bool sha256_has_instructions(void) {
  static _Atomic int32_t known; /* 1 + the answer; two threads at once find the same */
  int32_t answer = known;
  if (answer == 0) known = answer = 1 + (int32_t)detect();
  return answer == 2;
}

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
      const __m128i k = _mm_load_si128((const __m128i *)(sha256_constants + four * 4));
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

SHA_TARGET void sha256_instructions(uint32_t state[8], const void *data, int64_t blocks) {
  compress(1, (uint32_t *const[]){state}, (const uint8_t *const[]){data}, blocks);
}

SHA_TARGET void sha256_instructions_pair(uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks) {
  compress(2, (uint32_t *const[]){state0, state1}, (const uint8_t *const[]){data0, data1}, blocks);
}

#else
bool sha256_has_instructions(void) { return false; }
void sha256_instructions(uint32_t state[8], const void *data, int64_t blocks) { (void)state, (void)data, (void)blocks; }
void sha256_instructions_pair(uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks) {
  (void)state0, (void)data0, (void)state1, (void)data1, (void)blocks;
}
#endif
