/* SPDX-License-Identifier: MIT */
/* The walk: node after node in the order of execution, each value with the weights that it holds. */
#include "formats/pt2/uses.h"

#include <stdlib.h>
#include <string.h>

#include "formats/pt2/uses_walk.h"

const char *mxq_pt2_text_once(struct mxq_pt2_texts *texts, struct mxq_arena *arena, const char *s, size_t n) {
  uint32_t number = mxq_names_find(&texts->names, s, n);
  if (number != UINT32_MAX)
    return texts->text[number];
  if (texts->count == texts->room) {
    uint32_t room = texts->room ? 2 * texts->room : 64;
    const char **more = realloc(texts->text, room * sizeof *more);
    if (!more)
      return NULL;
    texts->text = more;
    texts->room = room;
  }
  const char *copy = mxq_arena_text(arena, s, n);
  number = texts->count;
  if (!copy || mxq_names_put(&texts->names, copy, n, &number) != MXQ_NAMES_NEW)
    return NULL;
  return texts->text[texts->count++] = copy;
}

void mxq_pt2_texts_free(struct mxq_pt2_texts *texts) {
  mxq_names_free(&texts->names);
  free(texts->text);
}

bool mxq_pt2_walk_found(struct mxq_pt2_walk *w, uint32_t group, size_t op, const char *argument, enum mxq_use_kind kind) {
  if (w->found_count == w->most) {
    w->limited = true;
    return false;
  }
  if (w->found_count == w->found_room) {
    size_t room = w->found_room ? 2 * w->found_room : 256;
    struct mxq_pt2_use *more = realloc(w->found, room * sizeof *more);
    if (!more)
      return false;
    w->found = more;
    w->found_room = room;
  }
  argument = mxq_pt2_text_once(&w->texts, &w->r->base.arena, argument, strlen(argument));
  w->found[w->found_count++] = (struct mxq_pt2_use){.use = {.tensor = group, .op = op, .argument = argument, .kind = kind}};
  return argument != NULL;
}

const uint64_t *mxq_pt2_walk_shape(const struct mxq_pt2_walk *w, uint32_t group) { return w->r->base.tensors[w->of_group[group]].shape; }

const struct mxq_pt2_view *mxq_pt2_walk_keep(struct mxq_pt2_walk *w, const struct mxq_pt2_view *view) {
  if (w->views++ == w->most) {
    w->limited = true;
    return NULL;
  }
  struct mxq_pt2_view *copy = mxq_arena_alloc(&w->scratch, sizeof *copy);
  return copy ? memcpy(copy, view, sizeof *copy) : NULL;
}

struct mxq_pt2_state *mxq_pt2_walk_states(struct mxq_pt2_walk *w, const struct mxq_pt2_subgraph *graph) {
  return mxq_arena_calloc(&w->scratch, graph->value_count, sizeof(struct mxq_pt2_state));
}

const int64_t *mxq_pt2_walk_sizes(struct mxq_pt2_walk *w, const struct mxq_pt2_frame *frame, uint32_t value, uint32_t *ndim) {
  static const int64_t none = 0;
  struct mxq_pt2_state *s = &frame->states[value];
  const struct mxq_pt2_value *v = &frame->graph->values[value];
  if (!s->sizes && v->type == MXQ_VALUE_TENSOR) {
    int64_t sizes[MXQ_MAX_NDIM];
    mxq_pt2_value_meta(w->p, v, ndim, sizes, NULL);
    int64_t *copy = mxq_arena_alloc(&w->scratch, *ndim * sizeof *copy);
    w->failed |= !copy;
    if (copy) {
      memcpy(copy, sizes, *ndim * sizeof *copy);
      s->sizes = copy;
      s->ndim = (uint8_t)*ndim;
    }
  }
  *ndim = s->ndim;
  return s->sizes ? s->sizes : &none;
}

/* Whatever lies over the same bytes is changed too. */
void mxq_pt2_walk_changes(struct mxq_pt2_walk *w, uint32_t group) {
  const struct mxq_pt2_parts *parts = &w->r->parts[w->of_group[group]];
  w->changed[w->r->stored[parts->part[0]].member] = true;
  w->changed[w->r->stored[parts->part[1]].member] = true;
}

/* Not PyTorch's own, or one whose purpose is to write. Functional forms, and what is no operator (_operator.add), write to nothing. */
static bool is_custom(const char *target, size_t n) {
  static const char *const known[] = {"torch.ops.aten.", "torch.ops.prims.", "torch.ops.quantized_decomposed.", "torch.ops.higher_order.auto_functionalized"};
  if (n < 10 || memcmp(target, "torch.ops.", 10) != 0)
    return false;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (n >= strlen(known[i]) && memcmp(target, known[i], strlen(known[i])) == 0)
      return false;
  return true;
}

/* Operators of widely used packages, as uses_table.c has them: products of experts, convolutions. They write to nothing. */
static const char *known_of_others(const char *target, size_t n) {
  static const struct {
    const char *prefix, *name;
  } known[] = {{"torch.ops.transformers.grouped_mm_fallback.", "grouped_mm_fallback"}, {"torch.ops.torchvision.deform_conv2d.", "deform_conv2d"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (n >= strlen(known[i].prefix) && memcmp(target, known[i].prefix, strlen(known[i].prefix)) == 0)
      return known[i].name;
  return NULL;
}

/* torch.ops.aten.linear.default: name and overload, when it is one of aten's. */
static void take_name(struct mxq_pt2_call *c, const char *target, size_t n) {
  static const char aten[] = "torch.ops.aten.";
  const char *end = target + n, *dot = end;
  c->name[0] = c->overload[0] = 0;
  c->custom = is_custom(target, n);
  size_t skip = n > sizeof aten - 1 && memcmp(target, aten, sizeof aten - 1) == 0 ? sizeof aten - 1 : 0;
  for (const char *s = target + skip; s < end; s++)
    if (*s == '.') {
      dot = s;
      if (skip)
        break;
    }
  size_t name = (size_t)(dot - target) - skip;
  const char *base = target + skip;
  if (!skip) { /* torch.ops.mylib.op_.overload: only whether it writes */
    const char *before = memrchr(target, '.', (size_t)(dot - target));
    base = before ? before + 1 : target;
    name = (size_t)(dot - base);
  }
  /* add_, and __iand__, but not __and__ */
  c->in_place = name > 1 && base[name - 1] == '_' && base[name - 2] != '_';
  c->in_place |= name > 5 && memcmp(base, "__i", 3) == 0 && base[name - 1] == '_';
  if (skip && name < sizeof c->name) {
    memcpy(c->name, base, name);
    c->name[name] = 0;
  }
  const char *known = c->custom ? known_of_others(target, n) : NULL;
  if (known) {
    c->custom = false;
    strcpy(c->name, known);
  }
  size_t overload = dot < end ? (size_t)(end - dot) - 1 : 0;
  if (overload < sizeof c->overload) {
    memcpy(c->overload, dot + 1, overload);
    c->overload[overload] = 0;
  }
}

/* The node in the list of operators. */
static bool listed(struct mxq_pt2_walk *w, const struct mxq_pt2_frame *f, const struct mxq_pt2_node *node) {
  struct mxq_operator *o = &w->operators[w->operator_count++];
  const struct mxq_pt2_value *first = node->result_count ? &f->graph->values[f->graph->results[node->first_result]] : NULL;
  o->name = first ? mxq_arena_text(&w->r->base.arena, first->name, first->name_n) : "";
  o->target = mxq_pt2_text_once(&w->texts, &w->r->base.arena, w->p->text + node->target.at, node->target.n);
  o->depth = f->graph->depth;
  return o->name && o->target;
}

/* What the results are when nothing more is known: made of constants or not. */
static bool look_at(struct mxq_pt2_call *c) {
  const struct mxq_pt2_subgraph *g = c->frame->graph;
  bool weights = false;
  c->constant = true;
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    const struct mxq_pt2_state *s = &c->frame->states[g->taken[c->node->first_taken + i].value];
    weights |= s->views || s->mx;
    c->constant &= s->constant;
  }
  for (uint32_t i = 0; i < c->node->result_count; i++)
    c->frame->states[g->results[c->node->first_result + i]].constant = c->constant;
  return weights;
}

static bool node_of(struct mxq_pt2_walk *w, struct mxq_pt2_frame *f, uint32_t n) {
  struct mxq_pt2_call c = {.w = w, .frame = f, .node = &f->graph->nodes[n], .op = w->operator_count};
  struct mxq_arena arguments = {0};
  if (!listed(w, f, c.node))
    return false;
  if (!look_at(&c) && c.node->graph_count == 0)
    return true;
  take_name(&c, w->p->text + c.node->target.at, c.node->target.n);
  bool ok = mxq_pt2_node_args(w->p, f->number, n, &arguments, &c.args, &c.count);
  if (ok)
    ok = c.node->graph_count ? mxq_pt2_uses_inner(&c) : mxq_pt2_uses_node(&c) && mxq_pt2_uses_decode(&c);
  mxq_arena_free(&arguments);
  return ok && !w->failed;
}

bool mxq_pt2_walk_frame(struct mxq_pt2_walk *w, struct mxq_pt2_frame *frame) {
  for (uint32_t n = 0; n < frame->graph->node_count; n++)
    if (!node_of(w, frame, n))
      return false;
  return true;
}

/* The program's inputs that are weights. */
static bool inputs(struct mxq_pt2_walk *w, const uint32_t *of_stored, const struct mxq_pt2_frame *frame) {
  const struct mxq_pt2_subgraph *g = frame->graph;
  for (uint32_t i = 0; i < g->input_count; i++) {
    uint32_t value = g->inputs_values[i], stored = w->p->inputs[i].stored, ndim;
    if (value == MXQ_NO_NUMBER || stored == MXQ_NO_NUMBER)
      continue;
    struct mxq_pt2_state *s = &frame->states[value];
    s->constant = true;
    uint32_t group = of_stored[stored];
    if (group == MXQ_NO_NUMBER)
      continue; /* a table of a decoding program */
    const struct mxq_tensor *t = &w->r->base.tensors[w->of_group[group]];
    if (t->format != MXQ_FORMAT_NONE) {
      s->mx = group + 1;
      s->parts = w->r->parts[w->of_group[group]].part[0] == stored ? 1 : 2;
      continue;
    }
    if (!g->values[value].needed)
      continue; /* nobody takes it: no room for what would be followed */
    const int64_t *sizes = mxq_pt2_walk_sizes(w, frame, value, &ndim);
    bool same = ndim == t->ndim;
    for (uint32_t d = 0; same && d < ndim; d++)
      same = sizes[d] >= 0 && (uint64_t)sizes[d] == t->shape[d];
    struct mxq_pt2_view view;
    mxq_pt2_view_whole(&view, group, t->ndim);
    if (!same) { /* kept in another shape than it has */
      struct mxq_pt2_view whole = view;
      mxq_pt2_view_unknown(&view, &whole, ndim);
    }
    s->views = mxq_pt2_walk_keep(w, &view);
    if (!s->views)
      return false;
  }
  return true;
}

static bool outputs(struct mxq_pt2_walk *w, const uint32_t *of_stored, const size_t *op_of_node, const struct mxq_pt2_state *states) {
  const struct mxq_pt2_subgraph *g = &w->p->graphs[0];
  for (uint32_t i = 0; i < g->output_count; i++) {
    uint32_t value = g->outputs_values[i], stored = w->p->outputs[i].stored;
    uint32_t node = value == MXQ_NO_NUMBER ? MXQ_NO_NUMBER : g->values[value].node;
    if (stored != MXQ_NO_NUMBER) {
      w->changed[w->r->stored[stored].member] = true;
      if (of_stored[stored] != MXQ_NO_NUMBER &&
          !mxq_pt2_walk_found(w, of_stored[stored], node == MXQ_NO_NUMBER ? SIZE_MAX : op_of_node[node], "output", MXQ_USE_WRITES))
        return false;
      continue;
    }
    if (value == MXQ_NO_NUMBER)
      continue;
    for (const struct mxq_pt2_view *v = states[value].views; v; v = v->next)
      if (!mxq_pt2_walk_found(w, v->group, SIZE_MAX, "output", MXQ_USE_RETURNS))
        return false;
    if (states[value].mx && !mxq_pt2_walk_found(w, states[value].mx - 1, SIZE_MAX, "output", MXQ_USE_RETURNS))
      return false;
  }
  return true;
}

bool mxq_pt2_walk(struct mxq_pt2_walk *w) {
  const struct mxq_pt2_subgraph *g = &w->p->graphs[0];
  size_t nodes = 0;
  w->most = 65536;
  for (uint32_t i = 0; i < w->p->graph_count; i++) {
    nodes += w->p->graphs[i].node_count;
    w->most += 8 * ((size_t)w->p->graphs[i].taken_count + w->p->graphs[i].input_count);
  }
  w->operators = mxq_arena_calloc(&w->r->base.arena, nodes, sizeof *w->operators);
  uint32_t *of_stored = mxq_arena_alloc(&w->scratch, w->r->stored_count * sizeof *of_stored);
  size_t *op_of_node = mxq_arena_alloc(&w->scratch, g->node_count * sizeof *op_of_node);
  struct mxq_pt2_frame frame = {0, g, mxq_pt2_walk_states(w, g)};
  if (!w->operators || !of_stored || !op_of_node || !frame.states)
    return false;
  memset(of_stored, 0xFF, w->r->stored_count * sizeof *of_stored);
  for (size_t t = 0; t < w->r->base.count; t++)
    for (int part = 0; part < 2; part++)
      of_stored[w->r->parts[t].part[part]] = w->group_of[t];
  if (!inputs(w, of_stored, &frame))
    return false;
  for (uint32_t n = 0; n < g->node_count; n++) {
    op_of_node[n] = w->operator_count;
    if (!node_of(w, &frame, n))
      return false;
  }
  return outputs(w, of_stored, op_of_node, frame.states);
}
