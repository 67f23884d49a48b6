/* SPDX-License-Identifier: MIT */
/* Streams of values: MX tensors decoded, ordinary ones copied or converted. */
#include "lib/convert/values.h"

#include <string.h>

#include <mxq/columns.h>
#include "lib/base/fail.h"

/* Elements that are decoded or converted at a time. */
#define CHUNK ((size_t)512 << 10)
/* The same where codes lie across the values: each row is then read in pieces long enough. */
#define ACROSS ((size_t)4 << 20)
/* Elements of 32 lines at most: where they are more, fewer lines are delivered at a time, and their blocks decoded more than once. */
#define LINES ((size_t)8 << 20)

static bool is_float(enum mxq_dtype dtype) {
  return dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16;
}

enum mxq_dtype mxq_values_default(const struct mxq_tensor *t) {
  return t->format == MXQ_FORMAT_NONE || is_float(t->dtype) ? t->dtype : MXQ_F32;
}

static enum mxq_status find_in_place(struct mxq_values *v, struct mxq_error *err) {
  int parts = v->tensor->format == MXQ_FORMAT_NONE ? 1 : 2;
  v->in_place[0] = v->in_place[1] = NULL;
  for (int i = 0; i < parts; i++) {
    const void *place = NULL;
    enum mxq_status status = mxq_reader_in_place(v->reader, v->index, (enum mxq_part)i, &place, err);
    if (status != MXQ_OK)
      return mxq_fail_name(err, status, v->tensor->name);
    v->in_place[i] = place;
  }
  return MXQ_OK;
}

enum mxq_status mxq_values_start(struct mxq_values *v, mxq_reader *reader, size_t index, enum mxq_dtype dtype, const struct mxq_runner *runner,
                                 struct mxq_error *err) {
  const struct mxq_tensor *t = mxq_reader_tensor(reader, index);
  v->reader = reader;
  v->index = index;
  v->tensor = t;
  v->dtype = dtype;
  v->runner = runner;
  v->limits = false;
  v->done = 0;
  v->stage_pos = v->stage_n = 0;
  v->copied = t->format == MXQ_FORMAT_NONE && dtype == t->dtype;
  if (!v->copied && (!is_float(dtype) || (t->format == MXQ_FORMAT_NONE && !is_float(t->dtype)))) {
    const char *to = mxq_dtype_name(dtype);
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "a tensor of dtype %s cannot be delivered as %s",
                    mxq_dtype_name(mxq_values_default(t)), to ? to : "an unknown dtype");
  }
  if (v->copied) {
    v->scalar = 1;
    v->total = t->bytes;
    return find_in_place(v, err);
  }
  v->scalar = mxq_dtype_bits(dtype) / 8;
  v->total = t->elements;
  v->inner = 1;
  if (t->format != MXQ_FORMAT_NONE) {
    v->k = t->k;
    for (uint32_t a = t->axis_last + 1; a < t->ndim; a++)
      v->inner *= t->shape[a];
    v->block_bytes = mxq_row_code_bytes(t->format, MXQ_BLOCK);
    v->row_codes = mxq_row_code_bytes(t->format, t->k);
    v->row_scales = mxq_row_blocks(t->k);
  }
  return find_in_place(v, err);
}

uint64_t mxq_values_bytes(const struct mxq_values *v) { return v->total * v->scalar; }

/* Points *p at n bytes of a part, in place or read into the buffer. */
static enum mxq_status fetch(struct mxq_values *v, enum mxq_part part, uint64_t offset, size_t n, struct mxq_buffer *buffer,
                             const unsigned char **p, struct mxq_error *err) {
  if (v->in_place[part]) {
    *p = v->in_place[part] + offset;
    return MXQ_OK;
  }
  if (!mxq_buffer_need(buffer, n))
    return mxq_fail_nomem(err, v->tensor->name);
  *p = buffer->data;
  enum mxq_status status = mxq_reader_read(v->reader, v->index, part, offset, buffer->data, n, err);
  return status == MXQ_OK ? status : mxq_fail_name(err, status, v->tensor->name);
}

/* Codes of the largest value, packed: the same decoder then delivers what a block can hold at most. */
static enum mxq_status fetch_largest(struct mxq_values *v, size_t n, const unsigned char **p, struct mxq_error *err) {
  static const unsigned char patterns[][3] = {[MXQ_E2M1] = {0x77, 0x77, 0x77}, [MXQ_E2M3] = {0xDF, 0xF7, 0x7D}, [MXQ_E3M2] = {0xDF, 0xF7, 0x7D},
                                              [MXQ_E4M3] = {0x7E, 0x7E, 0x7E}, [MXQ_E5M2] = {0x7B, 0x7B, 0x7B}, [MXQ_INT8] = {0x7F, 0x7F, 0x7F}};
  if (!mxq_buffer_need(&v->codes, n))
    return mxq_fail_nomem(err, v->tensor->name);
  const unsigned char *pattern = patterns[mxq_format_element(v->tensor->format)];
  for (size_t i = 0; i < n; i++)
    v->codes.data[i] = pattern[i % 3];
  *p = v->codes.data;
  return MXQ_OK;
}

static enum mxq_status decode(struct mxq_values *v, const unsigned char *codes, const uint8_t *scales, const struct mxq_rows *shape,
                              void *dst, struct mxq_error *err) {
  enum mxq_status status = mxq_decode(v->tensor->format, v->dtype, codes, scales, shape, dst, v->runner, &v->to_inf, err);
  return status == MXQ_OK ? status : mxq_fail_name(err, status, v->tensor->name);
}

static enum mxq_status fetch_codes(struct mxq_values *v, uint64_t offset, size_t n, const unsigned char **p, struct mxq_error *err) {
  return v->limits ? fetch_largest(v, n, p, err) : fetch(v, MXQ_PART_CODES, offset, n, &v->codes, p, err);
}

/* The run is last: codes are in the order of the values. At least one block (or what a row has left) of at most `most` elements. */
static enum mxq_status decode_run(struct mxq_values *v, void *dst, size_t most, size_t *got, struct mxq_error *err) {
  uint64_t row = v->done / v->k, col = v->done % v->k;
  struct mxq_rows shape = {.rows = 1};
  most = most < CHUNK ? most : CHUNK;
  if (v->k % MXQ_BLOCK == 0) { /* no padding between rows: any whole blocks will do */
    uint64_t left = v->total - v->done;
    shape.k = left <= most ? (size_t)left : most / MXQ_BLOCK * MXQ_BLOCK;
  } else if (col == 0 && v->k <= most) {
    uint64_t rows = v->total / v->k - row;
    shape.rows = rows < most / v->k ? (size_t)rows : (size_t)(most / v->k);
    shape.k = (size_t)v->k;
  } else {
    shape.k = v->k - col <= most ? (size_t)(v->k - col) : most / MXQ_BLOCK * MXQ_BLOCK;
  }
  uint64_t block = row * v->row_scales + col / MXQ_BLOCK;
  size_t blocks = shape.rows * (size_t)mxq_row_blocks(shape.k);
  const unsigned char *codes = NULL, *scales = NULL;
  enum mxq_status status = fetch_codes(v, block * v->block_bytes, blocks * v->block_bytes, &codes, err);
  if (status == MXQ_OK)
    status = fetch(v, MXQ_PART_SCALES, block, blocks, &v->scales, &scales, err);
  if (status == MXQ_OK)
    status = decode(v, codes, scales, &shape, dst, err);
  *got = shape.rows * shape.k;
  return status;
}

/* `n` rows' pieces of one part, *stride apart: where they lie, or read in one go where whole rows are wanted, else one by one. */
static enum mxq_status fetch_pieces(struct mxq_values *v, enum mxq_part part, uint64_t row, size_t n, uint64_t row_bytes, uint64_t offset,
                                    size_t piece, struct mxq_buffer *buffer, const unsigned char **p, size_t *stride, struct mxq_error *err) {
  *stride = v->in_place[part] ? (size_t)row_bytes : piece;
  if (v->in_place[part] || piece == row_bytes)
    return fetch(v, part, row * row_bytes + offset, n * piece, buffer, p, err);
  if (!mxq_buffer_need(buffer, n * piece))
    return mxq_fail_nomem(err, v->tensor->name);
  for (size_t i = 0; i < n; i++) {
    enum mxq_status status = mxq_reader_read(v->reader, v->index, part, (row + i) * row_bytes + offset, buffer->data + i * piece, piece, err);
    if (status != MXQ_OK)
      return mxq_fail_name(err, status, v->tensor->name);
  }
  *p = buffer->data;
  return MXQ_OK;
}

/* What comes next of a run that other axes follow: `lines` of it, whole ones unless `width` is less than inner. */
struct piece {
  uint64_t matrix, line, column, lines, width;
};

static struct piece next_piece(const struct mxq_values *v, size_t most) {
  struct piece p = {.matrix = v->done / (v->k * v->inner), .line = v->done / v->inner % v->k, .column = v->done % v->inner, .width = v->inner};
  uint64_t left = v->k - p.line, in_block = MXQ_BLOCK - p.line % MXQ_BLOCK;
  if (v->inner <= LINES / MXQ_BLOCK) { /* whole blocks */
    uint64_t fit = most / v->inner / MXQ_BLOCK * MXQ_BLOCK;
    fit = fit ? fit : MXQ_BLOCK;
    p.lines = left < fit ? left : fit;
    return p;
  }
  p.lines = v->inner <= LINES ? LINES / v->inner : 1;
  p.lines = p.lines < in_block ? p.lines : in_block;
  p.lines = p.lines < left ? p.lines : left;
  if (v->inner > LINES)
    p.width = v->inner - p.column < LINES ? v->inner - p.column : LINES;
  return p;
}

/* Axes follow the run: codes have the run last, values have it before `inner` others. */
static enum mxq_status decode_across(struct mxq_values *v, void *dst, size_t most, size_t *got, struct mxq_error *err) {
  struct piece p = next_piece(v, most < ACROSS ? most : ACROSS);
  uint64_t block = p.line / MXQ_BLOCK, from = p.line % MXQ_BLOCK, left = v->k - block * MXQ_BLOCK;
  size_t k = (size_t)(mxq_row_blocks(from + p.lines) * MXQ_BLOCK), width = (size_t)p.width * v->scalar;
  k = left < k ? (size_t)left : k;
  size_t blocks = (size_t)mxq_row_blocks(k), piece = blocks * (size_t)v->block_bytes, slice = CHUNK / k > 256 ? CHUNK / k / 256 * 256 : 256;
  bool whole = k == p.lines; /* else some lines of what is decoded */
  if (!whole && !mxq_buffer_need(&v->rows, (slice < p.width ? slice : (size_t)p.width) * k * v->scalar))
    return mxq_fail_nomem(err, v->tensor->name);
  enum mxq_status status = MXQ_OK;
  for (uint64_t i = 0; status == MXQ_OK && i < p.width; i += slice) {
    struct mxq_columns shape = {.outer = 1, .k = k, .inner = p.width - i < slice ? (size_t)(p.width - i) : slice, .codes_stride = piece};
    const unsigned char *codes = NULL, *scales = NULL;
    unsigned char *to = (unsigned char *)dst + i * v->scalar;
    uint64_t row = p.matrix * v->inner + p.column + i, *to_inf = from > 0 ? NULL : &v->to_inf; /* what a block's later lines hold was counted with its first */
    if (v->limits)
      status = fetch_largest(v, shape.inner * piece, &codes, err);
    else
      status = fetch_pieces(v, MXQ_PART_CODES, row, shape.inner, v->row_codes, block * v->block_bytes, piece, &v->codes, &codes, &shape.codes_stride, err);
    if (status == MXQ_OK)
      status = fetch_pieces(v, MXQ_PART_SCALES, row, shape.inner, v->row_scales, block, blocks, &v->scales, &scales, &shape.scales_stride, err);
    if (status != MXQ_OK)
      return status;
    shape.line_stride = whole ? width : 0;
    status = mxq_decode_columns(v->tensor->format, v->dtype, codes, scales, &shape, whole ? to : v->rows.data, v->runner, to_inf, err);
    if (status != MXQ_OK)
      return mxq_fail_name(err, status, v->tensor->name);
    for (uint64_t j = 0; !whole && j < p.lines; j++)
      memcpy(to + j * width, v->rows.data + (from + j) * shape.inner * v->scalar, shape.inner * v->scalar);
  }
  *got = (size_t)(p.lines * p.width);
  return status;
}

static enum mxq_status convert(struct mxq_values *v, void *dst, size_t most, size_t *got, struct mxq_error *err) {
  size_t from = mxq_dtype_bits(v->tensor->dtype) / 8;
  uint64_t left = v->total - v->done;
  size_t n = most < CHUNK ? most : CHUNK;
  n = left < n ? (size_t)left : n;
  const unsigned char *src = NULL;
  enum mxq_status status = fetch(v, MXQ_PART_DATA, v->done * from, n * from, &v->codes, &src, err);
  if (status == MXQ_OK)
    mxq_convert_scalars(v->tensor->dtype, src, v->dtype, dst, n, &v->to_inf);
  *got = n;
  return status;
}

/* The fewest elements that one step delivers from here. */
static uint64_t least(const struct mxq_values *v) {
  if (v->tensor->format == MXQ_FORMAT_NONE)
    return 1;
  struct piece p = next_piece(v, 0);
  return p.lines * p.width;
}

static enum mxq_status step(struct mxq_values *v, void *dst, size_t most, size_t *got, struct mxq_error *err) {
  enum mxq_status status;
  if (v->tensor->format == MXQ_FORMAT_NONE)
    status = convert(v, dst, most, got, err);
  else if (v->inner == 1)
    status = decode_run(v, dst, most, got, err);
  else
    status = decode_across(v, dst, most, got, err);
  v->done += *got;
  return status;
}

/* How many elements a step is asked for. */
static uint64_t wanted(const struct mxq_values *v) {
  uint64_t left = v->total - v->done, want = least(v);
  size_t most = v->tensor->format != MXQ_FORMAT_NONE && v->inner > 1 ? ACROSS : CHUNK;
  want = want > most ? want : most;
  return want < left ? want : left;
}

static enum mxq_status fill_stage(struct mxq_values *v, struct mxq_error *err) {
  uint64_t want = wanted(v);
  if (want > SIZE_MAX / v->scalar || !mxq_buffer_need(&v->stage, (size_t)want * v->scalar))
    return mxq_fail_nomem(err, v->tensor->name);
  size_t got = 0;
  enum mxq_status status = step(v, v->stage.data, (size_t)want, &got, err);
  v->stage_pos = 0;
  v->stage_n = got * v->scalar;
  return status;
}

enum mxq_status mxq_values_read(struct mxq_values *v, void *dst, size_t n, struct mxq_error *err) {
  unsigned char *p = dst;
  enum mxq_status status = MXQ_OK;
  if (v->copied) {
    if (v->in_place[0]) {
      memcpy(p, v->in_place[0] + v->done, n);
    } else if (n > 0) {
      status = mxq_reader_read(v->reader, v->index, MXQ_PART_DATA, v->done, p, n, err);
      if (status != MXQ_OK)
        return mxq_fail_name(err, status, v->tensor->name);
    }
    v->done += n;
    return MXQ_OK;
  }
  while (n > 0) {
    if (v->stage_pos < v->stage_n) {
      size_t part = v->stage_n - v->stage_pos < n ? v->stage_n - v->stage_pos : n;
      memcpy(p, v->stage.data + v->stage_pos, part);
      v->stage_pos += part;
      p += part;
      n -= part;
    } else if (n / v->scalar >= (v->inner > 1 ? wanted(v) : least(v))) { /* straight to where it is wanted */
      size_t got = 0;
      status = step(v, p, n / v->scalar, &got, err);
      p += got * v->scalar;
      n -= got * v->scalar;
    } else {
      status = fill_stage(v, err);
    }
    if (status != MXQ_OK)
      return status;
  }
  return MXQ_OK;
}

void mxq_values_free(struct mxq_values *v) {
  mxq_buffer_free(&v->codes);
  mxq_buffer_free(&v->scales);
  mxq_buffer_free(&v->rows);
  mxq_buffer_free(&v->stage);
  *v = (struct mxq_values){0};
}
