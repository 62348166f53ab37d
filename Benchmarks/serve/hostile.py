#!/usr/bin/env python3
"""Asks trtllm-serve for all that is costly to refuse, and measures meanwhile how others are served; prints a Markdown table.

    Benchmarks/serve/hostile.py --server .build/release/trtllm-serve --engine DIR [--seconds 5] [--at_once 64] [--only TEXT] [--limit_ms 50]

Needs the executable (one with --static-swift-stdlib runs anywhere), a built engine of a chat model, and Python's standard
library. Each kind of request is sent by so many clients at once, again and again, then all kinds together; the senders have the
lowest priority, since their own work is not the server's. Beside them one process asks /health every 10 ms, each time over
a new connection, and another reads streams, one after another: a gap is the time between two arrivals of one. With --limit_ms the
exit code is 1 where any /health, or any gap, took longer. Figures mean something on a machine that does nothing else.
"""
import argparse
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MEGABYTE = 1 << 20
LOOPS = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}"


def chat(content, **more):
    return "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 1, **more}


def complete(prompt, **more):
    return "/v1/completions", {"model": "m", "prompt": prompt, "max_tokens": 1, **more}


class Exchange:
    """Bytes that a client sends over a connection of its own before it waits for the answer's beginning (`answer`), reads all of it
    (`end`), or closes the connection (`leave`)."""

    def __init__(self, data: bytes, until: str = "answer"):
        self.data, self.until = data, until


class Flood:
    """Bytes that a client sends over one connection: a beginning, then the same again and again, whatever is answered."""

    def __init__(self, opening: bytes, rest: bytes):
        self.opening, self.rest = opening, rest


def floods() -> dict[str, Flood]:
    """What is costly to read, whether or not anybody looks at it."""
    chunked = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    unwanted = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + b"a" * 65536
    return {
        "one endless chunk": Flood(chunked + b"40000000\r\n", b"a" * MEGABYTE),
        "chunks of one byte": Flood(chunked, b"1\r\nx\r\n" * (MEGABYTE // 6)),
        "an endless chunk extension": Flood(chunked + b"1;", b"a" * MEGABYTE),
        "unwanted bodies of 64 KiB, pipelined": Flood(b"", unwanted * 16),
        "GET /health, pipelined": Flood(b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 500),
        "paths of 8 KB, pipelined": Flood(b"", b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        "paths of 8 KB in parts, pipelined": Flood(b"", b"GET " + b"/a" * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    }


def exchanges() -> dict[str, Exchange]:
    """What no client library sends."""
    def get(target: bytes, fields: bytes = b"") -> bytes:
        return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n"

    def bytewise(head: bytes, count: int) -> bytes:
        return head[:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * count + b"0\r\n\r\n"

    post = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
    many = complete("Hi", n=128, max_tokens=40, ignore_eos=True, stream=True, logprobs=20)
    long = request(*complete("Hi", n=4, max_tokens=400, ignore_eos=True))
    return {
        "path of 78 KB": Exchange(get(b"/" + b"a" * 78_000)),
        "path of 78 KB in parts": Exchange(get(b"/a" * 39_000)),
        "query of 78 KB": Exchange(get(b"/health?" + b"a" * 78_000)),
        "no host": Exchange(b"GET /health HTTP/1.1\r\n\r\n"),
        "1,000 headers": Exchange(get(b"/health", b"".join(b"x%d: y\r\n" % i for i in range(990)))),
        "38,000 commas in Connection": Exchange(get(b"/health", b"Connection: " + b"a," * 38_000 + b"\r\n")),
        "body of 60 KB in chunks of one byte": Exchange(bytewise(post, 60_000)),
        "body of 600 KB in chunks of one byte": Exchange(bytewise(post, 600_000)),
        "the same to GET /health": Exchange(bytewise(get(b"/health"), 600_000)),
        "no HTTP": Exchange(b"GARBAGE\r\n\r\n"),
        "leaves after its request": Exchange(long, "leave"),
        "leaves within its body": Exchange(long[:-20], "leave"),
        "leaves after 500 requests": Exchange(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" * 500, "leave"),
        "stream of 128 answers with 20 log-probabilities a token": Exchange(request(*many), "end"),
    }


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


def ask(port: int, data: bytes) -> bytes:
    """The whole reply to one request that says Connection: close."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.sendall(data)
        reply = b""
        while piece := s.recv(1 << 16):
            reply += piece
        return reply


def get(port: int, path: str) -> tuple[int, bytes]:
    reply = ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def pour(s: socket.socket, flood: Flood, end: float) -> str:
    """Sends until the server closes the connection, or a second has passed."""
    s.settimeout(1)
    answer = b""
    try:
        s.sendall(flood.opening)
        stop = min(end, time.time() + 1)
        rest = memoryview(flood.rest)
        while time.time() < stop:
            rest = rest[s.send(rest):] or memoryview(flood.rest)
            s.settimeout(0)
            try:
                while piece := s.recv(1 << 20):
                    answer = answer or piece[:16]
            except BlockingIOError:
                pass
            s.settimeout(1)
    except OSError:
        pass
    return answer.split(b" ")[1].decode() if answer else "no answer"


def attack(port: int, clients: list[int], requests, end: float, results):
    """Each client sends one request after another, beginning with the one of its number."""
    os.nice(19)
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def client(index: int):
        turn = index
        while time.time() < end:
            path, data = requests[turn % len(requests)]
            turn += 1
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                    if isinstance(data, Flood):
                        status = pour(s, data, end)
                    elif isinstance(data, Exchange) and data.until == "leave":
                        s.sendall(data.data)
                        status = "left"
                    elif data is None:
                        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n".encode())
                        while time.time() < end:
                            s.sendall(b" ")
                            time.sleep(0.05)
                        status = "slow"
                    else:
                        s.sendall(data.data if isinstance(data, Exchange) else data)
                        status = s.recv(64).split(b" ")[1].decode()
                        while isinstance(data, Exchange) and data.until == "end" and s.recv(1 << 16):
                            pass
            except OSError as error:
                status = type(error).__name__
            except IndexError:
                status = "closed"
            with lock:
                counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=client, args=(index,), daemon=True) for index in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end + 5 - time.time()))
    results.put(counts)


def watch_health(port: int, end: float, results):
    """Milliseconds of each /health; one that fails counts as a minute."""
    times = []
    while time.time() < end:
        start = time.perf_counter()
        try:
            good = get(port, "/health")[0] == 200
        except (OSError, IndexError):
            good = False
        times.append((time.perf_counter() - start) * 1e3 if good else 60e3)
        time.sleep(0.01)
    results.put(times)


def watch_stream(port: int, tokens: int, end: float, results):
    """Milliseconds between two arrivals of a stream, and how many streams were not begun."""
    body = {"model": "m", "prompt": "Once upon a time", "max_tokens": tokens, "temperature": 0, "stream": True, "ignore_eos": True}
    gaps, refused = [], 0
    while time.time() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                s.sendall(request("/v1/completions", body))
                last = None
                while piece := s.recv(1 << 16):
                    now = time.perf_counter()
                    if last is None and not piece.startswith(b"HTTP/1.1 200"):
                        refused += 1
                        time.sleep(0.1)
                        break
                    if last is not None:
                        gaps.append((now - last) * 1e3)
                    last = now
                    if time.time() >= end:
                        break
        except OSError:
            refused += 1
            time.sleep(0.1)
    results.put((gaps, refused))


def measure(port: int, tokens: int, requests, options):
    """Sends these requests, and gives the times of /health, the gaps, streams not begun, and counts of answers by status."""
    end = time.time() + options.seconds
    queues = [multiprocessing.Queue() for _ in range(2)]
    workers = [multiprocessing.Process(target=watch_health, args=(port, end, queues[0])),
               multiprocessing.Process(target=watch_stream, args=(port, tokens, end, queues[1]))]
    shares = min(options.at_once, os.cpu_count() or 1, 8) if requests else 0
    answers = [multiprocessing.Queue() for _ in range(shares)]
    for share in range(shares):
        clients = list(range(share, options.at_once, shares))
        workers.append(multiprocessing.Process(target=attack, args=(port, clients, requests, end, answers[share])))
    for worker in workers:
        worker.start()
    health, (gaps, refused) = queues[0].get(timeout=60), queues[1].get(timeout=60)
    counts: dict[str, int] = {}
    for queue in answers:
        for status, count in queue.get(timeout=60).items():
            counts[status] = counts.get(status, 0) + count
    for worker in workers:
        worker.kill()
        worker.join()
    time.sleep(0.5)  # for the server to let go of what nobody waits for any more
    return health, gaps, refused, counts


def shares(times: list[float]) -> list[float]:
    """The median, the 99th of a hundred, and the largest."""
    times = sorted(times) or [float("nan")]
    return [times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99, 1)]


def start(options, log):
    server = Path(options.server)
    if server.is_dir():
        server = server / "trtllm-serve"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [str(server.resolve()), options.engine, "--port", str(port), "--served_model_name", "m", "--log_level", "warning"]
    command += ["--threads", options.threads] if options.threads else []
    command += ["--trust_request_chat_template"] if options.trust else []
    process = subprocess.Popen(command, stdout=log, stderr=log)
    for _ in range(1200):
        try:
            if get(port, "/health")[0] == 200:
                return process, port
        except (OSError, IndexError):
            pass
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    log.seek(0)
    sys.exit(f"{server} did not begin to serve: {log.read()[-2000:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", "--bin", required=True, help="trtllm-serve, or the directory that holds it")
    parser.add_argument("--engine", required=True, help="a built engine (or a model) with a chat template")
    parser.add_argument("--at_once", type=int, default=64, help="clients that send hostile requests (default: 64)")
    parser.add_argument("--seconds", type=float, default=5, help="for each kind (default: 5)")
    parser.add_argument("--threads", help="of the server; as many as there are cores by default")
    parser.add_argument("--trust", action="store_true", help="with --trust_request_chat_template, so that requests' templates run")
    parser.add_argument("--together", action="store_true", help="only all kinds together")
    parser.add_argument("--only", action="append", default=[], help="kinds whose name holds this text; may be repeated")
    parser.add_argument("--limit_ms", type=float, help="exit code 1 where a /health or a gap took longer")
    options = parser.parse_args()
    multiprocessing.set_start_method("fork")  # requests of megabytes are made once
    log = tempfile.TemporaryFile("w+")
    server, port = start(options, log)
    beyond = []
    try:
        length = json.loads(get(port, "/v1/models")[1])["data"][0].get("max_model_len") or 2048
        tokens = max(1, min(2000, length - 32))
        made = {name: (path, None if body is None else request(path, body)) for name, (path, body) in kinds().items()
                if not options.only or any(text in name for text in options.only)}
        made |= {name: ("", sent) for name, sent in (exchanges() | floods()).items() if not options.only or any(text in name for text in options.only)}
        runs = {"nothing": []} | ({} if options.together else {name: [job] for name, job in made.items()})
        runs["all kinds together"] = list(made.values())
        print(f"{options.at_once} clients, {options.seconds:g} s a row, {os.cpu_count()} processors\n")
        print("| beside | requests | /health p50, ms | p99 | max | stream's gap p50, ms | p99 | max | answers |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---|", flush=True)
        for name, requests in runs.items():
            health, gaps, refused, counts = measure(port, tokens, requests, options)
            at, gap = shares(health), shares(gaps)
            text = ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))
            text += f"; {refused} streams not begun" if refused else ""
            print(f"| {name} | {sum(counts.values())} | {' | '.join(f'{ms:.1f}' for ms in at + gap)} | {text} |", flush=True)
            if options.limit_ms and not max(at[2], gap[2]) <= options.limit_ms:
                beyond.append(name)
            if server.poll() is not None:
                sys.exit(f"the server ended with {server.returncode}")
        memory = [line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith(("VmHWM", "RssAnon"))]
        print("\nserver's memory: " + ", ".join(" ".join(line.split()) for line in memory))
    finally:
        server.terminate()
        server.wait()
        log.seek(0)
        sys.stderr.write(log.read()[-2000:])
    if beyond:
        sys.exit(f"longer than {options.limit_ms:g} ms beside: {', '.join(beyond)}")


main()
