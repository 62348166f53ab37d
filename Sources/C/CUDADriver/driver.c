#include "CUDADriver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* As in the driver's interface, of the versions that the names say. */
typedef struct {
  uint32_t id;
  uint32_t padding;
  union {
    int32_t allowed;
    char bytes[64];
  } value;
} launch_attribute;
/* CUmemPoolProps. */
typedef struct {
  int32_t allocation, handles, location_kind, location;
  void *security;
  size_t largest;
  uint16_t usage;
  uint8_t reserved[54];
} pool_properties;
enum { PINNED_ALLOCATION = 1, LOCATION_DEVICE = 1, POOL_RELEASE_THRESHOLD = 4, POOL_RESERVED = 5, POOL_USED = 7 };
enum { PROGRAMMATIC_STREAM_SERIALIZATION = 6, MAX_DYNAMIC_SHARED_SIZE_BYTES = 8, PREFERRED_SHARED_MEMORY_CARVEOUT = 9, STREAM_NON_BLOCKING = 1, CAPTURE_THREAD_LOCAL = 1, EVENT_BLOCKING_SYNC = 1,
       EVENT_DISABLE_TIMING = 2, MOST_URGENT = -5 };
typedef struct {
  uint32_t grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_memory;
  dk_cuda_stream stream;
  launch_attribute *attributes;
  uint32_t attribute_count;
} launch_configuration;

#define FUNCTIONS(each)                                                                                                \
  each(cuInit, (uint32_t))                                                                                             \
  each(cuDriverGetVersion, (int32_t *))                                                                                \
  each(cuGetErrorName, (int32_t, const char **))                                                                       \
  each(cuGetErrorString, (int32_t, const char **))                                                                     \
  each(cuDeviceGetCount, (int32_t *))                                                                                  \
  each(cuDeviceGet, (int32_t *, int32_t))                                                                              \
  each(cuDeviceGetName, (char *, int32_t, int32_t))                                                                    \
  each(cuDeviceGetAttribute, (int32_t *, int32_t, int32_t))                                                            \
  each(cuDevicePrimaryCtxRetain, (dk_cuda_context *, int32_t))                                                         \
  each(cuDevicePrimaryCtxRelease_v2, (int32_t))                                                                        \
  each(cuCtxSetCurrent, (dk_cuda_context))                                                                             \
  each(cuMemGetInfo_v2, (size_t *, size_t *))                                                                          \
  each(cuMemAlloc_v2, (dk_cuda_pointer *, size_t))                                                                     \
  each(cuMemFree_v2, (dk_cuda_pointer))                                                                                \
  each(cuMemPoolCreate, (dk_cuda_pool *, const pool_properties *))                                                     \
  each(cuMemPoolDestroy, (dk_cuda_pool))                                                                               \
  each(cuMemPoolSetAttribute, (dk_cuda_pool, int32_t, void *))                                                         \
  each(cuMemPoolGetAttribute, (dk_cuda_pool, int32_t, void *))                                                         \
  each(cuMemPoolTrimTo, (dk_cuda_pool, size_t))                                                                        \
  each(cuMemAllocFromPoolAsync, (dk_cuda_pointer *, size_t, dk_cuda_pool, dk_cuda_stream))                             \
  each(cuMemFreeAsync, (dk_cuda_pointer, dk_cuda_stream))                                                              \
  each(cuMemAllocHost_v2, (void **, size_t))                                                                           \
  each(cuMemFreeHost, (void *))                                                                                        \
  each(cuMemcpyHtoDAsync_v2, (dk_cuda_pointer, const void *, size_t, dk_cuda_stream))                                  \
  each(cuMemcpyDtoHAsync_v2, (void *, dk_cuda_pointer, size_t, dk_cuda_stream))                                        \
  each(cuStreamCreateWithPriority, (dk_cuda_stream *, uint32_t, int32_t))                                              \
  each(cuStreamDestroy_v2, (dk_cuda_stream))                                                                           \
  each(cuStreamSynchronize, (dk_cuda_stream))                                                                          \
  each(cuStreamBeginCapture_v2, (dk_cuda_stream, int32_t))                                                             \
  each(cuStreamEndCapture, (dk_cuda_stream, void **))                                                                  \
  each(cuStreamWaitEvent, (dk_cuda_stream, dk_cuda_event, uint32_t))                                                   \
  each(cuEventCreate, (dk_cuda_event *, uint32_t))                                                                     \
  each(cuEventDestroy_v2, (dk_cuda_event))                                                                             \
  each(cuEventQuery, (dk_cuda_event))                                                                                  \
  each(cuEventSynchronize, (dk_cuda_event))                                                                            \
  each(cuEventRecord, (dk_cuda_event, dk_cuda_stream))                                                                 \
  each(cuEventElapsedTime, (float *, dk_cuda_event, dk_cuda_event))                                                    \
  each(cuModuleLoadData, (dk_cuda_module *, const void *))                                                             \
  each(cuModuleUnload, (dk_cuda_module))                                                                               \
  each(cuModuleGetFunction, (dk_cuda_function *, dk_cuda_module, const char *))                                        \
  each(cuFuncSetAttribute, (dk_cuda_function, int32_t, int32_t))                                                       \
  each(cuLaunchKernelEx, (const launch_configuration *, dk_cuda_function, void **, void **))                           \
  each(cuGraphInstantiateWithFlags, (dk_cuda_graph *, void *, uint64_t))                                               \
  each(cuGraphUpload, (dk_cuda_graph, dk_cuda_stream))                                                                 \
  each(cuGraphLaunch, (dk_cuda_graph, dk_cuda_stream))                                                                 \
  each(cuGraphExecDestroy, (dk_cuda_graph))                                                                            \
  each(cuGraphDestroy, (void *))

#define DECLARE(name, parameters) static int32_t(*name) parameters;
FUNCTIONS(DECLARE)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int is_loaded;
static char missing[256];
static void *(*substitute)(const char *);

void dk_cuda_substitute(void *(*find)(const char *name)) {
  pthread_mutex_lock(&mutex);
  substitute = find;
  is_loaded = 0;
  pthread_mutex_unlock(&mutex);
}
void *(*dk_cuda_substitute_in_use(void))(const char *) { return substitute; }

static void load(void) {
  *missing = 0;
  void *library = substitute ? NULL : dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library && !substitute) {
    snprintf(missing, sizeof missing, "there is no NVIDIA driver here (libcuda.so.1 cannot be opened)");
    return;
  }
#define FIND(name, parameters)                                                                                    \
  if (!(*(void **)&name = substitute ? substitute(#name) : dlsym(library, #name)) && !*missing)                   \
    snprintf(missing, sizeof missing, "the NVIDIA driver is too old: it has no %s. Install version 525 or later", #name);
  FUNCTIONS(FIND)
}

const char *dk_cuda_load(void) {
  pthread_mutex_lock(&mutex);
  if (!is_loaded) load();
  is_loaded = 1;
  pthread_mutex_unlock(&mutex);
  return *missing ? missing : NULL;
}

const char *dk_cuda_error_name(int32_t code) {
  const char *text = NULL;
  return cuGetErrorName && cuGetErrorName(code, &text) == 0 && text ? text : "";
}
const char *dk_cuda_error_text(int32_t code) {
  const char *text = NULL;
  return cuGetErrorString && cuGetErrorString(code, &text) == 0 && text ? text : "";
}

int32_t dk_cuda_init(void) { return cuInit(0); }
int32_t dk_cuda_driver_version(int32_t *version) { return cuDriverGetVersion(version); }
int32_t dk_cuda_device_count(int32_t *count) { return cuDeviceGetCount(count); }
int32_t dk_cuda_device_name(int32_t device, char *name, int32_t count) {
  int32_t handle, code = cuDeviceGet(&handle, device);
  return code ? code : cuDeviceGetName(name, count, handle);
}
int32_t dk_cuda_device_attribute(int32_t device, int32_t attribute, int32_t *value) {
  int32_t handle, code = cuDeviceGet(&handle, device);
  return code ? code : cuDeviceGetAttribute(value, attribute, handle);
}

int32_t dk_cuda_retain_context(int32_t device, dk_cuda_context *context) {
  int32_t handle, code = cuDeviceGet(&handle, device);
  return code ? code : cuDevicePrimaryCtxRetain(context, handle);
}
int32_t dk_cuda_release_context(int32_t device) {
  int32_t handle, code = cuDeviceGet(&handle, device);
  return code ? code : cuDevicePrimaryCtxRelease_v2(handle);
}
int32_t dk_cuda_use_context(dk_cuda_context context) { return cuCtxSetCurrent(context); }

int32_t dk_cuda_free_memory(size_t *free, size_t *total) { return cuMemGetInfo_v2(free, total); }
int32_t dk_cuda_allocate(size_t count, dk_cuda_pointer *pointer) { return cuMemAlloc_v2(pointer, count); }
int32_t dk_cuda_free(dk_cuda_pointer pointer) { return cuMemFree_v2(pointer); }

int32_t dk_cuda_make_pool(int32_t device, dk_cuda_pool *pool) {
  pool_properties properties = {.allocation = PINNED_ALLOCATION, .location_kind = LOCATION_DEVICE, .location = device};
  uint64_t all = UINT64_MAX;
  int32_t code = cuMemPoolCreate(pool, &properties);
  if (code) return code;
  code = cuMemPoolSetAttribute(*pool, POOL_RELEASE_THRESHOLD, &all);
  if (code) cuMemPoolDestroy(*pool);
  return code;
}
int32_t dk_cuda_destroy_pool(dk_cuda_pool pool) { return cuMemPoolDestroy(pool); }
int32_t dk_cuda_pool_idle(dk_cuda_pool pool, size_t *count) {
  uint64_t reserved = 0, used = 0;
  int32_t code = cuMemPoolGetAttribute(pool, POOL_RESERVED, &reserved);
  if (code == 0) code = cuMemPoolGetAttribute(pool, POOL_USED, &used);
  *count = reserved > used ? reserved - used : 0;
  return code;
}
int32_t dk_cuda_empty_pool(dk_cuda_pool pool) { return cuMemPoolTrimTo(pool, 0); }
int32_t dk_cuda_allocate_from(dk_cuda_pool pool, size_t count, dk_cuda_stream stream, dk_cuda_pointer *pointer) {
  return cuMemAllocFromPoolAsync(pointer, count, pool, stream);
}
int32_t dk_cuda_give_back(dk_cuda_pointer pointer, dk_cuda_stream stream) { return cuMemFreeAsync(pointer, stream); }
int32_t dk_cuda_allocate_host(size_t count, void **pointer) { return cuMemAllocHost_v2(pointer, count); }
int32_t dk_cuda_free_host(void *pointer) { return cuMemFreeHost(pointer); }

int32_t dk_cuda_copy_in(dk_cuda_pointer to, const void *from, size_t count, dk_cuda_stream stream) {
  return cuMemcpyHtoDAsync_v2(to, from, count, stream);
}
int32_t dk_cuda_copy_out(void *to, dk_cuda_pointer from, size_t count, dk_cuda_stream stream) {
  return cuMemcpyDtoHAsync_v2(to, from, count, stream);
}

int32_t dk_cuda_make_stream(dk_cuda_stream *stream, int32_t is_urgent) {
  /* What is beyond the range of a card is taken as its end. */
  return cuStreamCreateWithPriority(stream, STREAM_NON_BLOCKING, is_urgent ? MOST_URGENT : 0);
}
int32_t dk_cuda_destroy_stream(dk_cuda_stream stream) { return cuStreamDestroy_v2(stream); }
int32_t dk_cuda_wait(dk_cuda_stream stream) { return cuStreamSynchronize(stream); }

int32_t dk_cuda_make_event(dk_cuda_event *event, int32_t sleeps) {
  return cuEventCreate(event, sleeps ? EVENT_BLOCKING_SYNC | EVENT_DISABLE_TIMING : 0);
}
int32_t dk_cuda_follow(dk_cuda_stream stream, dk_cuda_event event) { return cuStreamWaitEvent(stream, event, 0); }
int32_t dk_cuda_query_event(dk_cuda_event event) { return cuEventQuery(event); }
int32_t dk_cuda_wait_for_event(dk_cuda_event event) { return cuEventSynchronize(event); }
int32_t dk_cuda_destroy_event(dk_cuda_event event) { return cuEventDestroy_v2(event); }
int32_t dk_cuda_record(dk_cuda_event event, dk_cuda_stream stream) { return cuEventRecord(event, stream); }
int32_t dk_cuda_milliseconds(dk_cuda_event from, dk_cuda_event to, float *milliseconds) {
  return cuEventElapsedTime(milliseconds, from, to);
}

int32_t dk_cuda_load_module(const void *image, dk_cuda_module *module) { return cuModuleLoadData(module, image); }
int32_t dk_cuda_unload_module(dk_cuda_module module) { return cuModuleUnload(module); }
int32_t dk_cuda_find_function(dk_cuda_module module, const char *name, dk_cuda_function *function) {
  return cuModuleGetFunction(function, module, name);
}
int32_t dk_cuda_allow_shared_memory(dk_cuda_function function, int32_t count) {
  return cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED_SIZE_BYTES, count);
}
int32_t dk_cuda_prefer_shared_memory(dk_cuda_function function, int32_t percent) {
  return cuFuncSetAttribute(function, PREFERRED_SHARED_MEMORY_CARVEOUT, percent);
}

int32_t dk_cuda_launch(dk_cuda_function function, const dk_cuda_launch_shape *shape, const void *argument, dk_cuda_stream stream) {
  launch_attribute overlap = {.id = PROGRAMMATIC_STREAM_SERIALIZATION, .value.allowed = 1};
  launch_configuration configuration = {
      shape->grid[0], shape->grid[1], shape->grid[2], shape->block[0], shape->block[1], shape->block[2],
      shape->shared_memory, stream, &overlap, shape->overlaps ? 1 : 0};
  void *parameters[1] = {(void *)argument};
  return cuLaunchKernelEx(&configuration, function, parameters, NULL);
}

int32_t dk_cuda_begin_recording(dk_cuda_stream stream) { return cuStreamBeginCapture_v2(stream, CAPTURE_THREAD_LOCAL); }
int32_t dk_cuda_end_recording(dk_cuda_stream stream, dk_cuda_graph *graph) {
  void *recorded = NULL;
  int32_t code = cuStreamEndCapture(stream, &recorded);
  if (code == 0 && graph) code = cuGraphInstantiateWithFlags(graph, recorded, 0);
  if (recorded) cuGraphDestroy(recorded);
  return code;
}
int32_t dk_cuda_upload_graph(dk_cuda_graph graph, dk_cuda_stream stream) { return cuGraphUpload(graph, stream); }
int32_t dk_cuda_launch_graph(dk_cuda_graph graph, dk_cuda_stream stream) { return cuGraphLaunch(graph, stream); }
int32_t dk_cuda_destroy_graph(dk_cuda_graph graph) { return cuGraphExecDestroy(graph); }
