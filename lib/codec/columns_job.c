/* SPDX-License-Identifier: MIT */
#include "lib/codec/columns.h"

/* Few enough batches that what is kept for each stays small; shorter chunks where there would be few pieces. */
enum { MAX_BATCHES = 4096, FEW_PIECES = 64, SHORT_CHUNK = 8 };

static size_t parts(size_t n, size_t of) { return n / of + (n % of != 0); }

bool mxq_columns_init(struct mxq_columns_job *job, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_columns *shape, bool within) {
  struct mxq_columns s = *shape;
  size_t rows, line_bytes, matrix_bytes, total;
  uint64_t codes, scales, line_codes, line_scales;
  *job = (struct mxq_columns_job){.element = mxq_format_element(format), .size = dtype == MXQ_F32 ? 4 : 2};
  if (s.outer == 0 || s.k == 0 || s.inner == 0) return true;
  if (__builtin_mul_overflow(s.outer, s.inner, &rows) || !mxq_sizes(format, rows, s.k, &codes, &scales) ||
      __builtin_mul_overflow(s.inner, job->size, &line_bytes) || __builtin_mul_overflow(line_bytes, s.k, &matrix_bytes) ||
      __builtin_mul_overflow(matrix_bytes, s.outer, &total) || !mxq_sizes(format, s.outer * s.k, s.inner, &line_codes, &line_scales))
    return false;
  job->block_bytes = mxq_block_bytes(job->element);
  job->row_blocks = (size_t)mxq_row_blocks(s.k);
  if (s.line_stride == 0) s.line_stride = line_bytes;
  if (s.matrix_stride == 0) s.matrix_stride = s.k * s.line_stride;
  if (s.codes_stride == 0) s.codes_stride = job->row_blocks * job->block_bytes;
  if (s.scales_stride == 0) s.scales_stride = job->row_blocks;
  if (s.line_codes_stride == 0) s.line_codes_stride = (size_t)mxq_row_code_bytes(format, s.inner);
  if (s.line_scales_stride == 0) s.line_scales_stride = (size_t)mxq_row_blocks(s.inner);
  if (s.line_step == 0) s.line_step = s.inner;
  if (s.matrix_step == 0) s.matrix_step = s.k * s.line_step;
  job->shape = s;

  job->group = job->block_bytes == 24 ? 8 : 64 / job->block_bytes;
  job->rows = MXQ_COLUMN_LINE / job->size;
  if (job->rows * job->group * job->block_bytes > MXQ_COLUMN_CODES) job->rows /= 2;
  const bool whole = !within && s.inner < job->rows; /* short lines: tiles take several matrices */
  job->span = whole ? rows : s.inner;
  job->spans = whole ? 1 : s.outer;
  job->strips = parts(job->span, job->rows);
  job->chunk = MXQ_COLUMN_CHUNK;
  if (job->spans * job->strips * parts(job->row_blocks, job->chunk) < FEW_PIECES) job->chunk = SHORT_CHUNK;
  job->chunks = parts(job->row_blocks, job->chunk);
  job->pieces = job->spans * job->strips * job->chunks;
  job->batch = job->pieces / MAX_BATCHES + 1;
  job->batches = parts(job->pieces, job->batch);
  atomic_init(&job->next, 0);
  return true;
}

struct mxq_column_piece mxq_columns_piece(const struct mxq_columns_job *job, size_t piece) {
  const size_t strip = piece % job->strips * job->rows, chunk = piece / job->strips % job->chunks, span = piece / job->strips / job->chunks;
  struct mxq_column_piece p = {.row = span * job->span + strip, .rows = job->span - strip, .block = chunk * job->chunk};
  if (p.rows > job->rows) p.rows = job->rows;
  p.blocks = job->row_blocks - p.block < job->chunk ? job->row_blocks - p.block : job->chunk;
  return p;
}
