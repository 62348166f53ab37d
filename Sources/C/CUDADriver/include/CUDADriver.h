/* NVIDIA's driver and its compiler of kernels, opened at run time: nothing of CUDA is needed to compile, link or start.
 *
 * Prototypes are our own. Functions are looked up under the names of the versions written here, so a newer library gives the
 * same functions. No policy: every function is one call of the library, and returns its code, 0 for success. */
#ifndef DK_CUDA_DRIVER_H
#define DK_CUDA_DRIVER_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The driver: libcuda.so.1 ------------------------------------------------------------------------------ */

/* Opens it, once in a process. Null where that is done; else what is missing, in words. From any thread. Every function below
 * needs it. */
const char *dk_cuda_load(void);

/* For tests: functions of both libraries come from `find` from now on; null: from the libraries. Not while any is used. */
void dk_cuda_substitute(void *(*find)(const char *name));
void *(*dk_cuda_substitute_in_use(void))(const char *name);

/* "CUDA_ERROR_OUT_OF_MEMORY" and "out of memory"; of a code that the driver does not know, empty. */
const char *dk_cuda_error_name(int32_t code);
const char *dk_cuda_error_text(int32_t code);

typedef uint64_t dk_cuda_pointer; /* device memory */
typedef struct dk_cuda_context *dk_cuda_context;
typedef struct dk_cuda_stream *dk_cuda_stream;
typedef struct dk_cuda_pool *dk_cuda_pool;
typedef struct dk_cuda_event *dk_cuda_event;
typedef struct dk_cuda_module *dk_cuda_module;
typedef struct dk_cuda_function *dk_cuda_function;
typedef struct dk_cuda_graph *dk_cuda_graph; /* ready to be launched */

/* Numbers of CUdevice_attribute. */
enum {
  DK_CUDA_MULTIPROCESSORS = 16, DK_CUDA_MAJOR = 75, DK_CUDA_MINOR = 76, DK_CUDA_SHARED_MEMORY = 97, /* most of a block, on request */
  DK_CUDA_REGISTERS_READ_ONLY = 113, DK_CUDA_HAS_POOLS = 115
};
/* Codes that callers tell apart. */
enum { DK_CUDA_OUT_OF_MEMORY = 2, DK_CUDA_NO_DEVICE = 100, DK_CUDA_NOT_READY = 600 };

int32_t dk_cuda_init(void);
int32_t dk_cuda_driver_version(int32_t *version); /* 13000 is 13.0 */
int32_t dk_cuda_device_count(int32_t *count);
int32_t dk_cuda_device_name(int32_t device, char *name, int32_t count);
int32_t dk_cuda_device_attribute(int32_t device, int32_t attribute, int32_t *value);

/* The context that all of a process share on a device. */
int32_t dk_cuda_retain_context(int32_t device, dk_cuda_context *context);
int32_t dk_cuda_release_context(int32_t device);
/* Of the calling thread; every call below needs one. */
int32_t dk_cuda_use_context(dk_cuda_context context);

int32_t dk_cuda_free_memory(size_t *free, size_t *total);
int32_t dk_cuda_allocate(size_t count, dk_cuda_pointer *pointer);
int32_t dk_cuda_free(dk_cuda_pointer pointer);

/* Memory of a device that is taken and given back in the order of a stream, without a wait for what else the device does: the pool keeps what is
 * given back until it is emptied or destroyed. Not before all of it is given back is it destroyed. */
int32_t dk_cuda_make_pool(int32_t device, dk_cuda_pool *pool);
int32_t dk_cuda_destroy_pool(dk_cuda_pool pool);
/* Bytes that it keeps and nobody has. */
int32_t dk_cuda_pool_idle(dk_cuda_pool pool, size_t *count);
/* Gives those to the device. */
int32_t dk_cuda_empty_pool(dk_cuda_pool pool);
int32_t dk_cuda_allocate_from(dk_cuda_pool pool, size_t count, dk_cuda_stream stream, dk_cuda_pointer *pointer);
int32_t dk_cuda_give_back(dk_cuda_pointer pointer, dk_cuda_stream stream);

/* Host memory that the device reads and writes by itself. */
int32_t dk_cuda_allocate_host(size_t count, void **pointer);
int32_t dk_cuda_free_host(void *pointer);

int32_t dk_cuda_copy_in(dk_cuda_pointer to, const void *from, size_t count, dk_cuda_stream stream);
int32_t dk_cuda_copy_out(void *to, dk_cuda_pointer from, size_t count, dk_cuda_stream stream);

/* One that does not wait for others. Blocks of kernels on urgent ones are given room before those on others. */
int32_t dk_cuda_make_stream(dk_cuda_stream *stream, int32_t is_urgent);
int32_t dk_cuda_destroy_stream(dk_cuda_stream stream);
int32_t dk_cuda_wait(dk_cuda_stream stream);

/* One that sleeps lets who waits for it sleep, and keeps no time. */
int32_t dk_cuda_make_event(dk_cuda_event *event, int32_t sleeps);
/* What comes later in a stream waits for the event. */
int32_t dk_cuda_follow(dk_cuda_stream stream, dk_cuda_event event);
/* 0: the device has come there; DK_CUDA_NOT_READY: not yet. */
int32_t dk_cuda_query_event(dk_cuda_event event);
int32_t dk_cuda_wait_for_event(dk_cuda_event event);
int32_t dk_cuda_destroy_event(dk_cuda_event event);
int32_t dk_cuda_record(dk_cuda_event event, dk_cuda_stream stream);
int32_t dk_cuda_milliseconds(dk_cuda_event from, dk_cuda_event to, float *milliseconds);

int32_t dk_cuda_load_module(const void *image, dk_cuda_module *module);
int32_t dk_cuda_unload_module(dk_cuda_module module);
int32_t dk_cuda_find_function(dk_cuda_module module, const char *name, dk_cuda_function *function);
/* Lets it be launched with so much shared memory. */
int32_t dk_cuda_allow_shared_memory(dk_cuda_function function, int32_t count);
/* How much of a multiprocessor's memory is shared memory while it runs, rather than a cache; in percent, of what it can have. */
int32_t dk_cuda_prefer_shared_memory(dk_cuda_function function, int32_t percent);

typedef struct {
  uint32_t grid[3], block[3];
  uint32_t shared_memory; /* bytes */
  int32_t overlaps;       /* may start before the kernel before it has ended, which it waits for by itself; from 9.0 on */
} dk_cuda_launch_shape;
/* A kernel of one parameter, which is copied. */
int32_t dk_cuda_launch(dk_cuda_function function, const dk_cuda_launch_shape *shape, const void *argument, dk_cuda_stream stream);

/* What is launched between the two is not run but recorded. */
int32_t dk_cuda_begin_recording(dk_cuda_stream stream);
/* Ends the recording, whatever came before; with `graph` null or after an error nothing is kept. */
int32_t dk_cuda_end_recording(dk_cuda_stream stream, dk_cuda_graph *graph);
/* What its first launch would bring to the device. */
int32_t dk_cuda_upload_graph(dk_cuda_graph graph, dk_cuda_stream stream);
int32_t dk_cuda_launch_graph(dk_cuda_graph graph, dk_cuda_stream stream);
int32_t dk_cuda_destroy_graph(dk_cuda_graph graph);

/* ---- The compiler of kernels: libnvrtc.so.13 or .12 ------------------------------------------------------------ */

/* Opens the library at a path, or, with null, what the loader or /usr/local/cuda has; once in a process. Null where that is
 * done; else what is missing, in words. */
const char *dk_nvrtc_load(const char *path);
/* Machine code for a card. `output` is that, or after an error the compiler's messages, zero-terminated; free() it. */
int32_t dk_nvrtc_compile(const char *source, const char *const *options, int32_t option_count, char **output, size_t *count);
/* The same for a virtual card, as text. */
int32_t dk_nvrtc_translate(const char *source, const char *const *options, int32_t option_count, char **output, size_t *count);
const char *dk_nvrtc_error_text(int32_t code);

#ifdef __cplusplus
}
#endif
#endif
