/* SPDX-License-Identifier: MIT */
/* Strings: UTF-8, escapes. */
#include <stdlib.h>
#include <string.h>

#include "formats/json/json_parse.h"
#include "lib/base/bytes.h"

/* Bytes that need a look: the quote, the backslash, control characters, everything outside ASCII. The lowest mark is exact, and only that one is used. */
static inline uint64_t marks(uint64_t w) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
  return (w | ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
}

static inline const char *plain_run(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t m = marks(mxq_get64(p));
    if (m)
      return p + (__builtin_ctzll(m) >> 3);
  }
  while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
    p++;
  return p;
}

/* Length of the UTF-8 sequence at p, 0 when it is none. */
static unsigned utf8(const char *s, const char *end) {
  const unsigned char *p = (const unsigned char *)s;
  size_t left = (size_t)(end - s);
  unsigned low = 0x80, high = 0xBF, n;
  if (p[0] < 0xC2)
    return 0;
  if (p[0] < 0xE0) {
    n = 2;
  } else if (p[0] < 0xF0) {
    n = 3;
    low = p[0] == 0xE0 ? 0xA0 : 0x80;
    high = p[0] == 0xED ? 0x9F : 0xBF;
  } else if (p[0] < 0xF5) {
    n = 4;
    low = p[0] == 0xF0 ? 0x90 : 0x80;
    high = p[0] == 0xF4 ? 0x8F : 0xBF;
  } else {
    return 0;
  }
  if (left < n || p[1] < low || p[1] > high)
    return 0;
  for (unsigned i = 2; i < n; i++)
    if ((p[i] & 0xC0) != 0x80)
      return 0;
  return n;
}

static bool hex4(const char *p, const char *end, unsigned *value) {
  if (end - p < 4)
    return false;
  unsigned v = 0;
  for (int i = 0; i < 4; i++) {
    unsigned c = (unsigned char)p[i], d = c - '0';
    if (d > 9) {
      d = (c | 0x20) - 'a' + 10;
      if (d < 10 || d > 15)
        return false;
    }
    v = v << 4 | d;
  }
  *value = v;
  return true;
}

static size_t put_utf8(char *out, unsigned c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xE0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3F));
    out[2] = (char)(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 0x3F));
  out[2] = (char)(0x80 | (c >> 6 & 0x3F));
  out[3] = (char)(0x80 | (c & 0x3F));
  return 4;
}

static bool need(mxq_json *j, size_t size) {
  if (size <= j->scratch_size)
    return true;
  size_t room = size < 128 ? 256 : size + size / 2;
  char *s = realloc(j->scratch, room);
  if (!s) {
    mxq_json_break(j, MXQ_ERR_NOMEM, j->token, "out of memory");
    return false;
  }
  j->scratch = s;
  j->scratch_size = room;
  return true;
}

/* The escape whose backslash stands at *at; the character is appended to out, which has room for 4 bytes or is in place, where it is never longer. */
static bool escape(mxq_json *j, const char **at, char *out, size_t *used) {
  static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *p = *at + 1;
  if (p == j->end)
    return mxq_json_break(j, MXQ_ERR_MALFORMED, *at, "the text ends inside a string");
  const char *letter = *p ? strchr(letters, *p) : NULL;
  if (letter) {
    out[(*used)++] = values[letter - letters];
    *at = p + 1;
    return true;
  }
  unsigned c, low;
  if (*p != 'u' || !hex4(p + 1, j->end, &c))
    return mxq_json_break(j, MXQ_ERR_MALFORMED, *at, "a backslash starts no escape that JSON has");
  p += 5;
  if (c >= 0xD800 && c < 0xE000) {
    if (c >= 0xDC00 || j->end - p < 6 || p[0] != '\\' || p[1] != 'u' || !hex4(p + 2, j->end, &low) || low < 0xDC00 || low >= 0xE000)
      return mxq_json_break(j, MXQ_ERR_MALFORMED, *at, "half of a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    p += 6;
  }
  if (c == 0 && !j->plain)
    return mxq_json_break(j, MXQ_ERR_MALFORMED, *at, "a NUL character in a string");
  *used += put_utf8(out + *used, c);
  *at = p;
  return true;
}

bool mxq_json_string(mxq_json *j, const char **text, size_t *n) {
  const char *p = j->p, *from = p; /* from: what is not in scratch yet */
  char *out = j->writable ? j->writable + (p - j->begin) : NULL; /* where decoded bytes go */
  size_t used = 0;
  bool copied = false;
  for (;;) {
    p = plain_run(p, j->end);
    if (p == j->end)
      return mxq_json_break(j, MXQ_ERR_MALFORMED, j->token, "the text ends inside the string that begins here");
    unsigned char c = (unsigned char)*p;
    if (c == '"')
      break;
    if (c < 0x20)
      return mxq_json_break(j, MXQ_ERR_MALFORMED, p, "a raw control character (byte %02x) in a string", c);
    if (c >= 0x80) {
      unsigned length = utf8(p, j->end);
      if (length == 0)
        return mxq_json_break(j, MXQ_ERR_MALFORMED, p, "bytes that are not UTF-8");
      p += length;
      continue;
    }
    if (!text) {
      char character[4];
      size_t n_character = 0;
      if (!escape(j, &p, character, &n_character))
        return false;
      continue;
    }
    size_t run = (size_t)(p - from);
    if (!j->writable) {
      if (!need(j, used + run + 4))
        return false;
      out = j->scratch;
    }
    if (out + used != from)
      memmove(out + used, from, run);
    used += run;
    copied = true;
    if (!escape(j, &p, out, &used))
      return false;
    from = p;
  }
  size_t run = (size_t)(p - from);
  if (!text) {
    j->p = p + 1;
    return true;
  }
  if (copied) {
    if (!j->writable) {
      if (!need(j, used + run + 1))
        return false;
      out = j->scratch;
    }
    memmove(out + used, from, run);
    *text = out;
    *n = used + run;
  } else {
    *text = from;
    *n = run;
  }
  if (*n > UINT32_MAX)
    return mxq_json_break(j, MXQ_ERR_LIMIT, j->token, "a string of more than 4 GiB");
  j->p = p + 1;
  return true;
}
