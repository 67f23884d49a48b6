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

/* Counters in the lanes of c[0] (lower half in place, upper half in c[1]) to their four words each, in the lower halves. */
PHILOX void philox_rounds(philox_vector c[4], uint64_t seed) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
    philox_vector a = philox_product(c[0], 0xd2511f53), b = philox_product(c[2], 0xcd9e8d57);
    c[0] = b >> 32 ^ c[1] ^ k0;
    c[1] = b;
    c[2] = a >> 32 ^ c[3] ^ k1;
    c[3] = a;
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

/* The words of `n` counters in a row, n a multiple of 8. */
PHILOX void philox_run(uint64_t counter, size_t n, uint64_t seed, uint32_t *words) {
  const philox_vector order = PHILOX_ORDER;
  for (size_t i = 0; i < n; i += PHILOX_LANES) {
    philox_vector at = order + (counter + i), c[4] = {at, at >> 32, {0}, {0}};
    philox_rounds(c, seed);
    philox_store(words + 4 * i, c);
  }
}

/* The words of 32 scalars whose indices are `step` apart: word index % 4 of counter index / 4. */
PHILOX void philox_apart(uint64_t index, uint64_t step, uint64_t seed, uint32_t words[32]) {
  for (int i = 0; i < 32; i += PHILOX_LANES) {
    philox_vector at, c[4] = {{0}};
    for (int j = 0; j < PHILOX_LANES; j++) at[j] = index + (uint64_t)(i + j) * step;
    c[0] = at >> 2;
    c[1] = at >> 34;
    philox_rounds(c, seed);
    for (int j = 0; j < PHILOX_LANES; j++) words[i + j] = (uint32_t)c[at[j] & 3][j];
  }
}

#endif
