/* SPDX-License-Identifier: MIT */
/* Decoding along an axis that is not the last. */
#include <mxq/columns.h>

#include <assert.h>
#include <fenv.h>
#include <string.h>
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/columns.h"
#include "lib/codec/layout.h"

struct decoding {
  struct mxq_columns_job job;
  mxq_decode_fn *decode;
  mxq_turn_fn *turn;
  const uint8_t *codes, *scales;
  uint8_t *dst;
  bool stream; /* the result is larger than caches */
  _Atomic uint64_t to_inf;
};

/* Room for a tile, used again for each. */
struct tile {
  uint8_t codes[MXQ_COLUMN_TILE], values[MXQ_COLUMN_TILE * 4], turned[MXQ_COLUMN_TILE * 4], scales[MXQ_COLUMN_ROWS];
} __attribute__((aligned(64)));

/* One block of each row. What the padding of the last one holds is nobody's business. */
static void gather(const struct decoding *d, const struct mxq_column_piece *p, size_t block, struct tile *t) {
  const struct mxq_columns_job *job = &d->job;
  const struct mxq_columns *s = &job->shape;
  const uint8_t *codes = d->codes + p->row * s->codes_stride + block * job->block_bytes, *scales = d->scales + p->row * s->scales_stride + block;
  for (size_t i = 0; i < p->rows; i++) {
    memcpy(t->codes + i * job->block_bytes, codes + i * s->codes_stride, job->block_bytes);
    t->scales[i] = scales[i * s->scales_stride];
  }
  const size_t bits = mxq_columns_lines(job, block) * job->block_bytes / 4, used = bits / 8;
  for (size_t i = 0; used < job->block_bytes && i < p->rows; i++) {
    uint8_t *row = t->codes + i * job->block_bytes;
    row[used] &= (uint8_t)((1u << bits % 8) - 1);
    memset(row + used + 1, 0, job->block_bytes - used - 1);
  }
}

static size_t decode_tile(const struct decoding *d, const struct mxq_column_piece *p, size_t block, struct tile *t) {
  const struct mxq_columns_job *job = &d->job;
  const size_t lines = mxq_columns_lines(job, block), step = MXQ_BLOCK * job->size;
  gather(d, p, block, t);
  const size_t lost = d->decode(t->codes, t->scales, p->rows, t->values, false);
  for (size_t done = 0, now; done < p->rows; done += now) {
    now = mxq_columns_left(job, p->row + done);
    if (now > p->rows - done) now = p->rows - done;
    uint8_t *to = d->dst + mxq_columns_at(job, p->row + done, block * MXQ_BLOCK);
    if (d->stream && now == MXQ_COLUMN_ROWS) {
      d->turn(t->values, step, now, lines, t->turned, now * job->size);
      for (size_t j = 0; j < lines; j++) mxq_layout_stream(to + j * job->shape.line_stride, t->turned + j * now * job->size, now * job->size);
    } else {
      d->turn(t->values + done * step, step, now, lines, to, job->shape.line_stride);
    }
  }
  return lost;
}

static void work(void *context) {
  struct decoding *d = context;
  struct mxq_columns_job *job = &d->job;
  struct tile tile;
  uint64_t lost = 0;
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  for (size_t batch; (batch = atomic_fetch_add(&job->next, 1)) < job->batches;)
    for (size_t i = batch * job->batch; i < (batch + 1) * job->batch && i < job->pieces; i++) {
      const struct mxq_column_piece p = mxq_columns_piece(job, i);
      for (size_t b = 0; b < p.blocks; b++) lost += decode_tile(d, &p, p.block + b, &tile);
    }
  mxq_layout_stream_end();
  fesetenv(&before);
  atomic_fetch_add(&d->to_inf, lost);
}

enum mxq_status mxq_decode_columns(enum mxq_format format, enum mxq_dtype dtype, const void *codes, const uint8_t *scales,
                                   const struct mxq_columns *shape, void *dst, const struct mxq_runner *runner, uint64_t *to_inf, struct mxq_error *err) {
  struct decoding d = {.codes = codes, .scales = scales, .dst = dst};
  assert(dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16);
  assert(format > MXQ_FORMAT_NONE && format < MXQ_FORMAT_COUNT);
  if (!mxq_columns_init(&d.job, format, dtype, shape, false))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  if (d.job.batches == 0) return MXQ_OK;
  d.decode = mxq_kernels_now()->decode[d.job.element][MXQ_LANE_OF(dtype)];
  d.stream = mxq_kernels_stream((uint64_t)shape->outer * shape->k * shape->inner * d.job.size);
  d.turn = mxq_turn(d.job.size, MXQ_TURN_DOWN);
  atomic_init(&d.to_inf, 0);
  mxq_run(runner, d.job.batches, work, &d);
  if (to_inf) *to_inf += atomic_load(&d.to_inf);
  return MXQ_OK;
}
