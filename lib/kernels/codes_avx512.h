/* SPDX-License-Identifier: MIT */
/*
 * Codes of tiles without tables of bytes, and what all codes of 512 bits share.
 *
 * Rounding is one fused addition, |x| / scale + M: M is a power of two so large that its last place is the step of the element grid at x, and
 * carries (exponent - emin) << m in its last places, so that the sum ends in the code. M follows from the exponent of x by a table look-up;
 * the table is turned by the scale byte instead of x being scaled.
 */
#ifndef MXQ_KERNELS_CODES_AVX512_H
#define MXQ_KERNELS_CODES_AVX512_H

#include "lib/kernels/tile_avx512.h"

struct tile_block { /* one block's numbers in registers */
  __m512 inverse, table, more;
  __m512i low;
};
TILE_WORD struct tile_block block_of(const struct tile_scales *t, int i, const uint32_t *table, int e) {
  struct tile_block b = {.inverse = _mm512_set1_ps(t->inverse[i]), .low = _mm512_set1_epi32(t->low[i])};
  if (TILE_LINEAR(e)) {
    b.table = _mm512_castsi512_ps(_mm512_set1_epi32(t->turn[i]));
    return b;
  }
  b.table = _mm512_loadu_ps(table + t->turn[i]);
  if (TILE_PERIOD(e) == 32) b.more = _mm512_loadu_ps(table + t->turn[i] + 16);
  return b;
}
/* 16 magnitudes: the lowest byte of each lane is the code without its sign, which may be one past the largest. */
TILE_WORD __m512i code_of(__m512i a, const struct tile_block *b, int e) {
  __m512i field = _mm512_srli_epi32(_mm512_max_epi32(a, b->low), 23);
  __m512 magic = TILE_PERIOD(e) == 32 ? _mm512_permutex2var_ps(b->table, field, b->more) : _mm512_permutexvar_ps(field, b->table);
  return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(a), b->inverse, magic));
}

/* Sixteen bytes a, b, c, d of a control for vpshufb in every 128-bit lane. */
#define CONTROL(...) _mm512_broadcast_i32x4(_mm_setr_epi8(__VA_ARGS__))
/* Lowest bytes of four vectors of sixteen, in each 128-bit lane: four of a, four of b, ... */
TILE_WORD __m512i bytes_in_fours(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i each = CONTROL(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  a = _mm512_shuffle_epi8(a, each);
  a = _mm512_mask_shuffle_epi8(a, 0x00f000f000f000f0, b, each);
  a = _mm512_mask_shuffle_epi8(a, 0x0f000f000f000f00, c, each);
  return _mm512_mask_shuffle_epi8(a, 0xf000f000f000f000, d, each);
}
/* Lowest bytes, in each lane: a0 b0 a1 b1 a2 b2 a3 b3, then c and d. */
TILE_WORD __m512i bytes_in_pairs(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i each = CONTROL(0, 0, 4, 4, 8, 8, 12, 12, 0, 0, 4, 4, 8, 8, 12, 12);
  a = _mm512_shuffle_epi8(a, each);
  a = _mm512_mask_shuffle_epi8(a, 0x00aa00aa00aa00aa, b, each);
  a = _mm512_mask_shuffle_epi8(a, 0x5500550055005500, c, each);
  return _mm512_mask_shuffle_epi8(a, 0xaa00aa00aa00aa00, d, each);
}

/* 32 scalars that become two vectors of sixteen f32: halves in order, or (bf16) even and odd ones. */
struct tile_pair { __m512i first, second; };
TILE_WORD struct tile_pair widen_block(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) return (struct tile_pair){z_load(p), z_load(p + 64)};
  if (lane == MXQ_LANE_F16)
    return (struct tile_pair){_mm512_castps_si512(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p))),
                              _mm512_castps_si512(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p + 32))))};
  __m512i x = z_load(p);
  return (struct tile_pair){_mm512_slli_epi32(x, 16), _mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000))};
}
/* Bytes whose top bits are the signs of two blocks, laid out as their codes. */
TILE_WORD __m512i signs_of(const uint8_t *p, struct tile_pair x, struct tile_pair y, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) return _mm512_packs_epi16(_mm512_packs_epi32(x.first, x.second), _mm512_packs_epi32(y.first, y.second));
  __m512i a = z_load(p), b = z_load(p + 64);
  if (lane == MXQ_LANE_BF16) return _mm512_packs_epi16(a, b);
  /* the codes' layout is fours of each half: as if widened */
  return _mm512_packs_epi16(_mm512_packs_epi32(x.first, x.second), _mm512_packs_epi32(y.first, y.second));
}

/* The order of dwords that bytes_in_fours and bytes_in_pairs leave: to that of the blocks. */
TILE_WORD __m512i dwords_in_order(__m512i v, enum mxq_lane lane) {
  if (lane == MXQ_LANE_BF16) return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

/* ---- codes of two blocks, a byte each ----------------------------------------------------------------------------------- */

/* INT8. */
TILE_WORD __m512i integers_of_two(const uint8_t *p, const struct tile_scales *t, int i, enum mxq_lane lane) {
  struct tile_pair x = widen_block(p, lane), y = widen_block(p + (lane == MXQ_LANE_F32 ? 128 : 64), lane);
  const __m512 s = _mm512_set1_ps(t->inverse[i]), u = _mm512_set1_ps(t->inverse[i + 1]);
  __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(x.first), s)), b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(x.second), s));
  __m512i c = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(y.first), u)), d = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(y.second), u));
  if (lane == MXQ_LANE_BF16) { /* even and odd ones; all fit in 16 bits */
    a = _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 16));
    c = _mm512_mask_blend_epi16(0xaaaaaaaa, c, _mm512_slli_epi32(d, 16));
  } else {
    a = _mm512_packs_epi32(a, b);
    c = _mm512_packs_epi32(c, d);
  }
  return dwords_in_order(_mm512_max_epi8(_mm512_packs_epi16(a, c), _mm512_set1_epi8(-127)), lane);
}
/* The others. */
TILE_WORD __m512i floats_of_two(const uint8_t *p, const struct tile_scales *t, int i, const uint32_t *table, enum mxq_lane lane, int e, int m, int top) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  struct tile_pair x = widen_block(p, lane), y = widen_block(p + (lane == MXQ_LANE_F32 ? 128 : 64), lane);
  struct tile_block b = block_of(t, i, table, e);
  __m512i c0 = code_of(_mm512_and_si512(x.first, magnitude), &b, e), c1 = code_of(_mm512_and_si512(x.second, magnitude), &b, e);
  b = block_of(t, i + 1, table, e);
  __m512i c2 = code_of(_mm512_and_si512(y.first, magnitude), &b, e), c3 = code_of(_mm512_and_si512(y.second, magnitude), &b, e);
  __m512i code = lane == MXQ_LANE_BF16 ? bytes_in_pairs(c0, c1, c2, c3) : bytes_in_fours(c0, c1, c2, c3);
  __m512i sign = signs_of(p, x, y, lane);
  if (e + m < 7) sign = _mm512_srli_epi16(sign, (unsigned)(7 - e - m));
  code = _mm512_min_epu8(code, _mm512_set1_epi8((char)MXQ_EL_MAX_CODE(e, m, top)));
  code = _mm512_ternarylogic_epi64(code, sign, _mm512_set1_epi8((char)(1 << (e + m))), 0xf8); /* code | sign & bit */
  return dwords_in_order(code, lane);
}

/* ---- E2M1 ---- */

/* Of bf16, half steps of its exponent and two mantissa bits tell the same, from a quarter on. */
static const uint16_t tile_steps[64] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7,
                                        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

TILE_WORD __m512i look_up(const uint16_t table[64], __m512i words) { return _mm512_permutex2var_epi16(z_load(table), words, z_load(table + 32)); }

/*
 * E2M1: floor + ceil of four times the value tell where it stands among the values and their midpoints, all of them multiples of a quarter;
 * a table makes the code of it. Two fused additions give both, rounded down: C + 4y and C - 4y.
 */
#ifdef __AVX512VBMI__
/* With the sign: the table of bytes has room for it, as the seven lowest bits of floor + ceil. -0 becomes the number next to it. */
static const uint8_t tile_signed_quarters[128] = {
    0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 13, 13, 13, 13, 13, 13, 13, 12, 12, 12, 12, 12, 12, 12,
    11, 11, 11, 10, 10, 10, 10, 10, 9, 9, 9, 8, 8};
TILE_WORD __m512i quarters_of(__m512i x, __m512 four) {
  const __m512 c = _mm512_set1_ps(0x1.8p23f);
  __m512 y = _mm512_castsi512_ps(_mm512_max_epi32(x, _mm512_set1_epi32(-0x7fffffff)));
  __m512 floor = _mm512_fmadd_round_ps(y, four, c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 ceil = _mm512_fnmadd_round_ps(y, four, c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  return _mm512_sub_epi32(_mm512_castps_si512(floor), _mm512_castps_si512(ceil));
}
/* Two blocks to 32 words that hold two codes each: in lane L, elements 4L...4L+3 of each sixteen. */
TILE_WORD __m512i nibbles_of_two(const uint8_t *p, const struct tile_scales *t, int i, enum mxq_lane lane) {
  struct tile_pair x = widen_block(p, lane), y = widen_block(p + (lane == MXQ_LANE_F32 ? 128 : 64), lane);
  const __m512 s = _mm512_set1_ps(t->inverse[i]), u = _mm512_set1_ps(t->inverse[i + 1]);
  __m512i a = _mm512_packs_epi32(quarters_of(x.first, s), quarters_of(x.second, s));
  __m512i b = _mm512_packs_epi32(quarters_of(y.first, u), quarters_of(y.second, u));
  a = _mm512_permutex2var_epi8(z_load(tile_signed_quarters), _mm512_packs_epi16(a, b), z_load(tile_signed_quarters + 64));
  return _mm512_maddubs_epi16(a, _mm512_set1_epi16(0x1001));
}
#else
static const uint16_t tile_quarters[64] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6,
                                           6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
TILE_WORD __m512i quarters_of(__m512i a, __m512 four) {
  const __m512 c = _mm512_set1_ps(0x1.8p23f);
  __m512 x = _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32(0x7fffffff)));
  __m512 floor = _mm512_fmadd_round_ps(x, four, c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 ceil = _mm512_fnmadd_round_ps(x, four, c, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  return _mm512_sub_epi32(_mm512_castps_si512(floor), _mm512_castps_si512(ceil));
}
/* Two blocks to 32 words that hold two codes each: in lane L, elements 4L...4L+3 of each sixteen. */
TILE_WORD __m512i nibbles_of_two(const uint8_t *p, const struct tile_scales *t, int i, enum mxq_lane lane) {
  struct tile_pair x = widen_block(p, lane), y = widen_block(p + (lane == MXQ_LANE_F32 ? 128 : 64), lane);
  const __m512 s = _mm512_set1_ps(t->inverse[i]), u = _mm512_set1_ps(t->inverse[i + 1]);
  __m512i a = look_up(tile_quarters, _mm512_packs_epi32(quarters_of(x.first, s), quarters_of(x.second, s)));
  __m512i b = look_up(tile_quarters, _mm512_packs_epi32(quarters_of(y.first, u), quarters_of(y.second, u)));
  __m512i sign = _mm512_srli_epi16(signs_of(p, x, y, lane), 4);
  a = _mm512_ternarylogic_epi64(_mm512_packus_epi16(a, b), sign, _mm512_set1_epi8(8), 0xf8);
  return _mm512_maddubs_epi16(a, _mm512_set1_epi16(0x1001));
}
#endif
/* A block of bf16 to 16 dwords that hold two codes each. */
TILE_WORD __m512i nibbles_of_bf16(const uint8_t *p, const struct tile_scales *t, int i) {
  __m512i x = z_load(p), d = _mm512_subs_epu16(_mm512_and_si512(x, _mm512_set1_epi16(0x7fff)), _mm512_set1_epi16((int16_t)t->low[i]));
  __m512i where = _mm512_add_epi16(_mm512_srli_epi16(d, 5), _mm512_srli_epi16(_mm512_add_epi16(d, _mm512_set1_epi16(31)), 5));
  __m512i code = _mm512_ternarylogic_epi64(look_up(tile_steps, where), _mm512_srli_epi16(x, 12), _mm512_set1_epi16(8), 0xf8);
  return _mm512_madd_epi16(code, _mm512_set1_epi32(0x00100001));
}

#endif
