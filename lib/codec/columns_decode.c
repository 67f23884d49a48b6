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

/* Room for the codes and scales of a strip, and for one tile; used again for each. */
struct room {
  uint8_t codes[MXQ_COLUMN_CODES], scales[MXQ_COLUMN_ROWS * MXQ_COLUMN_CHUNK];
  uint8_t tile[MXQ_COLUMN_TILE * MXQ_BLOCK], values[MXQ_COLUMN_TILE * MXQ_BLOCK * 4], turned[MXQ_BLOCK * MXQ_COLUMN_LINE], tile_scales[MXQ_COLUMN_TILE];
} __attribute__((aligned(64)));

/* What the padding of a block holds is nobody's business. */
static void clear_padding(uint8_t *codes, size_t block_bytes, size_t scalars) {
  const size_t bits = scalars * block_bytes / 4, used = bits / 8;
  if (used == block_bytes) return;
  codes[used] &= (uint8_t)((1u << bits % 8) - 1);
  memset(codes + used + 1, 0, block_bytes - used - 1);
}

/* Block b of the piece, which is number `held` of those in room: one of each row, a tile at a time. */
static size_t decode_block(const struct decoding *d, const struct mxq_column_piece *p, size_t b, size_t held, size_t step_codes, struct room *room,
                           struct mxq_ahead *ahead) {
  const struct mxq_columns_job *job = &d->job;
  const size_t lines = mxq_columns_lines(job, p->block + b), step = MXQ_BLOCK * job->size, bytes = job->block_bytes, wide = p->rows * job->size;
  const bool stream = d->stream && p->rows == job->rows && mxq_columns_left(job, p->row) >= p->rows;
  size_t lost = 0;
  for (size_t r = 0, n; r < p->rows; r += n) {
    n = p->rows - r < MXQ_COLUMN_TILE ? p->rows - r : MXQ_COLUMN_TILE;
    for (size_t i = 0; i < n; i++) {
      mxq_columns_copy(room->tile + i * bytes, room->codes + (r + i) * step_codes + held * bytes, bytes);
      if (lines < MXQ_BLOCK) clear_padding(room->tile + i * bytes, bytes, lines);
      room->tile_scales[i] = room->scales[(r + i) * p->blocks + b];
    }
    lost += d->decode(room->tile, room->tile_scales, n, room->values, false);
    for (size_t done = 0, now; done < n; done += now) {
      const size_t row = p->row + r + done;
      now = mxq_columns_left(job, row);
      if (now > n - done) now = n - done;
      if (stream) d->turn(room->values + done * step, step, now, lines, room->turned + (r + done) * job->size, wide);
      else d->turn(room->values + done * step, step, now, lines, d->dst + mxq_columns_at(job, row, (p->block + b) * MXQ_BLOCK), job->shape.line_stride);
    }
    mxq_ahead_fetch(ahead, MXQ_COLUMN_TILE / job->group);
  }
  uint8_t *to = d->dst + mxq_columns_at(job, p->row, (p->block + b) * MXQ_BLOCK);
  for (size_t j = 0; stream && j < lines; j++) mxq_layout_stream(to + j * job->shape.line_stride, room->turned + j * wide, wide);
  return lost;
}

static size_t decode_piece(const struct decoding *d, const struct mxq_column_piece *p, struct room *room) {
  const struct mxq_columns_job *job = &d->job;
  const struct mxq_columns *s = &job->shape;
  const uint8_t *codes = d->codes + p->row * s->codes_stride + p->block * job->block_bytes, *scales = d->scales + p->row * s->scales_stride + p->block;
  struct mxq_ahead ahead = {0};
  size_t lost = 0;
  for (size_t i = 0; i < p->rows; i++) mxq_columns_copy(room->scales + i * p->blocks, scales + i * s->scales_stride, p->blocks);
  for (size_t b = 0, blocks; b < p->blocks; b += blocks) {
    blocks = p->blocks - b < job->group ? p->blocks - b : job->group;
    const size_t bytes = blocks * job->block_bytes;
    for (size_t i = 0; i < p->rows; i++) mxq_columns_copy(room->codes + i * bytes, codes + i * s->codes_stride + b * job->block_bytes, bytes);
    if (b + blocks < p->blocks) ahead = (struct mxq_ahead){codes + (b + blocks) * job->block_bytes, s->codes_stride, bytes, p->rows};
    else ahead = (struct mxq_ahead){0};
    for (size_t held = 0; held < blocks; held++) lost += decode_block(d, p, b + held, held, bytes, room, &ahead);
  }
  return lost;
}

static void work(void *context) {
  struct decoding *d = context;
  struct mxq_columns_job *job = &d->job;
  struct room room;
  uint64_t lost = 0;
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  for (size_t batch; (batch = atomic_fetch_add(&job->next, 1)) < job->batches;)
    for (size_t i = batch * job->batch; i < (batch + 1) * job->batch && i < job->pieces; i++) {
      const struct mxq_column_piece p = mxq_columns_piece(job, i);
      lost += decode_piece(d, &p, &room);
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
