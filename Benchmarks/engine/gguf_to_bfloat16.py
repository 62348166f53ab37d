"""Rewrites a GGUF file with every matrix as bfloat16, for llama.cpp: the same weights our engines are built from.

    python gguf_to_bfloat16.py SOURCE.gguf TARGET.gguf

Block-quantised tensors are dequantised to float32 and rounded to bfloat16; vectors (norms) stay float32, which
llama.cpp asks for. All metadata, the tokenizer included, is copied.
"""
import os
import sys

import gguf
import numpy as np

source, target = sys.argv[1:]
reader = gguf.GGUFReader(source)
architecture = reader.fields["general.architecture"].contents()
writer = gguf.GGUFWriter(target + ".new", architecture)

for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
        continue
    kind = field.types[0]
    element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=element)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)

for tensor in reader.tensors:
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    if values.ndim > 1:
        bits = gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16)
        writer.add_tensor(tensor.name, bits, raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(tensor.name, values)

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
os.replace(target + ".new", target)
