/* SPDX-License-Identifier: MIT */
#include "formats/pt2/index.h"

#include <inttypes.h>
#include <stdlib.h>

static bool plain(unsigned char c) { return c >= 0x21 && c <= 0x7E && c != '%'; }

/* The bytes of an encoded name, one after the other; -1 behind the last. */
struct spell {
  const unsigned char *s;
  unsigned pending;                  /* hex digits still to come from *s */
};

static int next(struct spell *p) {
  unsigned char c = *p->s;
  if (p->pending) {
    unsigned digit = p->pending == 2 ? c >> 4 : c & 15u;
    if (--p->pending == 0)
      p->s++;
    return "0123456789ABCDEF"[digit];
  }
  if (c == 0)
    return -1;
  if (plain(c)) {
    p->s++;
    return c;
  }
  p->pending = 2;
  return '%';
}

static int order(const void *a, const void *b) {
  struct spell x = {(const unsigned char *)((const struct mxq_index_line *)a)->tensor->name, 0};
  struct spell y = {(const unsigned char *)((const struct mxq_index_line *)b)->tensor->name, 0};
  /* The empty name is a single '%': before all others that begin with an escape, as the shorter one. */
  if (*x.s == 0 || *y.s == 0) {
    int cx = *x.s ? next(&x) : '%', cy = *y.s ? next(&y) : '%';
    return cx != cy ? cx - cy : (*x.s != 0) - (*y.s != 0);
  }
  for (;;) {
    int cx = next(&x), cy = next(&y);
    if (cx != cy || cx < 0)
      return cx - cy;
  }
}

void mxq_index_sort(struct mxq_index_line *lines, size_t count) { qsort(lines, count, sizeof *lines, order); }

void mxq_index_line(struct mxq_text *t, const struct mxq_index_line *line) {
  const struct mxq_tensor *x = line->tensor;
  struct spell p = {(const unsigned char *)x->name, 0};
  if (x->name[0] == 0)
    mxq_text_add(t, "%", 1);
  for (int c; (c = next(&p)) >= 0;) {
    char byte = (char)c;
    mxq_text_add(t, &byte, 1);
  }
  mxq_text_addf(t, " %s ", x->format != MXQ_FORMAT_NONE ? mxq_format_name(x->format) : mxq_dtype_name(x->dtype));
  for (uint32_t a = 0; a < x->ndim; a++)
    mxq_text_addf(t, "%s%" PRIu64, a ? "x" : "", x->shape[a]);
  if (x->ndim == 0)
    mxq_text_add(t, "-", 1);
  if (x->format != MXQ_FORMAT_NONE)
    mxq_text_addf(t, " %" PRIu32 ":%" PRIu32, x->axis_first, x->axis_last);
  else
    mxq_text_add(t, " -", 2);
  mxq_text_addf(t, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %08" PRIx32 " %08" PRIx32 "\n", line->part[0].offset, line->part[0].size,
                line->part[1].offset, line->part[1].size, line->crc[0], line->crc[1]);
}
