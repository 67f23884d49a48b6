/* SPDX-License-Identifier: MIT */
/*
 * Columns cut into pieces of work. Row r of the codes belongs to column (r / inner, r % inner). A strip is some rows that follow one another, a piece
 * is a strip's blocks of one chunk of the run; inside, tiles of one block a row are turned in the first cache. Pieces that follow one another lie side by
 * side in the same lines.
 */
#ifndef MXQ_CODEC_COLUMNS_H
#define MXQ_CODEC_COLUMNS_H

#include <stdatomic.h>
#include <mxq/columns.h>
#include "lib/codec/turn.h"
#include "lib/kernels/kernels.h"

enum {
  MXQ_COLUMN_ROWS = 128,     /* of a strip: long enough pieces of a line, few enough that a tile's blocks fit */
  MXQ_COLUMN_CHUNK = 64,     /* blocks: a line of scales */
  MXQ_COLUMN_TILE = MXQ_COLUMN_ROWS * MXQ_BLOCK, /* scalars */
  MXQ_COLUMN_GROUP = 192,    /* bytes of the codes of a row that are written together, at most */
};

struct mxq_columns_job {
  struct mxq_columns shape;      /* strides and steps filled in */
  enum mxq_element element;
  size_t size, block_bytes;
  size_t row_blocks;
  size_t span, spans;            /* rows that no strip leaves: of one matrix, or all */
  size_t strips;                 /* of a span */
  size_t chunk, chunks;          /* blocks of a row in a piece, pieces of a row */
  size_t group;                  /* blocks whose codes are written together: whole lines of a cache */
  size_t pieces, batch, batches; /* pieces that are claimed together */
  _Atomic size_t next;           /* batch to be claimed */
};
struct mxq_column_piece {
  size_t row, rows;              /* of codes */
  size_t block, blocks;          /* of each row */
};

/* False when the sizes do not fit in memory. within: no strip leaves its matrix. */
bool mxq_columns_init(struct mxq_columns_job *job, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_columns *shape, bool within);
struct mxq_column_piece mxq_columns_piece(const struct mxq_columns_job *job, size_t piece);
/* Lines that a block holds: the last one may not be full. */
static inline size_t mxq_columns_lines(const struct mxq_columns_job *job, size_t block) {
  const size_t left = job->shape.k - block * MXQ_BLOCK;
  return left < MXQ_BLOCK ? left : MXQ_BLOCK;
}
/* Columns that follow `row` in its matrix. */
static inline size_t mxq_columns_left(const struct mxq_columns_job *job, size_t row) { return job->shape.inner - row % job->shape.inner; }
/* Where element `line` of a row begins on the wide side, in bytes. */
static inline size_t mxq_columns_at(const struct mxq_columns_job *job, size_t row, size_t line) {
  return row / job->shape.inner * job->shape.matrix_stride + line * job->shape.line_stride + row % job->shape.inner * job->size;
}

#endif
