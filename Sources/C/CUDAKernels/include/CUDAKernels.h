/* Sources of the CUDA kernels, to be compiled at run time, and the arguments that each takes. */
#ifndef DK_CUDA_KERNELS_H
#define DK_CUDA_KERNELS_H

#include "CUDAArguments.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The whole program in CUDA C++, zero-terminated: CUDAArguments.h and the files of `kernels`. No header is needed. */
const char *dk_cuda_source(void);

#ifdef __cplusplus
}
#endif
#endif
