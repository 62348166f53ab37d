#!/usr/bin/env python3
"""What transformers makes of a configuration whose facts stand in several places, are null, or are left out.

Writes Tests/EnginesTests/Expected/model-facts.json: for each case the changes of config.json and of the tensors, and
either the facts that the loaded model shows or that transformers refuses it. Needs torch and transformers 5.

  python Scripts/reference/model_facts.py
"""
import copy, json, logging, pathlib, sys, tempfile, warnings
import torch, transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "Tests/EnginesTests/Expected/model-facts.json"
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

LLAMA = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=16, num_attention_heads=4,
    num_key_value_heads=2, num_hidden_layers=2, intermediate_size=24, vocab_size=32, max_position_embeddings=64,
    rms_norm_eps=1e-5, hidden_act="silu", rope_theta=20000.0, tie_word_embeddings=False, torch_dtype="float32")
MISTRAL = dict(LLAMA, architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=None)
QWEN2 = dict(LLAMA, architectures=["Qwen2ForCausalLM"], model_type="qwen2")
QWEN3 = dict(LLAMA, architectures=["Qwen3ForCausalLM"], model_type="qwen3", head_dim=4)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)


def tensors(config, head_size=4, kv=2, attention_bias=False, mlp_bias=False, bare=False, head_norms=False, more={}):
    g = torch.Generator().manual_seed(7)
    n, h, i, v = config["num_attention_heads"], config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    t = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,), "lm_head.weight": (v, h)}
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        t |= {p + "input_layernorm.weight": (h,), p + "post_attention_layernorm.weight": (h,)}
        if head_norms: t |= {p + "self_attn.q_norm.weight": (head_size,), p + "self_attn.k_norm.weight": (head_size,)}
        for name, rows, columns, bias in [
            ("self_attn.q_proj", n * head_size, h, attention_bias), ("self_attn.k_proj", kv * head_size, h, attention_bias),
            ("self_attn.v_proj", kv * head_size, h, attention_bias), ("self_attn.o_proj", h, n * head_size, attention_bias),
            ("mlp.gate_proj", i, h, mlp_bias), ("mlp.up_proj", i, h, mlp_bias), ("mlp.down_proj", h, i, mlp_bias)]:
            t[f"{p}{name}.weight"] = (rows, columns)
            if bias: t[f"{p}{name}.bias"] = (rows,)
    t |= {k: tuple(s) for k, s in more.items()}
    return {k.removeprefix("model.") if bare else k: torch.randn(s, generator=g) for k, s in t.items()}


def case(name, changes=None, base="llama", drop=(), without=(), equal_head=False, **shape):
    """changes: keys set (None means null); drop: keys left out; without: ends of tensor names left out."""
    return dict(name=name, base=base, set=changes or {}, drop=list(drop), without=list(without), equalHead=equal_head, shape=shape)


def rope(name, changes, drop=("rope_theta",), **more): return case("rotary: " + name, changes, drop=drop, **more)


def qwen2(name, changes=None, drop=(), bias=True, without=(), **more):
    return case(name + ", Qwen2", changes, base="qwen2", drop=drop, attention_bias=bias, without=["o_proj.bias", *without], **more)


def qwen3(name, changes=None, drop=(), **more): return case(name + ", Qwen3", changes, base="qwen3", drop=drop, head_norms=True, **more)


CASES = [
    qwen3("plain"),
    qwen3("heads: size left out", drop=["head_dim"], head_size=128),
    qwen3("heads: size null", {"head_dim": None}),
    qwen3("positions: left out", drop=["max_position_embeddings"]),
    qwen3("bias: attention", {"attention_bias": True}, attention_bias=True),
    qwen3("bias: attention, there and not declared", attention_bias=True),
    qwen3("bias: MLP, declared", {"mlp_bias": True}),
    qwen3("norms: not there for keys", without=["k_norm.weight"]),
    qwen3("window: without the flag", {"sliding_window": 16}),
    qwen3("window: of the last layer", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}),
    qwen3("tied: not said", drop=["tie_word_embeddings"]),
    qwen2("plain"),
    rope("no base anywhere, Qwen2", {}, base="qwen2", attention_bias=True, without=["o_proj.bias"]),
    qwen2("tied: not said", drop=["tie_word_embeddings"]),
    qwen2("heads: kv null", {"num_key_value_heads": None}, kv=4),
    qwen2("heads: size given", {"head_dim": 6}, head_size=6),
    qwen2("positions: left out", drop=["max_position_embeddings"]),
    qwen2("bias: attention_bias false", {"attention_bias": False}),
    qwen2("bias: not there", bias=False),
    qwen2("bias: not there for keys", without=["k_proj.bias"]),
    case("bias: also of the output, Qwen2", base="qwen2", attention_bias=True),
    qwen2("window: without the flag", {"sliding_window": 16}),
    qwen2("window: flag false", {"sliding_window": 16, "use_sliding_window": False, "max_window_layers": 0}),
    qwen2("window: of layers that are not there", {"sliding_window": 16, "use_sliding_window": True}),
    qwen2("window: of the last layer", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}),
    qwen2("window: flag without a width", {"use_sliding_window": True, "max_window_layers": 0}),
    qwen2("window: by kinds of layers", {"sliding_window": 16, "use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention"]}),
    qwen2("window: kinds say none", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 0, "layer_types": ["full_attention"] * 2}),
    case("plain"),
    # Tensors that the class has no place for.
    case("surplus: head of a value model", more={"v_head.summary.weight": [1, 16], "v_head.summary.bias": [1]}),
    case("surplus: head of a classifier", more={"score.weight": [2, 16]}),
    case("surplus: buffers of attention", more={f"model.layers.{i}.self_attn.masked_bias": [1] for i in (0, 1)}),
    case("surplus: norms of heads", more={f"model.layers.{i}.self_attn.q_norm.weight": [4] for i in (0, 1)}),
    case("plain Mistral", base="mistral"),
    # Rotary embedding.
    rope("no base anywhere", {}),
    rope("rope_parameters alone", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
    rope("rope_parameters beside another rope_theta", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, drop=()),
    rope("rope_parameters without base, base beside it", {"rope_parameters": {"rope_type": "default"}}, drop=()),
    rope("rope_parameters without base, none beside it", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    rope("rope_parameters null", {"rope_parameters": None}, drop=()),
    rope("rope_parameters empty", {"rope_parameters": {}}, drop=()),
    rope("rope_scaling null", {"rope_scaling": None}, drop=()),
    rope("rope_scaling empty, rope_parameters beside it", {"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}),
    rope("rope_scaling linear, old key", {"rope_scaling": {"type": "linear", "factor": 4.0}}, drop=()),
    rope("rope_scaling linear, new key", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, drop=()),
    rope("rope_scaling with a base of its own", {"rope_scaling": {"rope_type": "linear", "factor": 4.0, "rope_theta": 7e5}}, drop=()),
    rope("type and rope_type differ", {"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 4.0}}, drop=()),
    rope("type llama3 and rope_type linear", {"rope_scaling": {"rope_type": "linear", "type": "llama3", "original_max_position_embeddings": 32, **LLAMA3}}, drop=()),
    rope("scaling and parameters differ", {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, drop=()),
    rope("scaling and parameters differ, no rope_theta", {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
    rope("scaling default, parameters linear", {"rope_scaling": {"rope_type": "default"}, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}, drop=()),
    rope("linear without factor", {"rope_scaling": {"type": "linear"}}, drop=()),
    rope("linear with factor 1", {"rope_scaling": {"type": "linear", "factor": 1}}, drop=()),
    rope("linear with factor below 1", {"rope_scaling": {"type": "linear", "factor": 0.5}}, drop=()),
    rope("factor without type", {"rope_scaling": {"factor": 4.0}}, drop=()),
    rope("rope_type null", {"rope_scaling": {"rope_type": None, "factor": 4.0}}, drop=()),
    rope("rope_theta null", {"rope_theta": None}, drop=()),
    rope("base null inside", {"rope_parameters": {"rope_type": "default", "rope_theta": None}}, drop=()),
    rope("llama3", {"rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 32, **LLAMA3}}, drop=()),
    rope("llama3 in rope_parameters", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "original_max_position_embeddings": 32, **LLAMA3}}),
    rope("llama3 under type", {"rope_scaling": {"type": "llama3", "original_max_position_embeddings": 32, **LLAMA3}}, drop=()),
    rope("llama3 without original length", {"rope_scaling": {"rope_type": "llama3", **LLAMA3}}, drop=()),
    rope("llama3 with the original length beside it", {"original_max_position_embeddings": 16, "rope_scaling": {"rope_type": "llama3", **LLAMA3}}, drop=()),
    rope("llama3 with two original lengths", {"original_max_position_embeddings": 16, "rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 32, **LLAMA3}}, drop=()),
    rope("llama3 without any length", {"rope_scaling": {"rope_type": "llama3", **LLAMA3}}, drop=("max_position_embeddings",)),
    rope("llama3 without low_freq_factor", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}, drop=()),
    rope("llama3 without factor", {"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}, drop=()),
    rope("unknown type", {"rope_scaling": {"rope_type": "spiral", "factor": 4.0}}, drop=()),
    rope("partial factor, default", {"partial_rotary_factor": 0.5}, drop=()),
    rope("partial factor inside, default", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "partial_rotary_factor": 0.5}}),
    rope("partial factor, linear", {"partial_rotary_factor": 0.5, "rope_scaling": {"type": "linear", "factor": 4.0}}, drop=()),
    rope("partial factor 1, linear", {"partial_rotary_factor": 1.0, "rope_scaling": {"type": "linear", "factor": 4.0}}, drop=()),
    # Tables.
    case("tied: declared, no head", {"tie_word_embeddings": True}, without=["lm_head.weight"]),
    case("tied: declared, equal head", {"tie_word_embeddings": True}, equal_head=True),
    case("tied: declared, another head", {"tie_word_embeddings": True}),
    case("tied: declared, head only", {"tie_word_embeddings": True}, without=["embed_tokens.weight"]),
    case("tied: not said, head", {}, drop=["tie_word_embeddings"]),
    case("tied: denied, equal head", {}, equal_head=True),
    case("tied: not said, Mistral", {}, base="mistral", drop=["tie_word_embeddings"]),
    case("tied: null", {"tie_word_embeddings": None}),
    # Sizes.
    case("heads: kv null", {"num_key_value_heads": None}, kv=4),
    case("heads: kv left out", {}, drop=["num_key_value_heads"], kv=4),
    case("heads: kv left out, Mistral", {"num_attention_heads": 8, "head_dim": 2}, base="mistral", drop=["num_key_value_heads"], kv=8, head_size=2),
    case("heads: kv null, Mistral", {"num_key_value_heads": None}, base="mistral", kv=4),
    case("heads: size given", {"head_dim": 6}, head_size=6),
    case("heads: size null", {"head_dim": None}),
    case("positions: left out", {}, drop=["max_position_embeddings"]),
    case("positions: left out, Mistral", {}, base="mistral", drop=["max_position_embeddings"]),
    case("positions: null", {"max_position_embeddings": None}),
    # Attention.
    case("window: Mistral", {"sliding_window": 16}, base="mistral"),
    case("window: left out, Mistral", {}, base="mistral", drop=["sliding_window"]),
    case("window: null, Mistral", {"sliding_window": None}, base="mistral"),
    case("window: use_sliding_window false, Mistral", {"sliding_window": 16, "use_sliding_window": False}, base="mistral"),
    case("window: Llama", {"sliding_window": 16}),
    # Norm, activation, biases.
    case("epsilon: left out", {}, drop=["rms_norm_eps"]),
    case("epsilon: null", {"rms_norm_eps": None}),
    case("epsilon: under another name", {"norm_eps": 1e-3, "layer_norm_eps": 1e-3}, drop=["rms_norm_eps"]),
    case("activation: left out", {}, drop=["hidden_act"]),
    case("activation: null", {"hidden_act": None}),
    case("activation: hidden_activation", {"hidden_activation": "gelu_pytorch_tanh"}),
    case("activation: gelu", {"hidden_act": "gelu"}),
    case("activation: gelu_new", {"hidden_act": "gelu_new"}),
    case("activation: gelu_pytorch_tanh", {"hidden_act": "gelu_pytorch_tanh"}),
    case("activation: gelu_fast", {"hidden_act": "gelu_fast"}),
    case("activation: gelu_python", {"hidden_act": "gelu_python"}),
    case("activation: swish", {"hidden_act": "swish"}),
    case("activation: relu", {"hidden_act": "relu"}),
    case("activation: quick_gelu", {"hidden_act": "quick_gelu"}),
    case("activation: swiglu", {"hidden_act": "swiglu"}),
    case("bias: attention", {"attention_bias": True}, attention_bias=True),
    case("bias: attention, declared and not there", {"attention_bias": True}),
    case("bias: attention, declared and not for the output", {"attention_bias": True}, attention_bias=True, without=["o_proj.bias"]),
    case("bias: attention, there and not declared", {}, attention_bias=True),
    case("bias: MLP", {"mlp_bias": True}, mlp_bias=True),
    case("bias: MLP, declared and not there", {"mlp_bias": True}),
    case("bias: attention, declared by a Mistral", {"attention_bias": True}, base="mistral", attention_bias=True),
    # Classes and types.
    case("class: model_type alone", {}, drop=["architectures"]),
    case("class: architectures null", {"architectures": None}),
    case("class: architectures alone", {}, drop=["model_type"]),
    case("class: model_type mistral, architectures Llama", {"model_type": "mistral", "sliding_window": None}),
    case("class: model_type llama, architectures Mistral", {"architectures": ["MistralForCausalLM"]}),
    case("class: model_type unknown", {"model_type": "llamaesque"}),
    case("type: dtype and torch_dtype differ", {"dtype": "bfloat16", "torch_dtype": "float16"}),
    case("type: dtype alone", {"dtype": "bfloat16"}, drop=["torch_dtype"]),
    case("type: torch_dtype alone", {"torch_dtype": "float16"}),
    case("type: none", {}, drop=["torch_dtype"]),
    # Multipliers and caps, which neither class has.
    case("multipliers", {"embedding_multiplier": 12.0, "attention_multiplier": 0.5, "residual_multiplier": 0.22, "logits_scaling": 8.0,
                         "logit_scale": 0.5, "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}),
    case("attention that sees later tokens", {"is_causal": False}),
    case("base model without its class", {"architectures": ["LlamaModel"], "tie_word_embeddings": True}, without=["lm_head.weight"], bare=True),
    case("layers: fewer than there are", {"num_hidden_layers": 1}),
    case("vocabulary: other than the table's", {"vocab_size": 40}),
]


def run(model):
    """Some settings fail only when the model runs."""
    with torch.no_grad(): model.float()(torch.arange(24).remainder(32)[None], use_cache=False)


def facts(path, given):
    model = transformers.AutoModelForCausalLM.from_pretrained(path)
    c, dtype = model.config, str(model.dtype).removeprefix("torch.")
    attention, mlp = model.model.layers[0].self_attn, model.model.layers[0].mlp
    frequencies = [float(x) for x in model.model.rotary_emb.inv_freq]
    same = lambda a, b: a.shape == b.shape and bool(torch.equal(a, b))
    found = dict(
        architecture=type(model).__name__, frequencies=frequencies, tied=same(model.lm_head.weight, model.model.embed_tokens.weight),
        headIsStored="lm_head.weight" in given and same(model.lm_head.weight, given["lm_head.weight"].to(model.lm_head.weight.dtype)),
        headSize=attention.head_dim, keyValueHeads=c.num_key_value_heads, positions=c.max_position_embeddings,
        window=getattr(c, "sliding_window", None) if type(model).__name__ == "MistralForCausalLM" else next((w for w in (getattr(x.self_attn, "sliding_window", None) for x in model.model.layers) if w), None),
        epsilon=c.rms_norm_eps, activation=type(mlp.act_fn).__name__, attentionBias=attention.q_proj.bias is not None and bool(attention.q_proj.bias.any()),
        mlpBias=mlp.gate_proj.bias is not None and bool(mlp.gate_proj.bias.any()), dtype=dtype, layers=len(model.model.layers))
    run(model)
    return found


def main():
    found = []
    for c in CASES:
        base = dict(llama=LLAMA, mistral=MISTRAL, qwen2=QWEN2, qwen3=QWEN3)[c["base"]]
        config = {k: v for k, v in (base | c["set"]).items() if k not in c["drop"]}
        stored = tensors(base | {k: v for k, v in c["set"].items() if k == "num_attention_heads"}, **c["shape"])
        if c["equalHead"]: stored["lm_head.weight"] = stored["model.embed_tokens.weight"].clone()
        stored = {k: v for k, v in stored.items() if not any(k.endswith(w) for w in c["without"])}
        with tempfile.TemporaryDirectory() as d:
            pathlib.Path(d, "config.json").write_text(json.dumps(config))
            save_file(stored, str(pathlib.Path(d, "model.safetensors")), metadata={"format": "pt"})
            try: expected = facts(d, stored)
            except Exception as error: expected = dict(refused=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160])
        found.append(dict(name=c["name"], config=config, tensors=c["shape"] | dict(without=c["without"], equal_head=c["equalHead"]), expected=expected))
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(c) for c in found)
    out.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')


main()
