/* SPDX-License-Identifier: MIT */
/* Nodes that decode an MX tensor: from its two parts to the value that has its numbers. */
#include <string.h>

#include "formats/pt2/uses_walk.h"

/*
 * Codes and scales have the axes outside the blocked run first and the run last, so their product is the tensor once its shape says so:
 * [outer..., K], padded or not, or [outer..., axes of the run...]. What comes behind (cut, permute) is a view like any other.
 */
static bool decoded(struct mxq_pt2_view *view, const struct mxq_tensor *t, uint32_t group, uint32_t ndim, const int64_t *sizes) {
  uint32_t run = t->axis_last - t->axis_first + 1, outer = t->ndim - run, d = 0;
  uint64_t padded = mxq_row_blocks(t->k) * MXQ_BLOCK;
  uint8_t order[MXQ_MAX_NDIM];
  struct mxq_pt2_view whole;
  mxq_pt2_view_whole(&whole, group, t->ndim);
  for (uint32_t a = 0; a < t->ndim; a++)
    if (a < t->axis_first || a > t->axis_last)
      order[d++] = (uint8_t)a;
  for (uint32_t a = t->axis_first; a <= t->axis_last; a++)
    order[d++] = (uint8_t)a;
  if (ndim < outer)
    return false;
  for (d = 0; d < outer; d++)
    if (sizes[d] < 0 || (uint64_t)sizes[d] != t->shape[order[d]])
      return false;
  mxq_pt2_view_permute(view, &whole, order);
  if (ndim == outer + 1 && sizes[outer] >= 0 && ((uint64_t)sizes[outer] == t->k || (uint64_t)sizes[outer] == padded)) {
    view->ndim = (uint8_t)ndim;
    view->first[ndim] = (uint8_t)t->ndim; /* the last dimension has all that is left */
    return true;
  }
  if (ndim != t->ndim)
    return false;
  for (; d < ndim; d++)
    if (sizes[d] < 0 || (uint64_t)sizes[d] != t->shape[order[d]])
      return false;
  return true;
}

bool mxq_pt2_uses_decode(struct mxq_pt2_call *c) {
  const struct mxq_pt2_subgraph *g = c->frame->graph;
  struct mxq_pt2_state *states = c->frame->states;
  uint32_t mx = 0;
  uint8_t parts = 0;
  bool one = true;
  for (uint32_t i = 0; i < c->node->taken_count; i++) {
    const struct mxq_pt2_state *s = &states[g->taken[c->node->first_taken + i].value];
    one &= !s->mx || !mx || s->mx == mx;
    mx = s->mx ? s->mx : mx;
    parts |= s->parts;
    /* Parts that go somewhere else before they were decoded. */
    if (s->mx && !c->constant && !mxq_pt2_walk_found(c->w, s->mx - 1, c->op, c->args[g->taken[c->node->first_taken + i].argument].name, MXQ_USE_OTHER))
      return false;
  }
  if (!mx || !one || !c->constant)
    return true;
  for (uint32_t i = 0; i < c->node->result_count; i++) {
    uint32_t value = g->results[c->node->first_result + i], ndim;
    struct mxq_pt2_view view;
    if (g->values[value].type != MXQ_VALUE_TENSOR)
      continue;
    const int64_t *sizes = mxq_pt2_walk_sizes(c->w, c->frame, value, &ndim);
    if (parts == 3 && decoded(&view, &c->w->r->base.tensors[c->w->of_group[mx - 1]], mx - 1, ndim, sizes)) {
      view.alias = false;
      states[value].views = mxq_pt2_walk_keep(c->w, &view);
      if (!states[value].views)
        return false;
    } else {
      states[value].mx = mx;
      states[value].parts = parts;
    }
  }
  return true;
}
