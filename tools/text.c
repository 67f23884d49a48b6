/* SPDX-License-Identifier: MIT */
#include "tools/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t text_decode(const char *s, uint32_t *code_point) {
  const unsigned char *p = (const unsigned char *)s;
  size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
  if (n == 0 || p[0] == 0)
    return 0;
  uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xC0) != 0x80)
      return 0;
    c = c << 6 | (p[i] & 0x3F);
  }
  if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10FFFF)) || (c >= 0xD800 && c < 0xE000))
    return 0;
  *code_point = c;
  return n;
}

struct range { uint32_t first, last; };

static bool in(const struct range *r, size_t n, uint32_t c) {
  for (size_t i = 0; i < n; i++)
    if (c >= r[i].first && c <= r[i].last)
      return true;
  return false;
}
#define IN(ranges, c) in(ranges, sizeof ranges / sizeof *ranges, c)

/* Controls, invisible and reordering characters. */
static const struct range dangerous[] = {{0, 0x1F}, {0x7F, 0x9F}, {0xAD, 0xAD}, {0x61C, 0x61C}, {0x200B, 0x200F}, {0x2028, 0x202E},
                                         {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}};
static const struct range combining[] = {{0x300, 0x36F}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
static const struct range wide[] = {{0x1100, 0x115F}, {0x2E80, 0xA4CF}, {0xAC00, 0xD7A3}, {0xF900, 0xFAFF}, {0xFE30, 0xFE6F},
                                    {0xFF00, 0xFF60}, {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD}};

/* What is shown for the character at s: its bytes, columns, and how many bytes of s it stands for. */
struct glyph {
  char bytes[12];
  size_t n, columns, taken;
};

static struct glyph glyph_at(const char *s) {
  struct glyph g = {.taken = 1};
  uint32_t c = 0;
  size_t n = text_decode(s, &c);
  if (n == 0) {
    g.n = (size_t)snprintf(g.bytes, sizeof g.bytes, "\\x%02x", (unsigned char)*s);
  } else if (IN(dangerous, c)) {
    g.taken = n;
    g.n = (size_t)snprintf(g.bytes, sizeof g.bytes, c < 0x80 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, c);
  } else {
    g.taken = g.n = n;
    memcpy(g.bytes, s, n);
    g.columns = IN(combining, c) ? 0 : IN(wide, c) ? 2 : 1;
    return g;
  }
  g.columns = g.n;
  return g;
}

/* Characters at the beginning of s that are shown as they are, one column each: most names hold no others. */
static size_t plain(const char *s) {
  size_t n = 0;
  while (s[n] >= 0x20 && s[n] < 0x7F)
    n++;
  return n;
}

size_t text_columns(const char *s) {
  size_t columns = plain(s);
  s += columns;
  while (*s) {
    struct glyph g = glyph_at(s);
    columns += g.columns;
    s += g.taken;
  }
  return columns;
}

void text_print(FILE *f, const char *s) {
  size_t n = plain(s);
  fwrite(s, 1, n, f);
  for (s += n; *s;) {
    struct glyph g = glyph_at(s);
    fwrite(g.bytes, 1, g.n, f);
    s += g.taken;
  }
}

size_t text_fit(FILE *f, const char *s, size_t columns) {
  static const char dots[] = "...";
  size_t all = text_columns(s);
  if (all <= columns) {
    text_print(f, s);
    return all;
  }
  if (columns < sizeof dots - 1)
    return 0;
  /* The end of a name tells more than its beginning. */
  size_t room = columns - (sizeof dots - 1), head = room / 2, tail = room - head, used = 0, seen = 0;
  while (*s) {
    struct glyph g = glyph_at(s);
    if (seen + g.columns > head)
      break;
    fwrite(g.bytes, 1, g.n, f);
    seen += g.columns;
    s += g.taken;
  }
  used = seen + fwrite(dots, 1, sizeof dots - 1, f);
  for (; *s && all - seen > tail;) {
    struct glyph g = glyph_at(s);
    seen += g.columns;
    s += g.taken;
  }
  text_print(f, s);
  return used + (all - seen);
}

void text_cell(FILE *f, const char *s, size_t columns) {
  for (size_t used = text_fit(f, s, columns); used < columns; used++)
    fputc(' ', f);
}

const char *text_count(char buf[TEXT_NUMBER], uint64_t n) {
  char digits[24];
  size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
  for (size_t i = 0; i < len; i++) {
    if (i && (len - i) % 3 == 0)
      buf[at++] = ',';
    buf[at++] = digits[i];
  }
  buf[at] = 0;
  return buf;
}

const char *text_things(char buf[TEXT_THINGS], uint64_t n, const char *thing) {
  char number[TEXT_NUMBER];
  snprintf(buf, TEXT_THINGS, "%s %.24s%s", text_count(number, n), thing, n == 1 ? "" : "s");
  return buf;
}

const char *text_short(char buf[TEXT_NUMBER], uint64_t n) {
  static const char letters[] = "MGTPE";
  if (n < 1000000)
    return text_count(buf, n);
  double x = (double)n / 1e6;
  const char *letter = letters;
  for (; x >= 999.95 && letter[1]; letter++)
    x /= 1000;
  snprintf(buf, TEXT_NUMBER, "%.1f%c", x, *letter);
  return buf;
}

const char *text_shape(char *buf, size_t size, uint32_t ndim, const uint64_t *shape) {
  size_t used = 0;
  snprintf(buf, size, "-");
  for (uint32_t a = 0; a < ndim; a++) {
    char part[24];
    size_t n = (size_t)snprintf(part, sizeof part, "%s%" PRIu64, a ? "x" : "", shape[a]);
    if (used + n + (a + 1 < ndim ? 3 : 0) >= size) {
      snprintf(buf + used, size - used, "...");
      break;
    }
    memcpy(buf + used, part, n + 1);
    used += n;
  }
  return buf;
}

const char *text_real(char buf[TEXT_NUMBER], double x, int decimals) {
  if (isnan(x))
    snprintf(buf, TEXT_NUMBER, "-");
  else if (isinf(x))
    snprintf(buf, TEXT_NUMBER, x > 0 ? "inf" : "-inf");
  else
    snprintf(buf, TEXT_NUMBER, fabs(x) < 1e15 ? "%.*f" : "%.*e", decimals, x);
  return buf;
}
