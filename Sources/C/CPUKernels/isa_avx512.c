/* The kernels compiled for AVX-512 with BF16: 32 registers of 16 floats. */
#if defined(__x86_64__)
#include <immintrin.h>

#define DK_LANES 16
#define DK_HAS_FMA 1
#define DK_HAS_F16C 1
#define DK_HAS_BF16 1
#define DK_PREFETCH_BYTES 2048
#define DK_TABLE dk_table_avx512

/* Sums in registers: 4 * rows * panels for decode, rows * panels for prefill; both leave room for operands. */
#define DK_DECODE_TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(1, 4)
#define DK_DECODE_TACTICS {6, 1}, {3, 2}, {1, 4}
#define DK_PREFILL_TILES(X) \
  X(1, 1) X(2, 1) X(4, 1) X(8, 1) X(14, 1) X(1, 2) X(2, 2) X(4, 2) X(8, 2) X(12, 2) X(14, 2) \
  X(1, 3) X(2, 3) X(4, 3) X(8, 3) X(1, 4) X(2, 4) X(4, 4) X(6, 4)
#define DK_PREFILL_TACTICS {14, 2}, {12, 2}, {8, 3}, {6, 4}
/* Attention: queries x blocks of 16 tokens for the scores (two sums each), queries x 16 outputs for the values. */
#define DK_SCORE_QUERIES 6
#define DK_SCORE_BLOCKS 2
#define DK_VALUE_QUERIES 6
#define DK_VALUE_VECTORS 4

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
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
