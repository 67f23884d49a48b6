/* SPDX-License-Identifier: MIT */
/* Words of the template in AVX2 (and F16C): the same arithmetic as its own, eight lanes at a time. */
#ifndef MXQ_KERNELS_OPS_AVX2_H
#define MXQ_KERNELS_OPS_AVX2_H

#include <immintrin.h>
#include "lib/base/bytes.h"
#include "lib/kernels/scale.h"

#define WORD static inline __attribute__((always_inline, unused))

WORD __m256i v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
/* Blocks until codes begin at a cache line; 8: never. */
WORD size_t blocks_to_a_line(const uint8_t *codes, size_t block) {
  size_t n = 0;
  while (n < 8 && ((uintptr_t)codes + n * block) % 64 != 0) n++;
  return n;
}
WORD void v_store(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }
/* A loop that is not to be unrolled: the prefetchers of the first cache learn from the address of an instruction. */
#if defined(__clang__)
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif

/*
 * Fetches ahead what lies after p. A processor drops such a wish while too many lines are on their way, and a kernel faster than the memory
 * makes too many: so every line has two or four chances, the last one (into the first cache) near enough to be of use. One chance gives two thirds
 * of the speed of reading, four give nine tenths.
 */
WORD void fetch_ahead(const uint8_t *p, size_t bytes, int chances) {
  for (size_t i = 0; i < bytes; i += 64) {
    const uintptr_t line = (uintptr_t)p + i; /* which may lie behind the buffer */
    if (chances > 2) _mm_prefetch((const char *)(line + 32768), _MM_HINT_T1);
    _mm_prefetch((const char *)(line + 24576), _MM_HINT_T1);
    _mm_prefetch((const char *)(line + 16384), _MM_HINT_T1);
    if (chances > 2) _mm_prefetch((const char *)(line + 8192), _MM_HINT_T0);
  }
}

/* Four vectors of eight 32-bit numbers 0...255 to 32 bytes in order. */
WORD __m256i v_narrow(__m256i a, __m256i b, __m256i c, __m256i d) {
  __m256i w = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  return _mm256_permutevar8x32_epi32(w, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

#define MXQ_OPS_LARGEST
WORD uint32_t largest(const uint32_t u[32]) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i m = _mm256_and_si256(v_load(u), mask);
  for (int i = 8; i < 32; i += 8) m = _mm256_max_epi32(m, _mm256_and_si256(v_load(u + i), mask));
  __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4e));
  h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(h);
}

#define MXQ_OPS_QUANTIZE
WORD void quantize(const uint32_t u[32], int b, int e_bits, int m, int top, uint8_t c[32]) {
  const __m256 inverse = _mm256_set1_ps(mxq_pow2_of_byte(254 - b)), max = _mm256_set1_ps(MXQ_EL_MAX(e_bits, m, top));
  const __m256i emin = _mm256_set1_epi32((127 + MXQ_EL_EMIN(e_bits)) << 23), magnitude = _mm256_set1_epi32(0x7fffffff);
  const __m256i up = _mm256_set1_epi32((23 - m) << 23), exponent = _mm256_set1_epi32(0x7f800000);
  __m256i q[4];
  for (int i = 0; i < 4; i++) {
    __m256i x = v_load(u + 8 * i);
    __m256 y = _mm256_min_ps(_mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(x, magnitude)), inverse), max);
    __m256i e = emin;
    if (top != MXQ_TOP_INTEGER) e = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(y), exponent), emin);
    __m256i magic = _mm256_add_epi32(e, up);
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(_mm256_add_ps(y, _mm256_castsi256_ps(magic))), magic);
    if (top == MXQ_TOP_INTEGER) {
      q[i] = _mm256_sign_epi32(n, _mm256_or_si256(x, _mm256_set1_epi32(1)));
      q[i] = _mm256_and_si256(q[i], _mm256_set1_epi32(255));
    } else {
      n = _mm256_add_epi32(n, _mm256_srli_epi32(_mm256_sub_epi32(e, emin), 23 - m));
      q[i] = _mm256_or_si256(n, _mm256_slli_epi32(_mm256_srli_epi32(x, 31), e_bits + m));
    }
  }
  v_store(c, v_narrow(q[0], q[1], q[2], q[3]));
}

#define MXQ_OPS_PACK
WORD void pack4(const uint8_t c[32], uint8_t *out) {
  __m256i w = _mm256_maddubs_epi16(v_load(c), _mm256_set1_epi16(0x1001)); /* low + 16 * high */
  w = _mm256_permute4x64_epi64(_mm256_packus_epi16(w, w), 0x08);
  _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(w));
}

WORD void pack6(const uint8_t c[32], uint8_t *out) {
  __m256i w = _mm256_maddubs_epi16(v_load(c), _mm256_set1_epi16(0x4001));
  w = _mm256_madd_epi16(w, _mm256_set1_epi32(0x10000001)); /* 24 bits in each 32 */
  w = _mm256_shuffle_epi8(w, _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13,
                                              14, -1, -1, -1, -1));
  w = _mm256_permutevar8x32_epi32(w, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
  _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(w));
  _mm_storel_epi64((__m128i *)(out + 16), _mm256_extracti128_si256(w, 1));
}

#define MXQ_OPS_VALUES
WORD void values(const uint8_t c[32], float scale, int e_bits, int m, int top, float y[32]) {
  const __m256 s = _mm256_set1_ps(scale), nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  for (int i = 0; i < 32; i += 8) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(c + i));
    if (top == MXQ_TOP_INTEGER) {
      __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_set1_ps(1.0f / (float)(1 << m)));
      _mm256_storeu_ps(y + i, _mm256_mul_ps(v, s));
      continue;
    }
    __m256i k = _mm256_cvtepu8_epi32(bytes);
    const __m256i last = _mm256_set1_epi32(((1 << (e_bits + m)) - 1) << (23 - m)), special = _mm256_set1_epi32(((1 << e_bits) - 1) << 23);
    __m256i a = _mm256_and_si256(_mm256_slli_epi32(k, 23 - m), last);
    __m256 sign = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_srli_epi32(k, e_bits + m), 31));
    __m256 up = _mm256_castsi256_ps(_mm256_set1_epi32((254 - MXQ_EL_BIAS(e_bits)) << 23));
    __m256 v = _mm256_or_ps(_mm256_mul_ps(_mm256_mul_ps(_mm256_castsi256_ps(a), up), s), sign);
    if (top == MXQ_TOP_NAN) v = _mm256_blendv_ps(v, nan, _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, last)));
    if (top == MXQ_TOP_IEEE) {
      __m256 inf = _mm256_or_ps(_mm256_castsi256_ps(_mm256_set1_epi32(0x7f800000)), sign);
      v = _mm256_blendv_ps(v, inf, _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, special)));
      v = _mm256_blendv_ps(v, nan, _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, special)));
    }
    _mm256_storeu_ps(y + i, v);
  }
}

/* Copies as wide as the loads that follow: a memcpy in narrower parts would stall them. */
#define MXQ_OPS_F32
WORD void load_f32(const uint8_t *p, uint32_t u[32]) {
  for (int i = 0; i < 32; i += 8) v_store(u + i, v_load(p + 4 * i));
}
WORD size_t store_f32(uint8_t *p, const float y[32]) {
  for (int i = 0; i < 32; i += 8) v_store(p + 4 * i, v_load(y + i));
  return 0;
}

#define MXQ_OPS_LOAD_BF16
WORD void load_bf16(const uint8_t *p, uint32_t u[32]) {
  for (int i = 0; i < 32; i += 8)
    v_store(u + i, _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 2 * i))), 16));
}

#define MXQ_OPS_STORE_BF16
WORD size_t store_bf16(uint8_t *p, const float y[32]) {
  const __m256i one = _mm256_set1_epi32(1), magnitude = _mm256_set1_epi32(0x7fff), inf = _mm256_set1_epi32(0x7f80);
  __m256i lost = _mm256_setzero_si256(), h[4];
  for (int i = 0; i < 4; i++) {
    __m256i u = v_load(y + 8 * i);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), one);
    h[i] = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, magnitude), odd), 16);
    __m256i now = _mm256_cmpeq_epi32(_mm256_and_si256(h[i], magnitude), inf);
    __m256i before = _mm256_cmpeq_epi32(_mm256_slli_epi32(u, 1), _mm256_set1_epi32((int)0xff000000));
    lost = _mm256_sub_epi32(lost, _mm256_andnot_si256(before, now));
  }
  v_store(p, _mm256_permute4x64_epi64(_mm256_packus_epi32(h[0], h[1]), 0xd8));
  v_store(p + 32, _mm256_permute4x64_epi64(_mm256_packus_epi32(h[2], h[3]), 0xd8));
  if (_mm256_testz_si256(lost, lost)) return 0;
  uint32_t each[8];
  size_t sum = 0;
  v_store(each, lost);
  for (int i = 0; i < 8; i++) sum += each[i];
  return sum;
}

#define MXQ_OPS_MEASURE
WORD uint32_t top_magnitude(const float x[32]) {
  uint32_t u[32] __attribute__((aligned(32)));
  for (int i = 0; i < 32; i += 8) v_store(u + i, v_load(x + i));
  return largest(u);
}

WORD void sum_block(const float x[32], const float y[32], float most, float inverse, struct sums *sums) {
  const __m256 s = _mm256_set1_ps(inverse), limit = _mm256_set1_ps(most), sign = _mm256_set1_ps(-0.0f), zero = _mm256_setzero_ps();
  __m256 signal = zero, noise = zero;
  unsigned clipped = 0, zeroed = 0;
  for (int i = 0; i < 32; i += 8) {
    __m256 v = _mm256_loadu_ps(x + i), w = _mm256_loadu_ps(y + i), a = _mm256_mul_ps(v, s), d = _mm256_sub_ps(a, _mm256_mul_ps(w, s));
    signal = _mm256_add_ps(signal, _mm256_mul_ps(a, a));
    noise = _mm256_add_ps(noise, _mm256_mul_ps(d, d));
    __m256 over = _mm256_cmp_ps(_mm256_andnot_ps(sign, a), limit, _CMP_GT_OQ);
    __m256 gone = _mm256_andnot_ps(_mm256_cmp_ps(v, zero, _CMP_EQ_OQ), _mm256_cmp_ps(w, zero, _CMP_EQ_OQ));
    clipped += (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(over));
    zeroed += (unsigned)__builtin_popcount((unsigned)_mm256_movemask_ps(gone));
  }
  _mm256_storeu_ps(sums->signal, signal);
  _mm256_storeu_ps(sums->noise, noise);
  sums->clipped = clipped;
  sums->zeroed = zeroed;
}

#if defined(__AVX512F__) || defined(__F16C__)
#ifdef __AVX512F__ /* has these conversions itself */
WORD void v_widen_f16(const uint8_t *p, void *to) { _mm512_storeu_ps(to, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))); }
WORD __m256i v_narrow_f16(const float *y) { return _mm512_cvtps_ph(_mm512_loadu_ps(y), _MM_FROUND_TO_NEAREST_INT); }
#else
WORD void v_widen_f16(const uint8_t *p, void *to) {
  _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)));
  _mm256_storeu_ps((float *)to + 8, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 16))));
}
WORD __m256i v_narrow_f16(const float *y) {
  __m128i a = _mm256_cvtps_ph(_mm256_loadu_ps(y), _MM_FROUND_TO_NEAREST_INT);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(a), _mm256_cvtps_ph(_mm256_loadu_ps(y + 8), _MM_FROUND_TO_NEAREST_INT), 1);
}
#endif

#define MXQ_OPS_LOAD_F16
WORD void load_f16(const uint8_t *p, uint32_t u[32]) {
  v_widen_f16(p, u);
  v_widen_f16(p + 32, u + 16);
}

#define MXQ_OPS_STORE_F16
WORD size_t store_f16(uint8_t *p, const float y[32]) {
  const __m256i magnitude = _mm256_set1_epi16(0x7fff), inf = _mm256_set1_epi16(0x7c00);
  size_t lost = 0;
  for (int i = 0; i < 32; i += 16) {
    __m256i h = v_narrow_f16(y + i), now = _mm256_cmpeq_epi16(_mm256_and_si256(h, magnitude), inf);
    v_store(p + 2 * i, h);
    if (_mm256_testz_si256(now, now)) continue;
    for (int j = 0; j < 16; j++) {
      uint32_t u;
      memcpy(&u, y + i + j, 4);
      lost += (mxq_get16(p + 2 * (i + j)) & 0x7fff) == 0x7c00 && (u & 0x7fffffff) != 0x7f800000;
    }
  }
  return lost;
}
#endif

#endif
