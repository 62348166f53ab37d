/* SHA-256 compression in plain C, and the choice between it and the processor's instructions. */
#include "sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const uint32_t sha256_constants[64] __attribute__((aligned(16))) = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
  0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
  0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
  0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
  0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
  0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, int by) { return x >> by | x << (32 - by); }

static inline uint32_t big_endian(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The round of word t: by the names of the standard, h becomes the next a and d the next e. */
#define ROUND(a, b, c, d, e, f, g, h, t)                                                                                \
  do {                                                                                                                  \
    const uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) + sha256_constants[t]  \
                        + w[(t) & 15];                                                                                  \
    d += t1;                                                                                                            \
    h = t1 + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));                                \
  } while (0)

/* Word t of the message schedule takes the place of word t - 16. */
#define EXTEND(t)                                                                                                       \
  do {                                                                                                                  \
    const uint32_t w15 = w[((t) + 1) & 15], w2 = w[((t) + 14) & 15];                                                    \
    w[(t) & 15] += (rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >> 3) + w[((t) + 9) & 15]                                    \
                   + (rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >> 10);                                                      \
  } while (0)

static void portable(uint32_t state[8], const uint8_t *data, int64_t blocks) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (int64_t block = 0; block < blocks; block++, data += 64) {
    uint32_t w[16];
    for (int t = 0; t < 16; t++) w[t] = big_endian(data + 4 * t);
    for (int from = 0; from < 64; from += 16) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i += 8) {
        if (from > 0) {
#pragma clang loop unroll(full)
          for (int t = i; t < i + 8; t++) EXTEND(t);
        }
        ROUND(a, b, c, d, e, f, g, h, from + i);
        ROUND(h, a, b, c, d, e, f, g, from + i + 1);
        ROUND(g, h, a, b, c, d, e, f, from + i + 2);
        ROUND(f, g, h, a, b, c, d, e, from + i + 3);
        ROUND(e, f, g, h, a, b, c, d, from + i + 4);
        ROUND(d, e, f, g, h, a, b, c, from + i + 5);
        ROUND(c, d, e, f, g, h, a, b, from + i + 6);
        ROUND(b, c, d, e, f, g, h, a, from + i + 7);
      }
    }
    a = state[0] += a, b = state[1] += b, c = state[2] += c, d = state[3] += d;
    e = state[4] += e, f = state[5] += f, g = state[6] += g, h = state[7] += h;
  }
}

void sha256_compress(bool instructions, uint32_t state[8], const void *data, int64_t blocks) {
  if (instructions) sha256_instructions(state, data, blocks);
  else portable(state, data, blocks);
}

void sha256_compress_pair(
    bool instructions, uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks) {
  if (instructions) {
    sha256_instructions_pair(state0, data0, state1, data1, blocks);
  } else {
    portable(state0, data0, blocks);
    portable(state1, data1, blocks);
  }
}
