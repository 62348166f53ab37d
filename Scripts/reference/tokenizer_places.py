"""Puts the facts of a tokenizer into several files that agree and disagree, and writes what transformers makes of each set.

Run with a Python that has transformers 5:  python Scripts/reference/tokenizer_places.py [RANDOM_SETS]
Reads tokenizer-*.json and writes tokenizer-places.json, all in Tests/TokenizersTests/Expected.
"""
import json
import random
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer, GenerationConfig

OUT = Path(__file__).resolve().parents[2] / "Tests/TokenizersTests/Expected"
BASE = json.loads((OUT / "tokenizer-smollm.json").read_text())
TEXTS = ["<|im_start|>user\nHi<|im_end|>", "the <new> and <|end|> quay", " <extra>the  <pad>", "a the b"]
VOCABULARY = BASE["model"]["vocab"]


def token(content, **more):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True} | more


def processor(*names):
    parts = [{"SpecialToken": {"id": n, "type_id": 0}} for n in names]
    return {"type": "TemplateProcessing", "single": parts + [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": parts + [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": [VOCABULARY[n]], "tokens": [n]} for n in names}}


CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "clean_up_tokenization_spaces": False}
OWN = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in BASE["added_tokens"]}
END = str(VOCABULARY["<|end|>"])
CASES = {
    "nothing but roles": {"tokenizer_config.json": CONFIG},
    "no configuration": {},
    "roles in the map": {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
                         "special_tokens_map.json": {"bos_token": "<|im_start|>", "eos_token": token("<|end|>")}},
    "map against configuration": {"tokenizer_config.json": CONFIG, "special_tokens_map.json": {"eos_token": "<|end|>"}},
    "map against a configuration that lists its tokens": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN}, "special_tokens_map.json": {"eos_token": "<|end|>"}},
    "added_tokens.json has a new one": {"tokenizer_config.json": CONFIG, "added_tokens.json": {"<new>": len(VOCABULARY)}},
    "added_tokens.json with another id": {"tokenizer_config.json": CONFIG, "added_tokens.json": {"<new>": len(VOCABULARY) + 7}},
    "added_tokens.json beside a configuration that lists its tokens": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN}, "added_tokens.json": {"<new>": len(VOCABULARY)}},
    "configuration lists a new token": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN | {str(len(VOCABULARY)): token("<new>", special=False)}}},
    "configuration strips where tokenizer.json does not": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN | {END: token("<|end|>", lstrip=True, rstrip=True)}}},
    "configuration calls a token ordinary": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN | {END: token("<|end|>", special=False)}}},
    "padding is nowhere else": {"tokenizer_config.json": CONFIG | {"pad_token": "<pad>"}},
    "a role for an ordinary word": {"tokenizer_config.json": CONFIG | {"unk_token": "the"}},
    "extra tokens": {"tokenizer_config.json": CONFIG | {"extra_special_tokens": ["<extra>", "<|end|>"]}},
    "additional tokens": {"tokenizer_config.json": CONFIG | {"additional_special_tokens": ["<extra>"]}},
    "additional tokens of the map": {"tokenizer_config.json": CONFIG, "special_tokens_map.json": {"additional_special_tokens": ["<extra>", "<|end|>"]}},
    "additional tokens of the map, beside a configuration's": {
        "tokenizer_config.json": CONFIG | {"extra_special_tokens": ["<new>"]}, "special_tokens_map.json": {"additional_special_tokens": ["<extra>"]}},
    "additional tokens of the map, beside a configuration that lists its tokens": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN}, "special_tokens_map.json": {"additional_special_tokens": ["<extra>"]}},
    "extra tokens by name": {"tokenizer_config.json": CONFIG | {"extra_special_tokens": {"image_token": "<extra>"}}},
    "add_bos_token without a processor": {"tokenizer_config.json": CONFIG | {"add_bos_token": True, "add_eos_token": True}},
    "a processor without add_bos_token": {"tokenizer_config.json": CONFIG | {"add_bos_token": False},
                                          "tokenizer.json": {"post_processor": processor("<|im_start|>")}},
    "truncation and padding": {"tokenizer_config.json": CONFIG | {"model_max_length": 4}, "tokenizer.json": {
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<|end|>"}}},
    "template file against configuration": {
        "tokenizer_config.json": CONFIG | {"chat_template": [{"name": "default", "template": "old"}, {"name": "tool_use", "template": "tool"}]},
        "chat_template.jinja": "new {{ bos_token }}{{ messages[0].content }}{{ eos_token }}"},
    "several templates": {"tokenizer_config.json": CONFIG | {
        "chat_template": [{"name": "default", "template": "a{{ eos_token }}"}, {"name": "tool_use", "template": "t"}]}},
    "templates by name": {"tokenizer_config.json": CONFIG | {"chat_template": {"default": "d{{ bos_token }}", "tool_use": "t"}}},
    "named templates of their own": {
        "tokenizer_config.json": CONFIG | {"chat_template": "old"}, "chat_template.jinja": "new", "additional_chat_templates/tool_use.jinja": "tool",
        "additional_chat_templates/rag.jinja": "r", "additional_chat_templates/notes.txt": "n"},
    "a default among the named ones": {
        "tokenizer_config.json": CONFIG | {"chat_template": "old"}, "chat_template.jinja": "new", "additional_chat_templates/default.jinja": "named"},
    "only named templates beside a configuration's": {
        "tokenizer_config.json": CONFIG | {"chat_template": "old"}, "additional_chat_templates/tool_use.jinja": "tool"},
    "the older template file beside a configuration's": {
        "tokenizer_config.json": CONFIG | {"chat_template": "config"}, "chat_template.json": {"chat_template": "older"}},
    "a template file named file": {
        "tokenizer_config.json": CONFIG | {"chat_template": [{"name": "default", "template": "old"}, {"name": "file", "template": "listed"}]},
        "additional_chat_templates/file.jinja": "of the file"},
    "a template file named file beside the plain one": {
        "tokenizer_config.json": CONFIG, "chat_template.jinja": "plain", "additional_chat_templates/file.jinja": "of the file"},
    "a template file named file beside a default": {
        "tokenizer_config.json": CONFIG, "chat_template.jinja": "plain", "additional_chat_templates/file.jinja": "of the file",
        "additional_chat_templates/default.jinja": "of the default", "additional_chat_templates/.hidden.jinja": "h"},
    "one template of a list is no text": {"tokenizer_config.json": CONFIG | {
        "chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": 5}]}},
    "one template of an object is no text": {"tokenizer_config.json": CONFIG | {"chat_template": {"default": "d", "tool_use": None}}},
    "two templates of one name": {"tokenizer_config.json": CONFIG | {
        "chat_template": [{"name": "default", "template": "first"}, {"name": "default", "template": "second"}]}},
    "added tokens with gaps between their ids": {"tokenizer_config.json": CONFIG, "tokenizer.json": {
        "added_tokens": BASE["added_tokens"] + [token("<new>", id=900), token("<extra>", id=850)]}},
    "added tokens with gaps, also listed": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN | {"900": token("<new>"), "850": token("<extra>")}},
        "tokenizer.json": {"added_tokens": BASE["added_tokens"] + [token("<new>", id=900), token("<extra>", id=850)]}},
    "added tokens in another order": {"tokenizer_config.json": CONFIG, "tokenizer.json": {"added_tokens": BASE["added_tokens"][::-1]}},
    "an added token of the vocabulary with another id": {"tokenizer_config.json": CONFIG, "tokenizer.json": {
        "added_tokens": BASE["added_tokens"] + [token("q", id=900, special=False)]}},
    "the configuration lists known tokens under other ids": {
        "tokenizer_config.json": CONFIG | {"added_tokens_decoder": OWN | {"700": OWN["2"], "768": OWN["770"], "770": OWN["768"]}}},
    "added_tokens.json with an id of tokenizer.json": {"tokenizer_config.json": CONFIG, "added_tokens.json": {"<new>": 2}},
    "generation settings against the role": {"tokenizer_config.json": CONFIG, "generation_config.json": {"eos_token_id": [0, 5]},
                                             "config.json": {"model_type": "llama", "eos_token_id": 7}},
    "only the configuration ends": {"tokenizer_config.json": CONFIG, "config.json": {"model_type": "llama", "eos_token_id": [7, 9]}},
}


# A class that has a constructor of its own builds the tokenizer anew: of tokenizer.json only vocabulary and merges count.
TEXTS_OF_CLASSES = ["Hello world 2024", " a  b", "caf\u00e9 cafe\u0301 12", "x\n\ny", "<s>hi <s> you", "<|im_start|>user\nHi<|im_end|>", "", " ",
                    "the  quick's 'S DON'T", "\u2581 \u2126 ohm \U0001F600", "a <|im_end|> b <|im_start|> c"]
NFC = {"normalizer": {"type": "NFC"}}


def classes():
    for base in ["gpt2", "gpt2-prefix", "smollm", "llama3", "qwen2", "llama2", "mistral"]:
        isByteLevel = base not in ("llama2", "mistral")
        for name in ["GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast",
                     "PreTrainedTokenizerFast", "TokenizersBackend", None]:
            if not isByteLevel and name in ("GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast"): continue
            options = [{}, {"add_prefix_space": True}, {"add_prefix_space": False}]
            if not name or name.endswith("Fast") or name == "TokenizersBackend": options = options[:2]
            if name == "LlamaTokenizer": options += [{"legacy": True}, {"legacy": False}, {"legacy": True, "add_prefix_space": False}]
            if name and not name.endswith("Fast"):
                options += [{"add_bos_token": True}, {"add_bos_token": False, "add_eos_token": True}]
            for option in options:
                for change in [{}, NFC] if isByteLevel and base != "qwen2" and not option else [{}]:
                    config = dict(option)
                    if name: config["tokenizer_class"] = name
                    yield (f"{base} {name} {option} {change}",
                           {"base": base, "texts": True, "tokenizer_config.json": config, "tokenizer.json": change})
    for name in ["LlamaTokenizer", "LlamaTokenizerFast"]:
        yield f"{name} of a mistral", {
            "base": "llama2", "texts": True, "tokenizer_config.json": {"tokenizer_class": name, "legacy": False},
            "config.json": {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}}
    for base in ["qwen2", "smollm"]:
        for name in ["LlamaTokenizerFast", "GPT2Tokenizer", "PreTrainedTokenizerFast", None]:
            yield f"{name} of a Qwen2, {base}", {
                "base": base, "texts": True, "tokenizer_config.json": {"tokenizer_class": name} if name else {},
                "config.json": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}}
    def with_you(base, identity):
        own = json.loads((OUT / f"tokenizer-{base}.json").read_text())["added_tokens"]
        return own, own + [token("you", id=identity, special=False)]
    for base, name, roles in [("llama2", "LlamaTokenizer", {}), ("smollm", "GPT2Tokenizer", {}), ("qwen2", "Qwen2Tokenizer", {"eos_token": "<|im_end|>"})]:
        own, more = with_you(base, 2000 if base == "llama2" else 1999)
        size = len(json.loads((OUT / f"tokenizer-{base}.json").read_text())["model"]["vocab"])
        more[-1]["id"] = max([size - 1] + [t["id"] for t in own]) + 1
        listed = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in own}
        yield f"{name}: the configuration lists fewer tokens than tokenizer.json", {
            "base": base, "texts": True, "tokenizer_config.json": {"tokenizer_class": name, "added_tokens_decoder": listed} | roles,
            "tokenizer.json": {"added_tokens": more}}
    # Ids that are written and those that are given.
    for base, name in [("smollm", "GPT2Tokenizer"), ("qwen2", "Qwen2Tokenizer"), ("llama2", "LlamaTokenizer"), ("smollm", "PreTrainedTokenizerFast")]:
        own = json.loads((OUT / f"tokenizer-{base}.json").read_text())["added_tokens"]
        gaps = own + [token("you", id=1900, special=False), token("hi", id=1800, special=False)]
        listed = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in gaps}
        swapped = listed | {"1900": listed["1800"], "1800": listed["1900"]}
        for what, tokens, decoder in [("gaps", gaps, None), ("gaps, listed", gaps, listed), ("listed otherwise", gaps, swapped), ("in another order", gaps[::-1], None)]:
            yield f"{name}: added tokens, {what}", {
                "base": base, "texts": True, "tokenizer.json": {"added_tokens": tokens},
                "tokenizer_config.json": {"tokenizer_class": name} | ({"added_tokens_decoder": decoder} if decoder else {})}
    # What is neither true nor false.
    for value in ["yes", "", 1, 0, 0.0, None, [], [0], {}, {"a": 0}]:
        for key in ["legacy", "add_prefix_space"]:
            yield f"LlamaTokenizer with {key} {value!r}", {
                "base": "llama2", "texts": True, "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", key: value}}
    yield "Qwen2Tokenizer with add_prefix_space null", {
        "base": "qwen2", "texts": True, "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": None}}
    # Endings of names.
    for base, name in [("llama2", "LlamaTokenizerFastFast"), ("llama2", "LlamaTokenizerFastFastFast"), ("llama2", "FastLlamaTokenizer"),
                       ("smollm", "GPT2TokenizerFastFast"), ("qwen2", "Qwen2TokenizerFastFast"), ("smollm", "PreTrainedTokenizerFastFast")]:
        yield f"the class {name}", {"base": base, "texts": True, "tokenizer_config.json": {"tokenizer_class": name, "legacy": True, "add_prefix_space": True}}
    # A class that is named twice, or by nothing.
    for kind in ["qwen2", "qwen3", "llama", "granite", "olmo2", "smollm3", "exaone4"]:
        for own in [None, "", "LlamaTokenizer", "GPT2TokenizerFast", "Nonsense"]:
            for other in [None, "", "GPT2Tokenizer", "Qwen2Tokenizer"]:
                yield f"{kind}: {own!r} and {other!r}", {
                    "base": "gpt2", "texts": True, "tokenizer_config.json": {} if own is None else {"tokenizer_class": own},
                    "config.json": {"model_type": kind} | ({} if other is None else {"tokenizer_class": other})}
    # A word that transformers looks for in the whole text of tokenizer.json.
    word = {"type": "Replace", "pattern": {"String": "ByteLevel"}, "content": "x"}
    own = json.loads((OUT / "tokenizer-llama2.json").read_text())
    for where, change in [("normalizer", {"normalizer": word}), ("added tokens", {"added_tokens": own["added_tokens"] + [token("ByteLevel", id=2000)]}),
                          ("post_processor", {"post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}})]:
        for name in ["LlamaTokenizer", "LlamaTokenizerFast", "LlamaTokenizerFastFast"]:
            yield f"{name}: the word ByteLevel in {where}", {
                "base": "llama2", "texts": True, "tokenizer_config.json": {"tokenizer_class": name}, "tokenizer.json": change}
    strips = [t | ({"lstrip": True, "rstrip": True} if t["special"] else {}) for t in with_you("qwen2", 0)[0]]
    yield "Qwen2Tokenizer: a token with a role strips", {
        "base": "qwen2", "texts": True, "tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"},
        "tokenizer.json": {"added_tokens": strips}}
    yield "a class that is null, and one in config.json", {
        "base": "llama2", "texts": True, "tokenizer_config.json": {"tokenizer_class": None},
        "config.json": {"model_type": "llama", "tokenizer_class": "LlamaTokenizer"}}
    yield "the class in config.json", {
        "base": "smollm", "texts": True, "tokenizer_config.json": {"add_prefix_space": True},
        "config.json": {"model_type": "llama", "tokenizer_class": "GPT2Tokenizer"}}


def gemma_classes():
    """A Gemma's own class is its model type's where none is named."""
    for name in ["GemmaTokenizer", "GemmaTokenizerFast", "LlamaTokenizer", "PreTrainedTokenizerFast", None]:
        for type_ in ["gemma2", "gemma3_text", "gemma3", "llama"]:
            config = {"tokenizer_class": name} if name else {}
            yield f"gemma {name} of a {type_}", {"base": "gemma", "texts": True, "tokenizer_config.json": config, "config.json": {"model_type": type_}}
    named = {"tokenizer_class": "GemmaTokenizer"}
    own = json.loads((OUT / "tokenizer-gemma.json").read_text())
    for case, files in {
        "roles as published": {"tokenizer_config.json": named | {"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": True, "add_eos_token": False}},
        "another unknown token": {"tokenizer_config.json": named | {"unk_token": "<unused0>"}},
        "another unknown token in the map": {"tokenizer_config.json": named, "special_tokens_map.json": {"unk_token": {"content": "<unused0>"}}},
        "steps of its own in tokenizer.json": {"tokenizer_config.json": named, "tokenizer.json": {
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
            "pre_tokenizer": None}},
        "no processor": {"tokenizer_config.json": named, "tokenizer.json": {"post_processor": None}},
        "bytes missing": {"tokenizer_config.json": named, "tokenizer.json": {"model": own["model"] | {
            "vocab": {k if not k.startswith("<0x") else f"[{k}]": v for k, v in own["model"]["vocab"].items()}}}},
        "two end tokens": {"tokenizer_config.json": named, "config.json": {"model_type": "gemma3_text", "eos_token_id": [1, 8]},
                           "generation_config.json": {"eos_token_id": [1, 8], "bos_token_id": 2, "do_sample": True, "top_k": 64, "top_p": 0.95}},
    }.items():
        yield f"GemmaTokenizer: {case}", {"base": "gemma", "texts": True, "config.json": {"model_type": "gemma3_text"}} | files
    yield "a role for an added token that tokenizer.json calls ordinary", {
        "base": "gemma", "texts": True, "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<s>"}}
    yield "GemmaTokenizer of a Llama's file", {"base": "llama2", "texts": True, "tokenizer_config.json": named | {
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "mask_token": None}}


NEW = ["<extra>", "<new>", "<pad>"]
TEXTS_OF_NAMES = ["a <new>  b<extra> \n the<pad>theme", "<|im_start|>user\nHi <s> </s>  x<|im_end|>\n", " quay<new> <unk>"]


def named():
    """Tokens that several files name: with flags and without, by role, as extra ones and in added_tokens.json."""
    for base, size in [("llama2", 636), ("smollm", 773)]:
        for name in ["PreTrainedTokenizerFast", "TokenizersBackend"] + (["LlamaTokenizer"] if base == "llama2" else ["GPT2Tokenizer"]):
            config = {"tokenizer_class": name}
            added = {"<extra>": size, "<new>": size + 1}
            both = ["<extra>", "<new>"]
            flags = {"lstrip": True, "rstrip": True, "single_word": True}
            typed = token("<new>", **flags) | {"__type": "AddedToken"}
            for case, files in {
                "added": {"added_tokens.json": added},
                "added, extra": {"tokenizer_config.json": config | {"extra_special_tokens": both}, "added_tokens.json": added},
                "added, additional": {"tokenizer_config.json": config | {"additional_special_tokens": both}, "added_tokens.json": added},
                "added, additional of the map": {"special_tokens_map.json": {"additional_special_tokens": both}, "added_tokens.json": added},
                "added, extra of the map": {"special_tokens_map.json": {"extra_special_tokens": both}, "added_tokens.json": added},
                "added, extra with flags in the map": {"special_tokens_map.json": {"extra_special_tokens": [{"content": "<new>"} | flags]}, "added_tokens.json": added},
                "added, a role": {"tokenizer_config.json": config | {"pad_token": "<new>"}, "added_tokens.json": added},
                "added, a role with flags": {"tokenizer_config.json": config | {"pad_token": typed}, "added_tokens.json": added},
                "added, a role with flags in the map": {"special_tokens_map.json": {"pad_token": token("<new>", **flags)}, "added_tokens.json": added},
                "added, a role of this model": {"tokenizer_config.json": config | {"image_token": "<new>"}, "added_tokens.json": added},
                "added, extra by name": {"tokenizer_config.json": config | {"extra_special_tokens": {"image_token": "<new>"}}, "added_tokens.json": added},
                "a word that is added and extra": {"tokenizer_config.json": config | {"extra_special_tokens": ["the"]}, "added_tokens.json": {"the": size}},
                "extra by name, additional": {"tokenizer_config.json": config | {
                    "extra_special_tokens": {"image_token": "<new>"}, "additional_special_tokens": ["<extra>"]}},
                "extra by name, additional of the map": {
                    "tokenizer_config.json": config | {"extra_special_tokens": {"image_token": "<new>"}},
                    "special_tokens_map.json": {"additional_special_tokens": ["<extra>"]}},
                "extra by name and without": {
                    "tokenizer_config.json": config | {"extra_special_tokens": {"image_token": "<new>"}},
                    "special_tokens_map.json": {"extra_special_tokens": ["<extra>"]}},
                "extra empty, additional": {"tokenizer_config.json": config | {"extra_special_tokens": [], "additional_special_tokens": ["<extra>"]}},
                "extra null, additional of the map": {
                    "tokenizer_config.json": config | {"extra_special_tokens": None}, "special_tokens_map.json": {"additional_special_tokens": ["<extra>"]}},
                "extra and additional": {"tokenizer_config.json": config | {"extra_special_tokens": ["<new>"], "additional_special_tokens": ["<extra>"]}},
                "extra in both files": {
                    "tokenizer_config.json": config | {"extra_special_tokens": ["<new>"]}, "special_tokens_map.json": {"extra_special_tokens": ["<extra>"]}},
                "extra with flags": {"tokenizer_config.json": config | {"extra_special_tokens": [typed | {"special": False}]}},
                "extra with flags and a role": {"tokenizer_config.json": config | {"extra_special_tokens": [typed], "pad_token": "<new>"}},
                "a role with flags": {"tokenizer_config.json": config | {"pad_token": typed | {"normalized": True}}},
                "a role with flags in the map": {"special_tokens_map.json": {"pad_token": token("<new>", **flags)}},
                "a role of this model with flags": {"tokenizer_config.json": config | {"image_token": typed}},
                "a role of this model in the map": {"special_tokens_map.json": {"image_token": token("<new>", **flags)}},
                "roles of this model": {"tokenizer_config.json": config | {"model_specific_special_tokens": {"b": "<new>", "a": "<extra>"}}},
                "roles of this model, out of order": {"tokenizer_config.json": config | {"z_token": "<new>", "a_token": "<extra>"}},
                "a name that is a role": {"tokenizer_config.json": config | {"pad_token": "<pad>", "extra_special_tokens": {"pad_token": "<new>"}}},
                "roles with an id of another token": {
                    "tokenizer_config.json": config, "special_tokens_map.json": {"pad_token": token("<new>", **flags)}, "added_tokens.json": {"<new>": 0}},
                "two with one id": {"added_tokens.json": {"<new>": size, "<extra>": size}},
                "a token in the space that another swallows": {
                    "tokenizer_config.json": config | {"image_token": token("<new>", rstrip=True), "sep_token": token("\n", rstrip=False) | {"__type": "AddedToken"}},
                    "special_tokens_map.json": {"image_token": token("<extra>", rstrip=True)}},
                "padding of tokenizer.json": {"tokenizer.json": {"padding": {
                    "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<new>"}}},
            }.items():
                yield f"{base} {name}: {case}", {"base": base, "tokenizer_config.json": config} | files


def random_sets(count):
    """Any of that together, by chance; sets that transformers refuses are left out."""
    chance = random.Random(9)
    def some(base):
        return chance.choice(NEW + NEW + ["the", "quay", " x", "</s>", "<s>"] + [t["content"] for t in base["added_tokens"]])
    def flags():
        return {key: chance.random() < 0.3 for key in ("lstrip", "rstrip", "normalized", "single_word")} | {"special": chance.random() < 0.6}
    for number in range(count):
        name = chance.choice(["llama2", "smollm", "qwen2", "gemma", "llama3"])
        own = json.loads((OUT / f"tokenizer-{name}.json").read_text())
        size = len(own["model"]["vocab"])
        tokens = own["added_tokens"]
        config = {"tokenizer_class": chance.choice(
            ["PreTrainedTokenizerFast", "TokenizersBackend"] + (["LlamaTokenizer", "GemmaTokenizer"] if name in ("llama2", "gemma") else ["GPT2Tokenizer", "Qwen2Tokenizer"]))}
        files = {"base": name, "tokenizer_config.json": config}
        for _ in range(chance.choice([2, 3, 4, 5])):
            what = chance.randrange(9)
            role = chance.choice(["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "image_token"])
            if what == 0: config["added_tokens_decoder"] = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokens if chance.random() < 0.8}
            elif what == 1: config.setdefault("added_tokens_decoder", {})[str(size + chance.choice([0, 1, 5]))] = token(some(own)) | flags()
            elif what == 2: files["special_tokens_map.json"] = files.get("special_tokens_map.json", {}) | {role: chance.choice([some(own), token(some(own)) | flags()])}
            elif what == 3: files["added_tokens.json"] = {some(own): size + chance.choice([0, 1, 7]), chance.choice(NEW): size + chance.choice([2, 3])}
            elif what == 4: config["extra_special_tokens"] = chance.choice([[some(own)], [some(own), some(own)], {"image_token": some(own)}, [], {}, [token(some(own)) | flags() | {"__type": "AddedToken"}]])
            elif what == 5: config["additional_special_tokens"] = chance.choice([[some(own)], [some(own), some(own)], []])
            elif what == 6: config[role] = chance.choice([some(own), None, token(some(own)) | flags() | {"__type": "AddedToken"}])
            elif what == 7: files["special_tokens_map.json"] = files.get("special_tokens_map.json", {}) | {
                chance.choice(["extra_special_tokens", "additional_special_tokens"]): [some(own), some(own)]}
            elif tokens:
                changed = [t for t in tokens if chance.random() < 0.7] or tokens
                files["tokenizer.json"] = {"added_tokens": [t | (flags() if chance.random() < 0.2 else {}) for t in changed]}
        yield f"by chance, {number}", files


def ends(path):
    """As a loaded model's generate() has them."""
    try:
        config = GenerationConfig.from_pretrained(path)
    except OSError:
        try:
            config = GenerationConfig.from_pretrained(path, config_file_name="config.json", _from_model_config=True)
        except OSError:
            return None
    return config.eos_token_id


results = []
sets = int(sys.argv[1]) if len(sys.argv) > 1 else 120
for name, files in list(CASES.items()) + list(classes()) + list(gemma_classes()) + list(named()) + list(random_sets(sets)):
    base = json.loads((OUT / f"tokenizer-{files['base']}.json").read_text()) if "base" in files else BASE
    texts = TEXTS_OF_CLASSES if files.get("texts") else TEXTS_OF_NAMES if "base" in files else TEXTS
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        (place / "tokenizer.json").write_text(json.dumps(base | files.get("tokenizer.json", {})))
        for file, content in files.items():
            if "." in file and file != "tokenizer.json":
                (place / file).parent.mkdir(exist_ok=True)
                (place / file).write_text(content if isinstance(content, str) else json.dumps(content))
        if "config.json" not in files:
            (place / "config.json").write_text('{"model_type": "llama"}')
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
        except Exception:
            assert name.startswith("by chance"), name
            continue
        ids = [tokenizer(text)["input_ids"] for text in texts]
        if "truncation" in files.get("tokenizer.json", {}):
            ids = [tokenizer(text, padding=False, truncation=False)["input_ids"] for text in texts]
        expected = {
            "ids": ids, "decoded": [tokenizer.decode(one, skip_special_tokens=True) for one in ids],
            "roles": {k: str(getattr(tokenizer, k)) for k in ("bos_token", "eos_token", "unk_token", "pad_token") if getattr(tokenizer, k)},
            "eos_token_id": ends(place),
        }
        if tokenizer.chat_template:
            expected["templates"] = sorted(tokenizer.chat_template) if isinstance(tokenizer.chat_template, dict) else ["default"]
            tools = {} if "default" in expected["templates"] else {"tools": []}
            expected["chat"] = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, **tools)
        results.append({"name": name, "files": files, "expected": expected})

(OUT / "tokenizer-places.json").write_text(json.dumps({"texts": TEXTS, "texts_of_classes": TEXTS_OF_CLASSES, "texts_of_names": TEXTS_OF_NAMES, "cases": results}, ensure_ascii=False, separators=(",", ":")).replace('{"name":', '\n{"name":') + "\n")
print(len(results), "cases")
