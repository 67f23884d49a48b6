/* SPDX-License-Identifier: MIT */
#include "formats/pt2/config_text.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"

const char *mxq_pt2_key(struct mxq_arena *arena, const char *text, struct mxq_span e, uint32_t *behind) {
  const char *begin = text + e.at + 1, *end = begin;
  bool escaped = false;
  for (; *end != '"'; end++)
    if (*end == '\\') {
      escaped = true;
      end++;
    }
  *behind = (uint32_t)(end + 1 - text);
  if (!escaped)
    return mxq_arena_text(arena, begin, (size_t)(end - begin));
  mxq_json *json;
  const char *s, *copy = NULL;
  size_t n;
  if (mxq_json_open(begin - 1, (size_t)(end + 2 - begin), 0, &json, NULL) != MXQ_OK)
    return NULL;
  if (mxq_json_next(json, &s, &n) == MXQ_JSON_STRING)
    copy = mxq_arena_text(arena, s, n);
  mxq_json_close(json);
  return copy;
}

static uint32_t to_list(const char *text, uint32_t at) {
  while (text[at] != '{')
    at++;
  return at;
}

static bool add(struct mxq_pt2_config_text *c, size_t *room, const char *text, struct mxq_span e) {
  uint32_t behind, number = (uint32_t)c->count;
  if (c->count == *room) {
    size_t more = *room ? 2 * *room : 64;
    struct mxq_pt2_config_entry *entries = realloc(c->entries, more * sizeof *entries);
    if (!entries)
      return false;
    c->entries = entries;
    *room = more;
  }
  const char *name = mxq_pt2_key(&c->arena, text, e, &behind);
  if (!name || mxq_names_put(&c->by_name, name, strlen(name), &number) == MXQ_NAMES_NOMEM)
    return false;
  c->entries[c->count++] = (struct mxq_pt2_config_entry){name, e};
  return true;
}

enum mxq_status mxq_pt2_config_index(struct mxq_pt2_config_text *c, const char *text, size_t n, struct mxq_error *err) {
  if (n > UINT32_MAX - 1)
    return mxq_fail(err, MXQ_ERR_LIMIT, NULL, "a config of more than 4 GiB cannot be edited");
  uint32_t at = to_list(text, 0) + 1, behind;
  struct mxq_span e;
  size_t room = 0;
  while (c->list.n == 0 && mxq_pt2_list_next(text, &at, &e)) {
    const char *name = mxq_pt2_key(&c->arena, text, e, &behind);
    if (!name)
      return mxq_fail_nomem(err, NULL);
    if (strcmp(name, "config") == 0) {
      c->list.at = to_list(text, behind);
      c->list.n = e.at + e.n - c->list.at;
    }
  }
  at = c->list.at + 1;
  while (mxq_pt2_list_next(text, &at, &e))
    if (!add(c, &room, text, e))
      return mxq_fail_nomem(err, NULL);
  return MXQ_OK;
}

const struct mxq_pt2_config_entry *mxq_pt2_config_find(const struct mxq_pt2_config_text *c, const char *name) {
  uint32_t i = mxq_names_find(&c->by_name, name, strlen(name));
  return i == UINT32_MAX ? NULL : &c->entries[i];
}

void mxq_pt2_config_free(struct mxq_pt2_config_text *c) {
  free(c->entries);
  mxq_arena_free(&c->arena);
  mxq_names_free(&c->by_name);
  *c = (struct mxq_pt2_config_text){0};
}
