/* SPDX-License-Identifier: MIT */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/blocks.h"
#include "lib/codec/job.h"

struct encoding {
  struct mxq_job job;
  const uint8_t *src;
  uint8_t *codes, *scales;
  size_t k;                     /* of a row, as asked */
  struct mxq_blocks blocks;
  struct mxq_stats *stats;      /* one a piece, or NULL */
  _Atomic uint64_t first_bad;   /* flat index of the first scalar that is an error */
};

/* Where the block stands that begins with scalar number `flat`. */
static struct mxq_place place_of(const struct encoding *e, uint64_t flat) {
  const uint64_t f = e->job.shape.first + flat, inner = e->job.shape.inner;
  if (inner <= 1) return (struct mxq_place){f, MXQ_BLOCK, 1};
  const uint64_t row = f / e->k, column = f % e->k;
  return (struct mxq_place){(row / inner * e->k + column) * inner + row % inner, MXQ_BLOCK * inner, inner};
}

/* Blocks that follow one another, in one row unless rows have no padding. */
static size_t run_kernel(const struct encoding *e, const uint8_t *src, size_t blocks, uint8_t *codes, uint8_t *scales, uint64_t flat) {
  struct mxq_place place = {0};
  if (e->blocks.recipe.round != MXQ_ROUND_STOCHASTIC) return mxq_blocks_encode(&e->blocks, src, blocks, codes, scales, &place);
  place = place_of(e, flat);
  if (place.element_step == 1) return mxq_blocks_encode(&e->blocks, src, blocks, codes, scales, &place);
  size_t bad = 0;
  for (size_t done = 0, now; done < blocks; done += now) { /* a row at a time */
    uint64_t here = flat + done * MXQ_BLOCK, column = (e->job.shape.first + here) % e->k, left = (e->k - column + MXQ_BLOCK - 1) / MXQ_BLOCK;
    now = left < blocks - done ? (size_t)left : blocks - done;
    place = place_of(e, here);
    bad += mxq_blocks_encode(&e->blocks, src + done * MXQ_BLOCK * e->job.size, now, codes + done * mxq_block_bytes(e->job.element), scales + done, &place);
  }
  return bad;
}

/* `n` scalars in whole blocks or in one padded block; src holds whole blocks. False when an error was found. */
static bool encode_run(struct encoding *e, const uint8_t *src, size_t n, uint8_t *codes, uint8_t *scales, uint64_t flat,
                       struct mxq_stats *stats) {
  const struct mxq_job *job = &e->job;
  const size_t blocks = (n + MXQ_BLOCK - 1) / MXQ_BLOCK, block_bytes = mxq_block_bytes(job->element);
  size_t bad = run_kernel(e, src, blocks, codes, scales, flat);
  for (size_t i = 0; bad && mxq_blocks_mends(&e->blocks) && i < blocks; i++) {
    if (scales[i] != 255) continue;
    struct mxq_place place = place_of(e, flat + i * MXQ_BLOCK);
    size_t at = mxq_blocks_mend(&e->blocks, src + i * MXQ_BLOCK * job->size, codes + i * block_bytes, scales + i, &place);
    if (at == MXQ_BLOCK) continue;
    uint64_t index = flat + i * MXQ_BLOCK + at, seen = atomic_load(&e->first_bad);
    while (index < seen && !atomic_compare_exchange_weak(&e->first_bad, &seen, index)) continue;
    return false;
  }
  if (stats) mxq_blocks_measure(&e->blocks, src, n, codes, scales, stats);
  return true;
}

static void work(void *context) {
  struct encoding *e = context;
  struct mxq_job *job = &e->job;
  const size_t block_bytes = mxq_block_bytes(job->element);
  fenv_t before;
  fegetenv(&before);
  fesetenv(FE_DFL_ENV);
  for (bool good = true; good;) {
    size_t piece = atomic_fetch_add(&job->next, 1);
    if (piece >= job->pieces) break;
    /* After an error only what lies before it still matters. */
    size_t at = piece * job->piece;
    if (atomic_load(&e->first_bad) <= (uint64_t)(at / job->row_blocks) * job->shape.k + at % job->row_blocks * MXQ_BLOCK) break;
    size_t end = job->blocks - at < job->piece ? job->blocks : at + job->piece;
    struct mxq_stats *stats = e->stats ? &e->stats[piece] : NULL;
    while (good && at < end) {
      struct mxq_segment s = mxq_job_segment(job, &at, end, stats ? MXQ_MEASURED : end);
      uint8_t *codes = e->codes + s.row * job->shape.codes_stride + s.column / MXQ_BLOCK * block_bytes;
      uint8_t *scales = e->scales + s.row * job->shape.scales_stride + s.column / MXQ_BLOCK;
      const uint8_t *src = e->src + s.row * job->shape.value_stride + s.column * job->size;
      uint64_t flat = (uint64_t)s.row * job->shape.k + s.column;
      if (s.blocks) good = encode_run(e, src, s.blocks * MXQ_BLOCK, codes, scales, flat, stats);
      if (good && s.tail) {
        uint8_t padded[128] = {0};
        memcpy(padded, src + s.blocks * MXQ_BLOCK * job->size, s.tail * job->size);
        good = encode_run(e, padded, s.tail, codes + s.blocks * block_bytes, scales + s.blocks, flat + s.blocks * MXQ_BLOCK, stats);
      }
    }
  }
  fesetenv(&before);
}

enum mxq_status mxq_encode(enum mxq_format format, enum mxq_dtype dtype, const void *src, const struct mxq_rows *shape, void *codes,
                           uint8_t *scales, const struct mxq_numerics *numerics, const struct mxq_runner *runner, struct mxq_stats *stats,
                           struct mxq_error *err) {
  struct encoding e = {.src = src, .codes = codes, .scales = scales, .k = shape->k};
  enum mxq_status status = mxq_blocks_init(&e.blocks, format, dtype, numerics, err);
  if (status != MXQ_OK) return status;
  if (!mxq_job_init(&e.job, format, dtype, shape))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  if (e.job.pieces == 0) return MXQ_OK;
  e.blocks.recipe.stream = e.job.stream_codes && stats == NULL; /* what is measured is read again at once */
  if (stats && (e.stats = calloc(e.job.pieces, sizeof *e.stats)) == NULL) return mxq_fail_nomem(err, NULL);
  atomic_init(&e.first_bad, UINT64_MAX);
  mxq_run(runner, e.job.pieces, work, &e);
  for (size_t i = 0; stats && i < e.job.pieces; i++) mxq_stats_add(stats, &e.stats[i]);
  free(e.stats);
  uint64_t bad = atomic_load(&e.first_bad);
  return bad == UINT64_MAX ? MXQ_OK : mxq_blocks_fail(&e.blocks, bad, err);
}
