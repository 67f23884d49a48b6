/* SPDX-License-Identifier: MIT */
/* The grammar, one event a call. */
#include "formats/json/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mxq/archive.h>
#include "formats/json/json_parse.h"
#include "lib/base/fail.h"

enum mxq_json_type mxq_json_break(mxq_json *j, enum mxq_status status, const char *at, const char *fmt, ...) {
  if (j->status == MXQ_OK) {
    va_list ap;
    j->status = status;
    j->error_offset = (size_t)(at - j->begin);
    va_start(ap, fmt);
    vsnprintf(j->error, sizeof j->error, fmt, ap);
    va_end(ap);
  }
  return MXQ_JSON_ERROR;
}

enum mxq_status mxq_json_open(const char *text, size_t n, size_t max_nodes, mxq_json **json, struct mxq_error *err) {
  *json = NULL;
  mxq_json *j = calloc(1, sizeof *j);
  if (!j)
    return mxq_fail_nomem(err, "");
  j->begin = j->p = j->token = text ? text : "";
  j->end = j->begin + n;
  j->max_nodes = max_nodes ? max_nodes : (size_t)1 << 24;
  j->state = MXQ_JSON_VALUE;
  *json = j;
  return MXQ_OK;
}

enum mxq_status mxq_json_open_in_place(char *text, size_t n, size_t max_nodes, mxq_json **json, struct mxq_error *err) {
  enum mxq_status status = mxq_json_open(text, n, max_nodes, json, err);
  if (status == MXQ_OK)
    (*json)->writable = text;
  return status;
}

void mxq_json_close(mxq_json *j) {
  if (!j)
    return;
  for (unsigned i = 0; i < MXQ_JSON_DEPTH; i++)
    mxq_names_free(&j->level[i].many);
  mxq_arena_free(&j->keys);
  free(j->scratch);
  free(j);
}

size_t mxq_json_offset(const mxq_json *j) { return (size_t)(j->token - j->begin); }
size_t mxq_json_end_offset(const mxq_json *j) { return (size_t)(j->p - j->begin); }
void mxq_json_own_keys(mxq_json *j) { j->level[j->depth - 1].own = true; }
bool mxq_json_failed(const mxq_json *j) { return j->status != MXQ_OK; }

static inline const char *space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    p++;
  return p;
}

size_t mxq_json_start(const mxq_json *j) {
  const char *p = space(j->p, j->end);
  return (size_t)((p < j->end && *p == ',' ? space(p + 1, j->end) : p) - j->begin);
}

bool mxq_json_more(const mxq_json *j) {
  const char *p = space(j->p, j->end);
  return j->status == MXQ_OK && !(p < j->end && (*p == ']' || *p == '}'));
}

static enum mxq_json_type unexpected(mxq_json *j, const char *what) {
  if (j->p == j->end)
    return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "the text ends where %s should be", what);
  unsigned char c = (unsigned char)*j->p;
  if (j->p == j->begin && c == 0xEF)
    return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "the text begins with a byte order mark");
  if (c > 0x20 && c < 0x7F)
    return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "'%c' where %s should be", c, what);
  return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "byte %02x where %s should be", c, what);
}

static inline bool digit(const char *p, const char *end) { return p < end && (unsigned char)(*p - '0') < 10; }

static enum mxq_json_type number(mxq_json *j, const char **text, size_t *n) {
  const char *p = j->p, *end = j->end;
  if (*p == '-')
    p++;
  if (!digit(p, end))
    return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "a minus sign without a number");
  if (*p == '0' && digit(p + 1, end))
    return mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "a number with a leading zero");
  while (digit(p, end))
    p++;
  if (p < end && *p == '.') {
    if (!digit(++p, end))
      return mxq_json_break(j, MXQ_ERR_MALFORMED, p, "no digit behind the decimal point");
    while (digit(p, end))
      p++;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < end && (*p == '+' || *p == '-'))
      p++;
    if (!digit(p, end))
      return mxq_json_break(j, MXQ_ERR_MALFORMED, p, "an exponent without a digit");
    while (digit(p, end))
      p++;
  }
  if (text)
    *text = j->p;
  *n = (size_t)(p - j->p);
  j->p = p;
  return MXQ_JSON_NUMBER;
}

static enum mxq_json_type word(mxq_json *j, const char *literal, size_t n, enum mxq_json_type type) {
  if ((size_t)(j->end - j->p) < n || memcmp(j->p, literal, n) != 0)
    return unexpected(j, "a value");
  j->p += n;
  return type;
}

static enum mxq_json_type open_container(mxq_json *j, bool object) {
  if (j->depth == MXQ_JSON_DEPTH)
    return mxq_json_break(j, MXQ_ERR_LIMIT, j->p, "more than %d values inside one another", MXQ_JSON_DEPTH);
  j->p++;
  j->objects = (j->objects & ~((uint64_t)1 << j->depth)) | (uint64_t)object << j->depth;
  j->level[j->depth].own = false;
  j->level[j->depth++].count = 0;
  j->state = object ? MXQ_JSON_FIRST_KEY : MXQ_JSON_FIRST_VALUE;
  return object ? MXQ_JSON_OBJECT : MXQ_JSON_ARRAY;
}

static inline enum mxq_json_type close_container(mxq_json *j, bool object) {
  j->p++;
  struct mxq_json_level *l = &j->level[--j->depth];
  if (l->many.slots)
    mxq_names_free(&l->many);
  j->state = j->depth ? MXQ_JSON_MORE : MXQ_JSON_AFTER;
  return object ? MXQ_JSON_OBJECT_END : MXQ_JSON_ARRAY_END;
}

static enum mxq_json_type value(mxq_json *j, const char **text, size_t *n) {
  if (j->p == j->end)
    return unexpected(j, "a value");
  if (j->nodes++ >= j->max_nodes)
    return mxq_json_break(j, MXQ_ERR_LIMIT, j->p, "more than %zu values, the limit that is set", j->max_nodes);
  switch (*j->p) {
  case '{': return open_container(j, true);
  case '[': return open_container(j, false);
  default: break;
  }
  j->state = j->depth ? MXQ_JSON_MORE : MXQ_JSON_AFTER;
  switch (*j->p) {
  case '"':
    j->p++;
    return mxq_json_string(j, text, n) ? MXQ_JSON_STRING : MXQ_JSON_ERROR;
  case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
    return number(j, text, n);
  case 't': return word(j, "true", 4, MXQ_JSON_TRUE);
  case 'f': return word(j, "false", 5, MXQ_JSON_FALSE);
  case 'n': return word(j, "null", 4, MXQ_JSON_NULL);
  default: return unexpected(j, "a value");
  }
}

static bool put_many(mxq_json *j, struct mxq_json_level *l, const char *text, size_t n) {
  uint32_t number = 0;
  enum mxq_names_put put = mxq_names_put(&l->many, text, n, &number);
  if (put == MXQ_NAMES_NOMEM)
    mxq_json_break(j, MXQ_ERR_NOMEM, j->token, "out of memory");
  return put == MXQ_NAMES_NEW;
}

/* Remembers a key of the innermost object. */
static bool remember(mxq_json *j, const char *text, size_t n) {
  struct mxq_json_level *l = &j->level[j->depth - 1];
  bool fresh = true;
  uint32_t listed = l->count < MXQ_JSON_FEW ? l->count : 0;
  if (l->count < MXQ_JSON_FEW || !l->many.slots) {
    listed = l->count;
    for (uint32_t i = 0; i < listed && fresh; i++)
      fresh = l->few[i].n != n || memcmp(l->few[i].text, text, n) != 0;
  }
  if (fresh && text == j->scratch && !j->writable && !(text = mxq_arena_text(&j->keys, text, n))) {
    mxq_json_break(j, MXQ_ERR_NOMEM, j->token, "out of memory");
    return false;
  }
  if (fresh && l->count == MXQ_JSON_FEW && !l->many.slots)
    for (uint32_t i = 0; i < MXQ_JSON_FEW; i++)
      if (!put_many(j, l, l->few[i].text, l->few[i].n))
        return false;
  if (fresh && l->count >= MXQ_JSON_FEW)
    fresh = put_many(j, l, text, n);
  if (!fresh) {
    mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "the key \"%.*s\" stands twice in one object", n > 80 ? 80 : (int)n, text);
    return false;
  }
  if (l->count < MXQ_JSON_FEW) {
    l->few[l->count].text = text;
    l->few[l->count].n = (uint32_t)n;
    l->count++;
  }
  return true;
}

static enum mxq_json_type key(mxq_json *j, const char **text, size_t *n) {
  j->token = j->p;
  if (j->p == j->end || *j->p != '"')
    return unexpected(j, "a key");
  j->p++;
  if (!mxq_json_string(j, text, n) || (!j->plain && !j->level[j->depth - 1].own && !remember(j, *text, *n)))
    return MXQ_JSON_ERROR;
  j->p = space(j->p, j->end);
  if (j->p == j->end || *j->p != ':')
    return unexpected(j, "':'");
  j->p++;
  j->state = MXQ_JSON_VALUE;
  return MXQ_JSON_KEY;
}

enum mxq_json_type mxq_json_next(mxq_json *j, const char **text, size_t *n) {
  const char *unused_text;
  size_t unused_n;
  const char **value_text = text;
  if (!text)
    text = &unused_text;
  if (!n)
    n = &unused_n;
  if (j->status != MXQ_OK)
    return MXQ_JSON_ERROR;
  j->token = j->p = space(j->p, j->end);
  bool object = j->depth && j->objects >> (j->depth - 1) & 1;
  switch (j->state) {
  case MXQ_JSON_VALUE:
    return value(j, value_text, n);
  case MXQ_JSON_FIRST_VALUE:
    if (j->p < j->end && *j->p == ']')
      return close_container(j, false);
    return value(j, value_text, n);
  case MXQ_JSON_FIRST_KEY:
    if (j->p < j->end && *j->p == '}')
      return close_container(j, true);
    return key(j, text, n);
  case MXQ_JSON_MORE:
    if (j->p == j->end)
      return unexpected(j, object ? "',' or '}'" : "',' or ']'");
    if (*j->p == (object ? '}' : ']'))
      return close_container(j, object);
    if (*j->p != ',')
      return unexpected(j, object ? "',' or '}'" : "',' or ']'");
    j->token = j->p = space(j->p + 1, j->end);
    return object ? key(j, text, n) : value(j, value_text, n);
  case MXQ_JSON_AFTER:
    break;
  }
  return j->p == j->end ? MXQ_JSON_DONE : unexpected(j, "the end of the text");
}

enum mxq_status mxq_json_end(mxq_json *j, const char *subject, struct mxq_error *err) {
  if (j->status == MXQ_OK && j->state != MXQ_JSON_AFTER)
    mxq_json_break(j, MXQ_ERR_MALFORMED, j->p, "the text goes on where it should end");
  mxq_json_next(j, NULL, NULL);
  if (j->status == MXQ_OK)
    return MXQ_OK;
  if (j->status == MXQ_ERR_NOMEM)
    return mxq_fail_nomem(err, subject);
  return mxq_fail_at(err, j->status, subject, j->error_offset, "JSON: %s", j->error);
}

enum mxq_status mxq_json_check(const char *text, size_t n, struct mxq_error *err) {
  assert(text || n == 0);
  mxq_json *j;
  enum mxq_status status = mxq_json_open(text, n, 0, &j, err);
  if (status != MXQ_OK)
    return status;
  j->plain = true;
  enum mxq_json_type type;
  do
    type = mxq_json_next(j, NULL, NULL);
  while (type != MXQ_JSON_DONE && type != MXQ_JSON_ERROR);
  status = mxq_json_end(j, "", err);
  mxq_json_close(j);
  return status;
}
