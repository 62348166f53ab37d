#!/usr/bin/env python3
"""A tiny random model of a family with what transformers and PEFT compute of it, and the same model as a GGUF file.

Writes Tests/EnginesTests/Expected/families/NAME/: config.json, model.safetensors (float32), lora/ (a PEFT adapter on all linear
layers), model.gguf (float32, written with the gguf package alone), expected.json with the log-probabilities of every token
at every position of a forced sequence, of the model and with the adapter, and the tokens that are chosen greedily.

  python Scripts/reference/family_models.py        needs torch, transformers 5, peft and gguf
"""
import json
import logging
import shutil
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

logging.disable(logging.WARNING)
OUT = Path(__file__).resolve().parents[2] / "Tests/EnginesTests/Expected/families"
LENGTH, GREEDY = 70, 24
SIZES = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=4, intermediate_size=48, vocab_size=61,
             max_position_embeddings=128, rope_theta=1e6, initializer_range=0.25, torch_dtype="float32")
FAMILIES = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(tie_word_embeddings=False, use_sliding_window=False, sliding_window=64, max_window_layers=4)),
    "qwen2-tied": (Qwen2Config, Qwen2ForCausalLM, dict(tie_word_embeddings=True)),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, dict(tie_word_embeddings=False, head_dim=12)),
    "qwen3-tied": (Qwen3Config, Qwen3ForCausalLM, dict(tie_word_embeddings=True, head_dim=12)),
}


@torch.no_grad()
def answers(model, ids):
    scores = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
    greedy, margins = list(ids[:9]), []
    while len(greedy) < 9 + GREEDY:
        best = model(torch.tensor([greedy])).logits[0, -1].topk(2)
        greedy.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
    return dict(logprobs=[[round(float(x), 5) for x in row] for row in scores], greedy=greedy[9:], margins=[round(m, 4) for m in margins])


def write_gguf(path, config, state):
    w = gguf.GGUFWriter(str(path), config.model_type)
    w.add_context_length(config.max_position_embeddings); w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers); w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads); w.add_head_count_kv(config.num_key_value_heads)
    w.add_layer_norm_rms_eps(config.rms_norm_eps); w.add_rope_freq_base(1e6); w.add_vocab_size(config.vocab_size)
    if getattr(config, "head_dim", None): w.add_key_length(config.head_dim); w.add_value_length(config.head_dim)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, config.model_type.upper()), config.num_hidden_layers)
    for name, tensor in state.items():
        base, kind = name.rsplit(".", 1)
        w.add_tensor(names.get_name(base) + "." + kind, tensor.numpy().astype(np.float32))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


for seed, (name, (config_class, model_class, more)) in enumerate(FAMILIES.items()):
    place = OUT / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    torch.manual_seed(40 + seed)
    model = model_class(config_class(**SIZES, **more)).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():  # transformers begins with zeros and ones
            if key.endswith("bias"): value.normal_(0, 0.5)
            if "norm" in key: value.normal_(1, 0.2)
    state = {k: v.detach().clone() for k, v in model.state_dict().items() if not (more["tie_word_embeddings"] and k == "lm_head.weight")}
    save_file(state, str(place / "model.safetensors"), metadata={"format": "pt"})
    with tempfile.TemporaryDirectory() as d:
        model.config.save_pretrained(d)
        config = json.loads(Path(d, "config.json").read_text())
    config["architectures"] = [model_class.__name__]
    (place / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    write_gguf(place / "model.gguf", model.config, state)
    ids = torch.randint(0, SIZES["vocab_size"], (LENGTH,)).tolist()
    expected = dict(ids=ids, base=answers(model, ids))
    lora = get_peft_model(model, LoraConfig(
        r=4, lora_alpha=6, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for key, value in lora.named_parameters():
            if "lora_B" in key: value.normal_(0, 0.15)
    with tempfile.TemporaryDirectory() as d:
        lora.save_pretrained(d)
        (place / "lora").mkdir()
        for file in ["adapter_config.json", "adapter_model.safetensors"]: shutil.copy(Path(d, file), place / "lora" / file)
    settings = json.loads((place / "lora/adapter_config.json").read_text())
    settings["base_model_name_or_path"] = name
    settings["target_modules"].sort()
    (place / "lora/adapter_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    expected["lora"] = answers(lora.merge_and_unload(), ids)
    (place / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    print(name, sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) // 1000, "kB, smallest margin", min(expected["base"]["margins"]))
