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

static const char *keep(struct mxq_pt2_list_edit *e, struct mxq_text *text) {
  const char *copy = text->failed ? NULL : mxq_arena_text(e->arena, text->size ? text->data : "", text->size);
  e->failed |= !copy;
  mxq_text_free(text);
  return copy;
}

static void change(struct mxq_pt2_list_edit *e, uint32_t at, const char *text, size_t n) {
  e->changes = grow(e->changes, e->count, &e->room, sizeof *e->changes, &e->failed);
  if (!e->failed)
    e->changes[e->count++] = (struct mxq_pt2_change){at, text, n};
}

void mxq_pt2_list_remove(struct mxq_pt2_list_edit *e, uint32_t at) { change(e, at, NULL, 0); }

void mxq_pt2_list_replace(struct mxq_pt2_list_edit *e, uint32_t at, struct mxq_text *text) {
  size_t n = text->size;
  const char *copy = keep(e, text);
  if (copy)
    change(e, at, copy, n);
}

void mxq_pt2_list_insert(struct mxq_pt2_list_edit *e, uint32_t place, struct mxq_text *text) {
  size_t n = text->size;
  const char *copy = keep(e, text);
  e->inserts = grow(e->inserts, e->insert_count, &e->insert_room, sizeof *e->inserts, &e->failed);
  if (copy && !e->failed)
    e->inserts[e->insert_count++] = (struct mxq_pt2_insert){place, copy, n};
}

static int by_at(const void *a, const void *b) {
  uint32_t x = ((const struct mxq_pt2_change *)a)->at, y = ((const struct mxq_pt2_change *)b)->at;
  return (x > y) - (x < y);
}

static int by_place(const void *a, const void *b) {
  uint32_t x = ((const struct mxq_pt2_insert *)a)->place, y = ((const struct mxq_pt2_insert *)b)->place;
  return (x > y) - (x < y);
}

/* Joins the texts of inserts [*next, ...) that belong at `place` in front of an element. */
static void gather(const struct mxq_pt2_list_edit *e, size_t *next, uint32_t *place, struct mxq_text *text) {
  for (; *next < e->insert_count && e->inserts[*next].place <= *place; ++*next, ++*place) {
    mxq_text_add(text, e->inserts[*next].text, e->inserts[*next].n);
    mxq_text_add(text, ", ", 2);
  }
}

/* Inserted elements become part of the change of the element that they stand before. */
static void merge(struct mxq_pt2_list_edit *e, const char *text, struct mxq_span list, struct mxq_text *back) {
  struct mxq_pt2_change *old = e->changes;
  size_t old_count = e->count, next = 0, k = 0;
  uint32_t at = list.at + 1, place = 0;
  struct mxq_span element;
  e->changes = NULL;
  e->count = e->room = 0;
  while (mxq_pt2_list_next(text, &at, &element) && !e->failed) {
    const struct mxq_pt2_change *c = k < old_count && old[k].at == element.at ? &old[k++] : NULL;
    if (c && !c->text) {
      change(e, c->at, NULL, 0);
      continue;
    }
    if (next < e->insert_count && e->inserts[next].place <= place) {
      struct mxq_text t = {0};
      gather(e, &next, &place, &t);
      mxq_text_add(&t, c ? c->text : text + element.at, c ? c->n : element.n);
      mxq_pt2_list_replace(e, element.at, &t);
    } else if (c) {
      change(e, c->at, c->text, c->n);
    }
    place++;
  }
  for (; next < e->insert_count; next++) {
    if (back->size)
      mxq_text_add(back, ", ", 2);
    mxq_text_add(back, e->inserts[next].text, e->inserts[next].n);
  }
  free(old);
}

void mxq_pt2_list_done(struct mxq_pt2_list_edit *e, struct mxq_pt2_splices *s, const char *text, struct mxq_span list) {
  struct mxq_text back = {0};
  if (!e->failed && e->count)
    qsort(e->changes, e->count, sizeof *e->changes, by_at);
  if (!e->failed && e->insert_count) {
    qsort(e->inserts, e->insert_count, sizeof *e->inserts, by_place);
    merge(e, text, list, &back);
  }
  s->failed |= e->failed || back.failed;
  if (!s->failed)
    mxq_pt2_splice_list(s, text, list, e->changes, e->count, NULL, &back);
  mxq_text_free(&back);
  free(e->changes);
  free(e->inserts);
  *e = (struct mxq_pt2_list_edit){.arena = e->arena};
}
