#!/usr/bin/env python3
"""What transformers makes of a family's configuration: facts left out, null, in old and new places, and what its class alone has.

Writes Tests/EnginesTests/Expected/family-facts/NAME.json: for each case the configuration, the shapes that its tensors have, and either
the facts that the loaded model shows or that transformers refuses it. Needs torch and transformers 5.

  python Scripts/reference/family_facts.py [NAME ...]
"""
import json, logging, pathlib, sys, tempfile, warnings
import torch, transformers
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/EnginesTests/Expected/family-facts"
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

COMMON = dict(hidden_size=16, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, intermediate_size=24, vocab_size=32,
              max_position_embeddings=64, rms_norm_eps=1e-5, hidden_act="silu", rope_theta=20000.0, tie_word_embeddings=False, pad_token_id=None,
              torch_dtype="float32")
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
LINEAR = {"rope_type": "linear", "factor": 4.0}
SEVEN = {"num_hidden_layers": 7}


def base(architecture, model_type, drop=(), **more):
    return {k: v for k, v in (COMMON | dict(architectures=[architecture], model_type=model_type) | more).items() if k not in drop}


def case(name, changes=None, drop=(), **shape):
    """changes: keys set (None means null); drop: keys left out; shape: of the tensors."""
    return dict(name=name, set=changes or {}, drop=list(drop), shape=shape)


# What every class has.
SHARED = [
    case("plain"),
    case("class: model_type alone", drop=["architectures"]),
    case("positions: left out", drop=["max_position_embeddings"]),
    case("epsilon: left out", drop=["rms_norm_eps"]),
    case("tied: not said", drop=["tie_word_embeddings"]),
    case("tied: declared, no head", {"tie_word_embeddings": True}, without=["lm_head.weight"]),
    case("rotary: base left out", drop=["rope_theta"]),
    case("rotary: parameters", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, drop=["rope_theta"]),
    case("rotary: linear", {"rope_scaling": LINEAR}),
    case("rotary: llama3", {"rope_scaling": LLAMA3}),
    case("rotary: yarn", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
    case("type: bfloat16", {"torch_dtype": "bfloat16"}),
]
FAMILIES = {}  # name: (configuration, what TinySource is told of the tensors, cases)


def tensors(config, kind, head_size=4, kv=2, attention_bias=False, mlp_bias=False, without=()):
    g = torch.Generator().manual_seed(7)
    n, h, i, v = config["num_attention_heads"], config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    t = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,), "lm_head.weight": (v, h)}
    norms = ["input_layernorm", "post_attention_layernorm"] + (["pre_feedforward_layernorm", "post_feedforward_layernorm"] if kind.get("outer_norms") else [])
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        for norm in norms: t[f"{p}{norm}.weight"] = (h,)
        if kind.get("head_norms"): t |= {p + "self_attn.q_norm.weight": (head_size,), p + "self_attn.k_norm.weight": (head_size,)}
        if kind.get("spanning_norms"): t |= {p + "self_attn.q_norm.weight": (n * head_size,), p + "self_attn.k_norm.weight": (kv * head_size,)}
        for name, rows, columns, bias in [
            ("self_attn.q_proj", n * head_size, h, attention_bias), ("self_attn.k_proj", kv * head_size, h, attention_bias),
            ("self_attn.v_proj", kv * head_size, h, attention_bias), ("self_attn.o_proj", h, n * head_size, attention_bias),
            ("mlp.gate_proj", i, h, mlp_bias), ("mlp.up_proj", i, h, mlp_bias), ("mlp.down_proj", h, i, mlp_bias)]:
            t[f"{p}{name}.weight"] = (rows, columns)
            if bias: t[f"{p}{name}.bias"] = (rows,)
    left = [*without, *kind.get("without", ())]
    return {k: torch.randn(s, generator=g) for k, s in t.items() if not any(k.endswith(w) for w in left)}


def facts(path):
    model = transformers.AutoModelForCausalLM.from_pretrained(path)
    c, layers = model.config, model.model.layers
    attention, mlp, norm = layers[0].self_attn, layers[0].mlp, model.model.norm
    seen = lambda a: a.sliding_window if getattr(a, "is_sliding", True) else None
    turned = lambda a: bool(a.use_rope) if hasattr(a, "use_rope") else not hasattr(a, "sliding_window_pattern") or a.sliding_window is None or a.is_sliding
    scaled = float(getattr(model.model.embed_tokens, "embed_scale", 1))
    found = dict(
        architecture=type(model).__name__, dtype=str(model.dtype).removeprefix("torch."), layers=len(layers),
        windows=[seen(x.self_attn) if hasattr(x.self_attn, "sliding_window") else None for x in layers], turned=[turned(x.self_attn) for x in layers],
        frequencies=[float(x) for x in model.model.rotary_emb.inv_freq], scale=attention.scaling, headSize=attention.head_dim,
        embeddingScale=scaled * getattr(model.model, "embedding_multiplier", 1), residualScale=getattr(layers[0], "residual_multiplier", 1),
        logitScale=1 / getattr(c, "logits_scaling", 1), scoreCap=getattr(attention, "attn_logit_softcapping", None), logitCap=c.final_logit_softcapping if c.model_type == "gemma2" else None,
        keyValueHeads=c.num_key_value_heads, positions=c.max_position_embeddings, epsilon=getattr(norm, "variance_epsilon", getattr(norm, "eps", None)),
        activation=type(mlp.act_fn).__name__, tied=bool(torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)),
        attentionBias=attention.q_proj.bias is not None and bool(attention.q_proj.bias.any()), mlpBias=mlp.gate_proj.bias is not None and bool(mlp.gate_proj.bias.any()))
    # Some settings fail only when the model runs.
    with torch.no_grad(): model.float()(torch.arange(24).remainder(32)[None], use_cache=False)
    return found


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (config, kind, cases) in FAMILIES.items():
        if len(sys.argv) > 1 and name not in sys.argv: continue
        found = []
        for c in SHARED + cases:
            given = {k: v for k, v in config.items() if k not in c["drop"]} | c["set"]
            stored = tensors(config | {k: v for k, v in c["set"].items() if k == "num_hidden_layers"}, kind, **c["shape"])
            with tempfile.TemporaryDirectory() as d:
                pathlib.Path(d, "config.json").write_text(json.dumps(given))
                save_file(stored, str(pathlib.Path(d, "model.safetensors")), metadata={"format": "pt"})
                try: expected = facts(d)
                except Exception as error: expected = dict(refused=f"{type(error).__name__}: {' '.join(str(error).replace(d, 'DIRECTORY').split())}"[:160])
            found.append(dict(name=c["name"], config=given, tensors=c["shape"], expected=expected))
        lines = ",\n".join(json.dumps(c) for c in found)
        (OUT / f"{name}.json").write_text(f'{{"transformers": "{transformers.__version__}", "tensors": {json.dumps(kind)}, "cases": [\n{lines}\n]}}\n')
        print(name, len(found), "cases,", sum("refused" in c["expected"] for c in found), "refused")


FAMILIES["gemma2"] = (
    base("Gemma2ForCausalLM", "gemma2", drop=["hidden_act"], head_dim=4, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=6, sliding_window=8,
         attn_logit_softcapping=20.0, final_logit_softcapping=10.0, attention_bias=False),
    dict(outer_norms=True), [
        case("heads: size left out", drop=["head_dim"], head_size=256),
        case("heads: size null", {"head_dim": None}),
        case("heads: kv left out", drop=["num_key_value_heads"], kv=4),
        case("heads: kv null", {"num_key_value_heads": None}, kv=4),
        case("layers: of seven", SEVEN),
        case("layers: their types", SEVEN | {"layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 4}),
        case("layers: fewer types than layers", {"layer_types": ["full_attention"]}),
        case("layers: a type that it lacks", {"layer_types": ["full_attention", "chunked_attention"]}),
        case("layers: a pattern", SEVEN | {"sliding_window_pattern": 3}),
        case("window: left out", drop=["sliding_window"]),
        case("window: null", {"sliding_window": None}),
        case("window: null, and no layer has one", {"sliding_window": None, "layer_types": ["full_attention"] * 2}),
        case("scale: left out", drop=["query_pre_attn_scalar"]),
        case("scale: a fraction", {"query_pre_attn_scalar": 6.5}),
        case("caps: left out", drop=["attn_logit_softcapping", "final_logit_softcapping"]),
        case("caps: null", {"attn_logit_softcapping": None, "final_logit_softcapping": None}),
        case("caps: of scores, zero", {"attn_logit_softcapping": 0.0}),
        case("activation: left out", drop=["hidden_activation"]),
        case("activation: null", {"hidden_activation": None}),
        case("activation: hidden_act beside it", {"hidden_act": "silu"}),
        case("bias: attention", {"attention_bias": True}, attention_bias=True),
        case("rotary: a base of its own for windows", {"rope_local_base_freq": 1000.0}),
        case("direction: both", {"use_bidirectional_attention": True}),
    ])
FAMILIES["granite"] = (
    base("GraniteForCausalLM", "granite", embedding_multiplier=12.0, attention_multiplier=0.0625, residual_multiplier=0.22, logits_scaling=8.0, attention_bias=False,
         mlp_bias=False),
    {}, [
        case("multipliers: left out", drop=["embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"]),
        case("multipliers: whole numbers", {"embedding_multiplier": 12, "attention_multiplier": 2, "residual_multiplier": 3, "logits_scaling": 5}),
        case("multipliers: below zero", {"embedding_multiplier": -2.0, "residual_multiplier": -0.5, "logits_scaling": -4.0}),
        case("multipliers: zero", {"residual_multiplier": 0.0}),
        case("multipliers: logits divided by zero", {"logits_scaling": 0.0}),
        case("multipliers: null", {"residual_multiplier": None}),
        case("multipliers: a word", {"attention_multiplier": "big"}),
        case("heads: kv left out", drop=["num_key_value_heads"], kv=4),
        case("heads: kv null", {"num_key_value_heads": None}, kv=4),
        case("heads: size given", {"head_dim": 6}, head_size=6),
        case("bias: attention", {"attention_bias": True}, attention_bias=True),
        case("bias: MLP", {"mlp_bias": True}, mlp_bias=True),
        case("activation: gelu", {"hidden_act": "gelu"}),
        case("caps: of logits", {"final_logit_softcapping": 30.0}),
        case("positions: other embeddings", {"position_embedding_type": "nope"}),
    ])
FAMILIES["smollm3"] = (
    base("SmolLM3ForCausalLM", "smollm3", attention_bias=False, mlp_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=28,
         no_rope_layers=[1, 0], no_rope_layer_interval=2, layer_types=["full_attention"] * 2),
    {}, [
        case("turned: list left out", {"layer_types": None}, drop=["no_rope_layers"]),
        case("turned: list and interval left out", SEVEN, drop=["no_rope_layers", "no_rope_layer_interval", "layer_types"]),
        case("turned: list null", {"no_rope_layers": None}),
        case("turned: list against the interval", {"no_rope_layers": [0, 1]}),
        case("turned: other numbers than 0 and 1", {"no_rope_layers": [2, 0]}),
        case("turned: longer list", {"no_rope_layers": [0, 1, 0, 0]}),
        case("turned: shorter list", {"no_rope_layers": [1]}),
        case("turned: a list of words", {"no_rope_layers": ["a", "b"]}),
        case("turned: interval 1", {"no_rope_layer_interval": 1}, drop=["no_rope_layers"]),
        case("turned: interval 0", {"no_rope_layer_interval": 0}, drop=["no_rope_layers"]),
        case("turned: interval null", {"no_rope_layer_interval": None}, drop=["no_rope_layers"]),
        case("window: without the flag", {"sliding_window": 16}),
        case("window: with the flag, types say none", {"sliding_window": 16, "use_sliding_window": True}),
        case("window: with the flag", {"sliding_window": 16, "use_sliding_window": True}, drop=["layer_types"]),
        case("window: of the types", {"sliding_window": 16, "use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention"]}),
        case("heads: kv left out", drop=["num_key_value_heads"], kv=4),
        case("heads: kv null", {"num_key_value_heads": None}, kv=4),
        case("bias: attention", {"attention_bias": True}, attention_bias=True),
        case("bias: MLP", {"mlp_bias": True}, mlp_bias=True),
    ])
FAMILIES["olmo2"] = (
    base("Olmo2ForCausalLM", "olmo2", attention_bias=False),
    dict(outer_norms=True, spanning_norms=True, without=["input_layernorm.weight", "pre_feedforward_layernorm.weight"]), [
        case("heads: kv left out", drop=["num_key_value_heads"], kv=4),
        case("heads: kv null", {"num_key_value_heads": None}, kv=4),
        case("heads: size given", {"head_dim": 6}, head_size=6),
        case("bias: attention", {"attention_bias": True}, attention_bias=True),
        case("bias: MLP, declared", {"mlp_bias": True}),
        case("clip: of queries", {"clip_qkv": 8.0}),
        case("norms: not there for keys", without=["k_norm.weight"]),
        case("window: that it lacks", {"sliding_window": 16}),
    ])
FAMILIES["exaone4"] = (
    base("Exaone4ForCausalLM", "exaone4", head_dim=4, sliding_window=8, sliding_window_pattern=2),
    dict(outer_norms=True, head_norms=True, without=["input_layernorm.weight", "pre_feedforward_layernorm.weight"]), [
        case("heads: kv null", {"num_key_value_heads": None}, kv=4),
        case("heads: size left out", drop=["head_dim"]),
        case("layers: pattern left out", SEVEN, drop=["sliding_window_pattern"]),
        case("layers: their types", SEVEN | {"layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 4}),
        case("layers: a pattern of letters", {"sliding_window_pattern": "LG"}),
        case("layers: a pattern of letters, with types", {"sliding_window_pattern": "LG", "layer_types": ["sliding_attention", "full_attention"]}),
        case("layers: none with a window", {"layer_types": ["full_attention"] * 2}),
        case("window: left out", drop=["sliding_window"]),
        case("window: null", {"sliding_window": None}),
        case("window: null, and no layer has one", {"sliding_window": None, "layer_types": ["full_attention"] * 2}),
        case("window: null, and a layer has one", {"sliding_window": None, "layer_types": ["sliding_attention", "full_attention"]}),
        case("bias: attention, declared", {"attention_bias": True}),
        case("norms: not there for keys", without=["k_norm.weight"]),
    ])
main()
