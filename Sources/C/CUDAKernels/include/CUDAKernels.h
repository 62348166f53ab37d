/* Sources of the CUDA kernels, to be compiled at run time, and the arguments that each takes. */
#ifndef DK_CUDA_KERNELS_H
#define DK_CUDA_KERNELS_H

#include "CUDAArguments.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CUDAArguments.h, or a file of `kernels`: CUDA C++, zero-terminated; null for any other name. No other header is needed. */
const char *dk_cuda_file(const char *name);

#ifdef __cplusplus
}
#endif
#endif
