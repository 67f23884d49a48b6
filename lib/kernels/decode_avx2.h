/* SPDX-License-Identifier: MIT */
/* Decoders in AVX2 and F16C: a block is four vectors of 8 f32, which all lanes are made from. */
#ifndef MXQ_KERNELS_DECODE_AVX2_H
#define MXQ_KERNELS_DECODE_AVX2_H

#include <immintrin.h>
#include "lib/kernels/decode_tables.h"

struct four {
  __m256 y[4];
};

/*
 * Types with sign and exponent become f16 with their exponent in the low bits of f16's, which the hardware widens, subnormals too; `up` is
 * what the biases differ by. It goes into the scale, unless that left f32.
 */
WORD void widen_256(__m256i h, __m256 *y) {
  y[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(h));
  y[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1));
}

WORD void times_256(struct four *r, int b, int n) {
  __m256 scale = _mm256_castsi256_ps(_mm256_set1_epi32((int)scale_bits[b])), up = _mm256_castsi256_ps(_mm256_set1_epi32((127 + n) << 23));
  if (n > 0 && __builtin_expect(scale_may_grow(b, n), 1)) scale = _mm256_mul_ps(scale, up);
  else if (n > 0)
    for (int i = 0; i < 4; i++) r->y[i] = _mm256_mul_ps(r->y[i], up);
  for (int i = 0; i < 4; i++) r->y[i] = _mm256_mul_ps(r->y[i], scale);
}

/* 16 codes of six bits that begin at byte `skip` of 16: the two bytes that a code touches, moved up until its sign is bit 15. */
WORD __m256i sixes_256(const uint8_t *p, int skip) {
  const __m256i bytes = _mm256_setr_epi8(0, 1, 0, 1, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 5, 6, 6, 7, 6, 7, 7, 8, 8, 9, 9, 10, 9, 10, 10, 11, 11, 12);
  const __m256i up = _mm256_setr_epi16(1 << 10, 1 << 4, 1 << 6, 1 << 8, 1 << 10, 1 << 4, 1 << 6, 1 << 8, 1 << 10, 1 << 4, 1 << 6, 1 << 8,
                                       1 << 10, 1 << 4, 1 << 6, 1 << 8);
  __m256i x = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
  x = _mm256_shuffle_epi8(x, _mm256_add_epi8(bytes, _mm256_set1_epi8((char)skip)));
  return _mm256_mullo_epi16(x, up);
}

WORD struct four values_256(const uint8_t *codes, int b, int e_bits, int m, int top) {
  const __m256 scale = _mm256_castsi256_ps(_mm256_set1_epi32((int)scale_bits[b]));
  const int n = 15 - MXQ_EL_BIAS(e_bits);
  struct four r;
  if (m == 1) { /* vpermps takes three bits of an index; NaN has no sign */
    const __m256i down = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28), to_top = _mm256_setr_epi32(28, 24, 20, 16, 12, 8, 4, 0);
    const __m256 table = _mm256_mul_ps(_mm256_load_ps(magnitudes_e2m1), scale);
    const __m256 sign = _mm256_andnot_ps(_mm256_cmp_ps(scale, scale, _CMP_UNORD_Q), _mm256_set1_ps(-0.0f));
    for (int i = 0; i < 4; i++) {
      __m256i x = _mm256_set1_epi32((int)mxq_get32(codes + 4 * i));
      __m256 s = _mm256_and_ps(_mm256_castsi256_ps(_mm256_sllv_epi32(x, to_top)), sign);
      r.y[i] = _mm256_or_ps(_mm256_permutevar8x32_ps(table, _mm256_srlv_epi32(x, down)), s);
    }
  } else if (top == MXQ_TOP_FINITE) {
    const __m256i keep = _mm256_set1_epi16((short)(0x8000 | 31 << (10 - m)));
    widen_256(_mm256_and_si256(_mm256_srai_epi16(sixes_256(codes, 0), m), keep), r.y);
    widen_256(_mm256_and_si256(_mm256_srai_epi16(sixes_256(codes + 8, 4), m), keep), r.y + 2); /* a block has 24 bytes */
    times_256(&r, b, n);
  } else if (top == MXQ_TOP_INTEGER) {
    const __m256 s = _mm256_mul_ps(scale, _mm256_set1_ps(1.0f / 64)); /* exact, also as a subnormal */
    for (int i = 0; i < 4; i++)
      r.y[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(codes + 8 * i)))), s);
  } else if (top == MXQ_TOP_IEEE) {
    __m256i c = v_load(codes), magnitude = _mm256_and_si256(c, _mm256_set1_epi8(0x7f));
    c = _mm256_blendv_epi8(c, _mm256_set1_epi8(0x7e), _mm256_cmpgt_epi8(magnitude, _mm256_set1_epi8(0x7c))); /* the one NaN */
    for (int i = 0; i < 2; i++) {
      __m128i half = i ? _mm256_extracti128_si256(c, 1) : _mm256_castsi256_si128(c);
      widen_256(_mm256_slli_epi16(_mm256_cvtepu8_epi16(half), 8), r.y + 2 * i);
    }
    times_256(&r, b, n);
  } else {
    __m256i c = v_load(codes), nan = _mm256_cmpeq_epi8(_mm256_or_si256(c, _mm256_set1_epi8((char)0x80)), _mm256_set1_epi8(-1));
    for (int i = 0; i < 2; i++) {
      __m256i h = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(codes + 16 * i)));
      widen_256(_mm256_and_si256(_mm256_slli_epi16(h, 7), _mm256_set1_epi16((short)0xbf80)), r.y + 2 * i);
    }
    times_256(&r, b, n);
    if (__builtin_expect(!_mm256_testz_si256(nan, nan), 0)) {
      uint8_t is_nan[32] __attribute__((aligned(32)));
      _mm256_store_si256((__m256i *)(void *)is_nan, nan);
      for (int i = 0; i < 4; i++) {
        __m256i n = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(is_nan + 8 * i)));
        r.y[i] = _mm256_blendv_ps(r.y[i], _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)), _mm256_castsi256_ps(n));
      }
    }
  }
  return r;
}

WORD void put_256(uint8_t *out, __m256i v, bool past) {
  if (past) _mm256_stream_si256((__m256i *)(void *)out, v);
  else v_store(out, v);
}

/* Rounds one by one, and counts. */
static size_t __attribute__((noinline, unused)) store_odd_256(const struct four *r, uint8_t *out, bool f16) {
  float y[32] __attribute__((aligned(32)));
  for (int i = 0; i < 4; i++) _mm256_store_ps(y + 8 * i, r->y[i]);
  return f16 ? store_f16(out, y) : store_bf16(out, y);
}

WORD size_t decode_256(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top,
                       enum mxq_lane lane, bool past) {
  const size_t code_bytes = top == MXQ_TOP_FINITE ? 4 * (size_t)(1 + e_bits + m) : 32;
  size_t lost = 0;
  for (size_t i = 0; i < blocks; i++, codes += code_bytes, out += lane == MXQ_LANE_F32 ? 128 : 64) {
    const int b = scales[i];
    struct four r = values_256(codes, b, e_bits, m, top);
    if (lane == MXQ_LANE_F32) {
      for (int j = 0; j < 4; j++) put_256(out + 32 * j, _mm256_castps_si256(r.y[j]), past);
    } else if (lane == MXQ_LANE_BF16) {
      if (__builtin_expect(!plain_bf16(b, e_bits, m), 0)) {
        lost += store_odd_256(&r, out, false);
        continue;
      }
      for (int j = 0; j < 2; j++) {
        __m256i low = _mm256_srli_epi32(_mm256_castps_si256(r.y[2 * j]), 16), high = _mm256_srli_epi32(_mm256_castps_si256(r.y[2 * j + 1]), 16);
        put_256(out + 32 * j, _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8), past);
      }
    } else {
      if (__builtin_expect(!plain_f16(b, e_bits, top), 0)) {
        lost += store_odd_256(&r, out, true);
        continue;
      }
      for (int j = 0; j < 2; j++) {
        __m128i low = _mm256_cvtps_ph(r.y[2 * j], _MM_FROUND_TO_NEAREST_INT), high = _mm256_cvtps_ph(r.y[2 * j + 1], _MM_FROUND_TO_NEAREST_INT);
        put_256(out + 32 * j, _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), past);
      }
    }
  }
  return lost;
}

WORD size_t decode_run(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane) {
  return decode_256(codes, scales, blocks, out, e_bits, m, top, lane, false);
}

/* Past the caches, where vectors begin at a multiple of their size. */
WORD size_t decode_past(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out, int e_bits, int m, int top, enum mxq_lane lane,
                        decode_run_fn *run) {
  if ((uintptr_t)out % 32) return run(codes, scales, blocks, out);
  size_t lost = decode_256(codes, scales, blocks, out, e_bits, m, top, lane, true);
  _mm_sfence();
  return lost;
}

#define MXQ_OPS_DECODE
#endif
