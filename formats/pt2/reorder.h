/* SPDX-License-Identifier: MIT */
/* Values that arrive in C order and are stored in another order of their axes (transposed parameters, channels last). */
#ifndef MXQ_PT2_REORDER_H
#define MXQ_PT2_REORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mxq/status.h>

/* All zero to begin with. Small tensors wait in memory, large ones in a file without a name. */
struct mxq_pt2_reorder {
  unsigned char *data;
  uint64_t size, capacity;           /* capacity: of what is mapped or allocated */
  int fd;                            /* one more than the descriptor of the file that is mapped; 0: memory */
};

/* The next n bytes in C order. */
typedef enum mxq_status (*mxq_pt2_next_fn)(void *user, void *buf, size_t n, struct mxq_error *err);

/* Whether strides (of at least one element) put the values side by side in some order of the axes, without gaps and overlaps. */
bool mxq_pt2_dense(const uint64_t *shape, const int64_t *strides, uint32_t ndim);
/*
 * Takes all values (scalar bytes each) of a dense tensor and leaves them in r->data as the strides say, r->size bytes.
 * MXQ_ERR_NOMEM, MXQ_ERR_WRITE (no room for a temporary file), and what next returns.
 */
enum mxq_status mxq_pt2_reorder(struct mxq_pt2_reorder *r, const uint64_t *shape, const int64_t *strides, uint32_t ndim, unsigned scalar,
                                mxq_pt2_next_fn next, void *user, struct mxq_error *err);
void mxq_pt2_reorder_free(struct mxq_pt2_reorder *r);

#endif
