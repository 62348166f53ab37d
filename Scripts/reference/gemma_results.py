#!/usr/bin/env python3
"""Writes what Gemma 3 270M must answer, computed by Hugging Face transformers: Tests/Golden/gemma-3-270m.json.

    pip install torch transformers gguf
    python Scripts/reference/gemma_results.py "$(Scripts/fetch-model gemma3)"

The format is that of Tests/Golden/smollm2-135m-instruct.json, without an adapter: weights of the GGUF file in float32, and
rounded to bfloat16, both evaluated in float32.
"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

OUT = Path(__file__).resolve().parents[2] / "Tests/Golden/gemma-3-270m.json"
STOP_IDS, LONGEST = {1, 106}, 24
ABOUT = """Reference results for Gemma 3 270M, computed in float32 by Hugging Face transformers on a CPU from the GGUF file that \
Scripts/fetch-model gemma3 gets (Scripts/reference/gemma_results.py). *_float32: weights dequantised to float32 and used as they are. \
*_bfloat16: the same rounded to bfloat16 (nearest, ties to even), norms before 1 is added to them, still evaluated in float32. \
prompt_logprobs are those of the prompt's tokens after the first, greedy_logprobs those of greedy_ids. greedy_ids end after id 1 (<eos>), 106 (<end_of_turn>) or 24 tokens. \
margins[i] is the gap between best and second-best logit at step i. The last prompt is longer than the window of 512."""
PROMPTS = ["The capital of France is", "Once upon a time, there was a", "def fibonacci(n):\n    ", "Der Hafen lag ruhig da, und die Möwen",
           "<start_of_turn>user\nWhat is 7 + 1?<end_of_turn>\n<start_of_turn>model\n",
           "".join(f"Ship number {n} carries {n * 37 % 101} boxes of tea and leaves on day {n * 11 % 29}.\n" for n in range(1, 57)) + "Ship number 1 carries"]
NAMES = {"attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
         "post_ffw_norm": "post_feedforward_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def load(path):
    """Dequantised by the gguf package alone, norms without the 1 that llama.cpp's converter added."""
    reader = gguf.GGUFReader(path)
    value = lambda key: reader.fields["gemma3." + key].contents()
    config = Gemma3TextConfig(
        vocab_size=262144, hidden_size=value("embedding_length"), intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"), num_key_value_heads=value("attention.head_count_kv"), head_dim=value("attention.key_length"),
        query_pre_attn_scalar=value("attention.key_length"), max_position_embeddings=value("context_length"), sliding_window=value("attention.sliding_window"),
        rms_norm_eps=1e-6, rope_theta=value("rope.freq_base"), rope_local_base_freq=1e4)
    state = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))
        parts = tensor.name.removesuffix(".weight").split(".")
        name = {"token_embd": "embed_tokens", "output_norm": "norm"}.get(parts[0]) or f"layers.{parts[1]}.{NAMES[parts[2]]}"
        state[f"model.{name}.weight"] = weight - 1 if name.endswith("norm") else weight
    model = Gemma3ForCausalLM(config)
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and missing.missing_keys == ["lm_head.weight"], missing
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def answer(model, tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    output = model(torch.tensor([ids]), use_cache=True)
    scores = torch.log_softmax(output.logits[0], -1)
    values, indices = scores[-1].topk(10)
    greedy, logprobs, margins, logits, cache = [], [], [], output.logits[0, -1], output.past_key_values
    while len(greedy) < LONGEST and not (greedy and greedy[-1] in STOP_IDS):
        best, second = logits.topk(2).values.tolist()
        margins.append(round(best - second, 4))
        greedy.append(int(logits.argmax()))
        logprobs.append(round(torch.log_softmax(logits, -1)[greedy[-1]].item(), 5))
        logits = model(torch.tensor([[greedy[-1]]]), past_key_values=cache, use_cache=True).logits[0, -1]
    return dict(kind="raw", prompt=text, text=text, input_ids=ids, greedy_ids=greedy, greedy_logprobs=logprobs, margins=margins, greedy_text=tokenizer.decode(greedy),
                next_token_top10={"ids": indices.tolist(), "logprobs": [round(v, 5) for v in values.tolist()]},
                prompt_logprobs=[round(v, 5) for v in scores[range(len(ids) - 1), ids[1:]].tolist()])


def main():
    path = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model, results = load(path), {"about": ABOUT}
    for kind in ["float32", "bfloat16"]:
        if kind == "bfloat16":
            with torch.no_grad():
                for parameter in model.parameters(): parameter.copy_(parameter.bfloat16().float())
        results[f"base_{kind}"] = [answer(model, tokenizer, prompt) for prompt in PROMPTS]
        for entry in results[f"base_{kind}"]: print(kind, len(entry["input_ids"]), repr(entry["greedy_text"]), min(entry["margins"]))
    OUT.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


main()
