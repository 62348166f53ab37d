/* A team of threads that waits awake for a moment, then sleeps. The contract is in CPUKernels.h. */
#if defined(__linux__)
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "include/CPUKernels.h"

/* A number that threads wait to change. Each lies on its own cache line pair: writers of one do not disturb
 * those who watch another. */
typedef struct {
  _Alignas(128) _Atomic uint32_t value;
  _Atomic uint32_t sleepers;
} event;

struct dk_team {
  event job;     /* counts jobs; a new value starts one */
  event running; /* workers that have not finished the job */
  event phase;   /* counts barriers */
  _Alignas(128) _Atomic uint32_t arrived;
  _Atomic bool busy, stop;
  dk_team_function *function;
  void *context;
  int32_t count;
  pthread_t *threads;
#if !defined(__linux__)
  pthread_mutex_t mutex;
  pthread_cond_t changed;
#endif
};

/* Threads of all teams in this process: with more of them than processors, whoever waits awake may keep the one it
 * waits for from running. */
static _Atomic int32_t all_threads;

static int32_t processors(void) {
  static _Atomic int32_t known;
  int32_t n = known;
  if (n == 0) {
#if defined(__linux__)
    cpu_set_t set; /* respects taskset and cpusets */
    n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
#else
    n = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    known = n = n < 1 ? 1 : n;
  }
  return n;
}

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static uint64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_while(struct dk_team *team, event *e, uint32_t old) {
#if defined(__linux__)
  (void)team;
  syscall(SYS_futex, &e->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0); /* returns at once if it changed */
#else
  pthread_mutex_lock(&team->mutex);
  while (e->value == old) pthread_cond_wait(&team->changed, &team->mutex);
  pthread_mutex_unlock(&team->mutex);
#endif
}

/* After a change of e->value. Costs a load when no thread sleeps. */
static void wake(struct dk_team *team, event *e) {
  if (e->sleepers == 0) return;
#if defined(__linux__)
  (void)team;
  syscall(SYS_futex, &e->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  pthread_mutex_lock(&team->mutex); /* so that the change does not fall between a sleeper's look and its sleep */
  pthread_cond_broadcast(&team->changed);
  pthread_mutex_unlock(&team->mutex);
#endif
}

/* Waits until e->value is not `old`; returns it.
 *
 * Awake for 100 us: the gaps between the steps of a decode (sampling, scheduling) are tens of microseconds, and waking
 * a sleeper takes 5 to 50. With more threads than processors: awake for 2 us, then offering the processor to
 * others until 20 us have passed. Then asleep. */
static uint32_t wait_change(struct dk_team *team, event *e, uint32_t old) {
  enum { AWAKE = 100000, AWAKE_CROWDED = 2000, YIELD_CROWDED = 20000, LOOKS = 32 };
  uint32_t value;
  for (int i = 0; i < 4 * LOOKS; i++) { /* the usual case is over before a clock is worth reading */
    if ((value = atomic_load_explicit(&e->value, memory_order_acquire)) != old) return value;
    relax();
  }
  const uint64_t start = nanoseconds();
  for (;;) {
    for (int i = 0; i < LOOKS; i++) {
      if ((value = atomic_load_explicit(&e->value, memory_order_acquire)) != old) return value;
      relax();
    }
    const bool crowded = all_threads > processors();
    const uint64_t waited = nanoseconds() - start;
    if (waited > (crowded ? YIELD_CROWDED : AWAKE)) break;
    if (crowded && waited > AWAKE_CROWDED) sched_yield();
  }
  atomic_fetch_add(&e->sleepers, 1); /* sequentially consistent, as the change is: one of us sees the other */
  while ((value = atomic_load(&e->value)) == old) sleep_while(team, e, old);
  atomic_fetch_sub(&e->sleepers, 1);
  return value;
}

typedef struct {
  struct dk_team *team;
  int32_t thread;
} worker_argument;

static void *worker(void *argument) {
  const worker_argument w = *(worker_argument *)argument;
  free(argument);
  struct dk_team *team = w.team;
  for (uint32_t seen = 0;;) {
    seen = wait_change(team, &team->job, seen);
    if (team->stop) return NULL;
    team->function(team->context, w.thread, team->count);
    if (atomic_fetch_sub(&team->running.value, 1) == 1) wake(team, &team->running);
  }
}

struct dk_team *dk_team_create(int32_t count) {
  struct dk_team *team = NULL;
  if (count < 1) count = 1;
  if (posix_memalign((void **)&team, 128, sizeof *team) != 0) return NULL;
  *team = (struct dk_team){.count = 1};
  team->threads = calloc((size_t)count, sizeof *team->threads);
  if (!team->threads) {
    free(team);
    return NULL;
  }
#if !defined(__linux__)
  pthread_mutex_init(&team->mutex, NULL);
  pthread_cond_init(&team->changed, NULL);
#endif
  sigset_t all, old; /* signals are for the program's own threads */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (team->count < count) {
    worker_argument *w = malloc(sizeof *w);
    if (!w) break;
    *w = (worker_argument){team, team->count};
    if (pthread_create(&team->threads[team->count], NULL, worker, w) != 0) {
      free(w);
      break;
    }
    team->count++;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  atomic_fetch_add(&all_threads, team->count);
  return team;
}

int32_t dk_team_count(const struct dk_team *team) { return team->count; }

void dk_team_destroy(struct dk_team *team) {
  team->stop = true;
  atomic_fetch_add(&team->job.value, 1);
  wake(team, &team->job);
  for (int32_t t = 1; t < team->count; t++) pthread_join(team->threads[t], NULL);
  atomic_fetch_sub(&all_threads, team->count);
#if !defined(__linux__)
  pthread_mutex_destroy(&team->mutex);
  pthread_cond_destroy(&team->changed);
#endif
  free(team->threads);
  free(team);
}

void dk_team_run(struct dk_team *team, dk_team_function *function, void *context) {
  if (atomic_exchange(&team->busy, true)) abort(); /* two callers at once, or a run inside a run: a defect */
  if (team->count > 1) {
    team->function = function;
    team->context = context;
    atomic_store(&team->running.value, (uint32_t)team->count - 1);
    atomic_fetch_add(&team->job.value, 1);
    wake(team, &team->job);
  }
  function(context, 0, team->count);
  if (team->count > 1)
    for (uint32_t left; (left = atomic_load_explicit(&team->running.value, memory_order_acquire)) != 0;)
      wait_change(team, &team->running, left);
  atomic_store(&team->busy, false);
}

void dk_team_barrier(struct dk_team *team) {
  if (team->count == 1) return;
  const uint32_t phase = atomic_load_explicit(&team->phase.value, memory_order_relaxed); /* cannot change before we arrive */
  if (atomic_fetch_add(&team->arrived, 1) == (uint32_t)team->count - 1) {
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_fetch_add(&team->phase.value, 1);
    wake(team, &team->phase);
  } else {
    wait_change(team, &team->phase, phase);
  }
}
