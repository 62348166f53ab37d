#!/usr/bin/env python3
"""Writes what Models/tiny answers where keys and values are kept in bfloat16: Tests/Golden/tiny-bfloat16-cache.json.

    pip install torch transformers
    python Scripts/reference/bfloat16_cache.py

Everything is computed in float32 by Hugging Face transformers, with its own cache between the steps; only what is put
into the cache is rounded to bfloat16 (nearest, ties to even), rotated keys included, so that a token attends to
rounded keys and values, its own too. `greatest_change` is how far any of the log-probabilities lies from those of the
same model with an unrounded cache: a comparison that is closer than that can tell the two apart.
"""
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "Models/tiny"
STOP_ID, LONGEST = 2, 48
PROMPTS = [
    "The ship came into",
    "Once upon a time",
    "Zwölf ⛵⛵ at 07:45\r\n\tand 1,024  more…",
    "The ship came into the dry dock in the morning and left it in the evening. " * 3,
]


class RoundedCache(DynamicCache):
    def update(self, keys, values, *arguments, **options):
        keys, values = (x.to(torch.bfloat16).to(torch.float32) for x in (keys, values))
        return super().update(keys, values, *arguments, **options)


@torch.no_grad()
def answer(model, ids: list[int], cache) -> tuple[list[int], list[dict]]:
    """Greedy tokens, and the ten likeliest at each step: the prompt in one step, then token by token."""
    greedy, top, given = [], [], ids
    while len(greedy) < LONGEST and (not greedy or greedy[-1] != STOP_ID):
        logits = model(torch.tensor([given]), past_key_values=cache, use_cache=True).logits[0, -1]
        values, indices = torch.log_softmax(logits, -1).topk(10)
        top.append({"ids": indices.tolist(), "logprobs": [round(v, 6) for v in values.tolist()]})
        greedy.append(int(indices[0]))
        given = greedy[-1:]
    return greedy, top


def main() -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    cases, greatest = [], 0.0
    for prompt in PROMPTS:
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        greedy, top = answer(model, ids, RoundedCache(config=model.config))
        plain, plain_top = answer(model, ids, DynamicCache(config=model.config))
        change = max(
            abs(value - dict(zip(other["ids"], other["logprobs"]))[token])
            for one, other in zip(top, plain_top) for token, value in zip(one["ids"], one["logprobs"])
            if token in other["ids"])
        greatest = max(greatest, change)
        print(repr(prompt), len(ids), repr(tokenizer.decode(greedy)), "same tokens" if greedy == plain else "OTHER TOKENS", change)
        cases.append({"prompt": prompt, "input_ids": ids, "greedy_ids": greedy, "top": top})
    about = " ".join((__doc__ or "").split("\n\n")[2].split())
    result = {"about": about, "greatest_change": round(greatest, 6), "cases": cases}
    lines = json.dumps(result, ensure_ascii=False).replace('{"prompt"', '\n{"prompt"').replace('{"ids"', '\n{"ids"')
    (ROOT / "Tests/Golden/tiny-bfloat16-cache.json").write_text(lines + "\n")


main()
