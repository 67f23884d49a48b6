/* SPDX-License-Identifier: MIT */
/* From what was recognised to the very tensor: nodes that only turn its axes may stand between. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/restore.h"

enum { MOST_STEPS = 8, MOST_FOLLOWED = 66, MOST_VALUES = 128 };

static bool is_it(const struct mxq_pt2_program *p, uint32_t value, uint32_t first, uint32_t last, const struct mxq_tensor *t) {
  const struct mxq_pt2_value *v = &p->graphs[0].values[value];
  int64_t sizes[MXQ_MAX_NDIM];
  uint32_t ndim;
  mxq_pt2_value_meta(p, v, &ndim, sizes, NULL);
  if (ndim != t->ndim || first != t->axis_first || last != t->axis_last || mxq_pt2_dtype(v->dtype) != t->dtype)
    return false;
  for (uint32_t a = 0; a < ndim; a++)
    if (sizes[a] < 0 || (uint64_t)sizes[a] != t->shape[a])
      return false;
  return true;
}

/* The one node that takes a value, apart from assertions, when it has one result; MXQ_NO_NUMBER. */
static uint32_t only_user(const struct mxq_pt2_subgraph *g, uint32_t value) {
  const struct mxq_pt2_value *v = &g->values[value];
  uint32_t user = MXQ_NO_NUMBER;
  for (uint32_t i = 0; i < v->use_count; i++) {
    uint32_t node = g->taken[g->uses[v->first_use + i]].node;
    if (g->nodes[node].result_count == 0)
      continue;
    if (user != MXQ_NO_NUMBER && user != node)
      return MXQ_NO_NUMBER;
    user = node;
  }
  return user != MXQ_NO_NUMBER && g->nodes[user].result_count == 1 ? user : MXQ_NO_NUMBER;
}

static const struct mxq_pt2_arg *arg(const struct mxq_pt2_arg *args, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(args[i].name, name) == 0)
      return &args[i];
  return NULL;
}

static bool dimension(const struct mxq_pt2_arg *a, uint32_t ndim, uint32_t *dim) {
  if (!a || a->kind != MXQ_ARG_INT)
    return false;
  int64_t d = a->ints[0] < 0 ? a->ints[0] + ndim : a->ints[0];
  *dim = (uint32_t)d;
  return d >= 0 && d < ndim;
}

/* order[j]: the old dimension that the new dimension j is. */
static bool turn(const struct mxq_pt2_program *p, uint32_t node, struct mxq_arena *arena, uint32_t ndim, uint32_t order[MXQ_MAX_NDIM]) {
  const struct mxq_pt2_node *n = &p->graphs[0].nodes[node];
  const struct mxq_pt2_arg *args;
  uint32_t count, a, b;
  if (!mxq_pt2_node_args(p, 0, node, arena, &args, &count))
    return false;
  for (uint32_t d = 0; d < ndim; d++)
    order[d] = d;
  if (mxq_pt2_span_is(p, n->target, "torch.ops.aten.clone.default") || mxq_pt2_span_is(p, n->target, "torch.ops.aten.contiguous.default") ||
      mxq_pt2_span_is(p, n->target, "torch.ops.aten.alias.default"))
    return true;
  if (mxq_pt2_span_is(p, n->target, "torch.ops.aten.as_strided.default"))
    return mxq_pt2_same_layout(p, &p->graphs[0], n, args, count);
  if (mxq_pt2_span_is(p, n->target, "torch.ops.aten.t.default") && ndim == 2) {
    order[0] = 1;
    order[1] = 0;
    return true;
  }
  if (mxq_pt2_span_is(p, n->target, "torch.ops.aten.transpose.int") && dimension(arg(args, count, "dim0"), ndim, &a) &&
      dimension(arg(args, count, "dim1"), ndim, &b)) {
    order[a] = b;
    order[b] = a;
    return true;
  }
  const struct mxq_pt2_arg *dims = arg(args, count, "dims");
  if (!mxq_pt2_span_is(p, n->target, "torch.ops.aten.permute.default") || !dims || dims->kind != MXQ_ARG_INTS || dims->count != ndim)
    return false;
  for (uint32_t d = 0; d < ndim; d++) {
    int64_t from = dims->ints[d] < 0 ? dims->ints[d] + ndim : dims->ints[d];
    if (from < 0 || from >= ndim)
      return false;
    order[d] = (uint32_t)from;
  }
  return true;
}

uint32_t mxq_pt2_restore_value(const struct mxq_pt2_program *p, const struct mxq_pt2_recognised *found, const struct mxq_tensor *t) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  struct mxq_arena arena = {0};
  uint32_t value = found->value, first = found->axis_first, last = found->axis_last, order[MXQ_MAX_NDIM];
  bool at = is_it(p, value, first, last, t);
  for (unsigned step = 0; !at && step < MOST_STEPS; step++) {
    uint32_t node = only_user(g, value), length = last - first, place = 0;
    if (node == MXQ_NO_NUMBER || !turn(p, node, &arena, t->ndim, order))
      break;
    while (place < t->ndim && order[place] != first)
      place++;
    bool together = place + length < t->ndim;
    for (uint32_t k = 0; k <= length && together; k++)
      together = order[place + k] == first + k;
    if (!together)
      break;
    value = g->results[g->nodes[node].first_result];
    first = place;
    last = place + length;
    at = is_it(p, value, first, last, t);
  }
  mxq_arena_free(&arena);
  return at ? value : MXQ_NO_NUMBER;
}

static int by_codes(const void *a, const void *b) {
  const struct mxq_pt2_recognised *x = a, *y = b;
  return x->codes != y->codes ? (x->codes > y->codes) - (x->codes < y->codes) : (x->value > y->value) - (x->value < y->value);
}

enum mxq_status mxq_pt2_found_make(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const bool *parts, struct mxq_pt2_found *found,
                                   struct mxq_error *err) {
  enum mxq_status status = mxq_pt2_recognise(r, p, parts, &found->of, &found->count, err);
  if (status == MXQ_OK && found->count)
    qsort(found->of, found->count, sizeof *found->of, by_codes);
  return status;
}

/* The first one of these codes; found->count: none. */
static size_t first_of(const struct mxq_pt2_found *found, uint32_t codes) {
  size_t lo = 0, hi = found->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (found->of[mid].codes < codes)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

uint32_t mxq_pt2_restore_pattern(const struct mxq_pt2_program *p, const struct mxq_pt2_found *found, uint32_t codes, uint32_t scales, const struct mxq_tensor *t) {
  uint32_t value = MXQ_NO_NUMBER;
  for (size_t i = first_of(found, codes); i < found->count && found->of[i].codes == codes && value == MXQ_NO_NUMBER; i++)
    if (found->of[i].scales == scales && found->of[i].format == t->format)
      value = mxq_pt2_restore_value(p, &found->of[i], t);
  return value;
}

/* What a value is another name or a copy of. */
static uint32_t original(const struct mxq_pt2_program *p, uint32_t value) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  for (unsigned step = 0; step < MOST_STEPS; step++) {
    const struct mxq_pt2_node *n = g->values[value].node == MXQ_NO_NUMBER ? NULL : &g->nodes[g->values[value].node];
    if (!n || n->taken_count != 1 ||
        (!mxq_pt2_span_is(p, n->target, "torch.ops.aten.alias.default") && !mxq_pt2_span_is(p, n->target, "torch.ops.aten.clone.default") &&
         !mxq_pt2_span_is(p, n->target, "torch.ops.aten.contiguous.default")))
      break;
    value = g->taken[n->first_taken].value;
  }
  return value;
}

/* Whether the value is on the way from the product to what was recognised, and its axes are the tensor's there: blocks are last until they are turned. */
static bool on_the_way(const struct mxq_pt2_program *p, const struct mxq_pt2_recognised *f, const struct mxq_tensor *t, uint32_t value) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  bool turned = false, as_found = is_it(p, f->value, f->axis_first, f->axis_last, t);
  uint32_t at = f->value;
  for (unsigned step = 0; step < MOST_FOLLOWED; step++) {
    const struct mxq_pt2_node *n = g->values[at].node == MXQ_NO_NUMBER ? NULL : &g->nodes[g->values[at].node];
    if (at == value && (turned || !as_found ? t->axis_last == t->ndim - 1 : true))
      return true;
    if (!n || n->taken_count != 1)
      break;
    turned |= mxq_pt2_span_is(p, n->target, "torch.ops.aten.permute.default") || mxq_pt2_span_is(p, n->target, "torch.ops.aten.transpose.int") ||
              mxq_pt2_span_is(p, n->target, "torch.ops.aten.t.default");
    at = g->taken[n->first_taken].value;
  }
  return false;
}

/* Whether nodes that only turn axes lead from what was recognised to the value, and its axes are the tensor's: a layout is made by turning there and back. */
static bool turned_into(const struct mxq_pt2_program *p, const struct mxq_pt2_recognised *f, const struct mxq_tensor *t, uint32_t value) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  struct mxq_arena arena = {0};
  uint32_t from[MXQ_MAX_NDIM], order[MXQ_MAX_NDIM], at = value, next = 0; /* from[j]: the dimension of `at` that the value's dimension j is */
  for (uint32_t j = 0; j < t->ndim; j++)
    from[j] = j;
  for (unsigned step = 0; at != f->value && step < MOST_STEPS; step++) {
    uint32_t node = g->values[at].node;
    if (node == MXQ_NO_NUMBER || g->nodes[node].taken_count != 1 || !turn(p, node, &arena, t->ndim, order))
      break;
    for (uint32_t j = 0; j < t->ndim; j++)
      from[j] = order[from[j]];
    at = g->taken[g->nodes[node].first_taken].value;
  }
  mxq_arena_free(&arena);
  bool same = at == f->value && f->axis_last - f->axis_first == t->axis_last - t->axis_first;
  for (uint32_t j = 0; j < t->ndim && same; j++) { /* the run in its order, and the others in theirs */
    if (j >= t->axis_first && j <= t->axis_last) {
      same = from[j] == f->axis_first + (j - t->axis_first);
      continue;
    }
    next = next == f->axis_first ? f->axis_last + 1 : next;
    same = from[j] == next++;
  }
  return same;
}

bool mxq_pt2_restore_agrees(const struct mxq_pt2_program *p, const struct mxq_pt2_found *found, uint32_t codes, uint32_t scales, const struct mxq_tensor *t,
                            uint32_t value) {
  bool some = false;
  uint32_t from = original(p, value);
  for (size_t i = first_of(found, codes); i < found->count && found->of[i].codes == codes; i++) {
    const struct mxq_pt2_recognised *f = &found->of[i];
    if (f->scales != scales || f->format != t->format)
      continue;
    some = true;
    uint32_t decoded = mxq_pt2_restore_value(p, f, t);
    if (on_the_way(p, f, t, value) || on_the_way(p, f, t, from) || turned_into(p, f, t, from) || (decoded != MXQ_NO_NUMBER && original(p, decoded) == from))
      return true;
  }
  return !some;
}

bool mxq_pt2_made_of(const struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, uint32_t value, uint32_t codes, uint32_t scales) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  uint32_t seen[MOST_VALUES], count = 1;
  bool has_codes = false, has_scales = false;
  seen[0] = value;
  for (uint32_t i = 0; i < count; i++) {
    const struct mxq_pt2_value *v = &g->values[seen[i]];
    if (v->node == MXQ_NO_NUMBER) {
      uint32_t stored = mxq_pt2_stands_for(p, v);
      if (stored == MXQ_NO_NUMBER || (stored != codes && stored != scales && !r->stored[stored].constant))
        return false;
      has_codes |= stored == codes;
      has_scales |= stored == scales;
      continue;
    }
    const struct mxq_pt2_node *n = &g->nodes[v->node];
    for (uint32_t k = 0; k < n->taken_count; k++) {
      uint32_t from = g->taken[n->first_taken + k].value, j = 0;
      while (j < count && seen[j] != from)
        j++;
      if (j < count)
        continue;
      if (count == MOST_VALUES)
        return false;
      seen[count++] = from;
    }
  }
  return has_codes && has_scales;
}
