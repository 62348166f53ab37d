/* Between the files of this folder. */
#include "include/CSHA256.h"

extern const uint32_t sha256_constants[64];
void sha256_instructions(uint32_t state[8], const void *data, int64_t blocks);
void sha256_instructions_pair(uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks);
