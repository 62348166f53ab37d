/* What each kernel takes: one structure by value. Read by the host's compiler and by the one of the kernels, so it has plain
 * members only, pointers to device memory as numbers, and the same layout for both. */
#ifndef DK_CUDA_ARGUMENTS_H
#define DK_CUDA_ARGUMENTS_H
#ifdef __CUDACC_RTC__
typedef unsigned long long dk_address;
#else
#include <stdint.h>
typedef uint64_t dk_address; /* in device memory; 0: none */
#endif

enum {
  DK_CUDA_BLOCK_TOKENS = 16,    /* positions in a block of the cache */
  DK_CUDA_SPLIT_TOKENS = 256,   /* positions that are attended to as one; splits are merged in order */
  DK_CUDA_ATTEND_THREADS = 256, /* of dk_attend */
  DK_CUDA_PROMPT_QUERIES = 128, /* the same of dk_attend_prompt, and its threads */
  DK_CUDA_PROMPT_THREADS = 256,
  DK_CUDA_TILE_QUERIES = 16,    /* queries, rows times heads of a group, that read keys and values together */
  DK_CUDA_PACKED_ROWS = 256,    /* rows of a packed value that lie together */
  DK_CUDA_CHAIN_ROWS = 64,      /* most rows of dk_linear_chain */
  DK_CUDA_STAGE_BYTES = 2048,   /* of weights that a warp copies at once */
  DK_CUDA_ROW_WARPS = 8,        /* of dk_linear_row that multiply; one more copies */
  DK_CUDA_ROW_NORM_INPUTS = 8192, /* most inputs of it that are a norm */
  DK_CUDA_TILE_OUTPUTS = 128,   /* outputs and rows of a block of dk_linear_tile, its threads and its shared memory */
  DK_CUDA_TILE_ROWS = 128,
  DK_CUDA_TILE_THREADS = 256,
  DK_CUDA_TILE_BYTES = 98304
};

/* Rows of bfloat16 as products read them ("packed"): [ceil(rows / 256)][ceil(width / 16)][groups][8][16], where groups are
 * ceil(rows / 8), rounded up to 1, 2, 4, 8, 16 or 32, which is the most. Inside 16 elements pairs stand in the order 0 4 1 5 2 6 3 7, so that what a lane needs are 8
 * neighbouring bytes; rows 4 to 7 of a group have the halves of 16 exchanged, as operands of wgmma in shared memory with a swizzle of
 * 32 bytes do. Elements beyond `width` are zero; rows beyond those of the value may be anything. */

/* dk_embed: output[r] = scale * table[tokens[r] - first_token]; zeros where the table has no such row. A block a row. */
typedef struct {
  dk_address tokens, table, output; /* int32 [rows]; bf16; f32 [rows, width] */
  int width, first_token, table_rows;
  int is_panel;                     /* the table is in panel16x2, else row-major */
  float scale;
} dk_embed_arguments;

/* dk_norm: with a delta, residual += delta; then the RMS norm of it, times the weight. A block of 256 threads a row. */
typedef struct {
  dk_address residual, delta, weight; /* f32 [rows, width]; the same or none; bf16 [width] */
  dk_address output, packed;          /* f32 [rows, width] or none; packed or none */
  int width;
  float epsilon;
} dk_norm_arguments;

/* dk_pack: rows of f32 to packed bfloat16, rounded to nearest even. A block a row. */
typedef struct {
  dk_address input, packed;
  int width;
} dk_pack_arguments;

/* dk_gated: output[i] = f(input[width + i]) * input[i]. A block a row. */
typedef struct {
  dk_address input, output, packed; /* f32 [rows, 2 width]; f32 [rows, width] or none; packed or none */
  int width;
  int activation;                   /* 0 silu, 1 gelu, 2 gelu by tanh, 3 relu */
} dk_gated_arguments;

/* dk_add: target += value. */
typedef struct {
  dk_address target, value;
  dk_address count;
} dk_add_arguments;

/* dk_select: output[i] = input[rows[i]]. A block a row of the output. */
typedef struct {
  dk_address input, rows, output;
  int width;
} dk_select_arguments;

/* dk_linear_chain_N and dk_linear_ring_N_T (at most 8 N rows, stages of T tiles), dk_linear_tile (any number): output = input . weight^T + bias. */
typedef struct {
  dk_address weight, bias;  /* panel16x2; bf16 [outputs] or none */
  dk_address packed, output; /* the input; f32 [rows, outputs] */
  int rows, outputs, inputs;
  int stages;               /* of a ring, not of dk_linear_tile; from 2 to 16 */
  int early;                /* of them, asked for before the input is there; dk_linear_ring only, others say what they mean by it */
} dk_linear_arguments;

/* dk_linear_gated_N_T: a product and dk_gated of it: packed = f(second half of the outputs) * first half. Halves are whole panels. */
typedef struct {
  dk_linear_arguments linear; /* `output` is not used */
  dk_address activated;       /* packed, outputs / 2 wide */
  int activation;
  int padding;
} dk_linear_gated_arguments;

/* dk_linear_wide_W_R_S (64 W outputs by R rows a block, stages of 64 S inputs, 128 W + 128 threads, pairs of blocks; inputs a
 * multiple of 64), dk_linear_wide_gated_W_R_S. `early`: stages of weights that may be on their way before the input is there. */
typedef struct {
  dk_linear_arguments linear;
  dk_address activated; /* as of dk_linear_gated_arguments */
  int activation;
  int own;              /* panels of a block, at most 4 W; of each half, at most 2 W, where it is gated */
  int window;           /* stages of weights that may be on their way */
  int padding;
} dk_linear_wide_arguments;

/* dk_linear_row_T, dk_linear_row_gated_T (one row), dk_linear_rows_T, dk_linear_rows_gated_T (to 8), stages of T tiles: a product and what
 * stands around it. Inputs are a multiple of 16, outputs of 2. Shared memory: 1024 bytes, with one row 2 bytes an input up to a multiple
 * of 128, stages, which with several rows have 256 bytes a tile of them. */
typedef struct {
  dk_linear_arguments linear; /* `packed` is not used where there is a residual; `early`: stages that may be on their way before the input is there */
  dk_address residual, gain;  /* f32 [inputs] and bf16 [inputs]: the input is the RMS norm of it; or none; one row only */
  dk_address sum;             /* f32 [rows, outputs]: what the output is added to, instead of `output`; or none */
  dk_address activated;       /* of gated ones, as of dk_linear_gated_arguments */
  float epsilon;
  int activation;
  int own;                    /* panels of a block at a time, or pairs, at most 8 */
  int window;                 /* stages that may be on their way */
  int zero;                   /* 0, which the compiler does not know */
  int padding;
} dk_linear_row_arguments;

/* dk_turn: head norms and rotary embedding of queries and keys; queries to bf16, keys and values to the cache. A warp a head. */
typedef struct {
  dk_address qkv, queries, pool;         /* f32 [rows, (heads + 2 kv_heads) head]; bf16 [rows, heads, padded head]; the layer's cache */
  dk_address positions, cells;           /* int32 [rows]: position; cache block * 16 + position % 16 */
  dk_address cosines, sines;             /* f32 [positions, rotary / 2]; none */
  dk_address query_norm, key_norm;       /* bf16 [head]; none */
  int heads, kv_heads;
  int rotary;                            /* elements that turn; 0: none */
  int is_paired;                         /* 2i with 2i + 1, else i with i + rotary / 2 */
  float epsilon;
} dk_turn_arguments;

/* Rows of one sequence that are attended to together. */
typedef struct {
  int first_row, rows;
  int first_position;
  int table;    /* index of the sequence's first block in `tables` */
  int splits;   /* up to the last row's position */
  int partial;  /* of the first row and split among the launch's partial results: partial + row * splits + split */
} dk_attention_tile;

/* dk_attend: partial attention of each query over one split. Grid: tiles, kv_heads * chunks, splits.
 * dk_attend_prompt: all splits, merged. Grid: tiles, kv_heads * chunks. */
typedef struct {
  dk_address queries, pool, tables, tiles; /* as above; int32 block ids; dk_attention_tile */
  dk_address peaks, sums, results;         /* f32 [partials, heads], the same, f32 [partials, heads, padded head] */
  dk_address output, packed;               /* as dk_merge, which is not needed then: only where every tile has one split; else none */
  int heads, kv_heads;
  int tile_heads;                          /* heads of a group in a tile; at most 16 */
  int chunks;                              /* tiles that a group needs */
  int rows;                                /* of the whole step */
  float scale;                             /* of the scores, times log2(e) */
} dk_attend_arguments;

/* dk_attend_row (no sequence has more than one split: merged), dk_attend_row_splits (partial, and merged where it has counts): dk_turn of what is
 * needed, and attention, where each sequence has one row. Grid as of dk_attend. */
typedef struct {
  dk_turn_arguments turn;
  dk_attend_arguments attend; /* `queries` is not used */
  dk_address counts;          /* u32 [rows, kv_heads * chunks], zeros, which it leaves: splits that are done, the last of which are merged; or none */
  dk_address output, packed;  /* of what is merged so, as of dk_merge */
} dk_attend_row_arguments;

/* dk_merge: the splits of each row in order. Grid: rows, heads. */
typedef struct {
  dk_address peaks, sums, results;
  dk_address partials, positions;   /* int32 [rows]: of the row's first split; position */
  dk_address output, packed;        /* f32 [rows, heads * head] or none; packed or none */
  int first_row, heads;
  int rows;                         /* of the whole step */
} dk_merge_arguments;

/* dk_choose: index of the first largest logit, or ~index of the first that is NaN or +infinity. A block of 1024 threads a row. */
typedef struct {
  dk_address logits, chosen; /* f32 [rows, stride]; int32 [rows] */
  int vocabulary, stride;
} dk_choose_arguments;

/* dk_read: reads 16-byte words and does nothing with them, to measure how fast memory can be read. */
typedef struct {
  dk_address words, result; /* u32 [1], to which nothing worth reading is written */
  dk_address count;
} dk_read_arguments;

/* What is added to a weight: scale * up . down, a sum over `rank` in order, each product and sum rounded to f32. */
typedef struct {
  dk_address up, down; /* f32 [rows from first_row on, rank]; f32 [rank, columns] */
  int rank;
  float scale;
} dk_low_rank;

enum {
  DK_CUDA_LEAF_BYTES = 65536,  /* of a leaf of a digest */
  DK_CUDA_LEAF_BLOCKS = 1024,
  DK_CUDA_MAKE_THREADS = 256,
  DK_CUDA_DIGEST_THREADS = 128,
  DK_CUDA_MOST_LOW_RANK = 4    /* changes that dk_make adds */
};
/* How numbers are stored that a weight is made of. */
enum { DK_CUDA_BF16, DK_CUDA_F16, DK_CUDA_F32 };

/* dk_make: rows of a weight in bfloat16, of numbers as they are stored. Each is taken as f32, rounded to bfloat16 where `rounds`, gets the offset, then
 * each change in order, then the constant, in f32, and is rounded to nearest even; where nothing is to be done bits stay. */
typedef struct {
  dk_address source;     /* row-major [.., columns], or the panels of a weight in bfloat16 */
  dk_address output;     /* the weight: row-major, or panel16x2 */
  dk_address bad;        /* u32 that counts results that are NaN or infinite */
  dk_low_rank changes[DK_CUDA_MOST_LOW_RANK];
  int change_count;
  int type;              /* of the source, DK_CUDA_BF16 and so on */
  int has_source_panels; /* the source is panel16x2 */
  int has_panels;        /* the output is */
  int source_row;        /* of the source, that makes first_row */
  int first_row, rows;   /* of the output */
  int zero_rows;         /* more rows behind those, which get zeros: those that fill up the last panel */
  int columns;
  int rounds, adds_offset, adds_constant;
  float offset, constant;
} dk_make_arguments;

/* Bytes whose leaves are hashed. */
typedef struct {
  dk_address bytes, count; /* at a multiple of 16; how many */
  dk_address first_leaf;   /* leaves of all runs before it */
} dk_digest_run;

/* dk_digest: SHA-256 of each leaf of 64 KiB, the last of a run as long as it is, 32 bytes each as the standard writes them. A thread a leaf. A launch
 * takes some of a leaf's blocks of 64 bytes, those of one of 64 KiB 1024, and leaves the eight words between in the digest's place. */
typedef struct {
  dk_address runs, leaves; /* dk_digest_run [run_count]; u8 [leaf_count, 32] */
  dk_address leaf_count;
  int run_count;
  int first_block, block_count;
} dk_digest_arguments;

#endif
