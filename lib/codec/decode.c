/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <fenv.h>
#include <string.h>
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/job.h"

/* A segment must be worth the two ends of it that are not whole lines. */
enum { STREAM_BLOCKS = 32 };

struct decoding {
  struct mxq_job job;
  const uint8_t *codes, *scales;
  uint8_t *dst;
  bool stream; /* the result is larger than caches */
  _Atomic uint64_t to_inf;
};

/* The last block of a row that it does not fill: what the padding holds is nobody's business. */
static size_t decode_tail(const struct mxq_job *job, const uint8_t *codes, const uint8_t *scale, size_t n, uint8_t *dst) {
  uint8_t padded[32] = {0}, values[128];
  size_t bits = n * mxq_block_bytes(job->element) / 4, bytes = (bits + 7) / 8;
  memcpy(padded, codes, bytes);
  if (bits % 8) padded[bytes - 1] &= (uint8_t)((1u << (bits % 8)) - 1);
  size_t lost = job->kernels->decode[job->element][job->lane](padded, scale, 1, values, false);
  memcpy(dst, values, n * job->size);
  return lost;
}

static void work(void *context) {
  struct decoding *d = context;
  struct mxq_job *job = &d->job;
  const size_t block_bytes = mxq_block_bytes(job->element);
  uint64_t lost = 0;
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  for (;;) {
    size_t piece = atomic_fetch_add(&job->next, 1);
    if (piece >= job->pieces) break;
    size_t at = piece * job->piece, end = job->blocks - at < job->piece ? job->blocks : at + job->piece;
    while (at < end) {
      struct mxq_segment s = mxq_job_segment(job, &at, end, end);
      const uint8_t *codes = d->codes + s.row * job->shape.codes_stride + s.column / MXQ_BLOCK * block_bytes;
      const uint8_t *scales = d->scales + s.row * job->shape.scales_stride + s.column / MXQ_BLOCK;
      uint8_t *dst = d->dst + s.row * job->shape.value_stride + s.column * job->size;
      if (s.blocks) lost += job->kernels->decode[job->element][job->lane](codes, scales, s.blocks, dst, d->stream && s.blocks >= STREAM_BLOCKS);
      if (s.tail)
        lost += decode_tail(job, codes + s.blocks * block_bytes, scales + s.blocks, s.tail, dst + s.blocks * MXQ_BLOCK * job->size);
    }
  }
  fesetenv(&before);
  atomic_fetch_add(&d->to_inf, lost);
}

enum mxq_status mxq_decode(enum mxq_format format, enum mxq_dtype dtype, const void *codes, const uint8_t *scales,
                           const struct mxq_rows *shape, void *dst, const struct mxq_runner *runner, uint64_t *to_inf, struct mxq_error *err) {
  struct decoding d = {.codes = codes, .scales = scales, .dst = dst};
  assert(dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16);
  assert(format > MXQ_FORMAT_NONE && format < MXQ_FORMAT_COUNT);
  if (!mxq_job_init(&d.job, format, dtype, shape))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  d.stream = mxq_kernels_stream((uint64_t)shape->rows * shape->k * d.job.size);
  atomic_init(&d.to_inf, 0);
  if (d.job.pieces) mxq_run(runner, d.job.pieces, work, &d);
  if (to_inf) *to_inf += atomic_load(&d.to_inf);
  return MXQ_OK;
}
