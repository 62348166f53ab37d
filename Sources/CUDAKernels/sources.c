#include "CUDAKernels.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

/* One after the other, as one program; names that a file needs stand in the files before it. */
static const char source[] = {
#embed "include/CUDAArguments.h"
    ,
#embed "kernels/common.cu"
    ,
#embed "kernels/rows.cu"
    ,
#embed "kernels/linear.cu"
    ,
#embed "kernels/linear_row.cu"
    ,
#embed "kernels/linear_wide.cu"
    ,
#embed "kernels/attention.cu"
    ,
#embed "kernels/attention_row.cu"
    ,
#embed "kernels/attention_prompt.cu"
    , 0};

const char *dk_cuda_source(void) { return source; }
