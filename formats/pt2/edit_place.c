/* SPDX-License-Identifier: MIT */
/* Nodes that come before certain nodes of the program. They are most of the new text, so it is copied as rarely as can be. */
#include <stdlib.h>

#include "formats/pt2/edit.h"

void mxq_pt2_edit_put(struct mxq_pt2_edit_nodes *nodes, uint32_t place, struct mxq_text *text) {
  if (!nodes->count || nodes->list[nodes->count - 1].place != place) {
    if (nodes->count == nodes->room) {
      size_t room = nodes->room ? 2 * nodes->room : 16;
      void *list = realloc(nodes->list, room * sizeof *nodes->list);
      if (!list) {
        nodes->failed = true;
        mxq_text_free(text);
        return;
      }
      nodes->list = list;
      nodes->room = room;
    }
    nodes->list[nodes->count] = (struct mxq_pt2_edit_piece){.place = place, .order = nodes->count};
    nodes->count++;
  }
  struct mxq_text *to = &nodes->list[nodes->count - 1].text;
  mxq_text_add(to, ", ", to->size ? 2 : 0);
  if (!text->failed)
    mxq_pt2_python_style(to, text->data, text->size);
  nodes->failed |= text->failed;
  mxq_text_free(text);
}

static int by_place(const void *a, const void *b) {
  const struct mxq_pt2_edit_piece *x = a, *y = b;
  if (x->place != y->place)
    return x->place < y->place ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

bool mxq_pt2_edit_put_done(struct mxq_pt2_edit_nodes *nodes, const struct mxq_pt2_program *p, struct mxq_pt2_splices *splices) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  bool failed = nodes->failed;
  if (nodes->count)
    qsort(nodes->list, nodes->count, sizeof *nodes->list, by_place);
  for (size_t i = 0; i < nodes->count; i++) {
    struct mxq_text *t = &nodes->list[i].text;
    /* Before a node, or into the empty list. */
    uint32_t at = g->node_count ? g->nodes[nodes->list[i].place].span.at : g->nodes_span.at + 1;
    if (g->node_count || i + 1 < nodes->count)
      mxq_text_add(t, ", ", 2);
    failed |= t->failed;
    if (!failed)
      mxq_pt2_splice(splices, (struct mxq_span){at, 0}, t->data, t->size);
    mxq_text_free(t);
  }
  free(nodes->list);
  *nodes = (struct mxq_pt2_edit_nodes){0};
  return !failed && !splices->failed;
}
