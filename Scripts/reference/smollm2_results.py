#!/usr/bin/env python3
"""Writes what SmolLM2-135M-Instruct must answer, computed by Hugging Face transformers: Tests/Golden/smollm2-135m-instruct.json.

    pip install torch transformers peft gguf
    python Scripts/reference/smollm2_results.py "$(Scripts/fetch-model)"

Made as Models/tiny/expected.json is, see expected_results.py.
"""
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from expected_results import ROOT, write

ABOUT = """Reference results for SmolLM2-135M-Instruct, computed in float32 by Hugging Face transformers on a CPU from the GGUF \
file that Scripts/fetch-model gets (Q4_1, Q8_0, F32; Scripts/reference/smollm2_results.py). *_float32: weights \
dequantised to float32 and used as they are. *_bfloat16: the same rounded to bfloat16 (nearest, ties to even), still \
evaluated in float32. lora_*: after merging Models/salty-lora, W + alpha/r * B@A in float32 on the weights of that \
kind, for *_bfloat16 rounded again. 'text' is the exact input string (for chat, after the chat template). \
prompt_logprobs are those of the prompt's tokens after the first, greedy_logprobs those of greedy_ids. greedy_ids end \
after id 2 (<|im_end|>) or 48 tokens. margins[i] is the gap between best and second-best logit at step i: an engine \
that computes in bfloat16 may differ from a step on whose margin is below 0.15, a float32 engine below 0.01."""

PROMPTS = [
    ("raw", "The capital of France is"),
    ("raw", "Once upon a time, in a small village by the sea,"),
    ("raw", "def fibonacci(n):\n    "),
    ("raw", "Water boils at"),
    ("chat", "What is the capital of Italy?"),
    ("chat", "Who are you?"),
    ("chat", "List three fruits."),
    ("chat", "What is the tallest mountain in the world?"),
]


def main() -> None:
    path = Path(sys.argv[1])
    write(
        ROOT / "Tests/Golden/smollm2-135m-instruct.json", ABOUT,
        lambda: AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32), ROOT / "Models/salty-lora",
        AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), PROMPTS)


main()
