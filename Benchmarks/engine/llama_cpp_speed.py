"""Measures llama.cpp through llama-cpp-python: prints one JSON object.

    python llama_cpp_speed.py MODEL.gguf THREADS PROMPT_TOKENS GENERATED_TOKENS

Measured as llama.cpp's own llama-bench does: a warm-up, then a prompt of arbitrary tokens in one batch, then
tokens one by one from an empty cache, no sampling. With and without flash attention; the faster figure counts.
"""
import ctypes
import json
import sys
import time

import llama_cpp as llama


def batch_of(tokens: list[int], first_position: int):
    batch = llama.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = first_position + i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = i == len(tokens) - 1
    return batch


def seconds_to_decode(context, tokens: list[int], first_position: int) -> float:
    batch = batch_of(tokens, first_position)
    start = time.perf_counter()
    if llama.llama_decode(context, batch) != 0:
        sys.exit("llama_decode failed")
    llama.llama_synchronize(context)
    taken = time.perf_counter() - start
    llama.llama_batch_free(batch)
    return taken


def measure(model, threads: int, prompt_count: int, generated_count: int, flash_attention: int) -> dict:
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = max(prompt_count, generated_count) + 64
    parameters.n_batch = parameters.n_ubatch = max(prompt_count, 512)
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.flash_attn_type = flash_attention
    context = llama.llama_init_from_model(model, parameters)
    memory = llama.llama_get_memory(context)
    tokens = [(7 * i + 13) % 40000 + 100 for i in range(max(prompt_count, generated_count))]

    seconds_to_decode(context, tokens[:64], 0)  # warm up
    llama.llama_memory_clear(memory, True)
    prefill = seconds_to_decode(context, tokens[:prompt_count], 0)
    llama.llama_memory_clear(memory, True)
    seconds_to_decode(context, tokens[:1], 0)
    llama.llama_memory_clear(memory, True)
    decode = sum(seconds_to_decode(context, [tokens[i]], i) for i in range(generated_count))
    llama.llama_free(context)
    return {"prefill": prompt_count / prefill, "decode": generated_count / decode}


def main() -> None:
    path, threads, prompt_count, generated_count = sys.argv[1], *map(int, sys.argv[2:])
    quiet = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    start = time.perf_counter()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    load = time.perf_counter() - start
    tries = [measure(model, threads, prompt_count, generated_count, kind) for kind in (0, 1)]
    features = llama.llama_print_system_info().decode()
    print(
        json.dumps(
            {
                "version": llama.__version__,
                "load_seconds": load,
                "prefill": max(t["prefill"] for t in tries),
                "decode": max(t["decode"] for t in tries),
                "tries": tries,
                "features": [f.split("=")[0].strip() for f in features.split("|") if f.strip().endswith("= 1")],
            }
        )
    )


main()
