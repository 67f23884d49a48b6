/* SPDX-License-Identifier: MIT */
/* Tied tensors: one view of the same stored bytes under several names. */
#include <stdlib.h>

#include "lib/convert/job.h"

struct member {
  const struct mxq_tensor *tensor;
  size_t number;
};

static int order(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int compare_views(const struct mxq_tensor *a, const struct mxq_tensor *b) {
  int c = order(a->storage, b->storage);
  c = c ? c : order(a->storage_offset, b->storage_offset);
  c = c ? c : order(a->dtype, b->dtype);
  c = c ? c : order(a->format, b->format);
  c = c ? c : order(a->ndim, b->ndim);
  for (uint32_t i = 0; c == 0 && i < a->ndim; i++)
    c = order(a->shape[i], b->shape[i]);
  c = c ? c : order(!a->strides, !b->strides);
  for (uint32_t i = 0; c == 0 && a->strides && i < a->ndim; i++)
    c = order((uint64_t)a->strides[i], (uint64_t)b->strides[i]);
  return c;
}

static int compare_members(const void *a, const void *b) {
  const struct member *x = a, *y = b;
  int c = compare_views(x->tensor, y->tensor);
  return c ? c : order(x->number, y->number);
}

static bool is_weight(const struct member *m) { return m->tensor->kind == MXQ_KIND_PARAMETER || m->tensor->kind == MXQ_KIND_BUFFER; }

bool mxq_tie(const struct mxq_tensor *const *tensors, size_t count, size_t *leader, size_t *next) {
  struct member *members = calloc(count + 1, sizeof *members);
  if (!members)
    return false;
  for (size_t i = 0; i < count; i++)
    members[i] = (struct member){tensors[i], i};
  qsort(members, count, sizeof *members, compare_members);
  for (size_t i = 0, end; i < count; i = end) {
    size_t lead = i;
    for (end = i + 1; end < count && compare_views(members[i].tensor, members[end].tensor) == 0; end++)
      if (!is_weight(&members[lead]) && is_weight(&members[end]))
        lead = end;
    size_t *link = &next[members[lead].number];
    for (size_t m = i; m < end; m++) {
      leader[members[m].number] = members[lead].number;
      if (m == lead)
        continue;
      *link = members[m].number;
      link = &next[members[m].number];
    }
    *link = SIZE_MAX;
  }
  free(members);
  return true;
}
