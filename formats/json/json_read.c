/* SPDX-License-Identifier: MIT */
/* Typed reading on top of the events. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats/json/json_parse.h"

static const char *type_name(enum mxq_json_type type) {
  switch (type) {
  case MXQ_JSON_NULL: return "null";
  case MXQ_JSON_FALSE: return "false";
  case MXQ_JSON_TRUE: return "true";
  case MXQ_JSON_NUMBER: return "a number";
  case MXQ_JSON_STRING: return "a string";
  case MXQ_JSON_OBJECT: return "an object";
  case MXQ_JSON_OBJECT_END: return "the end of an object";
  case MXQ_JSON_ARRAY: return "an array";
  case MXQ_JSON_ARRAY_END: return "the end of an array";
  case MXQ_JSON_KEY: return "a key";
  case MXQ_JSON_DONE: return "the end";
  case MXQ_JSON_ERROR: break;
  }
  return "an error";
}

void mxq_json_reject(mxq_json *j, size_t offset, const char *fmt, ...) {
  char text[sizeof j->error];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  mxq_json_break(j, MXQ_ERR_MALFORMED, j->begin + offset, "%s", text);
}

void mxq_json_skip(mxq_json *j, enum mxq_json_type first) {
  if (first == MXQ_JSON_KEY)
    first = mxq_json_next(j, NULL, NULL);
  if (first != MXQ_JSON_OBJECT && first != MXQ_JSON_ARRAY)
    return;
  unsigned outside = j->depth - 1;
  while (j->depth > outside && mxq_json_next(j, NULL, NULL) != MXQ_JSON_ERROR)
    ;
}

static enum mxq_json_type expect(mxq_json *j, enum mxq_json_type type, const char **text, size_t *n) {
  enum mxq_json_type got = mxq_json_next(j, text, n);
  if (got != type && got != MXQ_JSON_ERROR)
    mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "%s where %s should be", type_name(got), type_name(type));
  return got == type ? got : MXQ_JSON_ERROR;
}

bool mxq_json_expect(mxq_json *j, enum mxq_json_type type) { return expect(j, type, NULL, NULL) != MXQ_JSON_ERROR; }

bool mxq_json_text_to_u64(const char *text, size_t n, uint64_t *value) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned d = (unsigned char)text[i] - (unsigned)'0';
    if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
      return false;
  }
  if (n == 0)
    return false;
  *value = v;
  return true;
}

bool mxq_json_text_to_i64(const char *text, size_t n, int64_t *value) {
  uint64_t v;
  bool negative = n && text[0] == '-';
  if (!mxq_json_text_to_u64(text + negative, n - negative, &v) || v > (uint64_t)INT64_MAX + negative)
    return false;
  *value = negative ? (int64_t)(0 - v) : (int64_t)v;
  return true;
}

bool mxq_json_u64(mxq_json *j, uint64_t *value) {
  const char *text;
  size_t n;
  if (expect(j, MXQ_JSON_NUMBER, &text, &n) == MXQ_JSON_ERROR)
    return false;
  if (mxq_json_text_to_u64(text, n, value))
    return true;
  mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "%.*s is not an integer from 0 to 2^64 - 1", n > 40 ? 40 : (int)n, text);
  return false;
}

bool mxq_json_i64(mxq_json *j, int64_t *value) {
  const char *text;
  size_t n;
  if (expect(j, MXQ_JSON_NUMBER, &text, &n) == MXQ_JSON_ERROR)
    return false;
  if (mxq_json_text_to_i64(text, n, value))
    return true;
  mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "%.*s is not an integer of 64 bits", n > 40 ? 40 : (int)n, text);
  return false;
}

bool mxq_json_bool(mxq_json *j, bool *value) {
  enum mxq_json_type got = mxq_json_next(j, NULL, NULL);
  *value = got == MXQ_JSON_TRUE;
  if (got == MXQ_JSON_TRUE || got == MXQ_JSON_FALSE)
    return true;
  if (got != MXQ_JSON_ERROR)
    mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "%s where true or false should be", type_name(got));
  return false;
}

bool mxq_json_text(mxq_json *j, struct mxq_arena *arena, const char **text) {
  const char *s;
  size_t n;
  if (expect(j, MXQ_JSON_STRING, &s, &n) == MXQ_JSON_ERROR)
    return false;
  *text = mxq_arena_text(arena, s, n);
  if (!*text)
    mxq_json_break(j, MXQ_ERR_NOMEM, j->token, "out of memory");
  return *text != NULL;
}
