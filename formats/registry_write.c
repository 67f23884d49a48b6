/* SPDX-License-Identifier: MIT */
/* The writer calls of <mxq/archive.h>: what every container demands is checked here, the rest by the format. */
#include "formats/registry.h"

#include <assert.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

enum { LONGEST_NAME = 4096 };

enum mxq_status mxq_writer_open(enum mxq_container container, const struct mxq_write_options *options, mxq_writer **writer,
                                struct mxq_error *err) {
  assert(writer);
  *writer = NULL;
  const struct format *f = mxq_format_of(container);
  if (!f || !f->open_writer)
    return mxq_fail(err, MXQ_ERR_USAGE, "", "%s files cannot be written", f ? f->name : "such");
  struct mxq_write_options defaults = {0};
  const struct mxq_write_options *o = options ? options : &defaults;
  for (size_t i = 0; i < 2 * o->metadata_count; i++)
    if (!mxq_utf8_valid(o->metadata[i], strlen(o->metadata[i])))
      return mxq_fail(err, MXQ_ERR_USAGE, "", "metadata text %zu is not UTF-8", i / 2);
  return f->open_writer(o, writer, err);
}

enum mxq_status mxq_writer_add(mxq_writer *writer, const struct mxq_tensor *t, struct mxq_error *err) {
  assert(writer && t && t->name);
  size_t n = strlen(t->name);
  if (n > LONGEST_NAME)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "a tensor's name has %zu bytes, at most %d are allowed", n, LONGEST_NAME);
  if (!mxq_utf8_valid(t->name, n))
    return mxq_fail(err, MXQ_ERR_USAGE, "", "a tensor's name is not UTF-8");
  if (t->ndim > MXQ_MAX_NDIM)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "%u dimensions, at most %d are allowed", t->ndim, MXQ_MAX_NDIM);
  if (mxq_dtype_bits(t->dtype) == 0)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "there is no dtype number %d", (int)t->dtype);
  assert(t->ndim == 0 || t->shape);
  return writer->add(writer, t, err);
}

enum mxq_status mxq_writer_size(mxq_writer *writer, uint64_t *bytes, struct mxq_error *err) {
  return writer->size(writer, bytes, err);
}

bool mxq_writer_graph_each(const mxq_writer *writer) {
  return writer->graph_each && writer->graph_each(writer);
}

enum mxq_status mxq_writer_run(mxq_writer *writer, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err) {
  assert(sink && sink->write_at && pull);
  return writer->run(writer, sink, pull, user, err);
}

void mxq_writer_free(mxq_writer *writer) {
  if (writer)
    writer->free(writer);
}
