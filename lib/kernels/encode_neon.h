/* SPDX-License-Identifier: MIT */
/*
 * Encoding in tiles of 8 blocks, 128 bits at a time.
 *
 * amax of 8 blocks by pairwise maxima, their scales by vector arithmetic. A code is the lower bits of one sum: y + M, where y = |x| / scale and
 * M = 2^(23-m) times the power of two at or below y, so that the last place is the step of the element grid at y; M also carries the
 * exponent of y, counted from the least one of the element type, above the m bits of the mantissa, and there it is a whole number of
 * even steps, which rounding does not see. x / scale is a product, exact or far below the smallest code. Counted in instructions: 7 for 4
 * codes and 2 for their share of amax, then 1 or 2 for each to narrow, clamp, sign and pack; loads and stores come to that. The compiler has
 * constants for element type and dtype wherever this is inlined.
 */
#ifndef MXQ_KERNELS_ENCODE_NEON_H
#define MXQ_KERNELS_ENCODE_NEON_H

#include "lib/kernels/ops_neon.h"
#include "lib/kernels/recipe.h"

enum { TILE = 8 };

/* ---- amax ----------------------------------------------------------------------------------------------------------------- */

WORD uint32x4_t amax_block_f32(const uint8_t *p) {
  uint32x4_t most = vdupq_n_u32(0);
  for (int i = 0; i < 128; i += 16) most = vmaxq_u32(most, vandq_u32(v_load_32(p + i), vdupq_n_u32(0x7fffffff)));
  return most;
}
WORD uint32x4_t amax_four_f32(const uint8_t *p) {
  uint32x4_t low = vpmaxq_u32(amax_block_f32(p), amax_block_f32(p + 128)), high = vpmaxq_u32(amax_block_f32(p + 256), amax_block_f32(p + 384));
  return vpmaxq_u32(low, high);
}
WORD uint16x8_t amax_block_16(const uint8_t *p) {
  uint16x8_t most = vdupq_n_u16(0);
  for (int i = 0; i < 64; i += 16) most = vmaxq_u16(most, vandq_u16(v_load_16(p + i), vdupq_n_u16(0x7fff)));
  return most;
}
WORD uint16x8_t amax_four_16(const uint8_t *p) {
  return vpmaxq_u16(vpmaxq_u16(amax_block_16(p), amax_block_16(p + 64)), vpmaxq_u16(amax_block_16(p + 128), amax_block_16(p + 192)));
}
/* f32 bits of the largest magnitude of each of eight blocks. */
WORD uint32x4x2_t amax_eight(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) return (uint32x4x2_t){{amax_four_f32(p), amax_four_f32(p + 512)}};
  uint16x8_t a = vpmaxq_u16(amax_four_16(p), amax_four_16(p + 256));
  if (lane == MXQ_LANE_BF16) return (uint32x4x2_t){{vshll_n_u16(vget_low_u16(a), 16), vshll_high_n_u16(a, 16)}};
  float16x8_t h = vreinterpretq_f16_u16(a);
  return (uint32x4x2_t){{vreinterpretq_u32_f32(vcvt_f32_f16(vget_low_f16(h))), vreinterpretq_u32_f32(vcvt_high_f32_f16(h))}};
}

/* ---- scales --------------------------------------------------------------------------------------------------------------- */

/* Scale bytes of four blocks, and what values are multiplied with; sets *odd where a block must go alone. */
WORD uint32x4_t scale_four(uint32x4_t amax, const struct mxq_scale_plan *plan, int top, float *inverse, uint32x4_t *odd) {
  const int32x4_t least = vdupq_n_s32(top == MXQ_TOP_INTEGER ? 8 : 2); /* below, the product or amax * (1/max) leaves the normal numbers */
  uint32x4_t field = vshrq_n_u32(vaddq_u32(amax, vdupq_n_u32(plan->add)), 23);
  int32x4_t s = vsubq_s32(vreinterpretq_s32_u32(field), vdupq_n_s32(plan->emax));
  s = vminq_s32(vmaxq_s32(s, vdupq_n_s32(0)), vdupq_n_s32(plan->top));
  uint32x4_t small = vandq_u32(vtstq_u32(amax, amax), vcltq_s32(s, least));
  *odd = vorrq_u32(vorrq_u32(*odd, small), vcgtq_u32(amax, vdupq_n_u32(0x7f7fffff)));
  if (plan->overflows) *odd = vorrq_u32(*odd, vceqq_u32(field, vdupq_n_u32(255)));
  int32x4_t use = vmaxq_s32(s, least); /* blocks of zeros: any scale will do */
  int32x4_t i = vshlq_n_s32(vsubq_s32(vdupq_n_s32(254 + (top == MXQ_TOP_INTEGER ? 6 : 0)), use), 23);
  v_store(inverse, vreinterpretq_u8_s32(vmaxq_s32(i, vdupq_n_s32(0x00400000)))); /* 2^-127 for 254 */
  return vreinterpretq_u32_s32(s);
}
/* Writes the scale bytes of a tile; false: nothing was written, the tile goes block by block. */
WORD bool tile_scale(const uint8_t *p, const struct mxq_scale_plan *plan, enum mxq_lane lane, int top, uint8_t *scales, float inverse[TILE]) {
  uint32x4_t odd = vdupq_n_u32(0);
  uint32x4x2_t amax = amax_eight(p, lane);
  uint32x4_t a = scale_four(amax.val[0], plan, top, inverse, &odd), b = scale_four(amax.val[1], plan, top, inverse + 4, &odd);
  if (vmaxvq_u32(odd)) return false;
  vst1_u8(scales, vmovn_u16(even_words(a, b)));
  return true;
}

/* ---- codes ---------------------------------------------------------------------------------------------------------------- */

/* 16 values as f32: quarters in order, or (bf16) even and odd ones of each half; and their upper bytes, in order. */
struct sixteen {
  float32x4_t a, b, c, d;
  uint8x16_t upper;
};
WORD struct sixteen widen(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) {
    uint32x4_t a = v_load_32(p), b = v_load_32(p + 16), c = v_load_32(p + 32), d = v_load_32(p + 48);
    return (struct sixteen){vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b), vreinterpretq_f32_u32(c), vreinterpretq_f32_u32(d),
                            odd_bytes(odd_words(a, b), odd_words(c, d))};
  }
  uint16x8_t x = v_load_16(p), y = v_load_16(p + 16);
  if (lane == MXQ_LANE_F16) {
    float16x8_t f = vreinterpretq_f16_u16(x), g = vreinterpretq_f16_u16(y);
    return (struct sixteen){vcvt_f32_f16(vget_low_f16(f)), vcvt_high_f32_f16(f), vcvt_f32_f16(vget_low_f16(g)), vcvt_high_f32_f16(g), odd_bytes(x, y)};
  }
  const uint32x4_t high = vdupq_n_u32(0xffff0000), i = vreinterpretq_u32_u16(x), j = vreinterpretq_u32_u16(y);
  return (struct sixteen){vreinterpretq_f32_u32(vshlq_n_u32(i, 16)), vreinterpretq_f32_u32(vandq_u32(i, high)),
                          vreinterpretq_f32_u32(vshlq_n_u32(j, 16)), vreinterpretq_f32_u32(vandq_u32(j, high)), odd_bytes(x, y)};
}
/* The lower halves of two of its vectors, in order. */
WORD uint16x8_t halves_in_order(uint32x4_t a, uint32x4_t b, enum mxq_lane lane) {
  if (lane == MXQ_LANE_BF16) return vtrn1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b));
  return even_words(a, b);
}

/* The lower 16 bits of each lane are the code without its sign, which may be one past the largest. */
WORD uint32x4_t code_of(float32x4_t x, float32x4_t inverse, int e, int m) {
  const uint32_t emin = (uint32_t)(127 + MXQ_EL_EMIN(e)) << 23;
  float32x4_t y = vabsq_f32(vmulq_f32(x, inverse));
  uint32x4_t exponent = vmaxq_u32(vandq_u32(vreinterpretq_u32_f32(y), vdupq_n_u32(0x7f800000)), vdupq_n_u32(emin));
  uint32x4_t magic = vaddq_u32(exponent, vdupq_n_u32(((uint32_t)(23 - m) << 23) - (emin >> (23 - m))));
  magic = m == 1 ? vsraq_n_u32(magic, exponent, 22) : m == 2 ? vsraq_n_u32(magic, exponent, 21) : vsraq_n_u32(magic, exponent, 20); /* 23 - m */
  return vreinterpretq_u32_f32(vaddq_f32(y, vreinterpretq_f32_u32(magic)));
}
WORD uint32x4_t integer_of(float32x4_t x, float32x4_t inverse) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(vmulq_f32(x, inverse))); }

WORD uint8x16_t codes_of_sixteen(const uint8_t *p, float32x4_t inverse, enum mxq_lane lane, int e, int m, int top) {
  const struct sixteen x = widen(p, lane);
  if (top == MXQ_TOP_INTEGER) { /* all fit in 16 bits */
    uint16x8_t low = halves_in_order(integer_of(x.a, inverse), integer_of(x.b, inverse), lane);
    uint16x8_t high = halves_in_order(integer_of(x.c, inverse), integer_of(x.d, inverse), lane);
    int8x16_t c = vqmovn_high_s16(vqmovn_s16(vreinterpretq_s16_u16(low)), vreinterpretq_s16_u16(high));
    return vreinterpretq_u8_s8(vmaxq_s8(c, vdupq_n_s8(-127)));
  }
  uint16x8_t low = halves_in_order(code_of(x.a, inverse, e, m), code_of(x.b, inverse, e, m), lane);
  uint16x8_t high = halves_in_order(code_of(x.c, inverse, e, m), code_of(x.d, inverse, e, m), lane);
  uint8x16_t c = vminq_u8(even_bytes(low, high), vdupq_n_u8((uint8_t)MXQ_EL_MAX_CODE(e, m, top)));
  if (e + m == 7) return vbslq_u8(vdupq_n_u8(0x80), x.upper, c);
  return e + m == 5 ? vsliq_n_u8(c, vshrq_n_u8(x.upper, 7), 5) : vsliq_n_u8(c, vshrq_n_u8(x.upper, 7), 3);
}

WORD void tile_codes(const uint8_t *p, const float inverse[TILE], uint8_t *out, enum mxq_lane lane, int e, int m, int top) {
  const size_t half = lane == MXQ_LANE_F32 ? 64 : 32;
  const int bits = MXQ_EL_BITS(e, m, top);
  for (int n = 0; n < TILE; n++, p += 2 * half, out += 4 * bits) {
    const float32x4_t scale = vdupq_n_f32(inverse[n]);
    uint8x16_t a = codes_of_sixteen(p, scale, lane, e, m, top), b = codes_of_sixteen(p + half, scale, lane, e, m, top);
    if (bits == 4) {
      put_nibbles(a, b, out);
    } else if (bits == 6) {
      put_sixes(a, b, out);
    } else {
      v_store(out, a);
      v_store(out + 16, b);
    }
  }
}

/* The encoder of plain recipes; `rest` does the same block by block. */
#define MXQ_OPS_TILES
WORD size_t encode_tiles(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe, enum mxq_lane lane, int e,
                         int m, int top, mxq_encode_fn *rest) {
  const struct mxq_scale_plan plan = recipe->plan;
  const size_t wide = TILE * (lane == MXQ_LANE_F32 ? 128 : 64), narrow = TILE * 4 * (size_t)MXQ_EL_BITS(e, m, top);
  const uint8_t *in = src;
  size_t bad = 0;
  if (plan.mse) return rest(src, blocks, codes, scales, recipe);
  for (; blocks >= TILE; blocks -= TILE, in += wide, codes += narrow, scales += TILE) {
    float inverse[TILE];
    if (tile_scale(in, &plan, lane, top, scales, inverse)) tile_codes(in, inverse, codes, lane, e, m, top);
    else bad += rest(in, TILE, codes, scales, recipe);
  }
  return bad + rest(in, blocks, codes, scales, recipe);
}

#endif
