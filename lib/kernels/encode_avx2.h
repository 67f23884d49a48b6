/* SPDX-License-Identifier: MIT */
/*
 * Encoding in tiles of 16 blocks, 256 bits at a time: as encode_avx512.h, with x scaled by a product, which is exact or far below the
 * smallest code, and M from a table of eight exponents or, for E4M3 and E5M2, from the bits of x.
 */
#ifndef MXQ_KERNELS_ENCODE_AVX2_H
#define MXQ_KERNELS_ENCODE_AVX2_H

#include <immintrin.h>
#include "lib/kernels/ops_avx2.h"
#include "lib/kernels/recipe.h"

enum { TILE = 16 };

/* ---- amax: 8 vectors, one a block, to one with a block a lane ------------------------------------------------------------- */

#define MERGE(type, lo, hi, a, b) _mm256_max_##type(_mm256_##lo(a, b), _mm256_##hi(a, b))

WORD __m256i halves_merged(__m256i a, __m256i b, bool words) {
  __m256i low = _mm256_permute2x128_si256(a, b, 0x20), high = _mm256_permute2x128_si256(a, b, 0x31);
  return words ? _mm256_max_epu16(low, high) : _mm256_max_epi32(low, high);
}
WORD __m256i amax_block_f32(const uint8_t *p) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i a = _mm256_and_si256(v_load(p), magnitude), b = _mm256_and_si256(v_load(p + 32), magnitude);
  __m256i c = _mm256_and_si256(v_load(p + 64), magnitude), d = _mm256_and_si256(v_load(p + 96), magnitude);
  return _mm256_max_epi32(_mm256_max_epi32(a, b), _mm256_max_epi32(c, d));
}
WORD __m256i amax_block_16(const uint8_t *p) {
  const __m256i magnitude = _mm256_set1_epi16(0x7fff);
  return _mm256_max_epu16(_mm256_and_si256(v_load(p), magnitude), _mm256_and_si256(v_load(p + 32), magnitude));
}
/* One block to one vector whose largest lane is the amax. */
WORD __m256i block_amax(const uint8_t *p, enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? amax_block_f32(p) : amax_block_16(p); }
WORD __m256i amax_of_four(const __m256i of[4], enum mxq_lane lane) {
  __m256i a, c;
  if (lane == MXQ_LANE_F32) {
    a = MERGE(epi32, unpacklo_epi32, unpackhi_epi32, of[0], of[1]);
    c = MERGE(epi32, unpacklo_epi32, unpackhi_epi32, of[2], of[3]);
    return MERGE(epi32, unpacklo_epi64, unpackhi_epi64, a, c);
  }
  a = MERGE(epu16, unpacklo_epi16, unpackhi_epi16, of[0], of[1]);
  c = MERGE(epu16, unpacklo_epi16, unpackhi_epi16, of[2], of[3]);
  return MERGE(epu16, unpacklo_epi32, unpackhi_epi32, a, c);
}
/* f32 bits of the largest magnitude of each of eight blocks, from block_amax of them. */
WORD __m256i amax_of_eight(const __m256i of[8], enum mxq_lane lane) {
  __m256i a = amax_of_four(of, lane), b = amax_of_four(of + 4, lane);
  if (lane == MXQ_LANE_F32) return halves_merged(a, b, false);
  a = MERGE(epu16, unpacklo_epi64, unpackhi_epi64, a, b); /* in each half all eight */
  a = halves_merged(a, a, true);
  if (lane == MXQ_LANE_F16) return _mm256_castps_si256(_mm256_cvtph_ps(_mm256_castsi256_si128(a)));
  return _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), 16);
}

/* ---- scales ------------------------------------------------------------------------------------------------------------- */

/* Scale bytes of eight blocks, and what values are multiplied with; sets *odd where a block must go alone. */
WORD __m256i scale_eight(__m256i amax, const struct mxq_scale_plan *plan, int top, float *inverse, __m256i *odd) {
  const int least = top == MXQ_TOP_INTEGER ? 8 : 2; /* below, the product or amax * (1/max) leaves the normal numbers */
  const __m256i zero = _mm256_setzero_si256();
  __m256i field = _mm256_srli_epi32(_mm256_add_epi32(amax, _mm256_set1_epi32((int)plan->add)), 23);
  __m256i s = _mm256_sub_epi32(field, _mm256_set1_epi32(plan->emax));
  s = _mm256_min_epi32(_mm256_max_epi32(s, zero), _mm256_set1_epi32(plan->top));
  __m256i small = _mm256_andnot_si256(_mm256_cmpeq_epi32(amax, zero), _mm256_cmpgt_epi32(_mm256_set1_epi32(least), s));
  *odd = _mm256_or_si256(_mm256_or_si256(*odd, small), _mm256_cmpgt_epi32(amax, _mm256_set1_epi32(0x7f7fffff)));
  if (plan->overflows) *odd = _mm256_or_si256(*odd, _mm256_cmpeq_epi32(field, _mm256_set1_epi32(255)));
  __m256i use = _mm256_max_epi32(s, _mm256_set1_epi32(least)); /* blocks of zeros: any scale will do */
  __m256i i = _mm256_slli_epi32(_mm256_sub_epi32(_mm256_set1_epi32(254 + (top == MXQ_TOP_INTEGER ? 6 : 0)), use), 23);
  v_store(inverse, _mm256_max_epi32(i, _mm256_set1_epi32(0x00400000))); /* 2^-127 for 254 */
  return s;
}
/* Writes the scale bytes of a tile, from block_amax of its blocks; false: nothing was written, the tile goes block by block. */
WORD bool tile_scale(const __m256i of[TILE], const struct mxq_scale_plan *plan, enum mxq_lane lane, int top, uint8_t *scales, float inverse[TILE]) {
  __m256i odd = _mm256_setzero_si256();
  __m256i a = scale_eight(amax_of_eight(of, lane), plan, top, inverse, &odd), b = scale_eight(amax_of_eight(of + 8, lane), plan, top, inverse + 8, &odd);
  if (!_mm256_testz_si256(odd, odd)) return false;
  a = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  _mm_storeu_si128((__m128i *)(void *)scales, _mm_packus_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
  return true;
}

/* ---- codes -------------------------------------------------------------------------------------------------------------- */

/* Bits of M for exponent fields n mod 8, from that of 2^(emin - 1) on. */
WORD __m256 tile_table(int e, int m) {
  const int emin = MXQ_EL_EMIN(e);
  uint32_t table[8];
  for (int n = 0; n < 8; n++) {
    int k = emin - 1 + ((n - (127 + emin - 1)) & 7), above = k < emin ? 0 : k - emin;
    table[n] = (uint32_t)(127 + emin + above + 23 - m) << 23 | (uint32_t)above << m;
  }
  return _mm256_castsi256_ps(v_load(table));
}
/* Eight values: the lower 16 bits of each lane are the code without its sign, which may be one past the largest; of E4M3 and E5M2, plus first_of. */
#define FIRST_OF(e, m) ((127 + MXQ_EL_EMIN(e)) << (m))
WORD __m256i code_of(__m256i x, __m256 inverse, __m256 table, int e, int m) {
  const int emin = 127 + MXQ_EL_EMIN(e);
  __m256 y = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(0x7fffffff))), inverse);
  if (e <= 3) {
    __m256i field = _mm256_srli_epi32(_mm256_max_epi32(_mm256_castps_si256(y), _mm256_set1_epi32((emin - 1) << 23)), 23);
    return _mm256_castps_si256(_mm256_add_ps(y, _mm256_permutevar8x32_ps(table, field)));
  }
  __m256i exponent = _mm256_and_si256(_mm256_max_epi32(_mm256_castps_si256(y), _mm256_set1_epi32(emin << 23)), _mm256_set1_epi32(0x7f800000));
  __m256 magic = _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32((23 - m) << 23)));
  return _mm256_add_epi32(_mm256_castps_si256(_mm256_add_ps(y, magic)), _mm256_srli_epi32(exponent, 23 - m));
}

/* A block as four vectors of f32: quarters in order, or (bf16) even and odd ones of each half. */
struct tile_block { __m256i a, b, c, d; };
WORD struct tile_block widen_block(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) return (struct tile_block){v_load(p), v_load(p + 32), v_load(p + 64), v_load(p + 96)};
  if (lane == MXQ_LANE_F16) {
    struct tile_block x;
    __m128i h[4];
    for (int i = 0; i < 4; i++) h[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    x.a = _mm256_castps_si256(_mm256_cvtph_ps(h[0]));
    x.b = _mm256_castps_si256(_mm256_cvtph_ps(h[1]));
    x.c = _mm256_castps_si256(_mm256_cvtph_ps(h[2]));
    x.d = _mm256_castps_si256(_mm256_cvtph_ps(h[3]));
    return x;
  }
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  __m256i x = v_load(p), y = v_load(p + 32);
  return (struct tile_block){_mm256_slli_epi32(x, 16), _mm256_and_si256(x, upper), _mm256_slli_epi32(y, 16), _mm256_and_si256(y, upper)};
}

/*
 * Codes of a block, a byte each. In half L of f32 and f16: elements 4L...4L+3 of each quarter; of bf16: elements 8L...8L+7 of each half.
 */
WORD __m256i codes_of_one(const uint8_t *p, float scale, __m256 table, enum mxq_lane lane, int e, int m, int top) {
  const __m256 inverse = _mm256_set1_ps(scale);
  struct tile_block x = widen_block(p, lane);
  if (top == MXQ_TOP_INTEGER) {
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x.a), inverse)), b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x.b), inverse));
    __m256i c = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x.c), inverse)), d = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(x.d), inverse));
    if (lane == MXQ_LANE_BF16) { /* all fit in 16 bits */
      a = _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
      c = _mm256_blend_epi16(c, _mm256_slli_epi32(d, 16), 0xaa);
    } else {
      a = _mm256_packs_epi32(a, b);
      c = _mm256_packs_epi32(c, d);
    }
    return _mm256_max_epi8(_mm256_packs_epi16(a, c), _mm256_set1_epi8(-127));
  }
  __m256i a = code_of(x.a, inverse, table, e, m), b = code_of(x.b, inverse, table, e, m);
  __m256i c = code_of(x.c, inverse, table, e, m), d = code_of(x.d, inverse, table, e, m), sign;
  a = _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
  c = _mm256_blend_epi16(c, _mm256_slli_epi32(d, 16), 0xaa);
  if (e > 3) {
    a = _mm256_sub_epi16(a, _mm256_set1_epi16(FIRST_OF(e, m)));
    c = _mm256_sub_epi16(c, _mm256_set1_epi16(FIRST_OF(e, m)));
  }
  a = _mm256_packus_epi16(a, c);
  if (lane == MXQ_LANE_BF16) {
    sign = _mm256_packs_epi16(v_load(p), v_load(p + 32));
  } else {
    const __m128i apart = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    a = _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(apart));
    sign = _mm256_packs_epi16(_mm256_packs_epi32(x.a, x.b), _mm256_packs_epi32(x.c, x.d));
  }
  if (e + m < 7) sign = _mm256_srli_epi16(sign, 7 - e - m);
  sign = _mm256_and_si256(sign, _mm256_set1_epi8((char)(1 << (e + m))));
  return _mm256_or_si256(_mm256_min_epu8(a, _mm256_set1_epi8((char)MXQ_EL_MAX_CODE(e, m, top))), sign);
}

WORD void put_half_line(uint8_t *p, __m256i v, bool stream) {
  if (stream) _mm256_stream_si256((__m256i *)(void *)p, v);
  else v_store(p, v);
}

/* The order of dwords after codes_of_one: to that of the block. */
WORD __m256i dwords_in_order(__m256i v, enum mxq_lane lane) {
  if (lane == MXQ_LANE_BF16) return _mm256_permute4x64_epi64(v, 0xd8);
  return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
/* 32 codes to dwords 0, 1, 2, 4, 5 and 6. */
WORD __m256i sixes(__m256i code, enum mxq_lane lane) {
  const __m128i close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  code = _mm256_madd_epi16(_mm256_maddubs_epi16(code, _mm256_set1_epi16(0x4001)), _mm256_set1_epi32(0x10000001));
  return _mm256_shuffle_epi8(dwords_in_order(code, lane), _mm256_broadcastsi128_si256(close));
}

/* The codes of a tile; `of`: block_amax of the blocks from `later` on. All arguments but pointers are constants where this is inlined. */
WORD void tile_codes(const uint8_t *in, const float inverse[TILE], __m256 table, uint8_t *codes, const uint8_t *later, __m256i of[TILE], enum mxq_lane lane,
                     int e, int m, int top, bool stream) {
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64, bits = (size_t)MXQ_EL_BITS(e, m, top);
  const int step = bits == 8 ? 2 : 4;
  ROLLED
  for (int i = 0; i < TILE; i += step, later += (size_t)step * block, in += (size_t)step * block, codes += (size_t)step * 4 * bits) {
    fetch_ahead(in, (size_t)step * block, 4);
    for (int k = 0; k < step; k++) of[i + k] = block_amax(later + (size_t)k * block, lane);
#define ONE(n) codes_of_one(in + (size_t)(n) * block, inverse[i + (n)], table, lane, e, m, top)
    if (bits == 8) {
      for (int n = 0; n < step; n++) put_half_line(codes + 32 * n, dwords_in_order(ONE(n), lane), stream);
    } else if (bits == 4) {
      const __m256i nibbles = _mm256_set1_epi16(0x1001);
      for (int n = 0; n < step; n += 2) {
        __m256i a = _mm256_packus_epi16(_mm256_maddubs_epi16(ONE(n), nibbles), _mm256_maddubs_epi16(ONE(n + 1), nibbles));
        if (lane == MXQ_LANE_BF16) {
          a = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        } else {
          const __m128i in_turns = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
          a = _mm256_shuffle_epi8(_mm256_permute4x64_epi64(a, 0xd8), _mm256_broadcastsi128_si256(in_turns));
        }
        put_half_line(codes + 16 * n, a, stream);
      }
    } else { /* three vectors from four of six dwords */
      __m256i a = _mm256_permutevar8x32_epi32(sixes(ONE(0), lane), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
      __m256i b = _mm256_permutevar8x32_epi32(sixes(ONE(1), lane), _mm256_setr_epi32(2, 4, 5, 6, 7, 7, 0, 1));
      __m256i c = _mm256_permutevar8x32_epi32(sixes(ONE(2), lane), _mm256_setr_epi32(5, 6, 7, 7, 0, 1, 2, 4));
      __m256i d = _mm256_permutevar8x32_epi32(sixes(ONE(3), lane), _mm256_setr_epi32(7, 7, 0, 1, 2, 4, 5, 6));
      put_half_line(codes, _mm256_blend_epi32(a, b, 0xc0), stream);
      put_half_line(codes + 32, _mm256_blend_epi32(b, c, 0xf0), stream);
      put_half_line(codes + 64, _mm256_blend_epi32(c, d, 0xfc), stream);
    }
#undef ONE
  }
}

/* The encoder of plain recipes; `rest` does the same block by block. As in encode_avx512.h, maxima are collected three tiles ahead. */
#define MXQ_OPS_TILES
WORD size_t encode_tiles(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe, enum mxq_lane lane, int e,
                         int m, int top, mxq_encode_fn *rest) {
  const struct mxq_scale_plan plan = recipe->plan;
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64, wide = TILE * block, narrow = TILE * 4 * (size_t)MXQ_EL_BITS(e, m, top);
  const size_t lead = recipe->stream ? blocks_to_a_line(codes, narrow / TILE) : 8;
  const bool stream = lead < 8;
  const __m256 table = tile_table(e, m);
  const uint8_t *in = src;
  float inverse[2][TILE] __attribute__((aligned(32))) = {{0}};
  __m256i of[3][TILE];
  size_t bad = 0;
  if (plan.mse || blocks < TILE + (stream ? 8 : 0)) return rest(src, blocks, codes, scales, recipe);
  if (stream) {
    bad = rest(in, lead, codes, scales, recipe);
    in += lead * block;
    codes += lead * (narrow / TILE);
    scales += lead;
    blocks -= lead;
  }
  for (size_t i = 0; i < 3 * TILE; i++) of[i / TILE][i % TILE] = block_amax(in + (i < blocks ? i : 0) * block, lane);
  bool good = tile_scale(of[0], &plan, lane, top, scales, inverse[0]);
  for (unsigned turn = 0, at = 0; blocks >= TILE; turn ^= 1, blocks -= TILE, in += wide, codes += narrow, scales += TILE) {
    const bool now = good;
    const uint8_t *later = blocks >= 4 * TILE ? in + 3 * wide : in;
    __m256i *collected = of[at];
    at = at == 2 ? 0 : at + 1;
    if (blocks >= 2 * TILE) good = tile_scale(of[at], &plan, lane, top, scales + TILE, inverse[turn ^ 1]);
    if (stream) tile_codes(in, inverse[turn], table, codes, later, collected, lane, e, m, top, true);
    else tile_codes(in, inverse[turn], table, codes, later, collected, lane, e, m, top, false);
    if (now) continue;
    if (stream) _mm_sfence();
    bad += rest(in, TILE, codes, scales, recipe);
  }
  if (stream) _mm_sfence();
  return bad + rest(in, blocks, codes, scales, recipe);
}

#endif
