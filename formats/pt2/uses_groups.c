/* SPDX-License-Identifier: MIT */
/* Tied tensors: names of one view of the same stored bytes. PyTorch's programs use any one of the names, so all uses are each one's. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/uses.h"

struct entry {
  const struct mxq_pt2_reader *r;
  uint32_t tensor;
};

#define ORDER(a, b) \
  if ((a) != (b))   \
  return (a) < (b) ? -1 : 1

/* By what they are views of, so that equal ones are neighbours; 0: the same view. */
static int by_view(const struct mxq_pt2_reader *r, uint32_t i, uint32_t j) {
  const struct mxq_tensor *a = &r->base.tensors[i], *b = &r->base.tensors[j];
  const struct mxq_pt2_stored *s = &r->stored[r->parts[i].part[0]], *t = &r->stored[r->parts[j].part[0]];
  ORDER(s->member, t->member);
  ORDER(a->format, b->format);
  ORDER(a->dtype, b->dtype);
  ORDER(s->offset, t->offset);
  ORDER(a->ndim, b->ndim);
  int order = a->ndim ? memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) : 0;
  if (order)
    return order;
  if (a->format != MXQ_FORMAT_NONE) {
    ORDER(r->parts[i].part[0], r->parts[j].part[0]);
    ORDER(r->parts[i].part[1], r->parts[j].part[1]);
    ORDER(a->axis_first, b->axis_first);
    ORDER(a->axis_last, b->axis_last);
    return 0;
  }
  ORDER(!s->strides, !t->strides);
  return s->strides && s->ndim ? memcmp(s->strides, t->strides, s->ndim * sizeof *s->strides) : 0;
}

static int compare(const void *x, const void *y) {
  const struct entry *a = x, *b = y;
  int order = by_view(a->r, a->tensor, b->tensor);
  return order ? order : a->tensor < b->tensor ? -1 : 1;
}

bool mxq_pt2_groups(struct mxq_pt2_walk *w) {
  uint32_t n = (uint32_t)w->r->base.count;
  struct entry *sorted = malloc((n + 1) * sizeof *sorted);
  uint32_t *group = mxq_arena_alloc(&w->r->base.arena, n * sizeof *group), *first = mxq_arena_alloc(&w->scratch, n * sizeof *first);
  if (!sorted || !group || !first) {
    free(sorted);
    return false;
  }
  for (uint32_t i = 0; i < n; i++)
    sorted[i] = (struct entry){w->r, i};
  if (n > 1)
    qsort(sorted, n, sizeof *sorted, compare);
  for (uint32_t i = 0; i < n; i++) {
    if (i == 0 || by_view(w->r, sorted[i - 1].tensor, sorted[i].tensor) != 0)
      first[w->groups++] = sorted[i].tensor;
    group[sorted[i].tensor] = w->groups - 1;
  }
  free(sorted);
  w->group_of = group;
  w->of_group = first;
  return true;
}
