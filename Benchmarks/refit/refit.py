"""Measures trtllm-refit against a plain copy of the engine, and prints a Markdown table.

  python3 Benchmarks/refit/refit.py --bin BUILD/release --model MODEL [--size-gb 4] [--rounds 5] [--work DIR]

MODEL is a Hugging Face directory or a GGUF file (the small engine); --size-gb makes a second engine of random weights of
at least that size. Ways are measured in turn, round by round; figures are medians with their range. Everything is on the
disk when a way of ours ends, so `cp` is timed alone and with `sync` of what it wrote. On a file system that shares
blocks (XFS, Btrfs; name a folder of one with --work) refit shares what does not change; `cp` is told not to. Where
Python has torch and safetensors, the same replacements in the checkpoint are timed with them too.
"""
import argparse
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "engine"))
from measuring import Samples, directory_bytes, run, say  # noqa: E402

# What people do without us: the checkpoint's tensors loaded, replaced, saved. Arguments: the checkpoint's file, the new
# file, and either the file of the other checkpoint or an adapter's directory.
MERGE = """
import json, os, sys, torch
from safetensors.torch import load_file, save_file
base, target, source = sys.argv[1:]
tensors = load_file(base)
if source.endswith('.safetensors'):
    for name, value in load_file(source).items():
        tensors[name].copy_(value)
else:
    config = json.load(open(os.path.join(source, 'adapter_config.json')))
    adapter = load_file(os.path.join(source, 'adapter_model.safetensors'))
    scale = config['lora_alpha'] / config['r']
    places = {'self_attn.o_proj': 'attention.dense', 'mlp.gate_proj': 'mlp.fc', 'mlp.up_proj': 'mlp.gate', 'mlp.down_proj': 'mlp.proj'}
    for name in [name for name in adapter if name.endswith('.lora_A.weight')]:
        layer, _, module = name.removesuffix('.lora_A.weight').split('layers.')[1].partition('.')
        down, up = adapter[name], adapter[name.replace('lora_A', 'lora_B')]
        prefix = f'transformer.layers.{layer}.'
        if module in places:
            weight = tensors[prefix + places[module] + '.weight']
        else:  # q, k and v lie one after another
            fused = tensors[prefix + 'attention.qkv.weight']
            keys = (fused.shape[0] - fused.shape[1]) // 2
            start = {'self_attn.q_proj': 0, 'self_attn.k_proj': fused.shape[1], 'self_attn.v_proj': fused.shape[1] + keys}[module]
            weight = fused[start:start + up.shape[0]]
        weight.copy_((weight.float() + scale * (up @ down)).to(weight.dtype))
save_file(tensors, target)
file = os.open(target, os.O_RDONLY)
os.fsync(file)
"""


def write_safetensors(path: Path, tensors: list[tuple[str, list[int]]], dtype: str, generator: random.Random) -> None:
    """Random numbers between 2^-7 and 2^-5 in size, of both signs, so that nothing overflows or is NaN."""
    width = {"BF16": 2, "F32": 4}[dtype]
    header, end = {}, 0
    for name, shape in tensors:
        count = width
        for extent in shape:
            count *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + count]}
        end += count
    text = json.dumps(header).encode()
    pool = bytearray(generator.randbytes(1 << 24))
    for index in range(width - 1, len(pool), width):
        pool[index] = 0x3C | (pool[index] & 0x80)  # the exponent's upper bits
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        left = end
        while left > 0:
            start = generator.randrange(0, 1 << 12) * width  # another alignment each time
            piece = memoryview(pool)[start : start + min(left, len(pool) - start)]
            file.write(piece)
            left -= len(piece)


def make_adapter(path: Path, config: dict, modules: list[str], layers: range, rank: int = 16) -> None:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries = config["num_attention_heads"] * config["head_size"]
    keys = config["num_key_value_heads"] * config["head_size"]
    shapes = {
        "self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    path.mkdir()
    names = [module.split(".")[1] for module in modules]
    (path / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": names, "bias": "none"}))
    tensors = []
    for layer in layers:
        for module in modules:
            out, width = shapes[module]
            prefix = f"base_model.model.model.layers.{layer}.{module}."
            tensors += [(prefix + "lora_A.weight", [rank, width]), (prefix + "lora_B.weight", [out, rank])]
    write_safetensors(path / "adapter_model.safetensors", tensors, "F32", random.Random(3))


def make_checkpoint(path: Path, size: int, seed: int) -> None:
    hidden, inner, vocabulary, heads, size_of_head, keys = 2048, 8192, 32000, 32, 64, 8
    per_layer = (hidden * (heads + 2 * keys) * size_of_head + hidden * hidden + 3 * hidden * inner + 2 * hidden) * 2
    layers = max(1, -(-size // per_layer))
    path.mkdir()
    (path / "config.json").write_text(json.dumps({
        "architecture": "LlamaForCausalLM", "dtype": "bfloat16", "vocab_size": vocabulary, "hidden_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": keys, "head_size": size_of_head,
        "intermediate_size": inner, "hidden_act": "silu", "norm_epsilon": 1e-5, "position_embedding_type": "rope_gpt_neox",
        "max_position_embeddings": 2048, "rotary_base": 10000.0, "tie_word_embeddings": False, "attn_bias": False, "mlp_bias": False,
        "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1}}, indent=1))
    tensors = [("transformer.vocab_embedding.weight", [vocabulary, hidden])]
    for layer in range(layers):
        prefix = f"transformer.layers.{layer}."
        tensors += [
            (prefix + "input_layernorm.weight", [hidden]),
            (prefix + "attention.qkv.weight", [(heads + 2 * keys) * size_of_head, hidden]),
            (prefix + "attention.dense.weight", [hidden, heads * size_of_head]), (prefix + "post_layernorm.weight", [hidden]),
            (prefix + "mlp.fc.weight", [inner, hidden]), (prefix + "mlp.gate.weight", [inner, hidden]),
            (prefix + "mlp.proj.weight", [hidden, inner])]
    tensors += [("transformer.ln_f.weight", [hidden]), ("lm_head.weight", [vocabulary, hidden])]
    write_safetensors(path / "rank0.safetensors", tensors, "BF16", random.Random(seed))


def change(checkpoint: Path, target: Path) -> None:
    """The same checkpoint with other values: the sign of every element turned round."""
    shutil.copytree(checkpoint, target)
    for path in target.glob("rank*.safetensors"):
        with open(path, "r+b") as file:
            start = 8 + struct.unpack("<Q", file.read(8))[0]
            table = bytes(value ^ 0x80 for value in range(256))
            position = start
            while piece := bytearray(os.pread(file.fileno(), 1 << 24, position)):
                piece[1::2] = piece[1::2].translate(table)
                os.pwrite(file.fileno(), piece, position)
                position += len(piece)


def apart(work, *arguments) -> None:
    """Runs a function in a process of its own: a command's peak memory starts from that of the process that starts it."""
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(f"benchmark: {work.__name__} failed")


def timed_copy(source: Path, target: Path) -> tuple[float, float]:
    """Seconds of `cp`, and of `cp` with the copy on the disk."""
    start = time.perf_counter()
    run("cp", "-r", "--reflink=never", source, target)
    copied = time.perf_counter() - start
    run("sync", *sorted(target.iterdir()))
    return copied, time.perf_counter() - start


def measure(name: str, checkpoint: Path, work: Path, bin: Path, rounds: int) -> None:
    commands = {command: bin / f"trtllm-{command}" for command in ("build", "refit")}
    engine, other = work / f"{name}-engine", work / f"{name}-other"
    run(commands["build"], "--checkpoint_dir", checkpoint, "--output_dir", engine, "--refit_scope", "all", "--output_timing_cache", work / "timing.json")
    apart(change, checkpoint, other)
    config = json.loads((checkpoint / "config.json").read_text())
    every = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    apart(make_adapter, work / f"{name}-all", config, every, range(config["num_hidden_layers"]))
    apart(make_adapter, work / f"{name}-two", config, ["self_attn.o_proj", "mlp.down_proj"], range(1))
    size = directory_bytes(engine)
    say(f"{name}: an engine of {size / 1e9:.2f} GB")
    samples = Samples()
    python = shutil.which("python3") if not os.environ.get("DRYDOCK_PYTHON") else os.environ["DRYDOCK_PYTHON"]
    has_torch = os.system(f"{python} -c 'import torch, safetensors' >/dev/null 2>&1") == 0
    out = work / "out"
    for index in range(rounds + 1):  # the first warms up
        def record(key: str, seconds: float, peak: int | None = None) -> None:
            if index > 0:
                samples.add(key, seconds)
                if peak is not None:
                    samples.add(key + " memory", peak)
            shutil.rmtree(out, ignore_errors=True)

        copied, synced = timed_copy(engine, out)
        record("cp", copied)
        record("cp and sync", synced)
        for key, source in [("full", other), ("same", checkpoint), ("all", work / f"{name}-all"), ("two", work / f"{name}-two")]:
            done = run(commands["refit"], "--engine_dir", engine, "--checkpoint_dir", source, "--refit_engine_dir", out)
            record(key, done.seconds, done.peak_bytes)
        done = run(commands["build"], "--checkpoint_dir", other, "--output_dir", out, "--refit_scope", "all", "--input_timing_cache", work / "timing.json")
        record("build", done.seconds, done.peak_bytes)
        if has_torch:
            for key, source in [("torch", other / "rank0.safetensors"), ("torch all", work / f"{name}-all")]:
                out.mkdir()
                done = run(python, "-c", MERGE, checkpoint / "rank0.safetensors", out / "x.safetensors", source)
                record(key, done.seconds, done.peak_bytes)
    print(f"\n### {name}: {size / 1e9:.2f} GB, {rounds} rounds\n\n| way | time | of cp | of cp and sync | peak memory |\n|---|---|---|---|---|")
    for key, label in [
        ("cp", "`cp -r` of the engine"), ("cp and sync", "`cp -r` of the engine, on the disk"), ("full", "refit with a full checkpoint, every byte new"),
        ("same", "refit with a full checkpoint, nothing new"), ("all", "refit with a LoRA over all linear layers, rank 16"),
        ("two", "refit with a LoRA over two weights"), ("build", "`trtllm-build` with a timing cache"),
        ("torch", "full replacement of the checkpoint in Python, safetensors and torch"),
        ("torch all", "the LoRA over all linear layers in Python, safetensors and torch"),
    ]:
        memory = samples.median(key + " memory")
        print(f"| {label} | {samples.show(key, 1e3, ' ms', 0)} | {samples.ratio(key, 'cp')} | {samples.ratio(key, 'cp and sync')} | {f'{memory / 1e6:.0f} MB' if memory else '–'} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bin", type=Path, required=True)
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--size-gb", type=float, default=0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--work", type=Path)
    options = arguments.parse_args()
    work = Path(tempfile.mkdtemp(prefix="drydock-refit-", dir=options.work))
    try:
        if options.model:
            checkpoint = work / "model"
            run(options.bin / "trtllm-convert", "--model_dir", options.model, "--output_dir", checkpoint, "--dtype", "bfloat16")
            measure("model", checkpoint, work, options.bin, options.rounds)
        if options.size_gb:
            checkpoint = work / "generated"
            apart(make_checkpoint, checkpoint, int(options.size_gb * 1e9), 1)
            measure("generated", checkpoint, work, options.bin, options.rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
