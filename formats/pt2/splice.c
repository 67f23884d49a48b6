/* SPDX-License-Identifier: MIT */
/* Splices: collected, sorted, applied. */
#include "formats/pt2/splice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct mxq_pt2_splice {
  struct mxq_span span;
  size_t order;
  struct mxq_pt2_kept text;
  bool comma;                        /* the text is COMMA, which is not kept */
};
static const char COMMA[] = ", ";

struct mxq_pt2_kept mxq_pt2_splice_keep(struct mxq_pt2_splices *s, const char *text, size_t n) {
  struct mxq_pt2_kept kept = {0};
  if (!s->failed && n && !mxq_pt2_kept_add(&s->texts, text, n, &kept)) {
    s->failed = true;
    kept.n = 0;
  }
  return kept;
}

static void add(struct mxq_pt2_splices *s, struct mxq_span span, struct mxq_pt2_kept text, bool comma) {
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
  s->list[s->count] = (struct mxq_pt2_splice){.span = span, .order = s->count, .text = text, .comma = comma};
  s->count++;
}

void mxq_pt2_splice_kept(struct mxq_pt2_splices *s, struct mxq_span span, struct mxq_pt2_kept text) { add(s, span, text, false); }

void mxq_pt2_splice_comma(struct mxq_pt2_splices *s, uint32_t at) {
  add(s, (struct mxq_span){at, 0}, (struct mxq_pt2_kept){0, sizeof COMMA - 1}, true);
}

void mxq_pt2_splice(struct mxq_pt2_splices *s, struct mxq_span span, const char *text, size_t n) {
  mxq_pt2_splice_kept(s, span, mxq_pt2_splice_keep(s, text, n));
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

bool mxq_pt2_splice_finish(struct mxq_pt2_splices *s, size_t size, size_t *edited) {
  size_t at = 0;
  if (s->failed)
    return false;
  if (s->count)
    qsort(s->list, s->count, sizeof *s->list, by_place);
  *edited = size;
  for (size_t i = 0; i < s->count; i++) {
    const struct mxq_pt2_splice *p = &s->list[i];
    assert(p->span.at >= at && p->span.at <= size && p->span.n <= size - p->span.at);
    at = p->span.at + (size_t)p->span.n;
    *edited += p->text.n - p->span.n; /* unsigned: it may be fewer */
  }
  return true;
}

bool mxq_pt2_splice_read(struct mxq_pt2_splices *s, const char *text, size_t size, bool rewind, char *buf, size_t n) {
  if (rewind)
    s->next = s->behind = s->used = 0;
  while (n) {
    const struct mxq_pt2_splice *p = s->next < s->count ? &s->list[s->next] : NULL;
    size_t left = (p ? p->span.at : size) - s->behind, part;
    if (left) {
      part = left < n ? left : n;
      memcpy(buf, text + s->behind, part);
      s->behind += part;
    } else {
      assert(p);
      left = p->text.n - s->used;
      part = left < n ? left : n;
      if (p->comma)
        memcpy(buf, COMMA + s->used, part);
      else if (!mxq_pt2_kept_read(s->texts, p->text.at + s->used, buf, part))
        return false;
      s->used += part;
      if (part == left) {
        s->behind = p->span.at + (size_t)p->span.n;
        s->used = 0;
        s->next++;
      }
    }
    buf += part;
    n -= part;
  }
  return true;
}

bool mxq_pt2_splice_apply(struct mxq_pt2_splices *s, const char *text, size_t size, struct mxq_text *out) {
  char piece[4096];
  size_t left;
  if (!mxq_pt2_splice_finish(s, size, &left))
    return false;
  for (bool first = true; left && !out->failed; first = false) {
    size_t n = left < sizeof piece ? left : sizeof piece;
    if (!mxq_pt2_splice_read(s, text, size, first, piece, n))
      return false;
    mxq_text_add(out, piece, n);
    left -= n;
  }
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

/* Adds a kept text as it stands within a JSON string. */
static void add_quoted(struct mxq_pt2_splices *s, struct mxq_pt2_kept kept, struct mxq_text *out) {
  size_t before = out->size;
  char *text = malloc(kept.n + 1);
  out->failed |= !text || !mxq_pt2_kept_read(s->texts, kept.at, text, kept.n);
  if (!out->failed)
    mxq_text_quote(out, text, kept.n);
  if (!out->failed) { /* without its quotes */
    out->size--;
    memmove(out->data + before, out->data + before + 1, out->size - before);
    out->size--;
  }
  free(text);
}

bool mxq_pt2_splice_apply_quoted(struct mxq_pt2_splices *s, const char *literal, size_t n, struct mxq_text *out) {
  size_t at = 1, decoded = 0;
  if (s->failed)
    return false;
  if (s->count)
    qsort(s->list, s->count, sizeof *s->list, by_place);
  mxq_text_add(out, literal, 1);
  for (size_t i = 0; i < s->count; i++) {
    const struct mxq_pt2_splice *p = &s->list[i];
    assert(p->span.at >= decoded);
    copy_until(literal, &at, &decoded, p->span.at, out);
    if (p->comma)
      mxq_text_add(out, COMMA, p->text.n);
    else if (p->text.n)
      add_quoted(s, p->text, out);
    copy_until(literal, &at, &decoded, p->span.at + (size_t)p->span.n, NULL);
  }
  mxq_text_add(out, literal + at, n - at);
  return !out->failed;
}

void mxq_pt2_splice_free(struct mxq_pt2_splices *s) {
  free(s->list);
  mxq_pt2_kept_free(s->texts);
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

uint32_t mxq_pt2_splice_list_kept(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                                  struct mxq_pt2_kept front, struct mxq_pt2_kept back) {
  uint32_t at = list.at + 1, end = list.at + 1; /* end: of the last element that was looked at */
  struct mxq_span e;
  size_t next = 0;
  bool some = false; /* an element is left before this place */
  if (front.n) {
    mxq_pt2_splice_kept(s, (struct mxq_span){list.at + 1, 0}, front);
    some = true;
  }
  for (bool any = false; mxq_pt2_list_next(text, &at, &e); any = true, end = e.at + e.n) {
    const struct mxq_pt2_change *c = next < count && changes[next].at == e.at ? &changes[next++] : NULL;
    assert(next == count || changes[next].at > e.at);
    if (c && !c->text.n) { /* with the comma before it, which only a list with something before has */
      uint32_t from = any ? end : e.at;
      mxq_pt2_splice(s, (struct mxq_span){from, e.at + e.n - from}, "", 0);
      continue;
    }
    if (!any && some)
      mxq_pt2_splice_comma(s, e.at);
    else if (any && !some) /* all before were taken out, and this one's comma goes too */
      mxq_pt2_splice(s, (struct mxq_span){end, e.at - end}, "", 0);
    some = true;
    if (c)
      mxq_pt2_splice_kept(s, (struct mxq_span){e.at, e.n}, c->text);
  }
  assert(next == count);
  if (back.n && some)
    mxq_pt2_splice_comma(s, end);
  if (back.n)
    mxq_pt2_splice_kept(s, (struct mxq_span){end, 0}, back);
  return end;
}

void mxq_pt2_splice_list(struct mxq_pt2_splices *s, const char *text, struct mxq_span list, const struct mxq_pt2_change *changes, size_t count,
                         const struct mxq_text *front, const struct mxq_text *back) {
  s->failed |= (front && front->failed) || (back && back->failed);
  struct mxq_pt2_kept first = mxq_pt2_splice_keep(s, front ? front->data : NULL, front ? front->size : 0);
  struct mxq_pt2_kept last = mxq_pt2_splice_keep(s, back ? back->data : NULL, back ? back->size : 0);
  if (!s->failed)
    mxq_pt2_splice_list_kept(s, text, list, changes, count, first, last);
}
