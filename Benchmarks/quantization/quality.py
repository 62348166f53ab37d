#!/usr/bin/env python3
"""Perplexity and speed of an engine in fewer bits beside the float engine of the same model, on fixed texts, and prints a Markdown table.

    Benchmarks/quantization/quality.py --bin .build/release --model MODEL [--scheme W8A16] [--rounds 5]

MODEL is a Hugging Face directory or a GGUF file. Perplexity: exp of the mean negative log-probability of every token of a text but
the first, in pieces of 1,000 tokens at most, as /v1/completions scores a prompt. Speeds are medians of interleaved runs, with
their range, and the share of the machine's memory that codes, scales and the rest of the weights take at the decode rate.
"""
import argparse
import json
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXTS = {"prose": HERE / "text.txt", "licence": HERE.parents[1] / "LICENSE"}
PROMPT = "Once upon a time, in a small village by the sea,"


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def perplexities(serve, engine):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    server = subprocess.Popen([serve, engine, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        model = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models"))["data"][0]["id"]
        found = {}
        for name, path in TEXTS.items():
            ids = post(port, "/tokenize", {"prompt": path.read_text(), "add_special_tokens": False})["tokens"]
            total, count = 0.0, 0
            for start in range(0, len(ids), 1000):
                answer = post(port, "/v1/completions", {
                    "model": model, "prompt": ids[start:start + 1000], "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0})
                scores = [value for value in answer["choices"][0]["logprobs"]["token_logprobs"] if value is not None]
                total -= sum(scores)
                count += len(scores)
            found[name] = (math.exp(total / count), count)
        return found
    finally:
        server.terminate()
        server.wait()


def speeds(run, engine):
    def rate(prompt, tokens):
        return json.loads(subprocess.run([run, "--engine_dir", engine, "--input_text", prompt, "--max_output_len", str(tokens), "--json"],
                                         check=True, capture_output=True, text=True).stdout)
    decode, prefill = rate(PROMPT, 128), rate("the" + " the" * 511, 1)
    return decode["generation_tokens_per_second"], prefill["prompt_tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scheme", default="W8A16")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        engines = {"bfloat16": [], options.scheme: ["--quantization", options.scheme]}
        for name, flags in engines.items():
            subprocess.run([options.bin / "trtllm-build", "--checkpoint_dir", options.model, "--output_dir", f"{place}/{name}", "--dtype", "bfloat16",
                            "--max_seq_len", "2048", *flags], check=True, stderr=subprocess.DEVNULL)
        quality = {name: perplexities(options.bin / "trtllm-serve", f"{place}/{name}") for name in engines}
        measured = {name: [] for name in engines}
        for _ in range(options.rounds):
            for name in engines:
                measured[name].append(speeds(options.bin / "trtllm-run", f"{place}/{name}"))
        sizes = {name: (Path(place) / name / "rank0.engine").stat().st_size for name in engines}
    texts = list(TEXTS)
    print("| engine | " + " | ".join(f"perplexity, {text} ({quality['bfloat16'][text][1]} tokens)" for text in texts)
          + " | decode tokens/s | GB/s of weights | prefill tokens/s | size |")
    print("|---|" + "---|" * (len(texts) + 4))
    for name in engines:
        decode, prefill = zip(*measured[name])
        middle = statistics.median(decode)
        print(f"| {name} | " + " | ".join(f"{quality[name][text][0]:.3f}" + (
            "" if name == "bfloat16" else f" ({(quality[name][text][0] / quality['bfloat16'][text][0] - 1) * 100:+.2f} %)") for text in texts)
              + f" | {middle:.1f} ({min(decode):.1f} to {max(decode):.1f}) | {middle * sizes[name] / 1e9:.1f}"
              + f" | {statistics.median(prefill):.0f} ({min(prefill):.0f} to {max(prefill):.0f}) | {sizes[name] / 1e6:.1f} MB |")


sys.exit(main())
