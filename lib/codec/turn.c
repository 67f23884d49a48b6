/* SPDX-License-Identifier: MIT */
#include "lib/codec/turn.h"

#include <mxq/cpu.h>
#include "lib/codec/turn_each.h"

#define TURN_WORD static

#if defined(__SSE2__)
#include <emmintrin.h>

static inline __m128i get(const uint8_t *p) { return _mm_loadu_si128((const void *)p); }
static inline void put(uint8_t *p, __m128i x) { _mm_storeu_si128((void *)p, x); }

static inline void four_by_four(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step) {
  __m128i a = get(src), b = get(src + src_step), c = get(src + 2 * src_step), d = get(src + 3 * src_step);
  __m128i e = _mm_unpacklo_epi32(a, b), f = _mm_unpackhi_epi32(a, b), g = _mm_unpacklo_epi32(c, d), h = _mm_unpackhi_epi32(c, d);
  put(dst, _mm_unpacklo_epi64(e, g));
  put(dst + dst_step, _mm_unpackhi_epi64(e, g));
  put(dst + 2 * dst_step, _mm_unpacklo_epi64(f, h));
  put(dst + 3 * dst_step, _mm_unpackhi_epi64(f, h));
}

static inline void eight_by_eight(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step) {
  __m128i x[8], y[8];
  UNROLL
  for (int i = 0; i < 8; i++) x[i] = get(src + (size_t)i * src_step);
  UNROLL
  for (int i = 0; i < 4; i++) {
    y[2 * i] = _mm_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
    y[2 * i + 1] = _mm_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
  }
  UNROLL
  for (int i = 0; i < 8; i += 4) /* columns 0 1, 2 3, 4 5, 6 7 of four lines */
    UNROLL
    for (int h = 0; h < 2; h++) {
      x[i + 2 * h] = _mm_unpacklo_epi32(y[i + h], y[i + 2 + h]);
      x[i + 2 * h + 1] = _mm_unpackhi_epi32(y[i + h], y[i + 2 + h]);
    }
  UNROLL
  for (int i = 0; i < 4; i++) {
    put(dst + (size_t)(2 * i) * dst_step, _mm_unpacklo_epi64(x[i], x[i + 4]));
    put(dst + (size_t)(2 * i + 1) * dst_step, _mm_unpackhi_epi64(x[i], x[i + 4]));
  }
}

#else
/* Constant lengths: compilers make vectors of it where the machine has any. */
#define EACH(name, N, scalar)                                                                                \
  static inline void name(const uint8_t *src, size_t src_step, uint8_t *dst, size_t dst_step) {             \
    for (size_t i = 0; i < N; i++)                                                                           \
      for (size_t j = 0; j < N; j++) memcpy(dst + i * dst_step + j * scalar, src + j * src_step + i * scalar, scalar); \
  }
EACH(four_by_four, 4, 4)
EACH(eight_by_eight, 8, 2)
#endif

#define TURN_NAME turn_4
#define TURN_SCALAR 4
#define TURN_LINES 4
#define TURN_COLUMNS 4
#define TURN_KERNEL four_by_four
#include "lib/codec/turn_loops.h"

#define TURN_NAME turn_2
#define TURN_SCALAR 2
#define TURN_LINES 8
#define TURN_COLUMNS 8
#define TURN_KERNEL eight_by_eight
#include "lib/codec/turn_loops.h"

mxq_turn_fn *mxq_turn(size_t scalar, enum mxq_turn_order order) {
  static const struct mxq_turns portable = {{{turn_2_along, turn_2_down}, {turn_4_along, turn_4_down}}};
  const int wide = scalar == 4;
  if (mxq_cpu_current() >= MXQ_CPU_AVX2 && mxq_turns_avx2.turn[wide][order]) return mxq_turns_avx2.turn[wide][order];
  return portable.turn[wide][order];
}
