/* SPDX-License-Identifier: MIT */
/*
 * Decoders in portable C; part of the template. In a plain block there is nothing to clamp, to count or to tell apart, and the loops
 * are short enough for every compiler to vectorise.
 */
#ifndef MXQ_KERNELS_DECODE_PORTABLE_H
#define MXQ_KERNELS_DECODE_PORTABLE_H

#include "lib/kernels/decode_tables.h"

/* Written in units as large as those that are read next: smaller ones would have to reach the cache first. */
typedef uint64_t two_words __attribute__((vector_size(16)));

INLINE void unpack4(const uint8_t *in, uint8_t c[32]) {
  for (int i = 0; i < 2; i++) {
    two_words x = {mxq_get32(in + 8 * i), mxq_get32(in + 8 * i + 4)};
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
    memcpy(c + 16 * i, &x, 16);
  }
}

INLINE uint64_t six_bytes(const uint8_t *in) { return mxq_get32(in) | (uint64_t)mxq_get16(in + 4) << 32; }

INLINE void unpack6(const uint8_t *in, uint8_t c[32]) {
  for (int i = 0; i < 2; i++) {
    two_words x = {six_bytes(in + 12 * i), six_bytes(in + 12 * i + 6)};
    x = (x & 0xffffffu) | (x & 0xffffff000000u) << 8;
    x = (x & 0x00000fff00000fffu) | (x & 0x00fff00000fff000u) << 4;
    x = (x & 0x003f003f003f003fu) | (x & 0x0fc00fc00fc00fc0u) << 2;
    memcpy(c + 16 * i, &x, 16);
  }
}

/* A code of Inf or NaN among 32. */
INLINE bool has_special(const uint8_t c[32], int m, int top) {
  if (top != MXQ_TOP_NAN && top != MXQ_TOP_IEEE) return false;
  const uint64_t low = 0x7f7f7f7f7f7f7f7fu, step = 0x0101010101010101u << (top == MXQ_TOP_IEEE ? m : 0);
  uint64_t any = 0;
  for (int i = 0; i < 32; i += 8) any |= (mxq_get64(c + i) & low) + step;
  return (any & ~low) != 0;
}

/* Scale bytes at which exponents of results are what integer addition makes of them. */
INLINE bool is_within(int b, int e_bits, int top) {
  return top == MXQ_TOP_INTEGER ? b < 255 : b > MXQ_EL_BIAS(e_bits) && b + (1 << e_bits) - MXQ_EL_BIAS(e_bits) < 255;
}

/*
 * Bits of |value| of a code without Inf and NaN, at such a byte. With exponent and mantissa in place, `a` is a normal element. A subnormal
 * has the next exponent and no leading bit, so that it is 2a less that bit: `a` and what it lacks to the least normal. So subnormals of
 * f32, at which many machines are slow, stay out of it.
 */
INLINE int32_t plain_magnitude(uint32_t c, int b, float integer_step, int e_bits, int m, int top) {
  if (top == MXQ_TOP_INTEGER) {
    return (int32_t)(as_bits((float)(int32_t)(int8_t)c * integer_step) & 0x7fffffff);
  }
  uint32_t code = c << (23 - m) & ((1u << (e_bits + m)) - 1) << (23 - m), base = (uint32_t)(b - MXQ_EL_BIAS(e_bits)) << 23;
  float a = as_float(code + base), less = a - as_float(base + 0x800000u);
  int32_t if_negative = (int32_t)as_bits(less) & ((int32_t)as_bits(less) >> 31);
  return (int32_t)as_bits(a + as_float((uint32_t)if_negative));
}

INLINE void plain_f32(const uint8_t c[32], uint8_t *out, int b, int e_bits, int m, int top) {
  const float step = as_float(scale_bits[b]) * (1.0f / 64);
  uint32_t y[32] __attribute__((aligned(64)));
  for (int i = 0; i < 32; i++) {
    if (top == MXQ_TOP_INTEGER) y[i] = as_bits((float)(int32_t)(int8_t)c[i] * step);
    else y[i] = (uint32_t)plain_magnitude(c[i], b, step, e_bits, m, top) | ((uint32_t)c[i] << (31 - e_bits - m) & 0x80000000u);
  }
  memcpy(out, y, 128);
}

/*
 * `round`: in f16, where a result may be below 2^-14: there the sum with 0.5 rounds to f16's step. Above, and in bf16, nothing is rounded,
 * as no element has more bits.
 */
INLINE void plain_16(const uint8_t c[32], uint8_t *out, int b, int e_bits, int m, int top, enum mxq_lane lane, bool round) {
  const float step = as_float(scale_bits[b]) * (1.0f / 64);
  uint16_t h[32] __attribute__((aligned(64)));
  for (int i = 0; i < 32; i++) {
    int32_t a = plain_magnitude(c[i], b, step, e_bits, m, top);
    if (lane == MXQ_LANE_F16) { /* both in place for the same shift, else compilers narrow them one by one */
      int32_t small = (int32_t)((as_bits(as_float((uint32_t)a) + 0.5f) - 0x3f000000u) * (1u << 13)), normal = a - (112 << 23);
      int32_t is_small = -(int32_t)(a < 0x38800000);
      a = round ? (small & is_small) | (normal & ~is_small) : normal & ~(normal >> 31); /* zero is the only small one */
    }
    int32_t sign = (int32_t)((uint32_t)c[i] << (15 - e_bits - m - (top == MXQ_TOP_INTEGER)) & 0x8000u);
    h[i] = (uint16_t)((a >> (lane == MXQ_LANE_F16 ? 13 : 16)) | sign);
  }
  memcpy(out, h, 64);
}

INLINE size_t decode_run(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top,
                         enum mxq_lane lane) {
  const size_t code_bytes = top == MXQ_TOP_FINITE ? 4 * (size_t)(1 + e_bits + m) : 32;
  size_t lost = 0;
  for (size_t i = 0; i < blocks; i++, codes += code_bytes, out += lane == MXQ_LANE_F32 ? 128 : 64) {
    uint8_t c[32] __attribute__((aligned(64)));
    const int b = scales[i];
    if (code_bytes == 16) unpack4(codes, c);
    else if (code_bytes == 24) unpack6(codes, c);
    else memcpy(c, codes, 32);
    bool plain = is_within(b, e_bits, top) && !has_special(codes, m, top);
    if (lane == MXQ_LANE_BF16) plain = plain && plain_bf16(b, e_bits, m);
    if (lane == MXQ_LANE_F16) plain = plain && plain_f16(b, e_bits, top);
    if (__builtin_expect(plain, 1)) {
      if (lane == MXQ_LANE_F32) plain_f32(c, out, b, e_bits, m, top);
      else if (lane == MXQ_LANE_F16 && b < 113 + m - MXQ_EL_EMIN(e_bits)) plain_16(c, out, b, e_bits, m, top, lane, true);
      else plain_16(c, out, b, e_bits, m, top, lane, false);
      continue;
    }
    float y[32] __attribute__((aligned(64)));
    if (b == 255)
      for (int j = 0; j < 32; j++) y[j] = as_float(0x7fc00000);
    else values(c, as_float(scale_bits[b]), e_bits, m, top, y);
    lost += lane == MXQ_LANE_F32 ? store_f32(out, y) : lane == MXQ_LANE_BF16 ? store_bf16(out, y) : store_f16(out, y);
  }
  return lost;
}

INLINE size_t decode_past(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top,
                          enum mxq_lane lane, decode_run_fn *run) {
  (void)e_bits, (void)m, (void)top, (void)lane;
  return run(codes, scales, blocks, out);
}

#endif
