#include "CUDADouble.h"
#include "state.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_READY = 600, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500, INVALID = 1, NO_BINARY = 209 };

struct block {
  struct block *next;
  uint8_t *base, *known; /* known: a byte for each byte of device memory that was written */
  size_t count;
  int is_host;
  struct pool *pool; /* that it is of, or null */
};
struct pool { int64_t reserved, used; };
enum what { COPY_IN, COPY_OUT, LAUNCH, FOLLOW };
struct work {
  struct work *next;
  enum what what;
  uint64_t device;
  void *host;      /* of a copy, pinned */
  uint8_t *copied; /* instead: what ordinary memory held */
  size_t count;
  struct launch launch;
  struct stream *before; /* that is to be done first */
};
struct list { struct work *first, **last; };
struct stream { struct list todo; int is_recording; struct list recorded; };
struct event { struct stream *stream; int was_asked; };
struct graph { struct list list; };
struct module { int head; };
struct function { struct function *next; enum kernel kernel; char name[64]; int head; uint32_t shared; int64_t launches; };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static struct function *functions;
static struct stream *streams[512];
static int64_t memory, used, calls, fail_at, live, waits; /* used: what pools keep, too */
static int32_t fail_code, fails_on, lost;
static char problem[512];
/* Of the compiler. */
static int32_t version = 1;
static int64_t compilations;
static char unknown[64], refused[64];
static _Thread_local int has_context;

void double_note(const char *format, ...) {
  if (*problem) return;
  va_list list;
  va_start(list, format);
  vsnprintf(problem, sizeof problem, format, list);
  va_end(list);
}

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

static struct block *find_block(uint64_t address, uint64_t count, int is_host) {
  for (struct block *b = blocks; b; b = b->next)
    if (b->is_host == is_host && address >= (uint64_t)b->base && address + count <= (uint64_t)b->base + b->count) return b;
  return NULL;
}
void *double_write(const char *who, uint64_t address, uint64_t count) {
  struct block *b = find_block(address, count, 0);
  if (!b) {
    double_note("%s writes %llu bytes where no device memory is", who, (unsigned long long)count);
    return NULL;
  }
  memset(b->known + (address - (uint64_t)b->base), 1, count);
  return (void *)address;
}
void *double_read(const char *who, uint64_t address, uint64_t count) {
  struct block *b = find_block(address, count, 0);
  if (!b) {
    double_note("%s reads %llu bytes where no device memory is", who, (unsigned long long)count);
    return NULL;
  }
  if (count && memchr(b->known + (address - (uint64_t)b->base), 0, count)) {
    double_note("%s reads bytes that nothing wrote", who);
    return NULL;
  }
  return (void *)address;
}
static int32_t make_block(size_t count, int is_host, void **base) {
  if (!is_host && (int64_t)count > memory - used) return OUT_OF_MEMORY;
  if (!is_host) used += count;
  struct block *b = calloc(1, sizeof *b);
  b->base = aligned_alloc(256, (count + 255) / 256 * 256);
  if (!is_host) memset(b->base, 0xff, count), b->known = calloc(count, 1);
  b->count = count, b->is_host = is_host, b->next = blocks, blocks = b;
  live++;
  *base = b->base;
  return 0;
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

static void append(struct list *list, struct work work) {
  struct work *made = malloc(sizeof work);
  *made = work, made->next = NULL;
  if (!list->first) list->last = &list->first;
  *list->last = made, list->last = &made->next;
}
static void drop(struct list *list) {
  while (list->first) {
    struct work *next = list->first->next;
    free(list->first->copied), free(list->first);
    list->first = next;
  }
}
static void drain(struct stream *s);
static void run(struct work *w) {
  switch (w->what) {
  case COPY_IN: {
    void *to = double_write("a copy", w->device, w->count);
    if (!w->copied && !find_block((uint64_t)w->host, w->count, 1)) double_note("a copy from pinned memory that is gone");
    else if (to) memcpy(to, w->copied ? w->copied : w->host, w->count);
    break;
  }
  case COPY_OUT: {
    void *from = double_read("a copy", w->device, w->count);
    if (!find_block((uint64_t)w->host, w->count, 1)) double_note("a copy to memory that is not pinned");
    else if (from) memcpy(w->host, from, w->count);
    break;
  }
  case LAUNCH: double_run(&w->launch); break;
  case FOLLOW: drain(w->before);
  }
}
static void drain(struct stream *s) {
  for (struct work *w = s->todo.first; w; w = w->next) run(w);
  drop(&s->todo);
}
static void drain_all(void) {
  for (int i = 0; i < 512; i++)
    if (streams[i]) drain(streams[i]);
}
static struct stream *check_stream(struct stream *s) {
  for (int i = 0; i < 512; i++)
    if (s && streams[i] == s) return s;
  double_note("a stream that is gone");
  return NULL;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

/* The code that a call has to fail with; what gives something back does so all the same. */
static int32_t enter(int needs_context) {
  calls++;
  if (needs_context && !has_context) {
    double_note("call %lld on a thread that has no context", (long long)calls);
    return INVALID_CONTEXT;
  }
  if (lost) return lost;
  if (calls != fail_at) return 0;
  if (fails_on) lost = fail_code;
  return fail_code;
}
#define CALL(name, parameters, ...) \
  static int32_t name parameters { \
    pthread_mutex_lock(&mutex); \
    int32_t code = enter(1); \
    __VA_ARGS__ pthread_mutex_unlock(&mutex); \
    return code; \
  }
#define IF_WELL if (code == 0)

static int32_t init(uint32_t flags) {
  (void)flags;
  pthread_mutex_lock(&mutex);
  int32_t code = enter(0);
  pthread_mutex_unlock(&mutex);
  return code;
}
static int32_t driver_version(int32_t *version) { return *version = 13000, 0; }
static int32_t error_name(int32_t code, const char **text) { return *text = code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_DOUBLE", 0; }
static int32_t error_string(int32_t code, const char **text) { return *text = code == OUT_OF_MEMORY ? "out of memory" : "made to fail", 0; }
static int32_t device_count(int32_t *count) { return *count = 1, init(0); }
static int32_t device_get(int32_t *handle, int32_t index) { return *handle = index, 0; }
static int32_t device_name(char *name, int32_t count, int32_t device) {
  (void)device;
  return snprintf(name, count, "Double"), init(0);
}
static int32_t attribute(int32_t *value, int32_t number, int32_t device) {
  (void)device;
  *value = number == 75 ? 9 : number == 76 ? 0 : number == 16 ? 4 : number == 97 ? 232448 : number == 115 ? 1 : 0;
  return init(0);
}
static int32_t retain(void **context, int32_t device) { return (void)device, *context = &memory, init(0); }
static int32_t release(int32_t device) { return (void)device, 0; }
static int32_t set_current(void *context) { return has_context = context != NULL, init(0); }

CALL(mem_info, (size_t *free, size_t *total), IF_WELL { *free = memory - used; *total = memory; })
CALL(mem_alloc, (uint64_t *pointer, size_t count), IF_WELL { void *base = NULL; code = make_block(count, 0, &base); *pointer = (uint64_t)base; })
CALL(alloc_host, (void **pointer, size_t count), IF_WELL code = make_block(count, 1, pointer);)
/* `waits`: for all that is still to be done. Else that finds the memory gone. */
static void free_block(uint64_t address, int is_host, int is_pooled, int waits_for_all) {
  if (waits_for_all) drain_all(), waits++;
  for (struct block **b = &blocks; *b; b = &(*b)->next)
    if ((uint64_t)(*b)->base == address && (*b)->is_host == is_host && !(*b)->pool == !is_pooled) {
      struct block *gone = *b;
      *b = gone->next, live--;
      if (is_pooled) gone->pool->used -= gone->count;
      else if (!is_host) used -= gone->count;
      free(gone->base), free(gone->known), free(gone);
      return;
    }
  double_note("memory is given back that was not given");
}
CALL(mem_free, (uint64_t pointer), free_block(pointer, 0, 0, 1);)
CALL(free_host, (void *pointer), free_block((uint64_t)pointer, 1, 0, 1);)

struct pool_properties { int32_t allocation, handles, location_kind, location; void *security; size_t largest; uint16_t usage; uint8_t reserved[54]; };
CALL(pool_create, (struct pool **pool, const struct pool_properties *p), IF_WELL {
  if (p->allocation != 1 || p->handles || p->location_kind != 1 || p->location || p->largest || p->usage) double_note("a pool of other memory");
  *pool = calloc(1, sizeof **pool), live++;
})
CALL(pool_destroy, (struct pool *pool), {
  if (pool->used) double_note("a pool goes while some of its memory is used");
  used -= pool->reserved, free(pool), live--;
})
CALL(pool_set, (struct pool *pool, int32_t attribute, void *value), IF_WELL {
  (void)pool;
  if (attribute != 4 || *(uint64_t *)value != UINT64_MAX) double_note("a pool that does not keep its memory");
})
CALL(pool_get, (struct pool *pool, int32_t attribute, void *value), IF_WELL *(uint64_t *)value = attribute == 5 ? pool->reserved : pool->used;)
CALL(pool_trim, (struct pool *pool, size_t least), IF_WELL if (pool->reserved > pool->used) {
  if (least) double_note("a pool is emptied in part");
  drain_all(), waits++;
  used -= pool->reserved - pool->used, pool->reserved = pool->used;
})
CALL(pool_alloc, (uint64_t *pointer, size_t count, struct pool *pool, struct stream *s), IF_WELL if (check_stream(s)) {
  void *base = NULL;
  const int64_t idle = pool->reserved - pool->used, kept = idle < (int64_t)count ? idle : (int64_t)count;
  used -= kept, code = make_block(count, 0, &base);
  if (code) used += kept;
  else blocks->pool = pool, pool->used += count, pool->reserved += count - kept, *pointer = (uint64_t)base;
})
CALL(pool_free, (uint64_t pointer, struct stream *s), if (check_stream(s)) free_block(pointer, 0, 1, 0);)

CALL(copy_in, (uint64_t to, const void *from, size_t count, struct stream *s), IF_WELL if (check_stream(s)) {
  struct work w = {.what = COPY_IN, .device = to, .host = (void *)from, .count = count};
  if (s->is_recording) double_note("a copy is recorded");
  if (!find_block(to, count, 0)) double_note("a copy of %zu bytes where no device memory is", count);
  if (!find_block((uint64_t)from, count, 1)) memcpy(w.copied = malloc(count + 1), from, count);
  append(&s->todo, w);
})
CALL(copy_out, (void *to, uint64_t from, size_t count, struct stream *s), IF_WELL if (check_stream(s)) {
  if (!find_block((uint64_t)to, count, 1)) double_note("a copy to memory that is not pinned");
  append(&s->todo, (struct work){.what = COPY_OUT, .device = from, .host = to, .count = count});
})
CALL(stream_create, (struct stream **s, uint32_t flags, int32_t priority), (void)flags; (void)priority; IF_WELL {
  *s = calloc(1, sizeof **s), live++;
  for (int i = 0; i < 512; i++)
    if (!streams[i]) { streams[i] = *s; break; }
})
CALL(stream_destroy, (struct stream *s), if (check_stream(s)) {
  drain(s), drop(&s->recorded), live--;
  for (int i = 0; i < 512; i++)
    if (streams[i] == s) streams[i] = NULL;
  free(s);
})
CALL(stream_wait, (struct stream *s), IF_WELL if (check_stream(s)) {
  if (s->is_recording) double_note("a recording stream is waited for");
  drain(s);
})
CALL(begin_capture, (struct stream *s, int32_t mode), (void)mode; IF_WELL if (check_stream(s)) s->is_recording = 1;)
CALL(end_capture, (struct stream *s, void **graph), if (check_stream(s)) {
  struct graph *g = calloc(1, sizeof *g);
  g->list = s->recorded, s->recorded = (struct list){0}, s->is_recording = 0, live++;
  IF_WELL *graph = g;
  else drop(&g->list), free(g), live--;
})
CALL(event_create, (struct event **e, uint32_t flags), (void)flags; IF_WELL { *e = calloc(1, sizeof **e); live++; })
CALL(event_destroy, (struct event *e), free(e); live--;)
CALL(event_record, (struct event *e, struct stream *s), IF_WELL if (check_stream(s)) e->stream = s, e->was_asked = 0;)
CALL(follow, (struct stream *s, struct event *e, uint32_t flags), (void)flags; IF_WELL if (check_stream(s) && e->stream && check_stream(e->stream)) {
  append(&s->todo, (struct work){.what = FOLLOW, .before = e->stream});
})
/* Not there when it is asked first. */
CALL(event_query, (struct event *e), IF_WELL if (e->stream && check_stream(e->stream)) {
  if (e->was_asked++) drain(e->stream);
  else code = NOT_READY;
})
CALL(event_wait, (struct event *e), IF_WELL if (e->stream && check_stream(e->stream)) drain(e->stream);)
CALL(event_elapsed, (float *milliseconds, struct event *a, struct event *b), (void)a; (void)b; *milliseconds = 1;)

CALL(module_load, (struct module **module, const void *image), IF_WELL {
  *module = calloc(1, sizeof **module), live++;
  if (sscanf(image, "double %d", &(*module)->head) != 1) code = INVALID;
  else if (!strstr(image, " for sm_90a") || (*refused && strstr(image, refused))) code = NO_BINARY;
  if (code) free(*module), live--;
})
CALL(module_unload, (struct module *module), free(module); live--;)
CALL(get_function, (struct function **function, struct module *module, const char *name), IF_WELL {
  static const struct { const char *prefix; enum kernel kernel; } names[] = {
      {"dk_linear_wide_gated", LINEAR_WIDE_GATED}, {"dk_linear_wide", LINEAR_WIDE}, {"dk_linear_row_gated", LINEAR_ROW_GATED}, {"dk_linear_rows_gated", LINEAR_ROW_GATED},
      {"dk_linear_row", LINEAR_ROW}, {"dk_linear_gated", LINEAR_GATED}, {"dk_linear", LINEAR},
      {"dk_attend_prompt", ATTEND_PROMPT}, {"dk_attend_row", ATTEND_ROW}, {"dk_embed", EMBED}, {"dk_norm", NORM}, {"dk_pack", PACK}, {"dk_gated", GATED},
      {"dk_add", ADD}, {"dk_select", SELECT}, {"dk_turn", TURN}, {"dk_attend", ATTEND}, {"dk_merge", MERGE}, {"dk_choose", CHOOSE}, {"dk_read", READ}, {"dk_make", MAKE}, {"dk_digest", DIGEST}};
  code = NOT_FOUND;
  for (size_t i = 0; i < sizeof names / sizeof *names && code; i++) {
    if (strncmp(name, names[i].prefix, strlen(names[i].prefix))) continue;
    struct function *f = calloc(1, sizeof *f);
    f->kernel = names[i].kernel, f->head = module->head, f->shared = 48 << 10, f->next = functions, functions = f;
    snprintf(f->name, sizeof f->name, "%s", name);
    *function = f, code = 0;
  }
})
CALL(set_attribute, (struct function *function, int32_t attribute, int32_t value), IF_WELL if (attribute == 8) function->shared = value;)

struct configuration { uint32_t grid[3], block[3], shared; struct stream *stream; void *attributes; uint32_t attribute_count; };
CALL(launch, (const struct configuration *c, struct function *f, void **parameters, void **extra), (void)extra; IF_WELL if (check_stream(c->stream)) {
  const uint32_t threads = c->block[0] * c->block[1] * c->block[2];
  if (!c->grid[0] || !c->grid[1] || !c->grid[2] || !threads || threads > 1024 || c->shared > f->shared) {
    double_note("%s: launched with a grid of %u %u %u, %u threads, %u bytes of shared memory", f->name, c->grid[0], c->grid[1], c->grid[2], threads, c->shared);
    code = INVALID;
  } else {
    struct work w = {.what = LAUNCH, .launch = {.kernel = f->kernel, .name = f->name, .grid = {c->grid[0], c->grid[1], c->grid[2]}, .threads = threads, .shared = c->shared, .head = f->head}};
    memcpy(w.launch.argument, parameters[0], double_argument_size(f->kernel));
    f->launches++;
    append(c->stream->is_recording ? &c->stream->recorded : &c->stream->todo, w);
  }
})
CALL(instantiate, (struct graph **made, struct graph *from, uint64_t flags), (void)flags; IF_WELL {
  *made = calloc(1, sizeof **made), live++;
  for (struct work *w = from->list.first; w; w = w->next) append(&(*made)->list, *w);
})
CALL(graph_upload, (struct graph *graph, struct stream *s), (void)graph; (void)s;)
CALL(graph_launch, (struct graph *graph, struct stream *s), IF_WELL if (check_stream(s)) {
  for (struct work *w = graph->list.first; w; w = w->next) append(&s->todo, *w);
})
CALL(graph_destroy, (struct graph *graph), drop(&graph->list); free(graph); live--;)

/* ---- The compiler ----------------------------------------------------------------------------------------------- */

static int32_t program_create(char **program, const char *source, const char *name, int32_t count, const char *const *headers, const char *const *names) {
  (void)source, (void)name, (void)count, (void)headers, (void)names;
  return *program = calloc(64, 1), 0;
}
static int32_t program_destroy(char **program) { return free(*program), 0; }
static int32_t program_compile(char *program, int32_t count, const char *const *options) {
  const char *head = "0", *architecture = "";
  for (int i = 0; i < count; i++) {
    if (!strncmp(options[i], "-DDK_HEAD=", 10)) head = options[i] + 10;
    if (!strncmp(options[i], "--gpu-architecture=", 19)) architecture = options[i] + 19;
  }
  if (!strncmp(architecture, "compute_", 8)) return snprintf(program, 64, "// Cuda compilation tools, release 0.1, V0.1.%d\n", version), 0;
  pthread_mutex_lock(&mutex);
  const int is_refused = *unknown && strstr(architecture, unknown);
  compilations++;
  pthread_mutex_unlock(&mutex);
  return is_refused ? snprintf(program, 64, "no such card\n"), 6 : (snprintf(program, 64, "double %s by %d for %s", head, version, architecture), 0);
}
static int32_t program_size(char *program, size_t *size) { return (void)program, *size = 64, 0; }
static int32_t program_get(char *program, char *output) { return memcpy(output, program, 64), 0; }
static const char *compiler_error(int32_t code) { return (void)code, "made to fail"; }

void *cuda_double_find(const char *name) {
  static const struct { const char *name; void *function; } all[] = {
      {"cuInit", init}, {"cuDriverGetVersion", driver_version}, {"cuGetErrorName", error_name}, {"cuGetErrorString", error_string},
      {"cuDeviceGetCount", device_count}, {"cuDeviceGet", device_get}, {"cuDeviceGetName", device_name}, {"cuDeviceGetAttribute", attribute},
      {"cuDevicePrimaryCtxRetain", retain}, {"cuDevicePrimaryCtxRelease_v2", release}, {"cuCtxSetCurrent", set_current},
      {"cuMemGetInfo_v2", mem_info}, {"cuMemAlloc_v2", mem_alloc}, {"cuMemFree_v2", mem_free}, {"cuMemPoolCreate", pool_create}, {"cuMemPoolDestroy", pool_destroy},
      {"cuMemPoolSetAttribute", pool_set}, {"cuMemPoolGetAttribute", pool_get}, {"cuMemPoolTrimTo", pool_trim}, {"cuMemAllocFromPoolAsync", pool_alloc}, {"cuMemFreeAsync", pool_free}, {"cuMemAllocHost_v2", alloc_host},
      {"cuMemFreeHost", free_host}, {"cuMemcpyHtoDAsync_v2", copy_in}, {"cuMemcpyDtoHAsync_v2", copy_out}, {"cuStreamCreateWithPriority", stream_create},
      {"cuStreamDestroy_v2", stream_destroy}, {"cuStreamSynchronize", stream_wait}, {"cuStreamBeginCapture_v2", begin_capture},
      {"cuStreamEndCapture", end_capture}, {"cuStreamWaitEvent", follow}, {"cuEventCreate", event_create}, {"cuEventDestroy_v2", event_destroy}, {"cuEventRecord", event_record},
      {"cuEventQuery", event_query}, {"cuEventSynchronize", event_wait}, {"cuEventElapsedTime", event_elapsed}, {"cuModuleLoadData", module_load}, {"cuModuleUnload", module_unload},
      {"cuModuleGetFunction", get_function}, {"cuFuncSetAttribute", set_attribute}, {"cuLaunchKernelEx", launch},
      {"cuGraphInstantiateWithFlags", instantiate}, {"cuGraphUpload", graph_upload}, {"cuGraphLaunch", graph_launch},
      {"cuGraphExecDestroy", graph_destroy}, {"cuGraphDestroy", graph_destroy}, {"nvrtcCreateProgram", program_create},
      {"nvrtcDestroyProgram", program_destroy}, {"nvrtcCompileProgram", program_compile}, {"nvrtcGetProgramLogSize", program_size},
      {"nvrtcGetProgramLog", program_get}, {"nvrtcGetCUBINSize", program_size}, {"nvrtcGetCUBIN", program_get}, {"nvrtcGetPTXSize", program_size}, {"nvrtcGetPTX", program_get}, {"nvrtcGetErrorString", compiler_error}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!strcmp(all[i].name, name)) return !version && !strncmp(name, "nvrtc", 5) ? NULL : all[i].function;
  return NULL;
}

/* ---- For tests -------------------------------------------------------------------------------------------------- */

void cuda_double_start(int64_t byte_count) {
  pthread_mutex_lock(&mutex);
  memory = byte_count, used = calls = fail_at = live = waits = 0, lost = 0, *problem = 0, version = 1, compilations = 0, *refused = *unknown = 0;
  blocks = NULL, functions = NULL;
  memset(streams, 0, sizeof streams);
  pthread_mutex_unlock(&mutex);
}
void cuda_double_fail(int64_t call, int32_t code, int32_t is_lost) {
  pthread_mutex_lock(&mutex);
  fail_at = call ? calls + call : 0, fail_code = code, fails_on = is_lost;
  pthread_mutex_unlock(&mutex);
}
void cuda_double_compiler(int32_t its_version, const char *not_for) {
  version = its_version, compilations = 0;
  snprintf(unknown, sizeof unknown, "%s", not_for);
}
int64_t cuda_double_compilations(void) { return compilations; }
void cuda_double_refuse(const char *text) { snprintf(refused, sizeof refused, "%s", text); }
int64_t cuda_double_calls(void) {
  pthread_mutex_lock(&mutex);
  const int64_t count = calls;
  pthread_mutex_unlock(&mutex);
  return count;
}
int64_t cuda_double_launches(const char *prefix) {
  int64_t count = 0;
  pthread_mutex_lock(&mutex);
  for (struct function *f = functions; f; f = f->next)
    if (!strncmp(f->name, prefix, strlen(prefix))) count += f->launches;
  pthread_mutex_unlock(&mutex);
  return count;
}
const char *cuda_double_problem(void) { return *problem ? problem : NULL; }
int64_t cuda_double_live(void) { return live; }
int64_t cuda_double_waits(void) { return waits; }
int64_t cuda_double_used(void) { return used; }
