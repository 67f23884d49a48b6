/* SPDX-License-Identifier: MIT */
/*
 * Philox4x32-10 (Salmon et al., SC11), which stochastic rounding takes its words from: several counters side by side. A lane has 64 bits, since
 * the one multiplication that processors offer takes 32 bits to 64; of its upper half only what the next round needs is ever looked at.
 */
#ifndef MXQ_KERNELS_PHILOX_H
#define MXQ_KERNELS_PHILOX_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { PHILOX_LANES = 8 };
#elif defined(__AVX2__)
#include <immintrin.h>
enum { PHILOX_LANES = 4 };
#elif defined(__SSE2__)
#include <emmintrin.h>
enum { PHILOX_LANES = 2 };
#else
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
enum { PHILOX_LANES = 2 };
#endif

#define PHILOX static inline __attribute__((always_inline, unused))
typedef uint64_t philox_vector __attribute__((vector_size(8 * PHILOX_LANES)));

PHILOX philox_vector philox_product(philox_vector x, uint32_t by) {
#if defined(__AVX512F__)
  return (philox_vector)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(by));
#elif defined(__AVX2__)
  return (philox_vector)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(by));
#elif defined(__SSE2__)
  return (philox_vector)_mm_mul_epu32((__m128i)x, _mm_set1_epi64x(by));
#elif defined(__aarch64__)
  return (philox_vector)vmull_u32(vmovn_u64((uint64x2_t)x), vdup_n_u32(by));
#else
  return (x & 0xffffffffu) * by;
#endif
}

/* As many groups of counters as hide how long one multiplication takes. */
enum { PHILOX_GROUPS = PHILOX_LANES == 8 ? 4 : 2 };

/* Counters in the lanes of c[g][0] (lower half in place, upper half in c[g][1]) to their four words each, in the lower halves. */
PHILOX void philox_rounds(philox_vector c[PHILOX_GROUPS][4], uint64_t seed) {
  philox_vector k0 = (philox_vector){0} + (uint32_t)seed, k1 = (philox_vector){0} + (seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85)
#pragma GCC unroll 4
    for (int g = 0; g < PHILOX_GROUPS; g++) {
      philox_vector a = philox_product(c[g][0], 0xd2511f53), b = {0};
      if (round > 0) b = philox_product(c[g][2], 0xcd9e8d57); /* zero before */
      c[g][0] = b >> 32 ^ c[g][1] ^ k0;
      c[g][1] = b;
      c[g][2] = a >> 32 ^ c[g][3] ^ k1;
      c[g][3] = a;
    }
}

/* The order of counters in lanes after which pairs of lanes interleave to words in order. */
#if defined(__AVX512F__)
#define PHILOX_ORDER {0, 4, 1, 5, 2, 6, 3, 7}
#elif defined(__AVX2__)
#define PHILOX_ORDER {0, 2, 1, 3}
#else
#define PHILOX_ORDER {0, 1}
#endif

PHILOX void philox_store(uint32_t *words, const philox_vector c[4]) {
  philox_vector x = (c[0] & 0xffffffffu) | c[1] << 32, y = (c[2] & 0xffffffffu) | c[3] << 32;
#if defined(__AVX512F__)
  _mm512_storeu_si512(words, _mm512_unpacklo_epi64((__m512i)x, (__m512i)y));
  _mm512_storeu_si512(words + 16, _mm512_unpackhi_epi64((__m512i)x, (__m512i)y));
#elif defined(__AVX2__)
  _mm256_storeu_si256((__m256i *)(void *)words, _mm256_unpacklo_epi64((__m256i)x, (__m256i)y));
  _mm256_storeu_si256((__m256i *)(void *)(words + 8), _mm256_unpackhi_epi64((__m256i)x, (__m256i)y));
#else
  const uint64_t pairs[4] = {x[0], y[0], x[1], y[1]};
  memcpy(words, pairs, sizeof pairs);
#endif
}

enum { PHILOX_RUN = PHILOX_GROUPS * PHILOX_LANES }; /* counters made together */

/* The words of at least n counters in a row: as many as the next multiple of PHILOX_RUN. */
PHILOX void philox_run(uint64_t counter, size_t n, uint64_t seed, uint32_t *words) {
  const philox_vector order = PHILOX_ORDER;
  for (size_t i = 0; i < n; i += PHILOX_RUN) {
    philox_vector c[PHILOX_GROUPS][4];
#pragma GCC unroll 4
    for (int g = 0; g < PHILOX_GROUPS; g++) {
      philox_vector at = order + (counter + i + (size_t)g * PHILOX_LANES);
      c[g][0] = at;
      c[g][1] = at >> 32;
      c[g][2] = c[g][3] = (philox_vector){0};
    }
    philox_rounds(c, seed);
#pragma GCC unroll 4
    for (int g = 0; g < PHILOX_GROUPS; g++) philox_store(words + 4 * (i + (size_t)g * PHILOX_LANES), c[g]);
  }
}

/* The words of 32 scalars whose indices are `step` apart: word index % 4 of counter index / 4. */
PHILOX void philox_apart(uint64_t index, uint64_t step, uint64_t seed, uint32_t words[32]) {
  for (int i = 0; i < 32; i += PHILOX_RUN) {
    uint64_t at[PHILOX_RUN], all[4][PHILOX_RUN];
    philox_vector c[PHILOX_GROUPS][4];
    for (int j = 0; j < PHILOX_RUN; j++) at[j] = index + (uint64_t)(i + j) * step;
    for (int g = 0; g < PHILOX_GROUPS; g++) {
      philox_vector x;
      memcpy(&x, at + g * PHILOX_LANES, sizeof x);
      c[g][0] = x >> 2;
      c[g][1] = x >> 34;
      c[g][2] = c[g][3] = (philox_vector){0};
    }
    philox_rounds(c, seed);
    for (int g = 0; g < PHILOX_GROUPS; g++)
      for (int w = 0; w < 4; w++) memcpy(all[w] + g * PHILOX_LANES, &c[g][w], sizeof c[g][w]);
    for (int j = 0; j < PHILOX_RUN; j++) words[i + j] = (uint32_t)all[at[j] & 3][j];
  }
}

#endif
