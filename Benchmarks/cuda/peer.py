#!/usr/bin/env python3
"""Decoding in PyTorch on an NVIDIA card, beside which `drydock-gpu-check --speed 8b` stands.

The shape of Llama-3.1-8B in bfloat16 with random weights: RMS norms, rotary embedding, grouped heads by scaled_dot_product_attention over a static
cache, a gated MLP, the likeliest token. A layer is compiled (torch.compile), a whole step is one CUDA graph. Attention is measured in two ways, of which
the faster one counts: over the whole cache with a mask, so that the graph serves every position, and over the positions that are seen, without one.

Needs torch 2.5 or later, and nothing else. Prints milliseconds a step: the median of the replays.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INNER, VOCABULARY = 4096, 32, 32, 8, 128, 14336, 128256


def normed(x, gain):
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * gain


def turned(x, cos, sin):
    one, other = x.float().chunk(2, dim=-1)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1).to(x.dtype)


def layer(x, w, keys, values, position, cos, sin, mask):
    """x [streams, HIDDEN]; keys and values [streams, KV_HEADS, positions, HEAD], which get the rows' own; mask [positions] or None."""
    streams = x.shape[0]
    qkv = F.linear(normed(x, w["norm1"]), w["qkv"]).view(streams, HEADS + 2 * KV_HEADS, 1, HEAD)
    q, k, v = qkv.split([HEADS, KV_HEADS, KV_HEADS], dim=1)
    keys.index_copy_(2, position, turned(k, cos, sin))
    values.index_copy_(2, position, v)
    out = F.scaled_dot_product_attention(turned(q, cos, sin), keys, values, attn_mask=mask, enable_gqa=True)
    x = x + F.linear(out.reshape(streams, HEADS * HEAD), w["o"])
    gate, up = F.linear(normed(x, w["norm2"]), w["gate_up"]).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * up, w["down"])


class Model:
    def __init__(self, layers):
        def weight(*shape):
            return torch.randn(*shape, device="cuda", dtype=torch.bfloat16) * 0.02

        def gain():
            return torch.ones(HIDDEN, device="cuda", dtype=torch.bfloat16)

        self.layers = [
            {
                "norm1": gain(), "qkv": weight((HEADS + 2 * KV_HEADS) * HEAD, HIDDEN), "o": weight(HIDDEN, HEADS * HEAD),
                "norm2": gain(), "gate_up": weight(2 * INNER, HIDDEN), "down": weight(HIDDEN, INNER),
            }
            for _ in range(layers)
        ]
        self.table, self.norm, self.head = weight(VOCABULARY, HIDDEN), gain(), weight(VOCABULARY, HIDDEN)
        self.byte_count = sum(t.numel() * 2 for w in self.layers for t in w.values()) + self.head.numel() * 2


class Step:
    """One step of so many streams at a position, and the next ones."""

    def __init__(self, model, streams, context, run, is_masked):
        self.model, self.run = model, run
        length = context + 64 if is_masked else context + 1
        self.caches = [
            [torch.randn(streams, KV_HEADS, length, HEAD, device="cuda", dtype=torch.bfloat16) for _ in range(2)] for _ in model.layers
        ]
        self.tokens = torch.arange(streams, device="cuda")
        self.position = torch.tensor([context], device="cuda")
        self.places = torch.arange(length, device="cuda") if is_masked else None
        self.rates = 500000.0 ** -(torch.arange(HEAD // 2, device="cuda").float() / (HEAD // 2))
        self.byte_count = model.byte_count + streams * (context + 1) * KV_HEADS * HEAD * 4 * len(model.layers)

    def __call__(self):
        angles = self.position.float() * self.rates
        cos, sin = angles.cos(), angles.sin()
        mask = None if self.places is None else (self.places <= self.position)[None, None, None, :]
        x = F.embedding(self.tokens, self.model.table)
        for w, (keys, values) in zip(self.model.layers, self.caches):
            x = self.run(x, w, keys, values, self.position, cos, sin, mask)
        self.logits = F.linear(normed(x, self.model.norm), self.model.head)
        self.next = self.logits.argmax(-1)


def median(step, replays):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for _ in range(replays):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[replays // 4 :])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="1x128,1x8000,8x1000,32x1000,64x1000", help="streams x context, separated by commas")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--replays", type=int, default=40)
    parser.add_argument("--limit", type=float, default=0, help="GB/s that memory is read at, for shares of it")
    parser.add_argument("--tune", action="store_true", help="let the compiler try more (coordinate_descent_tuning)")
    parser.add_argument("--seconds", type=float, default=240, help="no point is begun after so many")
    arguments = parser.parse_args()
    start = time.time()
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    if arguments.tune:
        torch._inductor.config.coordinate_descent_tuning = True
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name(0)}", flush=True)
    model = Model(arguments.layers)
    for point in arguments.points.split(","):
        streams, context = (int(part) for part in point.split("x"))
        found = {}
        for is_masked in (True, False):
            if time.time() - start > arguments.seconds:
                break
            torch._dynamo.reset()
            step = Step(model, streams, context, torch.compile(layer, fullgraph=True, dynamic=False), is_masked)
            found["masked" if is_masked else "seen"] = median(step, arguments.replays)
            compiled, step.run = step.logits.float(), layer
            step()
            off = ((step.logits.float() - compiled).norm() / compiled.norm()).item()
            # Bfloat16, fused otherwise, in 32 layers of random weights; what is wrong differs by more than 1, and NaN is not less.
            assert off < 0.2, f"compiled and plain differ by {off}"
            byte_count = step.byte_count
            del step
            torch.cuda.empty_cache()
        if not found:
            print("no time left", flush=True)
            break
        best = min(found.values())
        share = f", {byte_count / best / 1e6 / arguments.limit * 100:.1f}% of the read limit" if arguments.limit else ""
        print(
            f"{streams} stream(s) at {context}: {best:.2f} ms, {streams / best * 1e3:.0f} tokens/s{share}  ("
            + ", ".join(f"{name} {value:.2f}" for name, value in found.items())
            + f"; after {time.time() - start:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
