/* SPDX-License-Identifier: MIT */
/* Blocked runs that are not last: columns of a matrix are gathered into rows, as many at a time as a buffer holds. */
#include "lib/convert/across.h"

#include <string.h>

/* Bytes of rows that are gathered at a time, where 32 columns do not take more: the lines of a matrix are then read in pieces long enough. */
#define GATHERED ((size_t)8 << 20)

void mxq_across_start(struct mxq_across *a, const struct mxq_tensor *t, size_t scalar) {
  *a = (struct mxq_across){.k = t->k, .inner = 1, .scalar = scalar, .rows = t->rows};
  for (uint32_t i = t->axis_last + 1; i < t->ndim; i++)
    a->inner *= t->shape[i];
  /* Neither product overflows: both are at most the tensor's bytes. */
  uint64_t column = a->k * scalar, matrix = column * a->inner;
  a->whole = matrix <= MXQ_CHUNK;
  if (a->whole) {
    a->columns = (size_t)(MXQ_CHUNK / matrix * a->inner);
  } else {
    a->columns = (size_t)(GATHERED / column / MXQ_BLOCK * MXQ_BLOCK);
    a->columns = a->columns < MXQ_BLOCK ? MXQ_BLOCK : a->columns;
    a->columns = a->columns < a->inner ? a->columns : (size_t)a->inner;
  }
}

size_t mxq_across_columns(const struct mxq_across *a, uint64_t row) {
  uint64_t left = a->whole ? a->rows - row : a->inner - row % a->inner;
  return left < a->columns ? (size_t)left : a->columns;
}

size_t mxq_across_bytes(const struct mxq_across *a) {
  uint64_t rows = a->rows < a->columns ? a->rows : a->columns;
  return (size_t)(rows * a->k * a->scalar);
}

size_t mxq_across_lines(const struct mxq_across *a) {
  uint64_t fit = MXQ_CHUNK / ((uint64_t)a->columns * a->scalar);
  return fit < 1 ? 1 : fit < a->k ? (size_t)fit : (size_t)a->k;
}

uint64_t mxq_across_flat(const struct mxq_across *a, uint64_t row, uint64_t column) {
  return (row / a->inner * a->k + column) * a->inner + row % a->inner;
}

#define TILE_LINES 8
#define TILE_COLUMNS 16

/* A tile at a time: each line of the destination is written in one go, while the lines of the source stay near, whatever their distance. */
#define TURN(TYPE)                                                                                                     \
  for (size_t c0 = 0; c0 < columns; c0 += TILE_COLUMNS) {                                                              \
    size_t c1 = columns - c0 < TILE_COLUMNS ? columns : c0 + TILE_COLUMNS;                                             \
    for (size_t k0 = 0; k0 < lines; k0 += TILE_LINES) {                                                                \
      size_t k1 = lines - k0 < TILE_LINES ? lines : k0 + TILE_LINES;                                                   \
      for (size_t c = c0; c < c1; c++)                                                                                 \
        for (size_t k = k0; k < k1; k++)                                                                               \
          memcpy(dst + (c * dst_stride + k) * sizeof(TYPE), src + (k * src_stride + c) * sizeof(TYPE), sizeof(TYPE));  \
    }                                                                                                                  \
  }

void mxq_transpose(const unsigned char *src, size_t src_stride, size_t lines, size_t columns, unsigned char *dst, size_t dst_stride,
                   size_t scalar) {
  if (scalar == 4) {
    TURN(uint32_t)
  } else {
    TURN(uint16_t)
  }
}
