#!/usr/bin/env python3
"""Checks trtllm-prune on a checkpoint of each family and quantisation, read back by Python's safetensors.

    Scripts/reference/prune_families.py --command .build/release/trtllm-prune
    Scripts/reference/prune_families.py --command ... --checkpoint DIR      also that checkpoint (default rules by name)
    Scripts/reference/prune_families.py --list Tests/CheckpointsTests/Expected/prune_names.json

Which tensors must go is stated where each tensor is made, not derived from its name: that is the independent list. With
--list it is written down for the tests that need no Python. Needs `pip install safetensors`.
"""
import argparse, hashlib, json, os, shutil, struct, subprocess, sys, tempfile

BITS = {"F4": 4, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F16": 16, "BF16": 16, "F32": 32}
H, D, HEADS, KV, I, V, E = 64, 16, 4, 2, 128, 96, 4   # hidden, head, heads, KV heads, intermediate, vocabulary, experts


class Tensors:
    """Tensors of one rank: name -> (dtype, shape, is it pruned by default)."""

    def __init__(self, dtype): self.all, self.dtype = {}, dtype

    def keep(self, name, shape, dtype=None): self.all[name] = (dtype or self.dtype, shape, False)

    def linear(self, name, n, k, quant, bias=False, pruned=True, experts=None):
        """A linear layer of N outputs and K inputs with what its quantisation adds."""
        lead = [experts] if experts else []
        def weight(dtype, shape): self.all[name + ".weight"] = (dtype, lead + shape, pruned)
        def extra(what, dtype, shape): self.all[f"{name}.{what}"] = (dtype, shape, False)
        g = 32
        if quant == "none": weight(self.dtype, [n, k])
        elif quant == "W8A16": weight("I8", [k, n]); extra("per_channel_scale", self.dtype, lead + [n])
        elif quant == "W4A16": weight("I8", [k, n // 2]); extra("per_channel_scale", self.dtype, lead + [n])
        elif quant in ("W4A16_AWQ", "W4A8_AWQ"):
            weight("I8", [n // 2, k]); extra("weights_scaling_factor", self.dtype, lead + [n, k // g]); extra("prequant_scaling_factor", self.dtype, [k])
            if quant == "W4A8_AWQ":
                extra("activation_scaling_factor", "F32", []); extra("weights_scaling_factor_2", "F32", []); extra("alpha", "F32", [1])
        elif quant == "W4A16_GPTQ":
            weight(self.dtype, [k, n // 4]); extra("weights_scaling_factor", self.dtype, lead + [k // g, n]); extra("zero", self.dtype, lead + [k // g, n])
        elif quant == "W8A16_GPTQ":
            weight(self.dtype, [k, n // 2]); extra("weights_scaling_factor", self.dtype, lead + [k // g, n]); extra("zero", self.dtype, lead + [k // g, n])
        elif quant == "FP8":
            weight("F8_E4M3", [n, k]); extra("activation_scaling_factor", "F32", [1]); extra("weights_scaling_factor", "F32", lead + [1])
        elif quant == "FP8_PER_CHANNEL_PER_TOKEN": weight("F8_E4M3", [n, k]); extra("per_channel_scale", "F32", lead + [n])
        elif quant.startswith("W8A8_SQ") and quant.endswith("PLUGIN"):
            weight("I8", [n, k]); extra("per_channel_scale", "F32", [1, n]); extra("act_scale", "F32", [1, 1]); extra("smoother", "F32", [1, k])
        elif quant == "W8A8_SQ_PER_CHANNEL":
            weight("I8", [n, k]); extra("activation_scaling_factor", "F32", [1]); extra("weights_scaling_factor", "F32", [n]); extra("prequant_scaling_factor", "F32", [k])
        elif quant == "NVFP4":
            weight("U8", [n, k // 2]); extra("weights_scaling_factor", "F8_E4M3", lead + [n, k // 16])
            extra("weights_scaling_factor_2", "F32", []); extra("activation_scaling_factor", "F32", [])
        elif quant == "W4A16_MXFP4": weight("F4", [n, k]); extra("weights_scaling_factor", "F8_E8M0", lead + [n, k // 32])
        else: raise ValueError(quant)
        if bias: self.keep(name + ".bias", lead + [n])

    def attention(self, prefix, quant, bias=False, dense_bias=False, cache=None, norms=()):
        self.linear(prefix + "qkv", (HEADS + 2 * KV) * D, H, quant, bias)
        self.linear(prefix + "dense", H, HEADS * D, quant, dense_bias)
        if quant.startswith("W8A8_SQ"): self.keep(prefix + "quantization_scaling_factor", [1], "F32")
        if cache == "separate":
            self.keep(prefix + "k_cache_scaling_factor", [1], "F32"); self.keep(prefix + "v_cache_scaling_factor", [1], "F32")
        elif cache: self.keep(prefix + "kv_cache_scaling_factor", [1], "F32")
        for norm in norms: self.keep(prefix + norm + ".weight", [D])

    def mlp(self, prefix, quant, gated=True, bias=False, wide=I):
        self.linear(prefix + "fc", wide, H, quant, bias)
        if gated: self.linear(prefix + "gate", wide, H, quant, bias)
        self.linear(prefix + "proj", H, wide, quant, bias)
        if quant.startswith("W8A8_SQ"): self.keep(prefix + "quantization_scaling_factor", [1], "F32")

    def norm(self, name, bias=False, quant="none"):
        self.keep(name + ".weight", [H])
        if bias: self.keep(name + ".bias", [H])
        if quant.startswith("W8A8_SQ"): self.keep(name + ".scale_to_int", [1], "F32")

    def ends(self, positions=False, bias=False, head=True):
        self.keep("transformer.vocab_embedding.weight", [V, H])
        if positions: self.keep("transformer.position_embedding.weight", [32, H])
        self.norm("transformer.ln_f", bias)
        if head: self.keep("lm_head.weight", [V, H])


def llama(t, q):
    for i in range(3):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q, cache="joint" if i else "separate"); t.mlp(p + "mlp.", q)
        t.norm(p + "input_layernorm", quant=q); t.norm(p + "post_layernorm", quant=q)
    t.ends()
def mixtral(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q); t.norm(p + "input_layernorm"); t.norm(p + "post_layernorm")
        t.linear(p + "mlp.fc", 2 * I, H, q, experts=E); t.linear(p + "mlp.proj", H, I, q, experts=E)
        t.keep(p + "mlp.router.weight", [E, H], "F32")
    t.ends()
def arctic(t, q):
    mixtral(t, q)
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.mlp(p + "residual_mlp.", q); t.norm(p + "residual_layernorm")
def qwen2_moe(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q, bias=True); t.norm(p + "input_layernorm"); t.norm(p + "post_layernorm")
        t.linear(p + "mlp.fc", 2 * I, H, q, experts=E); t.linear(p + "mlp.proj", H, I, q, experts=E)
        t.keep(p + "mlp.router.weight", [E, H], "F32")
        t.linear(p + "mlp.shared_expert.fc", 2 * I, H, q); t.linear(p + "mlp.shared_expert.proj", H, I, q)
        t.keep(p + "mlp.shared_expert_gate.weight", [1, H])
    t.ends()
def qwen3(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q, norms=("q_layernorm", "k_layernorm")); t.mlp(p + "mlp.", q)
        t.norm(p + "input_layernorm"); t.norm(p + "post_layernorm")
    t.ends()
def gemma2(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q); t.mlp(p + "mlp.", q)
        for n in ("input", "post", "pre_feedforward", "post_feedforward"): t.norm(f"{p}{n}_layernorm")
    t.keep("transformer.vocab_embedding.per_token_scale", [V]); t.ends()
def phi3(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q); t.mlp(p + "mlp.", q, gated=False, wide=2 * I)
        t.norm(p + "input_layernorm"); t.norm(p + "post_layernorm")
    t.ends()
def gpt(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q, bias=True, dense_bias=True); t.mlp(p + "mlp.", q, gated=False, bias=True)
        t.norm(p + "input_layernorm", True, q); t.norm(p + "post_layernorm", True, q)
        t.norm(p + "attention.inner_layernorm", True); t.norm(p + "mlp.inner_layernorm", True)
    t.ends(positions=True, bias=True)
def falcon(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q); t.mlp(p + "mlp.", q, gated=False)
        t.norm(p + "input_layernorm", True); t.norm(p + "mlp_layernorm", True)
    t.ends(bias=True)
def neox(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "attention.", q, bias=True, dense_bias=True); t.mlp(p + "mlp.", q, gated=False, bias=True)
        t.norm(p + "input_layernorm", True); t.norm(p + "post_attention_layernorm", True)
    t.ends(bias=True)
def decoder(t, q):
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.attention(p + "self_attention.", q, bias=True); t.attention(p + "cross_attention.", q, bias=True); t.mlp(p + "mlp.", q, gated=False)
        for n in ("self_attention", "cross_attention", "mlp"): t.norm(f"{p}{n}_layernorm", True)
    t.ends(positions=True, bias=True)
def old_names(t, q):
    """The documentation's own name of the output projection, and experts one by one."""
    for i in range(2):
        p = f"transformer.layers.{i}."
        t.linear(p + "attention.qkv", 3 * H, H, q); t.linear(p + "attention.proj", H, H, q)
        for e in range(E): t.mlp(f"{p}mlp.experts.{e}.", q)
    t.ends()

FAMILIES = {
    "LlamaForCausalLM": llama, "MistralForCausalLM": llama, "MixtralForCausalLM": mixtral, "ArcticForCausalLM": arctic, "Qwen2ForCausalLM": llama,
    "Qwen2MoeForCausalLM": qwen2_moe, "Qwen3ForCausalLM": qwen3, "GemmaForCausalLM": llama, "Gemma2ForCausalLM": gemma2, "Gemma3ForCausalLM": gemma2,
    "Phi3ForCausalLM": phi3, "GPT2LMHeadModel": gpt, "OPTForCausalLM": gpt, "FalconForCausalLM": falcon, "GPTNeoXForCausalLM": neox,
    "DecoderModel": decoder, "OldNames": old_names,
}
QUANTS = ["none", "W8A16", "W4A16", "W4A16_AWQ", "W4A8_AWQ", "W8A16_GPTQ", "W4A16_GPTQ", "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "W8A8_SQ_PER_CHANNEL",
          "W8A8_SQ_PER_TENSOR_PLUGIN", "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN", "NVFP4", "W4A16_MXFP4"]


def tensors(family, quant):
    t = Tensors("BF16")
    FAMILIES[family](t, quant)
    return t.all

def values(name, count):
    block = hashlib.sha256(name.encode()).digest()
    return (block * (count // len(block) + 1))[:count]

def write(path, all):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, _) in all.items():
        size = BITS[dtype]
        for extent in shape: size *= extent
        assert size % 8 == 0, name
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size // 8]}
        data += values(name, size // 8)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file: file.write(struct.pack("<Q", len(text)) + text + data)

def read(path):
    import safetensors
    with open(path, "rb") as file: return {name: (found["dtype"], list(found["shape"]), bytes(found["data"])) for name, found in safetensors.deserialize(file.read())}

def compare(label, full, pruned, files, gone):
    """`gone(name)`: must it be empty?"""
    emptied = 0
    for file in files:
        before, after = read(f"{full}/{file}"), read(f"{pruned}/{file}")
        assert list(sorted(before)) == list(sorted(after)), f"{label}: names"
        for name, (dtype, shape, data) in before.items():
            wanted = (dtype, [0], b"") if gone(name) else (dtype, shape, data)
            assert after[name] == wanted, f"{label}: {name} is {after[name][:2]}, wanted {wanted[:2]}"
            emptied += gone(name)
    config, old = json.load(open(f"{pruned}/config.json")), json.load(open(f"{full}/config.json"))
    assert config == {**old, "is_pruned": True} and list(config) == list(old) + ["is_pruned"] * ("is_pruned" not in old), f"{label}: config.json"
    assert emptied > 0, f"{label}: nothing was pruned"
    return emptied

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command")
    parser.add_argument("--checkpoint")
    parser.add_argument("--list")
    options = parser.parse_args()
    if options.list:
        # One entry for each name: families share most of them.
        names = {}
        for family in FAMILIES:
            for quant in QUANTS:
                for name, (_, _, gone) in tensors(family, quant).items():
                    assert names.setdefault(name, gone) == gone, name
        with open(options.list, "w") as file: json.dump(names, file, indent=0); file.write("\n")
        print(f"{len(names)} names, {sum(names.values())} of them pruned")
    if not options.command: return
    work = tempfile.mkdtemp(prefix="drydock-families-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    checked = emptied = 0
    try:
        for family in FAMILIES:
            for quant in QUANTS:
                full = f"{work}/full"
                shutil.rmtree(full, ignore_errors=True)
                os.makedirs(full)
                all = tensors(family, quant)
                config = {"architecture": family, "dtype": "bfloat16", "norm_epsilon": 1e-05, "big": 2**70,
                          "mapping": {"world_size": 4, "tp_size": 2, "cp_size": 2}, "quantization": {"quant_algo": None if quant == "none" else quant}}
                json.dump(config, open(full + "/config.json", "w"), indent=4)
                for rank in range(2): write(f"{full}/rank{rank}.safetensors", all)
                run = [options.command, "--checkpoint_dir", full, "--log_level", "error"]
                subprocess.run(run + ["--out_dir", work + "/pruned"], check=True)
                emptied += compare(f"{family}, {quant}", full, work + "/pruned", ["rank0.safetensors", "rank1.safetensors"], lambda name: all[name][2])
                subprocess.run(run + ["--out_dir", work + "/skeleton", "--prune_all", "--digests"], check=True)
                compare(f"{family}, {quant}, all", full, work + "/skeleton", ["rank0.safetensors", "rank1.safetensors"], lambda name: True)
                subprocess.run(run + ["--restore", work + "/skeleton", "--out_dir", work + "/again"], check=True)
                for name in os.listdir(full):
                    assert open(f"{full}/{name}", "rb").read() == open(f"{work}/again/{name}", "rb").read(), f"{family}, {quant}: restored {name}"
                checked += 1
        print(f"{checked} checkpoints ({len(FAMILIES)} families × {len(QUANTS)} quantisations): names, types, shapes and bytes agree; "
              f"{emptied} tensors emptied; all restored byte for byte")
        if options.checkpoint:
            listed = {".attention.qkv.weight", ".attention.dense.weight", ".mlp.fc.weight", ".mlp.gate.weight", ".mlp.proj.weight"}
            files = sorted(name for name in os.listdir(options.checkpoint) if name.endswith(".safetensors"))
            subprocess.run([options.command, "--checkpoint_dir", options.checkpoint, "--out_dir", work + "/pruned", "--log_level", "error"], check=True)
            count = compare(options.checkpoint, options.checkpoint, work + "/pruned", files, lambda name: any(name.endswith(end) for end in listed))
            print(f"{options.checkpoint}: {count} tensors emptied, the rest unchanged")
    finally:
        shutil.rmtree(work, ignore_errors=True)

main()
