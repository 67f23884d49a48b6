/* SPDX-License-Identifier: MIT */
/* Operators that look elements up in a table, and that make constants. */
#include <string.h>

#include "formats/pt2/recognise.h"

/* Rows of the table, `width` numbers each, by index; the result has the index's shape with `more` sizes of the table behind it. */
static void look_up(struct mxq_probe *t, const struct mxq_probe_value *table, const struct mxq_probe_value *index, uint64_t rows, uint64_t width,
                    uint32_t more, struct mxq_probe_value *out) {
  int64_t size[MXQ_MAX_NDIM];
  if (table->source != MXQ_NO_NUMBER || !mxq_probe_is_int(index->dtype) || index->dtype == MXQ_BOOL || index->ndim + more > MXQ_MAX_NDIM)
    return;
  memcpy(size, index->size, index->ndim * sizeof *size);
  memcpy(size + index->ndim, table->size + table->ndim - more, more * sizeof *size);
  if (!mxq_probe_shape(out, index->ndim + more, size) || width > 64)
    return;
  out->source = index->source;
  out->dtype = table->dtype;
  out->uniform = index->uniform && width == 1;
  if (index->uniform && width > 1)
    return;
  out->period = index->source == MXQ_NO_NUMBER ? 1 : (uint32_t)(index->period * width);
  uint64_t n = index->n * width;
  if (!mxq_probe_elements(t, out, index->source != MXQ_NO_NUMBER && n > MXQ_PROBE_MOST ? MXQ_PROBE_MOST : n))
    return;
  for (uint32_t i = 0; i < out->n; i++) {
    struct mxq_probe_number at = index->e[i / width];
    out->e[i].ok = false;            /* beyond the table the program fails; a negative index means the end only to some operators */
    if (at.ok && at.i >= 0 && (uint64_t)at.i < rows)
      out->e[i] = table->e[table->uniform ? 0 : (uint64_t)at.i * width + i % width];
  }
  out->known = true;
}

static void by_first(struct mxq_probe *t, const struct mxq_probe_value *table, const struct mxq_probe_value *index, struct mxq_probe_value *out) {
  if (table && index && index->known && table->ndim >= 1)
    look_up(t, table, index, (uint64_t)table->size[0], table->total / (uint64_t)table->size[0], table->ndim - 1, out);
}

static const struct mxq_probe_value *only_index(const struct mxq_probe *t) {
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, "indices");
  if (!a || a->kind != MXQ_ARG_VALUES || a->count != 1 || a->values[0] == MXQ_NO_NUMBER)
    return NULL;
  return t->values[a->values[0]];
}

/* One number everywhere. */
static void fill(struct mxq_probe *t, const char *number, double fixed, const struct mxq_probe_value *like, struct mxq_probe_value *out) {
  struct mxq_probe_value s = {.dtype = MXQ_F32};
  const struct mxq_probe_value *from = &s;
  const struct mxq_pt2_arg *size = mxq_probe_arg(t, "size");
  if (number && (!mxq_probe_operand(t, number, &s, &from) || from != &s))
    return;
  if (like ? !mxq_probe_shape(out, like->ndim, like->size)
           : !mxq_probe_shape(out, size && size->kind == MXQ_ARG_INTS ? size->count : 0, size ? size->ints : NULL))
    return;
  enum mxq_dtype otherwise = like ? like->dtype : s.dtype;
  out->dtype = mxq_probe_dtype_arg(t, otherwise);
  out->source = MXQ_NO_NUMBER;
  out->uniform = true;
  if ((!mxq_probe_is_float(out->dtype) && !mxq_probe_is_int(out->dtype)) || !mxq_probe_elements(t, out, 1))
    return;
  struct mxq_probe_number x = {.d = fixed, .ok = true};
  out->e[0] = mxq_probe_convert(number ? s.e[0] : x, s.dtype, out->dtype);
  out->known = true;
}

static void arange(struct mxq_probe *t, struct mxq_probe_value *out) {
  int64_t start, end, step, size;
  if (!mxq_probe_int(t, "start", 0, &start) || !mxq_probe_arg(t, "end") || !mxq_probe_int(t, "end", 0, &end) || !mxq_probe_int(t, "step", 1, &step) ||
      step < 1 || start < 0 || end <= start || end > MXQ_PROBE_TABLE)
    return;
  size = (end - start - 1) / step + 1;
  out->dtype = mxq_probe_dtype_arg(t, MXQ_I64);
  out->source = MXQ_NO_NUMBER;
  if (!mxq_probe_is_int(out->dtype) || !mxq_probe_shape(out, 1, &size) || !mxq_probe_elements(t, out, (uint64_t)size))
    return;
  for (uint32_t i = 0; i < out->n; i++)
    out->e[i] = (struct mxq_probe_number){.i = mxq_probe_wrap(start + (int64_t)i * step, out->dtype), .ok = true};
  out->known = true;
}

bool mxq_probe_table(struct mxq_probe *t, const char *name, struct mxq_probe_value *out) {
  const struct mxq_probe_value *self = mxq_probe_tensor(t, "self");
  int64_t dim;
  if (strcmp(name, "index_select") == 0) {
    const struct mxq_probe_value *index = mxq_probe_tensor(t, "index");
    if (index && index->ndim == 1 && mxq_probe_int(t, "dim", 0, &dim) && (dim == 0 || (self && dim == -(int64_t)self->ndim)))
      by_first(t, self, index, out);
  } else if (strcmp(name, "embedding") == 0) {
    by_first(t, mxq_probe_tensor(t, "weight"), mxq_probe_tensor(t, "indices"), out);
  } else if (strcmp(name, "index") == 0) {
    by_first(t, self, only_index(t), out);
  } else if (strcmp(name, "gather") == 0) {
    const struct mxq_probe_value *index = mxq_probe_tensor(t, "index");
    if (index && self && index->ndim == 1 && self->ndim == 1 && mxq_probe_int(t, "dim", 0, &dim) && (dim == 0 || dim == -1))
      by_first(t, self, index, out);
  } else if (strcmp(name, "take") == 0) {
    const struct mxq_probe_value *index = mxq_probe_tensor(t, "index");
    if (self && index)
      look_up(t, self, index, self->total, 1, 0, out);
  } else if (strcmp(name, "full_like") == 0) {
    if (self)
      fill(t, "fill_value", 0, self, out);
  } else if (strcmp(name, "zeros_like") == 0 || strcmp(name, "ones_like") == 0) {
    if (self)
      fill(t, NULL, name[0] == 'o', self, out);
  } else if (strcmp(name, "zeros") == 0 || strcmp(name, "ones") == 0) {
    if (mxq_probe_arg(t, "size"))
      fill(t, NULL, name[0] == 'o', NULL, out);
  } else if (strcmp(name, "full") == 0) {
    if (mxq_probe_arg(t, "size"))
      fill(t, "fill_value", 0, NULL, out);
  } else if (strcmp(name, "scalar_tensor") == 0) {
    fill(t, "s", 0, NULL, out);
  } else if (strcmp(name, "arange") == 0) {
    arange(t, out);
  } else {
    return false;
  }
  return true;
}
