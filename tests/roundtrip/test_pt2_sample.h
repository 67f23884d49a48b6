/* SPDX-License-Identifier: MIT */
/* A small archive of every kind of tensor, made in memory with bytes that follow from their place. */
#ifndef TESTS_ROUNDTRIP_TEST_PT2_SAMPLE_H
#define TESTS_ROUNDTRIP_TEST_PT2_SAMPLE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/mxq.h>

struct sample_tensor {
  const char *name;
  enum mxq_format format;
  enum mxq_dtype dtype;
  uint32_t ndim;
  uint64_t shape[4];
  uint32_t first, last;
  enum mxq_kind kind;
};

static const struct sample_tensor sample_all[] = {
    {"a.weight", MXQ_MXFP4, MXQ_F32, 2, {3, 64}, 1, 1, MXQ_KIND_PARAMETER},
    {"a.bias", MXQ_FORMAT_NONE, MXQ_F32, 1, {3}, 0, 0, MXQ_KIND_PARAMETER},
    {"b.ragged", MXQ_MXFP6_E2M3, MXQ_BF16, 2, {2, 40}, 1, 1, MXQ_KIND_PARAMETER},
    {"c.conv", MXQ_MXFP6_E3M2, MXQ_F16, 4, {2, 3, 3, 5}, 1, 3, MXQ_KIND_PARAMETER},
    {"d.first", MXQ_MXFP8_E4M3, MXQ_F32, 2, {64, 2}, 0, 0, MXQ_KIND_BUFFER},
    {"e.middle", MXQ_MXFP8_E5M2, MXQ_F32, 3, {2, 33, 2}, 1, 1, MXQ_KIND_PARAMETER},
    {"f.int8", MXQ_MXINT8, MXQ_BF16, 1, {32}, 0, 0, MXQ_KIND_PARAMETER},
    {"g.zero", MXQ_MXFP4, MXQ_F32, 2, {0, 64}, 1, 1, MXQ_KIND_PARAMETER},
    {"h.scalar", MXQ_FORMAT_NONE, MXQ_I64, 0, {0}, 0, 0, MXQ_KIND_BUFFER},
    {"i.empty", MXQ_FORMAT_NONE, MXQ_F16, 2, {2, 0}, 0, 0, MXQ_KIND_PARAMETER},
    {"j.f4", MXQ_FORMAT_NONE, MXQ_F4, 2, {2, 6}, 0, 0, MXQ_KIND_BUFFER},
    {"k \"quoted\"\n", MXQ_MXFP4, MXQ_F32, 2, {1, 32}, 1, 1, MXQ_KIND_PARAMETER},
    {"k.\xC3\xA9%", MXQ_FORMAT_NONE, MXQ_BOOL, 1, {4}, 0, 0, MXQ_KIND_BUFFER},
};
enum { SAMPLE_ALL = sizeof sample_all / sizeof *sample_all };

struct sample_pull {
  size_t tensor;
  enum mxq_part part;
  uint64_t pos, calls;
};

static unsigned char sample_byte(size_t tensor, enum mxq_part part, uint64_t pos) {
  return (unsigned char)(tensor * 31 + (size_t)part * 7 + pos * 5 + (pos >> 8));
}

static enum mxq_status sample_pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  struct sample_pull *p = user;
  (void)err;
  if (p->calls++ == 0 || p->tensor != tensor || p->part != part)
    p->pos = 0;
  p->tensor = tensor;
  p->part = part;
  for (size_t i = 0; i < n; i++)
    ((unsigned char *)buf)[i] = sample_byte(tensor, part, p->pos + i);
  p->pos += n;
  return MXQ_OK;
}

static enum mxq_status sample_add(mxq_writer *w, const struct sample_tensor *s, struct mxq_error *err) {
  struct mxq_tensor t = {.name = s->name, .format = s->format, .dtype = s->dtype, .ndim = s->ndim, .shape = s->shape,
                         .axis_first = s->first, .axis_last = s->last, .kind = s->kind};
  return mxq_writer_add(w, &t, err);
}

/* The archive in malloced memory. */
static enum mxq_status sample_write(const struct sample_tensor *list, size_t count, const struct mxq_write_options *options, void **data,
                                    size_t *size, struct mxq_error *err) {
  mxq_writer *w = NULL;
  struct mxq_sink sink = {0};
  struct sample_pull p = {0};
  *data = NULL;
  enum mxq_status status = mxq_writer_open(MXQ_PT2, options, &w, err);
  for (size_t i = 0; i < count && status == MXQ_OK; i++)
    status = sample_add(w, &list[i], err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(data, size, &sink, err);
  if (status == MXQ_OK) {
    status = mxq_writer_run(w, &sink, sample_pull, &p, err);
    if (status == MXQ_OK)
      status = sink.commit(sink.ctx, err);
    else
      sink.abort(sink.ctx);
  }
  mxq_writer_free(w);
  return status;
}

static inline enum mxq_status sample_copy(const void *data, size_t size, const struct mxq_write_options *options, void **copy, size_t *copy_size,
                                   struct mxq_error *err) {
  struct mxq_source source;
  struct mxq_sink sink = {0};
  struct mxq_read_options read = {.container = MXQ_PT2};
  mxq_reader *r = NULL;
  *copy = NULL;
  mxq_source_from_memory(data, size, &source);
  enum mxq_status status = mxq_reader_open_source(&source, &read, &r, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(copy, copy_size, &sink, err);
  if (status == MXQ_OK) {
    status = mxq_archive_copy(r, options, &sink, NULL, NULL, err);
    if (status == MXQ_OK)
      status = sink.commit(sink.ctx, err);
    else
      sink.abort(sink.ctx);
  }
  mxq_reader_close(r);
  return status;
}

#endif
