/* SPDX-License-Identifier: MIT */
/* An ordinary node: what it does with each weight that it takes. */
#include <string.h>

#include "formats/pt2/uses_walk.h"

/* One argument, or one item of a list, that holds a weight. */
struct taken {
  const struct mxq_pt2_arg *arg;
  uint32_t item, value;
  const int64_t *sizes;
  const struct mxq_pt2_view *view;
};

static const struct mxq_pt2_arg *find(const struct mxq_pt2_call *c, const char *name) {
  for (uint32_t i = 0; i < c->count && i < MXQ_MOST_ARGUMENTS; i++)
    if (strcmp(c->args[i].name, name) == 0)
      return &c->args[i];
  return NULL;
}

/* An integer argument (a list's first) by either name. */
static int64_t integer(const struct mxq_pt2_call *c, const char *name, const char *other, int64_t otherwise) {
  const struct mxq_pt2_arg *a = find(c, name);
  if (!a && other)
    a = find(c, other);
  if (!a || (a->kind != MXQ_ARG_INT && a->kind != MXQ_ARG_BOOL && !(a->kind == MXQ_ARG_INTS && a->count == 1)))
    return a ? INT64_MIN : otherwise;
  return a->ints[0];
}

/* A dimension counted from the end or the front; false when it is none. */
static bool dimension(int64_t d, uint32_t ndim, uint32_t *dim) {
  if (d < 0 && d >= -(int64_t)ndim)
    d += ndim;
  *dim = (uint32_t)d;
  return d >= 0 && d < (int64_t)ndim;
}

static uint32_t sizes_of(const struct mxq_pt2_call *c, uint32_t value, const int64_t **sizes) {
  uint32_t ndim;
  *sizes = mxq_pt2_walk_sizes(c->w, c->frame, value, &ndim);
  return ndim;
}
static uint32_t result_sizes(const struct mxq_pt2_call *c, const int64_t **sizes) {
  *sizes = NULL;
  return c->node->result_count ? sizes_of(c, c->frame->graph->results[c->node->first_result], sizes) : 0;
}
static bool floating(const struct mxq_pt2_call *c, uint32_t value) {
  switch (mxq_pt2_dtype(c->frame->graph->values[value].dtype)) {
  case MXQ_F32: case MXQ_BF16: case MXQ_F16: case MXQ_F64: return true;
  default: return false;
  }
}

/* ---- what becomes of it ---- */

static bool used(struct mxq_pt2_call *c, const struct taken *t, enum mxq_use_kind kind) {
  return mxq_pt2_walk_found(c->w, t->view->group, c->op, t->arg->name, kind);
}

static bool uses_dims(struct mxq_pt2_call *c, const struct taken *t, enum mxq_use_kind kind, uint64_t dims) {
  uint32_t first, last;
  if (dims && mxq_pt2_view_run(t->view, dims, mxq_pt2_walk_shape(c->w, t->view->group), &first, &last)) {
    if (!used(c, t, kind))
      return false;
    struct mxq_use *u = &c->w->found[c->w->found_count - 1].use;
    u->axis_first = first;
    u->axis_last = last;
    return true;
  }
  if (!used(c, t, MXQ_USE_OTHER))
    return false;
  c->w->found[c->w->found_count - 1].lost = dims != 0;
  return true;
}

static bool writes(struct mxq_pt2_call *c, const struct taken *t) {
  if (!t->view->alias)
    return used(c, t, MXQ_USE_OTHER);
  mxq_pt2_walk_changes(c->w, t->view->group);
  return used(c, t, MXQ_USE_WRITES);
}

/* ---- views ---- */

/* The results hold the weight in this view. */
static bool holds(struct mxq_pt2_call *c, const struct taken *t, struct mxq_pt2_view *view) {
  if (c->made_count == MXQ_MOST_VIEWS)
    return used(c, t, MXQ_USE_OTHER);
  view->next = c->made;
  c->made = mxq_pt2_walk_keep(c->w, view);
  c->made_count++;
  return c->made != NULL;
}

/* movedim: the dimensions that are named go where they are told, the others fill the rest in their order. */
static bool moved(const struct mxq_pt2_call *c, uint32_t ndim, uint8_t *dims) {
  const struct mxq_pt2_arg *from = find(c, "source"), *to = find(c, "destination");
  bool left[MXQ_MAX_NDIM] = {false}, filled[MXQ_MAX_NDIM] = {false};
  if (!from || !to || (from->kind != MXQ_ARG_INT && from->kind != MXQ_ARG_INTS) || from->kind != to->kind)
    return false;
  uint32_t n = from->kind == MXQ_ARG_INT ? 1 : from->count;
  if (from->kind == MXQ_ARG_INTS && to->count != n)
    return false;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t s, d;
    if (!dimension(from->ints[i], ndim, &s) || !dimension(to->ints[i], ndim, &d) || left[s] || filled[d])
      return false;
    dims[d] = (uint8_t)s;
    left[s] = filled[d] = true;
  }
  for (uint32_t s = 0, d = 0; d < ndim; d++) {
    if (filled[d])
      continue;
    while (left[s])
      s++;
    dims[d] = (uint8_t)s++;
  }
  return true;
}

/* Which dimension each one of the result is. */
static bool order(const struct mxq_pt2_call *c, enum mxq_pt2_action action, uint32_t ndim, uint8_t *dims) {
  uint32_t a, b;
  for (uint32_t d = 0; d < ndim; d++)
    dims[d] = (uint8_t)(action == MXQ_DOES_REVERSE ? ndim - 1 - d : d);
  if (action == MXQ_DOES_REVERSE || (action == MXQ_DOES_T && ndim < 2))
    return true;
  if (action == MXQ_DOES_MOVE)
    return moved(c, ndim, dims);
  if (action == MXQ_DOES_PERMUTE) {
    const struct mxq_pt2_arg *p = find(c, "dims");
    uint64_t seen = 0;
    if (!p || p->kind != MXQ_ARG_INTS || p->count != ndim)
      return false;
    for (uint32_t d = 0; d < ndim; d++) {
      if (!dimension(p->ints[d], ndim, &a) || (seen >> a & 1))
        return false;
      seen |= UINT64_C(1) << a;
      dims[d] = (uint8_t)a;
    }
    return true;
  }
  int64_t d0 = -2, d1 = -1;
  if (action == MXQ_DOES_TRANSPOSE) {
    d0 = integer(c, "dim0", "axis0", INT64_MIN);
    d1 = integer(c, "dim1", "axis1", INT64_MIN);
  }
  if (!dimension(d0, ndim, &a) || !dimension(d1, ndim, &b))
    return false;
  dims[a] = (uint8_t)b;
  dims[b] = (uint8_t)a;
  return true;
}

static bool passes_on(struct mxq_pt2_call *c, const struct taken *t, enum mxq_pt2_action action) {
  const uint64_t *source = mxq_pt2_walk_shape(c->w, t->view->group);
  const struct mxq_pt2_view *in = t->view;
  struct mxq_pt2_view out;
  const int64_t *to;
  uint8_t dims[MXQ_MAX_NDIM];
  uint32_t ndim = result_sizes(c, &to), dim;
  bool known = true;
  switch (action) {
  case MXQ_DOES_RESHAPE: mxq_pt2_view_reshape(&out, in, source, t->sizes, ndim, to); break;
  case MXQ_DOES_SPREAD: mxq_pt2_view_spread(&out, in, t->sizes, ndim, to); break;
  case MXQ_DOES_SELECT:
    known = dimension(integer(c, "dim", NULL, 0), in->ndim, &dim);
    if (known)
      mxq_pt2_view_drop(&out, in, dim);
    break;
  case MXQ_DOES_STACK:
    known = in->ndim < MXQ_MAX_NDIM && dimension(integer(c, "dim", NULL, 0), in->ndim + 1u, &dim);
    if (known)
      mxq_pt2_view_insert(&out, in, dim);
    break;
  case MXQ_DOES_T: case MXQ_DOES_REVERSE: case MXQ_DOES_SWAP_LAST: case MXQ_DOES_TRANSPOSE: case MXQ_DOES_PERMUTE: case MXQ_DOES_MOVE:
    known = order(c, action, in->ndim, dims);
    if (known)
      mxq_pt2_view_permute(&out, in, dims);
    break;
  default: out = *in;
  }
  if (!known || out.ndim != ndim)
    mxq_pt2_view_unknown(&out, in, ndim);
  if (action == MXQ_DOES_COPY || action == MXQ_DOES_JOIN || action == MXQ_DOES_STACK || action == MXQ_DOES_ELEMENTWISE)
    out.alias = false;
  if (c->node->result_count && c->frame->graph->values[c->frame->graph->results[c->node->first_result]].dtype != c->frame->graph->values[t->value].dtype)
    out.alias = false;
  return holds(c, t, &out);
}

/* Elementwise with numbers and other constants: the weight goes on when the result is as large as it is. */
static bool goes_on(const struct mxq_pt2_call *c, const struct taken *t) {
  const struct mxq_pt2_subgraph *g = c->frame->graph;
  const int64_t *to, *sizes;
  uint32_t ndim = result_sizes(c, &to);
  if (c->node->taken_count > MXQ_MOST_ARGUMENTS)
    return false;
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    uint32_t value = g->taken[c->node->first_taken + i].value;
    if (g->values[value].type == MXQ_VALUE_TENSOR && !c->frame->states[value].constant)
      return false;
  }
  /* The first floating weight of that size; what it is multiplied with is no weight to others. */
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    uint32_t value = g->taken[c->node->first_taken + i].value;
    if (!c->frame->states[value].views || !floating(c, value) || sizes_of(c, value, &sizes) != ndim)
      continue;
    bool same = true;
    for (uint32_t d = 0; d < ndim; d++)
      same &= sizes[d] == to[d] && to[d] >= 0;
    if (same)
      return value == t->value;
  }
  return false;
}

/* ---- sums and look-ups ---- */

static uint64_t bit(uint32_t d) { return UINT64_C(1) << d; }
static uint64_t below(uint32_t n) { return n >= 64 ? UINT64_MAX : bit(n) - 1; }

/* The dimensions that an operator sums over; 0: none that are understood. */
static uint64_t summed(const struct mxq_pt2_call *c, const struct taken *t, enum mxq_pt2_action action) {
  uint32_t n = t->view->ndim, dim;
  const struct mxq_pt2_arg *a;
  uint64_t dims = 0;
  if (n == 0)
    return 0;
  switch (action) {
  case MXQ_SUMS_LAST: return bit(n - 1);
  case MXQ_SUMS_LAST_OF_MATRIX: return n > 1 ? bit(n - 1) : 0;
  case MXQ_SUMS_BEFORE_LAST: return bit(n > 1 ? n - 2 : 0);
  case MXQ_DOES_MULTIPLY_ALL: return bit(t->item == 0 || n < 2 ? n - 1 : n - 2); /* a chain: each with what stands before it */
  case MXQ_SUMS_FIRST: return n > 1 ? bit(0) : 0;
  case MXQ_SUMS_FIRST_TWO: return n > 2 ? 3 : 0;
  case MXQ_DOES_CONVOLVE: return n < 2 ? 0 : integer(c, "transposed", NULL, 0) == 0 ? below(n) & ~bit(0) : bit(0);
  case MXQ_SUMS_ALL_BUT_FIRST: return below(n) & ~bit(0);
  case MXQ_DOES_TENSORDOT:
    a = find(c, strcmp(t->arg->name, "self") == 0 ? "dims_self" : "dims_other");
    if (!a || a->kind != MXQ_ARG_INTS)
      return 0;
    for (uint32_t i = 0; i < a->count; i++) {
      if (!dimension(a->ints[i], n, &dim))
        return 0;
      dims |= bit(dim);
    }
    return dims;
  case MXQ_DOES_EINSUM:
    a = find(c, "equation");
    return a && a->kind == MXQ_ARG_STRING ? mxq_pt2_einsum(a->text, t->arg->kind == MXQ_ARG_VALUES ? t->arg->count : 1, t->item, n) : 0;
  default: return 0;
  }
}

/* Whether whole rows (the last dimension) are picked. */
static bool picks_rows(const struct mxq_pt2_call *c, const struct taken *t, enum mxq_pt2_action action) {
  uint32_t n = t->view->ndim, dim;
  if (n < 2)
    return false;
  if (action == MXQ_DOES_LOOK_UP)
    return true;
  if (action == MXQ_DOES_PICK)
    return dimension(integer(c, "dim", NULL, INT64_MIN), n, &dim) && (strcmp(c->name, "gather") == 0 ? dim == 0 : dim < n - 1);
  const struct mxq_pt2_arg *a = find(c, "indices");
  return a && a->kind == MXQ_ARG_VALUES && a->count > 0 && (a->count < n || a->values[n - 1] == MXQ_NO_NUMBER);
}

/* Statistics that are updated when the operator trains. */
static bool trains(const struct mxq_pt2_call *c) {
  static const char *const names[] = {"training", "train", "use_input_stats"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct mxq_pt2_arg *a = find(c, names[i]);
    if (a)
      return a->kind != MXQ_ARG_BOOL || a->ints[0] != 0;
  }
  return true;
}

/* ---- one taken value ---- */

/* out=, under the names that it has: out, out0, values of sort.values, max of max.dim_max. */
static bool is_out(const struct mxq_pt2_call *c, const char *argument) {
  if (strcmp(argument, "out") == 0 || (strncmp(argument, "out", 3) == 0 && strstr(c->overload, "out")))
    return true;
  return (strcmp(argument, "values") == 0 && strstr(c->overload, "values")) || (strcmp(argument, "max") == 0 && strcmp(c->overload, "dim_max") == 0) ||
         (strcmp(argument, "min") == 0 && strcmp(c->overload, "dim_min") == 0);
}

static enum mxq_pt2_action action_of(const struct mxq_pt2_call *c, const struct taken *t) {
  bool first = t->arg == c->args;
  enum mxq_pt2_action action = mxq_pt2_action(c->name, t->arg->name, first);
  if (is_out(c, t->arg->name) || (c->in_place && strncmp(c->name, "_fused_", 7) == 0)) /* an optimizer's step writes to all its states */
    return MXQ_DOES_WRITE;
  if (c->in_place && first && action == MXQ_DOES_OTHER) {
    size_t n = strlen(c->name);
    char base[sizeof c->name];
    if (t->view->alias || n == 0)
      return MXQ_DOES_WRITE;
    memcpy(base, c->name, n); /* on a copy: like the operator that is not in place */
    base[n - 1] = 0;
    return mxq_pt2_action(base, t->arg->name, first);
  }
  if (c->custom && t->view->alias && c->w->r->base.tensors[c->w->of_group[t->view->group]].kind == MXQ_KIND_BUFFER)
    return MXQ_DOES_WRITE_PERHAPS; /* states are kept in buffers: caches that an operator of its own updates */
  if (action == MXQ_DOES_OTHER && mxq_pt2_action(c->name, "", true) == MXQ_DOES_ELEMENTWISE)
    return MXQ_DOES_ELEMENTWISE; /* whatever its place */
  if (strcmp(c->overload, "dtype") == 0 && strncmp(c->name, "view", 4) == 0)
    return MXQ_DOES_BYTES;
  if (strcmp(c->name, "as_strided") == 0 && mxq_pt2_same_layout(c->w->p, c->frame->graph, c->node, c->args, c->count))
    return MXQ_DOES_SAME;            /* ours, behind weights whose axes were turned */
  return action;
}

static bool take(struct mxq_pt2_call *c, const struct taken *t) {
  enum mxq_pt2_action action = action_of(c, t);
  switch (action) {
  case MXQ_DOES_ASK: return true;
  case MXQ_DOES_BYTES:
    if (!used(c, t, MXQ_USE_OTHER))
      return false;
    c->w->found[c->w->found_count - 1].bytes = true;
    struct mxq_pt2_view any;
    const int64_t *to;
    mxq_pt2_view_unknown(&any, t->view, result_sizes(c, &to));
    return holds(c, t, &any);
  case MXQ_DOES_WRITE:
    return writes(c, t) && passes_on(c, t, MXQ_DOES_SAME); /* what comes back is the weight again */
  case MXQ_DOES_WRITE_PERHAPS:
    if (!writes(c, t))
      return false;
    c->w->found[c->w->found_count - 1].perhaps = true;
    return true;
  case MXQ_DOES_WRITE_TRAINING: return trains(c) ? writes(c, t) : used(c, t, MXQ_USE_OTHER);
  case MXQ_DOES_JOIN: case MXQ_DOES_STACK: return c->constant ? passes_on(c, t, action) : used(c, t, MXQ_USE_OTHER);
  case MXQ_DOES_ELEMENTWISE: return goes_on(c, t) ? passes_on(c, t, action) : used(c, t, MXQ_USE_OTHER);
  case MXQ_DOES_LOOK_UP: case MXQ_DOES_PICK: case MXQ_DOES_INDEX:
    return uses_dims(c, t, MXQ_USE_LOOKS_UP, picks_rows(c, t, action) ? bit(t->view->ndim - 1u) : 0);
  case MXQ_DOES_OTHER: return used(c, t, MXQ_USE_OTHER);
  default:
    return action < MXQ_DOES_BYTES ? passes_on(c, t, action) : uses_dims(c, t, MXQ_USE_CONTRACTS, summed(c, t, action));
  }
}

bool mxq_pt2_uses_node(struct mxq_pt2_call *c) {
  const struct mxq_pt2_subgraph *g = c->frame->graph;
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    const struct mxq_pt2_taken *at = &g->taken[c->node->first_taken + i];
    struct taken t = {.arg = &c->args[at->argument], .item = at->item, .value = at->value};
    const struct mxq_pt2_view *v = c->frame->states[at->value].views;
    if (!v)
      continue;
    if (sizes_of(c, at->value, &t.sizes) != v->ndim)
      return !c->w->failed; /* cannot be: each view was made for its value */
    for (; v; v = v->next) {
      t.view = v;
      if (!take(c, &t))
        return false;
    }
  }
  for (uint32_t i = 0; c->made && i < c->node->result_count; i++) {
    uint32_t value = g->results[c->node->first_result + i];
    const int64_t *sizes;
    if (g->values[value].type == MXQ_VALUE_TENSOR && sizes_of(c, value, &sizes) == c->made->ndim)
      c->frame->states[value].views = c->made;
  }
  return true;
}
