/* SPDX-License-Identifier: MIT */
#include "formats/pt2/reorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mxq/tensor.h>
#include "lib/base/fail.h"
#include "lib/base/nameless.h"

enum { IN_MEMORY = 16 << 20, PIECE = 64 << 10 };

bool mxq_pt2_dense(const uint64_t *shape, const int64_t *strides, uint32_t ndim) {
  uint64_t step = 1;
  bool used[MXQ_MAX_NDIM] = {false};
  for (uint32_t a = 0; a < ndim; a++)
    used[a] = shape[a] == 1;
  for (;;) {
    uint32_t next = ndim, left = 0;
    for (uint32_t a = 0; a < ndim; a++) {
      left += !used[a];
      if (!used[a] && strides[a] > 0 && (uint64_t)strides[a] == step)
        next = a;
    }
    if (left == 0)
      return true;
    if (next == ndim || __builtin_mul_overflow(step, shape[next], &step))
      return false;
    used[next] = true;
  }
}

void mxq_pt2_reorder_free(struct mxq_pt2_reorder *r) {
  if (r->fd) {
    if (r->data)
      munmap(r->data, r->capacity);
    close(r->fd - 1);
  } else {
    free(r->data);
  }
  *r = (struct mxq_pt2_reorder){0};
}

static enum mxq_status make_room(struct mxq_pt2_reorder *r, uint64_t size, struct mxq_error *err) {
  if (r->capacity < size) {
    mxq_pt2_reorder_free(r);
    if (size <= IN_MEMORY) {
      r->data = malloc(size);
      if (!r->data)
        return mxq_fail_nomem(err, NULL);
    } else {
      int fd = mxq_nameless();
      if (fd < 0)
        return mxq_fail_errno(err, MXQ_ERR_WRITE, errno, NULL, "cannot make a temporary file in /var/tmp or /tmp");
      r->fd = fd + 1;
      /* Reserved, not only declared: a full disk is a status here, and would be a signal later. */
      int failed = posix_fallocate(fd, 0, (off_t)size);
      if (failed)
        return mxq_fail_errno(err, MXQ_ERR_WRITE, failed, NULL, "no room for a temporary file in /var/tmp or /tmp");
      void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (map == MAP_FAILED)
        return mxq_fail_nomem(err, NULL);
      r->data = map;
    }
    r->capacity = size;
  }
  r->size = size;
  return MXQ_OK;
}

static void scatter(unsigned char *to, const unsigned char *from, uint64_t count, uint64_t step, unsigned scalar) {
  for (uint64_t i = 0; i < count; i++)
    switch (scalar) { /* constants, so that each is one move */
    case 2: memcpy(to + i * step * 2, from + i * 2, 2); break;
    case 4: memcpy(to + i * step * 4, from + i * 4, 4); break;
    default: memcpy(to + i * step * scalar, from + i * scalar, scalar); break;
    }
}

enum mxq_status mxq_pt2_reorder(struct mxq_pt2_reorder *r, const uint64_t *shape, const int64_t *strides, uint32_t ndim, unsigned scalar,
                                mxq_pt2_next_fn next, void *user, struct mxq_error *err) {
  unsigned char piece[PIECE];
  uint64_t index[MXQ_MAX_NDIM] = {0}, all = 1, at = 0;
  for (uint32_t a = 0; a < ndim; a++)
    all *= shape[a];
  enum mxq_status status = make_room(r, all * scalar, err);
  uint64_t inner = ndim ? shape[ndim - 1] : 1, step = ndim ? (uint64_t)strides[ndim - 1] : 1, col = 0;
  while (status == MXQ_OK && all) {
    uint64_t n = PIECE / scalar < all ? PIECE / scalar : all;
    status = next(user, piece, n * scalar, err);
    all -= n;
    for (uint64_t done = 0; status == MXQ_OK && done < n;) {
      uint64_t run = inner - col < n - done ? inner - col : n - done;
      scatter(r->data + (at + col * step) * scalar, piece + done * scalar, run, step, scalar);
      done += run;
      col += run;
      if (col < inner)
        continue;
      col = 0;
      for (uint32_t a = ndim - (ndim > 0); a-- > 0;) { /* the next place of the outer axes */
        at += (uint64_t)strides[a];
        if (++index[a] < shape[a])
          break;
        at -= shape[a] * (uint64_t)strides[a];
        index[a] = 0;
      }
    }
  }
  return status;
}
