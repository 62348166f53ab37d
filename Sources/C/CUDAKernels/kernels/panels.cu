// Products with weights in panel16x2. Every output is one chain over its inputs, 16 at a time, in order, in float32, whatever the
// kernel: so rows of prompts, generated ones and any batch of them agree to the bit.
//
// 16 outputs by 16 inputs are 512 bytes of a panel, [8 pairs][16][2]. Row g of an operand is output 2g and row g + 8 output
// 2g + 1, so that a lane's operand is two times 8 neighbouring bytes.

struct Panels {
  const u8 *weight;
  u64 bytes;  // of a panel
  int tiles;  // of 16 inputs; the last one may lack pairs, which are read as zeros
  int count;
};
INLINE Panels panels(const dk_linear_arguments &a) {
  return {at<u8>(a.weight), u64((a.inputs + 1) / 2) * 64, (a.inputs + 15) / 16, (a.outputs + 15) / 16};
}
