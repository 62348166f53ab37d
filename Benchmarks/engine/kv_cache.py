#!/usr/bin/env python3
"""What keys and values cost: decoding after a long prompt with a cache of bfloat16 and of float32, and opening an engine
of many positions.

    Benchmarks/engine/kv_cache.py --bin .build/release --model MODEL [--rounds 7] [--contexts 512 2048 7500]
        [--positions 131072] [--before DIRECTORY_WITH_ANOTHER_TRTLLM_RUN]

Both engines are of the same model, and each round runs one after the other (in turn, one or the other first). Opening
is what `trtllm-run --json` reports as `load_seconds`, of engines built for 2,048 positions and for --positions; with
--before, another executable's in the same rounds.
"""
import argparse
import json
import sys
import tempfile
from pathlib import Path

from measuring import Samples, run, say

TYPES = ("bfloat16", "float32")
SENTENCE = "The engineer walked along the quay and looked at every ship that had come in since the morning, one after another. "


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--contexts", type=int, nargs="*", default=[512, 2048, 7500])
    parser.add_argument("--positions", type=int, default=131072)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    threads = ["--threads", options.threads] if options.threads else []
    samples = Samples()

    def ask(engine: Path, prompt: str, tokens: int, executables: Path = options.bin):
        done = run(executables / "trtllm-run", "--engine_dir", engine, "--input_text", prompt, "--max_output_len", tokens, "--json", *threads)
        return json.loads(done.output), done.peak_bytes

    with tempfile.TemporaryDirectory() as directory:
        engines = {}
        cache = Path(directory) / "timing.json"

        def build(name: str, *flags) -> None:
            engines[name] = Path(directory) / name
            known = ["--input_timing_cache", cache] if cache.exists() else []
            run(options.bin / "trtllm-build", "--model_dir", options.model, "--output_dir", engines[name], "--dtype", "bfloat16",
                "--output_timing_cache", cache, *known, *flags)

        for kind in TYPES:  # the same kernels in both
            build(kind, "--kv_cache_dtype", kind)
        build("few positions", "--max_seq_len", 2048)
        build("many positions", "--max_seq_len", options.positions)

        executables = {"": options.bin} | ({"before, ": options.before} if options.before else {})
        for turn in range(options.rounds):
            for name in ("few positions", "many positions"):
                for label, place in sorted(executables.items(), reverse=turn % 2 == 1):
                    answer, peak = ask(engines[name], "a", 1, place)
                    samples.add(f"{label}{name}: open", answer["load_seconds"])
                    samples.add(f"{label}{name}: peak", peak)
        for length in options.contexts:
            per_sentence = len(ask(engines[TYPES[0]], SENTENCE * 3, 1)[0]["input_ids"]) / 3
            prompt = SENTENCE * int(length / per_sentence)
            for turn in range(options.rounds):
                say(f"context {length}, round {turn + 1} of {options.rounds}")
                rates = {}
                for kind in TYPES if turn % 2 == 0 else reversed(TYPES):
                    answer, peak = ask(engines[kind], prompt, options.tokens)
                    if len(answer["output_ids"]) < 16:
                        sys.exit(f"benchmark: the answer ended after {len(answer['output_ids'])} tokens")
                    rates[kind] = answer["generation_tokens_per_second"]
                    samples.add(f"{length} {kind}: decode", rates[kind])
                    samples.add(f"{length} {kind}: prefill", answer["prompt_tokens_per_second"])
                    samples.add(f"{length} {kind}: peak", peak)
                samples.add(f"{length}: ratio", rates["bfloat16"] / rates["float32"])

    print(f"Median of {options.rounds} rounds (range).\n")
    print("| tokens before | decode, bfloat16 cache | float32 cache | ratio, round by round | peak memory, bfloat16 | float32 |\n|---|---|---|---|---|---|")
    for length in options.contexts:
        print(
            f"| {length} | {samples.show(f'{length} bfloat16: decode')} tokens/s | {samples.show(f'{length} float32: decode')} "
            f"| {samples.show(f'{length}: ratio', digits=2)} | {samples.show(f'{length} bfloat16: peak', 1e-6, ' MB', 0)} "
            f"| {samples.show(f'{length} float32: peak', 1e-6, ' MB', 0)} |")
    print("\n| opening an engine | time | peak memory |\n|---|---|---|")
    for name in ("few positions", "many positions"):
        for label in executables:
            print(f"| {label}{name} | {samples.show(f'{label}{name}: open', 1e3, ' ms')} | {samples.show(f'{label}{name}: peak', 1e-6, ' MB', 0)} |")


main()
