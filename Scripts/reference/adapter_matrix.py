"""Every option of PEFT's LoRA on tiny random Llamas: what a refit with the saved adapter must give, or why it must not.

Needs torch, transformers, peft. Writes Tests/WeightSourcesTests/Expected/adapters/matrix: two bases (`untied`,
with attention biases; `tied`), and for every case a directory as PEFT saves it. Beside it, where PEFT's own values
exist, `expected.safetensors` has every weight of the base that the adapter changes. `matrix.json` lists the cases.

Nothing is trained: all tensors of an adapter are random numbers. A weight is what PEFT's *unmerged* forward pass of
that module does, found by giving it unit vectors in float64; the whole model with these weights is compared with
PEFT's forward pass. Where a case must be refused, the plain formula (published base + scale B A) is computed too, to
see that it would have been wrong.

An edited configuration names other modules than were trained: what counts then is what PEFT makes of the files when it
loads them, and which tensors it leaves out. Where PEFT refuses to load them, so must a refit.

The script fails where `LoraConfig` has a field, or a start of the adapter's weights, that no case covers: run it again
with a newer PEFT to learn what is new.
"""
import contextlib
import copy
import dataclasses
import io
import json
import logging
import pathlib
import shutil
import sys
import tempfile
import types
import warnings

import torch
import peft
from peft import LoraConfig, PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.lora import config as lora_config_module
from peft.utils.peft_types import PeftType
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
out = pathlib.Path(__file__).parents[2] / "Tests/WeightSourcesTests/Expected/adapters/matrix"
only = sys.argv[1:]
if not only:
    shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True, exist_ok=True)
VOCABULARY = 14
attention = ["q_proj", "k_proj", "v_proj", "o_proj"]


def make_base(name, tied, bias, seed):
    torch.manual_seed(seed)
    # No two extents are equal, so that no transposition goes unseen.
    config = LlamaConfig(
        hidden_size=12, intermediate_size=10, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=2,
        vocab_size=VOCABULARY, attention_bias=bias, tie_word_embeddings=tied, max_position_embeddings=64,
        bos_token_id=1, eos_token_id=2)
    model = LlamaForCausalLM(config)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    model.save_pretrained(out / name)
    (out / name / "generation_config.json").unlink(missing_ok=True)


if not only:
    make_base("untied", False, True, 3)
    make_base("tied", True, False, 4)


def fresh(base, bare=False):
    model = LlamaForCausalLM.from_pretrained(out / base, dtype=torch.float32)
    return model.model if bare else model


def batches():
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        ids = torch.randint(0, VOCABULARY, (4, 12), generator=generator)
        yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def randomise(model, seed):
    """Numbers for all that an adapter trains; what belongs to the base stays."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if "base_layer" in name and not name.endswith(".bias") or "original_module" in name:
            continue
        if "lora_" in name or "modules_to_save" in name or "trainable_tokens_delta" in name or (p.requires_grad and name.endswith(".bias")):
            noise = torch.randn(p.shape, generator=generator)
            # In place: tied adapters are views of one another.
            p.data.copy_(p.data * (1 + 0.3 * noise) if "magnitude" in name else 0.4 * noise)


def effective(model, reference):
    """Weights of the base as PEFT's unmerged forward pass uses them, in float64."""
    inner = model.get_base_model()
    prefix = "" if hasattr(inner, "lm_head") else "model."
    found = {}
    with torch.no_grad():
        for name, module in reference.named_modules():
            wrapped = None
            if prefix and not name.startswith(prefix):
                continue
            with contextlib.suppress(AttributeError):
                wrapped = inner.get_submodule(name.removeprefix(prefix))
            if isinstance(module, torch.nn.Linear):
                zero = wrapped(torch.zeros(1, 1, module.in_features, dtype=torch.float64))[0, 0]
                eye = wrapped(torch.eye(module.in_features, dtype=torch.float64)[None])[0]
                found[f"{name}.weight"] = (eye - zero).T.contiguous()
                if module.bias is not None:
                    found[f"{name}.bias"] = zero
                elif zero.abs().max() > 0:
                    found[f"{name}.bias (none in the base)"] = zero
            elif isinstance(module, torch.nn.Embedding):
                found[f"{name}.weight"] = wrapped(torch.arange(module.num_embeddings)[None])[0]
            elif type(module).__name__ == "LlamaRMSNorm":
                found[f"{name}.weight"] = wrapped.weight.detach()  # its forward pass is float32
    return found


def plain(adapter, base_weights):
    """The published base with `scale B A`, whatever the configuration says."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    result = {}
    for name, a in tensors.items():
        if not name.endswith(".lora_A.weight"):
            continue
        b = tensors[name.replace("lora_A", "lora_B")]
        weight = name.removeprefix("base_model.model.").removesuffix("lora_A.weight") + "weight"
        scale = config["lora_alpha"] / config["r"]
        if weight in base_weights and a.shape[1] == base_weights[weight].shape[1] and b.shape[1] == a.shape[0]:
            result[weight] = base_weights[weight] + scale * b.double() @ a.double()
    return result


cases, fields_seen, starts_seen = [], set(), set()


def check(model, base):
    """PEFT's weights, after the whole model was found to be made of them."""
    reference = fresh(base).double()
    try:
        wide = copy.deepcopy(model).double().eval()
    except RuntimeError:  # tied adapters are views of each other, which cannot be copied; the model is not used again
        wide = model.double().eval()
    found = effective(wide, reference)
    untied = copy.deepcopy(reference)
    untied.lm_head.weight = torch.nn.Parameter(untied.lm_head.weight.detach().clone())
    original = {n: p.detach().clone() for n, p in untied.named_parameters()}
    strange = [n for n in found if n not in original]
    if not strange:
        with torch.no_grad():
            for n, p in untied.named_parameters():
                if n in found:
                    p.copy_(found[n])
        ids = next(batches())["input_ids"]
        bare = not hasattr(wide.get_base_model(), "lm_head")
        difference = ((untied.model if bare else untied)(ids)[0] - wide(ids)[0]).abs().max()
        assert difference < 1e-5, f"the model is not made of these weights: {difference}"  # norms are computed in float32
    return found, original


def record(name, base, refuse=None, warning=None, model=None, directory=None, grown=False, unmerged=True, settings=None, bare=False, edited=False,
           leaves_out=()):
    directory = directory or out / name
    for extra in ["README.md", ".gitattributes"]:
        (directory / extra).unlink(missing_ok=True)
    case = {"name": name, "base": base}
    if refuse:
        case["refused"] = refuse
    if leaves_out:
        case["leavesOut"] = list(leaves_out)
    if edited and refuse:
        # PEFT refuses it, too, or loads nothing.
        try:
            tensors = load_file(directory / "adapter_model.safetensors")
            loaded = PeftModel.from_pretrained(fresh(base, bare), directory)
            found, original = check(loaded, base)
            assert all((t - original[n]).abs().max() < 1e-12 for n, t in found.items() if n in original), "PEFT loads something"
            print(f"  {name}: refused ({refuse}); PEFT loads nothing of {len(tensors)} tensors")
        except (ValueError, KeyError, TypeError) as error:
            print(f"  {name}: refused ({refuse}); PEFT: {type(error).__name__}: {str(error)[:90]}")
        cases.append(case)
        return
    if edited:
        model = PeftModel.from_pretrained(fresh(base, bare), directory)
    if model is not None and unmerged:
        found, original = check(model, base)
        if not refuse:
            # What counts is what the files say: PEFT sorts the patterns that it writes, for one.
            loaded, _ = check(PeftModel.from_pretrained(fresh(base, bare), directory), base)
            apart = [n for n in found if (loaded[n] - found[n]).abs().max() > 1e-5]
            assert not apart, f"saved and loaded, it is another: {apart}"
        changed = {n: t.float() for n, t in found.items() if n not in original or (t - original[n]).abs().max() > 1e-12}
        if refuse:
            simple = plain(directory, original)
            wrong = [n for n in found if n not in original or (n in changed and (n not in simple or (simple[n] - found[n]).abs().max() > 1e-5))]
            print(f"  {name}: refused ({refuse}); the plain formula is {'wrong' if wrong else 'RIGHT'} for {len(wrong)} of {len(changed)} weights")
            case["plainFormulaIsWrong"] = bool(wrong)
        else:
            save_file({n: t.contiguous() for n, t in changed.items()}, directory / "expected.safetensors")
            print(f"  {name}: {len(changed)} weights change")
    cases.append(case)


failed = []


def case(name, *arguments, **settings):
    if only and not any(o in name for o in only):
        fields_seen.update(settings)
        return
    try:
        make_case(name, *arguments, **settings)
    except Exception as error:  # the others still tell something
        failed.append(name)
        print(f"  {name}: FAILED: {type(error).__name__}: {error}")
        if only:
            raise


def make_case(name, base="untied", refuse=None, prepare=None, after=None, save={}, finish=None, dtype=None, unmerged=True, converts=False,
         edits=None, no_randomise=False, bare=False, remove=(), leaves_out=(), **settings):
    fields_seen.update(settings)
    torch.manual_seed(len(cases))
    model = fresh(base, bare)
    settings.setdefault("r", 2)
    settings.setdefault("lora_alpha", 5)
    if "target_parameters" not in settings:
        settings.setdefault("target_modules", ["q_proj", "down_proj"])
    config = LoraConfig(task_type="FEATURE_EXTRACTION" if bare else "CAUSAL_LM", **settings)
    if prepare:
        replaced = prepare(model, config)
        model = replaced if replaced is not None else model
    model = get_peft_model(model, config)
    if after:
        after(model)
    if converts:
        start = pathlib.Path(tempfile.mkdtemp()) / "start"
        before = model.peft_config["default"].init_lora_weights
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(start)
        model.peft_config["default"].init_lora_weights = before
        save = {**save, "path_initial_model_for_weight_conversion": str(start)}
    if not no_randomise:
        randomise(model, len(cases) + 100)
    if dtype:
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.data = p.data.to(dtype)
    model.eval()
    kept = copy.deepcopy(model) if converts else model
    shutil.rmtree(out / name, ignore_errors=True)
    model.save_pretrained(out / name, **save)
    path = out / name / "adapter_config.json"
    written = json.loads(path.read_text())
    # Where the base lay says nothing; sets are written in any order.
    written["base_model_name_or_path"] = base
    for key in ["target_modules", "exclude_modules"]:
        if isinstance(written.get(key), list):
            written[key].sort()
    written.update(edits or {})
    for key in remove:
        del written[key]
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    if finish:
        finish(model, out / name)
    edited = unmerged and bool(edits or remove)
    record(name, base, refuse, model=kept, unmerged=unmerged, bare=bare, edited=edited, leaves_out=leaves_out)


# How the adapter's weights start.
def start(value, **arguments):
    starts_seen.add(value)
    label = str(value).lower().replace("_", "-")
    case(f"start-{label}", init_lora_weights=value, **arguments)


def eva(model):
    from peft import initialize_lora_eva_weights
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        initialize_lora_eva_weights(model, list(batches()), show_progress_bar=False)


def corda(model, config):
    # PEFT needs `attr` here and does not say so; what it uses of it is what dataclasses have.
    sys.modules.setdefault("attr", types.SimpleNamespace(dataclass=dataclasses.dataclass))
    from peft.tuners.lora.corda import preprocess_corda

    @torch.no_grad()
    def run():
        for batch in batches():
            for ids in batch["input_ids"]:
                model(input_ids=ids[None])
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        preprocess_corda(model, config, run_model=run)


def lora_ga(model, config):
    from peft.tuners.lora.loraga import preprocess_loraga

    def step():
        for batch in batches():
            model(**batch).loss.backward()
    preprocess_loraga(model, config, step)


start(True)
start(False)
start("gaussian")
start("orthogonal")
start("mica")
start("eva", after=eva, target_modules=["q_proj", "k_proj", "down_proj", "up_proj"], eva_config=lora_config_module.EvaConfig(rho=2.0))
start("olora", refuse="init_lora_weights")
start("pissa", refuse="init_lora_weights")
start("pissa_niter_4", refuse="init_lora_weights")
start("corda", prepare=corda, corda_config=lora_config_module.CordaConfig(), refuse="init_lora_weights")
# LoftQ quantises the base with bitsandbytes, which has no place here: the tensors are a plain start's.
starts_seen.add("loftq")
case("start-loftq", edits={"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4, "loftq_iter": 1}}, refuse="init_lora_weights", unmerged=False)
start("lora_ga", prepare=lora_ga, lora_ga_config=lora_config_module.LoraGAConfig(), refuse="init_lora_weights")
for value in ["pissa", "pissa_niter_4", "olora"]:
    case(f"converted-{value.replace('_', '-')}", init_lora_weights=value, converts=True)
case("converted-pissa-rslora", init_lora_weights="pissa", use_rslora=True, converts=True)
case("converted-corda", init_lora_weights="corda", prepare=corda, corda_config=lora_config_module.CordaConfig(), converts=True)
case("converted-lora-ga", init_lora_weights="lora_ga", prepare=lora_ga, lora_ga_config=lora_config_module.LoraGAConfig(), converts=True)
case("converted-pissa-patterns", init_lora_weights="pissa", converts=True, rank_pattern={"down_proj": 3}, alpha_pattern={"q_proj": 7})

# Which modules.
case("target-regex", target_modules=r".*layers\.1\..*(k|o)_proj")
case("target-all-linear", target_modules="all-linear")
case("target-full-name", target_modules=["model.layers.1.mlp.up_proj"])
case("target-head", target_modules=["lm_head", "v_proj"])
case("target-table", target_modules=["embed_tokens", "v_proj"])
case("target-table-without-copy", target_modules=["embed_tokens", "v_proj"], save=dict(save_embedding_layers=False))
case("target-table-and-head", target_modules=["embed_tokens", "lm_head"], alpha_pattern={"lm_head": 3}, rank_pattern={"embed_tokens": 3})
case("exclude-list", target_modules="all-linear", exclude_modules=["gate_proj", "model.layers.0.self_attn.q_proj"])
case("exclude-regex", target_modules=attention, exclude_modules=r".*\.0\..*")
case("layers-one", target_modules=["gate_proj"], layers_to_transform=1)
case("layers-list", target_modules=["gate_proj"], layers_to_transform=[0], layers_pattern="layers")
case("parameters", target_modules=[], target_parameters=["mlp.gate_proj.weight", "self_attn.o_proj.weight"])
case("parameters-and-modules", target_modules=["q_proj"], target_parameters=["mlp.down_proj.weight"])
case("replication", layer_replication=[[0, 2], [1, 2]], refuse="layer_replication", unmerged=False)

# Scales and ranks.
case("rslora", use_rslora=True)
case("rslora-patterns", use_rslora=True, target_modules="all-linear", rank_pattern={"k_proj": 1, r"layers\.1\.mlp\.(gate|up)_proj": 3},
     alpha_pattern={r"^model\.layers\.0\.self_attn\.q_proj": 20, r".*1\.mlp\.down_proj": 3})
case("patterns-order", target_modules=["q_proj", "o_proj"], rank_pattern={"layers.0.self_attn.o_proj": 3, "o_proj": 1, "proj": 4},
     alpha_pattern={r"\d\.self_attn\.q_proj": 9, "q_proj": 1})
case("patterns-syntax", target_modules="all-linear", alpha_pattern={
    r"layers\.[01]\.self_attn\.[qk]_proj": 2, r"(?:layers\.1\.mlp|nothing)\.down_proj": 3, r"[^.]*up_proj": 4,
    r"layers\.(?P<layer>0)\.mlp\.gate_proj": 6, r"[a-z]{1,3}yers\.1\.mlp\.g\w+_proj": 7, "self_attn.o_proj|v_proj": 8})
case("alpha-zero", lora_alpha=0)
case("alpha-negative", lora_alpha=-3)
case("alpha-fraction", lora_alpha=2.5)
case("rank-large", r=9, target_modules=["k_proj"])
case("dropout", lora_dropout=0.3)

# What is trained besides.
case("bias-all", bias="all", target_modules=["q_proj", "v_proj"])
case("bias-lora-only", bias="lora_only", target_modules=["q_proj", "down_proj"])
case("lora-bias", lora_bias=True, target_modules=["q_proj", "k_proj", "o_proj"])
case("lora-bias-none", lora_bias=True, target_modules=["q_proj", "down_proj"], refuse="lora_B.bias")
case("lora-bias-and-bias", lora_bias=True, bias="lora_only", target_modules=["q_proj"])
for base in ["untied", "tied"]:
    case(f"save-table-{base}", base, modules_to_save=["embed_tokens"])
    case(f"save-head-{base}", base, modules_to_save=["lm_head"])
    case(f"save-both-{base}", base, modules_to_save=["lm_head", "embed_tokens"])
    case(f"save-both-kept-{base}", base, modules_to_save=["lm_head", "embed_tokens"], ensure_weight_tying=True)
    case(f"save-table-kept-{base}", base, modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    case(f"save-head-kept-{base}", base, modules_to_save=["lm_head"], ensure_weight_tying=True)
    case(f"layers-saved-{base}", base, save=dict(save_embedding_layers=True))
    case(f"layers-saved-modules-{base}", base, save=dict(save_embedding_layers=True), modules_to_save=["embed_tokens"])
    case(f"tokens-list-{base}", base, trainable_token_indices=[3, 1, 9])
    case(f"tokens-both-{base}", base, trainable_token_indices={"embed_tokens": [0, 13], "lm_head": [0, 13]})
    case(f"tokens-differ-{base}", base, trainable_token_indices={"embed_tokens": [0, 5], "lm_head": [7]})
    case(f"tokens-kept-{base}", base, trainable_token_indices=[2, 4], ensure_weight_tying=True)
    case(f"tokens-layers-saved-{base}", base, trainable_token_indices=[2, 4], save=dict(save_embedding_layers=True))
    case(f"dora-{base}", base, use_dora=True, target_modules="all-linear")
case("save-norms", modules_to_save=["norm", "input_layernorm", "post_attention_layernorm"])
case("save-block", modules_to_save=["model.layers.1.mlp"], target_modules=["q_proj"])
case("save-linear", modules_to_save=["o_proj"], target_modules=["q_proj"])
case("tied-target-table", "tied", target_modules=["embed_tokens"])
case("tied-target-head", "tied", target_modules=["lm_head"])
case("tied-target-both", "tied", target_modules=["embed_tokens", "lm_head"])
case("tied-target-both-kept", "tied", target_modules=["embed_tokens", "lm_head"], ensure_weight_tying=True)
case("tied-target-table-kept", "tied", target_modules=["embed_tokens", "q_proj"], ensure_weight_tying=True)
case("tied-target-table-kept-without-copy", "tied", target_modules=["embed_tokens"], ensure_weight_tying=True, save=dict(save_embedding_layers=False))
case("tied-target-head-kept", "tied", target_modules=["lm_head"], ensure_weight_tying=True)
case("untied-target-table-kept", "untied", target_modules=["embed_tokens"], ensure_weight_tying=True)
case("tied-target-table-tokens", "tied", trainable_token_indices=[1, 2], target_modules=["q_proj", "lm_head"])

# Variants.
case("dora-head", use_dora=True, target_modules=["lm_head", "q_proj"])
case("dora-rslora-patterns", use_dora=True, use_rslora=True, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 3})
case("dora-table", use_dora=True, target_modules=["embed_tokens"], save=dict(save_embedding_layers=False))
case("dora-bias", use_dora=True, bias="lora_only", target_modules=["q_proj"])
case("runtime", runtime_config=lora_config_module.LoraRuntimeConfig(ephemeral_gpu_offload=False))
case("fan-in-fan-out", fan_in_fan_out=True)
case("velora", velora_config=lora_config_module.VeloraConfig(num_groups=2, init_type="random"))
case("monteclora", monteclora_config=lora_config_module.MontecloraConfig())
case("qalora-plain", use_qalora=True, qalora_group_size=2)
case("alora", alora_invocation_tokens=[5, 6], refuse="alora_invocation_tokens", unmerged=False)
case("kasa", kasa_config=lora_config_module.KasaConfig(), refuse="kasa_config")
case("bdlora", use_bdlora=lora_config_module.BdLoraConfig(target_modules_bd_a=["down_proj"], target_modules_bd_b=["q_proj"], nblocks=2),
     refuse="use_bdlora")
case("megatron", edits={"megatron_config": {"tensor_model_parallel_size": 2}}, refuse="megatron_config", unmerged=False)
fields_seen.update(["loftq_config", "megatron_config", "megatron_core", "arrow_config", "revision", "auto_mapping"])

# Saved in other types.
case("float16", dtype=torch.float16)
case("bfloat16", dtype=torch.bfloat16)


# Several adapters.
def weighted(kind):
    def add(model):
        model.add_adapter("other", LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=4, target_modules=["q_proj", "down_proj"]))
        randomise(model, 77)
        model.add_weighted_adapter(["default", "other"], [0.7, 0.4], "joined", combination_type=kind)
        model.set_adapter("joined")
    return add


def joined(model, directory):
    for file in (directory / "joined").iterdir():
        file.rename(directory / file.name)
    (directory / "joined").rmdir()
    written = json.loads((directory / "adapter_config.json").read_text())
    written["base_model_name_or_path"] = "untied"
    written["target_modules"].sort()
    (directory / "adapter_config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(directory / "other", ignore_errors=True)


for kind in ["cat", "svd"]:
    case(f"weighted-{kind}", after=weighted(kind), finish=joined, save=dict(selected_adapters=["default", "joined"]), no_randomise=True)


# A vocabulary that grew.
def grow(model, config):
    torch.manual_seed(9)
    model.resize_token_embeddings(VOCABULARY + 3)
    return model


for base in ["untied", "tied"]:
    case(f"grown-{base}", base, prepare=grow, save=dict(save_embedding_layers=True), refuse="vocabulary", unmerged=False)
    case(f"grown-saved-{base}", base, prepare=grow, modules_to_save=["embed_tokens", "lm_head"], refuse="vocabulary", unmerged=False)
    case(f"grown-saved-twice-{base}", base, prepare=grow, modules_to_save=["embed_tokens", "lm_head"], save=dict(save_embedding_layers=True),
         refuse="vocabulary", unmerged=False)
    case(f"grown-tokens-{base}", base, prepare=grow, trainable_token_indices=[VOCABULARY, VOCABULARY + 2], refuse="vocabulary", unmerged=False)
    case(f"grown-target-{base}", base, prepare=grow, target_modules=["embed_tokens", "lm_head"], refuse="vocabulary", unmerged=False)

# DoRA on a table: PEFT scales its columns by their length over the vocabulary.
case("dora-table-tied", "tied", use_dora=True, target_modules=["embed_tokens"], save=dict(save_embedding_layers=False))
case("dora-table-and-head", use_dora=True, use_rslora=True, target_modules=["embed_tokens", "lm_head", "q_proj"], rank_pattern={"embed_tokens": 3})
case("dora-table-kept-tied", "tied", use_dora=True, target_modules=["embed_tokens"], ensure_weight_tying=True)
case("dora-table-kept-untied", use_dora=True, target_modules=["embed_tokens"], ensure_weight_tying=True)

# Parameters that are named by themselves: patterns are matched with their own names, and nothing excludes them.
parameters = dict(target_modules=[], target_parameters=["mlp.gate_proj.weight", "self_attn.o_proj.weight"])
case("parameters-alpha-module", **parameters, alpha_pattern={"gate_proj": 30})
case("parameters-alpha-weight", **parameters, alpha_pattern={"gate_proj.weight": 30, r".*0\.self_attn\.o_proj\.weight": 2})
case("parameters-rank-module", **parameters, rank_pattern={"o_proj": 3})
case("parameters-rank-weight", **parameters, rank_pattern={"o_proj.weight": 3}, use_rslora=True)
case("parameters-full-name", target_modules=[], target_parameters=["model.layers.1.mlp.up_proj.weight"], alpha_pattern={r"^model\.layers\.1\.mlp\.up_proj\.weight": 7})
case("parameters-and-modules-patterns", target_modules=["q_proj"], target_parameters=["mlp.down_proj.weight"], alpha_pattern={"down_proj": 9, "q_proj": 3})
case("parameters-excluded", **parameters, edits=dict(exclude_modules=["gate_proj"], layers_to_transform=[1]))
case("parameters-none", target_modules=["q_proj"], target_parameters=["mlp.down_proj.weight"], edits=dict(target_parameters=None), leaves_out=["target_modules"])
case("parameters-twice", **parameters, edits=dict(target_modules=["gate_proj"]), refuse="named by two of")
case("parameters-string", **parameters, edits=dict(target_parameters="mlp.gate_proj.weight"), refuse="target_parameters")

# Names in modules_to_save are ends of paths, also in the middle of a component; only whole names of tables are kept tied.
for base in ["untied", "tied"]:
    case(f"save-end-head-{base}", base, modules_to_save=["head"])
    case(f"save-end-table-{base}", base, modules_to_save=["tokens"])
    case(f"save-end-table-kept-{base}", base, modules_to_save=["tokens"], ensure_weight_tying=True)
    case(f"tokens-end-{base}", base, trainable_token_indices={"tokens": [4, 7]})
    case(f"tokens-full-name-{base}", base, trainable_token_indices={"model.embed_tokens": [4, 7]})
    case(f"tokens-head-{base}", base, trainable_token_indices={"lm_head": [4, 7]})
case("save-end-norms", modules_to_save=["layernorm"])
case("save-end-block", target_modules=["q_proj"], modules_to_save=["1.mlp"])
case("save-end-adapted", target_modules=["q_proj"], edits=dict(modules_to_save=["_proj"]), refuse="named by two of")
case("tokens-twice", trainable_token_indices=[4, 7, 4], refuse="names token 4 twice", unmerged=False)
case("tokens-linear", "tied", target_modules=["v_proj"], trainable_token_indices={"q_proj": [1, 2]})
case("tokens-linear-bias", target_modules=["v_proj"], trainable_token_indices={"q_proj": [1, 2]}, refuse="modules with a bias", unmerged=False)
case("tokens-saved", modules_to_save=["embed_tokens"], edits=dict(trainable_token_indices={"embed_tokens": [1]}), refuse="trainable_token_indices")
case("tokens-nowhere", trainable_token_indices=[1], edits=dict(trainable_token_indices={"nowhere": [1]}), refuse="nowhere")
case("tokens-negative", trainable_token_indices=[1], edits=dict(trainable_token_indices=[-1]), refuse="holds -1", unmerged=False)
case("tokens-head-differs", "tied", trainable_token_indices=[1, 2], edits=dict(trainable_token_indices={"embed_tokens": [1, 2], "lm_head": [3]}), refuse="lm_head.token_adapter")
case("tied-target-table-kept-patterns", "tied", target_modules=["embed_tokens"], ensure_weight_tying=True, rank_pattern={"embed_tokens": 3}, alpha_pattern={"lm_head": 4})
case("tied-target-regex-kept", "tied", target_modules=r"model\.embed_tokens", ensure_weight_tying=True)

# Configurations that name other modules than were trained.
narrow = dict(target_modules=["q_proj", "k_proj"], leaves_out=["target_modules"])
case("edited-targets", **narrow, edits=dict(target_modules=["q_proj"]))
case("edited-targets-full-name", **narrow, edits=dict(target_modules=["model.layers.1.self_attn.k_proj", "self_attn.q_proj"]))
case("edited-targets-none", **narrow, remove=["target_modules"])
case("edited-targets-regex", **narrow, edits=dict(target_modules=r"model\.layers\.\d+\.self_attn\.(?!q).*"))
case("edited-targets-look", **narrow, edits=dict(target_modules=r"^(?!.*\.1\.).*(?<=self_attn\.)\b[qk]_proj\b(?=$)"))
case("edited-targets-all", target_modules=["embed_tokens", "lm_head", "q_proj"], edits=dict(target_modules="All-Linear"), leaves_out=["target_modules"])
case("edited-targets-wide", target_modules=["q_proj"], edits=dict(target_modules=["q_proj", "up_proj"]))
case("edited-targets-nothing", target_modules=["q_proj"], edits=dict(target_modules=["query"]), refuse="names none")
case("edited-targets-elsewhere", target_modules=["q_proj"], edits=dict(target_modules=["up_proj"]), refuse="names none")
case("edited-targets-end", **narrow, edits=dict(target_modules=["proj", "q_proj"]))
case("edited-layers", **narrow, edits=dict(layers_to_transform=[0]))
case("edited-layers-one", **narrow, edits=dict(layers_to_transform=1))
case("edited-layers-empty", target_modules=["q_proj"], edits=dict(layers_to_transform=[]))
case("edited-layers-pattern", **narrow, edits=dict(layers_to_transform=[1], layers_pattern=["blocks", "lay.rs"]))
case("edited-layers-other-pattern", **narrow, edits=dict(layers_to_transform=[1], layers_pattern="blocks", target_modules=["q_proj", "model.layers.0.self_attn.k_proj"]))
case("edited-layers-regex", target_modules=["q_proj"], edits=dict(layers_to_transform=[1], target_modules=".*q_proj"), refuse="layers_to_transform")
case("edited-layers-pattern-alone", target_modules=["q_proj"], edits=dict(layers_pattern="layers"), refuse="layers_pattern")
case("edited-exclude", **narrow, edits=dict(exclude_modules=["k_proj", "model.layers.0.self_attn.q_proj"]))
case("edited-exclude-regex", **narrow, edits=dict(exclude_modules=r".*\.0\..*"))
case("edited-saved-none", modules_to_save=["norm", "lm_head"], target_modules=["q_proj"], edits=dict(modules_to_save=None))
case("edited-saved-more", modules_to_save=["norm"], target_modules=["q_proj"], edits=dict(modules_to_save=["norm", "lm_head"]), refuse="lm_head.weight, as modules_to_save")
case("edited-saved-targets", target_modules=["q_proj", "up_proj"], edits=dict(modules_to_save=["mlp"]), refuse="modules_to_save")
case("edited-tokens-none", trainable_token_indices=[3, 5], edits=dict(trainable_token_indices=None), leaves_out=["trainable_token_indices"])
case("edited-bias", bias="all", target_modules=["q_proj", "k_proj"], edits=dict(target_modules=["q_proj"]), leaves_out=["target_modules"])
case("edited-rank-none", r=8, lora_alpha=8, remove=["r", "lora_alpha"])
case("edited-null", edits=dict(use_dora=None, use_rslora=None, ensure_weight_tying=None))

# A model without its head: its paths have no `model.`, and patterns that begin so match nothing.
case("bare-patterns", bare=True, rank_pattern={"layers.0.self_attn.q_proj": 3, "model.layers.1.self_attn.q_proj": 4},
     alpha_pattern={r"^model\.layers\.1\.mlp\.down_proj": 30, r"^layers\.0\.mlp\.down_proj": 9})
case("bare-table", bare=True, target_modules=["embed_tokens", "q_proj"], modules_to_save=["norm"])
case("bare-full-name", bare=True, target_modules=["layers.1.mlp.up_proj", "model.layers.0.mlp.up_proj", "v_proj"])
case("bare-layers", bare=True, target_modules=["q_proj", "k_proj"], edits=dict(layers_to_transform=[0], layers_pattern="layers"), leaves_out=["target_modules"])
case("bare-layers-none", bare=True, target_modules=["q_proj"], edits=dict(layers_to_transform=[0]), refuse="names none")
case("bare-tokens", bare=True, trainable_token_indices=[1, 8])

# Rows of the table and a head that was trained whole: where both are tied, PEFT saves and loads them and then cannot run.
case("tokens-and-saved-head-untied", trainable_token_indices=[4, 7], modules_to_save=["lm_head"])
case("tokens-and-saved-head-tied", "tied", trainable_token_indices=[4, 7], modules_to_save=["lm_head"], refuse="named by two of", unmerged=False)

# Every other kind of adapter that this PEFT has.
others = {}
for kind in PeftType:
    if kind == PeftType.LORA:
        continue
    configuration = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)
    text = {"peft_type": kind.value}
    if configuration is not None:
        names = {f.name for f in dataclasses.fields(configuration)}
        arguments = {k: v for k, v in dict(target_modules=["q_proj"], num_virtual_tokens=2, task_type="CAUSAL_LM").items() if k in names}
        try:
            with tempfile.TemporaryDirectory() as where:
                configuration(**arguments).save_pretrained(where)
                text = json.loads((pathlib.Path(where) / "adapter_config.json").read_text())
        except Exception as error:
            print(f"  {kind.value}: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
    others[kind.value] = text

if not only:
    known = {f.name for f in dataclasses.fields(LoraConfig)}
    described = next(f for f in dataclasses.fields(LoraConfig) if f.name == "init_lora_weights")
    covered = fields_seen | {"r", "peft_type", "task_type", "peft_version", "base_model_name_or_path", "inference_mode", "target_modules", "save"}
    missed = sorted(known - covered)
    assert not missed, f"settings that no case covers: {missed}"
    import re
    listed = {s.replace("[number of iters]", "4") for s in re.findall(r"'([^']+)'", str(described.type))}
    assert not listed - starts_seen, f"starts that no case covers: {listed - starts_seen}"
    assert not failed, f"cases that could not be made: {failed}"
    (out / "matrix.json").write_text(json.dumps({"peft": peft.__version__, "cases": cases, "otherKinds": others}, indent=1) + "\n")
    print(len(cases), "cases,", len(others), "other kinds,", sum(f.stat().st_size for f in out.rglob("*") if f.is_file()), "bytes")
