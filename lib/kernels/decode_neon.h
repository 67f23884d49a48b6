/* SPDX-License-Identifier: MIT */
/*
 * Decoders in NEON: 8 codes become two vectors of f32, from which all lanes are made. For 8 values of f32 that is 5 to 8 instructions and two
 * stores; bf16 takes one more and f16 two, and one store less.
 */
#ifndef MXQ_KERNELS_DECODE_NEON_H
#define MXQ_KERNELS_DECODE_NEON_H

#include "lib/kernels/decode_tables.h"
#include "lib/kernels/ops_neon.h"

struct block { /* 8 vectors in order */
  float32x4_t y[8];
};

/* Upper halves of f32. */
WORD void put_words(struct block *r, int i, uint16x8_t w) {
  r->y[i] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(w), 16));
  r->y[i + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(w, 16));
}
/*
 * Types with sign and exponent become f16 with their exponent in the low bits of f16's, which the hardware widens, subnormals too; `up` is
 * what the biases differ by. It goes into the scale, unless that left f32.
 */
WORD void put_halves(struct block *r, int i, uint16x8_t h) {
  float16x8_t f = vreinterpretq_f16_u16(h);
  r->y[i] = vcvt_f32_f16(vget_low_f16(f));
  r->y[i + 1] = vcvt_high_f32_f16(f);
}
WORD void multiply(struct block *r, int b, int n) {
  float32x4_t scale = vreinterpretq_f32_u32(vdupq_n_u32(scale_bits[b])), up = vreinterpretq_f32_u32(vdupq_n_u32((uint32_t)(127 + n) << 23));
  if (n > 0 && __builtin_expect(scale_may_grow(b, n), 1)) scale = vmulq_f32(scale, up);
  else if (n > 0)
    for (int i = 0; i < 8; i++) r->y[i] = vmulq_f32(r->y[i], up);
  for (int i = 0; i < 8; i++) r->y[i] = vmulq_f32(r->y[i], scale);
}

/* f32 of E2M1 codes have two bytes that are not zero; each is looked up. */
WORD void decode_nibbles(const uint8_t *codes, struct block *r) {
  static const uint8_t first[16] = {0x00, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x80, 0xbf, 0xbf, 0xbf, 0xc0, 0xc0, 0xc0, 0xc0};
  static const uint8_t second[16] = {0x00, 0x00, 0x80, 0xc0, 0x00, 0x40, 0x80, 0xc0, 0x00, 0x00, 0x80, 0xc0, 0x00, 0x40, 0x80, 0xc0};
  const uint8x16_t upper = vld1q_u8(first), lower = vld1q_u8(second);
  uint8x16_t packed = v_load(codes), low = vandq_u8(packed, vdupq_n_u8(15)), high = vshrq_n_u8(packed, 4);
  for (int i = 0; i < 2; i++) {
    uint8x16_t c = i ? vzip2q_u8(low, high) : vzip1q_u8(low, high), u = vqtbl1q_u8(upper, c), l = vqtbl1q_u8(lower, c);
    put_words(r, 4 * i, vreinterpretq_u16_u8(vzip1q_u8(l, u)));
    put_words(r, 4 * i + 2, vreinterpretq_u16_u8(vzip2q_u8(l, u)));
  }
}

/* Eight codes of six bits that begin at byte `at` of x: the two bytes that a code touches, moved up until its sign is bit 15. */
WORD int16x8_t eight_sixes(uint8x16_t x, int at) {
  static const uint8_t bytes[16] = {0, 1, 0, 1, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 5, 6};
  static const int16_t up[8] = {10, 4, 6, 8, 10, 4, 6, 8};
  uint8x16_t pairs = vqtbl1q_u8(x, vaddq_u8(vld1q_u8(bytes), vdupq_n_u8((uint8_t)at)));
  return vreinterpretq_s16_u16(vshlq_u16(vreinterpretq_u16_u8(pairs), vld1q_s16(up)));
}
WORD void decode_sixes(const uint8_t *codes, int m, struct block *r) {
  const uint16x8_t keep = vdupq_n_u16((uint16_t)(0x8000 | 31 << (10 - m)));
  const uint8x16_t a = v_load(codes), b = v_load(codes + 8); /* a block has 24 bytes */
  const int16x8_t four[4] = {eight_sixes(a, 0), eight_sixes(a, 6), eight_sixes(b, 4), eight_sixes(b, 10)};
  for (int i = 0; i < 4; i++)
    put_halves(r, 2 * i, vandq_u16(vreinterpretq_u16_s16(m == 2 ? vshrq_n_s16(four[i], 2) : vshrq_n_s16(four[i], 3)), keep));
}

/* E5M2 is the upper half of f16; it has one NaN here. */
WORD void decode_ieee(const uint8_t *codes, struct block *r) {
  for (int i = 0; i < 2; i++) {
    uint8x16_t c = v_load(codes + 16 * i), nan = vcgtq_u8(vandq_u8(c, vdupq_n_u8(0x7f)), vdupq_n_u8(0x7c));
    c = vbslq_u8(nan, vdupq_n_u8(0x7e), c);
    put_halves(r, 4 * i, vshll_n_u8(vget_low_u8(c), 8));
    put_halves(r, 4 * i + 2, vshll_high_n_u8(c, 8));
  }
}

WORD void decode_e4m3(const uint8_t *codes, int b, struct block *r) {
  const uint16x8_t keep = vdupq_n_u16(0xbf80);
  uint8x16_t nan[2];
  for (int i = 0; i < 2; i++) {
    int8x16_t c = vreinterpretq_s8_u8(v_load(codes + 16 * i));
    nan[i] = vceqq_u8(vorrq_u8(vreinterpretq_u8_s8(c), vdupq_n_u8(0x80)), vdupq_n_u8(255));
    put_halves(r, 4 * i, vandq_u16(vreinterpretq_u16_s16(vshll_n_s8(vget_low_s8(c), 7)), keep));
    put_halves(r, 4 * i + 2, vandq_u16(vreinterpretq_u16_s16(vshll_high_n_s8(c, 7)), keep));
  }
  multiply(r, b, 8);
  if (__builtin_expect(vmaxvq_u8(vorrq_u8(nan[0], nan[1])) == 0, 1)) return;
  for (int i = 0; i < 8; i++) { /* lane i % 4 of vector i / 4 to every byte of a lane */
    uint8x16_t at = vreinterpretq_u8_u32(vmulq_n_u32((uint32x4_t){0, 1, 2, 3}, 0x01010101));
    uint32x4_t is_nan = vreinterpretq_u32_u8(vqtbl1q_u8(nan[i / 4], vaddq_u8(at, vdupq_n_u8((uint8_t)(i % 4 * 4)))));
    r->y[i] = vbslq_f32(is_nan, vreinterpretq_f32_u32(vdupq_n_u32(0x7fc00000)), r->y[i]);
  }
}

WORD void decode_int8(const uint8_t *codes, struct block *r) {
  for (int i = 0; i < 4; i++) {
    int16x8_t c = vmovl_s8(vreinterpret_s8_u8(vld1_u8(codes + 8 * i)));
    r->y[2 * i] = vcvtq_n_f32_s32(vmovl_s16(vget_low_s16(c)), 6); /* in 64ths */
    r->y[2 * i + 1] = vcvtq_n_f32_s32(vmovl_high_s16(c), 6);
  }
}

WORD struct block values_of(const uint8_t *codes, int b, int e_bits, int m, int top) {
  const int n = 15 - MXQ_EL_BIAS(e_bits);
  struct block r;
  if (top == MXQ_TOP_NAN) {
    decode_e4m3(codes, b, &r);
  } else if (m == 1) {
    decode_nibbles(codes, &r);
    multiply(&r, b, 0);
  } else if (top == MXQ_TOP_INTEGER) {
    decode_int8(codes, &r);
    multiply(&r, b, 0);
  } else if (top == MXQ_TOP_IEEE) {
    decode_ieee(codes, &r);
    multiply(&r, b, 0);
  } else {
    decode_sixes(codes, m, &r);
    multiply(&r, b, n);
  }
  return r;
}

/* Rounds one by one, and counts. */
static size_t __attribute__((noinline, unused)) store_odd(const struct block *r, uint8_t *out, bool f16) {
  float y[32];
  for (int i = 0; i < 8; i++) vst1q_f32(y + 4 * i, r->y[i]);
  return f16 ? store_f16(out, y) : store_bf16(out, y);
}

WORD size_t decode_run(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane) {
  const size_t code_bytes = top == MXQ_TOP_FINITE ? 4 * (size_t)(1 + e_bits + m) : 32;
  size_t lost = 0;
  for (size_t i = 0; i < blocks; i++, codes += code_bytes, out += lane == MXQ_LANE_F32 ? 128 : 64) {
    const int b = scales[i];
    const struct block r = values_of(codes, b, e_bits, m, top);
    if (lane == MXQ_LANE_F32) {
      for (int j = 0; j < 8; j++) v_store_f32(out + 16 * j, r.y[j]);
    } else if (lane == MXQ_LANE_BF16) {
      if (__builtin_expect(!plain_bf16(b, e_bits, m), 0)) {
        lost += store_odd(&r, out, false);
        continue;
      }
      for (int j = 0; j < 4; j++)
        v_store(out + 16 * j, vreinterpretq_u8_u16(odd_words(vreinterpretq_u32_f32(r.y[2 * j]), vreinterpretq_u32_f32(r.y[2 * j + 1]))));
    } else {
      if (__builtin_expect(!plain_f16(b, e_bits, top), 0)) {
        lost += store_odd(&r, out, true);
        continue;
      }
      for (int j = 0; j < 4; j++)
        v_store(out + 16 * j, vreinterpretq_u8_f16(vcvt_high_f16_f32(vcvt_f16_f32(r.y[2 * j]), r.y[2 * j + 1])));
    }
  }
  return lost;
}

/* There is no store past the caches that every compiler knows; large copies of zeros apart, cores write whole lines without reading them. */
WORD size_t decode_past(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane,
                        decode_run_fn *run) {
  (void)e_bits, (void)m, (void)top, (void)lane;
  return run(codes, scales, blocks, out);
}

#define MXQ_OPS_DECODE
#endif
