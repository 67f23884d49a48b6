/* SPDX-License-Identifier: MIT */
#include "tools/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "tools/text.h"

static void quote(FILE *f, const char *s) {
  fputc('"', f);
  while (*s) {
    uint32_t c = 0;
    size_t n = 0;
    while (s[n] >= 0x20 && s[n] < 0x7F && s[n] != '"' && s[n] != '\\') /* mostly all of it */
      n++;
    if (n) {
      fwrite(s, 1, n, f);
      s += n;
      continue;
    }
    n = text_decode(s, &c);
    if (n == 0) {
      fputs("\\ufffd", f);
      n = 1;
    } else if (c == '"' || c == '\\') {
      fprintf(f, "\\%c", (char)c);
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E)) {
      fprintf(f, "\\u%04" PRIx32, c);
    } else {
      fwrite(s, 1, n, f);
    }
    s += n;
  }
  fputc('"', f);
}

static void lead(struct json *j, const char *key) {
  if (j->comma)
    fputc(',', j->f);
  j->comma = true;
  if (key) {
    quote(j->f, key);
    fputc(':', j->f);
  }
}

void json_begin(struct json *j, const char *key, char bracket) {
  lead(j, key);
  fputc(bracket, j->f);
  j->comma = false;
}

void json_end(struct json *j, char bracket) {
  fputc(bracket, j->f);
  j->comma = true;
}

void json_text(struct json *j, const char *key, const char *value) {
  lead(j, key);
  if (value)
    quote(j->f, value);
  else
    fputs("null", j->f);
}

void json_count(struct json *j, const char *key, uint64_t value) {
  lead(j, key);
  fprintf(j->f, "%" PRIu64, value);
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
  fputs(value ? "true" : "false", j->f);
}

void json_null(struct json *j, const char *key) {
  lead(j, key);
  fputs("null", j->f);
}

void json_counts(struct json *j, const char *key, uint32_t n, const uint64_t *values) {
  json_begin(j, key, '[');
  for (uint32_t i = 0; i < n; i++)
    json_count(j, NULL, values[i]);
  json_end(j, ']');
}
