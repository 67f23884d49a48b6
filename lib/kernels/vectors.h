/* SPDX-License-Identifier: MIT */
/*
 * Vectors of 32-bit numbers, as wide as the flags of the file allow, by the compiler's own operators: what must be fast in every row, without
 * words of the instruction set but for what those operators cannot say.
 */
#ifndef MXQ_KERNELS_VECTORS_H
#define MXQ_KERNELS_VECTORS_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512BW__)
enum { LANES_32 = 16 };
#elif defined(__AVX2__)
enum { LANES_32 = 8 };
#else
enum { LANES_32 = 4 };
#endif
enum { VECTORS = 32 / LANES_32 }; /* of a block */

/* Loops over a block's vectors: four at a time, for their bodies are long. */
#if defined(__clang__)
#define IN_TURNS
#else
#define IN_TURNS _Pragma("GCC unroll 4")
#endif

#define VECTOR static inline __attribute__((always_inline, unused))
typedef int32_t v_int __attribute__((vector_size(4 * LANES_32)));
typedef uint32_t v_bits __attribute__((vector_size(4 * LANES_32)));
typedef float v_float __attribute__((vector_size(4 * LANES_32)));

VECTOR v_int ints_at(const void *p) {
  v_int v;
  memcpy(&v, p, sizeof v);
  return v;
}
VECTOR v_int ints_of(int32_t x) { return (v_int){0} + x; }
VECTOR v_float floats_of(float x) {
  int32_t u;
  memcpy(&u, &x, 4);
  return (v_float)ints_of(u);
}
VECTOR v_int shift_down(v_int x, int n) { return (v_int)((v_bits)x >> n); }
VECTOR v_int select_int(v_int mask, v_int a, v_int b) { return (a & mask) | (b & ~mask); }
/* Towards zero, within the range of int32_t. */
VECTOR v_int whole_of(v_float x) { return __builtin_convertvector(x, v_int); }
VECTOR v_float float_of(v_int x) { return __builtin_convertvector(x, v_float); }

/* In no particular order. */
VECTOR float sum_of(v_float x) {
  typedef float four __attribute__((vector_size(16)));
  four s = {0}, part;
  for (size_t i = 0; i < sizeof x; i += sizeof part) {
    memcpy(&part, (const char *)&x + i, sizeof part);
    s += part;
  }
  return (s[0] + s[1]) + (s[2] + s[3]);
}

/* 2^32 times x, rounded down, for 0 <= x < 1. */
VECTOR v_bits fraction_bits(v_float x) {
#if defined(__AVX512BW__)
  return (v_bits)_mm512_cvttps_epu32(_mm512_mul_ps((__m512)x, _mm512_set1_ps(0x1p32f)));
#else /* the upper half as negative numbers: there x has no more than 24 bits behind the point */
  v_int upper = (v_int)x >= 0x3f000000;
  return (v_bits)whole_of((x - (v_float)(upper & 0x3f800000)) * floats_of(0x1p32f));
#endif
}

/* Of numbers that are not negative, nor NaN as bits of a float. */
VECTOR v_int lesser(v_int a, v_int b) {
#if defined(__AVX512BW__)
  return (v_int)_mm512_min_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (v_int)_mm256_min_epi32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (v_int)_mm_min_ps((__m128)a, (__m128)b);
#else
  return select_int(a < b, a, b);
#endif
}
VECTOR v_int greater(v_int a, v_int b) {
#if defined(__AVX512BW__)
  return (v_int)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (v_int)_mm256_max_epi32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (v_int)_mm_max_ps((__m128)a, (__m128)b);
#else
  return select_int(a > b, a, b);
#endif
}

/* A block's numbers -128...127 or 0...255 to bytes in order. */
VECTOR void narrow_block(const v_int q[VECTORS], uint8_t c[32]) {
#if defined(__AVX512BW__)
  __m128i a = _mm512_cvtepi32_epi8((__m512i)q[0]), b = _mm512_cvtepi32_epi8((__m512i)q[1]);
  _mm256_storeu_si256((__m256i *)(void *)c, _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1)); /* read again in one piece */
#elif defined(__AVX2__)
  const __m256i low = _mm256_set1_epi32(255);
  __m256i a = _mm256_packs_epi32(_mm256_and_si256((__m256i)q[0], low), _mm256_and_si256((__m256i)q[1], low));
  __m256i b = _mm256_packs_epi32(_mm256_and_si256((__m256i)q[2], low), _mm256_and_si256((__m256i)q[3], low));
  a = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256((__m256i *)(void *)c, a);
#elif defined(__SSE2__)
  const __m128i low = _mm_set1_epi32(255);
  for (int i = 0; i < 2; i++) {
    __m128i a = _mm_packs_epi32(_mm_and_si128((__m128i)q[4 * i], low), _mm_and_si128((__m128i)q[4 * i + 1], low));
    __m128i b = _mm_packs_epi32(_mm_and_si128((__m128i)q[4 * i + 2], low), _mm_and_si128((__m128i)q[4 * i + 3], low));
    _mm_storeu_si128((__m128i *)(void *)(c + 16 * i), _mm_packus_epi16(a, b));
  }
#elif defined(__aarch64__)
  for (int i = 0; i < 2; i++) {
    uint8x16_t a = vuzp1q_u8((uint8x16_t)q[4 * i], (uint8x16_t)q[4 * i + 1]);
    uint8x16_t b = vuzp1q_u8((uint8x16_t)q[4 * i + 2], (uint8x16_t)q[4 * i + 3]);
    vst1q_u8(c + 16 * i, vuzp1q_u8(a, b));
  }
#else
  for (int i = 0; i < 32; i++) c[i] = (uint8_t)q[i / LANES_32][i % LANES_32];
#endif
}

#endif
