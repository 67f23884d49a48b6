/* SPDX-License-Identifier: MIT */
/* The way back: one tensor into memory, or a whole file to plain tensors. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/base/pool.h"
#include "lib/convert/values.h"

enum mxq_status mxq_reader_decode(mxq_reader *reader, size_t i, enum mxq_dtype dtype, void *dst, size_t dst_bytes,
                                  const struct mxq_runner *runner, struct mxq_error *err) {
  struct mxq_values v = {0};
  enum mxq_status status = mxq_values_start(&v, reader, i, dtype, runner, err);
  if (status == MXQ_OK && mxq_values_bytes(&v) != dst_bytes)
    status = mxq_fail(err, MXQ_ERR_USAGE, v.tensor->name, "the tensor takes %llu bytes as %s, not %zu",
                      (unsigned long long)mxq_values_bytes(&v), mxq_dtype_name(dtype), dst_bytes);
  if (status == MXQ_OK)
    status = mxq_values_read(&v, dst, dst_bytes, err);
  mxq_values_free(&v);
  return status;
}

struct way_back {
  mxq_reader *reader;
  struct mxq_dequantize_options options;
  size_t *index;                     /* of the tensors written, in the reader */
  size_t count, current;
  struct mxq_values values;
  struct mxq_progress progress;
  struct mxq_plan_totals totals;
  const char **metadata;
  mxq_writer *writer;
  bool inside;                       /* a program stays, and gets plain weights */
  const char *working;
  uint64_t done, total;              /* of that, as the writer counts bytes */
};

static enum mxq_dtype target(const struct way_back *w, const struct mxq_tensor *t) {
  return t->format != MXQ_FORMAT_NONE && w->options.dtype != MXQ_DTYPE_NONE ? w->options.dtype : mxq_values_default(t);
}

static enum mxq_status add(struct way_back *w, size_t index, struct mxq_error *err) {
  const struct mxq_tensor *t = mxq_reader_tensor(w->reader, index);
  struct mxq_tensor out = {.name = t->name, .dtype = target(w, t), .ndim = t->ndim, .shape = t->shape, .elements = t->elements,
                           .bytes = t->bytes, .kind = t->kind, .requires_grad = t->requires_grad, .storage = t->storage};
  w->totals.tensors++;
  w->totals.bytes_in += t->bytes;
  if (t->format != MXQ_FORMAT_NONE) {
    w->totals.quantized++;
    if (__builtin_mul_overflow(t->elements, mxq_dtype_bits(out.dtype) / 8, &out.bytes))
      return mxq_fail(err, MXQ_ERR_LIMIT, t->name, "the tensor is too large");
  }
  if (__builtin_add_overflow(w->totals.bytes_out, out.bytes, &w->totals.bytes_out))
    return mxq_fail(err, MXQ_ERR_LIMIT, t->name, "the tensors are too large together");
  if (w->inside && t->format == MXQ_FORMAT_NONE)
    return MXQ_OK;
  w->index[w->count++] = index;
  enum mxq_status status = mxq_writer_add(w->writer, &out, err);
  return status == MXQ_OK ? status : mxq_fail_name(err, status, t->name);
}

/* Every tensor that a file of plain tensors has. */
static enum mxq_status add_all(struct way_back *w, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; status == MXQ_OK && i < mxq_reader_count(w->reader); i++)
    if (!mxq_is_program_table(w->reader, mxq_reader_tensor(w->reader, i)))
      status = add(w, i, err);
  return status;
}

/* Weights of a program: those that are tied count as tensors, but the first of them stands for the bytes. */
static enum mxq_status add_inside(struct way_back *w, struct mxq_error *err) {
  size_t count = mxq_reader_count(w->reader);
  const struct mxq_tensor **tensors = calloc(count + 1, sizeof *tensors);
  size_t *leader = calloc(2 * (count + 1), sizeof *leader);
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; tensors && i < count; i++)
    tensors[i] = mxq_reader_tensor(w->reader, i);
  if (!tensors || !leader || !mxq_tie(tensors, count, leader, leader + count + 1))
    status = mxq_fail_nomem(err, NULL);
  for (size_t i = 0; status == MXQ_OK && i < count; i++) {
    const struct mxq_tensor *t = tensors[i];
    if (t->format != MXQ_FORMAT_NONE && w->options.dtype != MXQ_DTYPE_NONE && w->options.dtype != mxq_values_default(t)) {
      const char *has = mxq_dtype_name(mxq_values_default(t));
      status = mxq_fail(err, MXQ_ERR_USAGE, t->name, "the program computes with this weight as %s, so that it cannot become %s: take the source's "
                        "dtype, or write a .safetensors file", has, mxq_dtype_name(w->options.dtype));
    } else if (leader[i] == i) {
      status = add(w, i, err);
    } else {
      w->totals.tensors++;
      w->totals.quantized += t->format != MXQ_FORMAT_NONE;
    }
  }
  free(tensors);
  free(leader);
  return status;
}

static void clear(struct way_back *w) {
  mxq_writer_free(w->writer);
  mxq_values_free(&w->values);
  free(w->index);
  free(w->metadata);
}

static bool holds_program(mxq_reader *reader) {
  struct mxq_archive_info info;
  if (mxq_reader_container(reader) != MXQ_PT2)
    return false;
  mxq_reader_archive_info(reader, &info);
  return !info.weights;
}

/* Inside a program the writer counts, because it copies what is never asked for here. */
static bool count_bytes(void *user, uint64_t done, uint64_t total) {
  struct way_back *w = user;
  w->done = done;
  w->total = total;
  return w->options.progress && w->options.progress(w->options.user, done, total, w->working);
}

static bool go_on(void *user, uint64_t done, uint64_t total, const char *tensor) {
  struct way_back *w = user;
  (void)done;
  (void)total;
  w->working = tensor;
  return w->options.progress && w->options.progress(w->options.user, w->done, w->total, tensor);
}

/* Fills the writer and the totals. After a failure too, the caller clears. */
static enum mxq_status prepare(struct way_back *w, mxq_reader *reader, const struct mxq_dequantize_options *options,
                               struct mxq_error *err) {
  *w = (struct way_back){.reader = reader, .current = SIZE_MAX, .working = ""};
  if (options)
    w->options = *options;
  enum mxq_dtype dtype = w->options.dtype;
  enum mxq_container container = w->options.container == MXQ_CONTAINER_AUTO ? MXQ_SAFETENSORS : w->options.container;
  if (dtype != MXQ_DTYPE_NONE && dtype != MXQ_F32 && dtype != MXQ_BF16 && dtype != MXQ_F16)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "values are decoded to f32, bf16 or f16");
  if (container != MXQ_SAFETENSORS && container != MXQ_PT2)
    return mxq_fail(err, MXQ_ERR_USAGE, NULL, "plain tensors are written to safetensors files and pt2 archives");
  size_t count = mxq_reader_count(reader), pairs = mxq_reader_metadata_count(reader);
  w->index = calloc(count + 1, sizeof *w->index);
  w->metadata = calloc(pairs + 1, 2 * sizeof *w->metadata);
  if (!w->index || !w->metadata)
    return mxq_fail_nomem(err, NULL);
  for (size_t i = 0; i < pairs; i++)
    mxq_reader_metadata(reader, i, &w->metadata[2 * i], &w->metadata[2 * i + 1]);
  struct mxq_write_options write = {.metadata = w->metadata, .metadata_count = pairs};
  w->inside = container == MXQ_PT2 && holds_program(reader);
  enum mxq_status status = w->inside ? mxq_writer_open_program(reader, &write, count_bytes, w, &w->writer, err)
                                     : mxq_writer_open(container, &write, &w->writer, err);
  if (status == MXQ_OK)
    status = w->inside ? add_inside(w, err) : add_all(w, err);
  w->totals.kept = w->totals.tensors - w->totals.quantized;
  w->totals.program = w->inside;
  return status == MXQ_OK ? mxq_writer_size(w->writer, &w->totals.file_bytes, err) : status;
}

static enum mxq_status pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  struct way_back *w = user;
  size_t i = w->index[tensor];
  const struct mxq_tensor *t = mxq_reader_tensor(w->reader, i);
  enum mxq_status status = MXQ_OK;
  (void)part;
  if (w->current != tensor) {
    w->current = tensor;
    status = mxq_values_start(&w->values, w->reader, i, target(w, t), w->options.runner, err);
  }
  for (unsigned char *p = buf; status == MXQ_OK && n > 0;) {
    size_t now = n < MXQ_CHUNK ? n : MXQ_CHUNK;
    status = mxq_values_read(&w->values, p, now, err);
    if (status == MXQ_OK)
      status = mxq_progress_add(&w->progress, now, t->name, err);
    p += now;
    n -= now;
  }
  return status;
}

enum mxq_status mxq_dequantize(mxq_reader *reader, const struct mxq_dequantize_options *options, const struct mxq_sink *sink,
                               struct mxq_summary *summary, struct mxq_error *err) {
  struct way_back w;
  enum mxq_status status = prepare(&w, reader, options, err);
  if (status == MXQ_OK) {
    w.progress = (struct mxq_progress){.call = w.options.progress, .user = w.options.user, .total = w.totals.bytes_out};
    if (w.inside)
      w.progress.call = go_on, w.progress.user = &w;
    mxq_pool *own;
    status = mxq_runner_own(&w.options.runner, w.options.threads, &own) ? mxq_writer_run(w.writer, sink, pull, &w, err) : mxq_fail_nomem(err, NULL);
    mxq_pool_free(own);
  }
  if (status == MXQ_OK && summary)
    *summary = (struct mxq_summary){.totals = w.totals, .to_inf = w.values.to_inf, .unverified = mxq_reader_unverified(reader)};
  clear(&w);
  return status;
}

enum mxq_status mxq_dequantize_size(mxq_reader *reader, const struct mxq_dequantize_options *options, uint64_t *bytes,
                                    struct mxq_error *err) {
  struct way_back w;
  enum mxq_status status = prepare(&w, reader, options, err);
  if (status == MXQ_OK)
    *bytes = w.totals.file_bytes;
  clear(&w);
  return status;
}
