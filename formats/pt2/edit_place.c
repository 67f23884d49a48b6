/* SPDX-License-Identifier: MIT */
/* Nodes that come before certain nodes of the program. */
#include <stdlib.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/restore_list.h"

void mxq_pt2_edit_put(struct mxq_pt2_edit_nodes *nodes, uint32_t place, struct mxq_text *text) {
  if (nodes->count && nodes->list[nodes->count - 1].place == place) {
    struct mxq_text *last = &nodes->list[nodes->count - 1].text;
    mxq_text_add(last, ",", 1);
    mxq_text_add(last, text->data, text->size);
    nodes->failed |= text->failed;
    mxq_text_free(text);
    return;
  }
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
  nodes->list[nodes->count] = (struct mxq_pt2_edit_piece){.place = place, .order = nodes->count, .text = *text};
  nodes->count++;
  *text = (struct mxq_text){0};
}

static int by_place(const void *a, const void *b) {
  const struct mxq_pt2_edit_piece *x = a, *y = b;
  if (x->place != y->place)
    return x->place < y->place ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

bool mxq_pt2_edit_put_done(struct mxq_pt2_edit_nodes *nodes, const struct mxq_pt2_program *p, struct mxq_arena *arena, struct mxq_pt2_splices *splices) {
  struct mxq_pt2_list_edit list = {.arena = arena};
  uint32_t inserted = 0;
  bool failed = nodes->failed;
  if (nodes->count)
    qsort(nodes->list, nodes->count, sizeof *nodes->list, by_place);
  for (size_t i = 0; i < nodes->count;) {
    struct mxq_text style = {0};
    uint32_t place = nodes->list[i].place;
    for (bool first = true; i < nodes->count && nodes->list[i].place == place; i++, first = false) {
      struct mxq_text *t = &nodes->list[i].text;
      mxq_text_add(&style, ", ", first ? 0 : 2);
      if (!t->failed)
        mxq_pt2_python_style(&style, t->data, t->size);
      failed |= t->failed;
      mxq_text_free(t);
    }
    mxq_pt2_list_insert(&list, place + inserted++, &style); /* places count what was inserted before */
  }
  mxq_pt2_list_done(&list, splices, p->text, p->graphs[0].nodes_span);
  free(nodes->list);
  *nodes = (struct mxq_pt2_edit_nodes){0};
  return !failed && !splices->failed;
}
