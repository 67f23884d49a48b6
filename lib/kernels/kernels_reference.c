/* SPDX-License-Identifier: MIT */
/*
 * The reference: OCP MX v1.0 word by word, in double, where every quantity here is exact; slow on purpose. It shares the list of
 * element types with the template, and no arithmetic: scales by comparing amax with powers of two, codes by trying all of them.
 */
#include <math.h>
#include <string.h>
#include "lib/kernels/recipe.h"

struct type { int e, m, top; };
static const struct type types[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {E, M, MXQ_TOP_##TOP},
#include "lib/kernels/element_types.def"
#undef X
};

static int width(enum mxq_element t) { return types[t].top == MXQ_TOP_INTEGER ? 8 : 1 + types[t].e + types[t].m; }

/* 5.3: the value of a code. */
static double value(enum mxq_element t, unsigned code) {
  const struct type *type = &types[t];
  if (type->top == MXQ_TOP_INTEGER) return ldexp(code < 128 ? (double)code : (double)code - 256, -type->m);
  unsigned mantissa = code % (1u << type->m), exponent = code / (1u << type->m) % (1u << type->e);
  double sign = code / (1u << type->m) / (1u << type->e) % 2 ? -1 : 1;
  int bias = (int)ldexp(1, type->e - 1) - 1;
  if (exponent == ldexp(1, type->e) - 1) {
    if (type->top == MXQ_TOP_IEEE) return mantissa ? NAN : sign * INFINITY;
    if (type->top == MXQ_TOP_NAN && mantissa == ldexp(1, type->m) - 1) return NAN;
  }
  if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - type->m);
  return sign * ldexp(1 + ldexp(mantissa, -type->m), (int)exponent - bias);
}

/* An element type with the values of all its codes, which are worked out once a call. */
struct table {
  enum mxq_element t;
  double values[256], largest;
};

static void table_init(struct table *table, enum mxq_element t) {
  *table = (struct table){.t = t};
  for (unsigned c = 0; c < 1u << width(t); c++) {
    table->values[c] = value(t, c);
    if (isfinite(table->values[c]) && table->values[c] > table->largest) table->largest = table->values[c];
  }
}

/* The code nearest to v, the even one of two; beyond the largest number, that. Positive codes lie in the order of their values. */
static unsigned nearest(const struct table *table, double v) {
  unsigned sign_bit = 1u << (width(table->t) - 1), best = 0;
  double a = fabs(v), distance = INFINITY;
  for (unsigned c = 0; c < sign_bit && isfinite(table->values[c]); c++) {
    double d = fabs(a - table->values[c]); /* inexact only far from every tie */
    if (d > distance) break;
    if (d < distance || c % 2 == 0) best = c;
    distance = d;
  }
  if (!signbit(v)) return best;
  return types[table->t].top == MXQ_TOP_INTEGER ? (256 - best) % 256 : best | sign_bit;
}

/* floor(log2 x) by search; -127 and below count as -127, as the exponent field of a subnormal does. */
static int exponent_of(double x) {
  int e = -127, end = 200; /* 2^e <= x < 2^end, or e = -127 */
  while (end - e > 1) {
    int middle = (e + end) / 2 - ((e + end) % 2 < 0);
    if (ldexp(1, middle) <= x) e = middle;
    else end = middle;
  }
  return e;
}

static int clamp(int b, int top) { return b < 0 ? 0 : b > top ? top : b; }

/* The byte by rule; 255 when rounding leaves f32, if `leaves` says so. */
static int scale_of(const struct table *table, double amax, enum mxq_scale_rule rule, bool leaves) {
  const enum mxq_element t = table->t;
  int emax = exponent_of(table->largest), top = 254, e = exponent_of(amax);
  bool automatic = rule == MXQ_SCALE_AUTO;
  if (automatic) {
    top = 254 - emax;
    rule = (const enum mxq_scale_rule[]){[MXQ_E2M1] = MXQ_SCALE_RCEIL_725, [MXQ_E2M3] = MXQ_SCALE_EVEN, [MXQ_E3M2] = MXQ_SCALE_RCEIL,
      [MXQ_E4M3] = MXQ_SCALE_RCEIL, [MXQ_E5M2] = MXQ_SCALE_RCEIL, [MXQ_INT8] = MXQ_SCALE_FLOOR}[t];
  }
  switch (rule) {
    case MXQ_SCALE_CEIL:
      if (e > -127 ? amax > ldexp(1, e) : amax > 0) e++;
      break;
    case MXQ_SCALE_EVEN: /* half of the last of m mantissa bits carries into the exponent */
      if (e > -127 ? amax >= ldexp(2 - ldexp(1, -types[t].m - 1), e) : amax >= ldexp(1 - ldexp(1, -types[t].m - 1), -126)) e++;
      if (e == 128 && !automatic && leaves) return 255;
      break;
    case MXQ_SCALE_RCEIL_725:
      if (e > -127 && amax > ldexp(1.8125, e)) e++;
      if (e == -127 && amax > ldexp(0.8125, -126)) e++;
      break;
    case MXQ_SCALE_RCEIL: {
      double product = amax * (double)(float)(1 / table->largest); /* 48 bits: exact */
      if (product < ldexp(1, -126) - ldexp(1, -150)) /* a subnormal f32: rounds, a tie at 2^-127 to the even 0x400000 */
        return product > ldexp(1, -127) + ldexp(1, -150);
      e -= emax + 1;
      while (ldexp(table->largest, e) < amax) e++; /* smallest power of two >= amax / max */
      return clamp(e + 127, top);
    }
    default: break;
  }
  return clamp(e + 127 - emax, top);
}

/* The error sum of MSE (<mxq/codec.h>), in units of 4^(byte - 127). */
static double error_sum(const struct table *table, const double v[32], int b) {
  double d[32];
  for (int i = 0; i < 32; i++) {
    double y = ldexp(v[i], 127 - b);
    float f = (float)(y - table->values[nearest(table, y)]);
    d[i] = (double)f * (double)f;
  }
  for (int n = 16; n > 0; n /= 2)
    for (int i = 0; i < n; i++) d[i] += d[i + n];
  return d[0];
}

static double load(const uint8_t *p, enum mxq_lane lane) {
  uint64_t bits = 0;
  int size = lane == MXQ_LANE_F32 ? 4 : 2;
  int exponent_bits = lane == MXQ_LANE_F16 ? 5 : 8, mantissa_bits = 8 * size - 1 - exponent_bits;
  for (int i = size; i-- > 0;) bits = bits * 256 + p[i];
  double mantissa = (double)(bits % (1u << mantissa_bits));
  int exponent = (int)(bits / (1u << mantissa_bits) % (1u << exponent_bits)), bias = (1 << (exponent_bits - 1)) - 1;
  double sign = bits / (1u << mantissa_bits) / (1u << exponent_bits) ? -1 : 1;
  if (exponent == 2 * bias + 1) return mantissa != 0 ? copysign(NAN, sign) : sign * INFINITY;
  if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * ldexp(1 + ldexp(mantissa, -mantissa_bits), exponent - bias);
}

/* x rounded to nearest even to a dtype; *lost counts a finite x that became infinite. */
static uint64_t rounded(double x, int exponent_bits, int mantissa_bits, size_t *lost) {
  uint64_t sign = signbit(x) ? 1ull << (exponent_bits + mantissa_bits) : 0, infinite = ((1ull << exponent_bits) - 1) << mantissa_bits;
  int bias = (1 << (exponent_bits - 1)) - 1, e = 1 - bias;
  if (isnan(x)) return infinite | 1ull << (mantissa_bits - 1);
  double a = fabs(x);
  if (isinf(x)) return sign | infinite;
  if (a >= ldexp(1, e)) e = exponent_of(a);
  double steps = ldexp(a, mantissa_bits - e), whole = floor(steps), rest = steps - whole;
  if (rest > 0.5 || (rest == 0.5 && fmod(whole, 2) == 1)) whole++;
  uint64_t bits = (uint64_t)whole + ((uint64_t)(e - 1 + bias) << mantissa_bits);
  if (e > bias || bits >= infinite) {
    ++*lost;
    return sign | infinite;
  }
  return sign | bits;
}

/* ---- other tools' rules ---- */

/* log2 rounded to an f32: glibc's log2f is that wherever the result is near a whole number. */
static float log2_f32(double x) { return (float)log2(x); }

/* The byte by a rule that only other tools have. */
static int peer_scale_of(const struct table *table, double amax, enum mxq_scale_rule rule) {
  int emax = exponent_of(table->largest), e = exponent_of(amax);
  double mantissa = ldexp(amax, -e);
  switch (rule) {
    case MXQ_SCALE_EVEN: e += e > -127 ? mantissa >= 2 - ldexp(1, -9) : amax >= ldexp(1 - ldexp(1, -9), -126); break; /* Quark's MXINT8 */
    case MXQ_SCALE_EVEN_175: e += mantissa >= 1.75; break;
    case MXQ_SCALE_EVEN_STRICT: e += mantissa > 1.75; break;
    case MXQ_SCALE_EVEN_STRICT_LOG2F: e = (int)floorf(log2_f32(ldexp(mantissa + 0.25 - ldexp(1, -23), e))); break;
    case MXQ_SCALE_FLOOR_LOG2F: e = (int)floorf(log2_f32(amax)); break;
    case MXQ_SCALE_CEIL_LOG2F: e = (int)ceilf(log2_f32(amax)); break;
    case MXQ_SCALE_RCEIL_LOG2F: return clamp((int)ceilf(log2_f32((float)amax / (float)table->largest)) + 127, 254);
    case MXQ_SCALE_RCEIL_725_LOG2F: return clamp((int)ceilf(log2_f32((float)amax / 7.25f)) + 127, 254);
    case MXQ_SCALE_NEAREST_LOG2F: e = (int)floorf((float)(log2_f32(amax) + 0.5f)); break;
    default: break;
  }
  return clamp(e + 127 - emax, 254);
}

/* Philox4x32-10 as published: two multiplications and two keys a round. */
static uint32_t philox(uint64_t seed, uint64_t index) {
  uint32_t c[4] = {(uint32_t)(index / 4), (uint32_t)(index / 4 >> 32), 0, 0}, k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  for (int round = 0; round < 10; round++) {
    uint64_t a = 0xd2511f53ull * c[0], b = 0xcd9e8d57ull * c[2];
    uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
    memcpy(c, next, sizeof c);
    k[0] += 0x9e3779b9;
    k[1] += 0xbb67ae85;
  }
  return c[index % 4];
}

/* The code of source value x, which is v after the division by the scale. */
static unsigned rounded_code(const struct table *table, const struct mxq_recipe *r, double x, double v, uint64_t index) {
  const int bits = width(table->t);
  unsigned sign_bit = 1u << (bits - 1), low = 0, code;
  double a = fabs(v), f32 = (float)a;
  bool integer = types[table->t].top == MXQ_TOP_INTEGER;
  if (r->log2f_grid && r->round == MXQ_ROUND_TRUNC && !integer && a >= ldexp(1, 2 - (1 << (types[table->t].e - 1))) && floorf(log2_f32(a)) > exponent_of(a)) {
    double step = ldexp(1, exponent_of(a) + 1 - types[table->t].m); /* the coarser grid of the next binade */
    a = floor(a / step) * step;
  }
  while (low + 1 < sign_bit && isfinite(table->values[low + 1]) && table->values[low + 1] <= a) low++;
  if (a >= table->largest) {
    code = low;
  } else {
    double step = table->values[low + 1] - table->values[low], part = (a - table->values[low]) / step; /* exact: steps are powers of two */
    bool up = false;
    switch (r->round) {
      case MXQ_ROUND_HALF_AWAY: up = part >= 0.5; break;
      case MXQ_ROUND_HALF_ZERO: up = part > 0.5; break;
      case MXQ_ROUND_TRUNC: break;
      case MXQ_ROUND_STOCHASTIC: up = (double)philox(r->seed, index) < floor(ldexp(part, 32)); break;
      default: up = part > 0.5 || (part == 0.5 && low % 2 == 1);
    }
    if (r->half_trap && r->round <= MXQ_ROUND_HALF_ZERO && low == 0 && part == 0.5 - ldexp(1, -25)) up = true;
    code = low + up;
  }
  if (integer) return signbit(v) ? (256 - code) % 256 : code;
  bool minus = signbit(x);
  if (code == 0 && r->neg_zero == MXQ_NEG_ZERO_DROP) minus = false;
  if (code == 0 && r->neg_zero == MXQ_NEG_ZERO_EXACT && x == 0) minus = false;
  if (code == 0 && r->neg_zero == MXQ_NEG_ZERO_SCALED && f32 == 0) minus = false;
  if (code == 0 && r->neg_zero == MXQ_NEG_ZERO_MODELOPT && table->t == MXQ_E2M1 && f32 == 0) minus = true;
  return minus ? code | sign_bit : code;
}

static double error_sum_any(const struct table *table, const struct mxq_recipe *r, const double v[32], int b, const uint64_t index[32]) {
  double d[32];
  for (int i = 0; i < 32; i++) {
    double y = ldexp(v[i], 127 - b);
    float f = (float)(y - table->values[rounded_code(table, r, v[i], y, index[i])]);
    d[i] = (double)f * (double)f;
  }
  for (int n = 16; n > 0; n /= 2)
    for (int i = 0; i < n; i++) d[i] += d[i + n];
  return d[0];
}

static size_t encode_any(enum mxq_element t, enum mxq_lane lane, const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,
                         const struct mxq_recipe *r, const struct mxq_place *place) {
  size_t size = lane == MXQ_LANE_F32 ? 4 : 2, block_bytes = (size_t)width(t) * 4, bad = 0;
  struct table table;
  table_init(&table, t);
  for (size_t i = 0; i < blocks; i++) {
    double v[32], amax = 0;
    uint64_t index[32];
    bool nan = false, inf = false, some = true, is_nan[32], is_inf[32];
    for (size_t j = 0; j < 32; j++) {
      v[j] = load((const uint8_t *)src + (32 * i + j) * size, lane);
      index[j] = place ? place->first + i * place->block_step + j * place->element_step : 0;
      is_nan[j] = isnan(v[j]);
      is_inf[j] = isinf(v[j]);
      nan = nan || is_nan[j];
      inf = inf || is_inf[j];
      if (is_nan[j] || is_inf[j]) v[j] = r->bad == MXQ_BAD_BYTES ? copysign(0, v[j]) : 0;
      if (fabs(v[j]) > amax) amax = fabs(v[j]);
    }
    bool standard = r->rule <= MXQ_SCALE_MSE && !(t == MXQ_INT8 && r->rule == MXQ_SCALE_EVEN);
    int b = amax == 0 ? r->zero_byte : standard ? scale_of(&table, amax, r->rule == MXQ_SCALE_MSE ? MXQ_SCALE_FLOOR : r->rule, r->plan.overflows) : peer_scale_of(&table, amax, r->rule);
    if (nan || inf) {
      if (r->bad == MXQ_BAD_BLOCK) b = 255;
      if (r->bad == MXQ_BAD_BYTES) b = nan ? r->nan_byte : r->inf_byte;
      if (r->bad == MXQ_BAD_EIGHTS || (r->bad == MXQ_BAD_IGNORED && inf)) b = 0;
      some = r->bad == MXQ_BAD_BYTES || (r->bad == MXQ_BAD_IGNORED && !inf);
    }
    const bool eights = (nan || inf) && r->bad == MXQ_BAD_EIGHTS, weigh = r->rule == MXQ_SCALE_MSE && !((nan || inf) && r->bad == MXQ_BAD_BYTES);
    some = some && b != 255;
    if (some && weigh && b < 254 && error_sum_any(&table, r, v, b + 1, index) * 4 < error_sum_any(&table, r, v, b, index)) b++;
    scales[i] = (uint8_t)b;
    bad += b == 255;
    memset(codes + i * block_bytes, 0, block_bytes);
    for (size_t j = 0; (some || eights) && j < 32; j++) {
      unsigned code = eights ? 8 : rounded_code(&table, r, v[j], is_inf[j] && r->bad == MXQ_BAD_BYTES ? copysign(table.largest, v[j]) : ldexp(v[j], 127 - b), index[j]);
      if (is_nan[j] && r->bad == MXQ_BAD_BYTES) code = signbit(v[j]) ? 0xff : 0x7f; /* E4M3: a peer that keeps NaN has no other */
      for (int k = 0; k < width(t); k++)
        if (code >> k & 1) codes[i * block_bytes + (j * (size_t)width(t) + (size_t)k) / 8] |= (uint8_t)(1u << ((j * (size_t)width(t) + (size_t)k) % 8));
    }
  }
  return bad;
}

static size_t encode(enum mxq_element t, enum mxq_lane lane, const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,
                     const struct mxq_recipe *r) {
  const enum mxq_scale_rule rule = r->rule;
  size_t size = lane == MXQ_LANE_F32 ? 4 : 2, block_bytes = (size_t)width(t) * 4, bad = 0;
  struct table table;
  table_init(&table, t);
  for (size_t i = 0; i < blocks; i++) {
    double v[32], amax = 0;
    bool finite = true;
    for (size_t j = 0; j < 32; j++) {
      v[j] = load((const uint8_t *)src + (32 * i + j) * size, lane);
      finite = finite && isfinite(v[j]);
      if (fabs(v[j]) > amax) amax = fabs(v[j]);
    }
    int b = finite ? scale_of(&table, amax, rule == MXQ_SCALE_MSE ? MXQ_SCALE_FLOOR : rule, r->plan.overflows) : 255;
    if (b < 254 && rule == MXQ_SCALE_MSE && error_sum(&table, v, b + 1) * 4 < error_sum(&table, v, b)) b++;
    scales[i] = (uint8_t)b;
    bad += b == 255;
    memset(codes + i * block_bytes, 0, block_bytes);
    for (size_t j = 0; b < 255 && j < 32; j++) {
      unsigned code = nearest(&table, ldexp(v[j], 127 - b));
      /* low bits first, without gaps */
      for (int k = 0; k < width(t); k++)
        if (code >> k & 1) codes[i * block_bytes + (j * (size_t)width(t) + (size_t)k) / 8] |= (uint8_t)(1u << ((j * (size_t)width(t) + (size_t)k) % 8));
    }
  }
  return bad;
}

static size_t decode(enum mxq_element t, enum mxq_lane lane, const uint8_t *codes, const uint8_t *scales, size_t blocks, void *dst) {
  struct table table;
  table_init(&table, t);
  size_t size = lane == MXQ_LANE_F32 ? 4 : 2, lost = 0, ignored = 0;
  for (size_t i = 0; i < 32 * blocks; i++) {
    unsigned code = 0;
    for (int k = 0; k < width(t); k++) {
      size_t bit = i * (size_t)width(t) + (size_t)k;
      code |= (unsigned)(codes[bit / 8] >> (bit % 8) & 1) << k;
    }
    int b = scales[i / 32];
    double x = b == 255 ? NAN : ldexp(table.values[code], b - 127);
    uint64_t bits = rounded(x, 8, 23, &ignored);
    if (lane != MXQ_LANE_F32) {
      uint8_t f[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
      bits = rounded(load(f, MXQ_LANE_F32), lane == MXQ_LANE_BF16 ? 8 : 5, lane == MXQ_LANE_BF16 ? 7 : 10, &lost);
    }
    for (size_t k = 0; k < size; k++) ((uint8_t *)dst)[i * size + k] = (uint8_t)(bits >> (8 * k));
  }
  return lost;
}

#define ONE(name, ID, lane, LANE)                                                                                            \
  static size_t encode_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe) { \
    return encode(MXQ_##ID, MXQ_LANE_##LANE, src, blocks, codes, scales, recipe);                                      \
  }                                                                                                                          \
  static size_t encode_any_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,                   \
                                           const struct mxq_recipe *r, const struct mxq_place *place) {                      \
    return encode_any(MXQ_##ID, MXQ_LANE_##LANE, src, blocks, codes, scales, r, place);                                      \
  }                                                                                                                          \
  static size_t decode_##name##_##lane(const uint8_t *codes, const uint8_t *scales, size_t blocks, void *dst, bool stream) { \
    (void)stream;                                                                                                            \
    return decode(MXQ_##ID, MXQ_LANE_##LANE, codes, scales, blocks, dst);                                                    \
  }
#define X(ID, name, E, M, TOP) ONE(name, ID, f32, F32) ONE(name, ID, bf16, BF16) ONE(name, ID, f16, F16)
#include "lib/kernels/element_types.def"
#undef X

const struct mxq_kernels mxq_kernels_reference = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {encode_##name##_f32, encode_##name##_bf16, encode_##name##_f16},
  .encode = {
#include "lib/kernels/element_types.def"
  },
#undef X
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {encode_any_##name##_f32, encode_any_##name##_bf16, encode_any_##name##_f16},
  .encode_any = {
#include "lib/kernels/element_types.def"
  },
#undef X
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {decode_##name##_f32, decode_##name##_bf16, decode_##name##_f16},
  .decode = {
#include "lib/kernels/element_types.def"
  },
#undef X
};
