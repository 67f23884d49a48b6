/* SPDX-License-Identifier: MIT */
#include "lib/io/io.h"

#include <string.h>

const char *mxq_path_base(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

bool mxq_utf8_valid(const char *s, size_t n) {
  const unsigned char *p = (const unsigned char *)s, *end = p + n;
  while (p < end) {
    unsigned c = *p++;
    if (c < 0x80)
      continue;
    /* The lead byte says how many follow, and bounds the first of them (Unicode, table 3-7). */
    unsigned follow = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    unsigned low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (c < 0xC2 || c > 0xF4 || (size_t)(end - p) < follow || *p < low || *p > high)
      return false;
    for (p++; --follow; p++)
      if ((*p & 0xC0) != 0x80)
        return false;
  }
  return true;
}

int mxq_clip(const char *s) {
  enum { MOST = 200 };
  size_t n = strnlen(s, MOST + 1);
  if (n > MOST)
    for (n = MOST; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80; n--)
      ;
  return (int)n;
}
