/* How fast this machine can read memory: the limit of decoding, which reads every weight once a token.
 *
 *   memory_read THREADS BYTES [FILE]
 *
 * Each thread streams through its own contiguous part of BYTES bytes, again and again for about a second, with the
 * widest loads the processor has; with FILE, its first BYTES bytes are mapped and read instead of private memory.
 * Prints the median and the best rate of a whole pass, in bytes per second: "MEDIAN BEST".
 * Build: cc -O2 -pthread memory_read.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MAX_PASSES = 4096 };

static volatile uint64_t sink;
static const uint8_t *base;
static size_t part;
static int passes;
static double pass_seconds[MAX_PASSES];
static pthread_barrier_t barrier;
static double deadline;
static int running = 1;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t read_portable(const uint8_t *p, size_t n) {
  uint64_t a[8] = {0};
  for (size_t i = 0; i + 64 <= n; i += 64)
    for (int j = 0; j < 8; j++) {
      uint64_t v;
      memcpy(&v, p + i + 8 * j, 8);
      a[j] ^= v;
    }
  return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_avx2(const uint8_t *p, size_t n) {
  __m256i a[8];
  for (int j = 0; j < 8; j++) a[j] = _mm256_setzero_si256();
  for (size_t i = 0; i + 256 <= n; i += 256) {
    _mm_prefetch((const char *)p + i + 4096, _MM_HINT_T0);
    _mm_prefetch((const char *)p + i + 4160, _MM_HINT_T0);
    _mm_prefetch((const char *)p + i + 4224, _MM_HINT_T0);
    _mm_prefetch((const char *)p + i + 4288, _MM_HINT_T0);
    for (int j = 0; j < 8; j++) a[j] = _mm256_xor_si256(a[j], _mm256_loadu_si256((const void *)(p + i + 32 * j)));
  }
  for (int j = 1; j < 8; j++) a[0] = _mm256_xor_si256(a[0], a[j]);
  return (uint64_t)_mm256_extract_epi64(a[0], 0);
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *p, size_t n) {
  __m512i a[8];
  for (int j = 0; j < 8; j++) a[j] = _mm512_setzero_si512();
  for (size_t i = 0; i + 512 <= n; i += 512)
    for (int j = 0; j < 8; j++) {
      _mm_prefetch((const char *)p + i + 4096 + 64 * j, _MM_HINT_T0);
      a[j] = _mm512_xor_si512(a[j], _mm512_loadu_si512((const void *)(p + i + 64 * j)));
    }
  for (int j = 1; j < 8; j++) a[0] = _mm512_xor_si512(a[0], a[j]);
  return (uint64_t)_mm512_reduce_add_epi64(a[0]);
}
#endif

static uint64_t read_all(const uint8_t *p, size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_avx512(p, n);
  if (__builtin_cpu_supports("avx2")) return read_avx2(p, n);
#endif
  return read_portable(p, n);
}

static void *work(void *argument) {
  size_t thread = (size_t)argument;
  const uint8_t *mine = base + thread * part;
  sink ^= read_all(mine, part); /* touch, and wake the clock */
  for (;;) {
    pthread_barrier_wait(&barrier);
    if (!running) return NULL;
    double start = now();
    uint64_t x = read_all(mine, part);
    pthread_barrier_wait(&barrier);
    sink ^= x;
    if (thread == 0) {
      pass_seconds[passes++] = now() - start;
      running = passes < MAX_PASSES && now() < deadline;
    }
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: memory_read THREADS BYTES [FILE]\n"), 2;
  size_t threads = strtoul(argv[1], NULL, 10), bytes = strtoul(argv[2], NULL, 10);
  if (threads < 1 || threads > 256 || bytes < threads * 65536) return fprintf(stderr, "memory_read: bad size\n"), 2;
  part = bytes / threads / 4096 * 4096;
  size_t mapped = threads * part + 8192; /* prefetches run ahead */
  if (argc > 3) {
    int fd = open(argv[3], O_RDONLY);
    if (fd >= 0 && (size_t)lseek(fd, 0, SEEK_END) < threads * part) return fprintf(stderr, "%s is too short\n", argv[3]), 1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, mapped, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return perror(argv[3]), 1;
    base = p;
  } else {
    uint8_t *p = aligned_alloc(1 << 21, (mapped + (1 << 21) - 1) >> 21 << 21);
    if (!p) return perror("memory_read"), 1;
#ifdef MADV_HUGEPAGE
    madvise(p, mapped, MADV_HUGEPAGE);
#endif
    memset(p, 1, mapped);
    base = p;
  }
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  deadline = now() + 1.0;
  pthread_t ids[256];
  for (size_t i = 1; i < threads; i++) pthread_create(&ids[i], NULL, work, (void *)i);
  work((void *)0);
  for (size_t i = 1; i < threads; i++) pthread_join(ids[i], NULL);
  qsort(pass_seconds, (size_t)passes, sizeof(double), ascending);
  double total = (double)(threads * part);
  printf("%.0f %.0f\n", total / pass_seconds[passes / 2], total / pass_seconds[0]);
  return 0;
}
