#!/usr/bin/env python3
"""What transformers makes of a Gemma 3 configuration: one kind of layer beside another, facts in old and new places, left out, null.

Writes Tests/EnginesTests/Expected/gemma3-facts.json: for each case the configuration, the shapes that its tensors have, and either
the facts that the loaded model shows or that transformers refuses it. Needs torch and transformers 5.

  python Scripts/reference/gemma3_facts.py
"""
import json, logging, pathlib, tempfile, warnings
import torch, transformers
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/EnginesTests/Expected/gemma3-facts.json"
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

# The spelling in which the models were published.
TEXT = dict(
    architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", hidden_size=16, num_attention_heads=4, num_key_value_heads=2, head_dim=4,
    num_hidden_layers=2, intermediate_size=24, vocab_size=32, max_position_embeddings=64, rms_norm_eps=1e-5, hidden_activation="gelu_pytorch_tanh",
    query_pre_attn_scalar=6, sliding_window=8, sliding_window_pattern=2, rope_theta=20000.0, rope_local_base_freq=5000.0, rope_scaling=None,
    attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=False, torch_dtype="float32")
# Small enough that its tensors matter to nobody; with them it is what a 4B is.
VISION = dict(model_type="siglip_vision_model", hidden_size=8, intermediate_size=8, num_attention_heads=2, num_hidden_layers=1, image_size=8, patch_size=4)
WHOLE = dict(architectures=["Gemma3ForConditionalGeneration"], model_type="gemma3", mm_tokens_per_image=4, image_token_index=31, boi_token_index=30,
             eoi_token_index=29, vision_config=VISION, torch_dtype="float32")
NEW_ROTARY = {"full_attention": {"rope_type": "default", "rope_theta": 30000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 7000.0}}
LINEAR = {"rope_type": "linear", "factor": 8.0}
SEVEN = {"num_hidden_layers": 7}


def tensors(config, head_size=4, kv=2, attention_bias=False, head=False, without=()):
    g = torch.Generator().manual_seed(7)
    n, h, i, v = config["num_attention_heads"], config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    t = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,)} | ({"lm_head.weight": (v, h)} if head else {})
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        for norm in ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]: t[f"{p}{norm}.weight"] = (h,)
        for norm in ["q_norm", "k_norm"]: t[f"{p}self_attn.{norm}.weight"] = (head_size,)
        for name, rows, columns in [("q", n * head_size, h), ("k", kv * head_size, h), ("v", kv * head_size, h), ("o", h, n * head_size)]:
            t[f"{p}self_attn.{name}_proj.weight"] = (rows, columns)
            if attention_bias: t[f"{p}self_attn.{name}_proj.bias"] = (rows,)
        for name, rows, columns in [("gate", i, h), ("up", i, h), ("down", h, i)]: t[f"{p}mlp.{name}_proj.weight"] = (rows, columns)
    return {k: torch.randn(s, generator=g) for k, s in t.items() if not any(k.endswith(w) for w in without)}


def case(name, changes=None, drop=(), prefix="", **shape):
    """changes: keys set (None means null); drop: keys left out; prefix: of the text model's tensors inside a model with images."""
    return dict(name=name, set=changes or {}, drop=list(drop), prefix=prefix, shape=shape)


def rope(name, changes, drop=("rope_theta", "rope_local_base_freq", "rope_scaling"), **more): return case("rotary: " + name, changes, drop=drop, **more)


CASES = [
    case("plain"),
    case("class: model_type alone", drop=["architectures"]),
    case("class: architectures alone", drop=["model_type"]),
    case("class: with images, names of transformers 4", prefix="language_model.model."),
    case("class: with images, names of transformers 5", prefix="model.language_model."),
    case("class: with images, settings left out of text_config", prefix="language_model.model.",
         drop=["rms_norm_eps", "hidden_activation", "rope_theta", "rope_local_base_freq", "attention_bias", "attn_logit_softcapping", "max_position_embeddings"]),
    case("heads: size left out", drop=["head_dim"], head_size=256),
    case("heads: size null", {"head_dim": None}),
    case("heads: kv left out", drop=["num_key_value_heads"], kv=4),
    case("heads: kv null", {"num_key_value_heads": None}, kv=4),
    case("heads: hidden size that they do not divide", {"hidden_size": 18, "head_dim": 4}),
    case("positions: left out", drop=["max_position_embeddings"]),
    case("layers: pattern left out", SEVEN, drop=["sliding_window_pattern"]),
    case("layers: pattern null", SEVEN | {"sliding_window_pattern": None}),
    case("layers: pattern 1", {"sliding_window_pattern": 1}),
    case("layers: pattern with an underscore", SEVEN | {"_sliding_window_pattern": 3}, drop=["sliding_window_pattern"]),
    case("layers: their types", SEVEN | {"layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 4}, drop=["sliding_window_pattern"]),
    case("layers: types against the pattern", {"layer_types": ["full_attention", "sliding_attention"]}),
    case("layers: types against the pattern with an underscore", {"layer_types": ["full_attention", "sliding_attention"], "_sliding_window_pattern": 6}, drop=["sliding_window_pattern"]),
    case("layers: types null", {"layer_types": None}),
    case("layers: fewer types than layers", {"layer_types": ["full_attention"]}),
    case("layers: more types than layers", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    case("layers: a type that it lacks", {"layer_types": ["full_attention", "chunked_attention"]}),
    case("layers: a type that no model has", {"layer_types": ["full_attention", "global"]}),
    case("window: left out", drop=["sliding_window"]),
    case("window: null", {"sliding_window": None}),
    case("window: zero", {"sliding_window": 0}),
    case("window: use_sliding_window false", {"use_sliding_window": False}),
    rope("bases left out", {}),
    rope("base of the windowed left out", {"rope_theta": 20000.0}),
    rope("base of the others left out", {"rope_local_base_freq": 5000.0}),
    case("rotary: linear", {"rope_scaling": LINEAR}),
    case("rotary: linear, older name", {"rope_scaling": {"type": "linear", "factor": 8.0}}),
    case("rotary: linear without factor", {"rope_scaling": {"rope_type": "linear"}}),
    case("rotary: factor without type", {"rope_scaling": {"factor": 8.0}}),
    case("rotary: llama3", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
    case("rotary: yarn", {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}),
    case("rotary: base inside of the scaling", {"rope_scaling": LINEAR | {"rope_theta": 9000.0}}),
    rope("parameters by type", {"rope_parameters": NEW_ROTARY}),
    rope("parameters by type, linear", {"rope_parameters": NEW_ROTARY | {"full_attention": LINEAR | {"rope_theta": 30000.0}}}),
    rope("parameters by type, linear for the windowed", {"rope_parameters": NEW_ROTARY | {"sliding_attention": LINEAR | {"rope_theta": 7000.0}}}),
    case("rotary: parameters by type beside the older keys", {"rope_parameters": NEW_ROTARY}),
    case("rotary: parameters by type beside a scaling", {"rope_parameters": NEW_ROTARY, "rope_scaling": LINEAR}),
    rope("parameters of one type", {"rope_parameters": {"full_attention": NEW_ROTARY["full_attention"]}}),
    case("rotary: parameters of one type beside the older keys", {"rope_parameters": {"full_attention": NEW_ROTARY["full_attention"]}}),
    rope("parameters by type without bases", {"rope_parameters": {"full_attention": LINEAR, "sliding_attention": {"rope_type": "default"}}}),
    rope("parameters of all types together", {"rope_parameters": {"rope_type": "default", "rope_theta": 30000.0}}),
    rope("parameters of all types together, linear", {"rope_parameters": LINEAR | {"rope_theta": 30000.0}}),
    rope("parameters null", {"rope_parameters": None}),
    case("rotary: partial factor", {"partial_rotary_factor": 0.5}),
    case("scale: left out", drop=["query_pre_attn_scalar"]),
    case("scale: a fraction", {"query_pre_attn_scalar": 6.5}),
    case("scale: null", {"query_pre_attn_scalar": None}),
    case("caps: of logits", {"final_logit_softcapping": 30.0}),
    case("caps: of logits, zero", {"final_logit_softcapping": 0.0}),
    case("caps: of logits, with images", {"final_logit_softcapping": 30.0}, prefix="model.language_model."),
    case("caps: of attention", {"attn_logit_softcapping": 50.0}),
    case("caps: left out", drop=["attn_logit_softcapping", "final_logit_softcapping"]),
    case("tied: said", {"tie_word_embeddings": True}),
    case("tied: said inside and out, with images", {"tie_word_embeddings": True}, prefix="model.language_model."),
    case("tied: not inside, with images", {"tie_word_embeddings": False}, prefix="model.language_model."),
    case("tied: with an own head", head=True),
    case("tied: no, with a head", {"tie_word_embeddings": False}, head=True),
    case("tied: no, without a head", {"tie_word_embeddings": False}),
    case("activation: left out", drop=["hidden_activation"]),
    case("activation: null", {"hidden_activation": None}),
    case("activation: gelu", {"hidden_activation": "gelu"}),
    case("activation: silu", {"hidden_activation": "silu"}),
    case("activation: hidden_act beside it", {"hidden_act": "silu"}),
    case("activation: hidden_act alone", {"hidden_act": "silu"}, drop=["hidden_activation"]),
    case("epsilon: left out", drop=["rms_norm_eps"]),
    case("bias: attention", {"attention_bias": True}, attention_bias=True),
    case("bias: attention, declared and not there", {"attention_bias": True}),
    case("bias: attention, there and not declared", attention_bias=True),
    case("direction: both", {"use_bidirectional_attention": True}),
    case("direction: null", {"use_bidirectional_attention": None}),
    case("direction: is_causal false", {"is_causal": False}),
    case("norms: not there for keys", without=["k_norm.weight"]),
    case("norms: not there after the MLP", without=["post_feedforward_layernorm.weight"]),
    case("type: dtype and torch_dtype differ", {"dtype": "bfloat16"}),
    case("experts: none", {"num_experts": 0}),
]


def facts(path):
    model = transformers.AutoModelForCausalLM.from_pretrained(path)
    whole = type(model).__name__ == "Gemma3ForConditionalGeneration"
    text = model.model.language_model if whole else model.model
    config, dtype, layers = text.config, str(model.dtype).removeprefix("torch."), text.layers
    attention, mlp = layers[0].self_attn, layers[0].mlp
    rotary = lambda kind: [float(x) for x in getattr(text.rotary_emb, f"{kind}_inv_freq")]
    found = dict(
        architecture=type(model).__name__, dtype=dtype, layers=len(layers), layerTypes=[x.self_attn.layer_type for x in layers],
        windows=[x.self_attn.sliding_window for x in layers], frequencies=[rotary(x.self_attn.layer_type) for x in layers],
        scale=attention.scaling, embeddingScale=float(text.embed_tokens.embed_scale), headSize=attention.head_dim, keyValueHeads=config.num_key_value_heads,
        positions=config.max_position_embeddings, epsilon=layers[0].input_layernorm.eps, activation=type(mlp.act_fn).__name__,
        logitCap=config.final_logit_softcapping, causal=attention.is_causal, tied=bool(torch.equal(model.lm_head.weight, text.embed_tokens.weight)),
        attentionBias=attention.q_proj.bias is not None and bool(attention.q_proj.bias.any()))
    with torch.no_grad():
        model.float()
        ids = torch.arange(24).remainder(28)[None]
        shown = model(ids, use_cache=False).logits
        # What the class does not use is none.
        cap, config.final_logit_softcapping = config.final_logit_softcapping, None
        if torch.equal(shown, model(ids, use_cache=False).logits): found["logitCap"] = None
        config.final_logit_softcapping = cap
        # Whether a cap of attention's scores changes anything.
        config.attn_logit_softcapping = None
        found["attentionCapCounts"] = not torch.equal(shown, model(ids, use_cache=False).logits)
    return found


def main():
    found = []
    for c in CASES:
        config = {k: v for k, v in TEXT.items() if k not in c["drop"]} | c["set"]
        stored = tensors(TEXT | {k: v for k, v in c["set"].items() if k in ("num_hidden_layers", "hidden_size")}, **c["shape"])
        if c["prefix"]:
            config = WHOLE | {"text_config": {k: v for k, v in config.items() if k not in ("architectures", "torch_dtype")}}
            stored = {c["prefix"] + k.removeprefix("model."): v for k, v in stored.items()}
        with tempfile.TemporaryDirectory() as d:
            pathlib.Path(d, "config.json").write_text(json.dumps(config))
            save_file(stored, str(pathlib.Path(d, "model.safetensors")), metadata={"format": "pt"})
            try: expected = facts(d)
            except Exception as error: expected = dict(refused=f"{type(error).__name__}: {' '.join(str(error).replace(d, 'DIRECTORY').split())}"[:160])
        found.append(dict(name=c["name"], config=config, prefix=c["prefix"], tensors=c["shape"], expected=expected))
    lines = ",\n".join(json.dumps(c) for c in found)
    OUT.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')


main()
