/* SPDX-License-Identifier: MIT */
/* Names in a graph, and the order of a tensor's axes. */
#include <stdio.h>
#include <string.h>

#include "formats/pt2/write.h"

const char *mxq_pt2_unused_name(struct mxq_names *taken, struct mxq_arena *arena, const char *base, const char *ending) {
  size_t n = strlen(base) + strlen(ending), room = n + 24;
  char *s = mxq_arena_alloc(arena, room);
  if (!s)
    return NULL;
  snprintf(s, room, "%s%s", base, ending);
  for (unsigned suffix = 1; taken; suffix++) {
    uint32_t number = 0;
    enum mxq_names_put put = mxq_names_put(taken, s, strlen(s), &number);
    if (put == MXQ_NAMES_NOMEM)
      return NULL;
    if (put == MXQ_NAMES_NEW)
      break;
    snprintf(s + n, room - n, "_%u", suffix);
  }
  return s;
}

void mxq_pt2_memory_order(const struct mxq_tensor *t, uint32_t order[MXQ_MAX_NDIM]) {
  for (uint32_t a = 0; a < t->ndim; a++) {
    uint32_t j = a;
    for (; t->strides && j > 0 && t->strides[order[j - 1]] < t->strides[a]; j--)
      order[j] = order[j - 1];
    order[j] = a;
  }
}

void mxq_pt2_result_strides(const struct mxq_tensor *t, uint64_t strides[MXQ_MAX_NDIM]) {
  uint32_t order[MXQ_MAX_NDIM];
  uint64_t step = 1;
  mxq_pt2_memory_order(t, order);
  for (uint32_t j = t->ndim; j-- > 0; step *= t->shape[order[j]] ? t->shape[order[j]] : 1)
    strides[order[j]] = step;
}
