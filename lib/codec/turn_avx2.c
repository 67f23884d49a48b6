/* SPDX-License-Identifier: MIT */
/* Turning with AVX2, whose flags the functions carry themselves: the file holds nothing else. Two lines are in the halves of a register from the start. */
#include "lib/codec/turn_each.h"

#if !defined(__x86_64__) || !defined(__GNUC__)
const struct mxq_turns mxq_turns_avx2 = {{{0}}};
#else
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline AVX2 __attribute__((always_inline))
#define TURN_WORD static AVX2

INLINE __m256i halves(const uint8_t *a, const uint8_t *b) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)a)), _mm_loadu_si128((const void *)b), 1);
}
INLINE void put(uint8_t *p, __m256i x) { _mm256_storeu_si256((void *)p, x); }

/* Eight lines of four. */
INLINE void eight_by_four(const uint8_t *src, size_t step, uint8_t *dst, size_t dst_step) {
  const uint8_t *low = src + 4 * step;
  __m256i a = halves(src, low), b = halves(src + step, low + step), c = halves(src + 2 * step, low + 2 * step), d = halves(src + 3 * step, low + 3 * step);
  __m256i e = _mm256_unpacklo_epi32(a, b), f = _mm256_unpackhi_epi32(a, b), g = _mm256_unpacklo_epi32(c, d), h = _mm256_unpackhi_epi32(c, d);
  put(dst, _mm256_unpacklo_epi64(e, g));
  put(dst + dst_step, _mm256_unpackhi_epi64(e, g));
  put(dst + 2 * dst_step, _mm256_unpacklo_epi64(f, h));
  put(dst + 3 * dst_step, _mm256_unpackhi_epi64(f, h));
}

/* Sixteen lines of eight. */
INLINE void sixteen_by_eight(const uint8_t *src, size_t step, uint8_t *dst, size_t dst_step) {
  __m256i x[8], y[8];
  UNROLL
  for (int i = 0; i < 8; i++) x[i] = halves(src + (size_t)i * step, src + (size_t)(i + 8) * step);
  UNROLL
  for (int i = 0; i < 4; i++) {
    y[2 * i] = _mm256_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
    y[2 * i + 1] = _mm256_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
  }
  UNROLL
  for (int i = 0; i < 8; i += 4)
    UNROLL
    for (int h = 0; h < 2; h++) {
      x[i + 2 * h] = _mm256_unpacklo_epi32(y[i + h], y[i + 2 + h]);
      x[i + 2 * h + 1] = _mm256_unpackhi_epi32(y[i + h], y[i + 2 + h]);
    }
  UNROLL
  for (int i = 0; i < 4; i++) {
    put(dst + (size_t)(2 * i) * dst_step, _mm256_unpacklo_epi64(x[i], x[i + 4]));
    put(dst + (size_t)(2 * i + 1) * dst_step, _mm256_unpackhi_epi64(x[i], x[i + 4]));
  }
}

#define TURN_NAME turn_4
#define TURN_SCALAR 4
#define TURN_LINES 8
#define TURN_COLUMNS 4
#define TURN_KERNEL eight_by_four
#include "lib/codec/turn_loops.h"

#define TURN_NAME turn_2
#define TURN_SCALAR 2
#define TURN_LINES 16
#define TURN_COLUMNS 8
#define TURN_KERNEL sixteen_by_eight
#include "lib/codec/turn_loops.h"

const struct mxq_turns mxq_turns_avx2 = {{{turn_2_along, turn_2_down}, {turn_4_along, turn_4_down}}};
#endif
