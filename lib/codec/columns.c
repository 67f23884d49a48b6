/* SPDX-License-Identifier: MIT */
/* Encoding along an axis that is not the last, and along both. */
#include <mxq/columns.h>

#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/blocks.h"
#include "lib/codec/columns.h"
#include "lib/codec/layout.h"


struct encoding {
  struct mxq_columns_job job;
  struct mxq_blocks blocks;
  const uint8_t *src;
  uint8_t *codes, *scales, *line_codes, *line_scales; /* those of lines: NULL, or both */
  mxq_turn_fn *turn;
  bool stream;                  /* codes are larger than caches */
  struct mxq_stats *stats[2];   /* a batch each, of lines and of columns; or NULL */
  _Atomic uint64_t first_bad;   /* index in the source of the first scalar that is an error */
};

static void note_bad(struct encoding *e, uint64_t index) {
  uint64_t seen = atomic_load(&e->first_bad);
  while (index < seen && !atomic_compare_exchange_weak(&e->first_bad, &seen, index)) continue;
}
static uint64_t index_of(const struct encoding *e, size_t row, size_t line) {
  const struct mxq_columns *s = &e->job.shape;
  return ((uint64_t)(row / s->inner) * s->k + line) * s->inner + row % s->inner;
}
/* Of a block of `row`; that of the next row stands one further. */
static struct mxq_place place_of(const struct encoding *e, size_t row, size_t block) {
  const struct mxq_columns *s = &e->job.shape;
  return (struct mxq_place){s->first + row / s->inner * s->matrix_step + block * MXQ_BLOCK * s->line_step + row % s->inner, 1, s->line_step};
}

static struct mxq_ahead next_tile(const struct encoding *e, const struct mxq_column_piece *p, size_t b) {
  const struct mxq_columns_job *job = &e->job;
  size_t row = p->row, block = p->block + b + 1;
  if (p->rows > mxq_columns_left(job, row)) return (struct mxq_ahead){0};
  if (b + 1 == p->blocks) {
    row += p->rows, block = p->block;
    if (row % job->shape.inner == 0) return (struct mxq_ahead){0};
  }
  const size_t left = mxq_columns_left(job, row) * job->size, most = job->rows * job->size;
  return (struct mxq_ahead){e->src + mxq_columns_at(job, row, block * MXQ_BLOCK), job->shape.line_stride, left < most ? left : most, mxq_columns_lines(job, block)};
}

/* A block of each of n rows. */
static void gather(const struct encoding *e, size_t row, size_t n, size_t block, uint8_t *values) {
  const struct mxq_columns_job *job = &e->job;
  const size_t lines = mxq_columns_lines(job, block), step = MXQ_BLOCK * job->size, padding = step - lines * job->size;
  for (size_t done = 0, now; done < n; done += now) {
    now = mxq_columns_left(job, row + done);
    if (now > n - done) now = n - done;
    e->turn(e->src + mxq_columns_at(job, row + done, block * MXQ_BLOCK), job->shape.line_stride, lines, now, values + done * step, step);
  }
  for (size_t i = 0; padding && i < n; i++) memset(values + (i + 1) * step - padding, 0, padding);
}

static void encode_tile(struct encoding *e, size_t row, size_t n, size_t block, uint8_t *codes, uint8_t *scales, struct mxq_stats *stats) {
  const struct mxq_columns_job *job = &e->job;
  uint8_t values[MXQ_COLUMN_TILE * MXQ_BLOCK * 4] __attribute__((aligned(64)));
  const size_t step = MXQ_BLOCK * job->size;
  struct mxq_place place = {0};
  size_t bad = 0;
  gather(e, row, n, block, values);
  if (e->blocks.recipe.round != MXQ_ROUND_STOCHASTIC) bad = mxq_blocks_encode(&e->blocks, values, n, codes, scales, &place);
  else
    for (size_t i = 0, now; i < n; i += now) { /* one matrix at a time */
      place = place_of(e, row + i, block);
      now = mxq_columns_left(job, row + i);
      if (now > n - i) now = n - i;
      bad += mxq_blocks_encode(&e->blocks, values + i * step, now, codes + i * job->block_bytes, scales + i, &place);
    }
  for (size_t i = 0; bad && mxq_blocks_mends(&e->blocks) && i < n; i++) {
    if (scales[i] != 255) continue;
    place = place_of(e, row + i, block);
    size_t at = mxq_blocks_mend(&e->blocks, values + i * step, codes + i * job->block_bytes, scales + i, &place);
    if (at < MXQ_BLOCK) note_bad(e, index_of(e, row + i, block * MXQ_BLOCK + at));
  }
  if (!stats) return;
  for (size_t i = 0; i < n; i += MXQ_MEASURED) {
    const size_t now = n - i < MXQ_MEASURED ? n - i : MXQ_MEASURED;
    mxq_blocks_measure(&e->blocks, values + i * step, now * MXQ_BLOCK, codes + i * job->block_bytes, scales + i, stats);
  }
  stats->elements -= n * (MXQ_BLOCK - mxq_columns_lines(job, block)); /* padding */
}

/* The codes of `blocks` blocks of each row, from where `room` bytes are kept for it. */
static void put_codes(const struct encoding *e, const struct mxq_column_piece *p, size_t block, size_t blocks, const uint8_t *codes, size_t room) {
  const struct mxq_columns *s = &e->job.shape;
  const size_t bytes = blocks * e->job.block_bytes;
  uint8_t *to = e->codes + p->row * s->codes_stride + block * e->job.block_bytes;
  if (e->stream && bytes % 64 == 0) {
    for (size_t i = 0; i < p->rows; i++) mxq_layout_stream(to + i * s->codes_stride, codes + i * room, bytes);
  } else {
    for (size_t i = 0; i < p->rows; i++) mxq_columns_copy(to + i * s->codes_stride, codes + i * room, bytes);
  }
}

/* A tile's codes to a row each, `step` apart. */
static void spread(const uint8_t *codes, size_t n, size_t bytes, uint8_t *to, size_t step) {
  if (bytes == 16) for (size_t i = 0; i < n; i++) memcpy(to + i * step, codes + i * 16, 16);
  else if (bytes == 24) for (size_t i = 0; i < n; i++) memcpy(to + i * step, codes + i * 24, 24);
  else for (size_t i = 0; i < n; i++) memcpy(to + i * step, codes + i * 32, 32);
}

/* The tile's lines as rows, from a copy with whole blocks. */
static void encode_lines(struct encoding *e, const struct mxq_column_piece *p, size_t block, struct mxq_stats *stats) {
  const struct mxq_columns_job *job = &e->job;
  const struct mxq_columns *s = &job->shape;
  uint8_t values[MXQ_BLOCK * MXQ_COLUMN_LINE] __attribute__((aligned(64))), codes[MXQ_BLOCK * MXQ_COLUMN_ROWS] __attribute__((aligned(64)));
  uint8_t scales[MXQ_COLUMN_ROWS];
  const size_t lines = mxq_columns_lines(job, block), m = (p->rows + MXQ_BLOCK - 1) / MXQ_BLOCK, bytes = p->rows * job->size;
  const size_t first = block * MXQ_BLOCK, step = m * MXQ_BLOCK * job->size, code_step = m * job->block_bytes;
  for (size_t j = 0; j < lines; j++) {
    memcpy(values + j * step, e->src + mxq_columns_at(job, p->row, first + j), bytes);
    memset(values + j * step + bytes, 0, step - bytes);
  }
  size_t bad = 0;
  if (e->blocks.recipe.round != MXQ_ROUND_STOCHASTIC) {
    bad = mxq_blocks_encode(&e->blocks, values, lines * m, codes, scales, &(struct mxq_place){0});
  } else {
    for (size_t j = 0; j < lines; j++)
      bad += mxq_blocks_encode(&e->blocks, values + j * step, m, codes + j * code_step, scales + j * m,
                               &(struct mxq_place){place_of(e, p->row, 0).first + (first + j) * s->line_step, MXQ_BLOCK, 1});
  }
  for (size_t i = 0; bad && mxq_blocks_mends(&e->blocks) && i < lines * m; i++) {
    if (scales[i] != 255) continue;
    const size_t line = first + i / m, column = i % m * MXQ_BLOCK;
    struct mxq_place place = {place_of(e, p->row, 0).first + line * s->line_step + column, MXQ_BLOCK, 1};
    size_t at = mxq_blocks_mend(&e->blocks, values + i * MXQ_BLOCK * job->size, codes + i * job->block_bytes, scales + i, &place);
    if (at < MXQ_BLOCK) note_bad(e, index_of(e, p->row + column + at, line));
  }
  for (size_t i = 0; stats && i < lines * m; i += MXQ_MEASURED) {
    const size_t now = lines * m - i < MXQ_MEASURED ? lines * m - i : MXQ_MEASURED;
    mxq_blocks_measure(&e->blocks, values + i * MXQ_BLOCK * job->size, now * MXQ_BLOCK, codes + i * job->block_bytes, scales + i, stats);
  }
  if (stats) stats->elements -= lines * (m * MXQ_BLOCK - p->rows);
  const size_t line = p->row / s->inner * s->k + first, column = p->row % s->inner / MXQ_BLOCK;
  uint8_t *to = e->line_codes + line * s->line_codes_stride + column * job->block_bytes, *to_scales = e->line_scales + line * s->line_scales_stride + column;
  for (size_t j = 0; j < lines; j++) {
    if (e->stream && code_step % 64 == 0) mxq_layout_stream(to + j * s->line_codes_stride, codes + j * code_step, code_step);
    else mxq_columns_copy(to + j * s->line_codes_stride, codes + j * code_step, code_step);
    mxq_columns_copy(to_scales + j * s->line_scales_stride, scales + j * m, m);
  }
}

static void encode_piece(struct encoding *e, size_t piece, struct mxq_stats *line_stats, struct mxq_stats *stats) {
  const struct mxq_columns_job *job = &e->job;
  const struct mxq_column_piece p = mxq_columns_piece(job, piece);
  const size_t bytes = job->block_bytes, room = (p.blocks < job->group ? p.blocks : job->group) * bytes;
  /* After an error only what lies before it still matters. */
  if (atomic_load(&e->first_bad) <= index_of(e, p.row, p.block * MXQ_BLOCK)) return;
  uint8_t tile[MXQ_BLOCK * MXQ_COLUMN_ROWS] __attribute__((aligned(64))), tile_scales[MXQ_COLUMN_ROWS];
  uint8_t codes[MXQ_COLUMN_CODES] __attribute__((aligned(64))), scales[MXQ_COLUMN_ROWS * MXQ_COLUMN_CHUNK];
  for (size_t b = 0, held = 0; b < p.blocks; b++) {
    struct mxq_ahead ahead = next_tile(e, &p, b);
    if (e->line_codes) encode_lines(e, &p, p.block + b, line_stats);
    for (size_t i = 0; i < p.rows; i += MXQ_COLUMN_TILE) {
      const size_t n = p.rows - i < MXQ_COLUMN_TILE ? p.rows - i : MXQ_COLUMN_TILE;
      encode_tile(e, p.row + i, n, p.block + b, tile + i * bytes, tile_scales + i, stats);
      mxq_ahead_fetch(&ahead, MXQ_BLOCK * MXQ_COLUMN_TILE / job->rows);
    }
    spread(tile, p.rows, bytes, codes + held * bytes, room);
    for (size_t i = 0; i < p.rows; i++) scales[i * p.blocks + b] = tile_scales[i];
    if (++held < job->group && b + 1 < p.blocks) continue;
    put_codes(e, &p, p.block + b + 1 - held, held, codes, room);
    held = 0;
  }
  uint8_t *to = e->scales + p.row * job->shape.scales_stride + p.block;
  for (size_t i = 0; i < p.rows; i++) mxq_columns_copy(to + i * job->shape.scales_stride, scales + i * p.blocks, p.blocks);
}

static void work(void *context) {
  struct encoding *e = context;
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  for (size_t batch; (batch = atomic_fetch_add(&e->job.next, 1)) < e->job.batches;)
    for (size_t i = batch * e->job.batch; i < (batch + 1) * e->job.batch && i < e->job.pieces; i++)
      encode_piece(e, i, e->stats[0] ? e->stats[0] + batch : NULL, e->stats[1] ? e->stats[1] + batch : NULL);
  mxq_layout_stream_end();
  fesetenv(&before);
}

/* stats[0]: of lines, stats[1]: of columns; each may be NULL. */
static enum mxq_status encode(struct encoding *e, enum mxq_format format, enum mxq_dtype dtype, const struct mxq_columns *shape,
                              const struct mxq_numerics *numerics, const struct mxq_runner *runner, struct mxq_stats *stats[2], struct mxq_error *err) {
  enum mxq_status status = mxq_blocks_init(&e->blocks, format, dtype, numerics, err);
  if (status != MXQ_OK) return status;
  if (!mxq_columns_init(&e->job, format, dtype, shape, e->line_codes != NULL))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  if (e->job.batches == 0) return MXQ_OK;
  const uint64_t rows = (uint64_t)e->job.shape.outer * e->job.shape.inner;
  e->stream = mxq_kernels_stream(rows * e->job.row_blocks * e->job.block_bytes);
  e->turn = mxq_turn(e->job.size, MXQ_TURN_ALONG);
  for (int i = 0; i < 2; i++)
    if (stats[i] && (e->stats[i] = calloc(e->job.batches, sizeof *e->stats[i])) == NULL) {
      free(e->stats[0]);
      return mxq_fail_nomem(err, NULL);
    }
  atomic_init(&e->first_bad, UINT64_MAX);
  mxq_run(runner, e->job.batches, work, e);
  for (int i = 0; i < 2; i++) {
    for (size_t b = 0; stats[i] && b < e->job.batches; b++) mxq_stats_add(stats[i], &e->stats[i][b]);
    free(e->stats[i]);
  }
  const uint64_t bad = atomic_load(&e->first_bad);
  return bad == UINT64_MAX ? MXQ_OK : mxq_blocks_fail(&e->blocks, bad, err);
}

enum mxq_status mxq_encode_columns(enum mxq_format format, enum mxq_dtype dtype, const void *src, const struct mxq_columns *shape, void *codes,
                                   uint8_t *scales, const struct mxq_numerics *numerics, const struct mxq_runner *runner, struct mxq_stats *stats,
                                   struct mxq_error *err) {
  struct encoding e = {.src = src, .codes = codes, .scales = scales};
  return encode(&e, format, dtype, shape, numerics, runner, (struct mxq_stats *[2]){NULL, stats}, err);
}

enum mxq_status mxq_encode_both(enum mxq_format format, enum mxq_dtype dtype, const void *src, const struct mxq_columns *shape, void *line_codes,
                                uint8_t *line_scales, void *codes, uint8_t *scales, const struct mxq_numerics *numerics, const struct mxq_runner *runner,
                                struct mxq_stats stats[2], struct mxq_error *err) {
  struct encoding e = {.src = src, .codes = codes, .scales = scales, .line_codes = line_codes, .line_scales = line_scales};
  return encode(&e, format, dtype, shape, numerics, runner, (struct mxq_stats *[2]){stats, stats ? stats + 1 : NULL}, err);
}
