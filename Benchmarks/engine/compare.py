#!/usr/bin/env python3
"""Two builds of the commands beside each other, in turns: what a redesign costs or gains; prints a Markdown table.

    Benchmarks/engine/compare.py --before BIN_OF_EARLIER --bin .build/release --model SmolLM2-135M-Instruct.Q4_1.gguf [--rounds 9]

Each round runs everything once with either, which of them first in turns; kernels are chosen anew each time. Ratios are of the two runs of one round, one after the other: median and range.
"""
import argparse
import statistics
import tempfile
from pathlib import Path

import benchmark
from measuring import Samples, say

FIGURES = [("decode", "decode, tokens/s", 1), ("prefill", "prefill, 512 tokens, tokens/s", 1), ("load", "engine load, ms", 1e3),
           ("start to first token", "start to first token, ms", 1e3), ("convert", "convert, ms", 1e3), ("build", "build, ms", 1e3),
           ("prune", "prune, ms", 1e3), ("refit", "refit, full checkpoint, ms", 1e3), ("refit LoRA", "refit, LoRA, ms", 1e3)]


def measure(samples: Samples, binaries: Path, model: str, work: Path) -> None:
    benchmark.BIN = binaries
    engine = benchmark.measure_life_cycle(samples, model, work)
    for _ in range(3):  # the shortest and noisiest
        benchmark.measure_inference(samples, engine)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    before, after, ratios = Samples(), Samples(), {}
    with tempfile.TemporaryDirectory(prefix="compare-") as directory:
        work = Path(directory)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            sides = [(before, options.before), (after, options.bin)]
            for samples, binaries in sides if number % 2 else sides[::-1]:
                measure(samples, binaries, options.model, work)
    print("| what | before | after | ratio, round by round |\n|---|---:|---:|---:|")
    for key, name, scale in FIGURES:
        pairs = [b / a for a, b in zip(before.values[key], after.values[key])]
        print(f"| {name} | {before.show(key, scale)} | {after.show(key, scale)} | {statistics.median(pairs):.2f}× ({min(pairs):.2f}–{max(pairs):.2f}) |")
    for key in ("convert", "build", "refit", "refit LoRA"):
        print(f"| peak memory, {key} | {before.show(key + ' peak', 1e-6, ' MB', 0)} | {after.show(key + ' peak', 1e-6, ' MB', 0)} | |")


main()
