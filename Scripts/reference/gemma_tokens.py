"""What llama.cpp makes of texts with a Gemma vocabulary: of the small one, and of the real model where it is at hand.

Writes gguf-gemma.json (the small vocabulary as a GGUF file holds it, and ids), from tokenizer-gemma.json, and
gemma3-270m-tokens.json (texts and ids of the real model), into Tests/TokenizersTests/Expected. Run after tokenizers_expected.py:

  python Scripts/reference/gemma_tokens.py [GEMMA.gguf]     needs gguf, numpy and xllamacpp, whose library is called in C
"""
import ctypes
import json
import random
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

OUT = Path(__file__).resolve().parents[2] / "Tests/TokenizersTests/Expected"
llama = ctypes.CDLL(next(str(f) for f in Path(xllamacpp.__file__).parent.glob("*.so")))


class Parameters(ctypes.Structure):
    """llama_model_params by value: larger than any version of it, which the callee does not notice."""
    _fields_ = [("bytes", ctypes.c_char * 1024)]


llama.llama_model_default_params.restype = Parameters
llama.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Parameters]
llama.llama_model_load_from_file.restype = llama.llama_model_get_vocab.restype = ctypes.c_void_p
llama.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
llama.llama_vocab_is_eog.argtypes = [ctypes.c_void_p, ctypes.c_int32]
llama.llama_vocab_is_eog.restype = ctypes.c_bool
llama.llama_tokenize.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]


def vocabulary(path):
    model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
    assert model, path
    return llama.llama_model_get_vocab(model)


def encode(vocab, text):
    data = text.encode()
    ids = (ctypes.c_int32 * (len(data) + 8))()
    count = llama.llama_tokenize(vocab, data, len(data), ids, len(ids), True, True)
    assert count >= 0, text
    return list(ids[:count])


def write_tiny(path, tokens, types, scores):
    """A model of one layer, for llama.cpp reads vocabularies out of models."""
    w = gguf.GGUFWriter(str(path), "gemma3")
    w.add_context_length(64); w.add_embedding_length(32); w.add_block_count(1); w.add_feed_forward_length(32)
    w.add_head_count(1); w.add_head_count_kv(1); w.add_key_length(32); w.add_value_length(32)
    w.add_layer_norm_rms_eps(1e-6); w.add_sliding_window(16)
    w.add_tokenizer_model("llama"); w.add_tokenizer_pre("default")
    w.add_token_list(tokens); w.add_token_scores(scores); w.add_token_types(types)
    w.add_pad_token_id(0); w.add_eos_token_id(1); w.add_bos_token_id(2); w.add_unk_token_id(3)
    w.add_add_bos_token(True); w.add_add_space_prefix(False)
    sizes = {"attn_q": (32, 32), "attn_k": (32, 32), "attn_v": (32, 32), "attn_output": (32, 32), "ffn_gate": (32, 32), "ffn_up": (32, 32),
             "ffn_down": (32, 32), "attn_norm": (32,), "attn_q_norm": (32,), "attn_k_norm": (32,), "post_attention_norm": (32,), "ffn_norm": (32,),
             "post_ffw_norm": (32,)}
    for name, shape in ({"token_embd": (len(tokens), 32), "output_norm": (32,)} | {f"blk.0.{k}": v for k, v in sizes.items()}).items():
        w.add_tensor(name + ".weight", np.zeros(shape, np.float32))
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


def small(texts):
    tree = json.loads((OUT / "tokenizer-gemma.json").read_text())
    ids = tree["model"]["vocab"]
    special = {t["content"]: t["special"] for t in tree["added_tokens"]}
    tokens = sorted(ids, key=ids.get)
    types = [(3 if special[t] else 4) if t in special else 6 if t.startswith("<0x") else 1 for t in tokens]
    # As llama.cpp's converter: user-defined tokens in the text's own spaces, -1000 for tokens that are no pieces. Merges in order
    # make scores that fall with the id.
    tokens = [t.replace("\u2581", " ") if kind == 4 else t for t, kind in zip(tokens, types)]
    first = types.index(1)
    scores = [-1000.0 if kind in (3, 4) else 0.0 if kind == 6 else float(first - id) for id, kind in enumerate(types)]
    with tempfile.TemporaryDirectory() as place:
        write_tiny(Path(place, "model.gguf"), tokens, types, scores)
        vocab = vocabulary(Path(place, "model.gguf"))
        ends = [id for id in range(len(tokens)) if llama.llama_vocab_is_eog(vocab, id)]
        result = dict(tokens=tokens, types=types, scores=scores, ends=ends, ids=[encode(vocab, text) for text in texts])
    (OUT / "gguf-gemma.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n")


def real(path, texts):
    vocab = vocabulary(path)
    generator = random.Random(11)
    words = [w for text in texts for w in text.split()]
    texts = texts + [generator.choice([" ", "  ", "\n", "\t"]).join(generator.choices(words, k=8)) for _ in range(60)]
    ends = [id for id in range(262144) if llama.llama_vocab_is_eog(vocab, id)]
    result = dict(ends=ends, cases=[dict(text=text, ids=encode(vocab, text)) for text in texts])
    (OUT / "gemma3-270m-tokens.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")).replace('{"text"', '\n{"text"') + "\n")


def main():
    results = json.loads((OUT / "tokenizer-results.json").read_text())
    texts = results["texts"] + [case["text"] for case in results["tokenizers"]["gemma"]["more"]]
    small(texts)
    if len(sys.argv) > 1: real(sys.argv[1], texts)


main()
