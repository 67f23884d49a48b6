/* SPDX-License-Identifier: MIT */
#include "lib/codec/job.h"

/* Pieces are large enough to be worth a claim, and few enough that what is kept for each of them stays small. */
enum { PIECE_BLOCKS = 1024, MAX_PIECES = 4096 };

bool mxq_job_init(struct mxq_job *job, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_rows *shape) {
  struct mxq_rows s = *shape;
  size_t row_bytes, total;
  uint64_t codes, scales;
  job->kernels = mxq_kernels_now();
  job->element = mxq_format_element(format);
  job->lane = MXQ_LANE_OF(dtype);
  job->size = dtype == MXQ_F32 ? 4 : 2;
  if (!mxq_sizes(format, s.rows, s.k, &codes, &scales) || __builtin_mul_overflow(s.k, job->size, &row_bytes) ||
      __builtin_mul_overflow(row_bytes, s.rows, &total))
    return false;
  size_t blocks = (size_t)mxq_row_blocks(s.k), block_bytes = mxq_block_bytes(job->element);
  if (s.value_stride == 0) s.value_stride = row_bytes;
  if (s.codes_stride == 0) s.codes_stride = blocks * block_bytes;
  if (s.scales_stride == 0) s.scales_stride = blocks;
  if (s.k % MXQ_BLOCK == 0 && s.value_stride == row_bytes && s.codes_stride == blocks * block_bytes && s.scales_stride == blocks) {
    s.k *= s.rows;
    blocks *= s.rows;
    s.rows = s.rows != 0;
  }
  job->shape = s;
  job->row_blocks = blocks;
  job->blocks = blocks * s.rows;
  job->piece = (job->blocks / MAX_PIECES / 64 + 1) * 64; /* their codes begin at cache lines if the first do */
  if (job->piece < PIECE_BLOCKS) job->piece = PIECE_BLOCKS;
  job->pieces = (job->blocks + job->piece - 1) / job->piece;
  job->stream_codes = mxq_kernels_stream(codes);
  atomic_init(&job->next, 0);
  return true;
}

struct mxq_segment mxq_job_segment(const struct mxq_job *job, size_t *at, size_t end, size_t most) {
  size_t first = *at % job->row_blocks, n = end - *at, left = job->row_blocks - first;
  struct mxq_segment s = {.row = *at / job->row_blocks, .column = first * MXQ_BLOCK};
  if (n > left) n = left;
  if (n > most) n = most;
  *at += n;
  s.blocks = n;
  if (first + n == job->row_blocks && job->shape.k % MXQ_BLOCK != 0) {
    s.blocks--;
    s.tail = job->shape.k % MXQ_BLOCK;
  }
  return s;
}
