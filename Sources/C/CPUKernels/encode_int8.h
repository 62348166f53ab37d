/* Rows of floats as int8 with a scale each (include after convert.h): see CPUKernels.h. */

static void encode_int8(int8_t *codes, float *scale, const float *x, int64_t k) {
  /* Magnitudes compared as whole numbers: NaN is above infinity, which is above every number. */
  vu largest = (vu)0;
  int64_t i = 0;
  for (; i + DK_LANES <= k; i += DK_LANES) {
    vu magnitude = as_u(load(x + i)) & 0x7fffffff;
    largest = __builtin_elementwise_max(largest, magnitude);
  }
  uint32_t most = 0;
  for (int lane = 0; lane < DK_LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
  for (; i < k; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    most = bits > most ? bits : most;
  }
  if (most >= 0x7f800000) { /* a row with NaN or infinity is NaN */
    *scale = __builtin_nanf("");
    memset(codes, 0, (size_t)k);
    return;
  }
  float magnitude;
  memcpy(&magnitude, &most, sizeof magnitude);
  const uint32_t narrow = (uint32_t)narrow_bf16(splat(magnitude / 127))[0] << 16;
  memcpy(scale, &narrow, sizeof *scale);
  if (*scale == 0) {
    memset(codes, 0, (size_t)k);
    return;
  }
  typedef int8_t vb __attribute__((ext_vector_type(DK_LANES)));
  const vf one = splat(*scale), most_code = splat(127), unit = splat(0x1.8p23f); /* adding it rounds to whole numbers */
  for (i = 0; i < k; i += DK_LANES) {
    const int64_t n = k - i < DK_LANES ? k - i : DK_LANES;
    vf q = (n == DK_LANES ? load(x + i) : load_part(x + i, n, 0)) / one;
    q = choose(q > most_code, most_code, choose(q < -most_code, -most_code, q));
    q = q + unit;
    q = q - unit;
    vb bytes = __builtin_convertvector(__builtin_convertvector(q, vi), vb);
    memcpy(codes + i, &bytes, (size_t)n);
  }
}
