#define _GNU_SOURCE
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include "CSystemCalls.h"

int drydock_processor_count(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (int)online;
}
