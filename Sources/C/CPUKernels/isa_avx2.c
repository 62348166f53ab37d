/* The kernels compiled for AVX2 with FMA and F16C: 16 registers of 8 floats. */
#if defined(__x86_64__)
#include <immintrin.h>

#define DK_LANES 8
#define DK_HAS_FMA 1
#define DK_HAS_F16C 1
#define DK_HAS_BF16 0
#define DK_PREFETCH_BYTES 2048
#define DK_TABLE dk_table_avx2

#define DK_DECODE_TILES(X) X(1, 1) X(2, 1) X(1, 2)
#define DK_DECODE_TACTICS {2, 1}, {1, 2}
#define DK_PREFILL_TILES(X) X(1, 1) X(2, 1) X(4, 1) X(6, 1) X(1, 2) X(2, 2)
#define DK_PREFILL_TACTICS {4, 1}, {6, 1}, {2, 2}
#define DK_SCORE_QUERIES 2
#define DK_SCORE_BLOCKS 1
#define DK_VALUE_QUERIES 3
#define DK_VALUE_VECTORS 4

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "lanes.h"
#include "table.h"
#include "linear.h"
#include "convert.h"
#include "encode_int8.h"
#include "low_rank.h"
#include "elementwise.h"
#include "routing.h"
#include "attention.h"
#include "define_table.h"
#pragma clang attribute pop
#endif
