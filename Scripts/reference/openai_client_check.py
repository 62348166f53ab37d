#!/usr/bin/env python3
"""Talks to a running trtllm-serve through the official `openai` client and checks what comes back.

    openai_client_check.py BASE_URL MODEL [--api_key KEY]

BASE_URL ends in /v1. Every check holds for any engine: it compares replies with each other (streamed with whole, alone
with many at once) and with what was asked for, not with fixed texts. Prints one line a check; exits 1 if one fails.
"""

import argparse
import asyncio
import sys

import openai

parser = argparse.ArgumentParser()
parser.add_argument("base_url")
parser.add_argument("model")
parser.add_argument("--api_key", default="none")
options = parser.parse_args()

client = openai.OpenAI(base_url=options.base_url, api_key=options.api_key, max_retries=0, timeout=120)
model = options.model
messages = [{"role": "user", "content": "Name three colours."}]
greedy = {"model": model, "temperature": 0}
failures = 0


def check(what, holds, seen=None):
    global failures
    failures += not holds
    print(f"{'ok    ' if holds else 'FAILED'} {what}" + ("" if holds else f": {seen!r}"))


def refusal(kind, call):
    try:
        return False, call()
    except kind as error:
        return True, error
    except Exception as error:  # noqa: BLE001: any other error is what the check reports
        return False, error


# Models
models = client.models.list()
check("models.list names the served model", [m.id for m in models.data] == [model], models)

# Chat
whole = client.chat.completions.create(**greedy, messages=messages, max_completion_tokens=24)
choice = whole.choices[0]
text = choice.message.content
check("a chat answer has text", bool(text), whole)
check("its role is assistant", choice.message.role == "assistant", choice)
check("its finish reason is stop or length", choice.finish_reason in ("stop", "length"), choice)
usage = whole.usage
check("usage adds up", usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage)
check("usage stays within max_completion_tokens", 0 < usage.completion_tokens <= 24, usage)
check("the fingerprint names the weights", bool(whole.system_fingerprint), whole)
raw = client.chat.completions.with_raw_response.create(**greedy, messages=messages, max_completion_tokens=1)
check("a reply carries a request id", bool(raw.headers.get("x-request-id")), dict(raw.headers))


def streamed(**more):
    chunks = list(
        client.chat.completions.create(
            **greedy, messages=messages, stream=True, stream_options={"include_usage": True}, **more
        )
    )
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    return chunks, said, reasons


chunks, said, reasons = streamed(max_completion_tokens=24)
check("a streamed answer is the whole answer in pieces", said == text, (said, text))
check("it gives its reason once, at the end", reasons == [choice.finish_reason], reasons)
check("its usage is the whole answer's", chunks[-1].usage.completion_tokens == usage.completion_tokens, chunks[-1])
check("usage comes in the last chunk only", all(c.usage is None for c in chunks[:-1]), chunks)
check("all chunks have one id", len({c.id for c in chunks}) == 1, {c.id for c in chunks})
check("the first chunk gives the role", chunks[0].choices[0].delta.role == "assistant", chunks[0])

# Stop strings
middle = text[len(text) // 2 :][:3]
expected = text[: text.index(middle)]
stopped = client.chat.completions.create(**greedy, messages=messages, max_completion_tokens=24, stop=[middle])
check("a stop string ends the text before it", stopped.choices[0].message.content == expected, (stopped, expected))
check("its finish reason is stop", stopped.choices[0].finish_reason == "stop", stopped)
_, said, _ = streamed(max_completion_tokens=24, stop=middle)
check("a stream ends at the same place", said == expected, (said, expected))

# Log-probabilities
rated = client.chat.completions.create(
    **greedy, messages=messages, max_completion_tokens=6, logprobs=True, top_logprobs=3
)
content = rated.choices[0].logprobs.content
joined = b"".join(bytes(entry.bytes) for entry in content).decode("utf-8", "replace")
check("log-probabilities come for every token", joined.startswith(rated.choices[0].message.content), content)
check("each shows three alternatives, the likeliest first", all(
    len(entry.top_logprobs) == 3
    and [t.logprob for t in entry.top_logprobs] == sorted((t.logprob for t in entry.top_logprobs), reverse=True)
    for entry in content), content)
check("a greedy choice is the likeliest", all(
    abs(entry.logprob - entry.top_logprobs[0].logprob) < 1e-6 for entry in content), content)
check("log-probabilities are at most 0", all(entry.logprob <= 0 for entry in content), content)

# Several answers, seeds
warm = {"model": model, "messages": messages, "temperature": 1.0, "max_completion_tokens": 12, "n": 3, "seed": 11}
first, second = (client.chat.completions.create(**warm) for _ in range(2))
texts = [c.message.content for c in first.choices]
check("n answers come in order", [c.index for c in first.choices] == [0, 1, 2], first)
check("the same seed gives the same answers", texts == [c.message.content for c in second.choices], (first, second))

# Completions
plain = client.completions.create(**greedy, prompt=["Red, green,", "One, two,"], max_tokens=6, echo=True)
check("two prompts give two choices", [c.index for c in plain.choices] == [0, 1], plain)
check("echo puts the prompt in front", plain.choices[0].text.startswith("Red, green,"), plain)
rest = client.completions.create(**greedy, prompt="Red, green,", max_tokens=6, logprobs=2)
check("a prompt alone is answered as among others", plain.choices[0].text == "Red, green," + rest.choices[0].text, plain)
check("its log-probabilities are as many as its tokens",
      len(rest.choices[0].logprobs.tokens) == len(rest.choices[0].logprobs.token_logprobs), rest)
pieces = client.completions.create(**greedy, prompt="Red, green,", max_tokens=6, stream=True)
said = "".join(p.choices[0].text for p in pieces if p.choices)
check("a streamed completion is the whole one in pieces", said == rest.choices[0].text, said)

# Refusals
holds, error = refusal(openai.NotFoundError, lambda: client.chat.completions.create(model="other", messages=messages))
check("another model is NotFoundError", holds and error.code == "model_not_found", error)
holds, error = refusal(openai.BadRequestError, lambda: client.chat.completions.create(
    **{**greedy, "temperature": 9}, messages=messages))
check("a bad field is BadRequestError naming it", holds and error.param == "temperature", error)
holds, error = refusal(openai.BadRequestError, lambda: client.chat.completions.create(
    **greedy, messages=messages, tools=[{"type": "function", "function": {"name": "f"}}]))
check("tools are refused by name", holds and error.param == "tools", error)
holds, error = refusal(openai.BadRequestError, lambda: client.completions.create(
    **greedy, prompt=" ".join(["word"] * 200_000), max_tokens=1))
check("a prompt without end is refused by length", holds and error.code == "context_length_exceeded", error)
if options.api_key != "none":
    stranger = openai.OpenAI(base_url=options.base_url, api_key="wrong", max_retries=0)
    holds, error = refusal(openai.AuthenticationError, stranger.models.list)
    check("another key is AuthenticationError", holds, error)

# Leaving early, then many at once
with client.chat.completions.create(**greedy, messages=messages, max_completion_tokens=200, stream=True) as stream:
    next(iter(stream))
check("a stream can be left", True)


async def many():
    crowd = openai.AsyncOpenAI(base_url=options.base_url, api_key=options.api_key, max_retries=0, timeout=300)

    async def one(index):
        answer = await crowd.chat.completions.create(**greedy, messages=messages, max_completion_tokens=24)
        return answer.choices[0].message.content

    try:
        return await asyncio.gather(*(one(index) for index in range(8)))
    finally:
        await crowd.close()


answers = asyncio.run(many())
check("eight at once answer as one alone", set(answers) == {text}, answers)

print(f"{failures} failed" if failures else "all checks passed")
sys.exit(bool(failures))
