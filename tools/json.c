/* SPDX-License-Identifier: MIT */
#include "tools/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "tools/text.h"

/* Documents of 100,000 tensors are a million calls: the stream's lock is left alone. One thread prints. */
static void put(FILE *f, char c) { putc_unlocked(c, f); }
static void put_all(FILE *f, const char *s, size_t n) { fwrite_unlocked(s, 1, n, f); }

/* Characters that stand for themselves. */
static size_t plain(const char *s) {
  size_t n = 0;
  while (s[n] >= 0x20 && s[n] < 0x7F && s[n] != '"' && s[n] != '\\')
    n++;
  return n;
}

static void quote(FILE *f, const char *s) {
  put(f, '"');
  while (*s) {
    uint32_t c = 0;
    size_t n = plain(s);
    put_all(f, s, n);
    s += n;
    if (*s == 0)
      break;
    n = text_decode(s, &c);
    if (n == 0) {
      put_all(f, "\\ufffd", 6);
      n = 1;
    } else if (c == '"' || c == '\\') {
      put(f, '\\');
      put(f, (char)c);
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E)) {
      fprintf(f, "\\u%04" PRIx32, c);
    } else {
      put_all(f, s, n);
    }
    s += n;
  }
  put(f, '"');
}

static void lead(struct json *j, const char *key) {
  if (j->comma)
    put(j->f, ',');
  j->comma = true;
  if (key) {
    quote(j->f, key);
    put(j->f, ':');
  }
}

void json_begin(struct json *j, const char *key, char bracket) {
  lead(j, key);
  put(j->f, bracket);
  j->comma = false;
}

void json_end(struct json *j, char bracket) {
  put(j->f, bracket);
  j->comma = true;
}

void json_text(struct json *j, const char *key, const char *value) {
  if (!value) {
    json_null(j, key);
    return;
  }
  lead(j, key);
  quote(j->f, value);
}

static void put_number(FILE *f, uint64_t value) {
  char digits[24];
  size_t at = sizeof digits;
  do
    digits[--at] = (char)('0' + value % 10);
  while (value /= 10);
  put_all(f, digits + at, sizeof digits - at);
}

void json_count(struct json *j, const char *key, uint64_t value) {
  lead(j, key);
  put_number(j->f, value);
}

void json_whole(struct json *j, const char *key, int64_t value) {
  lead(j, key);
  if (value < 0)
    put(j->f, '-');
  put_number(j->f, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_real(struct json *j, const char *key, double value) {
  if (!isfinite(value)) {
    json_null(j, key);
    return;
  }
  char buf[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(buf, sizeof buf, "%.*g", digits, value);
    if (strtod(buf, NULL) == value)
      break;
  }
  lead(j, key);
  fputs(buf, j->f);
}

void json_flag(struct json *j, const char *key, bool value) {
  lead(j, key);
  put_all(j->f, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json *j, const char *key) {
  lead(j, key);
  put_all(j->f, "null", 4);
}

void json_counts(struct json *j, const char *key, uint32_t n, const uint64_t *values) {
  json_begin(j, key, '[');
  for (uint32_t i = 0; i < n; i++)
    json_count(j, NULL, values[i]);
  json_end(j, ']');
}
