/* SPDX-License-Identifier: MIT */
/*
 * What decoders share: scales, values of small codes, and when a block is plain.
 *
 * A decoded value is value(code) * 2^(b-127), rounded once to f32: one multiplication of two exact numbers. Byte 255 multiplies by
 * NaN, so that it needs no branch. In 16 bits most blocks are plain: no result is rounded (bf16) or becomes infinite (f16).
 */
#ifndef MXQ_KERNELS_DECODE_TABLES_H
#define MXQ_KERNELS_DECODE_TABLES_H

#include "lib/kernels/kernels.h"

/* Bits of 2^(b-127): exponent in place, and the upper mantissa bit for the subnormal 2^-127 and for NaN. */
#define SCALE_1(b) ((uint32_t)(b) << 23 | ((b) % 255 == 0 ? 0x00400000u : 0u))
#define SCALE_4(b) SCALE_1(b), SCALE_1((b) + 1), SCALE_1((b) + 2), SCALE_1((b) + 3)
#define SCALE_16(b) SCALE_4(b), SCALE_4((b) + 4), SCALE_4((b) + 8), SCALE_4((b) + 12)
#define SCALE_64(b) SCALE_16(b), SCALE_16((b) + 16), SCALE_16((b) + 32), SCALE_16((b) + 48)
static const uint32_t scale_bits[256] __attribute__((aligned(64), unused)) = {SCALE_64(0), SCALE_64(64), SCALE_64(128), SCALE_64(192)};

/* Magnitudes of codes without a sign, of types without Inf and NaN. */
#define MAGNITUDE(E, M, c) \
  ((float)((c) >> (M) ? ((1 << (M)) | ((c) & ((1 << (M)) - 1))) << (((c) >> (M)) - ((c) >> (M) > 0)) : (c)) * MXQ_POW2(MXQ_EL_EMIN(E) - (M)))
#define MAGNITUDES_8(E, M, c)                                                                                                   \
  MAGNITUDE(E, M, c), MAGNITUDE(E, M, (c) + 1), MAGNITUDE(E, M, (c) + 2), MAGNITUDE(E, M, (c) + 3), MAGNITUDE(E, M, (c) + 4),   \
    MAGNITUDE(E, M, (c) + 5), MAGNITUDE(E, M, (c) + 6), MAGNITUDE(E, M, (c) + 7)
#define MAGNITUDES_32(E, M) MAGNITUDES_8(E, M, 0), MAGNITUDES_8(E, M, 8), MAGNITUDES_8(E, M, 16), MAGNITUDES_8(E, M, 24)
static const float magnitudes_e2m1[8] __attribute__((aligned(32), unused)) = {MAGNITUDES_8(2, 1, 0)};
static const float magnitudes_e2m3[32] __attribute__((aligned(64), unused)) = {MAGNITUDES_32(2, 3)};
static const float magnitudes_e3m2[32] __attribute__((aligned(64), unused)) = {MAGNITUDES_32(3, 2)};

/* Whether the scale times 2^n is still an f32, or the block is NaN. */
static inline __attribute__((always_inline, unused)) bool scale_may_grow(int b, int n) { return (uint8_t)(b + 1) <= 255 - n; }
/* bf16: every result is zero, normal, Inf or NaN, so that its f32 value fits. No element has more than the 8 bits of bf16's mantissa. */
static inline __attribute__((always_inline, unused)) bool plain_bf16(int b, int e_bits, int m) { return b >= 1 + m - MXQ_EL_EMIN(e_bits); }
/* f16: every result is below 2^16 (which is enough: elements have fewer bits than f16), or the block is NaN. */
static inline __attribute__((always_inline, unused)) bool plain_f16(int b, int e_bits, int top) {
  return (uint8_t)(b + 1) <= 143 - (MXQ_EL_EMAX(e_bits, top) + (top == MXQ_TOP_INTEGER));
}

/* A slot with ordinary stores: what decode_past, the same with stores past the caches, falls back to. */
typedef size_t decode_run_fn(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out);

#endif
