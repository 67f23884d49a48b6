/* SPDX-License-Identifier: MIT */
/* Works out a value: the nodes behind it, each once, from stored tensors on. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/recognise.h"

enum { MOST_NODES = 256 };           /* behind one value; torchao's longest forms have about 60 */

bool mxq_probe_load(struct mxq_probe *t, uint32_t number, char name[static 40], char overload[static 40]) {
  const struct mxq_pt2_node *node = &t->g->nodes[number];
  bool in_place;
  if (!mxq_probe_target(t->p, node, name, &in_place))
    return false;
  const char *target = t->p->text + node->target.at, *dot = target + node->target.n;
  while (dot > target && dot[-1] != '.')
    dot--;
  size_t n = (size_t)(target + node->target.n - dot);
  n = n < 39 ? n : 39;
  memcpy(overload, dot, n);
  overload[n] = 0;
  if (!mxq_pt2_node_args(t->p, 0, number, &t->arena, &t->args, &t->arg_count)) {
    t->nomem = true;
    return false;
  }
  return true;
}

/* What a stored number is as one of the numbers here. */
static struct mxq_probe_number number(const unsigned char *b, enum mxq_dtype dtype) {
  struct mxq_probe_number x = {.i = 0, .ok = true};
  union { uint32_t u; float f; } word;
  union { uint64_t u; double d; } wide;
  uint64_t bits = 0;
  for (unsigned i = 0; i < mxq_dtype_bits(dtype) / 8; i++)
    bits |= (uint64_t)b[i] << 8 * i;
  switch (dtype) {
  case MXQ_F32:
  case MXQ_BF16:
    word.u = (uint32_t)(dtype == MXQ_F32 ? bits : bits << 16);
    x.d = word.f;
    break;
  case MXQ_F16: {
    unsigned e = bits >> 10 & 31, digits = bits & 1023;
    x.ok = e != 31;
    x.d = (bits >> 15 ? -1.0 : 1.0) * (e ? digits + 1024 : 2 * digits) * mxq_e8m0_value((uint8_t)(102 + e));
    break;
  }
  case MXQ_F64:
    wide.u = bits;
    x.d = wide.d;
    break;
  case MXQ_BOOL:
    x.i = bits != 0;
    break;
  default:
    x.i = mxq_probe_wrap((int64_t)bits, dtype);
  }
  return x;
}

/* A table, from the archive. */
static void table(struct mxq_probe *t, const struct mxq_pt2_stored *s, uint32_t stored, struct mxq_probe_value *v) {
  unsigned bytes = mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8;
  unsigned char *data;
  v->source = MXQ_NO_NUMBER;
  if (!mxq_probe_elements(t, v, s->elements))
    return;
  data = mxq_arena_alloc(&t->arena, s->bytes);
  if (!data) {
    t->nomem = true;
    return;
  }
  /* One that cannot be read is not known. Whoever reads it is told why. */
  enum mxq_status status = t->r->base.options.unverified ? MXQ_OK : mxq_pt2_check_member(t->r, s->member, NULL);
  if (status == MXQ_OK)
    status = mxq_pt2_gather(t->r, stored, 0, data, s->bytes, NULL);
  t->nomem |= status == MXQ_ERR_NOMEM;
  if (status != MXQ_OK)
    return;
  bool uniform = true;
  for (uint32_t i = 0; i < v->n; i++) {
    v->e[i] = number(data + (size_t)i * bytes, v->dtype);
    uniform &= memcmp(data, data + (size_t)i * bytes, bytes) == 0;
  }
  v->uniform = uniform;
  v->n = uniform ? 1 : v->n;
  v->known = true;
}

static void input(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value, struct mxq_probe_value *v) {
  uint32_t stored = t->p->inputs[t->g->values[value].input].stored;
  const struct mxq_pt2_stored *s = stored == MXQ_NO_NUMBER ? NULL : &t->r->stored[stored];
  int64_t size[MXQ_MAX_NDIM];
  if (!s || graph->stored_changed[stored])
    return;
  for (uint32_t i = 0; i < s->ndim; i++)
    size[i] = (int64_t)s->shape[i];
  v->dtype = (enum mxq_dtype)s->dtype;
  if (!mxq_probe_shape(v, s->ndim, size))
    return;
  if (graph->source[value] == MXQ_CONSTANT) {
    table(t, s, stored, v);
    return;
  }
  v->source = stored;
  if (!mxq_probe_elements(t, v, MXQ_PROBES))
    return;
  for (uint32_t i = 0; i < v->n; i++)
    v->e[i] = (struct mxq_probe_number){.i = v->dtype == MXQ_I8 ? mxq_probe_wrap(mxq_probe_byte(i), MXQ_I8) : mxq_probe_byte(i), .ok = true};
  v->known = true;
}

/* The shape and dtype that the graph states are those that were worked out. */
static bool as_stated(const struct mxq_probe *t, uint32_t value, const struct mxq_probe_value *v) {
  int64_t size[MXQ_MAX_NDIM];
  uint32_t ndim;
  const struct mxq_pt2_value *meta = &t->g->values[value];
  mxq_pt2_value_meta(t->p, meta, &ndim, size, NULL);
  return meta->type == MXQ_VALUE_TENSOR && mxq_pt2_dtype(meta->dtype) == v->dtype && ndim == v->ndim &&
         (ndim == 0 || memcmp(size, v->size, ndim * sizeof *size) == 0);
}

static struct mxq_probe_value *make(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value) {
  struct mxq_probe_value *v = mxq_arena_calloc(&t->arena, 1, sizeof *v);
  char name[40], overload[40];
  if (!v) {
    t->nomem = true;
    return NULL;
  }
  v->source = MXQ_NO_NUMBER;
  v->period = 1;
  if (graph->changed[value])
    return v;
  uint32_t node = t->g->values[value].node;
  if (node == MXQ_NO_NUMBER) {
    if (t->g->values[value].input != MXQ_NO_NUMBER)
      input(t, graph, value, v);
  } else if (mxq_probe_load(t, node, name, overload)) {
    if (!mxq_probe_math(t, name, v) && !mxq_probe_move(t, name, overload, v))
      mxq_probe_table(t, name, v);
  }
  v->known = v->known && as_stated(t, value, v);
  return v;
}

/* Puts a value's number on the list of what is made. */
static bool list(struct mxq_probe *t, uint32_t value) {
  if (t->made_count == MOST_NODES || *t->budget == 0)
    return false;
  (*t->budget)--;
  t->made[t->made_count++] = value;
  return true;
}

const struct mxq_probe_value *mxq_probe_work_out(struct mxq_probe *t, const struct mxq_probe_graph *graph, uint32_t value) {
  uint32_t stack[MOST_NODES + 1], depth = 0;
  stack[depth++] = value;
  if (!t->made && !(t->made = mxq_arena_calloc(&t->arena, MOST_NODES, sizeof *t->made))) {
    t->nomem = true;
    return NULL;
  }
  /* Depth first: a value is made once those that its node takes are. The stack is a path, so it is as long as the longest chain of nodes. */
  while (depth && !t->nomem) {
    uint32_t v = stack[depth - 1], node = t->g->values[v].node, next = MXQ_NO_NUMBER;
    if (t->values[v]) {
      depth--;
      continue;
    }
    if (graph->source[v] == MXQ_NOT_STORED)
      return NULL;
    for (uint32_t i = 0; node != MXQ_NO_NUMBER && i < t->g->nodes[node].taken_count && next == MXQ_NO_NUMBER; i++) {
      uint32_t one = t->g->taken[t->g->nodes[node].first_taken + i].value;
      next = t->values[one] ? MXQ_NO_NUMBER : one;
    }
    if (next != MXQ_NO_NUMBER) {
      if (depth > MOST_NODES)
        return NULL;
      stack[depth++] = next;
      continue;
    }
    if (!list(t, v) || !(t->values[v] = make(t, graph, v)))
      return NULL;
    if (!t->values[v]->known)
      return NULL;
    depth--;
  }
  return t->nomem ? NULL : t->values[value];
}
