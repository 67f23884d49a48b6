/* SPDX-License-Identifier: MIT */
/* Blocked runs that are not last: a matrix is taken in columns whose codes a buffer holds, and those in pieces of their lines. */
#include "lib/convert/across.h"

/* Bytes of codes that are held at a time, and of 32 lines of their columns, where 32 columns do not take more: lines are then read in pieces long enough. */
#define HELD ((size_t)8 << 20)

static uint64_t less(uint64_t a, uint64_t b) { return a < b ? a : b; }

void mxq_across_start(struct mxq_across *a, const struct mxq_tensor *t, size_t scalar) {
  *a = (struct mxq_across){.k = t->k, .inner = 1, .scalar = scalar, .rows = t->rows};
  for (uint32_t i = t->axis_last + 1; i < t->ndim; i++)
    a->inner *= t->shape[i];
  /* No product overflows: all are at most the tensor's bytes, or little. */
  uint64_t matrix = a->k * scalar * a->inner, fit = less(HELD / mxq_row_code_bytes(t->format, t->k), HELD / (MXQ_BLOCK * scalar)) / MXQ_BLOCK * MXQ_BLOCK;
  a->whole = matrix <= MXQ_CHUNK;
  if (a->whole)
    a->columns = (size_t)(MXQ_CHUNK / matrix * a->inner);
  else
    a->columns = (size_t)less(fit < MXQ_BLOCK ? MXQ_BLOCK : fit, a->inner);
}

size_t mxq_across_columns(const struct mxq_across *a, uint64_t row) {
  return (size_t)less(a->whole ? a->rows - row : a->inner - row % a->inner, a->columns);
}

size_t mxq_across_lines(const struct mxq_across *a) {
  uint64_t fit = MXQ_CHUNK / ((uint64_t)a->columns * a->scalar) / MXQ_BLOCK * MXQ_BLOCK;
  return (size_t)less(fit < MXQ_BLOCK ? MXQ_BLOCK : fit, a->k);
}

size_t mxq_across_bytes(const struct mxq_across *a) {
  size_t bytes = a->whole ? 0 : mxq_across_lines(a) * a->columns * a->scalar;
  return bytes > MXQ_CHUNK ? bytes : MXQ_CHUNK;
}
