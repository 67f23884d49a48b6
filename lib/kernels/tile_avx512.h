/* SPDX-License-Identifier: MIT */
/* Tiles of 16 blocks, 512 bits at a time (F, BW, VL, DQ): the largest magnitude of each block, and the numbers that its scale byte makes. */
#ifndef MXQ_KERNELS_TILE_AVX512_H
#define MXQ_KERNELS_TILE_AVX512_H

#include <immintrin.h>
#include "lib/kernels/ops_avx2.h"
#include "lib/kernels/recipe.h"

#define TILE_WORD static inline __attribute__((always_inline, unused))

enum { TILE = 16, TILE_LINE = 64 };

/* What the scale bytes of a tile make of its blocks. */
struct tile_scales {
  float inverse[TILE];
  int32_t low[TILE];          /* bits of the magnitude at and below which the grid is the same: 2^(emin - 1) * scale; of bf16 two words, see below */
  int32_t turn[TILE];         /* where in the table the block's window begins; without a table, what the block adds to M */
};

TILE_WORD __m512i z_load(const void *p) { return _mm512_loadu_si512(p); }
/* Loads once: gcc would rather load again for every use, and loads are what there is too little of. */
TILE_WORD __m512i z_load_once(const void *p) {
  __m512i v = z_load(p);
  __asm__("" : "+v"(v));
  return v;
}

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

/* The larger magnitude, lane by lane, as f32 bits; a number where the other one is NaN. */
TILE_WORD __m512i larger(__m512i a, __m512i b) {
  return _mm512_castps_si512(_mm512_range_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), 0x0b));
}
/* One block to one vector whose largest lane is the amax; careless: NaN may be lost. */
TILE_WORD __m512i block_amax(const uint8_t *p, enum mxq_lane lane, bool careless) {
  if (lane != MXQ_LANE_F32) return _mm512_and_si512(z_load(p), _mm512_set1_epi16(0x7fff));
  if (careless) return larger(z_load(p), z_load(p + 64));
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  return _mm512_max_epi32(_mm512_and_si512(z_load(p), magnitude), _mm512_and_si512(z_load(p + 64), magnitude));
}
/* f32 bits of the largest magnitude of each block, from block_amax of the sixteen. */
TILE_WORD __m512i tile_amax(const __m512i of[TILE], enum mxq_lane lane) {
  __m512i a[4];
  for (int i = 0; i < 4; i++) {
    const __m512i *f = of + 4 * i;
    if (lane == MXQ_LANE_F32) a[i] = merge_qwords(merge_dwords(f[0], f[1]), merge_dwords(f[2], f[3]));
    else a[i] = merge_dwords_of_words(merge_words(f[0], f[1]), merge_words(f[2], f[3]));
  }
  if (lane == MXQ_LANE_F32) return merge_lanes(merge_lanes(a[0], a[1]), merge_lanes(a[2], a[3]));
  __m512i x = merge_lanes_of_words(merge_qwords_of_words(a[0], a[1]), merge_qwords_of_words(a[2], a[3]));
  __m256i y = _mm512_castsi512_si256(merge_lanes_of_words(x, x));
  if (lane == MXQ_LANE_F16) return _mm512_castps_si512(_mm512_cvtph_ps(y));
  return _mm512_slli_epi32(_mm512_cvtepu16_epi32(y), 16);
}

/* ---- scales ------------------------------------------------------------------------------------------------------------- */

/* Below this byte the numbers of struct tile_scales leave their ranges. */
#define TILE_LEAST_BYTE(e, top) (8 - ((top) == MXQ_TOP_INTEGER ? 0 : MXQ_EL_EMIN(e)))
#define TILE_PERIOD(e) ((e) == 5 ? 32 : 16) /* exponents that the table tells apart: emin - 1 to emax */

#ifdef __AVX512VBMI__
#define TILE_BYTES 1 /* codes are put together, of bf16 also made, by tables of bytes */
#else
#define TILE_BYTES 0
#endif
#define TILE_LINEAR(e) (TILE_BYTES && TILE_PERIOD(e) == 32) /* M is made from the exponent without a table, which would take two registers */

/* Writes the scale bytes; false: nothing was written, the tile goes block by block. */
TILE_WORD bool tile_scale(__m512i amax, const struct mxq_scale_plan *plan, enum mxq_lane lane, int e, int m, int top, uint8_t *scales,
                          struct tile_scales *t) {
  const int low = plan->emax + TILE_LEAST_BYTE(e, top);
  __m512i field = _mm512_srli_epi32(_mm512_add_epi32(amax, _mm512_set1_epi32((int)plan->add)), 23);
  /* Inf, NaN and what rounds up to them have field 255 or more. */
  if (_mm512_mask_cmpgt_epu32_mask(_mm512_test_epi32_mask(amax, amax), _mm512_sub_epi32(field, _mm512_set1_epi32(low)), _mm512_set1_epi32(254 - low)))
    return false;
  __m512i s = _mm512_sub_epi32(field, _mm512_set1_epi32(plan->emax));
  s = _mm512_min_epi32(_mm512_max_epi32(s, _mm512_setzero_si512()), _mm512_set1_epi32(plan->top));
  _mm_storeu_si128((__m128i *)(void *)scales, _mm512_cvtepi32_epi8(s));
  s = _mm512_max_epi32(s, _mm512_set1_epi32(TILE_LEAST_BYTE(e, top))); /* blocks of zeros: any scale will do */
  if (TILE_BYTES && lane == MXQ_LANE_BF16 && top != MXQ_TOP_INTEGER) { /* the exponent two octaves below the first that is not rounded to zero */
    s = _mm512_add_epi32(s, _mm512_set1_epi32(MXQ_EL_EMIN(e) - m - 2));
    _mm512_storeu_si512(t->low, _mm512_or_si512(_mm512_slli_epi32(s, 8), _mm512_slli_epi32(s, 24)));
    return true;
  }
  if (top == MXQ_TOP_INTEGER || m == 1) { /* INT8's last place is 2^-6; quarters decide over E2M1 */
    _mm512_storeu_si512(t->inverse, _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(254 + (m == 1 ? 2 : 6)), s), 23));
    _mm512_storeu_si512(t->low, _mm512_slli_epi32(_mm512_sub_epi32(s, _mm512_set1_epi32(2)), 7)); /* a quarter in bf16 */
    return true;
  }
  __m512i inverse = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(254), s), 23);
  inverse = _mm512_max_epi32(inverse, _mm512_set1_epi32(0x00400000)); /* 2^-127 for 254 */
  _mm512_storeu_si512(t->inverse, inverse);
  if (TILE_LINEAR(e)) {
    __m512i least = _mm512_add_epi32(s, _mm512_set1_epi32(MXQ_EL_EMIN(e)));
    _mm512_storeu_si512(t->low, _mm512_slli_epi32(least, 23));
    s = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(127 + 23 - m), s), 23);
    _mm512_storeu_si512(t->turn, _mm512_sub_epi32(s, _mm512_slli_epi32(least, (unsigned)m)));
    return true;
  }
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

#endif
