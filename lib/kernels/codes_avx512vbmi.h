/* SPDX-License-Identifier: MIT */
/* Codes of tiles with tables of bytes (VBMI): of f32 and f16 by the same addition as in codes_avx512.h, of bf16 from its bits. */
#ifndef MXQ_KERNELS_CODES_AVX512VBMI_H
#define MXQ_KERNELS_CODES_AVX512VBMI_H

#include "lib/kernels/codes_avx512.h"

#define ROW8(f, n) f(n), f(n + 1), f(n + 2), f(n + 3), f(n + 4), f(n + 5), f(n + 6), f(n + 7)
#define ROW32(f, n) ROW8(f, (n)), ROW8(f, (n) + 8), ROW8(f, (n) + 16), ROW8(f, (n) + 24)
#define ROW128(f) {ROW32(f, 0), ROW32(f, 32), ROW32(f, 64), ROW32(f, 96)}

TILE_WORD __m512i byte_of(const uint8_t table[128], __m512i at) { return _mm512_permutex2var_epi8(z_load(table), at, z_load(table + 64)); }

/* ---- f32 and f16 -------------------------------------------------------------------------------------------------------- */

/* 16 scalars: the lowest byte of each lane is the code without its sign, the top bit the sign; another bit shows NaN. */
enum { NAN_SEEN = 0x20 }; /* in the highest byte: no M has this bit of the exponent */
TILE_WORD __m512i signed_code_of(__m512i x, const struct tile_block *b, int e, int m) {
  __m512i magic;
  if (TILE_LINEAR(e)) { /* the exponent E of x, at least emin's: M is E << 23 | E << m, and what the block adds; its sign and bit 31 >> (23 - m) are x's */
    magic = _mm512_castps_si512(_mm512_range_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(b->low), 0x03));
    magic = _mm512_and_si512(magic, _mm512_set1_epi32((int)0xff800000));
    magic = _mm512_add_epi32(_mm512_add_epi32(magic, _mm512_srli_epi32(magic, (unsigned)(23 - m))), _mm512_castps_si512(b->table));
  } else {
    magic = _mm512_castps_si512(_mm512_permutexvar_ps(_mm512_srli_epi32(larger(x, b->low), 23), b->table));
    magic = _mm512_ternarylogic_epi32(magic, x, _mm512_set1_epi32(INT32_MIN), 0xf8); /* x's sign */
  }
  return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(x), b->inverse, _mm512_castsi512_ps(magic)));
}

/* Lowest bytes of the first sixteen and the second, then the highest; and the other way round. */
#define LOW_HIGH(n) ((n) < 32 ? 4 * (n) : 4 * ((n) - 32) + 3)
static const uint8_t tile_low_high[64] = {ROW32(LOW_HIGH, 0), ROW32(LOW_HIGH, 32)};
#define HIGH_LOW(n) ((n) < 32 ? 4 * (n) + 3 : 4 * ((n) - 32))
static const uint8_t tile_high_low[64] = {ROW32(HIGH_LOW, 0), ROW32(HIGH_LOW, 32)};

TILE_WORD struct tile_pair halves_of(const uint8_t *p, enum mxq_lane lane) {
  if (lane == MXQ_LANE_F32) return (struct tile_pair){z_load_once(p), z_load_once(p + 64)};
  return widen_block(p, lane);
}
/* Codes of two blocks, in order; *seen collects highest bytes. */
TILE_WORD __m512i gathered_codes(const uint8_t *p, const struct tile_scales *t, int i, const uint32_t *table, enum mxq_lane lane, int e, int m,
                                 int top, __m512i *seen) {
  struct tile_pair x = halves_of(p, lane), y = halves_of(p + (lane == MXQ_LANE_F32 ? 128 : 64), lane);
  struct tile_block b = block_of(t, i, table, e);
  __m512i first = _mm512_permutex2var_epi8(signed_code_of(x.first, &b, e, m), z_load(tile_low_high), signed_code_of(x.second, &b, e, m));
  b = block_of(t, i + 1, table, e);
  __m512i second = _mm512_permutex2var_epi8(signed_code_of(y.first, &b, e, m), z_load(tile_high_low), signed_code_of(y.second, &b, e, m));
  __m512i code = _mm512_mask_blend_epi64(0xf0, first, second), sign = _mm512_alignr_epi64(second, first, 4);
  *seen = _mm512_or_si512(*seen, sign);
  if (e + m < 7) sign = _mm512_srli_epi16(sign, (unsigned)(7 - e - m));
  code = _mm512_min_epu8(code, _mm512_set1_epi8((char)MXQ_EL_MAX_CODE(e, m, top)));
  return _mm512_ternarylogic_epi64(code, sign, _mm512_set1_epi8((char)(1 << (e + m))), 0xf8); /* code | sign & bit */
}

/* Three of each four bytes, the first 64 of them, the next and the last, of two vectors from 48 * line on. */
#define THREES(n) ((n) / 3 * 4 + (n) % 3)
#define THREES_1(n) THREES((n) + 16)
#define THREES_2(n) THREES((n) + 32)
static const uint8_t tile_threes[3][64] = {{ROW32(THREES, 0), ROW32(THREES, 32)}, {ROW32(THREES_1, 0), ROW32(THREES_1, 32)}, {ROW32(THREES_2, 0), ROW32(THREES_2, 32)}};

/* ---- bf16 --------------------------------------------------------------------------------------------------------------- */
/*
 * Octaves: how far the exponent of x is above that of a quarter of the least step; 1 is the octave of which the upper half rounds away from
 * zero, m + 2 that of the least normal number. What the seven mantissa bits round to, and where they stand among eighths, are tables; above
 * the subnormal octaves the code is octave << m and the rounded mantissa, in them a table of octave and eighths.
 */
#define ROUNDED(n, m) (((n) + (1 << (6 - (m))) - 1 + ((n) >> (7 - (m)) & 1)) >> (7 - (m)))
#define ROUNDED_1(n) ROUNDED(n, 1)
#define ROUNDED_2(n) ROUNDED(n, 2)
#define ROUNDED_3(n) ROUNDED(n, 3)
static const uint8_t tile_rounded[4][128] = {[1] = ROW128(ROUNDED_1), [2] = ROW128(ROUNDED_2), [3] = ROW128(ROUNDED_3)};
/* floor + ceil of the eighths. */
#define EIGHTHS(n) (((n) >> 4) + (((n) + 15) >> 4))
static const uint8_t tile_eighths[128] = ROW128(EIGHTHS);

/* 16ths of a step of the value in the middle of n = octave << 4 | eighths, doubled; its code while that is subnormal. */
#define DOUBLED(n) ((16 + ((n) & 15)) << ((n) >> 4))
#define STEPS(n) ((DOUBLED(n) + 31 + (DOUBLED(n) >> 6 & 1)) >> 6)
#define SUBNORMAL(n, m) ((n) < 16 || (n) >= (m + 2) << 4 ? 0 : STEPS(n))
#define SUBNORMAL_2(n) SUBNORMAL(n, 2)
#define SUBNORMAL_3(n) SUBNORMAL(n, 3)
/* E2M1 ends before the table does: all its codes. */
#define OCTAVE_CODE(n, mantissa) ((((n) >> 4) - 2) * 2 + (mantissa))
#define E2M1_NORMAL(n) (OCTAVE_CODE(n, ((n) & 15) < 4 || ((n) & 15) == 4 ? 0 : ((n) & 15) < 12 ? 1 : 2))
#define E2M1_CODE(n) ((n) < 16 ? 0 : (n) < 48 ? STEPS(n) : E2M1_NORMAL(n) < 7 ? E2M1_NORMAL(n) : 7)
static const uint8_t tile_subnormal[4][128] = {[1] = ROW128(E2M1_CODE), [2] = ROW128(SUBNORMAL_2), [3] = ROW128(SUBNORMAL_3)};

#define EVEN_BYTE(n) (2 * (n))
#define ODD_BYTE(n) (2 * (n) + 1)
static const uint8_t tile_even_bytes[64] = {ROW32(EVEN_BYTE, 0), ROW32(EVEN_BYTE, 32)}, tile_odd_bytes[64] = {ROW32(ODD_BYTE, 0), ROW32(ODD_BYTE, 32)};

/* Codes of two blocks, in order. */
TILE_WORD __m512i codes_of_bf16(const uint8_t *p, const struct tile_scales *t, int i, int e, int m, int top) {
  const __m512i odd = z_load(tile_odd_bytes);
  __m512i x = z_load_once(p), y = z_load_once(p + 64);
  __m512i a = _mm512_subs_epu16(_mm512_add_epi16(x, x), _mm512_set1_epi32(t->low[i]));
  __m512i b = _mm512_subs_epu16(_mm512_add_epi16(y, y), _mm512_set1_epi32(t->low[i + 1]));
  __m512i octave = _mm512_permutex2var_epi8(a, odd, b), sign = _mm512_permutex2var_epi8(x, odd, y);
  __m512i mantissa = _mm512_permutex2var_epi8(x, z_load(tile_even_bytes), y); /* and a bit that the tables do not look at */
  /* The table sees three bits of the octave: what it says of a normal number is at most the least of them, so the larger one is right. */
  __m512i at = _mm512_ternarylogic_epi64(_mm512_slli_epi16(octave, 4), _mm512_set1_epi8((char)0xf0), byte_of(tile_eighths, mantissa), 0xea);
  __m512i code = byte_of(tile_subnormal[m], at);
  if (m != 1) {
    __m512i normal = _mm512_add_epi8(_mm512_slli_epi16(octave, (unsigned)m), byte_of(tile_rounded[m], mantissa));
    code = _mm512_max_epu8(code, _mm512_subs_epu8(normal, _mm512_set1_epi8((char)((m + 1) << m))));
    code = _mm512_min_epu8(code, _mm512_set1_epi8((char)MXQ_EL_MAX_CODE(e, m, top)));
  }
  if (e + m < 7) sign = _mm512_srli_epi16(sign, (unsigned)(7 - e - m));
  return _mm512_ternarylogic_epi64(code, sign, _mm512_set1_epi8((char)(1 << (e + m))), 0xf8);
}

#endif
