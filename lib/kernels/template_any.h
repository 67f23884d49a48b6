/* SPDX-License-Identifier: MIT */
/*
 * Encoders for any recipe, from the same words as template.h, which includes this file. Tiles of blocks are widened to f32 first, so that
 * everything after is the same for all lanes.
 */
#include "lib/kernels/philox.h"
#include "lib/kernels/vectors.h"

enum { ANY_TILE = 16 };
struct any_tile {
  uint32_t u[ANY_TILE][32], words[ANY_TILE * 32 + 128]; /* words: of STOCHASTIC */
  int byte[ANY_TILE];
  bool none[ANY_TILE];  /* the block has zero codes whatever its values */
};

/* How loops differ: by the zeros that lose their sign, among roundings to nearest and TRUNC; the others look at the masks below. */
enum any_kind { ANY_KEEP, ANY_DROP, ANY_EXACT, ANY_SCALED, ANY_MODELOPT, ANY_GRID, ANY_STOCHASTIC };

/* What a recipe asks, as numbers for all lanes. */
struct any_choice {
  enum any_kind kind;
  int32_t up_above, less_if_odd;  /* bits of the part of a step above which it is rounded up */
  int32_t trap;                   /* bits of a scaled value that is rounded up all the same */
  int32_t value, scaled;          /* masks: zero codes are special where these are zero too */
  int32_t plus, minus;            /* masks: what the sign of special ones becomes, if set */
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
    case MXQ_NEG_ZERO_DROP: w.kind = ANY_DROP, w.plus = -1; break;
    case MXQ_NEG_ZERO_EXACT: w.kind = ANY_EXACT, w.value = w.plus = -1; break;
    case MXQ_NEG_ZERO_SCALED: w.kind = ANY_SCALED, w.scaled = w.plus = -1; break;
    case MXQ_NEG_ZERO_MODELOPT: if (e_bits == 2 && m == 1) w.kind = ANY_MODELOPT, w.scaled = w.minus = -1; break;
    default: break;
  }
  if (r->round == MXQ_ROUND_STOCHASTIC) w.kind = ANY_STOCHASTIC;
  else if (r->log2f_grid && r->round == MXQ_ROUND_TRUNC && top != MXQ_TOP_INTEGER) w.kind = ANY_GRID;
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
  v_int a = x & 0x7fffffff, scaled = (v_int)((v_float)a * floats_of(inverse)), y = lesser(scaled, max), coarse = {0};
  if (kind == ANY_GRID) { /* the grid of the next binade, before anything is clamped */
    coarse = ((scaled & 0x7fffff) >= (1 << 23) - log2f_below(scaled >> 23)) & (scaled >= emin);
    y = select_int(coarse, scaled, y);
  }
  v_int e = top == MXQ_TOP_INTEGER ? emin : greater(y & 0x7f800000, emin);
  v_float steps = (v_float)y * (v_float)(((uint32_t)(254 + m) << 23) - (v_bits)e);
  v_int q = whole_of(steps), part = (v_int)(steps - float_of(q));
  if (kind == ANY_STOCHASTIC) {
    q -= (v_int)((v_bits)words < fraction_bits((v_float)part));
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
  v_int sign = x; /* less one, only zero is negative */
  if (kind == ANY_DROP) sign &= ~(r.code - 1);
  else if (kind == ANY_EXACT) sign &= (v_int)((v_bits)x - 1); /* of negative values -0 alone changes */
  else if (kind == ANY_SCALED) sign &= ~(scaled - 1);
  else if (kind == ANY_MODELOPT) sign |= scaled - 1;
  else if (kind != ANY_KEEP) {
    v_int special = (r.code | (a & w->value) | (scaled & w->scaled)) - 1;
    sign &= ~(special & w->plus);
    if (e_bits == 2 && m == 1) sign |= special & w->minus;
  }
  r.code |= shift_down(sign, 31) << (e_bits + m);
  return r;
}

INLINE void any_codes(const uint32_t u[32], const uint32_t words[32], int b, const struct any_choice *w, enum any_kind kind, int e_bits, int m,
                      int top, uint8_t c[32]) {
  v_int q[VECTORS];
  IN_TURNS
  for (int i = 0; i < VECTORS; i++)
    q[i] = any_code(ints_at(u + LANES_32 * i), ints_at(words + LANES_32 * i), mxq_pow2_of_byte(254 - b), w, kind, e_bits, m, top).code;
  narrow_block(q, c);
}

/* What is lost at scale byte b, and the roughly summed squares of it. */
INLINE float any_lost(const uint32_t u[32], const uint32_t words[32], int b, const struct any_choice *w, enum any_kind kind, int e_bits, int m, int top,
                      float lost[32]) {
  v_float sum = {0};
  IN_TURNS
  for (int i = 0; i < VECTORS; i++) {
    v_float d = any_code(ints_at(u + LANES_32 * i), ints_at(words + LANES_32 * i), mxq_pow2_of_byte(254 - b), w, kind, e_bits, m, top).lost;
    memcpy(lost + LANES_32 * i, &d, sizeof d);
    sum += d * d;
  }
  return sum_of(sum);
}

/* Sum of squared errors, exact products in a fixed order: contract of MSE in <mxq/codec.h>. */
static double __attribute__((noinline)) sum_of_squares(const float d[32]) {
  double s[16];
  for (int i = 0; i < 16; i++) s[i] = (double)d[i] * (double)d[i] + (double)d[i + 16] * (double)d[i + 16];
  for (int i = 0; i < 8; i++) s[i] += s[i + 8];
  for (int i = 0; i < 4; i++) s[i] += s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}
/*
 * Sums of squared errors at a scale byte and at the next, by which the next is better or not: 1, 0, or -1 where they are too close to tell. In f32 and
 * any order they are within 2^-18 of the true ones, and of 2^-140 where squares vanish.
 */
INLINE int next_is_better(float at, float next) {
  float margin = (at + next) * 0x1p-17f + 0x1p-100f;
  return at - next > margin ? 1 : next - at > margin ? 0 : -1;
}

/*
 * The same for rounding to nearest even, by one addition as in quantize(). In units of the lower scale the next one's grid is the same, but for the
 * smallest values; and nothing is clamped there. So most often no error differs: a tie, which the lower scale wins.
 */
INLINE int next_is_better_rne(const uint32_t u[32], int b, int e_bits, int m, int top) {
  const v_int max = ints_of((int32_t)as_bits(MXQ_EL_MAX(e_bits, m, top))), emin = ints_of((127 + MXQ_EL_EMIN(e_bits)) << 23);
  const v_float inverse = floats_of(mxq_pow2_of_byte(254 - b));
  v_float sum[2] = {{0}};
  v_int differs = {0};
  IN_TURNS
  for (int i = 0; i < VECTORS; i++) {
    v_float y = (v_float)(ints_at(u + LANES_32 * i) & 0x7fffffff) * inverse, z = (v_float)lesser((v_int)y, max);
    v_int e = (v_int)z & 0x7f800000;
    v_float low = (v_float)((top == MXQ_TOP_INTEGER ? emin : greater(e, emin)) + ((23 - m) << 23));
    v_float high = (v_float)((top == MXQ_TOP_INTEGER ? emin + (1 << 23) : greater(e, emin + (1 << 23))) + ((23 - m) << 23));
    z = y - ((z + low) - low);
    y -= (y + high) - high;
    differs |= (v_int)z ^ (v_int)y;
    sum[0] += z * z;
    sum[1] += y * y;
  }
  const float at = sum_of(sum[0]);
  int better = next_is_better(at, sum_of(sum[1]));
  if (better < 0 && at > 0x1p-60f) { /* below, halves of the smallest values could be what decides */
    int32_t all[LANES_32], any = 0;
    memcpy(all, &differs, sizeof all);
    for (int i = 0; i < LANES_32; i++) any |= all[i];
    if (!any) return 0;
  }
  return better;
}

/* MSE: the better one of each block's scale byte and the next. */
INLINE void any_best(struct any_tile *t, size_t n, const struct any_choice *choice, enum any_kind kind, bool rne, int e_bits, int m, int top) {
  const struct any_choice w = *choice;
  for (size_t i = 0; i < n; i++) {
    float at[32] __attribute__((aligned(64))), next[32] __attribute__((aligned(64)));
    const int b = t->byte[i];
    if (t->none[i] || b >= 254) continue;
    int better = rne ? next_is_better_rne(t->u[i], b, e_bits, m, top) : -1;
    if (better < 0) {
      float x = any_lost(t->u[i], t->words + 32 * i, b, &w, kind, e_bits, m, top, at);
      float y = any_lost(t->u[i], t->words + 32 * i, b + 1, &w, kind, e_bits, m, top, next);
      better = next_is_better(x, 4 * y);
      if (better < 0) better = sum_of_squares(next) * 4.0 < sum_of_squares(at);
    }
    t->byte[i] += better;
  }
}

INLINE void any_kind_of_tile(const struct any_tile *t, size_t n, uint8_t *scales, uint8_t *codes, const struct any_choice *choice,
                             enum any_kind kind, int e_bits, int m, int top) {
  const size_t bits = MXQ_EL_BITS(e_bits, m, top);
  const struct any_choice w = *choice; /* which stores of bytes cannot change */
  for (size_t i = 0; i < n; i++, codes += 4 * bits) {
    uint8_t c[32] __attribute__((aligned(32)));
    scales[i] = (uint8_t)t->byte[i];
    if (__builtin_expect(t->none[i], 0)) {
      memset(codes, 0, 4 * bits);
      continue;
    }
    any_codes(t->u[i], t->words + 32 * i, t->byte[i], &w, kind, e_bits, m, top, c);
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
    philox_run(index / 4, n * 8 + (index % 4 != 0), r->seed, t->words);
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

#define ANY_TILE_OF(name, E, M, TOP)                                                                                               \
  static void __attribute__((noinline)) any_best_##name(struct any_tile *t, size_t n, const struct any_choice *w) {                \
    if (w->kind == ANY_STOCHASTIC) any_best(t, n, w, ANY_STOCHASTIC, false, E, M, MXQ_TOP_##TOP);                                  \
    else if (w->kind == ANY_GRID) any_best(t, n, w, ANY_GRID, false, E, M, MXQ_TOP_##TOP);                                         \
    else if (w->less_if_odd && w->trap < 0) any_best(t, n, w, ANY_KEEP, true, E, M, MXQ_TOP_##TOP);                                \
    else any_best(t, n, w, ANY_KEEP, false, E, M, MXQ_TOP_##TOP);                                                                  \
  }                                                                                                                                \
  static void __attribute__((noinline)) any_tile_##name(struct any_tile *t, size_t n, const struct mxq_recipe *r, uint8_t *scales, \
                                                        uint8_t *codes) {                                                          \
    const struct any_choice w = any_choice_of(r, E, M, MXQ_TOP_##TOP);                                                             \
    if (r->plan.mse) any_best_##name(t, n, &w);                                                                                    \
    switch (w.kind) {                                                                                                              \
      case ANY_KEEP: any_kind_of_tile(t, n, scales, codes, &w, ANY_KEEP, E, M, MXQ_TOP_##TOP); break;                              \
      case ANY_DROP: any_kind_of_tile(t, n, scales, codes, &w, ANY_DROP, E, M, MXQ_TOP_##TOP); break;                              \
      case ANY_EXACT: any_kind_of_tile(t, n, scales, codes, &w, ANY_EXACT, E, M, MXQ_TOP_##TOP); break;                            \
      case ANY_SCALED: any_kind_of_tile(t, n, scales, codes, &w, ANY_SCALED, E, M, MXQ_TOP_##TOP); break;                          \
      case ANY_MODELOPT: if ((E) + (M) == 3) any_kind_of_tile(t, n, scales, codes, &w, ANY_MODELOPT, E, M, MXQ_TOP_##TOP); break;  \
      case ANY_GRID: any_kind_of_tile(t, n, scales, codes, &w, ANY_GRID, E, M, MXQ_TOP_##TOP); break;                              \
      case ANY_STOCHASTIC: any_kind_of_tile(t, n, scales, codes, &w, ANY_STOCHASTIC, E, M, MXQ_TOP_##TOP); break;                  \
    }                                                                                                                              \
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
