/* SPDX-License-Identifier: MIT */
/* Nodes that come before certain nodes of the program. */
#include <stdlib.h>

#include "formats/pt2/edit.h"

void mxq_pt2_edit_put(struct mxq_pt2_edit_nodes *nodes, uint32_t place, struct mxq_text *text) {
  struct mxq_pt2_splices *to = nodes->to;
  struct mxq_text style = {0};
  if (nodes->count == nodes->room) {
    size_t room = nodes->room ? 2 * nodes->room : 16;
    void *list = realloc(nodes->list, room * sizeof *nodes->list);
    if (list) {
      nodes->list = list;
      nodes->room = room;
    }
    to->failed |= !list;
  }
  if (!text->failed)
    mxq_pt2_python_style(&style, text->data, text->size);
  to->failed |= text->failed || style.failed;
  struct mxq_pt2_kept kept = mxq_pt2_splice_keep(to, style.data, style.size);
  if (!to->failed) {
    nodes->list[nodes->count] = (struct mxq_pt2_edit_piece){.place = place, .order = nodes->count, .text = kept};
    nodes->count++;
  }
  mxq_text_free(&style);
  mxq_text_free(text);
}

static int by_place(const void *a, const void *b) {
  const struct mxq_pt2_edit_piece *x = a, *y = b;
  if (x->place != y->place)
    return x->place < y->place ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

void mxq_pt2_edit_put_done(struct mxq_pt2_edit_nodes *nodes, const struct mxq_pt2_program *p) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  if (nodes->count)
    qsort(nodes->list, nodes->count, sizeof *nodes->list, by_place);
  for (size_t i = 0; i < nodes->count; i++) {
    /* Before a node, or into the empty list. */
    struct mxq_span at = {g->node_count ? g->nodes[nodes->list[i].place].span.at : g->nodes_span.at + 1, 0};
    mxq_pt2_splice_kept(nodes->to, at, nodes->list[i].text);
    if (g->node_count || i + 1 < nodes->count)
      mxq_pt2_splice_comma(nodes->to, at.at);
  }
  free(nodes->list);
  *nodes = (struct mxq_pt2_edit_nodes){.to = nodes->to};
}
