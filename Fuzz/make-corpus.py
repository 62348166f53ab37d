#!/usr/bin/env python3
"""Writes the seeds in Fuzz/Corpus/TARGET (see Fuzz/FuzzTargets)."""
import json, os, shutil, struct

here = os.path.dirname(os.path.abspath(__file__)) + "/Corpus"
shutil.rmtree(here, ignore_errors=True)

def seed(target, name, *parts):
    """Parts are apart by zero bytes."""
    os.makedirs(f"{here}/{target}", exist_ok=True)
    texts = [part if isinstance(part, bytes) else json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode() for part in parts]
    with open(f"{here}/{target}/{name}", "wb") as file: file.write(b"\0".join(texts))

def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data

def tensor(dtype, shape, begin, end): return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

# header
seed("header", "empty", file({}))
seed("header", "notes", file({"__metadata__": {"format": "pt", "drydock.original_shapes": "{\"a\":[1,2]}"}}))
place, tensors = 0, {}
for dtype, bits in [("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8),
                    ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16),
                    ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64)]:
    tensors[dtype] = tensor(dtype, [4], place, place + bits // 2)
    place += bits // 2
seed("header", "types", file(tensors, bytes(place)))
seed("header", "scalar", file({"s": tensor("F32", [], 0, 4), "e": tensor("F32", [0, 7], 4, 4)}, b"1234"))
seed("header", "padded", file(json.dumps({"a": tensor("U8", [3], 0, 3)}).encode() + b"    ", b"abc"))
seed("header", "hole", file({"a": tensor("U8", [1], 1, 2)}, b"ab"))
seed("header", "overlap", file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, b"abc"))
seed("header", "overflow", file({"a": tensor("F64", [2**62, 2**62], 0, 8)}, bytes(8)))
seed("header", "twice", file(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'))

# json
for index, text in enumerate(['{"a":[1,-0.5e+10,true,false,null,"\\u00e9\\ud834\\udd1e\\n"],"b":{}}', "[" * 40 + "]" * 40, "NaN", "-Infinity",
                              '"\u00e9\u2028"', "[1e400,123456789012345678901234567890]", '{"a":1,"a":2}', " \t\r\n[ ] "]):
    seed("json", str(index), text.encode())

# config and config-text
config = {"architecture": "LlamaForCausalLM", "dtype": "bfloat16", "logits_dtype": "float32", "hidden_size": 64, "num_hidden_layers": 5,
          "num_attention_heads": 8, "num_key_value_heads": 2, "head_size": 8, "intermediate_size": 128, "vocab_size": 256,
          "norm_epsilon": 1e-05, "hidden_act": "silu", "position_embedding_type": "rope_gpt_neox", "max_position_embeddings": 128,
          "rotary_base": 500000.0, "rotary_pct": 0.5, "rotary_scaling": {"type": "llama3", "factor": 8.0}, "qk_layernorm": True,
          "use_parallel_embedding": True, "embedding_sharding_dim": 1, "tie_word_embeddings": False, "is_pruned": False,
          "mapping": {"world_size": 8, "gpus_per_node": 8, "tp_size": 2, "pp_size": 2, "cp_size": 2, "moe_tp_size": 2, "moe_ep_size": 1,
                      "moe_cluster_size": -1, "attn_tp_size": 4, "attn_cp_size": 1, "auto_parallel": False},
          "quantization": {"quant_algo": "W4A16_AWQ", "kv_cache_quant_algo": "INT8", "group_size": 64, "smoothquant_val": 0.5,
                           "clamp_val": [-1200, 1200], "has_zero_point": False, "pre_quant_scale": True, "exclude_modules": ["lm_head"]}}
plain = {**{key: value for key, value in config.items() if key != "quantization"}, "qk_layernorm": False,
         "mapping": {"world_size": 4, "tp_size": 2, "pp_size": 2}}
small = {key: config[key] for key in ("architecture", "dtype", "hidden_size", "num_hidden_layers", "num_attention_heads")}
for target in ("config", "config-text"):
    seed(target, "full", config)
    seed(target, "indented", json.dumps(config, indent=4).encode())
    seed(target, "plain", plain)
    seed(target, "small", small)
seed("config-text", "empty", b"{ }")
seed("config-text", "nested", b'{"a": {"is_pruned": [1, "}\\"{"]}, "is\\u005fpruned" : null }')

# plan: which plan, how many changes, the changes, how to make the rest agree, changes of leaves
for index in range(10): seed("plan", f"as-planned-{index}", bytes([index, 0, 0, 0]))
seed("plan", "large-head", bytes([0, 1, 144, 2, 2, 120 + 19, 15, 0]))
seed("plan", "second-attention", bytes([0, 1, 144, 1, 0, 60, 15, 0]))
seed("plan", "other-width-in-one-rank", bytes([5, 1, 6, 1, 0, 120 + 8, 15, 0]))
seed("plan", "leaves", bytes([1, 0, 0, 2, 7, 0, 60, 0, 40, 0, 24, 1]))

# gguf
def text(value): return struct.pack("<Q", len(value.encode())) + value.encode()
def value(kind, content):
    if kind == 8: return struct.pack("<I", 8) + text(content)
    if isinstance(kind, tuple):
        head = struct.pack("<IIQ", 9, kind[0], len(content))
        return head + b"".join(text(c) if kind[0] == 8 else struct.pack({5: "<i", 6: "<f"}[kind[0]], c) for c in content)
    return struct.pack("<I", kind) + struct.pack({4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 12: "<d"}[kind], content)
def gguf(pairs, tensors, alignment=32):
    sizes = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2)}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, kind, content in pairs: head += text(key) + value(kind, content)
    place = 0
    for name, shape, kind in tensors:
        head += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", s) for s in shape) + struct.pack("<IQ", kind, place)
        elements, count = sizes[kind][0], 1
        for s in shape: count *= s
        place = (place + count // elements * sizes[kind][1] + alignment - 1) // alignment * alignment
    return head + bytes(-len(head) % alignment)
model = [("general.architecture", 8, "llama"), ("general.name", 8, "t"), ("llama.block_count", 4, 1), ("llama.context_length", 4, 64),
         ("llama.embedding_length", 4, 32), ("llama.feed_forward_length", 4, 32), ("llama.attention.head_count", 4, 2),
         ("llama.attention.head_count_kv", 4, 1), ("llama.rope.freq_base", 6, 10000.0), ("llama.attention.layer_norm_rms_epsilon", 6, 1e-5)]
words = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(0x40, 0x48)] + ["▁", "a", "b", "▁a", "ab"]
llama = [("tokenizer.ggml.model", 8, "llama"), ("tokenizer.ggml.tokens", (8,), words), ("tokenizer.ggml.scores", (6,), [-float(i) for i in range(len(words))]),
         ("tokenizer.ggml.token_type", (5,), [2, 3, 3] + [6] * 8 + [1] * 5), ("tokenizer.ggml.bos_token_id", 4, 1), ("tokenizer.ggml.eos_token_id", 4, 2),
         ("tokenizer.ggml.unknown_token_id", 4, 0), ("tokenizer.ggml.add_bos_token", 7, True), ("tokenizer.ggml.add_space_prefix", 7, False)]
gpt2 = [("tokenizer.ggml.model", 8, "gpt2"), ("tokenizer.ggml.pre", 8, "llama-bpe"), ("tokenizer.ggml.tokens", (8,), ["a", "b", "Ġ", "ab", "Ġa", "<|e|>"]),
        ("tokenizer.ggml.token_type", (5,), [1, 1, 1, 1, 1, 3]), ("tokenizer.ggml.merges", (8,), ["a b", "Ġ a"]), ("tokenizer.ggml.eos_token_id", 4, 5),
        ("tokenizer.chat_template", 8, "{% for m in messages %}{{ m.content }}{% endfor %}")]
def layer(kind, hidden=32):
    return ([("token_embd.weight", [hidden, 6], kind), ("output_norm.weight", [hidden], 0), ("blk.0.attn_norm.weight", [hidden], 0), ("blk.0.ffn_norm.weight", [hidden], 0)]
            + [(f"blk.0.{name}.weight", [hidden, rows], kind) for name, rows in [("attn_q", 32), ("attn_k", 16), ("attn_v", 16), ("attn_output", 32), ("ffn_gate", 32), ("ffn_up", 32), ("ffn_down", 32)]])
seed("gguf", "llama-f32", gguf(model + llama, layer(0)))
seed("gguf", "gpt2-q8_0", gguf(model + gpt2, layer(8)))
seed("gguf", "scaled-f16", gguf(model + [("llama.rope.scaling.type", 8, "linear"), ("llama.rope.scaling.factor", 6, 2.0), ("general.alignment", 4, 64)], layer(1), 64))
for name, kind in [("q4_0", 2), ("q4_1", 3), ("q5_0", 6), ("q5_1", 7), ("q4_K", 12), ("q5_K", 13), ("q6_K", 14), ("bf16", 30)]:
    seed("gguf", name, gguf(model[:2], [("a", [256, 3], kind), ("b", [256], kind)]))
seed("gguf", "empty", gguf([], []))
# For the small model of the adapter target: hidden 8, 2 layers, 2 heads of 4 (1 for keys), 12 inside, 10 tokens.
def factors(name, rank, inputs, outputs, kind=0): return [(f"{name}.weight.lora_a", [inputs, rank], kind), (f"{name}.weight.lora_b", [rank, outputs], kind)]
adapter_keys = [("general.architecture", 8, "llama"), ("general.type", 8, "adapter"), ("adapter.type", 8, "lora"), ("adapter.lora.alpha", 6, 4.0)]
seed("gguf", "lora-f32", gguf(adapter_keys, factors("blk.0.attn_q", 2, 8, 8) + factors("blk.1.attn_k", 1, 8, 4) + factors("blk.0.ffn_down", 3, 12, 8) + [("output_norm.weight", [8], 0)]))
seed("gguf", "lora-tables-f16", gguf(adapter_keys[:3], [("token_embd.weight.lora_a", [2, 10], 1), ("token_embd.weight.lora_b", [2, 8], 1)] + factors("output", 2, 8, 10, 1) + factors("blk.1.attn_output", 2, 8, 8, 30)))

# huggingface
def header(shapes, dtype="F32"):
    result, end = {}, 0
    for name, shape in shapes:
        count = 4 if dtype == "F32" else 2
        for s in shape: count *= s
        result[name] = tensor(dtype, shape, end, end + count)
        end += count
    return result
hugging = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
           "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 12, "vocab_size": 10, "rms_norm_eps": 1e-05, "hidden_act": "silu",
           "rope_theta": 10000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64}, "max_position_embeddings": 128, "tie_word_embeddings": True, "attention_bias": False,
           "mlp_bias": False, "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": [2, 3], "sliding_window": None}
matrices = [("model.embed_tokens.weight", [10, 8]), ("model.norm.weight", [8]), ("model.layers.0.input_layernorm.weight", [8]),
            ("model.layers.0.post_attention_layernorm.weight", [8]), ("model.layers.0.self_attn.q_proj.weight", [8, 8]),
            ("model.layers.0.self_attn.k_proj.weight", [4, 8]), ("model.layers.0.self_attn.v_proj.weight", [4, 8]),
            ("model.layers.0.self_attn.o_proj.weight", [8, 8]), ("model.layers.0.mlp.gate_proj.weight", [12, 8]),
            ("model.layers.0.mlp.up_proj.weight", [12, 8]), ("model.layers.0.mlp.down_proj.weight", [8, 12])]
generation = {"bos_token_id": 1, "eos_token_id": [2, 3], "do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_length": 64}
seed("huggingface", "tied", hugging, generation, header(matrices))
seed("huggingface", "untied", {**hugging, "architectures": ["MistralForCausalLM"], "tie_word_embeddings": False, "rope_scaling": None, "torch_dtype": "bfloat16",
     "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6}, "sliding_window": 64}, {}, header(matrices + [("lm_head.weight", [10, 8])], "BF16"))
seed("huggingface", "two-heads-a-rank", {**hugging, "num_key_value_heads": 2}, {},
     header([(n, [8, 8] if "k_proj" in n or "v_proj" in n else s) for n, s in matrices], "F16"))

# adapter
lora = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_rslora": False, "use_dora": False, "rank_pattern": {"layers.1.self_attn.q_proj": 1},
        "alpha_pattern": {".*up_proj": 8}, "target_modules": ["q_proj"], "bias": "none", "init_lora_weights": True, "fan_in_fan_out": False,
        "lora_dropout": 0.0, "modules_to_save": None, "base_model_name_or_path": "x", "task_type": "CAUSAL_LM", "ensure_weight_tying": False}
prefix = "base_model.model.model."
def pair(module, rank, inputs, outputs): return [(f"{prefix}{module}.lora_A.weight", [rank, inputs]), (f"{prefix}{module}.lora_B.weight", [outputs, rank])]
seed("adapter", "plain", lora, header(pair("layers.0.self_attn.q_proj", 2, 8, 8) + pair("layers.1.self_attn.q_proj", 1, 8, 8) + pair("layers.0.mlp.up_proj", 2, 8, 12)))
seed("adapter", "all", {**lora, "use_rslora": True, "rank_pattern": {}},
     header(sum([pair(f"layers.{l}.{m}", 2, i, o) for l in (0, 1) for m, i, o in [("self_attn.k_proj", 8, 4), ("self_attn.v_proj", 8, 4), ("self_attn.o_proj", 8, 8), ("mlp.down_proj", 12, 8)]], []), "F16"))
seed("adapter", "dora", {**lora, "use_dora": True, "rank_pattern": {}}, header(pair("layers.0.mlp.gate_proj", 2, 8, 12) + [(prefix + "layers.0.mlp.gate_proj.lora_magnitude_vector", [12])]))
seed("adapter", "embedding", {**lora, "ensure_weight_tying": True, "rank_pattern": {}}, header([(prefix + "embed_tokens.lora_embedding_A", [2, 10]), (prefix + "embed_tokens.lora_embedding_B", [8, 2])]))
seed("adapter", "saved", {**lora, "modules_to_save": ["lm_head"], "rank_pattern": {}},
     header([("base_model.model.lm_head.weight", [10, 8]), (prefix + "embed_tokens.weight", [10, 8]), (prefix + "layers.0.self_attn.q_proj.bias", [8])]))

# tokenizer
def added(id, content, **more): return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **more}
letters = "abcdeHlo,.!'0123é"
byte_level = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(40, "<|im_start|>"), added(41, "<s>", lstrip=True, rstrip=True),
              added(42, "user", special=False, normalized=True, single_word=True)], "normalizer": {"type": "NFC"},
              "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
              "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
              "special_tokens": {"<s>": {"id": "<s>", "ids": [41], "tokens": ["<s>"]}}}, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
              "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
              "ignore_merges": True, "vocab": {**{c: i for i, c in enumerate(letters)}, "Ġ": 20, "ab": 21, "Ġa": 22, "ll": 23, "llo": 24, "Ã": 25, "©": 26, "é": 27}, "merges": ["a b", ["Ġ", "a"], "l l", "ll o"]}}
byte_level["model"]["vocab"] = {token: index for index, token in enumerate(byte_level["model"]["vocab"])}
template = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m.content | trim }}{% endfor %}{% if add_generation_prompt %}a{% endif %}"
seed("tokenizer", "byte-level", byte_level, {"bos_token": "<s>", "eos_token": {"content": "<|im_start|>"}, "chat_template": template}, {"unk_token": "<s>"}, {"eos_token_id": [40, 41]})
pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
seed("tokenizer", "llama-3", {**byte_level, "normalizer": None, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
     {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]}, "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, byte_level["post_processor"]]}})
pieces = ["<unk>", "<s>", "</s>", "▁", "a", "b", "l", "o", "ll", "▁a", "<0x41>", "<0xC3>", "<0xA9>", "e", "▁▁"]
seed("tokenizer", "sentencepiece", {"version": "1.0", "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
     "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": None,
     "post_processor": byte_level["post_processor"] | {"special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
     "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
     "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": {p: i for i, p in enumerate(pieces)}, "merges": ["l l", "▁ a", "▁ ▁"]}},
     {"bos_token": "<s>", "chat_template": [{"name": "default", "template": template}, {"name": "tool_use", "template": "{{ tools | tojson }}"}]})
seed("tokenizer", "metaspace", {"added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
     "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}, "post_processor": None,
     "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": ["▁ a"]}})

# template
for name, source in {
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nx<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles') }}{% endif %}{{ bos_token ~ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% endfor %}",
    "llama-3": "{{- bos_token }}\n{%- if not date_string is defined %}\n{%- set date_string = strftime_now(\"%d %b %Y\") %}\n{%- endif %}\n{%- set ns = namespace(is_tool=false, n=0) -%}\n{%- for t in tools %}\n{{- t | tojson(indent=4) }}\n{%- endfor %}\n{%- for m in messages -%}{%- set ns.n = ns.n + 1 -%}{%- if m.tool_calls is defined and m.tool_calls is iterable -%}{%- for c in m.tool_calls -%}{{ c.function.name }}({{ c.function.arguments.items() | list }}){%- endfor -%}{%- elif m.content is string -%}{{ m.content | trim }}{%- else -%}{{ m.content | map(attribute='text') | join(', ') }}{%- endif -%}{%- endfor -%}",
    "macro": "{% macro f(x, depth=0) -%}{% if depth < 5 %}({{ f(x, depth + 1) }}){% else %}{{ x }}{% endif %}{%- endmacro %}{{ f('a') }}{% call f('b') %}c{% endcall %}{% filter upper | replace('A', 'b') %}a{% endfilter %}{% with a = 1, b = [1, 2.5, 'x'] %}{{ a ~ b | length }}{% endwith %}",
    "loops": "{% for k, v in {'a': 1, 'b': [1, 2]}.items() if k %}{{ loop.index }}/{{ loop.length }} {{ k }}={{ v }}{% if loop.last %}{% break %}{% endif %}{% else %}-{% endfor %}{% for i in range(3, 10, 2) %}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{% endfor %}",
    "filters": "{{ [3, 1, 2] | sort(reverse=true) | join('-') }}{{ 'a,b' .split(',') | first }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ 'x' * 3 }}{{ 7 // 2 ** 2 % 3 }}{{ 'abc'[::-1] }}{{ ' a ' | trim | capitalize | upper | title | indent(2) }}{{ (1.5 | int) + ('3' | int) | abs | round }}{{ none | default('d', true) }}{{ messages | groupby('role') }}{{ 'é🙂'.encode is defined }}{{ {'a': 1} | dictsort }}{{ [1, [2]] | string }}{{ 'a' < 'b' and not (1 in [2]) }}",
}.items(): seed("template", name, source.encode())

# requests
messages = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}, {"role": "assistant", "content": "c"}]
seed("requests", "chat", {"model": "m", "messages": messages, "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "n": 2, "seed": 18446744073709551615,
     "logprobs": True, "top_logprobs": 3, "stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": False}, "stop": ["a", "b"], "logit_bias": {"5": -100, "6": 1.5},
     "frequency_penalty": 0.1, "presence_penalty": -0.1, "repetition_penalty": 1.1, "user": "u", "response_format": {"type": "text"}, "tools": [], "tool_choice": "none", "reasoning_effort": "low"})
seed("requests", "chat-more", {"model": "m", "messages": messages, "echo": True, "add_generation_prompt": False, "chat_template": "{{ messages }}", "chat_template_kwargs": {"a": 1}, "documents": [{"a": "b"}],
     "prompt_token_ids": [1, 2], "best_of": 1, "min_tokens": 2, "max_tokens": 3, "ignore_eos": True, "stop_token_ids": [3], "include_stop_str_in_output": True, "skip_special_tokens": False,
     "truncate_prompt_tokens": 4, "add_special_tokens": True, "length_penalty": 1.0, "early_stopping": False})
seed("requests", "completion", {"model": "m", "prompt": ["a", [1, 2]], "echo": True, "logprobs": 2, "best_of": 3, "n": 1, "max_tokens": 0, "suffix": "", "detokenize": True, "use_beam_search": False})
seed("requests", "tokens", {"model": "m", "prompt": [1, 2, 3], "tokens": [1, 2], "skip_special_tokens": True, "return_token_strs": True, "lora_request": None, "top_p_min": 0.0})
