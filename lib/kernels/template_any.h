/* SPDX-License-Identifier: MIT */
/*
 * Encoders for any recipe, from the same words as template.h, which includes this file: one loop over the 32 elements of a block for every
 * rounding, written so that the compiler vectorises it.
 */

/* Number (index % 4) of Philox4x32-10 (Salmon et al., SC11) for n counters index / 4, n a multiple of 8: `words[4 * j + w]`. */
INLINE void philox(const uint64_t *counters, int n, uint64_t seed, uint32_t *words) {
  for (int first = 0; first < n; first += 8) {
    uint32_t c0[8], c1[8], c2[8], c3[8], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int j = 0; j < 8; j++) {
      c0[j] = (uint32_t)counters[first + j];
      c1[j] = (uint32_t)(counters[first + j] >> 32);
      c2[j] = c3[j] = 0;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85)
      for (int j = 0; j < 8; j++) {
        uint64_t a = (uint64_t)0xd2511f53 * c0[j], b = (uint64_t)0xcd9e8d57 * c2[j];
        uint32_t x0 = (uint32_t)(b >> 32) ^ c1[j] ^ k0, x2 = (uint32_t)(a >> 32) ^ c3[j] ^ k1;
        c0[j] = x0;
        c1[j] = (uint32_t)b;
        c2[j] = x2;
        c3[j] = (uint32_t)a;
      }
    for (int j = 0; j < 8; j++) {
      words[4 * (first + j)] = c0[j];
      words[4 * (first + j) + 1] = c1[j];
      words[4 * (first + j) + 2] = c2[j];
      words[4 * (first + j) + 3] = c3[j];
    }
  }
}

/* The words of 32 elements, whose indices are `step` apart. */
INLINE void random_words(uint64_t index, uint64_t step, uint64_t seed, uint32_t words[32]) {
  uint64_t counters[32];
  uint32_t all[128];
  if (step == 1) {
    for (int j = 0; j < 16; j++) counters[j] = index / 4 + (uint64_t)j;
    philox(counters, index % 4 ? 16 : 8, seed, all);
    memcpy(words, all + index % 4, 128);
    return;
  }
  for (int i = 0; i < 32; i++) counters[i] = (index + (uint64_t)i * step) / 4;
  philox(counters, 32, seed, all);
  for (int i = 0; i < 32; i++) words[i] = all[4 * i + (int)((index + (uint64_t)i * step) % 4)];
}

/* How many f32 just below a power of two `field` (its exponent field) log2f takes for it; only exponents of element types. */
INLINE int32_t log2f_below(int32_t field) {
  int32_t k = field - 127, j = k > 0 ? k : 1 - k;
  return j <= 2 ? 0 : j <= 4 ? 1 : j <= 8 ? 2 : 5;
}

/* Codes of 32 values at scale byte b; words: of STOCHASTIC. */
INLINE void quantize_any(const uint32_t u[32], int b, int e_bits, int m, int top, const struct mxq_recipe *r, const uint32_t words[32],
                         uint8_t c[32]) {
  const float inverse = mxq_pow2_of_byte(254 - b);
  const int32_t max = (int32_t)as_bits(MXQ_EL_MAX(e_bits, m, top)), emin = 127 + MXQ_EL_EMIN(e_bits);
  const int32_t most_code = MXQ_EL_MAX_CODE(e_bits, m, top);
  /* rest is compared with half: of equal ones `tie` decides (0: never up, 1: to even, 2: always up) */
  const int32_t tie = r->round == MXQ_ROUND_RNE ? 1 : r->round == MXQ_ROUND_HALF_AWAY ? 2 : 0;
  const bool nearest = r->round <= MXQ_ROUND_HALF_ZERO, stochastic = r->round == MXQ_ROUND_STOCHASTIC, grid = r->log2f_grid && r->round == MXQ_ROUND_TRUNC && top != MXQ_TOP_INTEGER;
  const uint32_t trap = r->half_trap ? as_bits((0.5f - 0x1p-25f) * MXQ_POW2(MXQ_EL_EMIN(e_bits) - m)) : 0xffffffffu;
  const uint32_t keep_exact = r->neg_zero == MXQ_NEG_ZERO_EXACT, keep_scaled = r->neg_zero == MXQ_NEG_ZERO_SCALED;
  const uint32_t drop = r->neg_zero == MXQ_NEG_ZERO_DROP, eight = r->neg_zero == MXQ_NEG_ZERO_MODELOPT && e_bits == 2 && m == 1;
  for (int i = 0; i < 32; i++) {
    uint32_t a = u[i] & 0x7fffffff, sign = u[i] >> 31;
    uint32_t scaled = as_bits(as_float(a) * inverse);
    int32_t y = least((int32_t)scaled, max);
    uint32_t coarse = 0; /* the grid of the next binade, before anything is clamped */
    if (grid && (int32_t)(scaled >> 23) >= emin && (int32_t)(scaled & 0x7fffff) >= (1 << 23) - log2f_below((int32_t)(scaled >> 23) + 1)) {
      y = (int32_t)scaled;
      coarse = 1;
    }
    int32_t e = top == MXQ_TOP_INTEGER ? emin : most(y >> 23, emin), shift = 23 - m + e - (y >> 23);
    uint32_t significand = y >> 23 ? (uint32_t)(y & 0x7fffff) | 0x800000u : (uint32_t)(y & 0x7fffff) << 1;
    uint32_t q = (significand >> least(shift, 31)) & ~coarse; /* 24 bits: nothing is left from 24 on */
    uint32_t rest = shift < 32 ? significand << ((32 - shift) & 31) : significand >> least(shift - 32, 31); /* 2^-32 of a step; shift is never 0 */
    uint32_t up = stochastic ? words[i] < rest : nearest ? (rest > 0x80000000u) | ((rest == 0x80000000u) & (uint32_t)(tie == 2 || (tie == 1 && (q & 1)))) : 0;
    if (nearest) up |= scaled == trap;
    int32_t code = (int32_t)(q + up);
    if (top == MXQ_TOP_INTEGER) {
      code = least(code, most_code);
      c[i] = (uint8_t)(sign ? -code : code);
      continue;
    }
    code = least(code + ((e - emin) << m), most_code);
    uint32_t minus = sign;
    if (code == 0) {
      minus &= !drop;
      minus &= !(keep_exact & (a == 0));
      minus &= !(keep_scaled & (scaled == 0));
      minus |= eight & (scaled == 0);
    }
    c[i] = (uint8_t)((uint32_t)code | minus << (e_bits + m));
  }
}

/* As squared_error, of the codes that the recipe makes. */
INLINE double squared_error_any(const uint32_t u[32], int b, int e_bits, int m, int top, const struct mxq_recipe *r, const uint32_t words[32]) {
  const float inverse = mxq_pow2_of_byte(254 - b);
  uint8_t c[32] __attribute__((aligned(32)));
  float y[32] __attribute__((aligned(64))), d[32];
  double s[16];
  quantize_any(u, b, e_bits, m, top, r, words, c);
  values(c, 1.0f, e_bits, m, top, y);
  for (int i = 0; i < 32; i++) d[i] = as_float(u[i]) * inverse - y[i];
  for (int i = 0; i < 16; i++) s[i] = (double)d[i] * (double)d[i] + (double)d[i + 16] * (double)d[i + 16];
  for (int i = 0; i < 8; i++) s[i] += s[i + 8];
  for (int i = 0; i < 4; i++) s[i] += s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

/* Scale byte of a block with finite values by the recipe's thresholds; mxq_scale_byte of plain ones says the same. */
INLINE int any_byte(const struct mxq_recipe *r, uint32_t amax) {
  if (amax == 0) return r->zero_byte;
  if (amax < r->low_end) return amax >= r->low_zero;
  int e = (int)(amax >> 23) + ((amax & 0x7fffff) >= r->bump[amax >> 23]);
  if (e == 255 && r->plan.overflows) return 255;
  e -= r->emax;
  return e < 0 ? 0 : e > r->top ? r->top : e;
}

/* A block with NaN or Inf: its byte, and whether it gets codes at all (with those of NaN and Inf zero). */
INLINE int bad_byte(const struct mxq_recipe *r, uint32_t u[32], uint32_t amax, bool *codes) {
  *codes = false;
  if (r->bad == MXQ_BAD_BYTES) return amax > 0x7f800000 ? r->nan_byte : r->inf_byte;
  if (r->bad == MXQ_BAD_BLOCK) return 255;
  uint32_t most_finite = 0;
  bool infinite = false;
  for (int i = 0; i < 32; i++) {
    uint32_t a = u[i] & 0x7fffffff;
    infinite = infinite || a == 0x7f800000;
    if (a >= 0x7f800000) u[i] = 0;
    else if (a > most_finite) most_finite = a;
  }
  *codes = !infinite; /* an infinite amax leaves no scale: everything is zero */
  return infinite ? 0 : any_byte(r, most_finite);
}

#define ENCODE_ANY(ID, name, E, M, TOP, lane, size)                                                                    \
  static size_t encode_any_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,            \
                                           const struct mxq_recipe *r, const struct mxq_place *place) {                \
    const uint8_t *in = src;                                                                                           \
    size_t bad = 0;                                                                                                    \
    for (size_t i = 0; i < blocks; i++, in += 32 * size, codes += 4 * WIDTH_##ID) {                                    \
      uint32_t u[32] __attribute__((aligned(64))), words[32] __attribute__((aligned(64)));                             \
      uint8_t c[32] __attribute__((aligned(32)));                                                                      \
      bool some = true;                                                                                                \
      load_##lane(in, u);                                                                                              \
      uint32_t amax = largest(u);                                                                                      \
      int b = amax >= 0x7f800000 ? bad_byte(r, u, amax, &some) : any_byte(r, amax);                                    \
      bad += b == 255;                                                                                                 \
      if (b == 255 || !some) {                                                                                         \
        memset(codes, 0, 4 * WIDTH_##ID);                                                                              \
        scales[i] = (uint8_t)b;                                                                                        \
        continue;                                                                                                      \
      }                                                                                                                \
      if (r->round == MXQ_ROUND_STOCHASTIC) random_words(place->first + i * place->block_step, place->element_step, r->seed, words); \
      if (r->plan.mse && b < 254 && squared_error_any(u, b + 1, E, M, MXQ_TOP_##TOP, r, words) * 4.0 <                 \
                                      squared_error_any(u, b, E, M, MXQ_TOP_##TOP, r, words)) b++;                     \
      scales[i] = (uint8_t)b;                                                                                          \
      quantize_any(u, b, E, M, MXQ_TOP_##TOP, r, words, c);                                                            \
      CAT(pack, WIDTH_##ID)(c, codes);                                                                                 \
    }                                                                                                                  \
    return bad;                                                                                                        \
  }
