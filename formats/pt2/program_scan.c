/* SPDX-License-Identifier: MIT */
#include "formats/pt2/program_scan.h"

#include <string.h>

#include "formats/json/json.h"

static const char *space(const char *p) {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
    p++;
  return p;
}

/* Behind the string that begins at p. */
static const char *string(const char *p) {
  for (p++; *p != '"'; p++)
    if (*p == '\\')
      p++;
  return p + 1;
}

static const char *skip(const char *p) {
  unsigned depth = 0;
  do {
    switch (*p) {
    case '"': p = string(p); break;
    case '{': case '[': depth++, p++; break;
    case '}': case ']': depth--, p++; break;
    case ',': case ':': case ' ': case '\n': case '\r': case '\t': p++; break;
    default: p += strcspn(p, ",]} \n\r\t");
    }
  } while (depth);
  return p;
}

void mxq_scan_open(struct mxq_scan *s) { s->p = space(s->p) + 1; }

void mxq_scan_skip(struct mxq_scan *s) { s->p = skip(space(s->p)); }

/* Keys that are looked for are ASCII: other escapes become a character that none has. */
static void decode(struct mxq_scan *s, const char *p, const char *end) {
  size_t n = 0;
  while (p < end && n < sizeof s->decoded) {
    char c = *p++;
    if (c == '\\') {
      c = *p++;
      if (c == 'u') {
        unsigned v = 0;
        for (int i = 0; i < 4; i++, p++)
          v = v << 4 | ((unsigned char)*p <= '9' ? (unsigned)*p - '0' : ((unsigned char)*p | 0x20u) - 'a' + 10);
        c = v < 0x80 ? (char)v : '\1';
      } else if (c != '/' && c != '"' && c != '\\') {
        c = '\1';
      }
    }
    s->decoded[n++] = c;
  }
  s->key = s->decoded;
  s->key_n = n;
}

bool mxq_scan_key(struct mxq_scan *s) {
  s->p = space(s->p);
  if (*s->p == ',')
    s->p = space(s->p + 1);
  if (*s->p == '}') {
    s->p++;
    return false;
  }
  const char *begin = s->p + 1, *end = string(s->p);
  s->key = begin;
  s->key_n = (size_t)(end - 1 - begin);
  if (memchr(begin, '\\', s->key_n))
    decode(s, begin, end - 1);
  s->p = space(space(end) + 1);
  return true;
}

bool mxq_scan_is(const struct mxq_scan *s, const char *word) { return s->key_n == strlen(word) && memcmp(s->key, word, s->key_n) == 0; }

bool mxq_scan_item(struct mxq_scan *s) {
  s->p = space(s->p);
  if (*s->p == ',')
    s->p = space(s->p + 1);
  if (*s->p != ']')
    return true;
  s->p++;
  return false;
}

uint32_t mxq_scan_count(const struct mxq_scan *s) {
  struct mxq_scan copy = {.p = s->p};
  uint32_t count = 0;
  mxq_scan_open(&copy);
  while (mxq_scan_item(&copy)) {
    mxq_scan_skip(&copy);
    count++;
  }
  return count;
}

bool mxq_scan_i64(struct mxq_scan *s, int64_t *value) {
  const char *begin = s->p = space(s->p);
  mxq_scan_skip(s);
  return mxq_json_text_to_i64(begin, (size_t)(s->p - begin), value);
}
