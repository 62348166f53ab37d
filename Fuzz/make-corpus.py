#!/usr/bin/env python3
"""Writes the seeds in Fuzz/Corpus: one file each, whose first byte chooses the parser (see FuzzTargets.swift)."""
import json, os, struct

here = os.path.dirname(os.path.abspath(__file__)) + "/Corpus"
os.makedirs(here, exist_ok=True)

def seed(name, kind, data):
    with open(f"{here}/{name}", "wb") as file: file.write(bytes([kind]) + data)

def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data

def tensor(dtype, shape, begin, end): return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

seed("header-empty", 0, file({}))
seed("header-notes", 0, file({"__metadata__": {"format": "pt", "drydock.original_shapes": "{\"a\":[1,2]}"}}))
place, tensors = 0, {}
for dtype, bits in [("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8),
                    ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16),
                    ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64)]:
    tensors[dtype] = tensor(dtype, [4], place, place + bits // 2)
    place += bits // 2
seed("header-types", 0, file(tensors, bytes(place)))
seed("header-scalar", 0, file({"s": tensor("F32", [], 0, 4), "e": tensor("F32", [0, 7], 4, 4)}, b"1234"))
seed("header-padded", 0, file(json.dumps({"a": tensor("U8", [3], 0, 3)}).encode() + b"    ", b"abc"))
seed("header-hole", 0, file({"a": tensor("U8", [1], 1, 2)}, b"ab"))
seed("header-overlap", 0, file({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, b"abc"))
seed("header-overflow", 0, file({"a": tensor("F64", [2**62, 2**62], 0, 8)}, bytes(8)))
seed("header-twice", 0, file(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'))
for index, text in enumerate(['{"a":[1,-0.5e+10,true,false,null,"\\u00e9\\ud834\\udd1e\\n"],"b":{}}', "[" * 40 + "]" * 40, "NaN", "-Infinity",
                              '"\u00e9\u2028"', "[1e400,123456789012345678901234567890]", '{"a":1,"a":2}', " \t\r\n[ ] "]):
    seed(f"json-{index}", 1, text.encode())
config = {"architecture": "LlamaForCausalLM", "dtype": "bfloat16", "logits_dtype": "float32", "hidden_size": 64, "num_hidden_layers": 5,
          "num_attention_heads": 8, "num_key_value_heads": 2, "head_size": 8, "intermediate_size": 128, "vocab_size": 256,
          "norm_epsilon": 1e-05, "hidden_act": "silu", "position_embedding_type": "rope_gpt_neox", "max_position_embeddings": 128,
          "rotary_base": 500000.0, "rotary_pct": 0.5, "rotary_scaling": {"type": "llama3", "factor": 8.0}, "qk_layernorm": True,
          "use_parallel_embedding": True, "embedding_sharding_dim": 1, "tie_word_embeddings": False, "is_pruned": False,
          "mapping": {"world_size": 8, "gpus_per_node": 8, "tp_size": 2, "pp_size": 2, "cp_size": 2, "moe_tp_size": 2, "moe_ep_size": 1,
                      "moe_cluster_size": -1, "attn_tp_size": 4, "attn_cp_size": 1, "auto_parallel": False},
          "quantization": {"quant_algo": "W4A16_AWQ", "kv_cache_quant_algo": "INT8", "group_size": 64, "smoothquant_val": 0.5,
                           "clamp_val": [-1200, 1200], "has_zero_point": False, "pre_quant_scale": True, "exclude_modules": ["lm_head"]}}
for kind, name in [(2, "config"), (3, "edit")]:
    seed(f"{name}-full", kind, json.dumps(config).encode())
    seed(f"{name}-indented", kind, json.dumps(config, indent=4).encode())
    small = {key: config[key] for key in ("architecture", "dtype", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    seed(f"{name}-small", kind, json.dumps(small, separators=(",", ":")).encode())
seed("edit-empty", 3, b"{ }")
seed("edit-nested", 3, b'{"a": {"is_pruned": [1, "}\\"{"]}, "is\\u005fpruned" : null }')
