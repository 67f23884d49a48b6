/* SPDX-License-Identifier: MIT */
/* One array of npy's kind, in a file of its own or in a zip; see SPEC.md. */
#ifndef MXQ_FORMATS_NPY_H
#define MXQ_FORMATS_NPY_H

#include "formats/format.h"

enum { MXQ_NPY_MOST_HEADER = 10000, MXQ_NPY_HEAD = 12 + MXQ_NPY_MOST_HEADER };

struct mxq_npy {
  enum mxq_dtype dtype;
  bool swap;            /* big-endian */
  bool fortran;         /* true only when that differs from C order */
  uint32_t ndim;
  const uint64_t *shape;
  uint64_t elements, bytes;
  uint64_t data;        /* where the array begins */
};

/*
 * Parses the first n bytes (all, or at least MXQ_NPY_HEAD of them) of an array file of `size` bytes. dims: where npy->shape is put. subject: of errors.
 */
enum mxq_status mxq_npy_parse(const void *bytes, size_t n, uint64_t size, const char *subject, uint64_t dims[MXQ_MAX_NDIM],
                              struct mxq_npy *npy, struct mxq_error *err);

/* Fills *t, with shape (which becomes npy's too) and strides in the arena; place = offset of the array in the file, or UINT64_MAX when it does not lie there as it is. */
enum mxq_status mxq_npy_tensor(struct mxq_npy *npy, struct mxq_arena *arena, const char *name, uint64_t place, struct mxq_tensor *t,
                               struct mxq_error *err);

/* Where the array's bytes come from, counted from its first. */
struct mxq_npy_bytes {
  enum mxq_status (*read)(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
  void *ctx;
};
/*
 * n bytes of the values in C order, little-endian, from `offset`; both are whole scalars when npy says swap or fortran. *window is working memory
 * kept between calls: NULL at first, freed by the caller in the end.
 */
enum mxq_status mxq_npy_read(const struct mxq_npy *npy, const struct mxq_npy_bytes *bytes, void **window, uint64_t offset, void *buf, size_t n,
                             struct mxq_error *err);

#endif
