/* SPDX-License-Identifier: MIT */
/* The file sink: many small writes, mostly in order, become few large ones; what is written back early makes the last sync short. */
#include "lib/io/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/io/place.h"

enum {
  BUFFER = 1 << 20,
  MOST = 1 << 30,       /* bytes a call; Linux takes at most 0x7ffff000 */
  WRITEBACK = 8 << 20   /* start writing to disk every so many bytes */
};

struct file_sink {
  struct mxq_place place;
  uint64_t begin;       /* where the buffer's bytes belong */
  size_t used;
  uint64_t written_back;
  int broken;           /* errno of a write that failed: nothing may be committed after it */
  char *buffer;
  char path[];
};

static enum mxq_status put(struct file_sink *f, uint64_t offset, const char *p, size_t n, struct mxq_error *err) {
  uint64_t end = offset + n;
  while (n > 0) {
    size_t part = n < MOST ? n : MOST;
    ssize_t done = f->place.direct ? write(f->place.fd, p, part) : pwrite(f->place.fd, p, part, (off_t)offset);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0) {
      f->broken = done < 0 ? errno : EIO;
      enum mxq_status s =
          mxq_fail_errno(err, MXQ_ERR_WRITE, f->broken, f->path, "cannot write %zu bytes at byte %llu", n, (unsigned long long)offset);
      if (err)
        err->offset = offset;
      return s;
    }
    p += done;
    n -= (size_t)done;
    offset += (uint64_t)done;
  }
  /* A hint only: its failure means nothing, the sync at the end is what counts. */
  if (!f->place.direct && end > f->written_back && end - f->written_back >= WRITEBACK) {
    (void)!sync_file_range(f->place.fd, (off_t)f->written_back, (off_t)(end - f->written_back), SYNC_FILE_RANGE_WRITE);
    f->written_back = end;
  }
  return MXQ_OK;
}

static enum mxq_status flush(struct file_sink *f, struct mxq_error *err) {
  size_t n = f->used;
  uint64_t at = f->begin;
  f->used = 0;
  f->begin += n;
  return n ? put(f, at, f->buffer, n, err) : MXQ_OK;
}

static enum mxq_status file_write_at(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  struct file_sink *f = ctx;
  const char *p = buf;
  if (offset > INT64_MAX || n > INT64_MAX - offset)
    return mxq_fail_errno(err, MXQ_ERR_WRITE, EFBIG, f->path, "cannot write past byte 2^63");
  uint64_t end = offset + n, expected = f->begin + f->used;
  if (f->place.direct && offset != expected)
    return mxq_fail_errno(err, MXQ_ERR_WRITE, ESPIPE, f->path, "is no regular file and can only be written in order, which this output is not");
  /* A patch of what left the buffer already goes past it, so that the buffer keeps collecting. */
  if (end <= f->begin)
    return put(f, offset, p, n, err);
  if (offset < f->begin || offset > expected) {
    enum mxq_status s = flush(f, err);
    if (s != MXQ_OK)
      return s;
    f->begin = offset;
  }
  while (n > 0) {
    size_t at = (size_t)(offset - f->begin);
    /* Large pieces skip the buffer. */
    if (f->used == 0 && n >= BUFFER) {
      size_t whole = n - n % BUFFER;
      enum mxq_status s = put(f, offset, p, whole, err);
      if (s != MXQ_OK)
        return s;
      p += whole;
      n -= whole;
      offset += whole;
      f->begin = offset;
      continue;
    }
    size_t part = n < BUFFER - at ? n : BUFFER - at;
    memcpy(f->buffer + at, p, part);
    if (at + part > f->used)
      f->used = at + part;
    p += part;
    n -= part;
    offset += part;
    if (f->used == BUFFER) {
      enum mxq_status s = flush(f, err);
      if (s != MXQ_OK)
        return s;
    }
  }
  return MXQ_OK;
}

static enum mxq_status file_read_at(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct file_sink *f = ctx;
  enum mxq_status s = f->place.direct ? mxq_fail_errno(err, MXQ_ERR_WRITE, ESPIPE, f->path, "is no regular file and cannot be read back")
                                      : flush(f, err);
  for (char *p = buf; s == MXQ_OK && n > 0;) {
    ssize_t got = pread(f->place.fd, p, n < MOST ? n : MOST, (off_t)offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return mxq_fail_errno(err, MXQ_ERR_WRITE, got < 0 ? errno : EIO, f->path, "cannot read back at byte %llu", (unsigned long long)offset);
    p += got;
    n -= (size_t)got;
    offset += (uint64_t)got;
  }
  return s;
}

static void release(struct file_sink *f) {
  free(f->buffer);
  free(f);
}

static void file_abort(void *ctx) {
  struct file_sink *f = ctx;
  mxq_place_discard(&f->place);
  release(f);
}

static enum mxq_status file_commit(void *ctx, struct mxq_error *err) {
  struct file_sink *f = ctx;
  enum mxq_status s = f->broken ? mxq_fail_errno(err, MXQ_ERR_WRITE, f->broken, f->path, "an earlier write failed") : flush(f, err);
  if (s == MXQ_OK)
    s = mxq_place_publish(&f->place, f->path, err);
  else
    mxq_place_discard(&f->place);
  release(f);
  return s;
}

enum mxq_status mxq_sink_open_file(const char *path, const struct mxq_file_sink_options *options, struct mxq_sink *sink, struct mxq_error *err) {
  assert(path && sink);
  memset(sink, 0, sizeof *sink);
  size_t n = strlen(path);
  struct file_sink *f = calloc(1, sizeof *f + n + 1);
  char *buffer = malloc(BUFFER);
  if (!f || !buffer) {
    free(f);
    free(buffer);
    return mxq_fail_nomem(err, path);
  }
  f->buffer = buffer;
  memcpy(f->path, path, n + 1);
  enum mxq_status s = mxq_place_open(path, options, &f->place, err);
  if (s != MXQ_OK) {
    release(f);
    return s;
  }
  *sink = (struct mxq_sink){.ctx = f,
                            .name = f->path,
                            .write_at = file_write_at,
                            .read_at = file_read_at,
                            .commit = file_commit,
                            .abort = file_abort};
  return MXQ_OK;
}
