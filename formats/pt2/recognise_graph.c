/* SPDX-License-Identifier: MIT */
/* What each value depends on, which of them the program changes in place, and where products of two stored tensors are. */
#include <string.h>

#include "formats/pt2/recognise.h"

/* Results that may be (part of) their first argument. */
static const char *const views[] = {
    "alias", "as_strided", "chunk", "contiguous", "detach", "diagonal", "dropout", "expand", "expand_as", "flatten", "imag", "lift", "lift_fresh",
    "mH", "mT", "matrix_H", "moveaxis", "movedim", "narrow", "numpy_T", "permute", "real", "reshape", "reshape_as", "select", "slice", "split",
    "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t", "tensor_split", "to", "transpose", "type_as", "unbind", "unflatten", "unfold",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "unsqueeze", "unsafe_view", "view", "view_as", NULL};

static bool is_view(const char *name) {
  for (size_t i = 0; views[i]; i++)
    if (strcmp(name, views[i]) == 0)
      return true;
  return name[0] == '_' && is_view(name + 1); /* _unsafe_view, _reshape_alias: below */
}

bool mxq_probe_target(const struct mxq_pt2_program *p, const struct mxq_pt2_node *node, char name[static 40], bool *in_place) {
  static const char aten[] = "torch.ops.aten.";
  size_t n = node->target.n, skip = sizeof aten - 1, len;
  const char *s = p->text + node->target.at;
  *in_place = false;
  if (n <= skip || memcmp(s, aten, skip) != 0)
    return false;
  s += skip;
  n -= skip;
  const char *dot = memchr(s, '.', n);
  len = dot ? (size_t)(dot - s) : n;
  if (n - len >= 3 && memcmp(s + n - 3, "out", 3) == 0)
    return false;                    /* add.out */
  if (len > 4 && memcmp(s, "__", 2) == 0 && memcmp(s + len - 2, "__", 2) == 0) {
    s += 2;
    len -= 4;
    if (*s == 'i' && len > 2) {      /* __iand__, __ilshift__ */
      *in_place = true;
      s++;
      len--;
    }
  } else if (len > 1 && s[len - 1] == '_') {
    *in_place = true;
    len--;
  }
  if (len == 0 || len >= 40)
    return false;
  memcpy(name, s, len);
  name[len] = 0;
  return true;
}

struct look {
  const struct mxq_pt2_program *p;
  const struct mxq_pt2_subgraph *g;
  struct mxq_probe_graph *out;
  uint32_t *root;                    /* by value: the value whose memory it may share */
  uint32_t *last_use;                /* by value: a node */
  bool *viewed;                      /* by value */
};

static uint32_t taken(const struct look *l, const struct mxq_pt2_node *node, uint32_t i) { return l->g->taken[node->first_taken + i].value; }

static void change(struct look *l, uint32_t value) { l->out->changed[l->root[value]] = true; }

/* Whether something in a graph inside writes in place. */
static bool writes_inside(const struct mxq_pt2_program *p, const struct mxq_pt2_node *node) {
  char name[40];
  bool in_place;
  for (uint32_t i = 0; i < node->graph_count; i++) {
    const struct mxq_pt2_subgraph *g = &p->graphs[node->first_graph + i];
    for (uint32_t k = 0; k < g->node_count; k++)
      if (!mxq_probe_target(p, &g->nodes[k], name, &in_place) || in_place)
        return true;                 /* or calls what nobody knows, graphs further inside included */
  }
  return false;
}

static bool starts(const struct mxq_pt2_program *p, struct mxq_span s, const char *with) {
  size_t n = strlen(with);
  return s.n >= n && memcmp(p->text + s.at, with, n) == 0;
}

/* Memory: what a node writes to, and whose memory its results may be. */
static void memory(struct look *l, uint32_t number, bool known, bool in_place, const char *name) {
  const struct mxq_pt2_node *node = &l->g->nodes[number];
  uint32_t first = node->taken_count ? taken(l, node, 0) : MXQ_NO_NUMBER;
  bool inner = node->graph_count && writes_inside(l->p, node);
  for (uint32_t i = 0; i < node->taken_count && (inner || !known); i++)
    if (inner || (!starts(l->p, node->target, "torch.ops.higher_order.") && !starts(l->p, node->target, "_operator.")))
      change(l, taken(l, node, i));  /* an operator that may write to anything */
  if (in_place && first != MXQ_NO_NUMBER) {
    /* Like an operator that makes a new value, when that is the only memory, and nobody looks at the old value any more. */
    bool alone = l->root[first] == first && l->g->values[first].node != MXQ_NO_NUMBER && !l->viewed[first] && l->last_use[first] == number;
    for (uint32_t i = 1; i < node->taken_count; i++)
      alone &= taken(l, node, i) != first;
    for (uint32_t i = 0; i < node->taken_count && (!alone || name[0] == '_'); i++)
      if (i == 0 || name[0] == '_')  /* _foreach_add_ and its like write to more */
        change(l, taken(l, node, i));
  }
  for (uint32_t i = 0; i < node->result_count; i++) {
    uint32_t result = l->g->results[node->first_result + i];
    l->root[result] = result;
    if (first == MXQ_NO_NUMBER || in_place || (known && !is_view(name)))
      continue;
    if (known && strcmp(name, "to") == 0 && l->g->values[result].dtype != l->g->values[first].dtype)
      continue;                      /* a copy, once the dtypes are found to be right */
    l->root[result] = l->root[first];
    for (uint32_t k = 0; k < (known ? 1 : node->taken_count); k++)
      l->viewed[l->root[taken(l, node, k)]] = true;
  }
}

/* Sources: one stored tensor and constants make a value of that tensor; two make a product when it is one. */
static void sources(struct look *l, uint32_t number, bool known, const char *name) {
  const struct mxq_pt2_node *node = &l->g->nodes[number];
  uint32_t source = known && node->result_count == 1 && !node->graph_count ? MXQ_CONSTANT : MXQ_NOT_STORED;
  bool product = false;
  for (uint32_t i = 0; i < node->taken_count && source != MXQ_NOT_STORED; i++) {
    uint32_t one = l->out->source[taken(l, node, i)];
    if (source == MXQ_CONSTANT || one == MXQ_NOT_STORED)
      source = one;
    else if (one != MXQ_CONSTANT && one != source) {
      product = node->taken_count == 2;
      source = MXQ_NOT_STORED;
    }
  }
  if (product && (strcmp(name, "mul") == 0 || strcmp(name, "multiply") == 0 || strcmp(name, "ldexp") == 0))
    l->out->products[l->out->product_count++] = number;
  for (uint32_t i = 0; i < node->result_count; i++)
    l->out->source[l->g->results[node->first_result + i]] = source;
}

/* The program's inputs: 8-bit tensors may be parts, other small ones tables. */
static void inputs(struct look *l, const struct mxq_pt2_reader *r) {
  for (uint32_t v = 0; v < l->g->value_count; v++) {
    l->root[v] = v;
    l->out->source[v] = MXQ_NOT_STORED;
  }
  for (uint32_t i = 0; i < l->g->input_count; i++) {
    uint32_t v = l->g->inputs_values[i], stored = l->p->inputs[i].stored;
    if (v == MXQ_NO_NUMBER || stored == MXQ_NO_NUMBER)
      continue;
    const struct mxq_pt2_stored *s = &r->stored[stored];
    enum mxq_dtype d = (enum mxq_dtype)s->dtype;
    bool table = s->kind == MXQ_KIND_CONSTANT && s->bytes <= 64 && (d == MXQ_U8 || d == MXQ_I8); /* [0, 4] to shift by */
    if (!table && (d == MXQ_F8_E8M0 || d == MXQ_U8 || d == MXQ_I8 || d == MXQ_F8_E4M3 || d == MXQ_F8_E5M2))
      l->out->source[v] = s->elements ? stored : MXQ_NOT_STORED;
    else if (s->bytes <= MXQ_PROBE_TABLE && s->elements && (mxq_probe_is_float(d) || mxq_probe_is_int(d)))
      l->out->source[v] = MXQ_CONSTANT;
  }
}

/* Stored tensors that are written to: through an input, or at the end of a run; and those that share their record. */
static bool stored_changes(struct look *l, struct mxq_pt2_reader *r, struct mxq_arena *arena) {
  size_t members = mxq_zip_count(r->zip);
  bool *member = mxq_arena_calloc(arena, members, sizeof *member);
  l->out->stored_changed = mxq_arena_calloc(arena, r->stored_count, sizeof *l->out->stored_changed);
  if (!member || !l->out->stored_changed)
    return false;
  for (uint32_t i = 0; i < l->g->input_count; i++) {
    uint32_t v = l->g->inputs_values[i], stored = l->p->inputs[i].stored;
    if (v != MXQ_NO_NUMBER && stored != MXQ_NO_NUMBER && l->out->changed[v])
      member[r->stored[stored].member] = true;
  }
  for (uint32_t i = 0; i < l->g->output_count; i++)
    if (l->p->outputs[i].stored != MXQ_NO_NUMBER)
      member[r->stored[l->p->outputs[i].stored].member] = true;
  for (size_t i = 0; i < r->stored_count; i++)
    l->out->stored_changed[i] = member[r->stored[i].member];
  return true;
}

bool mxq_probe_graph(struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, struct mxq_arena *arena, struct mxq_probe_graph *out) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  struct look l = {.p = p, .g = g, .out = out};
  *out = (struct mxq_probe_graph){.product_count = 0};
  out->source = mxq_arena_calloc(arena, g->value_count, sizeof *out->source);
  out->changed = mxq_arena_calloc(arena, g->value_count, sizeof *out->changed);
  out->output = mxq_arena_calloc(arena, g->value_count, sizeof *out->output);
  out->products = mxq_arena_calloc(arena, g->node_count, sizeof *out->products);
  l.root = mxq_arena_calloc(arena, g->value_count, sizeof *l.root);
  l.last_use = mxq_arena_calloc(arena, g->value_count, sizeof *l.last_use);
  l.viewed = mxq_arena_calloc(arena, g->value_count, sizeof *l.viewed);
  if (!out->source || !out->changed || !out->output || !out->products || !l.root || !l.last_use || !l.viewed)
    return false;
  inputs(&l, r);
  for (uint32_t i = 0; i < g->taken_count; i++)
    if (l.last_use[g->taken[i].value] < g->taken[i].node)
      l.last_use[g->taken[i].value] = g->taken[i].node;
  for (uint32_t i = 0; i < g->output_count; i++)
    if (g->outputs_values[i] != MXQ_NO_NUMBER) {
      l.last_use[g->outputs_values[i]] = MXQ_NO_NUMBER; /* looked at after all nodes */
      out->output[g->outputs_values[i]] = true;
    }
  for (uint32_t n = 0; n < g->node_count; n++) {
    char name[40];
    bool in_place, known = mxq_probe_target(p, &g->nodes[n], name, &in_place);
    memory(&l, n, known, in_place, name);
    sources(&l, n, known, name);
  }
  /* What shares memory with a value that is changed is changed too. */
  for (uint32_t v = 0; v < g->value_count; v++)
    out->changed[v] |= out->changed[l.root[v]];
  return stored_changes(&l, r, arena);
}
