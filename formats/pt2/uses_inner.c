/* SPDX-License-Identifier: MIT */
/* Nodes with graphs inside (torch.cond, blocks under no_grad): weights are followed into them and out again. */
#include <string.h>

#include "formats/pt2/uses_walk.h"

/* What a node gives to its graphs: the arguments behind the last graph, lists flattened. MXQ_NO_NUMBER: a constant. */
struct given {
  uint32_t *values;
  uint32_t count;
};

static bool given(struct mxq_pt2_call *c, bool numbers, struct given *list) {
  uint32_t from = 0, n = 0;
  for (uint32_t i = 0; i < c->count; i++)
    if (c->args[i].kind == MXQ_ARG_GRAPH)
      from = i + 1;
  for (uint32_t i = from; i < c->count; i++)
    n += c->args[i].count + 1;
  list->values = mxq_arena_alloc(&c->w->scratch, n * sizeof *list->values);
  list->count = 0;
  if (!list->values)
    return false;
  for (uint32_t i = from; i < c->count; i++) {
    const struct mxq_pt2_arg *a = &c->args[i];
    if (a->kind == MXQ_ARG_VALUE) {
      list->values[list->count++] = a->values[0];
    } else if (a->kind == MXQ_ARG_VALUES) {
      for (uint32_t k = 0; k < a->count; k++)
        list->values[list->count++] = a->values[k];
    } else if (numbers) {
      uint32_t items = a->kind == MXQ_ARG_INTS || a->kind == MXQ_ARG_FLOATS || a->kind == MXQ_ARG_BOOLS ? a->count : 1;
      for (uint32_t k = 0; k < items; k++)
        list->values[list->count++] = MXQ_NO_NUMBER;
    }
  }
  return true;
}

/* How the inner input's sizes stand to those of the value outside. */
enum fit { NO_FIT, SAME, WITHOUT_FIRST };
static enum fit fits(struct mxq_pt2_walk *w, const struct mxq_pt2_frame *outer, uint32_t value, const struct mxq_pt2_frame *inner, uint32_t other) {
  uint32_t n, m;
  if (outer->graph->values[value].type != MXQ_VALUE_TENSOR || inner->graph->values[other].type != MXQ_VALUE_TENSOR)
    return NO_FIT;
  const int64_t *a = mxq_pt2_walk_sizes(w, outer, value, &n), *b = mxq_pt2_walk_sizes(w, inner, other, &m);
  if (n != m && n != m + 1)
    return NO_FIT;
  return m == 0 || memcmp(a + (n - m), b, m * sizeof *b) == 0 ? n == m ? SAME : WITHOUT_FIRST : NO_FIT;
}

static bool is_one_of(const struct mxq_pt2_walk *w, struct mxq_span target, const char *const *names) {
  static const char prefix[] = "torch.ops.higher_order.";
  struct mxq_span name = {target.at + (uint32_t)sizeof prefix - 1, target.n - (uint32_t)sizeof prefix + 1};
  if (target.n < sizeof prefix || memcmp(w->p->text + target.at, prefix, sizeof prefix - 1) != 0)
    return false;
  for (; *names; names++)
    if (mxq_pt2_span_is(w->p, name, *names))
      return true;
  return false;
}

static bool other(struct mxq_pt2_call *c, uint32_t value) {
  if (value == MXQ_NO_NUMBER)
    return true;
  const struct mxq_pt2_state *s = &c->frame->states[value];
  for (const struct mxq_pt2_view *v = s->views; v; v = v->next)
    if (!mxq_pt2_walk_found(c->w, v->group, c->op, "", MXQ_USE_OTHER))
      return false;
  return !s->mx || mxq_pt2_walk_found(c->w, s->mx - 1, c->op, "", MXQ_USE_OTHER);
}

/* Value outside, input inside: the weights that it holds there. Nothing when they do not fit, which *missed tells. */
static bool enter(struct mxq_pt2_call *c, uint32_t outer, const struct mxq_pt2_frame *inner, uint32_t value, bool rows, bool *missed) {
  const struct mxq_pt2_state *s = &c->frame->states[outer];
  struct mxq_pt2_state *state = &inner->states[value];
  state->constant = s->constant;
  if (!s->views && !s->mx)
    return true;
  enum fit fit = s->mx ? NO_FIT : fits(c->w, c->frame, outer, inner, value);
  if (fit == SAME) {
    state->views = s->views;
  } else if (fit == WITHOUT_FIRST && rows) {
    for (const struct mxq_pt2_view *v = s->views; v; v = v->next) {
      struct mxq_pt2_view row;
      if (v->ndim == 0)
        continue;
      mxq_pt2_view_drop(&row, v, 0);
      row.next = state->views;
      state->views = mxq_pt2_walk_keep(c->w, &row);
      if (!state->views)
        return false;
    }
  } else {
    *missed = true;
  }
  return true;
}

static bool same_view(const struct mxq_pt2_view *a, const struct mxq_pt2_view *b) {
  return a->group == b->group && a->ndim == b->ndim && a->unknown == b->unknown && memcmp(a->first, b->first, a->ndim + 1u) == 0 &&
         memcmp(a->axes, b->axes, a->first[a->ndim]) == 0;
}

/* One graph of several runs: the result holds what either returns. */
static bool join(struct mxq_pt2_call *c, struct mxq_pt2_state *state, const struct mxq_pt2_view *v) {
  for (; v; v = v->next) {
    const struct mxq_pt2_view *known = state->views;
    struct mxq_pt2_view copy = *v;
    uint32_t n = 0;
    for (; known && !same_view(known, v); known = known->next)
      n++;
    if (known)
      continue;
    if (n == MXQ_MOST_VIEWS) {
      if (!mxq_pt2_walk_found(c->w, v->group, c->op, "", MXQ_USE_OTHER))
        return false;
      continue;
    }
    copy.next = state->views;
    const struct mxq_pt2_view *kept = mxq_pt2_walk_keep(c->w, &copy);
    if (!kept)
      return false;
    state->views = kept;
  }
  return true;
}

/* What the graph's outputs hold is what the node's results hold, or goes somewhere that is not followed. */
static bool leave(struct mxq_pt2_call *c, const struct mxq_pt2_frame *frame, bool through) {
  const struct mxq_pt2_subgraph *g = c->frame->graph, *inner = frame->graph;
  const struct mxq_pt2_state *states = frame->states;
  for (uint32_t i = 0; i < inner->output_count; i++) {
    uint32_t value = inner->outputs_values[i];
    if (value == MXQ_NO_NUMBER)
      continue;
    uint32_t result = through && inner->output_count == c->node->result_count ? g->results[c->node->first_result + i] : MXQ_NO_NUMBER;
    if (result != MXQ_NO_NUMBER && (!states[value].views || fits(c->w, frame, value, c->frame, result) == SAME)) {
      if (c->node->graph_count > 1) {
        if (!join(c, &c->frame->states[result], states[value].views))
          return false;
        continue;
      }
      c->frame->states[result].views = states[value].views;
      c->frame->states[result].constant = states[value].constant;
      continue;
    }
    for (const struct mxq_pt2_view *v = states[value].views; v; v = v->next)
      if (!mxq_pt2_walk_found(c->w, v->group, c->op, "", MXQ_USE_OTHER))
        return false;
  }
  return true;
}

bool mxq_pt2_uses_inner(struct mxq_pt2_call *c) {
  /* These give each row of an argument to their graph, or what it returned the time before. */
  static const char *const loops[] = {"map", "map_impl", "scan", "associative_scan", "while_loop", "while_loop_stack_output", NULL};
  static const char *const choice[] = {"cond", NULL};
  struct mxq_pt2_walk *w = c->w;
  bool loop = is_one_of(w, c->node->target, loops), cond = is_one_of(w, c->node->target, choice);
  struct given all, tensors, *list = NULL;
  if (!given(c, true, &all) || !given(c, false, &tensors))
    return false;
  /* Arguments in front of the graphs are the node's own; those behind belong to the graphs, if there are as many. */
  const struct mxq_pt2_subgraph *first = &w->p->graphs[c->node->first_graph];
  list = first->input_count == all.count ? &all : first->input_count == tensors.count ? &tensors : NULL;
  uint32_t graphs_at = 0;
  bool all_missed = false;
  for (uint32_t i = 0; i < c->count; i++)
    if (c->args[i].kind == MXQ_ARG_GRAPH)
      graphs_at = i;
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    const struct mxq_pt2_taken *t = &c->frame->graph->taken[c->node->first_taken + i];
    if ((!list || t->argument < graphs_at) && !other(c, t->value))
      return false;
  }
  bool *missed = list ? mxq_arena_calloc(&w->scratch, list->count, sizeof *missed) : NULL;
  if (list && !missed)
    return false;
  for (uint32_t k = 0; k < c->node->graph_count; k++) {
    const struct mxq_pt2_subgraph *inner = &w->p->graphs[c->node->first_graph + k];
    struct mxq_pt2_frame frame = {c->node->first_graph + k, inner, mxq_pt2_walk_states(w, inner)};
    if (!frame.states)
      return false;
    bool fitting = list && inner->input_count == list->count;
    all_missed |= !fitting;
    for (uint32_t i = 0; fitting && i < list->count; i++) {
      uint32_t value = inner->inputs_values[i], outer = list->values[i];
      if (outer == MXQ_NO_NUMBER)
        continue;
      if (value == MXQ_NO_NUMBER)
        missed[i] = true;
      else if (!enter(c, outer, &frame, value, loop, &missed[i]))
        return false;
    }
    if (!mxq_pt2_walk_frame(w, &frame) || !leave(c, &frame, (c->node->graph_count == 1 && !loop) || cond))
      return false;
  }
  for (uint32_t i = 0; list && i < list->count; i++)
    if ((missed[i] || all_missed) && !other(c, list->values[i]))
      return false;
  return true;
}
