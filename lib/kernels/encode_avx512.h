/* SPDX-License-Identifier: MIT */
/*
 * Encoding in tiles of 16 blocks, 512 bits at a time (F, BW, VL, DQ): scale bytes of the whole tile first, then codes, while the tile is in the
 * first cache. What a tile cannot hold (NaN, Inf, the smallest scales, MSE) goes block by block through the template.
 *
 * Rounding is one fused addition, |x| / scale + M: M is a power of two so large that its last place is the step of the element grid at x, and
 * carries (exponent - emin) << m in its last places, so that the sum ends in the code. M follows from the exponent of x by a table look-up;
 * the table is turned by the scale byte instead of x being scaled.
 */
#ifndef MXQ_KERNELS_ENCODE_AVX512_H
#define MXQ_KERNELS_ENCODE_AVX512_H

#include <immintrin.h>
#include "lib/kernels/recipe.h"

#define TILE_WORD static inline __attribute__((always_inline, unused))

/* gcc keeps short loops of constant length, clang unrolls them itself: the same code from both. */
#if defined(__clang__)
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { TILE = 16, TILE_AHEAD = 8192, TILE_LINE = 64 };

/* What the scale bytes of a tile make of its blocks. */
struct tile_scales {
  float inverse[TILE];
  int32_t low[TILE];          /* bits of the magnitude at and below which the grid is the same: 2^(emin - 1) * scale */
  int32_t turn[TILE];         /* where in the table the block's window begins */
};

TILE_WORD __m512i z_load(const void *p) { return _mm512_loadu_si512(p); }

/* ---- amax: 16 vectors, one a block, to one with a block a lane ---------------------------------------------------------- */

#define TILE_MERGE(name, type, lo, hi) \
  TILE_WORD __m512i name(__m512i a, __m512i b) { return _mm512_max_##type(lo(a, b), hi(a, b)); }
TILE_MERGE(merge_words, epu16, _mm512_unpacklo_epi16, _mm512_unpackhi_epi16)
TILE_MERGE(merge_dwords_of_words, epu16, _mm512_unpacklo_epi32, _mm512_unpackhi_epi32)
TILE_MERGE(merge_qwords_of_words, epu16, _mm512_unpacklo_epi64, _mm512_unpackhi_epi64)
TILE_MERGE(merge_dwords, epi32, _mm512_unpacklo_epi32, _mm512_unpackhi_epi32)
TILE_MERGE(merge_qwords, epi32, _mm512_unpacklo_epi64, _mm512_unpackhi_epi64)
#define EVEN_LANES(a, b) _mm512_shuffle_i32x4(a, b, 0x88)
#define ODD_LANES(a, b) _mm512_shuffle_i32x4(a, b, 0xdd)
TILE_MERGE(merge_lanes, epi32, EVEN_LANES, ODD_LANES)
TILE_MERGE(merge_lanes_of_words, epu16, EVEN_LANES, ODD_LANES)

TILE_WORD __m512i amax_block_f32(const uint8_t *p) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  return _mm512_max_epi32(_mm512_and_si512(z_load(p), magnitude), _mm512_and_si512(z_load(p + 64), magnitude));
}
TILE_WORD __m512i amax_four_f32(const uint8_t *p) {
  return merge_qwords(merge_dwords(amax_block_f32(p), amax_block_f32(p + 128)), merge_dwords(amax_block_f32(p + 256), amax_block_f32(p + 384)));
}
TILE_WORD __m512i amax_block_16(const uint8_t *p) { return _mm512_and_si512(z_load(p), _mm512_set1_epi16(0x7fff)); }
TILE_WORD __m512i amax_four_16(const uint8_t *p) {
  return merge_dwords_of_words(merge_words(amax_block_16(p), amax_block_16(p + 64)), merge_words(amax_block_16(p + 128), amax_block_16(p + 192)));
}

/* f32 bits of the largest magnitude of each block. */
TILE_WORD __m512i tile_amax(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32)
    return merge_lanes(merge_lanes(amax_four_f32(p), amax_four_f32(p + 512)), merge_lanes(amax_four_f32(p + 1024), amax_four_f32(p + 1536)));
  __m512i a = merge_qwords_of_words(amax_four_16(p), amax_four_16(p + 256)), b = merge_qwords_of_words(amax_four_16(p + 512), amax_four_16(p + 768));
  a = merge_lanes_of_words(a, b);
  a = merge_lanes_of_words(a, a);
  if (lane == MXQ_LANE_F16) return _mm512_castps_si512(_mm512_cvtph_ps(_mm512_castsi512_si256(a)));
  return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(a)), 16);
}

/* ---- scales ------------------------------------------------------------------------------------------------------------- */

/* Below this byte the numbers of struct tile_scales leave f32's normal range. */
#define TILE_LEAST_BYTE(e, top) ((top) == MXQ_TOP_INTEGER ? 8 : 3 - MXQ_EL_EMIN(e))
#define TILE_PERIOD(e) ((e) == 5 ? 32 : 16) /* exponents that the table tells apart: emin - 1 to emax */

/* Writes the scale bytes; false: nothing was written, the tile goes block by block. */
TILE_WORD bool tile_scale(__m512i amax, const struct mxq_scale_plan *plan, int e, int m, int top, uint8_t *scales, struct tile_scales *t) {
  const __m512i least = _mm512_set1_epi32(TILE_LEAST_BYTE(e, top));
  __m512i field = _mm512_srli_epi32(_mm512_add_epi32(amax, _mm512_set1_epi32((int)plan->add)), 23);
  __m512i s = _mm512_sub_epi32(field, _mm512_set1_epi32(plan->emax));
  s = _mm512_min_epi32(_mm512_max_epi32(s, _mm512_setzero_si512()), _mm512_set1_epi32(plan->top));
  __mmask16 odd = _mm512_cmpge_epi32_mask(amax, _mm512_set1_epi32(0x7f800000));
  odd |= _mm512_mask_test_epi32_mask(_mm512_cmplt_epi32_mask(s, least), amax, amax);
  if (plan->overflows) odd |= _mm512_cmpeq_epi32_mask(field, _mm512_set1_epi32(255));
  if (odd) return false;
  _mm_storeu_si128((__m128i *)(void *)scales, _mm512_cvtepi32_epi8(s));
  s = _mm512_max_epi32(s, least); /* blocks of zeros: any scale will do */
  if (top == MXQ_TOP_INTEGER || m == 1) { /* INT8's last place is 2^-6; quarters decide over E2M1 */
    _mm512_storeu_si512(t->inverse, _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(254 + (m == 1 ? 2 : 6)), s), 23));
    _mm512_storeu_si512(t->low, _mm512_slli_epi32(_mm512_sub_epi32(s, _mm512_set1_epi32(2)), 7)); /* a quarter in bf16 */
    return true;
  }
  __m512i inverse = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(254), s), 23);
  inverse = _mm512_max_epi32(inverse, _mm512_set1_epi32(0x00400000)); /* 2^-127 for 254 */
  _mm512_storeu_si512(t->inverse, inverse);
  _mm512_storeu_si512(t->low, _mm512_slli_epi32(_mm512_add_epi32(s, _mm512_set1_epi32(MXQ_EL_EMIN(e) - 1)), 23));
  _mm512_storeu_si512(t->turn, _mm512_and_si512(_mm512_sub_epi32(_mm512_setzero_si512(), s), _mm512_set1_epi32(TILE_PERIOD(e) - 1)));
  return true;
}

/* Bits of M for exponents k = n mod period. */
TILE_WORD void tile_table(uint32_t table[64], int e, int m) {
  const int emin = MXQ_EL_EMIN(e), period = TILE_PERIOD(e);
  for (int n = 0; n < 2 * period; n++) {
    int k = emin - 1 + ((n - (emin - 1)) & (period - 1)), above = k < emin ? 0 : k - emin;
    table[n] = (uint32_t)(127 + emin + above + 23 - m) << 23 | (uint32_t)above << m;
  }
}

/* ---- codes -------------------------------------------------------------------------------------------------------------- */

struct tile_block { /* one block's numbers in registers */
  __m512 inverse, table, more;
  __m512i low;
};
TILE_WORD struct tile_block block_of(const struct tile_scales *t, int i, const uint32_t *table, int e) {
  struct tile_block b = {.inverse = _mm512_set1_ps(t->inverse[i]), .low = _mm512_set1_epi32(t->low[i])};
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

/*
 * Codes of two blocks, a byte each. In lane L of f32 and f16: elements 4L...4L+3 of each sixteen; of bf16: elements 8L...8L+7 of each block.
 */
TILE_WORD __m512i codes_of_two(const uint8_t *p, const struct tile_scales *t, int i, const uint32_t *table, enum mxq_lane lane, int e, int m, int top) {
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64;
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  struct tile_pair x = widen_block(p, lane), y = widen_block(p + block, lane);
  if (top == MXQ_TOP_INTEGER) {
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
    return _mm512_max_epi8(_mm512_packs_epi16(a, c), _mm512_set1_epi8(-127));
  }
  struct tile_block b = block_of(t, i, table, e);
  __m512i c0 = code_of(_mm512_and_si512(x.first, magnitude), &b, e), c1 = code_of(_mm512_and_si512(x.second, magnitude), &b, e);
  b = block_of(t, i + 1, table, e);
  __m512i c2 = code_of(_mm512_and_si512(y.first, magnitude), &b, e), c3 = code_of(_mm512_and_si512(y.second, magnitude), &b, e);
  __m512i code = lane == MXQ_LANE_BF16 ? bytes_in_pairs(c0, c1, c2, c3) : bytes_in_fours(c0, c1, c2, c3);
  __m512i sign = signs_of(p, x, y, lane);
  if (e + m < 7) sign = _mm512_srli_epi16(sign, (unsigned)(7 - e - m));
  code = _mm512_min_epu8(code, _mm512_set1_epi8((char)MXQ_EL_MAX_CODE(e, m, top)));
  return _mm512_ternarylogic_epi64(code, sign, _mm512_set1_epi8((char)(1 << (e + m))), 0xf8); /* code | sign & bit */
}

/*
 * E2M1: floor + ceil of four times the value tell where it stands among the values and their midpoints, all of them multiples of a quarter;
 * a table makes the code of it. Two fused additions give both, rounded down: C + 4y and C - 4y.
 */
/* Of bf16, half steps of its exponent and two mantissa bits tell the same, from a quarter on. */
static const uint16_t tile_steps[64] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7,
                                        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

TILE_WORD __m512i look_up(const uint16_t table[64], __m512i words) { return _mm512_permutex2var_epi16(z_load(table), words, z_load(table + 32)); }

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

TILE_WORD void put_line(uint8_t *p, __m512i v, bool stream) {
  if (stream) _mm512_stream_si512((void *)p, v);
  else _mm512_storeu_si512(p, v);
}

/* The order of dwords after codes_of_two: to that of the blocks. */
TILE_WORD __m512i dwords_in_order(__m512i v, enum mxq_lane lane) {
  if (lane == MXQ_LANE_BF16) return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

/* 64 codes to 16 dwords whose four lanes hold twelve bytes each. */
TILE_WORD __m512i sixes(__m512i code, enum mxq_lane lane) {
  code = _mm512_maddubs_epi16(code, _mm512_set1_epi16(0x4001));
  code = _mm512_madd_epi16(code, _mm512_set1_epi32(0x10000001));
  return _mm512_shuffle_epi8(dwords_in_order(code, lane), CONTROL(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
}

/* The codes of a tile. All arguments but pointers are constants where this is inlined. */
TILE_WORD void tile_codes(const uint8_t *p, const struct tile_scales *t, const uint32_t *table, uint8_t *out, enum mxq_lane lane, int e, int m,
                          int top, bool stream) {
  const size_t two = lane == MXQ_LANE_F32 ? 256 : 128;
#define TWO(n) codes_of_two(p + (size_t)(n) * two, t, 2 * (n), table, lane, e, m, top)
  if (MXQ_EL_BITS(e, m, top) == 8) {
    UNROLL
    for (int n = 0; n < 8; n++) put_line(out + 64 * n, dwords_in_order(TWO(n), lane), stream);
  } else if (MXQ_EL_BITS(e, m, top) == 4) {
    UNROLL
    for (int n = 0; n < 8; n += 2) {
      __m512i a;
      if (lane == MXQ_LANE_BF16) {
        a = _mm512_packus_epi32(nibbles_of_bf16(p + 64 * (2 * n), t, 2 * n), nibbles_of_bf16(p + 64 * (2 * n + 1), t, 2 * n + 1));
        __m512i b = _mm512_packus_epi32(nibbles_of_bf16(p + 64 * (2 * n + 2), t, 2 * n + 2), nibbles_of_bf16(p + 64 * (2 * n + 3), t, 2 * n + 3));
        a = _mm512_packus_epi16(a, b);
        a = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), a);
      } else { /* word 4 * which + v of lane L: 4 codes of sixteen number v */
        const __m512i order = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1,
                                               24, 16, 8, 0);
        a = _mm512_packus_epi16(nibbles_of_two(p + (size_t)n * two, t, 2 * n, lane), nibbles_of_two(p + (size_t)(n + 1) * two, t, 2 * n + 2, lane));
        a = _mm512_permutexvar_epi16(order, a);
      }
      put_line(out + 32 * n, a, stream);
    }
  } else {
    /* twelve dwords of each four: three lines of four vectors */
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20);
    const __m512i second = _mm512_setr_epi32(5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25);
    const __m512i third = _mm512_setr_epi32(10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30);
    UNROLL
    for (int n = 0; n < 8; n += 4) {
      __m512i a = sixes(TWO(n), lane), b = sixes(TWO(n + 1), lane), c, d;
      put_line(out + 48 * n, _mm512_permutex2var_epi32(a, first, b), stream);
      c = sixes(TWO(n + 2), lane);
      put_line(out + 48 * n + 64, _mm512_permutex2var_epi32(b, second, c), stream);
      d = sixes(TWO(n + 3), lane);
      put_line(out + 48 * n + 128, _mm512_permutex2var_epi32(c, third, d), stream);
    }
  }
#undef TWO
}

/* The encoder of plain recipes; `rest` does the same block by block. */
#define MXQ_OPS_TILES
TILE_WORD size_t encode_tiles(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe, enum mxq_lane lane,
                              int e, int m, int top, mxq_encode_fn *rest) {
  const struct mxq_scale_plan plan = recipe->plan;
  const size_t wide = TILE * (lane == MXQ_LANE_F32 ? 128 : 64), narrow = TILE * 4 * (size_t)MXQ_EL_BITS(e, m, top);
  const size_t block = narrow / TILE, lead = recipe->stream ? blocks_to_a_line(codes, block) : 8;
  const bool stream = lead < 8;
  const uint8_t *in = src;
  uint32_t table[64] __attribute__((aligned(64)));
  struct tile_scales t[2] __attribute__((aligned(64)));
  size_t bad = 0;
  if (plan.mse || blocks < TILE + (stream ? 8 : 0)) return rest(src, blocks, codes, scales, recipe);
  if (stream) {
    bad = rest(in, lead, codes, scales, recipe);
    in += lead * (wide / TILE);
    codes += lead * block;
    scales += lead;
    blocks -= lead;
  }
  if (top != MXQ_TOP_INTEGER) tile_table(table, e, m);
  /* The scales of the next tile are made before the codes of this one, so that nothing waits for them; lines are fetched after its loads. */
  bool good = tile_scale(tile_amax(in, lane), &plan, e, m, top, scales, &t[0]);
  for (unsigned turn = 0; blocks >= TILE; turn ^= 1, blocks -= TILE, in += wide, codes += narrow, scales += TILE) {
    const bool now = good;
    if (blocks >= 2 * TILE) good = tile_scale(tile_amax(in + wide, lane), &plan, e, m, top, scales + TILE, &t[turn ^ 1]);
    for (size_t i = 0; i < wide; i += TILE_LINE) _mm_prefetch((const char *)in + TILE_AHEAD + i, _MM_HINT_T0);
    if (!now) bad += rest(in, TILE, codes, scales, recipe);
    else if (stream) tile_codes(in, &t[turn], table, codes, lane, e, m, top, true);
    else tile_codes(in, &t[turn], table, codes, lane, e, m, top, false);
  }
  if (stream) _mm_sfence();
  return bad + rest(in, blocks, codes, scales, recipe);
}

#endif
