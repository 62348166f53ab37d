#include "CUDADriver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct program *program;

#define FUNCTIONS(each)                                                                                          \
  each(nvrtcCreateProgram, (program *, const char *, const char *, int32_t, const char *const *, const char *const *)) \
  each(nvrtcDestroyProgram, (program *))                                                                         \
  each(nvrtcCompileProgram, (program, int32_t, const char *const *))                                             \
  each(nvrtcGetProgramLogSize, (program, size_t *))                                                              \
  each(nvrtcGetProgramLog, (program, char *))                                                                    \
  each(nvrtcGetCUBINSize, (program, size_t *))                                                                   \
  each(nvrtcGetCUBIN, (program, char *))                                                                         \
  each(nvrtcGetPTXSize, (program, size_t *))                                                                     \
  each(nvrtcGetPTX, (program, char *))

#define DECLARE(name, parameters) static int32_t(*name) parameters;
FUNCTIONS(DECLARE)
static const char *(*nvrtcGetErrorString)(int32_t);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *library;
static void *(*source)(const char *); /* in use, instead of a library */
static char missing[512];

static const char *const places[] = {
    "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.12"};

static const char *open_library(const char *path) {
  void *(*find)(const char *) = dk_cuda_substitute_in_use();
  if (library && find == source) return NULL;
  *missing = 0;
  library = NULL;
  void *found = NULL;
  if (find) {
    found = &library; /* not opened */
  } else if (path) {
    found = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  } else {
    for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) found = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (!found) {
    snprintf(missing, sizeof missing, "there is no compiler of CUDA kernels here (%.300s cannot be opened)", path ? path : "libnvrtc.so.13, libnvrtc.so.12");
    return missing;
  }
#define FIND(name, parameters) \
  if (!(*(void **)&name = find ? find(#name) : dlsym(found, #name))) snprintf(missing, sizeof missing, "the compiler of CUDA kernels lacks %s", #name);
  FUNCTIONS(FIND)
  FIND(nvrtcGetErrorString, )
  if (*missing) {
    if (!find) dlclose(found);
    return missing;
  }
  library = found;
  source = find;
  return NULL;
}

const char *dk_nvrtc_load(const char *path) {
  pthread_mutex_lock(&mutex);
  const char *result = open_library(path);
  pthread_mutex_unlock(&mutex);
  return result;
}

const char *dk_nvrtc_error_text(int32_t code) {
  const char *text = nvrtcGetErrorString ? nvrtcGetErrorString(code) : NULL;
  return text ? text : "";
}

/* Allocates and fills: machine code, or messages. */
static int32_t take(program made, int32_t (*size)(program, size_t *), int32_t (*get)(program, char *), char **output, size_t *count) {
  int32_t code = size(made, count);
  if (code) return code;
  *output = calloc(*count + 1, 1);
  return *output ? get(made, *output) : 1; /* NVRTC_ERROR_OUT_OF_MEMORY */
}

static int32_t compile(const char *source, const char *const *options, int32_t option_count, int32_t (*size)(program, size_t *),
                       int32_t (*get)(program, char *), char **output, size_t *count) {
  program made = NULL;
  *output = NULL;
  *count = 0;
  int32_t code = nvrtcCreateProgram(&made, source, "drydock.cu", 0, NULL, NULL);
  if (code) return code;
  code = nvrtcCompileProgram(made, option_count, options);
  int32_t taken = code ? take(made, nvrtcGetProgramLogSize, nvrtcGetProgramLog, output, count)
                       : take(made, size, get, output, count);
  nvrtcDestroyProgram(&made);
  return code ? code : taken;
}

int32_t dk_nvrtc_compile(const char *source, const char *const *options, int32_t option_count, char **output, size_t *count) {
  return compile(source, options, option_count, nvrtcGetCUBINSize, nvrtcGetCUBIN, output, count);
}

int32_t dk_nvrtc_translate(const char *source, const char *const *options, int32_t option_count, char **output, size_t *count) {
  return compile(source, options, option_count, nvrtcGetPTXSize, nvrtcGetPTX, output, count);
}
