/* SPDX-License-Identifier: MIT */
/*
 * The kernels: element type x direction x dtype x instruction set.
 *
 * A kernel is a pure function on whole blocks that lie one behind the other: no allocation, no errors, no threads. It expects the
 * default floating-point environment (nearest, subnormals kept); lib/codec sees to that. Buffers may have any alignment, do not
 * overlap, and exactly the bytes of `blocks` blocks are touched.
 */
#ifndef MXQ_KERNELS_KERNELS_H
#define MXQ_KERNELS_KERNELS_H

#include <mxq/codec.h>
#include <mxq/cpu.h>
#include "lib/kernels/element.h"

/* The dtypes of the wide side: MXQ_F32, MXQ_BF16, MXQ_F16, by index. */
enum mxq_lane { MXQ_LANE_F32, MXQ_LANE_BF16, MXQ_LANE_F16, MXQ_LANES };
#define MXQ_LANE_OF(dtype) ((enum mxq_lane)((dtype) - MXQ_F32))

/*
 * Encodes by `recipe`, which was made for the element type (recipe.h). A block with NaN or Inf gets byte 255 and zero codes, unless the
 * recipe says otherwise. Returns the number of blocks with byte 255.
 */
struct mxq_recipe;
typedef size_t mxq_encode_fn(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe);
/* Where scalars stand in the source tensor: element i of block j has index first + j * block_step + i * element_step. */
struct mxq_place {
  uint64_t first, block_step, element_step;
};
/* The same for any recipe; only STOCHASTIC looks at the place. */
typedef size_t mxq_encode_any_fn(const void *src, size_t blocks, uint8_t *codes, uint8_t *scales, const struct mxq_recipe *recipe,
                                 const struct mxq_place *place);
/* Decodes; returns the number of results that are infinite though their f32 value was finite. `stream`: the result is larger than caches. */
typedef size_t mxq_decode_fn(const uint8_t *codes, const uint8_t *scales, size_t blocks, void *dst, bool stream);

/*
 * Adds to *stats what n scalars and their codes show: f32 values `x`, the f32 values `y` that the codes decode to (the last block of x
 * and y may be cut short), scales. The same bits in every row.
 */
typedef void mxq_measure_fn(const float *x, const float *y, const uint8_t *scales, size_t n, enum mxq_element element, struct mxq_stats *stats);

/*
 * One row of the table, or all rows merged. A slot that a row does not fill is NULL; row SCALAR and the merged table are full.
 * encode: plain recipes only.
 */
struct mxq_kernels {
  mxq_encode_fn *encode[MXQ_ELEMENT_COUNT][MXQ_LANES];
  mxq_encode_any_fn *encode_any[MXQ_ELEMENT_COUNT][MXQ_LANES];
  mxq_decode_fn *decode[MXQ_ELEMENT_COUNT][MXQ_LANES];
  mxq_measure_fn *measure;
};

/* The rows, by level; empty where the build lacks the instruction set. */
extern const struct mxq_kernels mxq_kernels_reference, mxq_kernels_scalar, mxq_kernels_neon, mxq_kernels_avx2, mxq_kernels_avx512, mxq_kernels_avx512vbmi;
extern const struct mxq_kernels *const mxq_kernel_rows[MXQ_CPU_COUNT];

/* The merged table in use. Fetch it once per job. */
const struct mxq_kernels *mxq_kernels_now(void);
/* The level whose row serves a slot of the table in use. */
enum mxq_cpu mxq_kernel_level(enum mxq_element element, enum mxq_lane lane, bool decode);

/* Whether `bytes` of output are too many for caches, so that kernels should write past them. */
bool mxq_kernels_stream(uint64_t bytes);

/* Bytes of the codes of one block. */
static inline size_t mxq_block_bytes(enum mxq_element element) { return element == MXQ_E2M1 ? 16 : element <= MXQ_E3M2 ? 24 : 32; }

#endif
