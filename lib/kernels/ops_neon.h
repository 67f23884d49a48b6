/* SPDX-License-Identifier: MIT */
/* Words of the template in NEON (AArch64). Where compilers make the template's own loops into the same instructions, those stay. */
#ifndef MXQ_KERNELS_OPS_NEON_H
#define MXQ_KERNELS_OPS_NEON_H

#include <arm_neon.h>
#include <string.h>
#include "lib/kernels/scale.h"

#define WORD static inline __attribute__((always_inline, unused))

/* Any alignment, any type of scalar. */
WORD uint8x16_t v_load(const void *p) { return vld1q_u8(p); }
WORD uint16x8_t v_load_16(const void *p) { return vreinterpretq_u16_u8(vld1q_u8(p)); }
WORD uint32x4_t v_load_32(const void *p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }
WORD float32x4_t v_load_f32(const void *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
WORD void v_store(void *p, uint8x16_t v) { vst1q_u8(p, v); }
WORD void v_store_f32(void *p, float32x4_t v) { vst1q_u8(p, vreinterpretq_u8_f32(v)); }

WORD uint16x8_t even_words(uint32x4_t a, uint32x4_t b) { return vuzp1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)); }
WORD uint16x8_t odd_words(uint32x4_t a, uint32x4_t b) { return vuzp2q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)); }
WORD uint8x16_t even_bytes(uint16x8_t a, uint16x8_t b) { return vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)); }
WORD uint8x16_t odd_bytes(uint16x8_t a, uint16x8_t b) { return vuzp2q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b)); }

/* 32 codes, a byte each, to their packed form. */
WORD void put_nibbles(uint8x16_t a, uint8x16_t b, uint8_t *out) {
  v_store(out, vsliq_n_u8(vuzp1q_u8(a, b), vuzp2q_u8(a, b), 4));
}

WORD uint8x16_t sixes_joined(uint8x16_t c) { /* four codes to 24 bits of each 32 */
  uint16x8_t w = vreinterpretq_u16_u8(c);
  uint32x4_t d = vreinterpretq_u32_u16(vsliq_n_u16(w, vshrq_n_u16(w, 8), 6));
  return vreinterpretq_u8_u32(vsliq_n_u32(d, vshrq_n_u32(d, 16), 12));
}
WORD void put_sixes(uint8x16_t a, uint8x16_t b, uint8_t *out) {
  static const uint8_t first[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20}, last[8] = {5, 6, 8, 9, 10, 12, 13, 14};
  const uint8x16x2_t joined = {{sixes_joined(a), sixes_joined(b)}};
  v_store(out, vqtbl2q_u8(joined, vld1q_u8(first)));
  vst1_u8(out + 16, vqtbl1_u8(joined.val[1], vld1_u8(last)));
}

#define MXQ_OPS_PACK
WORD void pack4(const uint8_t c[32], uint8_t *out) { put_nibbles(v_load(c), v_load(c + 16), out); }
WORD void pack6(const uint8_t c[32], uint8_t *out) { put_sixes(v_load(c), v_load(c + 16), out); }

#define MXQ_OPS_LOAD_F16
WORD void load_f16(const uint8_t *p, uint32_t u[32]) {
  for (int i = 0; i < 32; i += 4) v_store_f32(u + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 2 * i))));
}

/* Lanes of all ones count. */
WORD size_t lanes_set(uint32x4_t lanes) { return vaddvq_u32(vshrq_n_u32(lanes, 31)); }

/* Rounded to nearest even; the number of results that are infinite though y is not. */
#define MXQ_OPS_STORE_F16
WORD size_t store_f16(uint8_t *p, const float y[32]) {
  size_t lost = 0;
  for (int i = 0; i < 32; i += 4) {
    uint16x4_t h = vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(y + i)));
    uint32x4_t now = vceqq_u32(vmovl_u16(vand_u16(h, vdup_n_u16(0x7fff))), vdupq_n_u32(0x7c00));
    uint32x4_t before = vceqq_u32(vshlq_n_u32(v_load_32(y + i), 1), vdupq_n_u32(0xff000000));
    vst1_u8(p + 2 * i, vreinterpret_u8_u16(h));
    lost += lanes_set(vbicq_u32(now, before));
  }
  return lost;
}

#define MXQ_OPS_STORE_BF16
WORD size_t store_bf16(uint8_t *p, const float y[32]) {
  size_t lost = 0;
  for (int i = 0; i < 32; i += 4) {
    uint32x4_t u = v_load_32(y + i), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t r = vshrq_n_u32(vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd), 16);
    uint32x4_t now = vceqq_u32(vandq_u32(r, vdupq_n_u32(0x7fff)), vdupq_n_u32(0x7f80));
    uint32x4_t before = vceqq_u32(vshlq_n_u32(u, 1), vdupq_n_u32(0xff000000));
    vst1_u8(p + 2 * i, vreinterpret_u8_u16(vmovn_u32(r)));
    lost += lanes_set(vbicq_u32(now, before));
  }
  return lost;
}

#endif
