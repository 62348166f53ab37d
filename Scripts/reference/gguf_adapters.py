"""LoRA adapters in GGUF, as llama.cpp's convert_lora_to_gguf.py makes them of PEFT's, written with the gguf package alone.

Needs numpy, safetensors, gguf. Writes Tests/WeightSourcesTests/Expected/adapters/gguf: NAME.TYPE.gguf of the adapters below,
which a test puts on a model and compares with the PEFT directory that they were made of.

What that script does, for models of the class Llama:
- `NAME.lora_A.weight` and `NAME.lora_B.weight` become `GGUF-NAME.weight.lora_a` and `.lora_b`;
- the rows of B of q_proj and k_proj are put in the order that llama.cpp's rotary kernel wants;
- of an embedding table `lora_embedding_A` is transposed, `lora_embedding_B` is not;
- norms are kept whole; copies of a table that were saved along (`base_layer`) are left out; whatever else makes it stop;
- the configuration is left behind but for `lora_alpha`, a float32;
- types: F32, F16, BF16, and Q8_0 where a row is made of whole blocks of 32, F16 elsewhere.
"""
import json
import pathlib

import gguf
import numpy
from safetensors.numpy import load_file

root = pathlib.Path(__file__).parents[2]
expected = root / "Tests/WeightSourcesTests/Expected/adapters"
modules = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
           "down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
types = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16, "bf16": gguf.GGMLQuantizationType.BF16,
         "q8_0": gguf.GGMLQuantizationType.Q8_0}
files = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16, "bf16": gguf.LlamaFileType.MOSTLY_BF16,
         "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}


def gguf_name(module):
    fixed = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
    if module in fixed:
        return fixed[module] + ".weight"
    _, _, layer, *_, last = module.split(".")
    return f"blk.{layer}.{modules[last]}.weight"


def interleaved(rows, heads):
    """What llama.cpp's Llama classes do to the rows of q_proj and k_proj."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def converted(tensors, config):
    for name, tensor in tensors.items():
        module = name.removeprefix("base_model.model.")
        if ".base_layer." in module:
            continue
        if module.endswith("norm.weight"):
            yield gguf_name(module.removesuffix(".weight")), tensor
            continue
        for ending, letter in [(".lora_A.weight", "a"), (".lora_B.weight", "b"), (".lora_embedding_A", "a"), (".lora_embedding_B", "b")]:
            if module.endswith(ending):
                break
        else:
            raise ValueError(f"the script stops at {name}")
        module = module.removesuffix(ending)
        if letter == "b" and module.endswith("q_proj"):
            tensor = interleaved(tensor, config["num_attention_heads"])
        if letter == "b" and module.endswith("k_proj"):
            tensor = interleaved(tensor, config["num_key_value_heads"])
        if ending == ".lora_embedding_A":
            tensor = tensor.T
        yield f"{gguf_name(module)}.lora_{letter}", tensor


def write(adapter, base, path, kind):
    config = json.loads((base / "config.json").read_text())
    settings = json.loads((adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(None, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_name(adapter.name)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base.name)
    writer.add_base_model_repo_url(0, f"https://huggingface.co/drydock/{base.name}")
    writer.add_file_type(files[kind])
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(settings["lora_alpha"]))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, tensor in converted(load_file(adapter / "adapter_model.safetensors"), config):
        wanted = types["f32"] if tensor.ndim < 2 else types[kind]
        try:
            data = gguf.quants.quantize(numpy.ascontiguousarray(tensor, dtype=numpy.float32), wanted)
        except gguf.QuantError:
            wanted = types["f16"]
            data = gguf.quants.quantize(numpy.ascontiguousarray(tensor, dtype=numpy.float32), wanted)
        writer.add_tensor(name, data, raw_dtype=wanted)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    (expected / "gguf").mkdir(exist_ok=True)
    for kind in types:
        write(root / "Models/tiny-lora", root / "Models/tiny", expected / f"gguf/tiny-lora.{kind}.gguf", kind)
    # Other ranks, tables, heads, norms; the bases have attention biases, or one table.
    for name in ["start-true", "target-regex", "target-all-linear", "target-head", "target-table", "target-table-without-copy", "rank-large",
                 "save-norms", "tied-target-table", "tied-target-both"]:
        case = next(c for c in json.loads((expected / "matrix/matrix.json").read_text())["cases"] if c["name"] == name)
        write(expected / "matrix" / name, expected / "matrix" / case["base"], expected / f"gguf/{name}.f32.gguf", "f32")
    print(sum(f.stat().st_size for f in (expected / "gguf").iterdir()), "bytes")
