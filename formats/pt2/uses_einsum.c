/* SPDX-License-Identifier: MIT */
/* aten.einsum: which dimensions of an operand are summed together with another one's. */
#include <string.h>

#include "formats/pt2/uses.h"

enum { LABELS = 52, MOST_OPERANDS = 64 };

static int label(char c) { return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1; }

/* How often each label stands in [s, end); the length in labels, -1 when something else stands there. */
static int count(const char *s, const char *end, uint8_t times[LABELS]) {
  int n = 0;
  memset(times, 0, LABELS);
  for (; s < end; s++) {
    int l = label(*s);
    if (*s == ' ' || *s == '.')
      continue;
    if (l < 0 || n == MXQ_MAX_NDIM)
      return -1;
    times[l]++;
    n++;
  }
  return n;
}

uint64_t mxq_pt2_einsum(const char *equation, uint32_t operands, uint32_t operand, uint32_t ndim) {
  const char *arrow = strstr(equation, "->"), *end = arrow ? arrow : equation + strlen(equation), *from = equation, *mine = NULL, *mine_end = NULL;
  uint8_t times[LABELS], own[LABELS] = {0}, others[LABELS] = {0}, result[LABELS] = {0};
  uint32_t n = 0;
  int length = 0;
  uint64_t dims = 0;
  if (operands > MOST_OPERANDS)
    return 0;
  for (bool more = true; more; n++) {
    const char *comma = memchr(from, ',', (size_t)(end - from)), *to = comma ? comma : end;
    int labels = count(from, to, times);
    if (labels < 0)
      return 0;
    if (n == operand) {
      mine = from;
      mine_end = to;
      length = labels;
      memcpy(own, times, sizeof own);
    } else {
      for (int l = 0; l < LABELS; l++)
        others[l] |= times[l] != 0;
    }
    more = comma != NULL;
    from = to + 1;
  }
  if (n != operands || !mine || length > (int)ndim)
    return 0;
  if (arrow && count(arrow + 2, arrow + strlen(arrow), result) < 0)
    return 0;
  /* Without an arrow the result has the labels that stand once. */
  for (int l = 0; !arrow && l < LABELS; l++)
    result[l] = own[l] + others[l] == 1;
  uint32_t d = 0;
  for (const char *s = mine; s < mine_end; s++) {
    int l = label(*s);
    if (*s == '.') { /* "...": the dimensions that have no label */
      if (mine_end - s < 3 || s[1] != '.' || s[2] != '.')
        return 0;
      s += 2;
      d += ndim - (uint32_t)length;
    } else if (l >= 0) {
      if (own[l] > 1)
        return 0; /* a diagonal */
      if (others[l] && !result[l])
        dims |= UINT64_C(1) << d;
      d++;
    }
  }
  return d == ndim ? dims : 0;
}
