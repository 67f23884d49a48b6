/* SPDX-License-Identifier: MIT */
/* A shape cut into pieces of work: rows -> blocks -> ranges of blocks. */
#ifndef MXQ_CODEC_JOB_H
#define MXQ_CODEC_JOB_H

#include <stdatomic.h>
#include "lib/kernels/kernels.h"

struct mxq_job {
  const struct mxq_kernels *kernels;
  enum mxq_element element;
  enum mxq_lane lane;
  size_t size;                 /* of a scalar of the wide side */
  struct mxq_rows shape;       /* strides filled in; one long row where rows follow each other without gaps or padding */
  size_t row_blocks, blocks;   /* in a row, in all */
  size_t piece, pieces;        /* blocks in a piece, whatever the threads; number of pieces */
  bool stream_codes;           /* the codes are larger than caches */
  _Atomic size_t next;         /* piece to be claimed */
};

/* Part of one row: `blocks` whole blocks, then `tail` scalars of a block that the row does not fill (0: none). */
struct mxq_segment {
  size_t row, column;          /* of the first scalar */
  size_t blocks, tail;
};

/* False when the sizes do not fit in memory. */
bool mxq_job_init(struct mxq_job *job, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_rows *shape);
/* The segment that begins at block *at and ends at `end` or with its row; advances *at. At most `most` blocks. */
struct mxq_segment mxq_job_segment(const struct mxq_job *job, size_t *at, size_t end, size_t most);

#endif
