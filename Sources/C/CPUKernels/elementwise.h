/* Norms, activations, rotary embedding, sums: work that goes once over a row. */

/* f(i) for i = 0, LANES, … with `part` the number of lanes that count, LANES except perhaps at the end. */
#define EACH_VECTOR(i, part, n) \
  for (int64_t i = 0, part; i < (n) && (part = (n) - i < DK_LANES ? (n) - i : DK_LANES, true); i += DK_LANES)

INLINE vf get(const float *p, int64_t i, int64_t part) {
  return part == DK_LANES ? load(p + i) : load_part(p + i, part, 0);
}
INLINE vf get_as(dk_type type, const void *p, int64_t i, int64_t part) {
  return part == DK_LANES ? load_as(type, p, i) : load_as_part(type, p, i, part);
}
INLINE void put(float *p, int64_t i, int64_t part, vf v) {
  if (part == DK_LANES) store(p + i, v);
  else store_part(p + i, v, part);
}

/* 1 / sqrt as the square root and division of IEEE arithmetic: correctly rounded on every processor. */
INLINE float reciprocal_root(float x) { return 1.0f / __builtin_sqrtf(x); }

INLINE float sum_of_squares(const float *x, int64_t n) {
  vf sum[4] = {0};
  int64_t i = 0;
  for (; i + 4 * DK_LANES <= n; i += 4 * DK_LANES)
    UNROLL for (int c = 0; c < 4; c++) {
      vf v = load(x + i + c * DK_LANES);
      sum[c] = fma_(v, v, sum[c]);
    }
  for (; i < n; i += DK_LANES) {
    vf v = get(x, i, n - i < DK_LANES ? n - i : DK_LANES);
    sum[0] = fma_(v, v, sum[0]);
  }
  return sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

INLINE void scale_row(float *out, const float *x, const void *weight, dk_type type, int64_t n, float scale) {
  EACH_VECTOR(i, part, n) put(out, i, part, get(x, i, part) * splat(scale) * get_as(type, weight, i, part));
}

static void rmsnorm(float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight, dk_type type,
                    int64_t rows, int64_t n, float epsilon) {
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * x_stride;
    scale_row(out + r * out_stride, row, weight, type, n, reciprocal_root(sum_of_squares(row, n) / (float)n + epsilon));
  }
}

static void add_rmsnorm(float *out, int64_t out_stride, float *residual, int64_t residual_stride, const float *x,
                        int64_t x_stride, const void *weight, dk_type type, int64_t rows, int64_t n, float epsilon) {
  for (int64_t r = 0; r < rows; r++) {
    float *sum = residual + r * residual_stride;
    EACH_VECTOR(i, part, n) put(sum, i, part, get(sum, i, part) + get(x + r * x_stride, i, part));
    scale_row(out + r * out_stride, sum, weight, type, n, reciprocal_root(sum_of_squares(sum, n) / (float)n + epsilon));
  }
}

static void layernorm(float *out, int64_t out_stride, const float *x, int64_t x_stride, const void *weight,
                      const void *bias, dk_type type, int64_t rows, int64_t n, float epsilon) {
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * x_stride;
    float *to = out + r * out_stride;
    vf total = splat(0), squares = splat(0);
    EACH_VECTOR(i, part, n) total += get(row, i, part);
    float mean = sum_lanes(total) / (float)n;
    EACH_VECTOR(i, part, n) { /* a second pass over x - mean: no cancellation */
      vf d = (part == DK_LANES ? load(row + i) : load_part(row + i, part, mean)) - splat(mean);
      squares = fma_(d, d, squares);
    }
    vf scale = splat(reciprocal_root(sum_lanes(squares) / (float)n + epsilon));
    EACH_VECTOR(i, part, n) {
      vf v = (get(row, i, part) - splat(mean)) * scale * get_as(type, weight, i, part);
      put(to, i, part, bias ? v + get_as(type, bias, i, part) : v);
    }
  }
}

/* erf to 2e-7 absolute: Abramowitz and Stegun, formula 7.1.26. */
INLINE vf erf_(vf x) {
  vf size = as_f(as_u(x) & 0x7fffffff);
  vf t = splat(1) / fma_(splat(0.3275911f), size, splat(1));
  vf p = fma_(t, splat(1.061405429f), splat(-1.453152027f));
  p = fma_(p, t, splat(1.421413741f));
  p = fma_(p, t, splat(-0.284496736f));
  p = fma_(p, t, splat(0.254829592f)) * t;
  vf y = splat(1) - p * exp_(-(x * x));
  return as_f((as_u(y) & 0x7fffffff) | (as_u(x) & 0x80000000));
}

INLINE vf activate(const dk_activation_kind f, vf x) {
  switch (f) {
    case DK_SILU: return x / (splat(1) + exp_(-x));
    case DK_GELU_TANH: { /* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
      vf u = splat(0.7978845608f) * fma_(splat(0.044715f) * x * x, x, x);
      return x / (splat(1) + exp_(splat(-2) * u));
    }
    case DK_GELU_ERF: return splat(0.5f) * x * (splat(1) + erf_(x * splat(0.7071067812f)));
    case DK_RELU: return choose(x <= splat(0), splat(0), x); /* NaN is not <= 0, so it stays */
    default: return x;
  }
}

INLINE void activate_rows(const dk_activation_kind f, bool gated, float *out, int64_t out_stride, const float *x,
                          int64_t x_stride, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; r++) {
    const float *up = x + r * x_stride, *gate = gated ? up + n : up;
    EACH_VECTOR(i, part, n) {
      vf v = activate(f, get(gate, i, part));
      put(out + r * out_stride, i, part, gated ? v * get(up, i, part) : v);
    }
  }
}

#define EACH_ACTIVATION(gated)                                                                                  \
  switch (f) {                                                                                                  \
    case DK_SILU: activate_rows(DK_SILU, gated, out, out_stride, x, x_stride, rows, n); break;                  \
    case DK_GELU_TANH: activate_rows(DK_GELU_TANH, gated, out, out_stride, x, x_stride, rows, n); break;        \
    case DK_GELU_ERF: activate_rows(DK_GELU_ERF, gated, out, out_stride, x, x_stride, rows, n); break;          \
    case DK_RELU: activate_rows(DK_RELU, gated, out, out_stride, x, x_stride, rows, n); break;                  \
    default: activate_rows(DK_IDENTITY, gated, out, out_stride, x, x_stride, rows, n);                          \
  }
static void activation(dk_activation_kind f, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                       int64_t rows, int64_t n) {
  EACH_ACTIVATION(false)
}
static void gated_activation(dk_activation_kind f, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                             int64_t rows, int64_t n) {
  EACH_ACTIVATION(true)
}

static void limited_gate(float limit, float alpha, float offset, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                         int64_t rows, int64_t n) {
  const vf most = splat(limit), least = splat(-limit);
  for (int64_t r = 0; r < rows; r++) {
    const float *up = x + r * x_stride, *gate = up + n;
    EACH_VECTOR(i, part, n) { /* comparisons as they are, so that NaN stays */
      vf a = get(gate, i, part), b = get(up, i, part);
      a = choose(a > most, most, a);
      b = choose(b > most, most, choose(b < least, least, b));
      put(out + r * out_stride, i, part, a / (splat(1) + exp_(splat(-alpha) * a)) * (b + splat(offset)));
    }
  }
}

static void scale_values(float *x, float factor, int64_t count) {
  EACH_VECTOR(i, part, count) put(x, i, part, get(x, i, part) * splat(factor));
}

static void soft_cap_values(float *x, float cap, int64_t count) {
  EACH_VECTOR(i, part, count) put(x, i, part, soft_cap(get(x, i, part), splat(cap), splat(1 / cap)));
}

static void add(float *sum, const float *x, int64_t count) {
  EACH_VECTOR(i, part, count) put(sum, i, part, get(sum, i, part) + get(x, i, part));
}

static void add_scaled(float *sum, const float *x, float factor, int64_t count) {
  EACH_VECTOR(i, part, count) put(sum, i, part, fma_(get(x, i, part), splat(factor), get(sum, i, part)));
}

static int64_t argmax(const float *x, int64_t count) {
  if (count == 0) return -1;
  const float least = -__builtin_inff();
  vf best = splat(least);
  for (int64_t i = 0; i < count; i += DK_LANES) {
    vf v = count - i < DK_LANES ? load_part(x + i, count - i, least) : load(x + i);
    best = max_(v, best); /* NaN is not larger, so best stays */
  }
  const float largest = max_lanes(best);
  for (int64_t i = 0; i < count; i++)
    if (x[i] == largest) return i;
  return 0;
}

static void rope(dk_rope_style style, float *x, int64_t x_stride, int64_t rows, int64_t heads, int64_t head_dim,
                 int64_t rotary_dim, const float *cos, const float *sin, int64_t first_position) {
  const int64_t half = rotary_dim / 2;
  for (int64_t r = 0; r < rows; r++) {
    const float *c = cos + (first_position + r) * half, *s = sin + (first_position + r) * half;
    for (int64_t h = 0; h < heads; h++) {
      float *head = x + r * x_stride + h * head_dim;
      if (style == DK_ROPE_HALVES) {
        EACH_VECTOR(i, part, half) {
          vf a = get(head, i, part), b = get(head + half, i, part), cv = get(c, i, part), sv = get(s, i, part);
          put(head, i, part, fma_(a, cv, -(b * sv)));
          put(head + half, i, part, fma_(b, cv, a * sv));
        }
      } else {
        for (int64_t i = 0; i < half; i++) {
          float a = head[2 * i], b = head[2 * i + 1];
          head[2 * i] = a * c[i] - b * s[i];
          head[2 * i + 1] = b * c[i] + a * s[i];
        }
      }
    }
  }
}
