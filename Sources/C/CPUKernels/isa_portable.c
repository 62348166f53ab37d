/* The kernels compiled for any processor, in vectors of 4 floats. */
#define DK_LANES 4
#if defined(__aarch64__)
#define DK_HAS_FMA 1
#else
#define DK_HAS_FMA 0 /* x86-64 without FMA would call a function for every one */
#endif
#define DK_HAS_F16C 0
#define DK_HAS_BF16 0
#define DK_PREFETCH_BYTES 2048
#define DK_TABLE dk_table_portable

#define DK_DECODE_TILES(X) X(1, 1) X(2, 1)
#define DK_DECODE_TACTICS {1, 1}, {2, 1}
#define DK_PREFILL_TILES(X) X(1, 1) X(2, 1) X(4, 1)
#define DK_PREFILL_TACTICS {2, 1}, {4, 1}
#define DK_SCORE_QUERIES 2
#define DK_SCORE_BLOCKS 1
#define DK_VALUE_QUERIES 3
#define DK_VALUE_VECTORS 4

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
