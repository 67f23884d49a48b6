/* SPDX-License-Identifier: MIT */
/*
 * The kernels as a template. The file that includes it defines MXQ_ROW (the row's name); its flags decide what the compiler makes
 * of the loops over the 32 elements of a block: they are written so that it vectorises them for any width. A row with better words
 * for some of them includes its ops_*.h before this file, which defines them and MXQ_OPS_<word>.
 *
 * Rounding to a mini-float is one addition: M = 2^(23-m) times the power of two at or below |y|, so that the last place of |y| + M
 * is the step of the element grid at y; the sum is rounded to nearest even by the hardware, subnormal elements and carries included.
 */
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/kernels/measure.h"
#include "lib/kernels/recipe.h"

#define CAT2(a, b) a##b
#define CAT(a, b) CAT2(a, b)

#define INLINE static inline __attribute__((always_inline, unused))

INLINE float as_float(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
INLINE uint32_t as_bits(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
INLINE int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
INLINE int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

/* ---- the wide side -------------------------------------------------------------------------------------------------- */

#ifndef MXQ_OPS_F32
INLINE void load_f32(const uint8_t *p, uint32_t u[32]) { memcpy(u, p, 128); }

INLINE size_t store_f32(uint8_t *p, const float y[32]) {
  memcpy(p, y, 128);
  return 0;
}
#endif

#ifndef MXQ_OPS_LOAD_BF16
INLINE void load_bf16(const uint8_t *p, uint32_t u[32]) {
  uint16_t h[32];
  memcpy(h, p, 64);
  for (int i = 0; i < 32; i++) u[i] = (uint32_t)h[i] << 16;
}
#endif

#ifndef MXQ_OPS_LOAD_F16
INLINE void load_f16(const uint8_t *p, uint32_t u[32]) {
  uint16_t h[32];
  memcpy(h, p, 64);
  for (int i = 0; i < 32; i++) {
    uint32_t a = h[i] & 0x7fffu, s = (uint32_t)(h[i] & 0x8000u) << 16;
    uint32_t v = as_bits(as_float(a << 13) * 0x1p112f); /* exact; subnormals become normal */
    u[i] = (a >= 0x7c00 ? v | 0x7f800000u : v) | s;
  }
}
#endif

#ifndef MXQ_OPS_STORE_BF16
INLINE size_t store_bf16(uint8_t *p, const float y[32]) {
  uint16_t h[32];
  int32_t lost = 0;
  for (int i = 0; i < 32; i++) {
    uint32_t u = as_bits(y[i]), r = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    h[i] = (uint16_t)r;
    lost += (int32_t)((r & 0x7fff) == 0x7f80) & (int32_t)((u & 0x7fffffff) != 0x7f800000);
  }
  memcpy(p, h, 64);
  return (size_t)lost;
}
#endif

#ifndef MXQ_OPS_STORE_F16
INLINE size_t store_f16(uint8_t *p, const float y[32]) {
  uint16_t h[32];
  int32_t lost = 0;
  for (int i = 0; i < 32; i++) {
    uint32_t u = as_bits(y[i]);
    int32_t a = (int32_t)(u & 0x7fffffff);
    int32_t normal = (int32_t)((uint32_t)a - (112u << 23) + 0xfff + (((uint32_t)a >> 13) & 1)) >> 13;
    int32_t small = (int32_t)(as_bits(as_float((uint32_t)least(a, 0x38800000)) + 0.5f) - 0x3f000000u);
    int32_t r = least(a < 0x38800000 ? small : normal, 0x7c00);
    r = a >= 0x47800000 ? 0x7c00 : r;
    lost += (r == 0x7c00) & (a < 0x7f800000);
    r = a > 0x7f800000 ? 0x7e00 : r;
    h[i] = (uint16_t)((uint32_t)r | (u >> 31) << 15);
  }
  memcpy(p, h, 64);
  return (size_t)lost;
}
#endif

/* ---- codes ---------------------------------------------------------------------------------------------------------- */

#ifndef MXQ_OPS_PACK
INLINE void pack4(const uint8_t c[32], uint8_t *out) {
  for (int i = 0; i < 4; i++) {
    uint64_t x = mxq_get64(c + 8 * i);
    x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
    x = (x | x >> 8) & 0x0000ffff0000ffffu;
    mxq_put32(out + 4 * i, (uint32_t)(x | x >> 16));
  }
}

INLINE void pack6(const uint8_t c[32], uint8_t *out) {
  for (int i = 0; i < 4; i++) {
    uint64_t x = mxq_get64(c + 8 * i);
    x = (x & 0x003f003f003f003fu) | (x & 0x3f003f003f003f00u) >> 2;
    x = (x & 0x00000fff00000fffu) | (x & 0x0fff00000fff0000u) >> 4;
    x = (x & 0xffffffu) | (x >> 8 & 0xffffff000000u);
    mxq_put32(out + 6 * i, (uint32_t)x);
    mxq_put16(out + 6 * i + 4, (uint16_t)(x >> 32));
  }
}
#endif

INLINE void pack8(const uint8_t c[32], uint8_t *out) { memcpy(out, c, 32); }

/* ---- one block -------------------------------------------------------------------------------------------------------- */

#ifndef MXQ_OPS_QUANTIZE
/* Codes of 32 values at scale byte b, one a byte. Always inlined with constants for the element type. */
INLINE void quantize(const uint32_t u[32], int b, int e_bits, int m, int top, uint8_t c[32]) {
  const float inverse = mxq_pow2_of_byte(254 - b);
  const int32_t max = (int32_t)as_bits(MXQ_EL_MAX(e_bits, m, top)), emin = (127 + MXQ_EL_EMIN(e_bits)) << 23;
  for (int i = 0; i < 32; i++) {
    int32_t y = least((int32_t)as_bits(as_float(u[i] & 0x7fffffff) * inverse), max);
    int32_t e = top == MXQ_TOP_INTEGER ? emin : most(y & 0x7f800000, emin);
    int32_t magic = e + ((23 - m) << 23);
    int32_t q = (int32_t)as_bits(as_float((uint32_t)y) + as_float((uint32_t)magic)) - magic;
    if (top == MXQ_TOP_INTEGER) {
      int32_t s = (int32_t)(u[i] >> 31);
      c[i] = (uint8_t)((q ^ -s) + s);
    } else {
      c[i] = (uint8_t)(q + ((e - emin) >> (23 - m)) + (int32_t)(u[i] >> 31 << (e_bits + m)));
    }
  }
}
#endif

#ifndef MXQ_OPS_LARGEST
INLINE uint32_t largest(const uint32_t u[32]) {
  int32_t a = 0;
  for (int i = 0; i < 32; i++) a = most(a, (int32_t)(u[i] & 0x7fffffff));
  return (uint32_t)a;
}
#endif

/*
 * Values of 32 codes. A code as float bits is its exponent and mantissa in place, times a power of two; subnormals come out right by
 * themselves.
 */
#ifndef MXQ_OPS_VALUES
INLINE void values(const uint8_t c[32], float scale, int e_bits, int m, int top, float y[32]) {
  const float up = as_float((uint32_t)(254 - MXQ_EL_BIAS(e_bits)) << 23);
  const uint32_t last = ((1u << (e_bits + m)) - 1) << (23 - m), special = ((1u << e_bits) - 1) << 23;
  for (int i = 0; i < 32; i++) {
    if (top == MXQ_TOP_INTEGER) {
      y[i] = (float)(int32_t)(int8_t)c[i] * (1.0f / (float)(1 << m)) * scale;
      continue;
    }
    uint32_t a = (uint32_t)c[i] << (23 - m) & last, sign = (uint32_t)c[i] >> (e_bits + m) << 31;
    uint32_t v = as_bits(as_float(a) * up * scale) | sign;
    if (top == MXQ_TOP_NAN) v = a == last ? 0x7fc00000u : v;
    if (top == MXQ_TOP_IEEE) v = a > special ? 0x7fc00000u : a == special ? 0x7f800000u | sign : v;
    y[i] = as_float(v);
  }
}
#endif

#include "lib/kernels/template_any.h"

/* ---- the functions ---------------------------------------------------------------------------------------------------- */

#define WIDTH_E2M1 4
#define WIDTH_E2M3 6
#define WIDTH_E3M2 6
#define WIDTH_E4M3 8
#define WIDTH_E5M2 8
#define WIDTH_INT8 8

#define LANE_f32 MXQ_LANE_F32
#define LANE_bf16 MXQ_LANE_BF16
#define LANE_f16 MXQ_LANE_F16

/* A row may take many blocks at a time; `rest` does the same block by block. */
#ifndef MXQ_OPS_TILES
#define encode_tiles(src, blocks, codes, scales, recipe, lane, e, m, top, rest) rest(src, blocks, codes, scales, recipe)
#endif

#define ENCODE(ID, name, E, M, TOP, lane, size)                                                                       \
  static size_t blocks_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,               \
                                       const struct mxq_recipe *recipe) {                                             \
    const struct mxq_scale_plan plan = recipe->plan;                                                                  \
    const uint8_t *in = src;                                                                                          \
    size_t bad = 0;                                                                                                   \
    for (size_t i = 0; i < blocks; i++, in += 32 * size, codes += 4 * WIDTH_##ID) {                                   \
      uint32_t u[32] __attribute__((aligned(64)));                                                                    \
      uint8_t c[32] __attribute__((aligned(32)));                                                                     \
      load_##lane(in, u);                                                                                             \
      int b = mxq_scale_byte(&plan, largest(u));                                                                      \
      if (b == 255) {                                                                                                 \
        memset(codes, 0, 4 * WIDTH_##ID);                                                                             \
        scales[i] = 255;                                                                                              \
        bad++;                                                                                                        \
        continue;                                                                                                     \
      }                                                                                                               \
      scales[i] = (uint8_t)b;                                                                                         \
      quantize(u, b, E, M, MXQ_TOP_##TOP, c);                                                                         \
      CAT(pack, WIDTH_##ID)(c, codes);                                                                                \
    }                                                                                                                 \
    return bad;                                                                                                       \
  }                                                                                                                   \
  static size_t encode_##name##_##lane(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales,               \
                                       const struct mxq_recipe *recipe) {                                             \
    if (recipe->plan.mse) return encode_any_##name##_##lane(src, blocks, codes, scales, recipe, &(struct mxq_place){0});  \
    return encode_tiles(src, blocks, codes, scales, recipe, LANE_##lane, E, M, MXQ_TOP_##TOP, blocks_##name##_##lane); \
  }

#ifndef MXQ_OPS_DECODE
#include "lib/kernels/decode_portable.h"
#endif

/* decode_run: with ordinary stores; decode_past: past the caches, where the destination allows it. */
#define DECODE(ID, name, E, M, TOP, lane, LANE)                                                                        \
  static size_t run_##name##_##lane(const uint8_t *codes, const uint8_t *scales, size_t blocks, uint8_t *out) {       \
    return decode_run(codes, scales, blocks, out, E, M, MXQ_TOP_##TOP, MXQ_LANE_##LANE);                              \
  }                                                                                                                   \
  static size_t decode_##name##_##lane(const uint8_t *codes, const uint8_t *scales, size_t blocks, void *dst, bool stream) { \
    if (!stream) return run_##name##_##lane(codes, scales, blocks, dst);                                              \
    return decode_past(codes, scales, blocks, dst, E, M, MXQ_TOP_##TOP, MXQ_LANE_##LANE, run_##name##_##lane);        \
  }

#define X(ID, name, E, M, TOP)              \
  ANY_TILE_OF(name, E, M, TOP)              \
  ENCODE_ANY(ID, name, E, M, TOP, f32, 4)   \
  ENCODE_ANY(ID, name, E, M, TOP, bf16, 2)  \
  ENCODE_ANY(ID, name, E, M, TOP, f16, 2)   \
  ENCODE(ID, name, E, M, TOP, f32, 4)       \
  ENCODE(ID, name, E, M, TOP, bf16, 2)      \
  ENCODE(ID, name, E, M, TOP, f16, 2)       \
  DECODE(ID, name, E, M, TOP, f32, F32)     \
  DECODE(ID, name, E, M, TOP, bf16, BF16)   \
  DECODE(ID, name, E, M, TOP, f16, F16)     \
  _Static_assert(MXQ_EL_BITS(E, M, MXQ_TOP_##TOP) == WIDTH_##ID, "bits of " #name);
#include "lib/kernels/element_types.def"
#undef X

const struct mxq_kernels CAT(mxq_kernels_, MXQ_ROW) = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {encode_##name##_f32, encode_##name##_bf16, encode_##name##_f16},
  .encode = {
#include "lib/kernels/element_types.def"
  },
#undef X
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {encode_any_##name##_f32, encode_any_##name##_bf16, encode_any_##name##_f16},
  .encode_any = {
#include "lib/kernels/element_types.def"
  },
#undef X
#define X(ID, name, E, M, TOP) [MXQ_##ID] = {decode_##name##_f32, decode_##name##_bf16, decode_##name##_f16},
  .decode = {
#include "lib/kernels/element_types.def"
  },
#undef X
  .measure = measure,
};
