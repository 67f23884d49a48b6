/* SPDX-License-Identifier: MIT */
/* What the rows made from the template share: scale bytes from amax, and the sums of a block's statistics. */
#ifndef MXQ_KERNELS_SCALE_H
#define MXQ_KERNELS_SCALE_H

#include <string.h>
#include "lib/kernels/kernels.h"

/* Every rule is (amax bits + add) >> 23, less emax, within 0...top; and two special ends. */
struct mxq_scale_plan {
  uint32_t add;
  int emax, top;
  bool overflows;       /* an amax that rounds up out of f32 gives byte 255 */
  bool mse;
  uint32_t reciprocal_below; /* amax bits below which amax * (1/max) decides, because that product is a subnormal f32 */
  float reciprocal;
};

/* 2^(b-127) for b = 0...254. */
static inline float mxq_pow2_of_byte(int b) {
  uint32_t u = b == 0 ? 0x00400000u : (uint32_t)b << 23;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static inline struct mxq_scale_plan mxq_scale_plan_of(int e, int m, int top, enum mxq_scale_rule rule) {
  struct mxq_scale_plan p = {.emax = MXQ_EL_EMAX(e, top), .top = 254};
  if (rule == MXQ_SCALE_AUTO) {
    p.top = 254 - p.emax;
    rule = top == MXQ_TOP_INTEGER ? MXQ_SCALE_FLOOR : m == 1 ? MXQ_SCALE_RCEIL_725 : e == 2 ? MXQ_SCALE_EVEN : MXQ_SCALE_RCEIL;
  } else {
    p.overflows = rule == MXQ_SCALE_EVEN;
  }
  switch (rule) {
    case MXQ_SCALE_CEIL: p.add = 0x7fffff; break;
    case MXQ_SCALE_EVEN: p.add = 1u << (22 - m); break;
    case MXQ_SCALE_RCEIL_725: p.add = 0x7fffff - 0x680000; break;
    case MXQ_SCALE_RCEIL: {
      float limit = MXQ_EL_MAX(e, m, top) * 0x1p-126f;
      memcpy(&p.reciprocal_below, &limit, 4);
      p.reciprocal = 1.0f / MXQ_EL_MAX(e, m, top);
      p.add = 0x7fffff - (((uint32_t)MXQ_EL_MAX_MANTISSA(e, m, top) << (23 - m)) & 0x7fffff);
      break;
    }
    case MXQ_SCALE_MSE: p.mse = true; break;
    default: break;
  }
  return p;
}

static inline int mxq_scale_byte(const struct mxq_scale_plan *p, uint32_t amax) {
  if (amax >= 0x7f800000) return 255;
  if (amax < p->reciprocal_below) {
    float f;
    uint32_t u;
    memcpy(&f, &amax, 4);
    f *= p->reciprocal;
    memcpy(&u, &f, 4);
    return u > 0x00400000;
  }
  int e = (int)((amax + p->add) >> 23);
  if (e == 255 && p->overflows) return 255;
  e -= p->emax;
  return e < 0 ? 0 : e > p->top ? p->top : e;
}

/* Of one block, in units of its scale. */
enum { LANES = 8 }; /* of sums; not the width of any vector */
struct sums {
  float signal[LANES], noise[LANES];
  unsigned clipped, zeroed;
};

#endif
