/* What the calls and the kernels of the double share. */
#ifndef CUDA_DOUBLE_STATE_H
#define CUDA_DOUBLE_STATE_H
#include <stddef.h>
#include <stdint.h>

enum kernel { EMBED, NORM, PACK, GATED, ADD, SELECT, LINEAR, LINEAR_GATED, LINEAR_WIDE, LINEAR_WIDE_GATED, LINEAR_ROW, LINEAR_ROW_GATED, TURN, ATTEND, ATTEND_PROMPT, ATTEND_ROW, MERGE, CHOOSE, READ, MAKE, DIGEST, KERNELS };
struct launch {
  enum kernel kernel;
  const char *name;
  uint32_t grid[3], threads, shared; /* bytes of shared memory */
  int head; /* DK_HEAD of its module */
  uint8_t argument[256];
};
/* Bytes of device memory: all of them allocated, those that are read written before. Null where not, which is noted. */
void *double_read(const char *who, uint64_t address, uint64_t count);
void *double_write(const char *who, uint64_t address, uint64_t count);
void double_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
size_t double_argument_size(enum kernel kernel);
void double_run(const struct launch *launch);
#endif
