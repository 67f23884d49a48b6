/* SPDX-License-Identifier: MIT */
/* Behind the product: reshapes, the cut of padding, a permutation, a cast, as long as nobody else looks at what is between. */
#include <string.h>

#include "formats/pt2/recognise.h"

/* Where the numbers of the product are in the value at hand. */
struct trace {
  struct mxq_probe_value now;        /* shape and dtype only */
  uint64_t cut;                      /* the row's elements once padding was cut away; 0: none was */
  bool permuted;
  uint32_t first, last;              /* the run, when permuted */
};

/* The only node that takes the value, apart from assertions; NO_NUMBER: none or many. */
static uint32_t only_user(const struct mxq_probe *t, uint32_t value) {
  const struct mxq_pt2_value *v = &t->g->values[value];
  uint32_t only = MXQ_NO_NUMBER;
  char name[40];
  bool in_place;
  for (uint32_t i = 0; i < v->use_count; i++) {
    const struct mxq_pt2_taken *use = &t->g->taken[t->g->uses[v->first_use + i]];
    bool known = mxq_probe_target(t->p, &t->g->nodes[use->node], name, &in_place);
    if (known && strcmp(name, "_assert_tensor_metadata") == 0)
      continue;
    if (only != MXQ_NO_NUMBER && only != use->node)
      return MXQ_NO_NUMBER;
    only = use->node;
  }
  return only;
}

/* The blocked run in the shape at hand: the fewest last axes that rows can be, as the codes' own shape has them if it can be told. */
static bool run(const struct mxq_probe *t, const struct trace *w, const struct mxq_pt2_recognised *found, uint32_t *first) {
  const struct mxq_pt2_stored *q = &t->r->stored[found->codes];
  uint64_t product = 1;
  bool any = false;
  for (uint32_t i = w->now.ndim; i-- > 0;) {
    product *= (uint64_t)w->now.size[i];
    if (w->cut ? product != w->cut : product % MXQ_BLOCK != 0)
      continue;
    bool like = i > 0 && q->ndim == i + 1; /* flat codes tell nothing */
    for (uint32_t k = 0; k < i && like; k++)
      like = q->shape[k] == (uint64_t)w->now.size[k];
    if (!any || like)
      *first = i;
    any = true;
    if (like)
      break;
  }
  return any;
}

/* slice along the last dimension that takes padding away */
static bool cut(const struct mxq_probe *t, struct trace *w) {
  int64_t dim, from, to, step;
  uint32_t at;
  if (!mxq_probe_int(t, "dim", 0, &dim) || !mxq_probe_dim(dim, w->now.ndim, &at) || !mxq_probe_int(t, "start", 0, &from) ||
      !mxq_probe_int(t, "end", INT64_MAX, &to) || !mxq_probe_int(t, "step", 1, &step) || step != 1 || from != 0 || to < 1)
    return false;
  if (to >= w->now.size[at])
    return true;                     /* all of it */
  if (w->cut || w->permuted || at != w->now.ndim - 1 || (uint64_t)w->now.size[at] != mxq_row_blocks((uint64_t)to) * MXQ_BLOCK)
    return false;
  w->cut = (uint64_t)to;
  w->now.size[at] = to;
  return true;
}

/* as_strided of what lies without gaps: a reshape, or rows [R, K] without their padding. */
static bool strided(const struct mxq_probe *t, uint32_t node, struct trace *w) {
  const struct mxq_pt2_arg *size = mxq_probe_arg(t, "size"), *stride = mxq_probe_arg(t, "stride");
  int64_t offset, shape[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM];
  uint64_t all = 1;
  uint32_t ndim;
  if ((w->cut && !w->permuted) || !size || !stride || size->kind != MXQ_ARG_INTS || stride->kind != MXQ_ARG_INTS || size->count != stride->count ||
      size->count > MXQ_MAX_NDIM || !mxq_probe_int(t, "storage_offset", 0, &offset) || offset != 0)
    return false;
  mxq_pt2_value_meta(t->p, &t->g->values[t->g->taken[t->g->nodes[node].first_taken].value], &ndim, shape, strides);
  for (uint32_t i = ndim; i-- > 0;)
    if (shape[i] < 1 || (shape[i] > 1 && (strides[i] < 0 || (uint64_t)strides[i] != all)) || __builtin_mul_overflow(all, (uint64_t)shape[i], &all))
      return false;
  bool dense = true;
  uint64_t total = 1;
  for (uint32_t i = size->count; i-- > 0;) {
    if (size->ints[i] < 1 || __builtin_mul_overflow(total, (uint64_t)size->ints[i], &total))
      return false;
    dense = dense && (size->ints[i] == 1 || (uint64_t)stride->ints[i] == total / (uint64_t)size->ints[i]);
  }
  if (w->permuted) /* all axes are in their places: only how they lie is said */
    return dense && total == all && size->count == w->now.ndim && memcmp(w->now.size, size->ints, size->count * sizeof *size->ints) == 0;
  if (dense && total == all) {
    w->now.ndim = size->count;
  } else {
    uint64_t row = size->count == 2 ? mxq_row_blocks((uint64_t)size->ints[1]) * MXQ_BLOCK : 0, padded;
    if (row == 0 || stride->ints[1] != 1 || (uint64_t)stride->ints[0] != row || __builtin_mul_overflow(row, (uint64_t)size->ints[0], &padded) || padded != all)
      return false;
    w->cut = (uint64_t)size->ints[1];
    w->now.ndim = 2;
  }
  memcpy(w->now.size, size->ints, size->count * sizeof *size->ints);
  return true;
}

/* Whether what comes next is a matrix product: then the transposition is its own, and the weight stands before it. */
static bool multiplies(const struct mxq_probe *t, uint32_t value) {
  static const char *const names[] = {"mm", "bmm", "addmm", "baddbmm", "addbmm", "matmul", "dot", "mv", "addmv", "einsum", "linear", NULL};
  const struct mxq_pt2_value *v = &t->g->values[value];
  char name[40];
  bool in_place;
  for (uint32_t i = 0; i < v->use_count; i++)
    if (mxq_probe_target(t->p, &t->g->nodes[t->g->taken[t->g->uses[v->first_use + i]].node], name, &in_place))
      for (size_t k = 0; names[k]; k++)
        if (strcmp(name, names[k]) == 0)
          return true;
  return false;
}

/* permute, transpose, t: the run moves as a whole, the other axes keep their order. */
static bool permute(const struct mxq_probe *t, const char *name, const struct mxq_pt2_recognised *found, struct trace *w) {
  const struct mxq_pt2_arg *dims = mxq_probe_arg(t, "dims");
  uint32_t order[MXQ_MAX_NDIM], ndim = w->now.ndim, first, begin = ndim, outer = 0;
  int64_t a, b, size[MXQ_MAX_NDIM];
  uint64_t seen = 0;
  if (w->permuted || ndim == 0 || !run(t, w, found, &first))
    return false;
  for (uint32_t i = 0; i < ndim; i++)
    order[i] = i;
  if (strcmp(name, "permute") == 0) {
    if (!dims || dims->kind != MXQ_ARG_INTS || dims->count != ndim)
      return false;
    for (uint32_t i = 0; i < ndim; i++)
      if (!mxq_probe_dim(dims->ints[i], ndim, &order[i]))
        return false;
  } else {
    uint32_t x = 0, y = ndim - 1;
    bool t2 = strcmp(name, "t") == 0;
    if (t2 ? ndim != 2 : !mxq_probe_int(t, "dim0", 0, &a) || !mxq_probe_int(t, "dim1", 0, &b) || !mxq_probe_dim(a, ndim, &x) || !mxq_probe_dim(b, ndim, &y))
      return false;
    order[x] = y;
    order[y] = x;
  }
  for (uint32_t i = 0; i < ndim; i++) {
    if (seen >> order[i] & 1)
      return false;
    seen |= (uint64_t)1 << order[i];
    size[i] = w->now.size[order[i]];
    if (order[i] < first) {
      if (order[i] != outer++)
        return false;
    } else {
      begin = order[i] == first ? i : begin;
      if (begin > i || order[i] != first + (i - begin))
        return false;
    }
  }
  memcpy(w->now.size, size, ndim * sizeof *size);
  w->permuted = true;
  w->first = begin;
  w->last = begin + (ndim - 1 - first);
  return true;
}

/* One node further; false when it is not on the way to the weight. */
static bool step(struct mxq_probe *t, uint32_t node, const struct mxq_pt2_recognised *found, struct trace *w) {
  char name[40], overload[40];
  struct mxq_probe_value shape = {.ndim = 0};
  bool in_place;
  if (!mxq_probe_target(t->p, &t->g->nodes[node], name, &in_place) || in_place || !mxq_probe_load(t, node, name, overload))
    return false;
  if (strcmp(name, "contiguous") == 0 || strcmp(name, "clone") == 0 || strcmp(name, "alias") == 0 || strcmp(name, "detach") == 0)
    return true;
  if (strcmp(name, "slice") == 0)
    return cut(t, w);
  if (strcmp(name, "as_strided") == 0)
    return strided(t, node, w);
  if (strcmp(name, "permute") == 0 || strcmp(name, "transpose") == 0 || strcmp(name, "t") == 0)
    return !multiplies(t, t->g->results[t->g->nodes[node].first_result]) && permute(t, name, found, w);
  if (strcmp(name, "to") == 0 || strcmp(name, "_to_copy") == 0) {
    enum mxq_dtype d = mxq_probe_dtype_arg(t, w->now.dtype);
    if (strcmp(overload, "other") == 0 || (d != w->now.dtype && (w->now.dtype != MXQ_F32 || (d != MXQ_BF16 && d != MXQ_F16))))
      return false;                  /* what was rounded once stays that number */
    w->now.dtype = d;
    return true;
  }
  if (!mxq_probe_is_reshape(name) || strcmp(overload, "dtype") == 0 || w->permuted || !mxq_probe_reshaped(t, name, &w->now, &shape))
    return false;
  struct trace next = *w;
  next.now.ndim = shape.ndim;
  memcpy(next.now.size, shape.size, shape.ndim * sizeof *shape.size);
  next.now.total = shape.total;
  *w = next;
  return true;
}

bool mxq_probe_follow(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value, const struct mxq_probe_value *product, struct mxq_pt2_recognised *found) {
  struct trace w = {.now = *product};
  for (uint64_t left = 64; left; left--) {
    struct trace next = w;
    uint32_t node = only_user(t, value), ndim, first;
    int64_t size[MXQ_MAX_NDIM];
    if (graph->output[value] || node == MXQ_NO_NUMBER || t->g->nodes[node].taken_count != 1 || t->g->nodes[node].result_count != 1)
      break;
    if (!step(t, node, found, &next))
      break;
    uint32_t result = t->g->results[t->g->nodes[node].first_result];
    mxq_pt2_value_meta(t->p, &t->g->values[result], &ndim, size, NULL);
    if (t->g->values[result].type != MXQ_VALUE_TENSOR || mxq_pt2_dtype(t->g->values[result].dtype) != next.now.dtype || ndim != next.now.ndim ||
        memcmp(size, next.now.size, ndim * sizeof *size) != 0 || (!next.permuted && !run(t, &next, found, &first)))
      break;                         /* where rows can no longer be told the weight stands before */
    uint64_t total = 1;
    for (uint32_t i = 0; i < ndim; i++)
      total *= (uint64_t)size[i];
    next.now.total = total;
    w = next;
    value = result;
  }
  found->value = value;
  found->axis_first = w.first;
  found->axis_last = w.last;
  if (!w.permuted) {
    found->axis_last = w.now.ndim - 1;
    return w.now.ndim > 0 && run(t, &w, found, &found->axis_first);
  }
  return true;
}
