"""Tiny random models in Hugging Face's format and as GGUF, and what a TensorRT-LLM checkpoint of them must hold.

Needs numpy, safetensors and gguf. Writes Tests/WeightSourcesTests/Expected/models/. The expectations are computed
here from the format's description with numpy alone; each tensor of each rank is recorded by shape and the FNV-1a hash
of its bytes.
"""
import json
import pathlib
import shutil

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

out = pathlib.Path(__file__).parents[2] / "Tests/WeightSourcesTests/Expected/models"
shutil.rmtree(out, ignore_errors=True)
random = np.random.default_rng(7)


def bfloat16(x):
    """Nearest even, as the 16 bits."""
    n = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((n + 0x7FFF + ((n >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def model(c, attention_bias=False, mlp_bias=False):
    """Random float32 weights under Hugging Face's names."""
    H, D, I, V = c["hidden_size"], c["head_dim"], c["intermediate_size"], c["vocab_size"]
    Q, K = c["num_attention_heads"] * D, c["num_key_value_heads"] * D
    w = {}

    def put(name, *shape):
        w[name] = random.standard_normal(shape).astype(np.float32)

    put("model.embed_tokens.weight", V, H)
    for n in range(c["num_hidden_layers"]):
        p = f"model.layers.{n}."
        put(p + "input_layernorm.weight", H)
        put(p + "post_attention_layernorm.weight", H)
        for name, rows, columns in [("q", Q, H), ("k", K, H), ("v", K, H), ("o", H, Q)]:
            put(p + f"self_attn.{name}_proj.weight", rows, columns)
            if attention_bias:
                put(p + f"self_attn.{name}_proj.bias", rows)
        for name, rows, columns in [("gate", I, H), ("up", I, H), ("down", H, I)]:
            put(p + f"mlp.{name}_proj.weight", rows, columns)
            if mlp_bias:
                put(p + f"mlp.{name}_proj.bias", rows)
    put("model.norm.weight", H)
    if not c["tie_word_embeddings"]:
        put("lm_head.weight", V, H)
    return w


def checkpoint(c, w, tp, pp):
    """Rank -> name -> float32 array, as the format's description says."""
    D, KV, L, V = c["head_dim"], c["num_key_value_heads"], c["num_hidden_layers"], c["vocab_size"]
    ranks = []
    for stage in range(pp):
        sizes = [L // pp + (s < L % pp) for s in range(pp)]
        first = sum(sizes[:stage])
        for r in range(tp):
            t = {}
            rows = lambda x: np.split(x, tp, axis=0)[r]
            columns = lambda x: np.split(x, tp, axis=1)[r]

            def heads(x):
                """K or V: repeat heads consecutively until every rank has one, then split."""
                x = x.reshape(KV, D, *x.shape[1:])
                if KV < tp:
                    x = np.repeat(x, tp // KV, axis=0)
                x = np.split(x, tp, axis=0)[r]
                return x.reshape(-1, *x.shape[2:])

            if stage == 0:
                t["transformer.vocab_embedding.weight"] = w["model.embed_tokens.weight"]
            for local in range(sizes[stage]):
                p, o = f"model.layers.{first + local}.", f"transformer.layers.{local}."
                t[o + "input_layernorm.weight"] = w[p + "input_layernorm.weight"]
                t[o + "post_layernorm.weight"] = w[p + "post_attention_layernorm.weight"]
                for kind in ["weight", "bias"]:
                    a = p + "self_attn."
                    if a + "q_proj." + kind in w:
                        t[o + "attention.qkv." + kind] = np.concatenate(
                            [rows(w[a + "q_proj." + kind]), heads(w[a + "k_proj." + kind]), heads(w[a + "v_proj." + kind])])
                        d = w[a + "o_proj." + kind]
                        t[o + "attention.dense." + kind] = columns(d) if kind == "weight" else d
                    m = p + "mlp."
                    if m + "gate_proj." + kind in w:
                        t[o + "mlp.fc." + kind] = rows(w[m + "gate_proj." + kind])
                        t[o + "mlp.gate." + kind] = rows(w[m + "up_proj." + kind])
                        d = w[m + "down_proj." + kind]
                        t[o + "mlp.proj." + kind] = columns(d) if kind == "weight" else d
            if stage == pp - 1:
                t["transformer.ln_f.weight"] = w["model.norm.weight"]
                head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
                padding = -V % tp
                t["lm_head.weight"] = rows(np.pad(head, ((0, padding), (0, 0))))
            ranks.append(t)
    return ranks


def expectation(c, w, dtype, tp, pp):
    cast = {"float32": lambda x: x, "float16": lambda x: x.astype(np.float16), "bfloat16": bfloat16}[dtype]
    ranks = [
        {n: {"shape": list(x.shape), "hash": fnv(np.ascontiguousarray(cast(x)).tobytes())} for n, x in t.items()}
        for t in checkpoint(c, w, tp, pp)
    ]
    return {"dtype": dtype, "tp": tp, "pp": pp, "ranks": ranks}


def write(name, value):
    (out / name).write_text(json.dumps(value, indent=1))


base = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 2,
}
expected = {}

# Untied, biases everywhere, grouped heads, head size not hidden/heads, vocabulary 33, two shards, float32.
c = dict(base, hidden_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=20, vocab_size=33,
         num_hidden_layers=3, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, torch_dtype="float32",
         rope_scaling={"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 64, "rope_type": "llama3"})
w = model(c, True, True)
d = out / "biases"
d.mkdir(parents=True)
(d / "config.json").write_text(json.dumps(c, indent=2))
names = sorted(w)
shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
for file, part in shards.items():
    save_file({n: w[n] for n in part}, d / file, metadata={"format": "pt"})
(d / "model.safetensors.index.json").write_text(
    json.dumps({"metadata": {}, "weight_map": {n: f for f, part in shards.items() for n in part}}))
expected["biases"] = [expectation(c, w, "float32", 1, 1), expectation(c, w, "float32", 2, 1), expectation(c, w, "bfloat16", 4, 1),
                      expectation(c, w, "float16", 1, 2), expectation(c, w, "bfloat16", 2, 3)]

# Tied, nine heads on three, bfloat16, one file; Mistral's name.
c = dict(base, architectures=["MistralForCausalLM"], model_type="mistral", hidden_size=36, num_attention_heads=9,
         num_key_value_heads=3, head_dim=4, intermediate_size=48, vocab_size=40, num_hidden_layers=2,
         tie_word_embeddings=True, torch_dtype="bfloat16", sliding_window=None)
w = {n: from_bfloat16(bfloat16(x)) for n, x in model(c).items()}
d = out / "tied"
d.mkdir()
(d / "config.json").write_text(json.dumps(c, indent=2))
# safetensors.numpy has no bfloat16: the file is put together by hand.
header, data = {}, b""
for n, x in w.items():
    raw = bfloat16(x).tobytes()
    header[n] = {"dtype": "BF16", "shape": list(x.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
(d / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
(d / "tokenizer.json").write_text('{"made": "up"}')
expected["tied"] = [expectation(c, w, "bfloat16", 1, 1), expectation(c, w, "bfloat16", 3, 1), expectation(c, w, "float32", 3, 2)]

# GGUF with quantised blocks: values are what the blocks give back.
c = dict(base, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=64, vocab_size=24,
         num_hidden_layers=2, tie_word_embeddings=False)


def permute(x, heads):
    """llama.cpp's order of Q and K rows."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def gguf_model(path, c, w, kinds, extra={}):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    writer.add_rope_dimension_count(c["head_dim"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([f"t{i}é" for i in range(c["vocab_size"])])
    writer.add_token_types([1] * c["vocab_size"])
    writer.add_token_merges(["a b", "b c"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages }}")
    table = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    single = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
              "lm_head.weight": "output.weight"}
    read = {}
    for i, (n, x) in enumerate(w.items()):
        if n in single:
            name = single[n]
        else:
            _, _, layer, rest = n.split(".", 3)
            stem, kind = rest.rsplit(".", 1)
            name = f"blk.{layer}.{table[stem]}.{kind}"
        heads = {"attn_q": c["num_attention_heads"], "attn_k": c["num_key_value_heads"]}.get(name.split(".")[-2])
        stored = permute(x, heads) if heads else x
        kind = T.F32 if x.ndim == 1 else kinds[i % len(kinds)]
        data = gguf.quants.quantize(stored, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
        back = gguf.quants.dequantize(data, kind).reshape(stored.shape).astype(np.float32)
        if heads:  # undo, independently of the function above
            back = back.reshape(heads, c["head_dim"] // 2, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        read[n] = back
    for name, x in extra.items():
        writer.add_tensor(name, x, raw_dtype=T.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read


w = gguf_model(out / "quantized.gguf", c, model(c), [T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.F16, T.BF16])
expected["quantized.gguf"] = [expectation(c, w, "bfloat16", 1, 1), expectation(c, w, "float32", 2, 2), expectation(c, w, "float16", 4, 1)]

# Tied GGUF in float16.
c["tie_word_embeddings"] = True
w = gguf_model(out / "tied.gguf", c, model(c), [T.F16])
expected["tied.gguf"] = [expectation(c, w, "float16", 1, 1), expectation(c, w, "float32", 2, 1)]

# Llama 3's rotary scaling, which GGUF keeps only as a table of divisors.
def llama3_divisors(base, dimension, factor, low, high, original):
    out = []
    for i in range(0, dimension, 2):
        wavelength = 2 * np.pi * base ** (i / dimension)
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


c["rope_theta"] = 500000.0
table = llama3_divisors(500000.0, 8, 32.0, 1.0, 4.0, 8192)
gguf_model(out / "llama3.gguf", c, model(c), [T.Q8_0], extra={"rope_freqs.weight": table})
table[1] *= 1.5
gguf_model(out / "strange-rotary.gguf", c, model(c), [T.Q8_0], extra={"rope_freqs.weight": table})

write("expected.json", expected)
for path in sorted(out.rglob("*")):
    if path.is_file():
        print(path.relative_to(out), path.stat().st_size)
