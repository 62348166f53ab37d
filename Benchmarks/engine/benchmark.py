"""The benchmark itself; Benchmarks/run prepares what it needs. One round measures everything once, so that whatever
else the machine does falls on all alike; the table shows medians over the rounds and, in brackets, their range."""
import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from measuring import Samples, directory_bytes, run, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ADAPTER = ROOT / "Models/salty-lora"
PROMPT_TOKENS, GENERATED_TOKENS = 512, 128
DECODE_PROMPT = "Once upon a time, in a small village by the sea,"  # goes on well past 128 tokens
PREFILL_PROMPT = "the" + " the" * (PROMPT_TOKENS - 1)  # one token a word


BIN = Path()


def command(name: str) -> Path:
    return BIN / f"trtllm-{name}"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def instruction_sets() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
    except (OSError, IndexError):
        return ""
    return ", ".join(n for f, n in [("amx_bf16", "AMX-BF16"), ("avx512_bf16", "AVX-512 BF16"), ("avx2", "AVX2")] if f in flags)


def measure_limits(samples: Samples, memory_read: Path, threads: int, byte_count: int) -> None:
    median, _ = run(memory_read, threads, byte_count).output.split()
    samples.add("memory read", float(median))
    samples.add("limit tokens/s", float(median) / byte_count)


def measure_llama_cpp(samples: Samples, path: str, threads: int) -> dict:
    result = json.loads(run(sys.executable, HERE / "llama_cpp_speed.py", path, threads, PROMPT_TOKENS, GENERATED_TOKENS).output)
    samples.add("llama.cpp prefill", result["prefill"])
    samples.add("llama.cpp decode", result["decode"])
    samples.add("llama.cpp load", result["load_seconds"])
    return result


def run_prompt(engine: Path, prompt: str, tokens: int) -> tuple[dict, float]:
    finished = run(command("run"), "--engine_dir", engine, "--input_text", prompt, "--max_output_len", tokens, "--json")
    return json.loads(finished.output.strip().splitlines()[-1]), finished.seconds


def measure_inference(samples: Samples, engine: Path) -> None:
    result, _ = run_prompt(engine, DECODE_PROMPT, GENERATED_TOKENS)
    if len(result["output_ids"]) < GENERATED_TOKENS:
        sys.exit(f"benchmark: expected {GENERATED_TOKENS} tokens, got {len(result['output_ids'])}")
    samples.add("decode", result["generation_tokens_per_second"])
    result, _ = run_prompt(engine, PREFILL_PROMPT, 1)
    if len(result["input_ids"]) != PROMPT_TOKENS:
        sys.exit(f"benchmark: expected a prompt of {PROMPT_TOKENS} tokens, got {len(result['input_ids'])}")
    samples.add("prefill", result["prompt_tokens_per_second"])
    result, seconds = run_prompt(engine, "Hello", 1)
    samples.add("start to first token", seconds)
    if "load_seconds" in result:
        samples.add("load", result["load_seconds"])


def measure_life_cycle(samples: Samples, model: str, work: Path) -> Path:
    """Convert, build, prune and refit, each into a fresh place; returns the engine."""
    checkpoint, engine, pruned, refitted, adapted = (
        work / n for n in ("checkpoint", "engine", "pruned", "refitted", "adapted")
    )
    steps = [
        ("convert", checkpoint, [command("convert"), "--model_dir", model, "--dtype", "bfloat16", "--output_dir", checkpoint]),
        ("build", engine, [command("build"), "--checkpoint_dir", checkpoint, "--output_dir", engine]),
        ("prune", pruned, [command("prune"), "--checkpoint_dir", checkpoint, "--out_dir", pruned]),
        ("refit", refitted, [command("refit"), "--engine_dir", engine, "--checkpoint_dir", checkpoint, "--refit_engine_dir", refitted]),
        ("refit LoRA", adapted, [command("refit"), "--engine_dir", engine, "--checkpoint_dir", ADAPTER, "--refit_engine_dir", adapted]),
    ]
    for name, output, arguments in steps:
        shutil.rmtree(output, ignore_errors=True)
        finished = run(*arguments)
        samples.add(name, finished.seconds)
        samples.add(f"{name} peak", finished.peak_bytes)
    return engine


def measure_copy(samples: Samples, source: Path, target: Path) -> None:
    """cp alone leaves the bytes in the page cache; our commands have them on the disk when they end, so cp + sync too."""
    shutil.rmtree(target, ignore_errors=True)
    samples.add("copy", run("cp", "-r", source, target).seconds)
    shutil.rmtree(target)
    copy = run("cp", "-r", source, target).seconds
    sync = run("sync", *[f for f in target.iterdir() if f.is_file()]).seconds
    samples.add("copy and sync", copy + sync)
    shutil.rmtree(target)


def table(samples: Samples, threads: int, byte_count: int, features: str, rounds: int) -> str:
    s = samples
    megabyte = 1e-6
    rows = [
        ("decode, tokens/s", s.show("decode"), "llama.cpp " + s.show("llama.cpp decode"), s.ratio("decode", "llama.cpp decode"), "over 1×"),
        ("", "", f"read limit {s.show('limit tokens/s')}", s.ratio("decode", "limit tokens/s", percent=True), "80%"),
        (f"prefill {PROMPT_TOKENS}, tokens/s", s.show("prefill", digits=0), "llama.cpp " + s.show("llama.cpp prefill", digits=0),
         s.ratio("prefill", "llama.cpp prefill"), "4× with AMX"),
        ("engine load", s.show("load", 1e3, " ms"), "llama.cpp " + s.show("llama.cpp load", 1e3, " ms"), s.ratio("load", "llama.cpp load"), "milliseconds"),
        ("start to first token", s.show("start to first token", 1e3, " ms", 0), "", "", ""),
        ("refit, full checkpoint", s.show("refit", 1e3, " ms", 0), "cp " + s.show("copy", 1e3, " ms", 0), s.ratio("refit", "copy"), "1.5×"),
        ("", "", "cp and sync " + s.show("copy and sync", 1e3, " ms", 0), s.ratio("refit", "copy and sync"), ""),
        ("refit, LoRA adapter", s.show("refit LoRA", 1e3, " ms", 0), "cp " + s.show("copy", 1e3, " ms", 0), s.ratio("refit LoRA", "copy"), "1.5×"),
        ("", "", "cp and sync " + s.show("copy and sync", 1e3, " ms", 0), s.ratio("refit LoRA", "copy and sync"), ""),
    ]
    for name in ("convert", "build", "prune"):
        rows.append((name, s.show(name, 1e3, " ms", 0), "", "", ""))
    for name in ("convert", "build", "prune", "refit", "refit LoRA"):
        rows.append((f"peak memory, {name}", s.show(f"{name} peak", megabyte, " MB", 0), "", "", "100 MB"))
    lines = [
        f"SmolLM2-135M-Instruct in bfloat16 ({byte_count / 1e6:.0f} MB of weights read per token), {threads} threads on {processor()}"
        f" ({instruction_sets()}); memory read {s.show('memory read', 1e-9, ' GB/s')}; llama.cpp: {features}.",
        f"Median of {rounds} rounds (range). Load average at the start: {LOAD}.",
        "",
        "| what | drydock | beside it | ratio | aim |",
        "|---|---|---|---|---|",
    ]
    measured = [row for row in rows if "not measured" not in (row[2] or row[1])]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in measured])


LOAD = f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--bfloat16", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("--limits-only", action="store_true")  # the one case where a figure may be missing
    options = parser.parse_args()
    global BIN
    BIN = Path(options.bin)

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if float(LOAD) > 0.5 * threads:
        say(f"the machine is busy (load average {LOAD}); figures will be low")
    samples = Samples()
    work = Path(tempfile.mkdtemp(prefix="benchmark-", dir=options.cache))
    try:
        memory_read = work / "memory_read"
        run("cc", "-O2", "-pthread", HERE / "memory_read.c", "-o", memory_read)
        byte_count = os.path.getsize(options.bfloat16)
        for round_number in range(1, options.rounds + 1):
            say(f"round {round_number} of {options.rounds}")
            if not options.limits_only:
                engine = measure_life_cycle(samples, options.model, work)
                byte_count = sum(f.stat().st_size for f in engine.glob("rank*.engine"))
                measure_copy(samples, engine, work / "copy")
                measure_inference(samples, engine)
            measure_limits(samples, memory_read, threads, byte_count)
            llama = measure_llama_cpp(samples, options.bfloat16, threads)
        known = [f for f in llama["features"] if f.startswith(("AVX512", "AMX", "AVX2"))]
        print(table(samples, threads, byte_count, f"llama-cpp-python {llama['version']}, {', '.join(known)}", options.rounds))
        if options.json:
            samples.save(options.json)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
