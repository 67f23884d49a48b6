/* SPDX-License-Identifier: MIT */
/*
 * Encoding in tiles of 16 blocks, 512 bits at a time: while the codes of one tile are made, the largest magnitudes of the blocks three
 * tiles later are collected, and the scales of the next one made from those collected before, so that nothing waits for them. What a tile cannot
 * hold (NaN, Inf, the smallest scales, MSE) goes block by block through the template.
 *
 * The loop over a tile is not unrolled: the prefetchers of the first cache learn from the address of an instruction, and of many loads
 * a tile apart they learn nothing (a third of the speed from memory was lost to that).
 */
#ifndef MXQ_KERNELS_ENCODE_AVX512_H
#define MXQ_KERNELS_ENCODE_AVX512_H

#include "lib/kernels/codes_avx512.h"
#if TILE_BYTES
#include "lib/kernels/codes_avx512vbmi.h"
#endif

/* Codes of two blocks, a byte each, in order. */
TILE_WORD __m512i codes_of_two(const uint8_t *p, const struct tile_scales *t, int i, const uint32_t *table, enum mxq_lane lane, int e, int m, int top,
                               __m512i *seen) {
  (void)seen;
  if (top == MXQ_TOP_INTEGER) return integers_of_two(p, t, i, lane);
#if TILE_BYTES
  if (lane == MXQ_LANE_BF16) return codes_of_bf16(p, t, i, e, m, top);
  return gathered_codes(p, t, i, table, lane, e, m, top, seen);
#else
  return floats_of_two(p, t, i, table, lane, e, m, top);
#endif
}

/* Four blocks of E2M1 to a line. */
TILE_WORD __m512i nibbles_of_four(const uint8_t *p, const struct tile_scales *t, int i, enum mxq_lane lane) {
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64;
  __m512i a, b;
  if (lane != MXQ_LANE_BF16) { /* word 4 * which + v of lane L: 4 codes of sixteen number v */
    const __m512i order = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24,
                                           16, 8, 0);
    a = _mm512_packus_epi16(nibbles_of_two(p, t, i, lane), nibbles_of_two(p + 2 * block, t, i + 2, lane));
    return _mm512_permutexvar_epi16(order, a);
  }
#if TILE_BYTES
  const __m512i together = _mm512_set1_epi16(0x1001);
  a = _mm512_maddubs_epi16(codes_of_bf16(p, t, i, 2, 1, MXQ_TOP_FINITE), together);
  b = _mm512_maddubs_epi16(codes_of_bf16(p + 128, t, i + 2, 2, 1, MXQ_TOP_FINITE), together);
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_packus_epi16(a, b));
#else
  a = _mm512_packus_epi32(nibbles_of_bf16(p, t, i), nibbles_of_bf16(p + 64, t, i + 1));
  b = _mm512_packus_epi32(nibbles_of_bf16(p + 128, t, i + 2), nibbles_of_bf16(p + 192, t, i + 3));
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), _mm512_packus_epi16(a, b));
#endif
}

/* 64 codes to three of each four bytes. */
TILE_WORD __m512i sixes_of(__m512i code) {
  code = _mm512_maddubs_epi16(code, _mm512_set1_epi16(0x4001));
  code = _mm512_madd_epi16(code, _mm512_set1_epi32(0x10000001));
#if !TILE_BYTES
  code = _mm512_shuffle_epi8(code, CONTROL(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)); /* three of each four dwords */
#endif
  return code;
}
/* Line 0, 1 or 2 of the three that sixes_of four times 64 codes fill: of two that follow one another. */
TILE_WORD __m512i line_of_sixes(int line, __m512i a, __m512i b) {
#if TILE_BYTES
  return _mm512_permutex2var_epi8(a, z_load(tile_threes[line]), b);
#else
  static const uint32_t order[3][16] = {{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20},
                                        {5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25},
                                        {10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30}};
  return _mm512_permutex2var_epi32(a, z_load(order[line]), b);
#endif
}

TILE_WORD void put_line(uint8_t *p, __m512i v, bool stream) {
  if (stream) _mm512_stream_si512((void *)p, v);
  else _mm512_storeu_si512(p, v);
}

/* block_amax of n blocks that are read from memory here, and what lies further on is fetched. */
TILE_WORD void first_touch(const uint8_t *in, const uint8_t *later, __m512i *of, int k, int n, enum mxq_lane lane, bool careless, int chances) {
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64;
  fetch_ahead(in + (size_t)k * block, (size_t)n * block, chances);
  for (int i = k; i < k + n; i++) of[i] = block_amax(later + (size_t)i * block, lane, careless);
}

/* The codes of a tile; `of`: block_amax of the blocks from `later` on. True when NaN was seen. All but pointers are constants here. */
TILE_WORD bool tile_codes(const uint8_t *in, const struct tile_scales *t, const uint32_t *table, uint8_t *codes, const uint8_t *later, __m512i *of,
                          enum mxq_lane lane, int e, int m, int top, bool careless, bool stream) {
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64, bits = (size_t)MXQ_EL_BITS(e, m, top);
  const int step = bits == 8 ? 2 : bits == 4 ? 4 : 8;
  __m512i seen = _mm512_setzero_si512();
  ROLLED
  for (int i = 0; i < TILE; i += step, later += (size_t)step * block, in += (size_t)step * block, codes += (size_t)step * 4 * bits) {
    if (bits == 6) {
      ROLLED
      for (int k = 0; k < step; k += 2) first_touch(in, later, of + i, k, 2, lane, careless, 2);
    } else {
      first_touch(in, later, of + i, 0, step, lane, careless, 4);
    }
#define TWO(n) codes_of_two(in + 2 * (n) * block, t, i + 2 * (n), table, lane, e, m, top, &seen)
    if (bits == 4) {
      put_line(codes, nibbles_of_four(in, t, i, lane), stream);
    } else if (bits == 8) {
      put_line(codes, TWO(0), stream);
    } else {
      __m512i a = sixes_of(TWO(0)), b = sixes_of(TWO(1)), c;
      put_line(codes, line_of_sixes(0, a, b), stream);
      c = sixes_of(TWO(2));
      put_line(codes + 64, line_of_sixes(1, b, c), stream);
      put_line(codes + 128, line_of_sixes(2, c, sixes_of(TWO(3))), stream);
    }
#undef TWO
  }
#if TILE_BYTES
  if (careless) return _mm512_test_epi8_mask(seen, _mm512_set1_epi8(NAN_SEEN)) != 0;
#endif
  return false;
}

/* The encoder of plain recipes; `rest` does the same block by block. */
#define MXQ_OPS_TILES
TILE_WORD size_t encode_tiles(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe, enum mxq_lane lane,
                              int e, int m, int top, mxq_encode_fn *rest) {
  const struct mxq_scale_plan plan = recipe->plan;
  const size_t block = lane == MXQ_LANE_F32 ? 128 : 64, wide = TILE * block, narrow = TILE * 4 * (size_t)MXQ_EL_BITS(e, m, top);
  const size_t lead = recipe->stream ? blocks_to_a_line(codes, narrow / TILE) : 8;
  const bool stream = lead < 8, careless = TILE_BYTES && lane == MXQ_LANE_F32 && top != MXQ_TOP_INTEGER && m != 1;
  const uint8_t *in = src;
  uint32_t table[64] __attribute__((aligned(64)));
  struct tile_scales t[2] __attribute__((aligned(64))) = {0};
  __m512i of[3][TILE];
  size_t bad = 0;
  if (plan.mse || blocks < TILE + (stream ? 8 : 0)) return rest(src, blocks, codes, scales, recipe);
  if (stream) {
    bad = rest(in, lead, codes, scales, recipe);
    in += lead * block;
    codes += lead * (narrow / TILE);
    scales += lead;
    blocks -= lead;
  }
  if (top != MXQ_TOP_INTEGER) tile_table(table, e, m);
  for (size_t i = 0; i < 3 * TILE; i++) of[i / TILE][i % TILE] = block_amax(in + (i < blocks ? i : 0) * block, lane, careless);
  bool good = tile_scale(tile_amax(of[0], lane), &plan, lane, e, m, top, scales, &t[0]);
  for (unsigned turn = 0, at = 0; blocks >= TILE; turn ^= 1, blocks -= TILE, in += wide, codes += narrow, scales += TILE) {
    const bool now = good;
    const uint8_t *later = blocks >= 4 * TILE ? in + 3 * wide : in;
    __m512i *collected = of[at];
    at = at == 2 ? 0 : at + 1;
    if (blocks >= 2 * TILE) good = tile_scale(tile_amax(of[at], lane), &plan, lane, e, m, top, scales + TILE, &t[turn ^ 1]);
    bool seen = stream ? tile_codes(in, &t[turn], table, codes, later, collected, lane, e, m, top, careless, true)
                       : tile_codes(in, &t[turn], table, codes, later, collected, lane, e, m, top, careless, false);
    if (now && !seen) continue;
    if (stream) _mm_sfence();
    bad += rest(in, TILE, codes, scales, recipe);
  }
  if (stream) _mm_sfence();
  return bad + rest(in, blocks, codes, scales, recipe);
}

#endif
