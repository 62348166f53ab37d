#!/usr/bin/env python3
"""Asks trtllm-serve for all that is costly to refuse, and measures meanwhile how others are served; prints a Markdown table.

    Benchmarks/serve/hostile.py --bin DIR --engine DIR [--at_once 64] [--seconds 20] [--threads N] [--trust]

--engine is a built engine of a chat model. Each kind of request is sent by so many clients at once, again and again, from
processes of the lowest priority (their own work is not the server's). Beside them one client asks /health every 10 ms,
another reads a stream without end. --trust starts the server with --trust_request_chat_template, so that templates run.
"""
import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from client import Client  # noqa: E402

MEGABYTE = 1 << 20
LOOPS = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}"


def chat(content, **more):
    return "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 1, **more}


def complete(prompt, **more):
    return "/v1/completions", {"model": "m", "prompt": prompt, "max_tokens": 1, **more}


def kinds() -> dict[str, tuple[str, object]]:
    """Name to path and body; all are refused, some after work."""
    marks = "a" + "\u0301\u0316" * (MEGABYTE // 2)
    return {
        "template with loops": chat("Hi", chat_template=LOOPS),
        "template, 8 MB": chat("Hi", chat_template="{{ 1 }}" * MEGABYTE),
        "nested 100,000 deep": ("/v1/completions", b'{"model": "m", "prompt": ' + b"[" * 100_000),
        "8 MB of {}": ("/v1/completions", b'{"model": "m", "prompt": [' + b"{}," * (8 * MEGABYTE // 3 - 100) + b"1]}"),
        "8 MB of numbers": ("/v1/completions", b'{"model": "m", "prompt": [' + b"1," * (4 * MEGABYTE - 100) + b"1]}"),
        "8 MB of escapes": ("/v1/completions", b'{"model": "m", "prompt": "' + b"\\u0041" * (8 * MEGABYTE // 6 - 100) + b'"}'),
        "name of 2 MB of marks": ("/v1/completions", json.dumps({"model": "m", marks: 1}, ensure_ascii=False).encode()),
        "100,000 unknown fields": ("/v1/completions", {"model": "x" * 100, **{f"f{i}": i for i in range(100_000)}}),
        "prompt of 7 MB": complete("word " * (7 * MEGABYTE // 5)),
        "one word of 2 MB": complete("a" * (2 * MEGABYTE - 1), truncate_prompt_tokens=2_000_000, n=129),
        "tokenize one word of 2 MB": ("/tokenize", {"prompt": "ab" * (MEGABYTE - 1)}),
        "tokenize 1 MB of marks": ("/tokenize", {"prompt": marks[: MEGABYTE // 2]}),
        "tokenize 2 MB of spaces": ("/tokenize", {"prompt": " " * (2 * MEGABYTE - 1)}),
        "message of 2 MB": chat("ha " * (2 * MEGABYTE // 3 - 10)),
        "role of 2 MB of marks": ("/v1/chat/completions", json.dumps(
            {"model": "m", "messages": [{"role": marks, "content": "x"}]}, ensure_ascii=False).encode()),
        "100,000 messages": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}] * 100_000}),
        "17 stop strings of 1 KB": complete("Hi", stop=["a" * 1023 + chr(98 + i) for i in range(17)]),
        "bias on every token": complete("Hi", logit_bias={str(i): 1 for i in range(40_000)}),
        "n of 129": complete("Hi", n=129),
        "best_of of 1,000": complete("Hi", best_of=1000),
        "scores of 128 prompts": complete([[1] * 1000] * 128, echo=True, logprobs=20, max_tokens=0),
        "detokenize 1,000,000": ("/detokenize", {"tokens": [5] * 1_000_000}),
        "slow body": ("/v1/completions", None),
    }


def request(path: str, body) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def attack(port: int, at_once: int, jobs: list[tuple[str, object]], end: float, results):
    os.nice(19)
    requests = [(path, None if body is None else request(path, body)) for path, body in jobs]
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def client(index: int):
        turn = index
        while time.time() < end:
            path, data = requests[turn % len(requests)]
            turn += 1
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                    if data is None:
                        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n".encode())
                        while time.time() < end:
                            s.sendall(b" ")
                            time.sleep(0.05)
                        status = "slow"
                    else:
                        s.sendall(data)
                        status = s.recv(64).split(b" ")[1].decode()
            except OSError as error:
                status = type(error).__name__
            except IndexError:
                status = "closed"
            with lock:
                counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end + 5 - time.time()))
    results.put(counts)


async def watch(port: int, end: float):
    """Times of /health, and between two events of a stream, in milliseconds."""
    client = Client(port, "m")
    health: list[float] = []
    gaps: list[float] = []

    async def ask():
        while time.time() < end:
            start = time.perf_counter()
            status, _ = await client.call("GET", "/health")
            assert status == 200
            health.append((time.perf_counter() - start) * 1e3)
            await asyncio.sleep(0.01)

    async def read():
        while time.time() < end:
            body = client.request("Once upon a time", 2000, stream=True, ignore_eos=True)
            status, reader, writer, chunked, length = await client._open("POST", "/v1/completions", body)
            if status != 200:
                writer.close()
                gaps.append(float("nan"))
                await asyncio.sleep(0.1)
                continue
            last = None
            async for _ in client._pieces(reader, chunked, length):
                now = time.perf_counter()
                if last is not None:
                    gaps.append((now - last) * 1e3)
                last = now
                if time.time() >= end:
                    break
            writer.close()

    await asyncio.gather(ask(), read())
    return health, gaps


def row(name: str, health: list[float], gaps: list[float], answers: str) -> str:
    def show(values):
        values = sorted(values)
        return f"{statistics.median(values):.1f} | {values[int(len(values) * 0.99)]:.1f} | {values[-1]:.1f}"
    return f"| {name} | {show(health)} | {show(gaps)} | {answers} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--at_once", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--each", action="store_true", help="every kind by itself, too")
    options = parser.parse_args()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tempfile.TemporaryFile("w+")
    command = [f"{options.bin}/trtllm-serve", options.engine, "--port", str(port), "--served_model_name", "m", "--log_level", "warning"]
    command += ["--threads", options.threads] if options.threads else []
    command += ["--trust_request_chat_template"] if options.trust else []
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                if asyncio.run(Client(port, "m").call("GET", "/health"))[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        everything = kinds()
        runs = {"nothing": [], "all kinds together": list(everything.values())}
        if options.each:
            runs |= {name: [job] for name, job in everything.items()}
        print("| beside | /health, median ms | 99 % | longest | between tokens, median ms | 99 % | longest | answers |")
        print("|---|---:|---:|---:|---:|---:|---:|---|", flush=True)
        for name, jobs in runs.items():
            results = multiprocessing.Queue()
            end = time.time() + options.seconds
            attackers = [multiprocessing.Process(target=attack, args=(port, options.at_once, jobs, end, results))] if jobs else []
            for attacker in attackers:
                attacker.start()
            health, gaps = asyncio.run(watch(port, end))
            counts = results.get(timeout=30) if jobs else {}
            for attacker in attackers:
                attacker.kill()
                attacker.join()
            print(row(name, health, gaps, ", ".join(f"{n} × {s}" for s, n in sorted(counts.items()))), flush=True)
        memory = [line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith(("VmHWM", "RssAnon"))]
        print("\nserver's memory: " + ", ".join(" ".join(line.split()) for line in memory))
    finally:
        server.terminate()
        server.wait()
        log.seek(0)
        sys.stderr.write(log.read()[-2000:])


main()
