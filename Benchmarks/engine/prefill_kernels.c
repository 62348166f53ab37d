// Speed of one thread's bfloat16 prefill kernel on every instruction set of this machine, in GFLOP/s, and whether the
// AMX kernel's bits are those of the same code over emulated tiles.
//
//   clang -O2 -ISources/C/CPUKernels/include Benchmarks/engine/prefill_kernels.c Sources/C/CPUKernels/*.c -lm -lpthread -o prefill_kernels
//   ./prefill_kernels
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "CPUKernels.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float random_float(void) { return (float)rand() / (float)RAND_MAX * 2 - 1; }

/* Best GFLOP/s over tactics and tries. */
static double speed(dk_isa isa, const dk_linear *w, const uint16_t *x, int64_t stride, float *out, int64_t rows) {
  double best = 1e30;
  for (int32_t tactic = 0; tactic < dk_prefill_tactic_count(isa, DK_BF16); tactic++)
    for (int try = 0; try < 10; try++) {
      double start = now();
      dk_linear_prefill(isa, tactic, w, x, stride, out, w->n, 0, rows, 0, dk_panel_count(w->n), NULL);
      double time = now() - start;
      if (time < best) best = time;
    }
  return 2e-9 * (double)w->n * (double)w->k * (double)rows / best;
}

int main(void) {
  static const int64_t shapes[][3] = {{576, 1536, 512}, {1536, 576, 512}, {2048, 2048, 512}, {8192, 2048, 512}, {100, 70, 33}};
  static const char *const names[] = {"portable", "AVX2", "AVX-512", "AMX"};
  int status = 0;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t n = shapes[s][0], k = shapes[s][1], rows = shapes[s][2], stride = dk_rounded_stride(k), panels = dk_panel_count(n);
    float *values = malloc((size_t)(n * k + rows * k) * 4), *inputs = values + n * k;
    for (int64_t i = 0; i < n * k + rows * k; i++) values[i] = random_float();
    uint16_t *weights = malloc((size_t)(n * k) * 2), *x = aligned_alloc(64, (size_t)((rows * stride * 2 + 63) / 64 * 64));
    dk_convert(dk_best_isa(), weights, DK_BF16, values, DK_F32, n * k);
    dk_round_rows(dk_best_isa(), x, inputs, k, rows, k);
    char *packed = aligned_alloc(64, (size_t)(panels * dk_panel_bytes(DK_BF16, k)));
    for (int64_t p = 0; p < panels; p++)
      dk_pack_panel(DK_BF16, packed + p * dk_panel_bytes(DK_BF16, k), weights + p * 16 * k, k, n - p * 16 < 16 ? n - p * 16 : 16, k);
    const dk_linear w = {.panels = packed, .n = n, .k = k, .type = DK_BF16, .bias_type = DK_F32};
    float *out = malloc((size_t)(rows * n) * 4), *emulated = malloc((size_t)(rows * n) * 4);
    printf("%5lld x %5lld, %3lld rows:", (long long)n, (long long)k, (long long)rows);
    for (dk_isa isa = DK_PORTABLE; isa <= dk_best_isa(); isa++) printf("  %s %.0f", names[isa], speed(isa, &w, x, stride, out, rows));
    if (dk_best_isa() >= DK_AMX) {
      dk_linear_prefill_amx_emulated(&w, x, stride, emulated, n, 0, rows, 0, panels);
      const bool same = memcmp(out, emulated, (size_t)(rows * n) * 4) == 0;
      if (!same) status = 1;
      printf("  bits %s", same ? "as emulated" : "DIFFER from emulated tiles");
    }
    printf("\n");
    free(values), free(weights), free(x), free(packed), free(out), free(emulated);
  }
  return status;
}
