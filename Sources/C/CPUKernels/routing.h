/* Which experts a row goes to. Passes over the logits leave them as they are until the last, so the shares may lie in their place. */

/* The logit that comes at place `chosen` when they are sorted, largest first, of equals the first; NaN comes nowhere. */
INLINE float nth_largest(const float *x, int64_t experts, int64_t chosen, int64_t *place) {
  float last = __builtin_inff();
  int64_t index = -1;
  for (int64_t taken = 0; taken < chosen; taken++) {
    float best = -__builtin_inff();
    int64_t found = -1;
    for (int64_t e = 0; e < experts; e++) {
      const bool is_left = x[e] < last || (x[e] == last && e > index);
      if (is_left && (found < 0 || x[e] > best)) {
        best = x[e];
        found = e;
      }
    }
    if (found < 0) break;
    last = best;
    index = found;
  }
  *place = index;
  return last;
}

/* e^(x - largest), 0 beyond the row's end. */
INLINE vf part_of_softmax(const float *x, int64_t i, int64_t part, float largest) {
  const vf v = part == DK_LANES ? load(x + i) : load_part(x + i, part, -__builtin_inff());
  return exp_(v - splat(largest));
}

/* Lanes of the experts that come at `place` or before. */
INLINE vi is_chosen(vf v, int64_t i, float least, int64_t place) {
  vi number;
  for (int lane = 0; lane < DK_LANES; lane++) number[lane] = (int32_t)(i + lane);
  return (v > splat(least)) | ((v == splat(least)) & (number <= (vi)(int32_t)place));
}

static void route(float *out, int64_t out_stride, const float *x, int64_t x_stride, int64_t rows, int64_t experts, int64_t chosen,
                  bool normalizes, float scale) {
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * x_stride;
    float *to = out + r * out_stride;
    vf top = splat(-__builtin_inff()), sum = splat(0);
    EACH_VECTOR(i, part, experts) top = max_(part == DK_LANES ? load(row + i) : load_part(row + i, part, -__builtin_inff()), top);
    const float largest = max_lanes(top);
    EACH_VECTOR(i, part, experts) sum += part_of_softmax(row, i, part, largest);
    float total = sum_lanes(sum);
    if (!(total > 0)) { /* NaN or infinity among the logits: nothing can be chosen, and nothing hides it */
      for (int64_t e = 0; e < experts; e++) to[e] = e < chosen ? __builtin_nanf("") : 0;
      continue;
    }
    int64_t place;
    const float least = nth_largest(row, experts, chosen, &place);
    if (normalizes) {
      sum = splat(0);
      EACH_VECTOR(i, part, experts)
        sum += choose(is_chosen(get(row, i, part), i, least, place), part_of_softmax(row, i, part, largest), splat(0));
      total = sum_lanes(sum);
    }
    const vf factor = splat(scale / total);
    EACH_VECTOR(i, part, experts)
      put(to, i, part, choose(is_chosen(get(row, i, part), i, least, place), part_of_softmax(row, i, part, largest) * factor, splat(0)));
  }
}
