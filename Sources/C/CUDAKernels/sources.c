#include "CUDAKernels.h"

#include <stddef.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const struct {
  const char *name, *text;
} files[] = {
    {"CUDAArguments.h", (const char[]){
#embed "include/CUDAArguments.h"
                            , 0}},
    {"common.cu", (const char[]){
#embed "kernels/common.cu"
                            , 0}},
    {"rows.cu", (const char[]){
#embed "kernels/rows.cu"
                            , 0}},
    {"panels.cu", (const char[]){
#embed "kernels/panels.cu"
                            , 0}},
    {"linear.cu", (const char[]){
#embed "kernels/linear.cu"
                            , 0}},
    {"linear_row.cu", (const char[]){
#embed "kernels/linear_row.cu"
                            , 0}},
    {"linear_wide.cu", (const char[]){
#embed "kernels/linear_wide.cu"
                            , 0}},
    {"heads.cu", (const char[]){
#embed "kernels/heads.cu"
                            , 0}},
    {"attention.cu", (const char[]){
#embed "kernels/attention.cu"
                            , 0}},
    {"attention_row.cu", (const char[]){
#embed "kernels/attention_row.cu"
                            , 0}},
    {"attention_prompt.cu", (const char[]){
#embed "kernels/attention_prompt.cu"
                            , 0}},
    {"weights.cu", (const char[]){
#embed "kernels/weights.cu"
                            , 0}},
};

const char *dk_cuda_file(const char *name) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (!strcmp(files[i].name, name)) return files[i].text;
  return NULL;
}
