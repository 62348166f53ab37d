#include "CFuzzer.h"

void __asan_poison_memory_region(void const volatile *start, size_t size) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *start, size_t size) __attribute__((weak));

void fuzz_poison(const void *start, size_t size) {
  if (__asan_poison_memory_region) __asan_poison_memory_region(start, size);
}

void fuzz_unpoison(const void *start, size_t size) {
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(start, size);
}
