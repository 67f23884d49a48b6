/* SPDX-License-Identifier: MIT */
/* Encoding whole blocks, wherever they come from: the kernel, and what is not its affair: policies for NaN and Inf, statistics. */
#ifndef MXQ_CODEC_BLOCKS_H
#define MXQ_CODEC_BLOCKS_H

#include "lib/kernels/kernels.h"
#include "lib/kernels/recipe.h"

/* Blocks measured at once: their f32 values and what they decode to stay in the first cache. */
enum { MXQ_MEASURED = 32 };

struct mxq_blocks {
  const struct mxq_kernels *kernels;
  enum mxq_element element;
  enum mxq_lane lane;
  size_t size;                  /* of a scalar */
  struct mxq_recipe recipe;
  enum mxq_nonfinite nonfinite;
};

/* Resolves `numerics` (NULL: all DEFAULT) for the format. MXQ_ERR_USAGE as mxq_numerics_resolve. */
enum mxq_status mxq_blocks_init(struct mxq_blocks *b, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_numerics *numerics,
                                struct mxq_error *err);
/* Returns the number of blocks that got byte 255. */
size_t mxq_blocks_encode(const struct mxq_blocks *b, const uint8_t *src, size_t blocks, uint8_t *codes, uint8_t *scales,
                         const struct mxq_place *place);
/* Whether the policy has more to do with a block that got byte 255. */
static inline bool mxq_blocks_mends(const struct mxq_blocks *b) { return b->nonfinite == MXQ_NONFINITE_ERROR || b->nonfinite == MXQ_NONFINITE_SATURATE; }
/*
 * A block that got byte 255, under ERROR and SATURATE. Returns the index in the block of the scalar that is an error, or 32.
 * SATURATE encodes it again without its Inf and puts their codes in.
 */
size_t mxq_blocks_mend(const struct mxq_blocks *b, const uint8_t *block, uint8_t *codes, uint8_t *scale, const struct mxq_place *place);
/* Adds what n <= 32 * MXQ_MEASURED scalars and their codes show; blocks of src are whole, the last one may count in part. */
void mxq_blocks_measure(const struct mxq_blocks *b, const uint8_t *src, size_t n, const uint8_t *codes, const uint8_t *scales,
                        struct mxq_stats *stats);
void mxq_stats_add(struct mxq_stats *to, const struct mxq_stats *from);
/* MXQ_ERR_NONFINITE at `index`, in words. */
enum mxq_status mxq_blocks_fail(const struct mxq_blocks *b, uint64_t index, struct mxq_error *err);

#endif
