/* SPDX-License-Identifier: MIT */
/*
 * The geometry of a blocked run that other axes follow: the source is `rows / inner` matrices of k lines by `inner` columns, and each column
 * becomes a row of codes. It depends on the tensor alone, so that statistics are summed in one order.
 */
#ifndef MXQ_CONVERT_ACROSS_H
#define MXQ_CONVERT_ACROSS_H

#include "lib/convert/job.h"

struct mxq_across {
  uint64_t k, inner, rows;
  size_t scalar;
  bool whole;                        /* matrices are small: as many as fill a chunk at a time */
  size_t columns;                    /* at a time */
};
void mxq_across_start(struct mxq_across *across, const struct mxq_tensor *tensor, size_t scalar);
/* How many columns come next, when `row` are done. */
size_t mxq_across_columns(const struct mxq_across *across, uint64_t row);
/* Lines of a matrix that are read at a time, where not whole: whole blocks, or all. */
size_t mxq_across_lines(const struct mxq_across *across);
/* Bytes of the source that are read at a time, at most. */
size_t mxq_across_bytes(const struct mxq_across *across);

#endif
