/* SPDX-License-Identifier: MIT */
/*
 * Blocks along an axis that is not the last one, without a transposed copy of the tensor.
 *
 * The wide side is seen as `outer` matrices of `k` lines by `inner` scalars, in C order: element (o, j, i) of [outer, k, inner]. Column
 * (o, i), the k scalars (o, 0...k-1, i), is cut into blocks of 32 as a row is in <mxq/codec.h>: the last block is padded with zeros. Codes and
 * scales have the run last: row o * inner + i of them belongs to column (o, i). So they hold the same bits as mxq_encode makes of the
 * tensor transposed to [outer, inner, k]. A run of neighbouring axes is one axis here: of shape [a, b, c, d] with blocks along axes 1 and 2,
 * outer = a, k = b * c, inner = d. All functions are thread-safe.
 */
#ifndef MXQ_COLUMNS_H
#define MXQ_COLUMNS_H

#include <mxq/codec.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Shape of a job. Strides are in bytes, of any alignment; 0 means densely packed. Sizes may be 0: then there is nothing to do. */
struct mxq_columns {
  size_t outer, k, inner;
  size_t line_stride;         /* of the wide side: from (o, j, i) to (o, j + 1, i); packed: inner scalars */
  size_t matrix_stride;       /* from (o, j, i) to (o + 1, j, i); packed: k lines */
  size_t codes_stride;        /* from one row of codes to the next; packed: mxq_row_code_bytes(format, k) */
  size_t scales_stride;       /* packed: mxq_row_blocks(k) */
  size_t line_codes_stride;   /* mxq_encode_both: from the codes of one line to those of the next; packed: mxq_row_code_bytes(format, inner) */
  size_t line_scales_stride;  /* packed: mxq_row_blocks(inner) */
  /*
   * Where the scalars stand in the source tensor: only STOCHASTIC rounding asks. Scalar (o, j, i) has index
   * first + o * matrix_step + j * line_step + i; a step of 0 means that of a packed tensor: inner, and k lines. A part of a larger tensor
   * states its own, and gets the bits that the whole would have.
   */
  uint64_t first, line_step, matrix_step;
};

/*
 * Encodes outer * inner columns of `dtype` (MXQ_F32, MXQ_BF16, MXQ_F16; any alignment) at src. Numerics, runner and stats as for mxq_encode; the
 * counts in stats are those of the transposed copy, the sums may differ from them in the last places, and never with the runner.
 * Exactly the bytes of the blocks are written, whatever the strides. Buffers do not overlap and are the caller's.
 * Returns MXQ_OK; MXQ_ERR_USAGE (see mxq_numerics_resolve; or the shape is larger than any memory); MXQ_ERR_NONFINITE, where error.offset
 * is the index (o * k + j) * inner + i of the first scalar, in the order of the source, that is one, and codes and scales are undefined;
 * MXQ_ERR_NOMEM, with stats only.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_encode_columns(enum mxq_format format, enum mxq_dtype dtype, const void *src,
                                                          const struct mxq_columns *shape, void *codes, uint8_t *scales,
                                                          const struct mxq_numerics *numerics, const struct mxq_runner *runner,
                                                          struct mxq_stats *stats, struct mxq_error *err);

/*
 * Blocks along both axes in one pass over the source, as training needs them: codes and scales as mxq_encode_columns makes them, and
 * line_codes and line_scales as mxq_encode makes them of outer * k rows of `inner` scalars. The source is read from memory once.
 * stats may be NULL or has two elements: of the lines, of the columns. Everything else as for mxq_encode_columns.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_encode_both(enum mxq_format format, enum mxq_dtype dtype, const void *src,
                                                       const struct mxq_columns *shape, void *line_codes, uint8_t *line_scales,
                                                       void *codes, uint8_t *scales, const struct mxq_numerics *numerics, const struct mxq_runner *runner,
                                                       struct mxq_stats stats[2], struct mxq_error *err);

/*
 * The way back of mxq_encode_columns: decodes outer * inner rows of codes into the columns of dst, with the values and the count *to_inf of
 * mxq_decode. Exactly the k * inner scalars of each matrix are written.
 * Returns MXQ_OK, or MXQ_ERR_USAGE when the shape is larger than any memory.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_decode_columns(enum mxq_format format, enum mxq_dtype dtype, const void *codes,
                                                          const uint8_t *scales, const struct mxq_columns *shape, void *dst,
                                                          const struct mxq_runner *runner, uint64_t *to_inf, struct mxq_error *err);

#ifdef __cplusplus
}
#endif
#endif
