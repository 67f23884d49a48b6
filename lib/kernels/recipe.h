/* SPDX-License-Identifier: MIT */
/* What an encoder does, for one element type: the numeric choices as numbers that kernels compute with. */
#ifndef MXQ_KERNELS_RECIPE_H
#define MXQ_KERNELS_RECIPE_H

#include "lib/kernels/scale.h"

struct mxq_recipe {
  /* In force, nothing is DEFAULT. */
  enum mxq_scale_rule rule;
  enum mxq_round round;
  enum mxq_neg_zero neg_zero;
  bool plain;                  /* one of AUTO ... MSE, RNE, KEEP, and none of the oddities below: mxq_kernels.encode takes it */
  bool stream;                 /* set by the caller: codes are larger than caches and not read again soon */
  struct mxq_scale_plan plan;  /* of a plain recipe */

  /*
   * Every recipe, for amax bits u = E << 23 | M: byte = E + (M >= bump[E]) - emax, kept in 0...top; but zero_byte for u = 0, and for u below
   * low_end 0 or, from low_zero on, 1. plan.overflows: 255 where E + (M >= bump[E]) is. plan.mse: that byte or the next.
   */
  uint32_t bump[256], low_end, low_zero;
  int emax, top;
  uint8_t zero_byte;
  bool half_trap;              /* half a step less 2^-25 of one rounds up above zero, as floor(x + 0.5) in f32 does */
  bool log2f_grid;             /* the step at a value follows from a rounded f32 log2: TRUNC shows it just below powers of two */
  uint64_t seed;

  /* Blocks with NaN or Inf. */
  enum {
    MXQ_BAD_BLOCK,   /* 255, zero codes */
    MXQ_BAD_BYTES,   /* nan_byte, inf_byte; codes that this byte makes, of NaN the element type's NaN; zero codes under 255 */
    MXQ_BAD_EIGHTS,  /* 0, every code 8; MXFP4 */
    MXQ_BAD_IGNORED, /* amax without NaN, codes of NaN zero; with Inf 0 and zero codes */
  } bad;
  uint8_t nan_byte, inf_byte;
};

/* `numerics` is resolved (mxq_numerics_resolve). */
void mxq_recipe_make(struct mxq_recipe *recipe, enum mxq_element element, const struct mxq_numerics *numerics);

#endif
