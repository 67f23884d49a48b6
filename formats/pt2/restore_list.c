/* SPDX-License-Identifier: MIT */
#include "formats/pt2/restore_list.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *list, size_t count, size_t *room, size_t size, bool *failed) {
  if (count < *room)
    return list;
  size_t more = *room ? 2 * *room : 64;
  void *bigger = realloc(list, more * size);
  if (!bigger) {
    *failed = true;
    return list;
  }
  *room = more;
  return bigger;
}

static struct mxq_pt2_kept keep(struct mxq_pt2_list_edit *e, struct mxq_text *text) {
  e->to->failed |= text->failed;
  struct mxq_pt2_kept kept = mxq_pt2_splice_keep(e->to, text->data, text->size);
  mxq_text_free(text);
  return kept;
}

static void change(struct mxq_pt2_list_edit *e, uint32_t at, struct mxq_pt2_kept text) {
  e->changes = grow(e->changes, e->count, &e->room, sizeof *e->changes, &e->to->failed);
  if (!e->to->failed)
    e->changes[e->count++] = (struct mxq_pt2_change){at, text};
}

void mxq_pt2_list_remove(struct mxq_pt2_list_edit *e, uint32_t at) { change(e, at, (struct mxq_pt2_kept){0}); }

void mxq_pt2_list_replace(struct mxq_pt2_list_edit *e, uint32_t at, struct mxq_text *text) { change(e, at, keep(e, text)); }

void mxq_pt2_list_insert(struct mxq_pt2_list_edit *e, uint32_t place, struct mxq_text *text) {
  struct mxq_pt2_kept kept = keep(e, text);
  e->inserts = grow(e->inserts, e->insert_count, &e->insert_room, sizeof *e->inserts, &e->to->failed);
  if (!e->to->failed && kept.n)
    e->inserts[e->insert_count++] = (struct mxq_pt2_insert){place, kept};
}

static int by_at(const void *a, const void *b) {
  uint32_t x = ((const struct mxq_pt2_change *)a)->at, y = ((const struct mxq_pt2_change *)b)->at;
  return (x > y) - (x < y);
}

static int by_place(const void *a, const void *b) {
  uint32_t x = ((const struct mxq_pt2_insert *)a)->place, y = ((const struct mxq_pt2_insert *)b)->place;
  return (x > y) - (x < y);
}

/* Puts elements before those that stay, where they belong; returns how many of them that were. */
static size_t put_before(struct mxq_pt2_list_edit *e, const char *text, struct mxq_span list) {
  uint32_t at = list.at + 1, place = 0;
  struct mxq_span element;
  size_t next = 0, k = 0;
  while (next < e->insert_count && mxq_pt2_list_next(text, &at, &element)) {
    if (k < e->count && e->changes[k].at == element.at && !e->changes[k++].text.n)
      continue; /* it goes */
    for (; next < e->insert_count && e->inserts[next].place <= place; next++, place++) {
      mxq_pt2_splice_kept(e->to, (struct mxq_span){element.at, 0}, e->inserts[next].text);
      mxq_pt2_splice_comma(e->to, element.at);
    }
    place++;
  }
  return next;
}

void mxq_pt2_list_done(struct mxq_pt2_list_edit *e, const char *text, struct mxq_span list) {
  if (!e->to->failed) {
    if (e->count)
      qsort(e->changes, e->count, sizeof *e->changes, by_at);
    if (e->insert_count)
      qsort(e->inserts, e->insert_count, sizeof *e->inserts, by_place);
    size_t next = put_before(e, text, list);
    struct mxq_pt2_kept none = {0};
    uint32_t end = mxq_pt2_splice_list_kept(e->to, text, list, e->changes, e->count, none, next < e->insert_count ? e->inserts[next].text : none);
    while (++next < e->insert_count) {
      mxq_pt2_splice_comma(e->to, end);
      mxq_pt2_splice_kept(e->to, (struct mxq_span){end, 0}, e->inserts[next].text);
    }
  }
  free(e->changes);
  free(e->inserts);
  *e = (struct mxq_pt2_list_edit){.to = e->to};
}
