/* SPDX-License-Identifier: MIT */
/* Splices: collected, sorted, applied. */
#include "formats/pt2/splice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct mxq_pt2_splice {
  struct mxq_span span;
  size_t order, n;
  const char *text;
};

void mxq_pt2_splice(struct mxq_pt2_splices *s, struct mxq_span span, const char *text, size_t n) {
  if (s->count == s->room) {
    size_t room = s->room ? 2 * s->room : 64;
    struct mxq_pt2_splice *list = realloc(s->list, room * sizeof *list);
    if (!list) {
      s->failed = true;
      return;
    }
    s->list = list;
    s->room = room;
  }
  char *copy = mxq_arena_text(&s->arena, n ? text : "", n);
  s->failed |= !copy;
  s->list[s->count] = (struct mxq_pt2_splice){.span = span, .order = s->count, .n = n, .text = copy};
  s->count++;
}

static int by_place(const void *a, const void *b) {
  const struct mxq_pt2_splice *x = a, *y = b;
  if (x->span.at != y->span.at)
    return x->span.at < y->span.at ? -1 : 1;
  /* what is inserted at a place stands before what replaces the bytes there */
  if ((x->span.n == 0) != (y->span.n == 0))
    return x->span.n == 0 ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

bool mxq_pt2_splice_apply(struct mxq_pt2_splices *s, const char *text, size_t size, struct mxq_text *out) {
  size_t at = 0;
  if (s->failed)
    return false;
  if (s->count)
    qsort(s->list, s->count, sizeof *s->list, by_place);
  for (size_t i = 0; i < s->count; i++) {
    const struct mxq_pt2_splice *p = &s->list[i];
    assert(p->span.at >= at && p->span.at <= size && p->span.n <= size - p->span.at);
    mxq_text_add(out, text + at, p->span.at - at);
    mxq_text_add(out, p->text, p->n);
    at = p->span.at + (size_t)p->span.n;
  }
  mxq_text_add(out, text + at, size - at);
  return !out->failed;
}

static unsigned hex4(const char *s) {
  unsigned v = 0;
  for (int i = 0; i < 4; i++)
    v = v << 4 | (unsigned)(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
  return v;
}

/* Bytes of the next character of a JSON string as written, and as decoded. */
static size_t written(const char *s, size_t *decoded) {
  *decoded = 1;
  if (*s != '\\')
    return 1;
  if (s[1] != 'u')
    return 2;
  unsigned code = hex4(s + 2);
  *decoded = code < 0x80 ? 1 : code < 0x800 ? 2 : code >= 0xD800 && code < 0xDC00 ? 4 : 3;
  return *decoded == 4 ? 12 : 6;
}

/* Copies characters (or passes them, out NULL) from literal[*at] on until `until` decoded bytes are behind it. */
static void copy_until(const char *literal, size_t *at, size_t *decoded, size_t until, struct mxq_text *out) {
  size_t from = *at, step;
  while (*decoded < until) {
    *at += written(literal + *at, &step);
    *decoded += step;
  }
  if (out)
    mxq_text_add(out, literal + from, *at - from);
}

bool mxq_pt2_splice_apply_quoted(struct mxq_pt2_splices *s, const char *literal, size_t n, struct mxq_text *out) {
  size_t at = 1, decoded = 0;
  struct mxq_text quoted = {0};
  if (s->failed)
    return false;
  if (s->count)
    qsort(s->list, s->count, sizeof *s->list, by_place);
  mxq_text_add(out, literal, 1);
  for (size_t i = 0; i < s->count; i++) {
    const struct mxq_pt2_splice *p = &s->list[i];
    assert(p->span.at >= decoded);
    copy_until(literal, &at, &decoded, p->span.at, out);
    quoted.size = 0;
    mxq_text_quote(&quoted, p->text, p->n);
    if (!quoted.failed)
      mxq_text_add(out, quoted.data + 1, quoted.size - 2);
    copy_until(literal, &at, &decoded, p->span.at + (size_t)p->span.n, NULL);
  }
  mxq_text_add(out, literal + at, n - at);
  out->failed |= quoted.failed;
  mxq_text_free(&quoted);
  return !out->failed;
}

void mxq_pt2_splice_free(struct mxq_pt2_splices *s) {
  free(s->list);
  mxq_arena_free(&s->arena);
  *s = (struct mxq_pt2_splices){0};
}

/* ---- lists ---- */

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* Behind the string whose opening quote stands at i. */
static uint32_t behind_string(const char *text, uint32_t i) {
  for (i++; text[i] != '"'; i++)
    if (text[i] == '\\')
      i++;
  return i + 1;
}

bool mxq_pt2_list_next(const char *text, uint32_t *at, struct mxq_span *element) {
  uint32_t i = *at, depth = 0, end;
  while (blank(text[i]) || text[i] == ',')
    i++;
  if (text[i] == ']' || text[i] == '}')
    return false;
  element->at = end = i;
  for (; depth || (text[i] != ',' && text[i] != ']' && text[i] != '}');) {
    char c = text[i];
    if (c == '"') {
      i = end = behind_string(text, i);
      continue;
    }
    depth += c == '[' || c == '{';
    depth -= c == ']' || c == '}';
    i++;
    if (!blank(c))
      end = i;
  }
  element->n = end - element->at;
  *at = i;
  return true;
}

void mxq_pt2_splice_list(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                         const struct mxq_text *front, const struct mxq_text *back) {
  uint32_t at = list.at + 1, end = list.at + 1; /* end: of the last element that was looked at */
  struct mxq_span e;
  size_t next = 0;
  bool some = false; /* an element is left before this place */
  bool first = front && front->size;
  s->failed |= (front && front->failed) || (back && back->failed);
  if (s->failed)
    return;
  if (first) {
    mxq_pt2_splice(s, (struct mxq_span){list.at + 1, 0}, front->data, front->size);
    some = true;
  }
  for (bool any = false; mxq_pt2_list_next(text, &at, &e); any = true, end = e.at + e.n) {
    const struct mxq_pt2_change *c = next < count && changes[next].at == e.at ? &changes[next++] : NULL;
    assert(next == count || changes[next].at > e.at);
    if (c && !c->text) { /* with the comma before it, which only a list with something before has */
      uint32_t from = any ? end : e.at;
      mxq_pt2_splice(s, (struct mxq_span){from, e.at + e.n - from}, "", 0);
      continue;
    }
    if (!any && some)
      mxq_pt2_splice(s, (struct mxq_span){e.at, 0}, ", ", 2);
    else if (any && !some) /* all before were taken out, and this one's comma goes too */
      mxq_pt2_splice(s, (struct mxq_span){end, e.at - end}, "", 0);
    some = true;
    if (c)
      mxq_pt2_splice(s, (struct mxq_span){e.at, e.n}, c->text, c->n);
  }
  assert(next == count);
  if (!back || !back->size)
    return;
  if (some)
    mxq_pt2_splice(s, (struct mxq_span){end, 0}, ", ", 2);
  mxq_pt2_splice(s, (struct mxq_span){end, 0}, back->data, back->size);
}
