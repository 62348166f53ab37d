#!/usr/bin/env python3
"""Compares a running trtllm-serve with the golden results, one prompt at a time and under load.

    serve_golden_check.py BASE_URL MODEL GOLDEN.json SET

SET is a key of the golden file: base_float32, base_bfloat16, lora_float32 or lora_bfloat16. Prompt ids must be equal.
Log-probabilities of the prompt's own tokens (echo), where the golden file has them, must agree within 0.002, and within
0.25 for bfloat16, alone and under load, bit by bit the same. (Of SmolLM2, transformers is up to 0.35 from these values
where it computes all in bfloat16, and 0.06 where it only keeps keys and values so.) Greedy ids must be equal for float32, and for bfloat16 up to the first step whose margin is below 0.15, where rounding may
choose the other token. Under load every prompt must be answered as it was alone, whatever the margins.
"""

import asyncio
import json
import sys

import openai

base_url, model, golden_path, name = sys.argv[1:5]
cases = json.load(open(golden_path))[name]
client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=300)


async def answer(case):
    """The greedy ids as the server gives them, the stop token not among them."""
    reply = await client.completions.create(
        model=model, prompt=case["input_ids"], temperature=0, max_tokens=len(case["greedy_ids"]),
        extra_body={"detokenize": False},
    )
    return reply.choices[0].model_extra["token_ids"], reply.choices[0].finish_reason


async def scores(case):
    """Log-probabilities of the prompt's tokens after the first."""
    reply = await client.completions.create(
        model=model, prompt=case["input_ids"], temperature=0, max_tokens=0, echo=True, logprobs=1)
    values = reply.choices[0].logprobs.token_logprobs
    assert values[0] is None and len(values) == len(case["input_ids"]), values
    assert reply.usage.completion_tokens == 0, reply.usage
    return values[1:]


async def tokens(case):
    body = {"prompt": case["prompt"]} if case["kind"] == "raw" else {
        "messages": [{"role": "user", "content": case["prompt"]}]}
    url = base_url.removesuffix("/v1") + "/tokenize"
    return (await client.post(url, body=body, cast_to=dict))["tokens"]


def wrong(case, ids, reason):
    """The first step that differs without excuse, or None."""
    for step, (wanted, margin) in enumerate(zip(case["greedy_ids"], case["margins"])):
        if "bfloat16" in name and margin < 0.15:
            return None
        ended = step == len(ids) and reason == "stop"
        if ended and step == len(case["greedy_ids"]) - 1:
            return None
        if step >= len(ids) or ids[step] != wanted:
            return step
    return None


async def together():
    return await asyncio.gather(*(answer(case) for _ in range(4) for case in cases))


async def main():
    failures = 0
    alone = []
    for case in cases:
        prompt = await tokens(case)
        failures += prompt != case["input_ids"]
        ids, reason = await answer(case)
        alone.append((ids, reason))
        step = wrong(case, ids, reason)
        failures += step is not None
        exact = sum(a == b for a, b in zip(ids, case["greedy_ids"]))
        print(f"{'ok    ' if step is None and prompt == case['input_ids'] else 'FAILED'} {case['prompt'][:40]!r}: "
              f"{exact} of {len(case['greedy_ids'])} ids equal, prompt {'equal' if prompt == case['input_ids'] else prompt}")
    scored = [case for case in cases if "prompt_logprobs" in case]
    scores_alone = [await scores(case) for case in scored]
    for case, found in zip(scored, scores_alone):
        wanted = case["prompt_logprobs"]
        worst = max((abs(a - b) for a, b in zip(wanted, found)), default=0)
        failures += (bad := len(found) != len(wanted) or not worst <= (0.25 if "bfloat16" in name else 0.002))
        print(f"{'FAILED' if bad else 'ok    '} prompt scores of {case['prompt'][:40]!r}: {worst:.5f} off at most")
    *crowd_scores, crowd = await asyncio.gather(
        *(scores(case) for _ in range(2) for case in scored), together())
    different = sum(got != scores_alone[index % len(scored)] for index, got in enumerate(crowd_scores))
    failures += different
    print(f"{'ok    ' if not different else 'FAILED'} under load: {len(crowd_scores) - different} of {len(crowd_scores)} prompts scored as alone")
    different = sum(got != alone[index % len(cases)] for index, got in enumerate(crowd))
    print(f"{'ok    ' if not different else 'FAILED'} under load: {len(crowd) - different} of {len(crowd)} answers as alone")
    return failures + different


sys.exit(bool(asyncio.run(main())))
