/* SPDX-License-Identifier: MIT */
/* Composing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json/json.h"

/* Room for n more bytes and a NUL. */
static bool need(struct mxq_text *t, size_t n) {
  size_t least;
  if (t->failed || __builtin_add_overflow(t->size, n, &least) || __builtin_add_overflow(least, 1, &least)) {
    t->failed = true;
    return false;
  }
  if (least <= t->capacity)
    return true;
  size_t room = least < SIZE_MAX / 2 ? least + least / 2 : least;
  char *data = realloc(t->data, room < 256 ? 256 : room);
  if (!data) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->capacity = room < 256 ? 256 : room;
  return true;
}

void mxq_text_add(struct mxq_text *t, const char *s, size_t n) {
  if (!need(t, n))
    return;
  if (n)
    memcpy(t->data + t->size, s, n);
  t->size += n;
  t->data[t->size] = 0;
}

void mxq_text_addf(struct mxq_text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n < 0) {
    t->failed = true;
    return;
  }
  if (!need(t, (size_t)n))
    return;
  va_start(ap, fmt);
  vsnprintf(t->data + t->size, (size_t)n + 1, fmt, ap);
  va_end(ap);
  t->size += (size_t)n;
}

static void unit(struct mxq_text *t, unsigned u) { mxq_text_addf(t, "\\u%04x", u); }

static bool as_is(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

void mxq_text_quote(struct mxq_text *t, const char *s, size_t n) {
  static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
  mxq_text_add(t, "\"", 1);
  for (size_t i = 0; i < n;) {
    size_t run = i;
    while (run < n && as_is((unsigned char)s[run]))
      run++;
    if (run > i) {
      mxq_text_add(t, s + i, run - i);
      i = run;
      continue;
    }
    unsigned c = (unsigned char)s[i++];
    const char *escape = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (escape) {
      char pair[2] = {'\\', to[escape - from]};
      mxq_text_add(t, pair, 2);
      continue;
    }
    unsigned more = c < 0xC0 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (more)
      c &= 0x3Fu >> more;
    for (; more && i < n; more--)
      c = c << 6 | ((unsigned char)s[i++] & 0x3F);
    if (c == 0x7F) {
      mxq_text_add(t, "\x7f", 1);
    } else if (c >= 0x10000) {
      unit(t, 0xD800 + ((c - 0x10000) >> 10));
      unit(t, 0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      unit(t, c);
    }
  }
  mxq_text_add(t, "\"", 1);
}

void mxq_text_free(struct mxq_text *t) {
  free(t->data);
  memset(t, 0, sizeof *t);
}
