/* SPDX-License-Identifier: MIT */
/* f32, bf16 and f16 into one another, on integers: nearest even, NaN keeps its sign and leading payload. */
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/convert/values.h"

static uint32_t f32_from_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31, m = h & 0x3FFu;
  if (e == 31)
    return sign | 0x7F800000u | m << 13;
  if (e == 0) { /* subnormal: m * 2^-24 */
    if (m == 0)
      return sign;
    unsigned shift = (unsigned)__builtin_clz(m) - 21;
    return sign | (113 - shift) << 23 | (m << shift & 0x3FFu) << 13;
  }
  return sign | (e + 112) << 23 | m << 13;
}

static uint16_t bf16_from_f32(uint32_t u) {
  if ((u & 0x7FFFFFFFu) > 0x7F800000u)
    return (uint16_t)(u >> 16 | 0x40u);
  return (uint16_t)((u + 0x7FFFu + (u >> 16 & 1)) >> 16);
}

static uint16_t f16_from_f32(uint32_t u) {
  uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
  uint32_t a = u & 0x7FFFFFFFu;
  if (a > 0x7F800000u)
    return (uint16_t)(sign | 0x7E00u | (a >> 13 & 0x3FFu));
  if (a >= 0x47800000u) /* 2^16 and beyond; below, rounding carries into Inf by itself */
    return (uint16_t)(sign | 0x7C00u);
  if (a >= 0x38800000u) {
    uint32_t r = a + 0xFFFu + (a >> 13 & 1);
    return (uint16_t)(sign | ((r - 0x38000000u) >> 13));
  }
  if (a < 0x33000000u) /* below half of the smallest subnormal */
    return sign;
  uint32_t shift = 126 - (a >> 23), m = (a & 0x7FFFFFu) | 0x800000u; /* result = m / 2^shift, nearest even */
  uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
  return (uint16_t)(sign | (q + (rest > half || (rest == half && (q & 1)))));
}

static uint32_t load(enum mxq_dtype dtype, const unsigned char *p) {
  if (dtype == MXQ_F32)
    return mxq_get32(p);
  return dtype == MXQ_BF16 ? (uint32_t)mxq_get16(p) << 16 : f32_from_f16(mxq_get16(p));
}

/* One loop for each pair, so that the choice is made once. */
#define LOOP(FROM, SIZE, STORE)                                \
  for (size_t i = 0; i < n; i++) {                             \
    uint32_t u = load(FROM, s + i * (SIZE));                   \
    STORE;                                                     \
  }
#define STORE_16(FN, INF)                                                                 \
  uint16_t h = FN(u);                                                                     \
  inf += (h & 0x7FFFu) == (INF) && (u & 0x7FFFFFFFu) < 0x7F800000u;                       \
  mxq_put16(d + 2 * i, h)

void mxq_convert_scalars(enum mxq_dtype from, const void *src, enum mxq_dtype to, void *dst, size_t n, uint64_t *to_inf) {
  const unsigned char *s = src;
  unsigned char *d = dst;
  uint64_t inf = 0;
  if (from == to) {
    memcpy(dst, src, n * (mxq_dtype_bits(from) / 8));
  } else if (to == MXQ_F32) {
    if (from == MXQ_BF16) {
      LOOP(MXQ_BF16, 2, mxq_put32(d + 4 * i, u))
    } else {
      LOOP(MXQ_F16, 2, mxq_put32(d + 4 * i, u))
    }
  } else if (to == MXQ_BF16) {
    if (from == MXQ_F32) {
      LOOP(MXQ_F32, 4, STORE_16(bf16_from_f32, 0x7F80u))
    } else {
      LOOP(MXQ_F16, 2, STORE_16(bf16_from_f32, 0x7F80u))
    }
  } else {
    if (from == MXQ_F32) {
      LOOP(MXQ_F32, 4, STORE_16(f16_from_f32, 0x7C00u))
    } else {
      LOOP(MXQ_BF16, 2, STORE_16(f16_from_f32, 0x7C00u))
    }
  }
  *to_inf += inf;
}
