/* SPDX-License-Identifier: MIT */
/* Buffers that are used again from tensor to tensor, and the place where scales wait for the codes to be written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fail.h"
#include "lib/base/nameless.h"
#include "lib/convert/job.h"

bool mxq_buffer_need(struct mxq_buffer *b, size_t n) {
  if (n <= b->size)
    return true;
  unsigned char *data = malloc(n);
  if (!data)
    return false;
  free(b->data);
  b->data = data;
  b->size = n;
  return true;
}

void mxq_buffer_free(struct mxq_buffer *b) {
  free(b->data);
  *b = (struct mxq_buffer){0};
}

enum mxq_status mxq_spill_start(struct mxq_spill *s, uint64_t total, struct mxq_error *err) {
  s->total = total;
  s->written = s->taken = 0;
  s->in_file = total > MXQ_SCALES_IN_MEMORY;
  if (!s->in_file)
    return mxq_buffer_need(&s->memory, (size_t)total) ? MXQ_OK : mxq_fail_nomem(err, NULL);
  if (s->fd == 0) {
    int fd = mxq_nameless();
    if (fd < 0)
      return mxq_fail_errno(err, MXQ_ERR_WRITE, errno, NULL, "cannot make a temporary file for scales in /var/tmp or /tmp");
    s->fd = fd + 1;
  }
  return MXQ_OK;
}

unsigned char *mxq_spill_place(struct mxq_spill *s) {
  return s->in_file ? NULL : s->memory.data + s->written;
}

enum mxq_status mxq_spill_put(struct mxq_spill *s, const void *data, size_t n, struct mxq_error *err) {
  if (!s->in_file) {
    unsigned char *place = s->memory.data + s->written;
    if (place != data)
      memcpy(place, data, n);
    s->written += n;
    return MXQ_OK;
  }
  const unsigned char *p = data;
  while (n > 0) {
    ssize_t w = pwrite(s->fd - 1, p, n, (off_t)s->written);
    if (w < 0 && errno == EINTR)
      continue;
    if (w <= 0)
      return mxq_fail_errno(err, MXQ_ERR_WRITE, w < 0 ? errno : ENOSPC, NULL, "cannot write scales to a temporary file in /var/tmp or /tmp");
    p += w;
    n -= (size_t)w;
    s->written += (uint64_t)w;
  }
  return MXQ_OK;
}

enum mxq_status mxq_spill_take(struct mxq_spill *s, void *buf, size_t n, struct mxq_error *err) {
  if (!s->in_file) {
    memcpy(buf, s->memory.data + s->taken, n);
    s->taken += n;
    return MXQ_OK;
  }
  unsigned char *p = buf;
  while (n > 0) {
    ssize_t r = pread(s->fd - 1, p, n, (off_t)s->taken);
    if (r < 0 && errno == EINTR)
      continue;
    if (r <= 0)
      return mxq_fail_errno(err, MXQ_ERR_IO, r < 0 ? errno : EIO, NULL, "cannot read scales back from a temporary file");
    p += r;
    n -= (size_t)r;
    s->taken += (uint64_t)r;
  }
  return MXQ_OK;
}

void mxq_spill_free(struct mxq_spill *s) {
  mxq_buffer_free(&s->memory);
  if (s->fd)
    close(s->fd - 1);
  *s = (struct mxq_spill){0};
}
