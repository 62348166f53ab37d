#!/usr/bin/env python3
"""What transformers makes of configurations of models with mixtures of experts.

Writes Tests/EnginesTests/Expected/mixture-facts.json: for each case the configuration, and either the facts that the class has of it or
that transformers refuses it. Needs transformers 5.

  python Scripts/reference/mixture_facts.py
"""
import json, logging, pathlib, tempfile, warnings
import transformers

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/EnginesTests/Expected/mixture-facts.json"
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

SIZES = dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=4, intermediate_size=48, vocab_size=61,
             max_position_embeddings=128, rms_norm_eps=1e-6, hidden_act="silu", rope_theta=1e6, tie_word_embeddings=False, torch_dtype="float32")
BASES = dict(
    qwen3_moe=SIZES | dict(
        architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", head_dim=12, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=32,
        norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], use_sliding_window=False, sliding_window=None, max_window_layers=4,
        output_router_logits=False, router_aux_loss_coef=0.001),
    mixtral=SIZES | dict(
        architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=4, num_experts_per_tok=2, sliding_window=None,
        output_router_logits=False, router_aux_loss_coef=0.02, router_jitter_noise=0.0))


def case(name, base, changes=None, drop=()): return dict(name=name, base=base, set=changes or {}, drop=list(drop))
def qwen(name, changes=None, drop=()): return case(name, "qwen3_moe", changes, drop)
def mixtral(name, changes=None, drop=()): return case(name + ", Mixtral", "mixtral", changes, drop)


CASES = [
    qwen("plain"), mixtral("plain"),
    qwen("count: left out", drop=["num_experts"]), mixtral("count: left out", drop=["num_local_experts"]),
    qwen("count: under the other name", {"num_local_experts": 5}, drop=["num_experts"]), mixtral("count: under the other name", {"num_experts": 5}, drop=["num_local_experts"]),
    qwen("count: under both names", {"num_local_experts": 5}), mixtral("count: under both names", {"num_experts": 5}),
    qwen("count: null", {"num_experts": None}), qwen("count: text", {"num_experts": "6"}),
    qwen("chosen: left out", drop=["num_experts_per_tok", "num_experts"]), mixtral("chosen: left out", drop=["num_experts_per_tok"]),
    qwen("chosen: null", {"num_experts_per_tok": None}),
    qwen("shares: not divided", {"norm_topk_prob": False}), qwen("shares: left out", drop=["norm_topk_prob"]), qwen("shares: null", {"norm_topk_prob": None}),
    mixtral("shares: said to be not divided", {"norm_topk_prob": False}),
    qwen("width: left out", drop=["moe_intermediate_size"]), mixtral("width: of its own", {"moe_intermediate_size": 16}),
    qwen("dense: every second layer", {"decoder_sparse_step": 2}), qwen("dense: by name", {"mlp_only_layers": [0, 2]}),
    qwen("dense: both", {"decoder_sparse_step": 2, "mlp_only_layers": [3, 9]}), qwen("dense: left out", drop=["decoder_sparse_step", "mlp_only_layers"]),
    qwen("dense: null", {"mlp_only_layers": None}),
    qwen("norm: left out", drop=["rms_norm_eps"]), mixtral("norm: left out", drop=["rms_norm_eps"]),
    qwen("base: left out", drop=["rope_theta"]), mixtral("base: left out", drop=["rope_theta"]),
    qwen("positions: left out", drop=["max_position_embeddings"]), mixtral("positions: left out", drop=["max_position_embeddings"]),
    qwen("heads: kv left out", {"num_attention_heads": 8, "head_dim": 4}, drop=["num_key_value_heads"]),
    mixtral("heads: kv left out", {"num_attention_heads": 8}, drop=["num_key_value_heads"]),
    qwen("heads: size left out", drop=["head_dim"]),
    qwen("window: without the flag", {"sliding_window": 16}), qwen("window: with the flag", {"sliding_window": 16, "use_sliding_window": True}),
    mixtral("window", {"sliding_window": 16}), mixtral("window: left out", drop=["sliding_window"]),
]


def facts(path):
    c = transformers.AutoConfig.from_pretrained(path)
    layers = range(c.num_hidden_layers)
    isQwen = c.model_type == "qwen3_moe"
    return dict(
        count=c.num_experts, chosen=c.num_experts_per_tok, normalizes=c.norm_topk_prob if isQwen else True,
        width=c.moe_intermediate_size if isQwen else c.intermediate_size,
        dense=[i for i in layers if i in c.mlp_only_layers or (i + 1) % c.decoder_sparse_step] if isQwen else [],
        epsilon=c.rms_norm_eps, base=c.rope_parameters["rope_theta"], positions=c.max_position_embeddings, keyValueHeads=c.num_key_value_heads,
        headSize=getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads, window=c.sliding_window)


found = []
for c in CASES:
    config = {k: v for k, v in (BASES[c["base"]] | c["set"]).items() if k not in c["drop"]}
    with tempfile.TemporaryDirectory() as d:
        pathlib.Path(d, "config.json").write_text(json.dumps(config))
        try: expected = facts(d)
        except Exception as error: expected = dict(refused=type(error).__name__)
    found.append(dict(name=c["name"], config=config, expected=expected))
OUT.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n' + ",\n".join(json.dumps(c) for c in found) + "\n]}\n")
