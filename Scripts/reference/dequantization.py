"""Expected float32 values of random ggml blocks, by the public `gguf` package (pip install gguf numpy safetensors).

Writes Tests/WeightSourcesTests/Expected/dequantization.safetensors: for every type T the tensors `T.blocks` (bytes of
4 rows) and `T.values` (what gguf.quants.dequantize makes of them).
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES
from safetensors.numpy import save_file

out = pathlib.Path(__file__).parents[2] / "Tests/WeightSourcesTests/Expected/dequantization.safetensors"
random = np.random.default_rng(20)

# Where the float16 scales stand in a block: random bytes there would give infinities and NaN.
scales = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
tensors = {}
for kind, offsets in scales.items():
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (4, max(1, 512 // elements), size), dtype=np.uint8)
    for offset in offsets:
        # From subnormal to large, both signs.
        value = random.standard_normal(blocks.shape[:2]) * 10.0 ** random.uniform(-7, 3, blocks.shape[:2])
        blocks[:, :, offset:offset + 2] = value.astype(np.float16)[..., None].view(np.uint8)
    rows = blocks.reshape(4, -1)
    values = quants.dequantize(rows, kind)
    assert np.isfinite(values).all() and values.dtype == np.float32
    tensors[f"{kind.name}.blocks"] = rows.copy()
    tensors[f"{kind.name}.values"] = values.copy()
out.parent.mkdir(parents=True, exist_ok=True)
save_file(tensors, out)
print(out, out.stat().st_size)
