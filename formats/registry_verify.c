/* SPDX-License-Identifier: MIT */
/* mxq_verify: the format's own check, or opening the file and reading all of it. */
#include "formats/registry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"

enum { CHUNK = 1 << 20 };

struct report {
  void (*on_finding)(void *user, const struct mxq_finding *finding);
  void *user;
  struct mxq_verify_result *result;
};

static void find(struct report *r, const struct mxq_error *e, const char *subject) {
  struct mxq_finding f = {.code = e->code, .subject = subject, .offset = e->offset, .text = e->text};
  r->result->findings++;
  if (r->on_finding)
    r->on_finding(r->user, &f);
}

/* What keeps the check from being carried out; everything else is something found. */
static bool stops(enum mxq_status s) {
  return s == MXQ_ERR_IO || s == MXQ_ERR_NOMEM || s == MXQ_ERR_CANCELLED || s == MXQ_ERR_USAGE;
}

static enum mxq_status read_all(mxq_reader *reader, struct report *report, struct mxq_error *err) {
  char *buf = malloc(CHUNK);
  if (!buf)
    return mxq_fail_nomem(err, reader->path);
  enum mxq_status s = MXQ_OK;
  for (size_t i = 0; i < reader->count && s == MXQ_OK; i++) {
    uint64_t size = mxq_reader_part_bytes(reader, i, MXQ_PART_DATA);
    uint64_t at = 0;
    do {
      size_t n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
      s = mxq_reader_read(reader, i, MXQ_PART_DATA, at, buf, n, err);
      at += n;
    } while (s == MXQ_OK && at < size);
    if (s != MXQ_OK && !stops(s)) {
      find(report, err, reader->tensors[i].name);
      s = MXQ_OK;
    }
  }
  free(buf);
  return s;
}

static enum mxq_status by_reading(const struct format *format, struct mxq_source *source, const char *path,
                                  const struct mxq_read_options *options, struct report *report, struct mxq_error *err) {
  mxq_reader *reader;
  enum mxq_status s = mxq_reader_open_as(format, source, path, options, &reader, err);
  if (s == MXQ_OK) {
    report->result->bytes = reader->file_bytes;
    report->result->tensors = reader->count;
    s = read_all(reader, report, err);
    mxq_reader_close(reader);
  }
  return s;
}

enum mxq_status mxq_verify(const char *path, const struct mxq_read_options *options,
                           void (*on_finding)(void *user, const struct mxq_finding *finding), void *user,
                           struct mxq_verify_result *result, struct mxq_error *err) {
  assert(path && result);
  memset(result, 0, sizeof *result);
  struct report report = {on_finding, user, result};
  struct mxq_error local; /* the findings need one, also when the caller does not */
  struct mxq_read_options limits = mxq_read_limits(options);
  limits.unverified = false;
  struct mxq_source source;
  enum mxq_status s = mxq_source_open_file(path, &source, &local);
  if (s == MXQ_OK) {
    const struct format *format;
    bool claimed;
    s = mxq_identify(&source, path, limits.container, &format, &claimed, &local);
    if (s == MXQ_OK) {
      result->container = format->container;
      s = format->verify ? format->verify(&source, path, &limits, on_finding, user, result, &local)
                         : by_reading(format, &source, path, &limits, &report, &local);
      /* Only a zip can still turn out to be something else, such as a PyTorch .pt file. */
      if (s == MXQ_ERR_FORMAT)
        claimed = limits.container != MXQ_CONTAINER_AUTO || mxq_format_by_extension(path);
    } else if (claimed) {
      const struct format *f = mxq_format_by_extension(path);
      result->container = f ? f->container : limits.container;
    }
    mxq_source_close(&source);
    if (s != MXQ_OK && !stops(s) && (s != MXQ_ERR_FORMAT || claimed)) {
      find(&report, &local, "");
      s = MXQ_OK;
    }
  }
  if (s != MXQ_OK && err)
    *err = local;
  return s;
}
