#!/usr/bin/env python3
"""Expected data of Tests/EnginesTests/NumberSchemeTests.swift: weights in fewer bits by PyTorch, answers by transformers.

Codes and scales of W8A16 are computed with PyTorch's operations and, for the same scales, by its own
torch.quantize_per_channel, which must agree but where a value lies within float32's error of the middle between two codes. The model
with decoded weights is run by transformers in float32.

    python3 Scripts/reference/number_schemes.py Tests/EnginesTests/Expected
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def encode(weight):
    scales = (weight.abs().amax(dim=1) / 127).to(torch.bfloat16)
    wide = scales.float()
    exact = weight / wide[:, None]
    codes = torch.clamp(torch.round(exact), -127, 127).to(torch.int8)
    other = torch.quantize_per_channel(weight, wide.double(), torch.zeros(len(wide), dtype=torch.long), 0, torch.qint8).int_repr()
    apart = codes != other
    assert (((exact - exact.floor()) - 0.5).abs()[apart] < 1e-4).all() and apart.sum() <= 2, apart.sum()
    return codes, scales


def main(place):
    for name in ("qwen3", "gemma3"):
        source = place / "families" / name
        known = json.loads((source / "expected.json").read_text())
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
        parts = {}
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if key.split(".")[-2] not in LAYERS:
                    continue
                codes, scales = encode(parameter)
                parts[key], parts[key.replace("weight", "scales")] = codes, scales
                parameter.copy_(codes.float() * scales.float()[:, None])
            ids = torch.tensor([known["ids"]])
            logprobs = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
        target = place / "schemes" / f"{name}-W8A16"
        target.mkdir(parents=True, exist_ok=True)
        save_file(parts, target / "parts.safetensors")
        rows = [[round(value, 5) for value in row] for row in logprobs.tolist()]
        (target / "expected.json").write_text(json.dumps({"ids": known["ids"], "logprobs": rows}, separators=(",", ":")) + "\n")


main(pathlib.Path(sys.argv[1]))
