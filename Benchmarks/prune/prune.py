#!/usr/bin/env python3
"""Times trtllm-prune beside the obvious Python way and beside cp of the bytes that are kept.

    Benchmarks/prune/prune.py --command .build/release/trtllm-prune [--dir DIR] [--gigabytes 4] [--repeat 3] [--cold]

Makes a checkpoint of at least the given size: embeddings, norms and biases are real bytes, the weights that pruning
takes out are holes of a sparse file, so the disk needs room only for what is kept (twice). Prints a table.

The Python way is the documented algorithm: open each rank file with safetensors, get every tensor with torch, replace
the chosen ones by an empty one, save_file. It needs `pip install safetensors torch`; without them its row is left out.
"""
import argparse, json, os, resource, shutil, statistics, struct, subprocess, sys, tempfile, time

NAMES = ("attention.qkv.weight", "attention.proj.weight", "attention.dense.weight", "mlp.fc.weight", "mlp.proj.weight", "mlp.gate.weight")
PYTHON_WAY = r'''
import json, os, sys
import torch
from safetensors import safe_open
from safetensors.torch import save_file
source, target, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
os.makedirs(target, exist_ok=True)
config = json.load(open(source + "/config.json"))
for rank in range(config["mapping"]["world_size"]):
    tensors = {}
    with safe_open(f"{source}/rank{rank}.safetensors", framework="pt") as file:
        for key in file.keys():
            tensor = file.get_tensor(key)
            tensors[key] = torch.empty([0], dtype=tensor.dtype) if any(name in key for name in names) else tensor
    save_file(tensors, f"{target}/rank{rank}.safetensors")
config["is_pruned"] = True
json.dump(config, open(target + "/config.json", "w"))
'''

def make(directory, ranks, total, share, dense):
    """One float16 model over `ranks` files; about `share` of the bytes is kept."""
    os.makedirs(directory)
    per_rank, kept = total // ranks, 0
    hidden = 4096
    for rank in range(ranks):
        tensors = [("transformer.vocab_embedding.weight", [int(per_rank * share / 4) // hidden, hidden], True)]
        left, layer = int(per_rank * (1 - share)), 0
        while left > 0:
            prefix = f"transformer.layers.{layer}."
            for name, shape in (("attention.qkv.weight", [6144, hidden]), ("attention.dense.weight", [hidden, hidden]),
                                ("mlp.fc.weight", [14336, hidden]), ("mlp.gate.weight", [14336, hidden]), ("mlp.proj.weight", [hidden, 14336])):
                tensors.append((prefix + name, shape, False))
                left -= 2 * shape[0] * shape[1]
            for name in ("input_layernorm.weight", "post_layernorm.weight"):
                tensors.append((prefix + name, [hidden], True))
            layer += 1
        tensors.append(("transformer.ln_f.weight", [hidden], True))
        tensors.append(("lm_head.weight", [int(per_rank * share / 4) // hidden, hidden], True))
        header, place = {}, 0
        for name, shape, _ in tensors:
            size = 2
            for extent in shape: size *= extent
            header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [place, place + size]}
            place += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(f"{directory}/rank{rank}.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            start = file.tell()
            block = os.urandom(1 << 20)
            for name, _, is_kept in tensors:
                begin, end = header[name]["data_offsets"]
                kept += end - begin if is_kept else 0
                if not is_kept and not dense: continue
                file.seek(start + begin)
                for at in range(begin, end, len(block)): file.write(block[: end - at])
            file.truncate(start + place)
    json.dump({"architecture": "LlamaForCausalLM", "dtype": "float16", "mapping": {"world_size": ranks, "tp_size": ranks}},
              open(directory + "/config.json", "w"))
    return kept

def run(command):
    """Seconds and the peak memory of a command, in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status != 0: sys.exit(f"{command[0]} failed: {errors.decode()}")
    return seconds, usage.ru_maxrss * 1024

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/trtllm-prune")
    parser.add_argument("--dir", default=None, help="where to work; a temporary directory by default")
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--kept", type=float, default=0.125, help="share that is kept: 0.125 is an 8B Llama's, 0.03 a 70B's")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--dense", action="store_true", help="real bytes instead of holes where weights are pruned")
    parser.add_argument("--cold", action="store_true", help="drop the sources' pages from memory before each run")
    parser.add_argument("--python", default=sys.executable, help="a Python with safetensors and torch")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="drydock-prune-", dir=options.dir)
    try:
        full, out, one = work + "/full", work + "/out", work + "/kept.bin"
        kept = make(full, options.ranks, int(options.gigabytes * 1e9), options.kept, options.dense)
        total = sum(os.path.getsize(f"{full}/{name}") for name in os.listdir(full))
        with open(one, "wb") as file:  # what is kept, as one file
            block = os.urandom(1 << 20)
            for at in range(0, kept, len(block)): file.write(block[: kept - at])
        os.sync()
        python = subprocess.run([options.python, "-c", "import torch, safetensors"], capture_output=True).returncode == 0
        ways = [
            ("trtllm-prune", [options.command, "--checkpoint_dir", full, "--out_dir", out]),
            ("trtllm-prune --skeleton", [options.command, "--checkpoint_dir", full, "--out_dir", out, "--skeleton"]),
            ("trtllm-prune --digests", [options.command, "--checkpoint_dir", full, "--out_dir", out, "--digests"]),
            ("cp of the kept bytes", ["cp", one, out]),
            ("cp of the kept bytes, synced", ["sh", "-c", f"cp '{one}' '{out}' && sync '{out}'"]),
        ]
        if python: ways.insert(3, ("Python, safetensors + torch", [options.python, "-c", PYTHON_WAY, full, out, ",".join(NAMES)]))
        times = {label: [] for label, _ in ways}
        memory = {}
        for turn in range(options.repeat + 1):  # interleaved; the first turn warms up
            for label, command in ways:
                shutil.rmtree(out, ignore_errors=True)
                if os.path.isfile(out): os.remove(out)
                os.sync()
                if options.cold:
                    for path in [one] + [f"{full}/{name}" for name in os.listdir(full)]:
                        with open(path, "rb") as file: os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                seconds, peak = run(command)
                if turn > 0: times[label].append(seconds)
                memory[label] = max(memory.get(label, 0), peak)
        print(f"{total / 1e9:.2f} GB in {options.ranks} rank files, {kept / 1e9:.2f} GB kept; {'cold' if options.cold else 'warm'} sources{', no holes' if options.dense else ''}; "
              f"median of {options.repeat} (lowest to highest); {os.cpu_count()} processors")
        print()
        print("| way | seconds | range | kept GB/s | peak memory |")
        print("|---|---|---|---|---|")
        for label, _ in ways:
            middle = statistics.median(times[label])
            print(f"| {label} | {middle:.2f} | {min(times[label]):.2f} to {max(times[label]):.2f} | {kept / 1e9 / middle:.2f} | {memory[label] / 1e6:.0f} MB |")
        middle = {label: statistics.median(times[label]) for label in times}
        print()
        for label in ("cp of the kept bytes", "cp of the kept bytes, synced"):
            print(f"prune / {label}: {middle['trtllm-prune'] / middle[label]:.2f}")
        if python: print(f"Python / prune: {middle['Python, safetensors + torch'] / middle['trtllm-prune']:.1f}")
    finally:
        shutil.rmtree(work, ignore_errors=True)

main()
