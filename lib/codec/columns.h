/* SPDX-License-Identifier: MIT */
/*
 * Columns cut into pieces of work. Row r of the codes belongs to column (r / inner, r % inner). A strip is some rows that follow one another, a piece
 * is a strip's blocks of one chunk of the run; inside, tiles of one block a row are turned in the first cache. Pieces that follow one another lie side by
 * side in the same lines.
 */
#ifndef MXQ_CODEC_COLUMNS_H
#define MXQ_CODEC_COLUMNS_H

#include <stdatomic.h>
#include <string.h>
#include <mxq/columns.h>
#include "lib/codec/turn.h"
#include "lib/kernels/kernels.h"

enum {
  MXQ_COLUMN_ROWS = 256,      /* of a strip, at most */
  MXQ_COLUMN_LINE = 512,      /* bytes of a line that a strip is wide: long enough to be read well, few enough for the caches */
  MXQ_COLUMN_TILE = 32,       /* rows of a tile */
  MXQ_COLUMN_CHUNK = 64,      /* blocks: a line of scales */
  MXQ_COLUMN_CODES = 128 * 192, /* bytes of the codes of a strip that are held together: whole lines of a cache for each row */
};

struct mxq_columns_job {
  struct mxq_columns shape;      /* strides and steps filled in */
  enum mxq_element element;
  size_t size, block_bytes;
  size_t row_blocks;
  size_t span, spans;            /* rows that no strip leaves: of one matrix, or all */
  size_t rows, strips;           /* rows of a strip, strips of a span */
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

/* Few bytes, without a call. */
static inline void mxq_columns_copy(uint8_t *to, const uint8_t *from, size_t n) {
  for (; n >= 16; n -= 16, to += 16, from += 16) memcpy(to, from, 16);
  for (; n >= 8; n -= 8, to += 8, from += 8) memcpy(to, from, 8);
  for (; n; n--) *to++ = *from++;
}

/* What comes next is fetched while there is something to do. */
struct mxq_ahead {
  const uint8_t *at;
  size_t stride, bytes, lines;
};
static inline void mxq_ahead_fetch(struct mxq_ahead *a, size_t lines) {
  for (; lines && a->lines; lines--, a->lines--, a->at += a->stride)
    for (size_t i = 0; i < a->bytes; i += 64) __builtin_prefetch(a->at + i, 0, 2);
}

#endif
