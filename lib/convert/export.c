/* SPDX-License-Identifier: MIT */
/* mxq_export_save and mxq_export_load: tensors in memory to an archive, and an archive opened. */
#include <stdlib.h>

#include "lib/base/fail.h"
#include "lib/convert/job.h"

static bool is_float(enum mxq_dtype dtype) {
  return dtype == MXQ_F32 || dtype == MXQ_BF16 || dtype == MXQ_F16;
}

/* What is true of an array: MXQ_ERR_USAGE when its size is not a number of bytes, or when its dtype cannot be quantized. */
static enum mxq_status describe(const struct mxq_array *array, struct mxq_tensor *t, struct mxq_error *err) {
  unsigned bits = mxq_dtype_bits(array->dtype);
  *t = (struct mxq_tensor){.name = array->name, .dtype = array->dtype, .ndim = array->ndim, .shape = array->shape, .elements = 1};
  t->kind = is_float(array->dtype) || array->dtype == MXQ_F64 ? MXQ_KIND_PARAMETER : MXQ_KIND_BUFFER;
  if (bits == 0)
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "the array has no dtype");
  if (array->ndim > MXQ_MAX_NDIM)
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "the array has %u dimensions; at most %d are possible", (unsigned)array->ndim,
                    MXQ_MAX_NDIM);
  bool empty = false, too_large = false;
  for (uint32_t a = 0; a < array->ndim; a++) {
    empty |= array->shape[a] == 0;
    too_large |= __builtin_mul_overflow(t->elements, array->shape[a], &t->elements);
  }
  if (empty)
    t->elements = 0;
  uint64_t total_bits = 0;
  if ((too_large && !empty) || __builtin_mul_overflow(t->elements, bits, &total_bits) || total_bits / 8 > INT64_MAX)
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "the shape's product does not fit in 63 bits");
  if (total_bits % 8)
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "packed %s values must fill whole bytes", mxq_dtype_name(array->dtype));
  t->bytes = total_bits / 8;
  if (array->format == MXQ_FORMAT_NONE)
    return MXQ_OK;
  if (!is_float(array->dtype))
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "dtype %s cannot be quantized; f32, bf16 and f16 can", mxq_dtype_name(array->dtype));
  if (array->ndim == 0)
    return mxq_fail(err, MXQ_ERR_USAGE, array->name, "an array without dimensions has no axis to block");
  return MXQ_OK;
}

static enum mxq_status make_item(const struct mxq_array *array, const struct mxq_numerics *numerics, struct mxq_job_item *item,
                                 struct mxq_error *err) {
  static const unsigned char nothing;
  struct mxq_decision d;
  enum mxq_status status = describe(array, &item->out, err);
  if (status != MXQ_OK)
    return status;
  item->source_dtype = array->dtype;
  item->data = array->data ? array->data : &nothing; /* only an empty array may have none */
  item->bytes_in = item->out.bytes;
  item->numerics = *numerics;
  mxq_decide(&item->out, &(struct mxq_wish){.format = array->format, .named = true}, &d);
  if (d.format == MXQ_FORMAT_NONE)
    return MXQ_OK;
  status = mxq_numerics_resolve(d.format, &item->numerics, err);
  if (status != MXQ_OK)
    return mxq_fail_name(err, status, array->name);
  item->encode = true;
  mxq_block_item(item, d.format, d.axis_first, d.axis_last);
  return MXQ_OK;
}

static void give_item(const void *context, size_t i, struct mxq_job_item *item) { *item = ((const struct mxq_job_item *)context)[i]; }

/* From a filled writer to a file that is there. */
static enum mxq_status write_file(const char *path, const struct mxq_job *job, mxq_writer *writer, bool replace, struct mxq_error *err) {
  struct mxq_file_sink_options options = {.replace = replace};
  struct mxq_sink sink = {0};
  struct mxq_stats stats = {0};
  enum mxq_status status = mxq_writer_size(writer, &options.expected_size, err);
  if (status == MXQ_OK)
    status = mxq_sink_open_file(path, &options, &sink, err);
  if (status != MXQ_OK)
    return status;
  status = mxq_job_run(job, writer, &sink, &stats, err);
  if (status == MXQ_OK)
    return sink.commit(sink.ctx, err);
  sink.abort(sink.ctx);
  return status;
}

enum mxq_status mxq_export_save(const char *path, const struct mxq_array *arrays, size_t count, const struct mxq_save_options *options,
                                struct mxq_error *err) {
  static const struct mxq_save_options defaults;
  const struct mxq_save_options *o = options ? options : &defaults;
  struct mxq_job_item *items = calloc(count + 1, sizeof *items);
  if (!items)
    return mxq_fail_nomem(err, path);
  struct mxq_job job = {.describe = give_item, .context = items, .count = count, .threads = o->threads, .runner = o->runner};
  mxq_writer *writer = NULL;
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; status == MXQ_OK && i < count; i++)
    status = make_item(&arrays[i], &o->numerics, &items[i], err);
  if (status == MXQ_OK)
    status = mxq_writer_open(MXQ_PT2, &o->archive, &writer, err);
  if (status == MXQ_OK)
    status = mxq_job_add(&job, writer, err);
  if (status == MXQ_OK)
    status = write_file(path, &job, writer, o->replace, err);
  mxq_writer_free(writer);
  free(items);
  return status;
}

enum mxq_status mxq_export_load(const char *path, bool map, mxq_reader **reader, struct mxq_error *err) {
  struct mxq_read_options options = {.container = MXQ_PT2};
  *reader = NULL;
  if (!map)
    return mxq_reader_open(path, &options, reader, err);
  struct mxq_source source = {0};
  enum mxq_status status = mxq_source_open_mmap(path, &source, err);
  return status == MXQ_OK ? mxq_reader_open_source(&source, &options, reader, err) : status;
}
