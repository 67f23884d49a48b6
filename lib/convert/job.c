/* SPDX-License-Identifier: MIT */
/* Carrying a job out: the writer pulls, chunks of the source are read, encoded and handed on. Each source byte is read once. */
#include "lib/convert/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <mxq/columns.h>

#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/convert/across.h"

#define PROGRESS_STEP ((uint64_t)1 << 20)

/* The state of a run: the item in work, and buffers that all items share. */
struct run {
  const struct mxq_job *job;
  const struct mxq_runner *runner;
  struct mxq_progress progress;
  struct mxq_stats *stats;
  struct mxq_error *err;

  struct mxq_job_item item;
  size_t current;                    /* its number, SIZE_MAX before the first */
  enum mxq_part part;
  uint64_t pos;                      /* bytes of the part handed out */
  const unsigned char *data;         /* the source's values, when they are in memory */

  uint64_t elements_done;            /* encoding: source elements taken */
  uint64_t code_block;               /* bytes of the codes of one block */
  size_t scalar;                     /* bytes of one source element */
  struct mxq_across across;          /* the run is not last: inner > 1 */
  struct mxq_buffer source, codes, scales;
  size_t codes_pos, codes_n;
  struct mxq_spill spill;
};

enum mxq_status mxq_progress_add(struct mxq_progress *p, uint64_t n, const char *tensor, struct mxq_error *err) {
  p->done += n;
  if (!p->call || (p->done - p->told < PROGRESS_STEP && p->done < p->total))
    return MXQ_OK;
  p->told = p->done;
  return p->call(p->user, p->done, p->total, tensor) ? mxq_fail(err, MXQ_ERR_CANCELLED, tensor, "cancelled") : MXQ_OK;
}

void mxq_block_item(struct mxq_job_item *item, enum mxq_format format, uint32_t axis_first, uint32_t axis_last) {
  const struct mxq_numerics *numerics = &item->numerics;
  struct mxq_tensor *t = &item->out;
  t->format = format;
  t->axis_first = axis_first;
  t->axis_last = axis_last;
  t->k = 1;
  for (uint32_t a = axis_first; a <= axis_last; a++)
    t->k *= t->shape[a];
  t->rows = t->elements / t->k; /* empty tensors are never blocked */
  t->bytes = t->rows * (mxq_row_code_bytes(format, t->k) + mxq_row_blocks(t->k));
  t->scale_rule = mxq_scale_rule_name(numerics->scale_rule);
  t->compat = mxq_compat_name(numerics->compat);
  t->round = mxq_round_name(numerics->round);
  t->nonfinite = mxq_nonfinite_name(numerics->nonfinite);
  t->neg_zero = mxq_neg_zero_name(numerics->neg_zero);
  if (numerics->round == MXQ_ROUND_STOCHASTIC) {
    snprintf(item->round_text, sizeof item->round_text, "%s:%" PRIu64, t->round, numerics->seed);
    t->round = item->round_text;
  }
}

/* Elements of the next chunk: whole rows, a piece of one row cut at a block, or, where rows have no padding, any whole blocks. */
static void next_chunk(const struct mxq_tensor *t, uint64_t done, size_t most, struct mxq_rows *shape) {
  *shape = (struct mxq_rows){.rows = 1};
  uint64_t col = done % t->k;
  if (t->k % MXQ_BLOCK == 0) {
    uint64_t left = t->elements - done;
    shape->k = left < most ? (size_t)left : most;
  } else if (col == 0 && t->k <= most) {
    uint64_t rows = (t->elements - done) / t->k;
    shape->rows = rows < most / t->k ? (size_t)rows : (size_t)(most / t->k);
    shape->k = (size_t)t->k;
  } else {
    uint64_t left = t->k - col;
    shape->k = left < most ? (size_t)left : most;
  }
}

/* Puts the failure of an encoding into words that hold for the whole tensor: v is the value, index its place in C order. */
static enum mxq_status explain_nonfinite(struct run *r, const unsigned char *v, uint64_t index) {
  const struct mxq_tensor *t = &r->item.out;
  uint64_t rest = index;
  size_t scalar = r->scalar;
  /* NaN has bits below those of Inf; the top byte holds the sign. */
  unsigned mantissa = scalar == 4 ? (v[2] & 0x7Fu) | v[1] | v[0] : r->item.source_dtype == MXQ_BF16 ? (v[0] & 0x7Fu) : (v[1] & 3u) | v[0];
  const char *what = mantissa ? "NaN" : v[scalar - 1] & 0x80 ? "-Inf" : "Inf";
  char where[256] = "";
  size_t used = sizeof where - 1;
  where[used] = 0;
  for (uint32_t a = t->ndim; a-- > 0;) {
    char part[32];
    int n = snprintf(part, sizeof part, "%s%" PRIu64, a ? ", " : "", rest % t->shape[a]);
    rest /= t->shape[a];
    if ((size_t)n > used)
      break;
    used -= (size_t)n;
    memcpy(where + used, part, (size_t)n);
  }
  return mxq_fail_at(r->err, MXQ_ERR_NONFINITE, t->name, index,
                     "element [%s] (flat index %" PRIu64 ") is %s; it cannot be represented under nonfinite %s: mend the source, or choose %s",
                     where + used, index, what, r->item.numerics.nonfinite == MXQ_NONFINITE_SATURATE ? "saturate" : "error",
                     mantissa ? "block (the block decodes to NaN)" : "block (the block decodes to NaN) or saturate");
}

static enum mxq_status read_source(struct run *r, enum mxq_part part, uint64_t offset, void *buf, size_t n) {
  if (r->data) {
    memcpy(buf, r->data + offset, n);
    return MXQ_OK;
  }
  enum mxq_status status = mxq_reader_read(r->job->reader, r->item.index, part, offset, buf, n, r->err);
  return status == MXQ_OK ? status : mxq_fail_name(r->err, status, r->item.out.name);
}

/* Makes room for blocks: their codes to be taken, and scales in the spill. */
static enum mxq_status prepare(struct run *r, size_t blocks, unsigned char **scales) {
  *scales = mxq_spill_place(&r->spill);
  if (!mxq_buffer_need(&r->codes, blocks * r->code_block) || (!*scales && !mxq_buffer_need(&r->scales, blocks)))
    return mxq_fail_nomem(r->err, r->item.out.name);
  if (!*scales)
    *scales = r->scales.data;
  return MXQ_OK;
}

static enum mxq_status encoded(struct run *r, uint64_t elements, size_t blocks, const unsigned char *scales) {
  r->elements_done += elements;
  r->codes_pos = 0;
  r->codes_n = blocks * r->code_block;
  return mxq_spill_put(&r->spill, scales, blocks, r->err);
}

static enum mxq_status not_encoded(struct run *r, enum mxq_status status, const struct mxq_error *local) {
  if (r->err)
    *r->err = *local;
  return mxq_fail_name(r->err, status, r->item.out.name);
}

/* Rows that lie one behind the other. */
static enum mxq_status encode_rows(struct run *r, const unsigned char *values, const struct mxq_rows *shape) {
  const struct mxq_job_item *item = &r->item;
  size_t blocks = shape->rows * (size_t)mxq_row_blocks(shape->k);
  unsigned char *scales = NULL;
  enum mxq_status status = prepare(r, blocks, &scales);
  if (status != MXQ_OK)
    return status;
  struct mxq_error local = {0};
  struct mxq_rows placed = *shape;
  placed.first = r->elements_done;
  status = mxq_encode(item->out.format, item->source_dtype, values, &placed, r->codes.data, scales, &item->numerics, r->runner, r->stats, &local);
  if (status == MXQ_ERR_NONFINITE)
    return explain_nonfinite(r, values + local.offset * r->scalar, r->elements_done + local.offset);
  return status == MXQ_OK ? encoded(r, shape->rows * shape->k, blocks, scales) : not_encoded(r, status, &local);
}

static enum mxq_status encode_chunk(struct run *r) {
  const struct mxq_job_item *item = &r->item;
  struct mxq_rows shape;
  next_chunk(&item->out, r->elements_done, MXQ_CHUNK / r->scalar, &shape);
  size_t n = shape.rows * shape.k;
  const unsigned char *values = r->data ? r->data + r->elements_done * r->scalar : r->source.data;
  enum mxq_status status = MXQ_OK;
  if (!r->data)
    status = read_source(r, MXQ_PART_DATA, r->elements_done * r->scalar, r->source.data, n * r->scalar);
  if (status == MXQ_OK)
    status = encode_rows(r, values, &shape);
  return status == MXQ_OK ? mxq_progress_add(&r->progress, n * r->scalar, item->out.name, r->err) : status;
}

/* Columns that begin at element `at` of the source become rows of codes, from block `block` on. */
static enum mxq_status encode_columns(struct run *r, const unsigned char *values, const struct mxq_columns *shape, uint64_t at, size_t block,
                                      unsigned char *scales) {
  const struct mxq_job_item *item = &r->item;
  const struct mxq_across *a = &r->across;
  struct mxq_error local = {0};
  struct mxq_columns placed = *shape;
  placed.scales_stride = (size_t)mxq_row_blocks(a->k);
  placed.codes_stride = placed.scales_stride * r->code_block;
  placed.first = at;
  placed.line_step = a->inner;
  placed.matrix_step = a->k * a->inner;
  enum mxq_status status = mxq_encode_columns(item->out.format, item->source_dtype, values, &placed, r->codes.data + block * r->code_block, scales + block,
                                              &item->numerics, r->runner, r->stats, &local);
  if (status == MXQ_ERR_NONFINITE) {
    uint64_t line = local.offset / shape->inner, column = local.offset % shape->inner, stride = shape->line_stride ? shape->line_stride : shape->inner * a->scalar;
    return explain_nonfinite(r, values + line * stride + column * a->scalar, at + line * a->inner + column);
  }
  if (status != MXQ_OK)
    return not_encoded(r, status, &local);
  return mxq_progress_add(&r->progress, shape->outer * shape->k * shape->inner * a->scalar, item->out.name, r->err);
}

/* n columns from `first` on of a matrix, in pieces of its lines. */
static enum mxq_status encode_pieces(struct run *r, uint64_t matrix, uint64_t first, size_t n, unsigned char *scales) {
  const struct mxq_across *a = &r->across;
  size_t lines = mxq_across_lines(a), k = (size_t)a->k;
  enum mxq_status status = MXQ_OK;
  for (size_t done = 0; status == MXQ_OK && done < k; done += lines) {
    struct mxq_columns shape = {.outer = 1, .k = k - done < lines ? k - done : lines, .inner = n};
    uint64_t at = (matrix * a->k + done) * a->inner + first;
    const unsigned char *values = r->source.data;
    if (r->data) {
      values = r->data + at * a->scalar;
      shape.line_stride = (size_t)a->inner * a->scalar;
    } else if (n == a->inner) {
      status = read_source(r, MXQ_PART_DATA, at * a->scalar, r->source.data, shape.k * n * a->scalar);
    } else {
      for (size_t i = 0; status == MXQ_OK && i < shape.k; i++)
        status = read_source(r, MXQ_PART_DATA, (at + i * a->inner) * a->scalar, r->source.data + i * n * a->scalar, n * a->scalar);
    }
    if (status == MXQ_OK)
      status = encode_columns(r, values, &shape, at, done / MXQ_BLOCK, scales);
  }
  return status;
}

/* Whole matrices, read in one go. */
static enum mxq_status encode_whole(struct run *r, size_t rows, unsigned char *scales) {
  const struct mxq_across *a = &r->across;
  struct mxq_columns shape = {.outer = rows / (size_t)a->inner, .k = (size_t)a->k, .inner = (size_t)a->inner};
  uint64_t at = r->elements_done;
  const unsigned char *values = r->data ? r->data + at * a->scalar : r->source.data;
  enum mxq_status status = r->data ? MXQ_OK : read_source(r, MXQ_PART_DATA, at * a->scalar, r->source.data, rows * (size_t)a->k * a->scalar);
  return status == MXQ_OK ? encode_columns(r, values, &shape, at, 0, scales) : status;
}

static enum mxq_status encode_across(struct run *r) {
  const struct mxq_across *a = &r->across;
  uint64_t row = r->elements_done / a->k;
  size_t rows = mxq_across_columns(a, row), blocks = rows * (size_t)mxq_row_blocks(a->k);
  unsigned char *scales = NULL;
  enum mxq_status status = prepare(r, blocks, &scales);
  if (status == MXQ_OK)
    status = a->whole ? encode_whole(r, rows, scales) : encode_pieces(r, row / a->inner, row % a->inner, rows, scales);
  return status == MXQ_OK ? encoded(r, rows * a->k, blocks, scales) : status;
}

static enum mxq_status take_codes(struct run *r, unsigned char *buf, size_t n) {
  while (n > 0) {
    if (r->codes_pos == r->codes_n) {
      enum mxq_status status = r->across.inner > 1 ? encode_across(r) : encode_chunk(r);
      if (status != MXQ_OK)
        return status;
    }
    size_t part = r->codes_n - r->codes_pos < n ? r->codes_n - r->codes_pos : n;
    memcpy(buf, r->codes.data + r->codes_pos, part);
    r->codes_pos += part;
    buf += part;
    n -= part;
  }
  return MXQ_OK;
}

/* The copied parts of a tensor that stays as it is. */
static enum mxq_status take_copy(struct run *r, unsigned char *buf, size_t n) {
  while (n > 0) {
    size_t part = n < MXQ_CHUNK ? n : MXQ_CHUNK;
    enum mxq_status status = read_source(r, r->part, r->pos, buf, part);
    if (status == MXQ_OK)
      status = mxq_progress_add(&r->progress, part, r->item.out.name, r->err);
    if (status != MXQ_OK)
      return status;
    r->pos += part;
    buf += part;
    n -= part;
  }
  return MXQ_OK;
}

static enum mxq_status start_item(struct run *r, size_t i) {
  const struct mxq_job_item *item = &r->item;
  r->current = i;
  r->job->describe(r->job->context, i, &r->item);
  r->data = item->data;
  if (!r->data && item->out.format == MXQ_FORMAT_NONE) {
    const void *place = NULL;
    enum mxq_status status = mxq_reader_in_place(r->job->reader, item->index, MXQ_PART_DATA, &place, r->err);
    if (status != MXQ_OK)
      return mxq_fail_name(r->err, status, item->out.name);
    r->data = place;
  }
  if (!item->encode)
    return MXQ_OK;
  r->elements_done = 0;
  r->codes_pos = r->codes_n = 0;
  r->code_block = mxq_row_code_bytes(item->out.format, MXQ_BLOCK);
  r->scalar = mxq_dtype_bits(item->source_dtype) / 8;
  mxq_across_start(&r->across, &item->out, r->scalar);
  if (!r->data && !mxq_buffer_need(&r->source, mxq_across_bytes(&r->across)))
    return mxq_fail_nomem(r->err, item->out.name);
  enum mxq_status status = mxq_spill_start(&r->spill, item->out.rows * mxq_row_blocks(item->out.k), r->err);
  return status == MXQ_OK ? status : mxq_fail_name(r->err, status, item->out.name);
}

static enum mxq_status pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  r->err = err;
  enum mxq_status status = MXQ_OK;
  if (r->current != tensor) {
    status = start_item(r, tensor);
    r->part = part;
    r->pos = 0;
  } else if (r->part != part) {
    r->part = part;
    r->pos = 0;
  }
  if (status == MXQ_OK) {
    if (!r->item.encode)
      status = take_copy(r, buf, n);
    else if (part == MXQ_PART_CODES)
      status = take_codes(r, buf, n);
    else
      status = mxq_spill_take(&r->spill, buf, n, err);
  }
  return status;
}

enum mxq_status mxq_job_add(const struct mxq_job *job, mxq_writer *writer, struct mxq_error *err) {
  for (size_t i = 0; i < job->count; i++) {
    struct mxq_job_item item;
    job->describe(job->context, i, &item);
    enum mxq_status status = mxq_writer_add(writer, &item.out, err);
    if (status != MXQ_OK)
      return mxq_fail_name(err, status, item.out.name);
  }
  return MXQ_OK;
}

enum mxq_status mxq_job_run(const struct mxq_job *job, mxq_writer *writer, const struct mxq_sink *sink, struct mxq_stats *stats,
                            struct mxq_error *err) {
  struct run r = {.job = job, .runner = job->runner, .stats = stats, .current = SIZE_MAX, .progress = {.call = job->progress, .user = job->user}};
  for (size_t i = 0; i < job->count; i++) {
    job->describe(job->context, i, &r.item);
    r.progress.total += r.item.bytes_in;
  }
  mxq_pool *own;
  enum mxq_status status = mxq_runner_own(&r.runner, job->threads, &own) ? mxq_writer_run(writer, sink, pull, &r, err) : mxq_fail_nomem(err, NULL);
  mxq_pool_free(own);
  mxq_buffer_free(&r.source);
  mxq_buffer_free(&r.codes);
  mxq_buffer_free(&r.scales);
  mxq_spill_free(&r.spill);
  return status;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

uint64_t mxq_job_peak(const struct mxq_job *job) {
  uint64_t source = 0, codes = 0, scales = 0;
  for (size_t i = 0; i < job->count; i++) {
    struct mxq_job_item item;
    struct mxq_across a;
    struct mxq_rows shape;
    job->describe(job->context, i, &item);
    if (!item.encode)
      continue;
    size_t scalar = mxq_dtype_bits(item.source_dtype) / 8;
    mxq_across_start(&a, &item.out, scalar);
    if (a.inner > 1)
      shape = (struct mxq_rows){.rows = mxq_across_columns(&a, 0), .k = (size_t)a.k};
    else
      next_chunk(&item.out, 0, MXQ_CHUNK / scalar, &shape);
    uint64_t blocks = shape.rows * mxq_row_blocks(shape.k), all = item.out.rows * mxq_row_blocks(item.out.k);
    codes = larger(codes, blocks * mxq_row_code_bytes(item.out.format, MXQ_BLOCK));
    scales = larger(scales, all <= MXQ_SCALES_IN_MEMORY ? all : blocks);
    source = item.data ? source : larger(source, mxq_across_bytes(&a));
  }
  return source + codes + scales;
}
