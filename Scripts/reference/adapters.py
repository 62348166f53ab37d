"""LoRA adapters on a tiny random Llama, trained by nobody, merged by PEFT: what refitting with them must give.

Needs torch, transformers, peft. Writes Tests/WeightSourcesTests/Expected/adapters/: `base` (a Hugging Face directory),
one PEFT directory for every variant, and beside it VARIANT.expected.safetensors with the merged weights that differ
from the base's.
"""
import copy
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

out = pathlib.Path(__file__).parents[2] / "Tests/WeightSourcesTests/Expected/adapters"
shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True)

torch.manual_seed(3)
config = LlamaConfig(
    hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=4,
    vocab_size=22, attention_bias=True, tie_word_embeddings=False, max_position_embeddings=64)
original = LlamaForCausalLM(config)
for p in original.parameters():
    torch.nn.init.normal_(p, std=0.5)
original.save_pretrained(out / "base")
(out / "base/generation_config.json").unlink(missing_ok=True)
reference = {n: t.clone() for n, t in original.state_dict().items()}


def fresh():
    m = LlamaForCausalLM(config)
    m.load_state_dict(reference)
    return m


attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
everything = attention + ["gate_proj", "up_proj", "down_proj"]
variants = {
    "plain": dict(r=3, lora_alpha=6, target_modules=everything),
    "rank-stabilized": dict(r=5, lora_alpha=7, target_modules=["q_proj", "down_proj"], use_rslora=True),
    "dora": dict(r=2, lora_alpha=8, target_modules=everything, use_dora=True),
    "patterns": dict(r=4, lora_alpha=4, target_modules=everything,
                     rank_pattern={"k_proj": 2, r"model\.layers\.1\.mlp\.(gate|up)_proj": 6, "o_proj": 1},
                     alpha_pattern={"layers.0.self_attn.q_proj": 20, r".*1\.mlp\.down_proj": 3}),
    "bias": dict(r=2, lora_alpha=2, target_modules=["q_proj", "v_proj"], bias="all"),
    "whole-modules": dict(r=2, lora_alpha=4, target_modules=["v_proj"], modules_to_save=["embed_tokens", "lm_head"]),
    "embedding": dict(r=3, lora_alpha=6, target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "one-layer": dict(r=2, lora_alpha=4, target_modules=["gate_proj"], layers_to_transform=[1]),
}
for name, settings in variants.items():
    torch.manual_seed(len(name))
    m = get_peft_model(fresh(), LoraConfig(task_type="CAUSAL_LM", **settings))
    for n, p in m.named_parameters():
        if "lora_" in n and "magnitude" not in n or p.requires_grad and ("bias" in n or "modules_to_save" in n):
            torch.nn.init.normal_(p, std=0.4)
        elif "magnitude" in n:
            p.data *= 1 + 0.3 * torch.rand_like(p)
    m.save_pretrained(out / name)
    (out / name / "README.md").unlink(missing_ok=True)
    merged = m.merge_and_unload().state_dict()
    changed = {n: t.contiguous().clone() for n, t in merged.items() if not torch.equal(t, reference[n])}
    save_file(changed, out / f"{name}.expected.safetensors")
    print(name, len(changed))

# fan_in_fan_out: the base layer keeps its weight as [in, out].
torch.manual_seed(11)
m = fresh()
for layer in m.model.layers:
    for owner, attribute in [(layer.self_attn, "q_proj"), (layer.mlp, "down_proj")]:
        linear = getattr(owner, attribute)
        conv = Conv1D(linear.out_features, linear.in_features)
        conv.weight.data = linear.weight.data.T.contiguous()
        if linear.bias is not None:
            conv.bias.data = linear.bias.data.clone()
        setattr(owner, attribute, conv)
for name, dora in [("fan-in-fan-out", False), ("fan-in-fan-out-dora", True)]:
    torch.manual_seed(12)
    p = get_peft_model(copy.deepcopy(m), LoraConfig(
        task_type="CAUSAL_LM", r=2, lora_alpha=6, target_modules=["q_proj", "down_proj"], fan_in_fan_out=True, use_dora=dora))
    for n, t in p.named_parameters():
        if "lora_" in n and "magnitude" not in n:
            torch.nn.init.normal_(t, std=0.4)
        elif "magnitude" in n:
            t.data *= 1 + 0.3 * torch.rand_like(t)
    p.save_pretrained(out / name)
    (out / name / "README.md").unlink(missing_ok=True)
    merged = p.merge_and_unload().state_dict()
    changed = {}
    for n, t in merged.items():
        if n not in reference:
            continue  # Conv1D always has a bias; it is zero
        if t.ndim == 2 and ("q_proj" in n or "down_proj" in n):
            t = t.T.contiguous()
        if not torch.equal(t, reference[n]):
            changed[n] = t.clone()
    save_file(changed, out / f"{name}.expected.safetensors")
    print(name, len(changed))
for path in sorted(out.rglob("*")):
    if path.is_file():
        print(path.relative_to(out), path.stat().st_size)
