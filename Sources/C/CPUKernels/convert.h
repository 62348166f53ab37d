/* Bulk conversion between element types, at memory speed. */

INLINE vh narrow_bf16(vf x) {
  vu u = as_u(x);
  vu rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  vu nan = (u >> 16) | 0x40; /* quiet, so that a payload in the lower half does not become infinity */
  vi is_nan = (u & 0x7fffffff) > 0x7f800000;
  return __builtin_convertvector(as_u(choose(is_nan, as_f(nan), as_f(rounded))), vh);
}

INLINE vh narrow_f16(vf x) {
#if DK_LANES == 16 && DK_HAS_F16C
  __m256i h = _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  vh r;
  memcpy(&r, &h, sizeof r);
  return r;
#elif DK_LANES == 8 && DK_HAS_F16C
  __m128i h = _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  vh r;
  memcpy(&r, &h, sizeof r);
  return r;
#else
  vu u = as_u(x), magnitude = u & 0x7fffffff;
  vu normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  vu subnormal = as_u(as_f(magnitude) + splat(0.5f)) - 0x3f000000; /* 0.5 has the unit 2^-24: the sum rounds to it */
  vu nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  vf r = choose(magnitude < 0x38800000, as_f(subnormal), as_f(normal));
  r = choose(magnitude >= 0x477ff000, as_f((vu)0x7c00), r); /* 65520 and above round to infinity */
  r = choose(magnitude > 0x7f800000, as_f(nan), r);
  return __builtin_convertvector(as_u(r) | ((u >> 16) & 0x8000), vh);
#endif
}

INLINE void store_as(dk_type type, void *p, int64_t i, vf x) {
  if (type == DK_F32) {
    store((float *)p + i, x);
  } else {
    vh h = type == DK_BF16 ? narrow_bf16(x) : narrow_f16(x);
    memcpy((uint16_t *)p + i, &h, sizeof h);
  }
}

INLINE void convert_loop(void *out, const dk_type out_type, const void *x, const dk_type x_type, int64_t count) {
  const size_t out_bytes = out_type == DK_F32 ? 4 : 2;
  int64_t i = 0;
  for (; i + 2 * DK_LANES <= count; i += 2 * DK_LANES) {
    vf a = load_as(x_type, x, i), b = load_as(x_type, x, i + DK_LANES);
    store_as(out_type, out, i, a);
    store_as(out_type, out, i + DK_LANES, b);
  }
  while (i < count) {
    int64_t n = count - i < DK_LANES ? count - i : DK_LANES;
    char last[4 * DK_LANES];
    store_as(out_type, last, 0, n == DK_LANES ? load_as(x_type, x, i) : load_as_part(x_type, x, i, n));
    memcpy((char *)out + i * (int64_t)out_bytes, last, (size_t)n * out_bytes);
    i += n;
  }
}

static void convert(void *out, dk_type out_type, const void *x, dk_type x_type, int64_t count) {
  switch (out_type * 3 + x_type) { /* each case a loop of its own, with nothing to decide inside */
    case DK_F32 * 3 + DK_F16: convert_loop(out, DK_F32, x, DK_F16, count); break;
    case DK_F32 * 3 + DK_BF16: convert_loop(out, DK_F32, x, DK_BF16, count); break;
    case DK_F16 * 3 + DK_F32: convert_loop(out, DK_F16, x, DK_F32, count); break;
    case DK_F16 * 3 + DK_BF16: convert_loop(out, DK_F16, x, DK_BF16, count); break;
    case DK_BF16 * 3 + DK_F32: convert_loop(out, DK_BF16, x, DK_F32, count); break;
    case DK_BF16 * 3 + DK_F16: convert_loop(out, DK_BF16, x, DK_F16, count); break;
    default:
      if (count > 0) memcpy(out, x, (size_t)(count * (out_type == DK_F32 ? 4 : 2)));
  }
}
