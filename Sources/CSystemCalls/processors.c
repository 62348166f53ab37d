#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include "CSystemCalls.h"

static int allowed_processors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (int)online;
}

/* The first line of a file, without its end; 0 where there is none. */
static int first_line(const char *path, char *line, int room) {
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  int found = fgets(line, room, file) != NULL;
  fclose(file);
  if (found) line[strcspn(line, "\n")] = 0;
  return found;
}

/* Thousandths of a processor; 0 for numbers that make no sense. */
static int64_t share(long long quota, long long period) {
  return quota > 0 && quota < 1000000000000000 && period > 0 ? quota * 1000 / period : 0;
}

/* One group's own limit of processor time in thousandths of a processor; 0 for none. Version 2, then version 1. */
static int64_t quota_of(const char *group) {
  char path[4096 + 64], line[256];
  snprintf(path, sizeof path, "%s/cpu.max", group);
  if (first_line(path, line, sizeof line)) {
    long long quota, period;
    return sscanf(line, "%lld %lld", &quota, &period) == 2 ? share(quota, period) : 0;
  }
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", group);
  if (!first_line(path, line, sizeof line)) return 0;
  long long quota = atoll(line);
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", group);
  return first_line(path, line, sizeof line) ? share(quota, atoll(line)) : 0;
}

/* One group's own limit of memory in bytes; 0 for none. Version 1 says "none" by a number near 2^63. */
static int64_t memory_of(const char *group) {
  static const char *const names[] = {"memory.max", "memory.limit_in_bytes"};
  for (int i = 0; i < 2; i++) {
    char path[4096 + 64], line[256];
    snprintf(path, sizeof path, "%s/%s", group, names[i]);
    if (!first_line(path, line, sizeof line)) continue;
    long long limit = atoll(line); /* "max" is 0 */
    return limit > 0 && limit < (1LL << 60) ? limit : 0;
  }
  return 0;
}

/* The least that `limit` says of the process's group under `controller` and of all groups above it; 0 for none. */
static int64_t least(const char *root, const char *controller, int64_t (*limit)(const char *)) {
  char path[4096], line[4096], group[4096] = "", mount[4096];
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  /* Lines are `number:controllers:group`; version 2 has the number 0 and no controllers. A controller is in one of them. */
  int is_version_1 = 0;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *names = strchr(line, ':'), *place = names ? strchr(names + 1, ':') : NULL;
    if (!place) continue;
    *place++ = 0;
    names++;
    if (!*names) {
      if (!is_version_1) snprintf(group, sizeof group, "%s", place);
      continue;
    }
    for (char *rest, *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
      if (strcmp(name, controller)) continue;
      is_version_1 = 1;
      snprintf(group, sizeof group, "%s", place);
      snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, controller);
    }
  }
  fclose(file);
  int64_t result = 0;
  for (;;) {
    char whole[sizeof mount + sizeof group];
    snprintf(whole, sizeof whole, "%s%s", mount, group);
    whole[4095] = 0;
    int64_t found = limit(whole);
    if (found > 0 && (result == 0 || found < result)) result = found;
    char *slash = strrchr(group, '/');
    if (!slash) return result;
    *slash = 0; /* in a container the group's own folder is often mounted as the root: what is not there has no limit */
  }
}

int drydock_processor_count(const char *root) {
  int count = allowed_processors();
  int64_t quota = least(root, "cpu", quota_of);
  if (quota > 0 && (quota + 999) / 1000 < count) count = (int)((quota + 999) / 1000);
  return count < 1 ? 1 : count;
}

int64_t drydock_available_memory(const char *root) {
  int64_t result = least(root, "memory", memory_of);
  char path[4096], line[256];
  snprintf(path, sizeof path, "%s/proc/meminfo", root);
  FILE *file = fopen(path, "re");
  if (!file) return result;
  long long kibibytes;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "MemAvailable: %lld kB", &kibibytes) != 1) continue;
    if (result == 0 || kibibytes * 1024 < result) result = kibibytes * 1024;
    break;
  }
  fclose(file);
  return result;
}
