#!/usr/bin/env python3
"""Loads trtllm-serve, and llama.cpp's server beside it, and prints a Markdown table.

    Benchmarks/serve/benchmark.py --bin DIR --engine DIR --adapter DIR [--gguf FILE --python PYTHON] [--threads 2] [--rounds 3]

--bin holds the built commands; --engine is a built engine; --adapter a LoRA for it; --gguf the same weights for llama.cpp,
whose server --python can run (pip install 'llama-cpp-python[server]'). The client runs on the same cores as the servers.
"""
import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "engine"))
from client import Client, Failed  # noqa: E402
from measuring import Samples, run, say  # noqa: E402

STORY = "Once upon a time, in a town by the sea, there lived an old lighthouse keeper who"
LONG_WORDS = "The keeper wrote down the weather, the ships and the birds that passed. "


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, command: list[str], port: int, environment=None):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        self.port = port

    async def ready(self):
        client = Client(self.port, "")
        for _ in range(600):
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(f"benchmark: the server ended:\n{self.log.read()}")
            try:
                status, _ = await client.call("GET", "/v1/models")
                if status == 200:
                    return self
            except (OSError, IndexError, ValueError):
                pass
            await asyncio.sleep(0.1)
        sys.exit("benchmark: the server does not answer")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()


async def throughput(client: Client, streams: int, tokens: int, extra: dict) -> float:
    """Tokens a second over all streams, each with a prompt of its own."""
    start = time.perf_counter()
    replies = await asyncio.gather(
        *(client.complete(f"{index}. {STORY}", tokens, **extra) for index in range(streams)))
    seconds = time.perf_counter() - start
    return sum(reply["usage"]["completion_tokens"] for reply in replies) / seconds


class Background:
    """Streams that run on beside what is measured, and when their parts came. The client shares the cores with the
    servers, so parts are kept as they came and read when all is over."""

    def __init__(self, client: Client, count: int, tokens: int, extra: dict):
        self.times: list[list[float]] = [[] for _ in range(count)]
        self.parts: list[list[bytes]] = [[] for _ in range(count)]
        self.failures: list[str] = []
        self.tasks = [asyncio.create_task(self._follow(client, index, tokens, extra)) for index in range(count)]

    async def _follow(self, client, index, tokens, extra):
        times, parts = self.times[index], self.parts[index]
        try:
            async for now, event in client.stream_bytes(f"{index}. {STORY}", tokens, **extra):
                times.append(now)
                parts.append(event)
        except (Failed, OSError, ValueError) as error:
            self.failures.append(str(error))

    def read(self) -> list[set[str]]:
        """The versions that each stream named; notes what says that it failed."""
        versions = []
        for parts in self.parts:
            events = [json.loads(part) for part in parts]
            self.failures += [str(event["error"]) for event in events if "error" in event]
            versions.append({event.get("system_fingerprint") for event in events})
        return versions

    async def started(self):
        while not all(len(times) > 3 for times in self.times):
            await asyncio.sleep(0.01)

    def gaps(self, since: float, until: float) -> list[float]:
        return [b - a for times in self.times for a, b in zip(times, times[1:]) if b >= since and a <= until]

    def rate(self, since: float, until: float) -> float:
        return sum(since <= t < until for times in self.times for t in times) / (until - since)

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def first_token(client: Client, long_prompt: str, extra: dict, samples: Samples, name: str, streams: int):
    background = Background(client, streams, 600, extra) if streams else None
    if background:
        await background.started()
    start = time.perf_counter()
    async for now, event in client.stream_bytes(long_prompt, 4, **extra):
        choices = json.loads(event).get("choices")
        if choices and choices[0].get("text"):
            samples.add(f"{name} ttft {streams}", now - start)
            if background:
                samples.add(f"{name} gap beside prefill", max(background.gaps(start, now)))
            break
    if background:
        await background.end()
        background.read()
        if background.failures:
            say(f"{name}: {background.failures}")


async def activation(client: Client, source: str, name: str, samples: Samples, extra: dict):
    """Eight streams while weights are made, then activated."""
    background = Background(client, 8, 1500, extra)
    await background.started()
    await asyncio.sleep(1)
    start = time.perf_counter()
    made = await client.admin("POST", "/prepare", {"source": source})
    prepared = time.perf_counter()
    await asyncio.sleep(1)
    before = time.perf_counter()
    change = await client.admin("POST", "/activate", {"version": made["version"], "in_flight": "switch"})
    after = time.perf_counter()
    await asyncio.sleep(1)
    end = time.perf_counter()
    quiet = background.gaps(prepared, before) or [0]
    samples.add(f"{name} prepare", made["seconds"])
    samples.add(f"{name} swap", change["pause_microseconds"])
    samples.add(f"{name} step", statistics.median(quiet))
    samples.add(f"{name} longest before", max(quiet))
    samples.add(f"{name} longest at swap", max(background.gaps(before, after + 0.05) or [0]))
    samples.add(f"{name} rate quiet", background.rate(prepared, before))
    samples.add(f"{name} rate preparing", background.rate(start, prepared))
    samples.add(f"{name} rate after", background.rate(after, end))
    await background.end()
    switched = sum(made["version"] in versions for versions in background.read())
    samples.add(f"{name} altered", len(background.failures) + (8 - switched))
    await client.admin("POST", "/undo", {"in_flight": "abort"})
    await client.admin("DELETE", "/" + made["version"])


# Tokens of a short and of a long answer: the difference of their times is decoding alone, without prompt and connection.
SHORT, LONG = 64, 448


async def served_decode(client: Client, extra: dict, streamed: bool) -> float:
    """Tokens a second of one stream."""
    times = []
    for tokens in (SHORT, LONG):
        start = time.perf_counter()
        if streamed:
            async for _ in client.stream(STORY, tokens, **extra):
                pass
        else:
            await client.complete(STORY, tokens, **extra)
        times.append(time.perf_counter() - start)
    return (LONG - SHORT) / (times[1] - times[0])


def run_decode(command: Path, engine: str, threads: int) -> float:
    seconds, counts = [], []
    for tokens in (SHORT, LONG):
        result = run(command, "--engine_dir", engine, "--input_text", STORY, "--max_output_len", tokens, "--json", "--threads", threads)
        answer = json.loads(result.output.strip().splitlines()[-1])
        counts.append(len(answer["output_ids"]))
        seconds.append((counts[-1] - 1) / answer["generation_tokens_per_second"])
    return (counts[1] - counts[0]) / (seconds[1] - seconds[0])


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--gguf")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--json")
    a = parser.parse_args()
    commands = Path(a.bin).resolve()
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix="drydock-serve-") as work:
        root = Path(work)
        shutil.copytree(a.adapter, root / "lora")
        say("making a whole checkpoint of other weights")
        run(commands / "trtllm-refit", "--engine_dir", a.engine, "--checkpoint_dir", a.adapter, "--refit_engine_dir", root / "full")
        port = free_port()
        ours = Server(
            [str(commands / "trtllm-serve"), a.engine, "--port", str(port), "--served_model_name", "m", "--threads", str(a.threads),
             "--max_batch_size", "16", "--admin_key", "k", "--weights_root", work, "--log_level", "warning"], port)
        servers = [("drydock", ours, Client(port, "m", "k"), {"ignore_eos": True})]
        if a.gguf:
            port = free_port()
            llama = Server(
                [a.python, "-m", "llama_cpp.server", "--model", a.gguf, "--port", str(port), "--n_threads", str(a.threads),
                 "--n_threads_batch", str(a.threads), "--n_ctx", "2048", "--interrupt_requests", "false"], port)
            servers.append(("llama.cpp", llama, Client(port, "m"), {}))
        try:
            for _, server, _, _ in servers:
                await server.ready()
            for index in range(a.rounds):
                say(f"round {index + 1} of {a.rounds}")
                for streams in (1, 4, 16):
                    for name, _, client, extra in servers:
                        samples.add(f"{name} {streams}", await throughput(client, streams, a.tokens, extra))
                for name, _, client, extra in servers:
                    for streams in (0, 8) if name == "drydock" else (0,):
                        # About 1,500 tokens, and another text each time, or the cache would know it.
                        prompt = f"{index} {streams} {time.time()} " + LONG_WORDS * 98
                        await first_token(client, prompt, extra, samples, name, streams)
                client, extra = servers[0][2], servers[0][3]
                if index == 0:
                    _, counted = await client.call("POST", "/tokenize", {"prompt": prompt})
                    samples.add("prompt tokens", counted["count"])
                await activation(client, "lora", "LoRA", samples, extra)
                await activation(client, "full", "full", samples, extra)
                samples.add("served decode", await served_decode(client, extra, False))
                samples.add("streamed decode", await served_decode(client, extra, True))
                samples.add("run decode", run_decode(commands / "trtllm-run", a.engine, a.threads))
        finally:
            for _, server, _, _ in servers:
                server.stop()
    if a.json:
        samples.save(a.json)
    print(table(samples, a))


def table(s: Samples, a) -> str:
    load = os.getloadavg()
    rows = [
        f"{a.threads} threads, {a.rounds} rounds, median (range); load average at the end {load[0]:.1f}.",
        "",
        "| tokens a second over all streams | 1 | 4 | 16 |",
        "|---|---|---|---|",
    ]
    for name in ("drydock", "llama.cpp"):
        if f"{name} 1" in s.values:
            rows.append(f"| {name} | " + " | ".join(s.show(f"{name} {n}") for n in (1, 4, 16)) + " |")
    if "llama.cpp 1" in s.values:
        rows.append("| ratio | " + " | ".join(s.ratio(f"drydock {n}", f"llama.cpp {n}") for n in (1, 4, 16)) + " |")
    rows += [
        "", f"| first token of a prompt of {s.median('prompt tokens'):.0f} tokens | alone | beside 8 streams | longest gap of those |",
        "|---|---|---|---|",
    ]
    for name in ("drydock", "llama.cpp"):
        if f"{name} ttft 0" in s.values:
            rows.append(
                f"| {name} | {s.show(f'{name} ttft 0', 1, ' s', 2)} | {s.show(f'{name} ttft 8', 1, ' s', 2)} | "
                f"{s.show(f'{name} gap beside prefill', 1e3, ' ms', 0)} |")
    rows += ["", "| weights changed under 8 streams | LoRA | whole checkpoint |", "|---|---|---|"]
    for title, key, scale, unit, digits in (
        ("making them", "prepare", 1, " s", 2), ("swap between two steps, as the server measures it", "swap", 1, " µs", 1),
        ("median gap between parts before", "step", 1e3, " ms", 1), ("longest gap in the second before", "longest before", 1e3, " ms", 1),
        ("longest gap at the swap", "longest at swap", 1e3, " ms", 1), ("tokens a second before the swap", "rate quiet", 1, "", 1),
        ("while making weights", "rate preparing", 1, "", 1), ("in the second after the swap", "rate after", 1, "", 1),
        ("failed or not switched streams", "altered", 1, "", 0),
    ):
        rows.append(f"| {title} | {s.show('LoRA ' + key, scale, unit, digits)} | {s.show('full ' + key, scale, unit, digits)} |")
    alone = s.median("run decode")
    rows += [
        "", "| decode, one stream | tokens a second | overhead |", "|---|---|---|", f"| trtllm-run | {s.show('run decode')} | |",
        *(f"| trtllm-serve, {title} | {s.show(key)} | {100 * (1 - s.median(key) / alone):.1f}% |"
          for title, key in (("whole answer", "served decode"), ("streamed", "streamed decode"))),
    ]
    return "\n".join(rows)


asyncio.run(main())
