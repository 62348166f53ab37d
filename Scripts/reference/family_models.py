#!/usr/bin/env python3
"""A tiny random model of a family with what transformers and PEFT compute of it, and the same model as a GGUF file.

Writes Tests/EnginesTests/Expected/families/NAME/: config.json, model.safetensors (float32, or bfloat16 as the name says), lora/ (a PEFT adapter on all linear
layers), model.gguf (float32, written with the gguf package alone), expected.json with the log-probabilities of every token
at every position of a forced sequence, of the model and with the adapter, and the tokens that are chosen greedily.

  python Scripts/reference/family_models.py [NAME ...]        needs torch, transformers 5, peft and gguf
"""
import json
import logging
import re
import shutil
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, MixtralConfig, MixtralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM)

logging.disable(logging.WARNING)
OUT = Path(__file__).resolve().parents[2] / "Tests/EnginesTests/Expected/families"
LENGTH, GREEDY = 70, 24
SIZES = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=4, intermediate_size=48, vocab_size=61,
             max_position_embeddings=128, rope_theta=1e6, initializer_range=0.25, torch_dtype="float32")
# As the small published Gemma 3 models, in the spelling of transformers 4: every sixth layer sees all, the scale is the head's.
GEMMA3 = dict(hidden_size=24, num_key_value_heads=1, head_dim=8, num_hidden_layers=6, intermediate_size=32, query_pre_attn_scalar=8, sliding_window=16,
              tie_word_embeddings=True, rope_local_base_freq=1e4)
FAMILIES = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(tie_word_embeddings=False, use_sliding_window=False, sliding_window=64, max_window_layers=4)),
    "qwen2-tied": (Qwen2Config, Qwen2ForCausalLM, dict(tie_word_embeddings=True)),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, dict(tie_word_embeddings=False, head_dim=12)),
    "qwen3-tied": (Qwen3Config, Qwen3ForCausalLM, dict(tie_word_embeddings=True, head_dim=12)),
    # As the larger ones: a scaling of the layers that see all. Which ones those are, and the scale, differ from what GGUF files imply.
    "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM, dict(
        tie_word_embeddings=True, head_dim=16, intermediate_size=32, query_pre_attn_scalar=24, sliding_window=16, sliding_window_pattern=3,
        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})),
    "gemma3-bfloat16": (Gemma3TextConfig, Gemma3ForCausalLM, GEMMA3),
    "gemma3-capped": (Gemma3TextConfig, Gemma3ForCausalLM, GEMMA3 | dict(final_logit_softcapping=3.0, attn_logit_softcapping=2.0)),
}
# Weights of a model with experts are many: fewer layers.
EXPERTS = dict(num_hidden_layers=2, tie_word_embeddings=False)
MIXTURES = {
    "qwen3-moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM, EXPERTS | dict(head_dim=12, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=32, norm_topk_prob=True),
                  ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]),
    # Layers with one MLP, by their place and by name; shares that are not divided by their sum.
    "qwen3-moe-mixed": (Qwen3MoeConfig, Qwen3MoeForCausalLM, EXPERTS | dict(
        num_hidden_layers=4, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, decoder_sparse_step=2, mlp_only_layers=[3]), ["mlp.experts.gate_up_proj", "mlp.gate.weight"]),
    "mixtral": (MixtralConfig, MixtralForCausalLM, EXPERTS | dict(intermediate_size=32, num_local_experts=4, num_experts_per_tok=2), ["experts.down_proj", "experts.gate_up_proj", "gate.weight"]),
}
FAMILIES |= {name: mixture[:3] for name, mixture in MIXTURES.items()}
# Architectures in llama.cpp's names whose converter puts rows of queries and keys in another order.
PERMUTED = {"llama"}


def add(name, stem, more, permuted=False):
    """A family whose classes in transformers have this stem."""
    FAMILIES[name] = (getattr(transformers, f"{stem}Config"), getattr(transformers, f"{stem}ForCausalLM"), more)
    if permuted: PERMUTED.add(name)


# Caps that are felt, a window that is short, a scale that is not the head's.
add("gemma2", "Gemma2", dict(tie_word_embeddings=True, head_dim=16, intermediate_size=32, query_pre_attn_scalar=24, sliding_window=16,
                             attn_logit_softcapping=2.0, final_logit_softcapping=3.0))
add("granite", "Granite", dict(tie_word_embeddings=True, embedding_multiplier=3.0, attention_multiplier=0.21, residual_multiplier=0.45, logits_scaling=1.7),
    permuted=True)
add("smollm3", "SmolLM3", dict(tie_word_embeddings=True, no_rope_layer_interval=2, pad_token_id=None), permuted=True)
add("olmo2", "Olmo2", dict(tie_word_embeddings=False))
# With windows, as the large one, and without, as the small one.
add("exaone4", "Exaone4", dict(tie_word_embeddings=False, head_dim=12, sliding_window=16, sliding_window_pattern=2))
add("exaone4-whole", "Exaone4", dict(tie_word_embeddings=True, sliding_window=None, intermediate_size=40, layer_types=["full_attention"] * 4))
# Keys of Gemma 3 as transformers 4 wrote them: told by these names, what replaces them is left out.
OLDER = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": None, "sliding_window_pattern": 6}


@torch.no_grad()
def answers(model, ids):
    scores = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
    greedy, margins = list(ids[:9]), []
    while len(greedy) < 9 + GREEDY:
        best = model(torch.tensor([greedy])).logits[0, -1].topk(2)
        greedy.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
    return dict(logprobs=[[round(float(x), 5) for x in row] for row in scores], greedy=greedy[9:], margins=[round(m, 4) for m in margins])


def saved(model):
    """The model's tensors as transformers publishes them: of experts each matrix by itself."""
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        return load_file(Path(d, "model.safetensors"))


def stacked(state):
    """As llama.cpp's converter does it: an expert's matrices in one tensor."""
    result, experts = {}, {}
    for name, tensor in state.items():
        found = re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.weight", name)
        if found: experts.setdefault(f"{found[1]}.{found[3]}.weight", {})[int(found[2])] = tensor
        else: result[name] = tensor
    return result | {name: torch.stack([parts[i] for i in range(len(parts))]) for name, parts in experts.items()}


def interleaved(tensor, heads):
    """As llama.cpp's converter puts rows of queries and keys of a Llama."""
    return tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


def write_gguf(path, config, state):
    architecture = {"qwen3_moe": "qwen3moe", "mixtral": "llama"}.get(config.model_type, config.model_type.removesuffix("_text"))
    isGemma = architecture.startswith("gemma")
    w = gguf.GGUFWriter(str(path), architecture)
    w.add_context_length(config.max_position_embeddings); w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers); w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads); w.add_head_count_kv(config.num_key_value_heads)
    w.add_layer_norm_rms_eps(config.rms_norm_eps); w.add_rope_freq_base(1e6); w.add_vocab_size(config.vocab_size)
    if getattr(config, "head_dim", None): w.add_key_length(config.head_dim); w.add_value_length(config.head_dim)
    if "sliding_attention" in (getattr(config, "layer_types", None) or []): w.add_sliding_window(config.sliding_window)
    if architecture == "gemma2":
        w.add_attn_logit_softcapping(config.attn_logit_softcapping); w.add_final_logit_softcapping(config.final_logit_softcapping)
    if architecture == "granite":
        w.add_embedding_scale(config.embedding_multiplier); w.add_attention_scale(config.attention_multiplier)
        w.add_residual_scale(config.residual_multiplier); w.add_logit_scale(config.logits_scaling)
    if architecture == "gemma3":
        scaling = config.rope_parameters["full_attention"]
        if scaling["rope_type"] == "linear": w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR); w.add_rope_scaling_factor(scaling["factor"])
        if config._sliding_window_pattern != 6: w.add_sliding_window_pattern(config._sliding_window_pattern)
        if config.final_logit_softcapping: w.add_final_logit_softcapping(config.final_logit_softcapping)
    if hasattr(config, "num_experts_per_tok"):
        w.add_expert_count(config.num_local_experts); w.add_expert_used_count(config.num_experts_per_tok)
        if architecture == "qwen3moe": w.add_expert_feed_forward_length(config.moe_intermediate_size)
        state = stacked(state)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), config.num_hidden_layers)
    for name, tensor in state.items():
        base, kind = name.rsplit(".", 1)
        # llama.cpp's converter adds what Gemma's norms add to their weights when they run.
        if isGemma and base.endswith("norm"): tensor = tensor.float() + 1
        for ending, heads in [("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)]:
            if architecture in PERMUTED and base.endswith(ending): tensor = interleaved(tensor, heads)
        w.add_tensor(names.get_name(base) + "." + kind, tensor.float().numpy())
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


for seed, (name, (config_class, model_class, more)) in enumerate(FAMILIES.items()):
    if len(sys.argv) > 1 and name not in sys.argv: continue
    isGemma, isOlder = model_class.__name__.startswith("Gemma"), "rope_local_base_freq" in more
    place = OUT / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    torch.manual_seed(40 + seed)
    model = model_class(config_class(**(SIZES | more))).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():  # transformers begins with zeros and ones
            if key.endswith("bias"): value.normal_(0, 0.5)
            # Gemma's norms are stored without the 1 that they add; in steps that adding it keeps.
            if "norm" in key: value.normal_(0, 0.2).mul_(1024).round_().div_(1024) if isGemma else value.normal_(1, 0.2)
            if name.endswith("bfloat16"): value.copy_(value.bfloat16())
    whole = saved(model) if name in MIXTURES else model.state_dict()
    state = {k: v.detach().clone() for k, v in whole.items() if not (more["tie_word_embeddings"] and k == "lm_head.weight")}
    stored = {k: v.bfloat16() for k, v in state.items()} if name.endswith("bfloat16") else state
    save_file(stored, str(place / "model.safetensors"), metadata={"format": "pt"})
    with tempfile.TemporaryDirectory() as d:
        model.config.save_pretrained(d)
        config = json.loads(Path(d, "config.json").read_text())
    config["architectures"] = [model_class.__name__]
    if name.endswith("bfloat16"): config["dtype"] = "bfloat16"
    if isOlder:
        config = {k: v for k, v in config.items() if k not in ("rope_parameters", "layer_types", "_sliding_window_pattern", "dtype")} | OLDER
        config["torch_dtype"] = "bfloat16" if name.endswith("bfloat16") else "float32"
    (place / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    # llama.cpp has experts in every layer, and divides their shares.
    if name != "qwen3-moe-mixed": write_gguf(place / "model.gguf", model.config, state)
    ids = torch.randint(0, SIZES["vocab_size"], (LENGTH,)).tolist()
    expected = dict(ids=ids, base=answers(model, ids))
    # Of experts the stacks that transformers keeps, which are parameters, not modules.
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"] + ([] if name in MIXTURES else ["gate_proj", "up_proj", "down_proj"])
    lora = get_peft_model(model, LoraConfig(
        r=4, lora_alpha=6, target_modules=targets, target_parameters=MIXTURES[name][3] if name in MIXTURES else None, task_type="CAUSAL_LM",
        rank_pattern={r".*\.gate_up_proj": 3} if name == "mixtral" else {}))
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
