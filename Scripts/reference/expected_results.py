#!/usr/bin/env python3
"""Writes what a model must answer, computed by Hugging Face transformers: Models/tiny/expected.json.

    pip install torch transformers peft
    python Scripts/reference/expected_results.py

The format is that of Tests/Golden/smollm2-135m-instruct.json: four lists (base and adapter, float32 weights and
weights rounded to bfloat16), always evaluated in float32, so that only the weights differ.
"""
import json
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
MODEL, ADAPTER = ROOT / "Models/tiny", ROOT / "Models/tiny-lora"
STOP_ID, LONGEST = 2, 48

ABOUT = """Reference results for Models/tiny, computed in float32 by Hugging Face transformers on a CPU \
(Scripts/reference/expected_results.py). *_float32: weights as they are. *_bfloat16: the same rounded to bfloat16 \
(nearest, ties to even), still evaluated in float32. lora_*: after merging Models/tiny-lora, W + alpha/r * B@A in \
float32 on the weights of that kind, for *_bfloat16 rounded again. 'text' is the exact input string (for chat, after \
the chat template). prompt_logprobs are those of the prompt's tokens after the first, greedy_logprobs those of greedy_ids. greedy_ids end after id 2 (<|im_end|>) or 48 tokens. margins[i] is the gap between best and \
second-best logit at step i: an engine that computes in bfloat16 may differ from a step on whose margin is below 0.15, \
a float32 engine below 0.01."""

PROMPTS = [
    ("raw", "The ship came into"),
    ("raw", "Once upon a time"),
    ("raw", "def add(a, b):\n    "),
    ("raw", "Zwölf ⛵⛵ at 07:45\r\n\tand 1,024  more…"),  # nothing it was trained on: bytes, digits, spaces
    ("chat", "What is the capital of France?"),
    ("chat", "Who are you?"),
    ("chat", "What is 7 + 1?"),
    ("chat", "Draw a ship."),
]


def round_to_bfloat16(model) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16).to(torch.float32))


@torch.no_grad()
def answer(model, tokenizer, kind: str, prompt: str) -> dict:
    text = prompt
    if kind == "chat":
        messages = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    greedy, logprobs, margins, top = [], [], [], None
    scores = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1], -1)
    while len(greedy) < LONGEST and (not greedy or greedy[-1] != STOP_ID):
        logits = model(torch.tensor([ids + greedy])).logits[0, -1]
        if top is None:
            values, indices = torch.log_softmax(logits, -1).topk(10)
            top = {"ids": indices.tolist(), "logprobs": [round(v, 5) for v in values.tolist()]}
        best, second = logits.topk(2).values.tolist()
        margins.append(round(best - second, 4))
        greedy.append(int(logits.argmax()))
        logprobs.append(round(torch.log_softmax(logits, -1)[greedy[-1]].item(), 5))
    return {
        "kind": kind,
        "prompt": prompt,
        "text": text,
        "input_ids": ids,
        "greedy_ids": greedy,
        "greedy_logprobs": logprobs,
        "margins": margins,
        "greedy_text": tokenizer.decode(greedy),
        "next_token_top10": top,
        "prompt_logprobs": [round(v, 5) for v in scores[range(len(ids) - 1), ids[1:]].tolist()],
    }


def write(path: Path, about: str, load, adapter: Path, tokenizer, prompts) -> None:
    """The four lists. `load` gives the model in float32."""
    results = {"about": about}
    for weights in ("base", "lora"):
        for kind in ("float32", "bfloat16"):
            model = load().eval()
            if kind == "bfloat16":
                round_to_bfloat16(model)
            if weights == "lora":
                model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
                if kind == "bfloat16":
                    round_to_bfloat16(model)
            results[f"{weights}_{kind}"] = [answer(model, tokenizer, *prompt) for prompt in prompts]
            for entry in results[f"{weights}_{kind}"]:
                print(f"{weights}_{kind}", repr(entry["prompt"]), "->", repr(entry["greedy_text"]), min(entry["margins"]))
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(
        MODEL / "expected.json", ABOUT, lambda: AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32), ADAPTER,
        PreTrainedTokenizerFast.from_pretrained(MODEL), PROMPTS)
