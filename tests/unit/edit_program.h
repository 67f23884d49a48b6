/* SPDX-License-Identifier: MIT */
/* Archives whose programs are edited in memory: weights to MX and back, with bytes that follow from their place. */
#ifndef TESTS_UNIT_EDIT_PROGRAM_H
#define TESTS_UNIT_EDIT_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/mxq.h>

#include "formats/pt2/program.h"

struct edited {
  void *data;
  size_t size;
};

static void *edit_load(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  char *data = malloc(1 << 20);
  *n = f && data ? fread(data, 1, 1 << 20, f) : 0;
  if (f)
    fclose(f);
  return data;
}

static enum mxq_status edit_open(const void *data, size_t n, mxq_reader **r, struct mxq_error *err) {
  struct mxq_source source;
  struct mxq_read_options options = {.container = MXQ_PT2};
  mxq_source_from_memory(data, n, &source);
  return mxq_reader_open_source(&source, &options, r, err);
}

/* Scales that are no NaN, codes and values of any kind. */
static enum mxq_status edit_pull(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  uint64_t *calls = user;
  (void)err;
  for (size_t i = 0; i < n; i++)
    ((unsigned char *)buf)[i] = part == MXQ_PART_SCALES ? 127 : (unsigned char)(tensor * 31 + i * 5 + *calls);
  *calls += n;
  return MXQ_OK;
}

/* Runs a writer into memory, and frees it. */
static enum mxq_status edit_run(mxq_writer *w, mxq_pull_fn pull, struct edited *out, struct mxq_error *err) {
  struct mxq_sink sink = {0};
  uint64_t calls = 0, bytes = 0;
  *out = (struct edited){0};
  enum mxq_status status = mxq_writer_size(w, &bytes, err);
  if (status == MXQ_OK)
    status = mxq_sink_to_memory(&out->data, &out->size, &sink, err);
  if (status == MXQ_OK) {
    status = mxq_writer_run(w, &sink, pull, &calls, err);
    if (status == MXQ_OK)
      status = sink.commit(sink.ctx, err);
    else
      sink.abort(sink.ctx);
  }
  mxq_writer_free(w);
  if (status == MXQ_OK && out->size != bytes)
    status = MXQ_ERR_DAMAGED;
  return status;
}

/* Adds tensor i as MX, along the axes that the program suggests or else the last. Tied ones that follow another are MXQ_ERR_USAGE. */
static enum mxq_status edit_add(mxq_writer *w, mxq_reader *r, size_t i, enum mxq_format format, struct mxq_error *err) {
  const mxq_program *program;
  struct mxq_axes_choice choice;
  struct mxq_tensor t = *mxq_reader_tensor(r, i);
  enum mxq_status status = mxq_reader_program(r, &program, err);
  if (status != MXQ_OK)
    return status;
  mxq_program_axes(program, i, &choice);
  t.format = format;
  t.axis_first = choice.understood ? choice.axis_first : t.ndim - 1;
  t.axis_last = choice.understood ? choice.axis_last : t.ndim - 1;
  return mxq_writer_add(w, &t, err);
}

static bool edit_is_weight(const struct mxq_tensor *t) {
  return t->format == MXQ_FORMAT_NONE && t->ndim >= 1 && (t->dtype == MXQ_F32 || t->dtype == MXQ_BF16 || t->dtype == MXQ_F16);
}

/* All weights that can be MX become so; *count of them. (Not "part", which is a view of "whole": they come back side by side.) */
static enum mxq_status edit_forward(const void *data, size_t n, enum mxq_format format, const struct mxq_write_options *options, struct edited *out,
                                    size_t *count, struct mxq_error *err) {
  mxq_reader *r;
  mxq_writer *w;
  *out = (struct edited){0};
  *count = 0;
  enum mxq_status status = edit_open(data, n, &r, err);
  if (status != MXQ_OK)
    return status;
  status = mxq_writer_open_program(r, options, NULL, NULL, &w, err);
  for (size_t i = 0; i < mxq_reader_count(r) && status == MXQ_OK; i++)
    if (edit_is_weight(mxq_reader_tensor(r, i)) && strcmp(mxq_reader_tensor(r, i)->name, "part") && strcmp(mxq_reader_tensor(r, i)->name, "whole")) {
      status = edit_add(w, r, i, format, err);
      *count += status == MXQ_OK;
      if (status == MXQ_ERR_USAGE) /* changed by the program, no weight, or it follows another */
        status = MXQ_OK;
    }
  if (status == MXQ_OK)
    status = edit_run(w, edit_pull, out, err);
  else
    mxq_writer_free(w);
  mxq_reader_close(r);
  return status;
}

/* All MX tensors become plain. */
static enum mxq_status edit_back(const void *data, size_t n, struct edited *out, struct mxq_error *err) {
  mxq_reader *r;
  mxq_writer *w;
  *out = (struct edited){0};
  enum mxq_status status = edit_open(data, n, &r, err);
  if (status != MXQ_OK)
    return status;
  status = mxq_writer_open_program(r, NULL, NULL, NULL, &w, err);
  for (size_t i = 0; i < mxq_reader_count(r) && status == MXQ_OK; i++) {
    struct mxq_tensor t = *mxq_reader_tensor(r, i);
    if (t.format == MXQ_FORMAT_NONE)
      continue;
    t.format = MXQ_FORMAT_NONE;
    status = mxq_writer_add(w, &t, err);
    if (status == MXQ_ERR_USAGE)
      status = MXQ_OK;
  }
  if (status == MXQ_OK)
    status = edit_run(w, edit_pull, out, err);
  else
    mxq_writer_free(w);
  mxq_reader_close(r);
  return status;
}

#endif
