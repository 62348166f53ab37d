/* SHA-256 compression (FIPS 180-4, section 6.2.2): arithmetic only. Padding, lengths and streams are the caller's. */
#ifndef CSHA256_H
#define CSHA256_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the processor has SHA instructions that are used here (x86-64). */
bool sha256_has_instructions(void);

/* Takes `blocks` blocks of 64 bytes into a state: the words a to h, at the start those of section 5.3.3.
 * `instructions` asks for the processor's own, and may be true only where sha256_has_instructions() is. The state is
 * the same either way. `data` needs no alignment. */
void sha256_compress(bool instructions, uint32_t state[8], const void *data, int64_t blocks);

/* The same for two streams in step: with the processor's instructions in little more time than one takes, because one
 * round must wait for the one before and the rounds of a second stream fill that time. */
void sha256_compress_pair(
    bool instructions, uint32_t state0[8], const void *data0, uint32_t state1[8], const void *data1, int64_t blocks);

#endif
