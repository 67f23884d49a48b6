/* SPDX-License-Identifier: MIT */
/*
 * Encoders for any recipe, from the same words as template.h, which includes this file. Tiles of blocks are widened to f32 first, so that
 * everything after is the same for all lanes.
 */
#include "lib/kernels/philox.h"
#include "lib/kernels/vectors.h"

enum { ANY_TILE = 16 };
struct any_tile {
  uint32_t u[ANY_TILE][32], words[ANY_TILE * 32 + 32]; /* words: of STOCHASTIC */
  int byte[ANY_TILE];
  bool none[ANY_TILE];  /* the block has zero codes whatever its values */
};

/* How loops differ; GRID and STOCHASTIC, like ZEROS, look at the policy of minus zeros. */
enum any_kind { ANY_NEAREST, ANY_ZEROS, ANY_GRID, ANY_STOCHASTIC };

/* What a recipe asks, as numbers for all lanes. */
struct any_choice {
  enum any_kind kind;
  int32_t up_above, less_if_odd;          /* bits of the part of a step above which it is rounded up */
  int32_t trap;                           /* bits of a scaled value that is rounded up all the same */
  int32_t code, value, scaled;            /* masks: which of these being zero makes a zero special */
  int32_t plus, minus;                    /* masks: what its sign becomes, if set */
};

INLINE struct any_choice any_choice_of(const struct mxq_recipe *r, int e_bits, int m, int top) {
  const int32_t half = 0x3f000000, never = 0x7f800000;
  struct any_choice w = {.up_above = half, .trap = -1};
  switch (r->round) {
    case MXQ_ROUND_RNE: w.less_if_odd = 1; break;
    case MXQ_ROUND_HALF_AWAY: w.up_above = half - 1; break;
    case MXQ_ROUND_HALF_ZERO: break;
    default: w.up_above = never; break;
  }
  if (r->half_trap && r->round <= MXQ_ROUND_HALF_ZERO) w.trap = (int32_t)as_bits((0.5f - 0x1p-25f) * MXQ_POW2(MXQ_EL_EMIN(e_bits) - m));
  switch (top == MXQ_TOP_INTEGER ? MXQ_NEG_ZERO_KEEP : r->neg_zero) {
    case MXQ_NEG_ZERO_DROP: w.code = w.plus = -1; break;
    case MXQ_NEG_ZERO_EXACT: w.value = w.plus = -1; break;
    case MXQ_NEG_ZERO_SCALED: w.scaled = w.plus = -1; break;
    case MXQ_NEG_ZERO_MODELOPT: if (e_bits == 2 && m == 1) w.scaled = w.minus = -1; break;
    default: break;
  }
  w.kind = r->round == MXQ_ROUND_STOCHASTIC ? ANY_STOCHASTIC :
           r->log2f_grid && r->round == MXQ_ROUND_TRUNC && top != MXQ_TOP_INTEGER ? ANY_GRID : w.plus | w.minus ? ANY_ZEROS : ANY_NEAREST;
  return w;
}

/* How many f32 just below a power of two log2f takes for it, by the exponent field below; only exponents of element types. */
INLINE v_int log2f_below(v_int field) {
  v_int k = field - 126, j = select_int(k > 0, k, 1 - k);
  return -(j > 2) - (j > 4) - (j > 8) * 3;
}

struct any_coded {
  v_int code;
  v_float lost; /* scaled value less the code's, without signs */
};
/*
 * Codes of values x. A value in steps of the grid at it is a small number: its whole part is most of the code, and what is left decides about
 * one more.
 */
INLINE struct any_coded any_code(v_int x, v_int words, float inverse, const struct any_choice *w, enum any_kind kind, int e_bits, int m, int top) {
  const v_int emin = ints_of((127 + MXQ_EL_EMIN(e_bits)) << 23), max = ints_of((int32_t)as_bits(MXQ_EL_MAX(e_bits, m, top)));
  const int32_t flip = INT32_MIN;
  v_int a = x & 0x7fffffff, scaled = (v_int)((v_float)a * floats_of(inverse)), y = lesser(scaled, max), coarse = {0};
  if (kind == ANY_GRID) { /* the grid of the next binade, before anything is clamped */
    coarse = ((scaled & 0x7fffff) >= (1 << 23) - log2f_below(scaled >> 23)) & (scaled >= emin);
    y = select_int(coarse, scaled, y);
  }
  v_int e = top == MXQ_TOP_INTEGER ? emin : greater(y & 0x7f800000, emin);
  v_float steps = (v_float)y * (v_float)(((uint32_t)(254 + m) << 23) - (v_bits)e);
  v_int q = whole_of(steps), part = (v_int)(steps - float_of(q));
  if (kind == ANY_STOCHASTIC) {
    /* 2^32 times the part, rounded down: the upper half as negative numbers, where a part has no more than 24 bits */
    v_int upper = part >= 0x3f000000;
    v_int rest = whole_of(((v_float)part - (v_float)(upper & 0x3f800000)) * floats_of(0x1p32f));
    q -= (words ^ flip) < (rest ^ flip);
  } else if (kind == ANY_GRID) {
    q &= ~(coarse & 1);
  } else {
    q -= (part > w->up_above - (q & w->less_if_odd)) | (scaled == w->trap);
  }
  struct any_coded r = {.lost = (v_float)scaled - float_of(q) * (v_float)(e - (m << 23))};
  if (top == MXQ_TOP_INTEGER) {
    v_int s = x >> 31;
    r.code = (q ^ s) - s;
    return r;
  }
  r.code = q + ((e - emin) >> (23 - m));
  if (kind == ANY_GRID) r.code = lesser(r.code, ints_of(MXQ_EL_MAX_CODE(e_bits, m, top)));
  v_int sign = shift_down(x, 31) << (e_bits + m);
  if (kind != ANY_NEAREST) {
    v_int special = ((r.code & w->code) | (a & w->value) | (scaled & w->scaled)) == 0;
    sign = (sign & ~(special & w->plus)) | (special & w->minus & 1 << (e_bits + m));
  }
  r.code |= sign;
  return r;
}

INLINE void any_codes(const uint32_t u[32], const uint32_t words[32], int b, const struct any_choice *w, enum any_kind kind, int e_bits, int m,
                      int top, uint8_t c[32]) {
  v_int q[VECTORS];
  for (int i = 0; i < VECTORS; i++)
    q[i] = any_code(ints_at(u + LANES_32 * i), ints_at(words + LANES_32 * i), mxq_pow2_of_byte(254 - b), w, kind, e_bits, m, top).code;
  narrow_block(q, c);
}

/* What is lost at scale byte b, and the roughly summed squares of it. */
INLINE float any_lost(const uint32_t u[32], const uint32_t words[32], int b, const struct any_choice *w, enum any_kind kind, int e_bits, int m, int top,
                      float lost[32]) {
  v_float sum = {0};
  for (int i = 0; i < VECTORS; i++) {
    v_float d = any_code(ints_at(u + LANES_32 * i), ints_at(words + LANES_32 * i), mxq_pow2_of_byte(254 - b), w, kind, e_bits, m, top).lost;
    memcpy(lost + LANES_32 * i, &d, sizeof d);
    sum += d * d;
  }
  float s = 0;
  for (int i = 0; i < LANES_32; i++) s += sum[i];
  return s;
}

/* Sum of squared errors, exact products in a fixed order: contract of MSE in <mxq/codec.h>. */
INLINE double sum_of_squares(const float d[32]) {
  double s[16];
  for (int i = 0; i < 16; i++) s[i] = (double)d[i] * (double)d[i] + (double)d[i + 16] * (double)d[i + 16];
  for (int i = 0; i < 8; i++) s[i] += s[i + 8];
  for (int i = 0; i < 4; i++) s[i] += s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}
/*
 * Whether `above`, errors at one scale byte more, has the smaller sum, four times as each of its units counts. Most often sums in f32 tell: in any
 * order they are within 2^-18 of the true ones, and of 2^-140 where squares vanish.
 */
INLINE bool above_is_better(const float at[32], float rough_at, const float above[32], float rough_above) {
  float y = 4 * rough_above, margin = (rough_at + y) * 0x1p-17f + 0x1p-100f;
  if (rough_at - y > margin) return true;
  if (y - rough_at > margin) return false;
  return sum_of_squares(above) * 4.0 < sum_of_squares(at);
}

INLINE void any_kind_of_tile(const struct any_tile *t, size_t n, bool mse, uint8_t *scales, uint8_t *codes, const struct any_choice *choice,
                             enum any_kind kind, int e_bits, int m, int top) {
  const size_t bits = MXQ_EL_BITS(e_bits, m, top);
  for (size_t i = 0; i < n; i++, codes += 4 * bits) {
    uint8_t c[32] __attribute__((aligned(32)));
    int b = t->byte[i];
    if (__builtin_expect(t->none[i], 0)) {
      memset(codes, 0, 4 * bits);
      scales[i] = (uint8_t)b;
      continue;
    }
    if (mse && b < 254) {
      float at[32] __attribute__((aligned(64))), above[32] __attribute__((aligned(64)));
      float x = any_lost(t->u[i], t->words + 32 * i, b, choice, kind, e_bits, m, top, at);
      float y = any_lost(t->u[i], t->words + 32 * i, b + 1, choice, kind, e_bits, m, top, above);
      b += above_is_better(at, x, above, y);
    }
    scales[i] = (uint8_t)b;
    any_codes(t->u[i], t->words + 32 * i, b, choice, kind, e_bits, m, top, c);
    if (bits == 4) pack4(c, codes);
    else if (bits == 6) pack6(c, codes);
    else pack8(c, codes);
  }
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

/* A block with NaN or Inf: its byte, and whether it gets codes that the byte makes. */
INLINE int bad_byte(const struct mxq_recipe *r, uint32_t u[32], uint32_t amax, bool *codes) {
  const int byte = amax > 0x7f800000 ? r->nan_byte : r->inf_byte;
  *codes = r->bad == MXQ_BAD_BYTES;
  if (r->bad == MXQ_BAD_BYTES) return byte;
  if (r->bad == MXQ_BAD_EIGHTS) return 0;
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

/* A tile's scale bytes by thresholds, and its words. */
static size_t any_begin(struct any_tile *t, const uint32_t amax[ANY_TILE], size_t n, const struct mxq_recipe *r, uint64_t index,
                        const struct mxq_place *place) {
  size_t bad = 0;
  for (size_t i = 0; i < n; i++) {
    bool some = true;
    t->byte[i] = amax[i] >= 0x7f800000 ? bad_byte(r, t->u[i], amax[i], &some) : any_byte(r, amax[i]);
    t->none[i] = !some || t->byte[i] == 255;
    bad += t->byte[i] == 255;
  }
  if (r->round != MXQ_ROUND_STOCHASTIC) return bad;
  if (place->element_step == 1 && place->block_step == 32) {
    philox_run(index / 4, n * 8 + (index % 4 ? 8 : 0), r->seed, t->words);
    if (index % 4) memmove(t->words, t->words + index % 4, n * 128);
  } else {
    for (size_t i = 0; i < n; i++) philox_apart(index + i * place->block_step, place->element_step, r->seed, t->words + 32 * i);
  }
  return bad;
}

/* What no scaled value gives: a peer's codes of NaN in blocks with codes (E4M3), and its blocks of eights (MXFP4). */
INLINE void any_bad_codes(const struct any_tile *t, const uint32_t amax[ANY_TILE], size_t n, const struct mxq_recipe *r, uint8_t *codes, int e_bits, int m,
                          int top) {
  const size_t block = 4 * MXQ_EL_BITS(e_bits, m, top);
  for (size_t i = 0; i < n; i++, codes += block) {
    if (amax[i] < 0x7f800000) continue;
    if (r->bad == MXQ_BAD_EIGHTS) memset(codes, 0x88, block);
    for (int j = 0; r->bad == MXQ_BAD_BYTES && top == MXQ_TOP_NAN && !t->none[i] && j < 32; j++)
      if ((t->u[i][j] & 0x7fffffff) > 0x7f800000) codes[j] |= (1 << (e_bits + m)) - 1;
  }
}

#define ANY_TILE_OF(name, E, M, TOP)                                                                                                     \
  static void __attribute__((noinline)) any_tile_##name(const struct any_tile *t, size_t n, const struct mxq_recipe *r, uint8_t *scales, \
                                                        uint8_t *codes) {                                                                \
    const struct any_choice w = any_choice_of(r, E, M, MXQ_TOP_##TOP);                                                                   \
    switch (w.kind) {                                                                                                                    \
      case ANY_NEAREST: any_kind_of_tile(t, n, r->plan.mse, scales, codes, &w, ANY_NEAREST, E, M, MXQ_TOP_##TOP); break;                 \
      case ANY_ZEROS: any_kind_of_tile(t, n, r->plan.mse, scales, codes, &w, ANY_ZEROS, E, M, MXQ_TOP_##TOP); break;                     \
      case ANY_GRID: any_kind_of_tile(t, n, r->plan.mse, scales, codes, &w, ANY_GRID, E, M, MXQ_TOP_##TOP); break;                       \
      case ANY_STOCHASTIC: any_kind_of_tile(t, n, r->plan.mse, scales, codes, &w, ANY_STOCHASTIC, E, M, MXQ_TOP_##TOP); break;           \
    }                                                                                                                                    \
  }

#define ENCODE_ANY(ID, name, E, M, TOP, lane, size)                                                                                 \
  static size_t encode_any_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,                         \
                                           const struct mxq_recipe *r, const struct mxq_place *place) {                             \
    struct any_tile t __attribute__((aligned(64)));                                                                                 \
    const uint8_t *in = src;                                                                                                        \
    size_t bad = 0;                                                                                                                 \
    for (size_t at = 0, n; at < blocks; at += n) {                                                                                  \
      uint32_t amax[ANY_TILE];                                                                                                      \
      n = blocks - at < ANY_TILE ? blocks - at : ANY_TILE;                                                                          \
      for (size_t i = 0; i < n; i++, in += 32 * size) {                                                                             \
        load_##lane(in, t.u[i]);                                                                                                    \
        amax[i] = largest(t.u[i]);                                                                                                  \
      }                                                                                                                             \
      bad += any_begin(&t, amax, n, r, place->first + at * place->block_step, place);                                               \
      any_tile_##name(&t, n, r, scales + at, codes + at * 4 * WIDTH_##ID);                                                          \
      if (r->bad >= MXQ_BAD_BYTES) any_bad_codes(&t, amax, n, r, codes + at * 4 * WIDTH_##ID, E, M, MXQ_TOP_##TOP);                 \
    }                                                                                                                               \
    return bad;                                                                                                                     \
  }
