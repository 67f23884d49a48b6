/* SPDX-License-Identifier: MIT */
/*
 * Products that were worked out before: the weights of a program are mostly decoded by the same nodes over tensors of a few shapes. Nothing is taken for
 * the same by a digest: nodes, arguments, dtypes and sizes are compared one by one.
 */
#include <string.h>

#include "formats/pt2/recognise.h"

enum { MOST_VALUES = 256, MOST_SEEN = 32 };

struct one {
  uint32_t value, ndim, arg_count;
  const int64_t *size;
  const struct mxq_pt2_arg *args;    /* of the node that makes it */
};
struct mxq_probe_seen {
  struct mxq_probe_seen *next;
  struct mxq_probe_verdict verdict;
  uint32_t part[2], count;
  struct one *of;                    /* the product, and what it is made of: operands before theirs */
};

static bool same_args(const struct mxq_pt2_arg *a, const struct mxq_pt2_arg *b) {
  if (a->kind != b->kind || a->count != b->count || strcmp(a->name, b->name) != 0)
    return false;
  switch (a->kind) {
  case MXQ_ARG_NONE:
  case MXQ_ARG_VALUE:
    return true;                     /* values are compared as what the node takes */
  case MXQ_ARG_VALUES:
    for (uint32_t i = 0; i < a->count; i++)
      if ((a->values[i] == MXQ_NO_NUMBER) != (b->values[i] == MXQ_NO_NUMBER))
        return false;
    return true;
  case MXQ_ARG_INT:
  case MXQ_ARG_BOOL:
  case MXQ_ARG_SCALAR_TYPE: return a->ints[0] == b->ints[0];
  case MXQ_ARG_INTS:
  case MXQ_ARG_BOOLS: return a->count == 0 || memcmp(a->ints, b->ints, a->count * sizeof *a->ints) == 0;
  case MXQ_ARG_FLOAT: return memcmp(a->floats, b->floats, sizeof *a->floats) == 0;
  case MXQ_ARG_FLOATS: return a->count == 0 || memcmp(a->floats, b->floats, a->count * sizeof *a->floats) == 0;
  case MXQ_ARG_STRING: return strcmp(a->text, b->text) == 0;
  default: return false;
  }
}

static bool same_node(struct mxq_probe *t, const struct one *a, uint32_t x, uint32_t y) {
  const struct mxq_pt2_node *m = &t->g->nodes[x], *n = &t->g->nodes[y];
  const struct mxq_pt2_arg *args;
  uint32_t count;
  if (m->target.n != n->target.n || memcmp(t->p->text + m->target.at, t->p->text + n->target.at, m->target.n) != 0 || m->taken_count != n->taken_count ||
      m->result_count != 1 || n->result_count != 1 || m->graph_count || n->graph_count)
    return false;
  for (uint32_t k = 0; k < m->taken_count; k++) {
    const struct mxq_pt2_taken *p = &t->g->taken[m->first_taken + k], *q = &t->g->taken[n->first_taken + k];
    if (p->argument != q->argument || p->item != q->item)
      return false;
  }
  if (!mxq_pt2_node_args(t->p, 0, y, &t->arena, &args, &count)) {
    t->nomem = true;
    return false;
  }
  bool same = count == a->arg_count;
  for (uint32_t i = 0; i < count && same; i++)
    same = same_args(&a->args[i], &args[i]);
  return same;
}

/* Stored tensors: codes stand for codes, scales for scales, and a table for itself. */
static bool same_input(const struct mxq_probe *t, const struct mxq_probe_graph *graph, const struct mxq_probe_seen *s, const uint32_t part[2], uint32_t x,
                       uint32_t y) {
  uint32_t a = graph->source[x], b = graph->source[y], stored = t->g->values[y].input == MXQ_NO_NUMBER ? MXQ_NO_NUMBER : t->p->inputs[t->g->values[y].input].stored;
  if (stored == MXQ_NO_NUMBER || graph->stored_changed[stored])
    return false;
  if (a == MXQ_CONSTANT || b == MXQ_CONSTANT)
    return a == b && stored == t->p->inputs[t->g->values[x].input].stored;
  return (a == s->part[0] && b == part[0]) || (a == s->part[1] && b == part[1]);
}

static bool same(struct mxq_probe *t, const struct mxq_probe_graph *graph, const struct mxq_probe_seen *s, uint32_t product, const uint32_t part[2]) {
  uint32_t with[MOST_VALUES], count = 1;
  int64_t size[MXQ_MAX_NDIM];
  with[0] = product;
  for (uint32_t i = 0; i < count; i++) {
    const struct one *a = &s->of[i];
    const struct mxq_pt2_value *x = &t->g->values[a->value], *y = &t->g->values[with[i]];
    uint32_t ndim;
    if (y->type != MXQ_VALUE_TENSOR || x->dtype != y->dtype || (i && graph->changed[with[i]]) || (x->node == MXQ_NO_NUMBER) != (y->node == MXQ_NO_NUMBER))
      return false;
    mxq_pt2_value_meta(t->p, y, &ndim, size, NULL);
    if (ndim != a->ndim || (ndim && memcmp(size, a->size, ndim * sizeof *size) != 0))
      return false;
    if (x->node == MXQ_NO_NUMBER) {
      if (!same_input(t, graph, s, part, a->value, with[i]))
        return false;
      continue;
    }
    if (!same_node(t, a, x->node, y->node))
      return false;
    const struct mxq_pt2_node *m = &t->g->nodes[x->node], *n = &t->g->nodes[y->node];
    for (uint32_t k = 0; k < m->taken_count; k++) {
      uint32_t from = t->g->taken[m->first_taken + k].value, other = t->g->taken[n->first_taken + k].value, j = 0;
      while (j < count && s->of[j].value != from)
        j++;
      if (j == count)                /* in the order in which they were put down: below s->count */
        with[count++] = other;
      else if (with[j] != other)
        return false;
    }
  }
  return true;
}

const struct mxq_probe_verdict *mxq_probe_seen_before(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t product, const uint32_t part[2]) {
  struct mxq_probe_seen **at = &t->seen, *s = NULL;
  for (; *at; at = &(*at)->next)
    if (same(t, graph, *at, product, part)) {
      s = *at;                       /* the last one is asked first: layers are alike */
      *at = s->next;
      s->next = t->seen;
      t->seen = s;
      return &s->verdict;
    }
  return NULL;
}

void mxq_probe_see(struct mxq_probe *t, uint32_t product, const uint32_t part[2], const struct mxq_probe_verdict *verdict) {
  struct mxq_probe_seen *s, *last = t->seen;
  uint32_t known = 0;
  for (; last && last->next; last = last->next)
    known++;
  if (known >= MOST_SEEN)
    return;
  s = mxq_arena_calloc(&t->lasting, 1, sizeof *s);
  struct one *of = mxq_arena_calloc(&t->arena, MOST_VALUES, sizeof *of);
  if (!s || !of) {
    t->nomem = true;
    return;
  }
  s->verdict = *verdict;
  s->part[0] = part[0];
  s->part[1] = part[1];
  s->count = 1;
  of[0].value = product;
  for (uint32_t i = 0; i < s->count; i++) {
    const struct mxq_pt2_value *v = &t->g->values[of[i].value];
    int64_t size[MXQ_MAX_NDIM], *copy;
    mxq_pt2_value_meta(t->p, v, &of[i].ndim, size, NULL);
    of[i].size = copy = mxq_arena_alloc(&t->lasting, (of[i].ndim + 1) * sizeof *copy);
    if (!copy || (v->node != MXQ_NO_NUMBER && !mxq_pt2_node_args(t->p, 0, v->node, &t->lasting, &of[i].args, &of[i].arg_count))) {
      t->nomem = true;
      return;
    }
    memcpy(copy, size, of[i].ndim * sizeof *copy);
    const struct mxq_pt2_node *n = v->node == MXQ_NO_NUMBER ? NULL : &t->g->nodes[v->node];
    for (uint32_t k = 0; n && k < n->taken_count; k++) {
      uint32_t from = t->g->taken[n->first_taken + k].value, j = 0;
      while (j < s->count && of[j].value != from)
        j++;
      if (j < s->count)
        continue;
      if (s->count == MOST_VALUES)
        return;                      /* worked out each time */
      of[s->count++].value = from;
    }
  }
  s->of = mxq_arena_alloc(&t->lasting, s->count * sizeof *of);
  if (!s->of) {
    t->nomem = true;
    return;
  }
  memcpy(s->of, of, s->count * sizeof *of);
  s->next = t->seen;
  t->seen = s;
}
