/* SPDX-License-Identifier: MIT */
/* What the readers of a program's parts share: saying where and in what something is wrong, room, texts, unions. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program_index.h"
#include "lib/base/fail.h"

/* The name of the node at ix->node_at, whose end the parser may not have seen yet: its "name", else its target. */
static void node_title(const struct mxq_pt2_indexer *ix, char title[120]) {
  mxq_json *j;
  const char *s, *key;
  size_t n, key_n;
  snprintf(title, 120, "?");
  if (mxq_json_open(ix->p->text + ix->node_at, ix->p->size - ix->node_at, 0, &j, NULL) != MXQ_OK)
    return;
  if (mxq_json_expect(j, MXQ_JSON_OBJECT))
    while (mxq_json_next(j, &key, &key_n) == MXQ_JSON_KEY) {
      bool name = mxq_pt2_is(key, key_n, "name"), target = mxq_pt2_is(key, key_n, "target");
      enum mxq_json_type type = mxq_json_next(j, &s, &n);
      if ((name || target) && type == MXQ_JSON_STRING)
        snprintf(title, 120, "%.*s", n > 100 ? 100 : (int)n, s);
      if (name && type == MXQ_JSON_STRING)
        break;
      mxq_json_skip(j, type);
    }
  mxq_json_close(j);
}

enum mxq_status mxq_pt2_told(struct mxq_pt2_indexer *ix, enum mxq_status status, size_t at, const char *what) {
  const char *member = ix->p->member;
  char title[120];
  if (ix->node_at != SIZE_MAX) {
    node_title(ix, title);
    return mxq_fail_at(ix->err, status, member, at, "node '%s': %s", title, what);
  }
  if (ix->value)
    return mxq_fail_at(ix->err, status, member, at, "value '%.*s': %s", ix->value_n > 100 ? 100 : (int)ix->value_n, ix->value, what);
  return mxq_fail_at(ix->err, status, member, at, "%s", what);
}

bool mxq_pt2_refuse(struct mxq_pt2_indexer *ix, enum mxq_status status, size_t at, const char *fmt, ...) {
  if (!mxq_pt2_ok(ix))
    return false;
  char text[360];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  ix->status = mxq_pt2_told(ix, status, at, text);
  return false;
}

bool mxq_pt2_nomem(struct mxq_pt2_indexer *ix) {
  if (ix->status == MXQ_OK)
    ix->status = mxq_fail_nomem(ix->err, ix->r->base.path);
  return false;
}

bool mxq_pt2_ok(const struct mxq_pt2_indexer *ix) { return ix->status == MXQ_OK && !mxq_json_failed(ix->json); }

bool mxq_pt2_room(struct mxq_pt2_indexer *ix, void *array, uint32_t *room, uint32_t count, size_t element) {
  if (count < *room)
    return true;
  size_t more = *room ? (size_t)*room + *room / 2 + 1 : 4, bytes;
  void *grown = NULL;
  if (more < UINT32_MAX && !__builtin_mul_overflow(more, element, &bytes))
    grown = realloc(*(void **)array, bytes);
  if (!grown)
    return mxq_pt2_nomem(ix);
  *(void **)array = grown;
  *room = (uint32_t)more;
  return true;
}

const char *mxq_pt2_keep(struct mxq_pt2_indexer *ix, const char *s, size_t n) {
  if (s >= ix->p->text && s <= ix->p->text + ix->p->size)
    return s;
  s = mxq_arena_text(&ix->p->arena, s, n);
  if (!s)
    mxq_pt2_nomem(ix);
  return s;
}

struct mxq_span mxq_pt2_span(const struct mxq_pt2_indexer *ix, size_t at) {
  return (struct mxq_span){(uint32_t)at, (uint32_t)(mxq_json_end_offset(ix->json) - at)};
}

bool mxq_pt2_union(struct mxq_pt2_indexer *ix, const char *what, const char **key, size_t *n) {
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  enum mxq_json_type type = mxq_json_next(ix->json, key, n);
  if (type == MXQ_JSON_OBJECT_END)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "%s must be an object with one key, this one has none", what);
  return type == MXQ_JSON_KEY;
}

bool mxq_pt2_union_end(struct mxq_pt2_indexer *ix, const char *what) {
  if (!mxq_pt2_ok(ix))
    return false;
  enum mxq_json_type type = mxq_json_next(ix->json, NULL, NULL);
  if (type == MXQ_JSON_KEY)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "%s must be an object with one key, this one has more", what);
  return type == MXQ_JSON_OBJECT_END;
}

bool mxq_pt2_string(struct mxq_pt2_indexer *ix, const char **s, size_t *n) {
  enum mxq_json_type type = mxq_json_next(ix->json, s, n);
  if (type != MXQ_JSON_STRING && type != MXQ_JSON_ERROR)
    mxq_json_reject(ix->json, mxq_json_offset(ix->json), "something else where a text should be");
  return type == MXQ_JSON_STRING;
}
