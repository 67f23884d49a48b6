/* SPDX-License-Identifier: MIT */
/* Lists that are edited element by element, and get elements at given places of the result. */
#ifndef MXQ_PT2_RESTORE_LIST_H
#define MXQ_PT2_RESTORE_LIST_H

#include "formats/pt2/splice.h"

/* All zero to begin with, but for `to`. A failed allocation is remembered there. */
struct mxq_pt2_list_edit {
  struct mxq_pt2_splices *to;        /* which keep the new texts from the first on */
  struct mxq_pt2_change *changes;
  size_t count, room;
  struct mxq_pt2_insert { uint32_t place; struct mxq_pt2_kept text; } *inserts;
  size_t insert_count, insert_room;
};

void mxq_pt2_list_remove(struct mxq_pt2_list_edit *e, uint32_t at);
/* The element that begins at `at` becomes this one element. The text is kept, and freed. */
void mxq_pt2_list_replace(struct mxq_pt2_list_edit *e, uint32_t at, struct mxq_text *text);
/* An element that will have number `place` in the result (or be the last). The text is kept, and freed. */
void mxq_pt2_list_insert(struct mxq_pt2_list_edit *e, uint32_t place, struct mxq_text *text);
/* Puts the edits into the splices and frees them. */
void mxq_pt2_list_done(struct mxq_pt2_list_edit *e, const char *text, struct mxq_span list);

#endif
