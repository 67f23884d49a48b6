/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/codec/job.h"
#include "lib/kernels/recipe.h"

/* Blocks measured at once: their f32 values and what they decode to stay in the first cache. */
enum { MEASURED = 32 };

struct encoding {
  struct mxq_job job;
  const uint8_t *src;
  uint8_t *codes, *scales;
  size_t k;                     /* of a row, as asked */
  struct mxq_recipe recipe;
  enum mxq_nonfinite nonfinite;
  struct mxq_stats *stats;      /* one a piece, or NULL */
  _Atomic uint64_t first_bad;   /* flat index of the first scalar that is an error */
};

static uint32_t scalar_bits(const uint8_t *p, enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? mxq_get32(p) : mxq_get16(p); }
/* Bits of +Inf; above it lie the NaN. */
static uint32_t infinity_of(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 0x7f800000 : lane == MXQ_LANE_BF16 ? 0x7f80 : 0x7c00; }
static uint32_t sign_of(enum mxq_lane lane) { return lane == MXQ_LANE_F32 ? 0x80000000 : 0x8000; }

static void put_code(uint8_t *codes, unsigned bits, size_t at, unsigned code) {
  for (unsigned k = 0; k < bits; k++) {
    size_t bit = at * bits + k;
    codes[bit / 8] = (uint8_t)((codes[bit / 8] & ~(1u << bit % 8)) | (code >> k & 1u) << bit % 8);
  }
}

/* Blocks that follow one another, in one row unless rows have no padding; flat: number of the first scalar. */
static size_t run_kernel(const struct encoding *e, const struct mxq_recipe *recipe, const uint8_t *src, size_t blocks, uint8_t *codes,
                         uint8_t *scales, uint64_t flat) {
  const struct mxq_job *job = &e->job;
  if (recipe->plain) return job->kernels->encode[job->element][job->lane](src, blocks, codes, scales, recipe);
  mxq_encode_any_fn *encode = job->kernels->encode_any[job->element][job->lane];
  const uint64_t inner = job->shape.inner;
  if (recipe->round != MXQ_ROUND_STOCHASTIC || inner <= 1)
    return encode(src, blocks, codes, scales, recipe, &(struct mxq_place){job->shape.first + flat, MXQ_BLOCK, 1});
  size_t bad = 0;
  for (size_t done = 0, now; done < blocks; done += now) { /* a row at a time */
    uint64_t f = job->shape.first + flat + done * MXQ_BLOCK, row = f / e->k, column = f % e->k;
    uint64_t left = (e->k - column + MXQ_BLOCK - 1) / MXQ_BLOCK;
    now = left < blocks - done ? (size_t)left : blocks - done;
    const struct mxq_place place = {(row / inner * e->k + column) * inner + row % inner, MXQ_BLOCK * inner, inner};
    bad += encode(src + done * MXQ_BLOCK * job->size, now, codes + done * mxq_block_bytes(job->element), scales + done, recipe, &place);
  }
  return bad;
}

/*
 * A block that got byte 255, under ERROR and SATURATE. Returns the index in the block of the scalar that is an error, or 32.
 * SATURATE encodes it again without its Inf and puts their codes in.
 */
static size_t mend(const struct encoding *e, const uint8_t *block, uint8_t *codes, uint8_t *scale, uint64_t flat) {
  const struct mxq_job *job = &e->job;
  const uint32_t inf = infinity_of(job->lane), sign = sign_of(job->lane);
  uint8_t copy[128];
  size_t first = 32;
  bool any = false;
  memcpy(copy, block, 32 * job->size);
  for (size_t i = 0; i < 32; i++) {
    uint32_t a = scalar_bits(block + i * job->size, job->lane) & ~sign;
    if (a > inf || (a == inf && e->nonfinite == MXQ_NONFINITE_ERROR)) return i;
    if (a == inf) memset(copy + i * job->size, 0, job->size);
    else if (a != 0) any = true;
    if (a == inf && first == 32) first = i;
  }
  if (first == 32) return 32; /* finite: rounding amax up left f32 */
  if (!any) {
    if (job->size == 4) mxq_put32(copy + first * 4, inf - 1);
    else mxq_put16(copy + first * 2, (uint16_t)(inf - 1));
  }
  /* Without finite values MSE has no error to weigh: a tie, which the smaller byte takes. */
  struct mxq_recipe recipe = e->recipe;
  if (!any) recipe.plan.mse = false;
  if (run_kernel(e, &recipe, copy, 1, codes, scale, flat)) return 32;
  unsigned bits = mxq_element_bits(job->element), largest = 0;
  static const unsigned most[] = {
#define X(ID, name, E, M, TOP) [MXQ_##ID] = MXQ_EL_MAX_CODE(E, M, MXQ_TOP_##TOP),
#include "lib/kernels/element_types.def"
#undef X
  };
  largest = most[job->element];
  for (size_t i = 0; i < 32; i++) {
    uint32_t u = scalar_bits(block + i * job->size, job->lane);
    if ((u & ~sign) != inf) continue;
    put_code(codes, bits, i, !(u & sign) ? largest : job->element == MXQ_INT8 ? 256 - largest : largest | 1u << (bits - 1));
  }
  return 32;
}

static void widen(const uint8_t *src, enum mxq_lane lane, size_t n, float *out) {
  if (lane == MXQ_LANE_F32) {
    memcpy(out, src, n * 4);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    uint32_t h = mxq_get16(src + 2 * i), u = h << 16;
    if (lane == MXQ_LANE_F16) {
      const float up = 0x1p112f;
      float f;
      u = (h & 0x7fff) << 13;
      memcpy(&f, &u, 4);
      f *= up;
      memcpy(&u, &f, 4);
      u |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (h & 0x8000u) << 16;
    }
    memcpy(out + i, &u, 4);
  }
}

static void measure(const struct mxq_job *job, const uint8_t *src, size_t n, const uint8_t *codes, const uint8_t *scales,
                    struct mxq_stats *stats) {
  float copy[MEASURED * MXQ_BLOCK], y[MEASURED * MXQ_BLOCK];
  const float *x = copy;
  if (job->lane == MXQ_LANE_F32 && (uintptr_t)src % sizeof *x == 0) x = (const float *)(const void *)src;
  else widen(src, job->lane, n, copy);
  job->kernels->decode[job->element][MXQ_LANE_F32](codes, scales, (n + MXQ_BLOCK - 1) / MXQ_BLOCK, y, false);
  job->kernels->measure(x, y, scales, n, job->element, stats);
}

/* `n` scalars in whole blocks or in one padded block; src holds whole blocks. False when an error was found. */
static bool encode_run(struct encoding *e, const uint8_t *src, size_t n, uint8_t *codes, uint8_t *scales, uint64_t flat,
                       struct mxq_stats *stats) {
  const struct mxq_job *job = &e->job;
  const size_t blocks = (n + MXQ_BLOCK - 1) / MXQ_BLOCK, block_bytes = mxq_block_bytes(job->element);
  size_t bad = run_kernel(e, &e->recipe, src, blocks, codes, scales, flat);
  for (size_t i = 0; bad && e->nonfinite != MXQ_NONFINITE_BLOCK && i < blocks; i++) {
    if (scales[i] != 255) continue;
    size_t at = mend(e, src + i * MXQ_BLOCK * job->size, codes + i * block_bytes, scales + i, flat + i * MXQ_BLOCK);
    if (at == MXQ_BLOCK) continue;
    uint64_t index = flat + i * MXQ_BLOCK + at, seen = atomic_load(&e->first_bad);
    while (index < seen && !atomic_compare_exchange_weak(&e->first_bad, &seen, index)) continue;
    return false;
  }
  if (stats) measure(job, src, n, codes, scales, stats);
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
      struct mxq_segment s = mxq_job_segment(job, &at, end, stats ? MEASURED : end);
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

static void add(struct mxq_stats *to, const struct mxq_stats *from) {
  to->elements += from->elements;
  to->blocks += from->blocks;
  to->clipped += from->clipped;
  to->zeroed += from->zeroed;
  to->overflowed += from->overflowed;
  to->nonfinite += from->nonfinite;
  to->signal += from->signal;
  to->noise += from->noise;
}

enum mxq_status mxq_encode(enum mxq_format format, enum mxq_dtype dtype, const void *src, const struct mxq_rows *shape, void *codes,
                           uint8_t *scales, const struct mxq_numerics *numerics, const struct mxq_runner *runner, struct mxq_stats *stats,
                           struct mxq_error *err) {
  struct mxq_numerics n = {0};
  struct encoding e = {.src = src, .codes = codes, .scales = scales, .k = shape->k};
  assert(dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16);
  if (numerics) n = *numerics;
  enum mxq_status status = mxq_numerics_resolve(format, &n, err);
  if (status != MXQ_OK) return status;
  mxq_recipe_make(&e.recipe, mxq_format_element(format), &n);
  e.nonfinite = n.nonfinite;
  if (!mxq_job_init(&e.job, format, dtype, shape))
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "The shape is larger than any memory.");
  if (e.job.pieces == 0) return MXQ_OK;
  e.recipe.stream = e.job.stream_codes && stats == NULL; /* what is measured is read again at once */
  if (stats && (e.stats = calloc(e.job.pieces, sizeof *e.stats)) == NULL) return mxq_fail_nomem(err, NULL);
  atomic_init(&e.first_bad, UINT64_MAX);
  mxq_run(runner, e.job.pieces, work, &e);
  for (size_t i = 0; stats && i < e.job.pieces; i++) add(stats, &e.stats[i]);
  free(e.stats);
  uint64_t bad = atomic_load(&e.first_bad);
  if (bad == UINT64_MAX) return MXQ_OK;
  return mxq_fail_at(err, MXQ_ERR_NONFINITE, NULL, bad, n.nonfinite == MXQ_NONFINITE_ERROR
                         ? "The value at index %llu is NaN or Inf; --nonfinite block or saturate says what to do with it."
                         : "The value at index %llu is NaN, which cannot be saturated; --nonfinite block marks its block.",
                     (unsigned long long)bad);
}
