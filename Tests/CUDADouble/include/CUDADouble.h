/* A driver of NVIDIA's in host memory: device memory is host memory, streams are lists of what is still to be done, kernels are
 * functions. It does work as late as it may, so that what is read too early is not there, and notes the first misuse: pointers, sizes,
 * alignment, bytes that nothing wrote, objects that are gone, threads without a context. From any thread. */
#ifndef CUDA_DOUBLE_H
#define CUDA_DOUBLE_H
#include <stdint.h>

/* The function of a name of libcuda or libnvrtc, for dk_cuda_substitute; null: there is none. */
void *cuda_double_find(const char *name);
/* Forgets everything. `memory`: bytes of the device. */
void cuda_double_start(int64_t memory);
/* The call with this number, counted on from the last one (1: the next), fails with a code; `is_lost`: and all after it. 0: none. */
void cuda_double_fail(int64_t call, int32_t code, int32_t is_lost);
int64_t cuda_double_calls(void);
/* The compiler's version from now on, which its code depends on, 0: there is none; and the kind of card that it knows nothing of, or empty. */
void cuda_double_compiler(int32_t version, const char *unknown);
/* Programs that were compiled since. Code is text: "double HEAD by VERSION for ARCHITECTURE". */
int64_t cuda_double_compilations(void);
/* Modules of code that contains a text are refused, as an older driver may; empty: none. */
void cuda_double_refuse(const char *text);
/* Launches, recorded ones once, of the kernels whose names begin so. */
int64_t cuda_double_launches(const char *prefix);
/* What was used wrongly first, or null. */
const char *cuda_double_problem(void);
/* Allocations, pools, streams, events, modules and graphs that were not given back. */
int64_t cuda_double_live(void);
/* Calls that waited for all that the device did, since memory was given back. */
int64_t cuda_double_waits(void);
/* Bytes of the device that are taken, by pools, too. */
int64_t cuda_double_used(void);
#endif
