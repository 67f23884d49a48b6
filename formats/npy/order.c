/* SPDX-License-Identifier: MIT */
/* Values in C order and little-endian from arrays that lie otherwise. */
#include "formats/npy/npy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"

enum {
  WINDOW = 256 * 1024,
  NEAR = 16 * 1024     /* reading past so much costs less than another call */
};

struct window {
  uint64_t begin;
  size_t used;
  unsigned char data[WINDOW];
};

static void swap_bytes(unsigned char *p, size_t n, size_t unit) {
  for (; n >= unit; p += unit, n -= unit) {
    for (size_t i = 0; i < unit / 2; i++) {
      unsigned char low = p[i];
      p[i] = p[unit - 1 - i];
      p[unit - 1 - i] = low;
    }
  }
}

/* n <= WINDOW bytes of the array through the window; `ahead`: what follows is wanted soon. */
static enum mxq_status look(const struct mxq_npy *npy, const struct mxq_npy_bytes *bytes, struct window *w, uint64_t at, size_t n, bool ahead,
                            const unsigned char **p, struct mxq_error *err) {
  if (at < w->begin || at - w->begin > w->used || n > w->used - (size_t)(at - w->begin)) {
    size_t want = ahead ? WINDOW : n;
    if (want > npy->bytes - at)
      want = (size_t)(npy->bytes - at);
    w->used = 0;
    enum mxq_status s = bytes->read(bytes->ctx, at, w->data, want, err);
    if (s != MXQ_OK)
      return s;
    w->begin = at;
    w->used = want;
  }
  *p = w->data + (at - w->begin);
  return MXQ_OK;
}

/*
 * The array is seen as shape[0] rows of P values. Values that are P apart in C order are neighbours in the file: each column of the request is one
 * run of the file, scattered into buf.
 */
static enum mxq_status gather(const struct mxq_npy *npy, const struct mxq_npy_bytes *bytes, struct window *w, uint64_t first, uint64_t count,
                              unsigned char *buf, struct mxq_error *err) {
  const size_t scalar = mxq_dtype_bits(npy->dtype) / 8;
  const uint32_t last = npy->ndim - 1;
  const uint64_t columns = npy->elements / npy->shape[0];
  uint64_t step[MXQ_MAX_NDIM], index[MXQ_MAX_NDIM], rest = first, place = 0;
  step[0] = 1;
  for (uint32_t i = 1; i <= last; i++)
    step[i] = step[i - 1] * npy->shape[i - 1];
  for (uint32_t i = npy->ndim; i-- > 0;) {
    index[i] = rest % npy->shape[i];
    rest /= npy->shape[i];
    place += index[i] * step[i];
  }
  const bool ahead = step[last] * scalar <= NEAR;
  for (uint64_t c = 0; c < columns && c < count; c++) {
    uint64_t run = (count - c + columns - 1) / columns, at = place * scalar;
    unsigned char *out = buf + c * scalar;
    while (run > 0) {
      size_t values = run < WINDOW / scalar ? (size_t)run : WINDOW / scalar;
      const unsigned char *p;
      enum mxq_status s = look(npy, bytes, w, at, values * scalar, ahead, &p, err);
      if (s != MXQ_OK)
        return s;
      for (size_t i = 0; i < values; i++, p += scalar, out += columns * scalar)
        memcpy(out, p, scalar);
      at += values * scalar;
      run -= values;
    }
    /* One further in C order. */
    for (uint32_t i = last;; i--) {
      place += step[i];
      if (++index[i] < npy->shape[i] || i == 0)
        break;
      place -= npy->shape[i] * step[i];
      index[i] = 0;
    }
  }
  return MXQ_OK;
}

enum mxq_status mxq_npy_read(const struct mxq_npy *npy, const struct mxq_npy_bytes *bytes, void **window, uint64_t offset, void *buf, size_t n,
                             struct mxq_error *err) {
  const size_t scalar = mxq_dtype_bits(npy->dtype) / 8;
  enum mxq_status s = MXQ_OK;
  if (n == 0)
    return MXQ_OK;
  if (npy->fortran) {
    struct window *w = *window;
    if (!w) {
      w = *window = malloc(sizeof *w);
      if (!w)
        return mxq_fail_nomem(err, "");
    }
    w->begin = 0;
    w->used = 0; /* it may hold another array */
    s = gather(npy, bytes, w, offset / scalar, n / scalar, buf, err);
  } else {
    s = bytes->read(bytes->ctx, offset, buf, n, err);
  }
  if (s == MXQ_OK && npy->swap)
    swap_bytes(buf, n, npy->dtype == MXQ_C64 || npy->dtype == MXQ_C128 ? scalar / 2 : scalar);
  return s;
}
