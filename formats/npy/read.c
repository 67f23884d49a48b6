/* SPDX-License-Identifier: MIT */
/* Reader of an .npy file: one tensor. */
#include "formats/npy/npy.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

struct npy_reader {
  struct mxq_reader base;
  struct mxq_tensor tensor;
  struct mxq_npy npy;
  void *window;
};

static bool probe(const unsigned char *bytes, size_t n, uint64_t size) {
  (void)size;
  return n >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
}

/* The file's name without folder and extension. */
static const char *stem(struct mxq_reader *r) {
  const char *base = mxq_path_base(r->path), *dot = strrchr(base, '.');
  char *name = mxq_arena_text(&r->arena, base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
  if (name && !mxq_utf8_valid(name, strlen(name)))
    for (char *p = name; *p; p++)
      if ((unsigned char)*p >= 0x80)
        *p = '_';
  return name;
}

static enum mxq_status open_reader(struct mxq_reader *base, struct mxq_error *err) {
  struct npy_reader *r = (struct npy_reader *)base;
  size_t n = base->source.size < MXQ_NPY_HEAD ? (size_t)base->source.size : MXQ_NPY_HEAD;
  char *head = malloc(n ? n : 1);
  if (!head)
    return mxq_fail_nomem(err, base->path);
  uint64_t dims[MXQ_MAX_NDIM];
  enum mxq_status s = base->source.read_at(base->source.ctx, 0, head, n, err);
  if (s == MXQ_OK)
    s = mxq_npy_parse(head, n, base->source.size, base->path, dims, &r->npy, err);
  free(head);
  if (s != MXQ_OK)
    return s;
  const char *name = stem(base);
  if (!name)
    return mxq_fail_nomem(err, base->path);
  s = mxq_npy_tensor(&r->npy, &base->arena, name, r->npy.data, &r->tensor, err);
  if (s != MXQ_OK)
    return s;
  base->tensors = &r->tensor;
  base->count = 1;
  return mxq_reader_index(base, err);
}

static void close_reader(struct mxq_reader *base) {
  free(((struct npy_reader *)base)->window);
}

static enum mxq_status read_bytes(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct npy_reader *r = ctx;
  return r->base.source.read_at(r->base.source.ctx, r->npy.data + offset, buf, n, err);
}

static enum mxq_status read_part(struct mxq_reader *base, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n,
                                 struct mxq_error *err) {
  struct npy_reader *r = (struct npy_reader *)base;
  struct mxq_npy_bytes bytes = {read_bytes, r};
  (void)i;
  (void)part;
  return mxq_npy_read(&r->npy, &bytes, &r->window, offset, buf, n, err);
}

const struct format mxq_format_npy = {
    .container = MXQ_NPY,
    .name = "npy",
    .extension = "npy",
    .probe = probe,
    .reader_size = sizeof(struct npy_reader),
    .open_reader = open_reader,
    .close_reader = close_reader,
    .read = read_part,
};
