#ifndef CFUZZER_H
#define CFUZZER_H
#include <stddef.h>
#include <stdint.h>

// What libFuzzer and AddressSanitizer offer a target.

/// libFuzzer's own mutation of bytes; answers the new size.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/// Marks bytes that nobody may touch, and takes the mark away. Without AddressSanitizer these do nothing.
void fuzz_poison(const void *start, size_t size);
void fuzz_unpoison(const void *start, size_t size);

#endif
