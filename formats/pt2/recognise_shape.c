/* SPDX-License-Identifier: MIT */
/* Operators that move elements, look them up or make them. */
#include <string.h>

#include "formats/pt2/recognise.h"

static bool one_of(const char *name, const char *const *list) {
  for (; *list; list++)
    if (strcmp(name, *list) == 0)
      return true;
  return false;
}

bool mxq_probe_is_reshape(const char *name) {
  static const char *const names[] = {"reshape", "view", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", NULL};
  return one_of(name, names);
}

/* Shapes with one -1 among them. */
static bool inferred(const struct mxq_probe_value *in, const struct mxq_pt2_arg *a, uint32_t before, uint32_t after, uint64_t total,
                     struct mxq_probe_value *out) {
  int64_t size[MXQ_MAX_NDIM], free_at = -1;
  uint64_t product = 1;
  uint32_t ndim = before;
  if (!a || a->kind != MXQ_ARG_INTS || before + (uint64_t)a->count + after > MXQ_MAX_NDIM)
    return false;
  memcpy(size, in->size, before * sizeof *size);
  for (uint32_t i = 0; i < a->count; i++, ndim++) {
    size[ndim] = a->ints[i];
    if (size[ndim] == -1 && free_at < 0)
      free_at = ndim;
    else if (size[ndim] <= 0 || __builtin_mul_overflow(product, (uint64_t)size[ndim], &product))
      return false;
  }
  if (free_at >= 0) {
    if (total % product)
      return false;
    size[free_at] = (int64_t)(total / product);
  }
  memcpy(size + ndim, in->size + in->ndim - after, after * sizeof *size);
  return mxq_probe_shape(out, ndim + after, size) && out->total == in->total;
}

bool mxq_probe_reshaped(const struct mxq_probe *t, const char *name, const struct mxq_probe_value *in, struct mxq_probe_value *out) {
  int64_t from, to, size[MXQ_MAX_NDIM];
  uint32_t first, last, n = 0;
  if (strcmp(name, "flatten") == 0) {
    if (!mxq_probe_int(t, "start_dim", 0, &from) || !mxq_probe_int(t, "end_dim", -1, &to) || !mxq_probe_dim(from, in->ndim, &first) ||
        !mxq_probe_dim(to, in->ndim, &last) || first > last)
      return false;
    for (uint32_t i = 0; i < in->ndim; i++)
      if (i > first && i <= last)
        size[n - 1] *= in->size[i];
      else
        size[n++] = in->size[i];
    return mxq_probe_shape(out, n, size);
  }
  if (strcmp(name, "unflatten") == 0)
    return mxq_probe_int(t, "dim", 0, &from) && mxq_probe_dim(from, in->ndim, &first) &&
           inferred(in, mxq_probe_arg(t, "sizes"), first, in->ndim - first - 1, (uint64_t)in->size[first], out);
  if (strcmp(name, "unsqueeze") == 0) {
    if (!mxq_probe_int(t, "dim", 0, &from) || in->ndim == MXQ_MAX_NDIM || !mxq_probe_dim(from, in->ndim + 1, &first))
      return false;
    memcpy(size, in->size, first * sizeof *size);
    size[first] = 1;
    memcpy(size + first + 1, in->size + first, (in->ndim - first) * sizeof *size);
    return mxq_probe_shape(out, in->ndim + 1, size);
  }
  if (strcmp(name, "squeeze") == 0) {
    if (!mxq_probe_arg(t, "dim") || !mxq_probe_int(t, "dim", 0, &from) || !mxq_probe_dim(from, in->ndim, &first))
      return false;
    for (uint32_t i = 0; i < in->ndim; i++)
      if (i != first || in->size[i] != 1)
        size[n++] = in->size[i];
    return mxq_probe_shape(out, n, size);
  }
  return inferred(in, mxq_probe_arg(t, name[0] == 'r' ? "shape" : "size"), 0, 0, in->total, out);
}

/* The bits as another dtype of the same width. */
static void bits_as(const struct mxq_probe_value *in, enum mxq_dtype to, struct mxq_probe *t, struct mxq_probe_value *out) {
  union { float f; int32_t i; } word;
  enum mxq_dtype from = in->dtype;
  bool f8_from = from == MXQ_F8_E4M3 || from == MXQ_F8_E5M2 || from == MXQ_F8_E8M0, f8_to = to == MXQ_F8_E4M3 || to == MXQ_F8_E5M2 || to == MXQ_F8_E8M0;
  bool bytes = (f8_from || from == MXQ_U8 || from == MXQ_I8) && (f8_to || to == MXQ_U8 || to == MXQ_I8);
  bool words = (from == MXQ_I32 && to == MXQ_F32) || (from == MXQ_F32 && to == MXQ_I32);
  bool halves = (from == MXQ_I16 && to == MXQ_BF16);
  *out = *in;
  out->known = from == to;
  if (out->known || (!bytes && !words && !halves))
    return;
  out->dtype = to;
  if (!mxq_probe_elements(t, out, in->n))
    return;
  for (uint32_t i = 0; i < in->n; i++) {
    struct mxq_probe_number x = in->e[i];
    if (bytes) {
      x.i = to == MXQ_I8 ? mxq_probe_wrap(x.i, MXQ_I8) : x.i & 0xFF;
    } else if (from == MXQ_F32) {
      word.f = (float)x.d;
      x.i = word.i;
    } else {
      word.i = (int32_t)(halves ? (uint32_t)x.i << 16 : (uint32_t)x.i);
      x.d = word.f;
    }
    out->e[i] = x;
  }
  out->known = true;
}

/* stack and cat along the last dimension: rows of all, one after another. */
static void join(struct mxq_probe *t, bool stack, struct mxq_probe_value *out) {
  const struct mxq_pt2_arg *list = mxq_probe_arg(t, "tensors");
  const struct mxq_probe_value *in[16];
  int64_t dim, size[MXQ_MAX_NDIM];
  uint32_t at, rows = UINT32_MAX, ndim = 0, period = 1;
  uint64_t width = 0;
  if (!list || list->kind != MXQ_ARG_VALUES || list->count == 0 || list->count > 16 || !mxq_probe_int(t, "dim", 0, &dim))
    return;
  for (uint32_t k = 0; k < list->count; k++) {
    in[k] = list->values[k] == MXQ_NO_NUMBER ? NULL : t->values[list->values[k]];
    if (!in[k] || !in[k]->known || in[k]->dtype != in[0]->dtype || in[k]->ndim != in[0]->ndim || in[k]->ndim + stack > MXQ_MAX_NDIM ||
        (in[k]->ndim && memcmp(in[k]->size, in[0]->size, (in[k]->ndim - !stack) * sizeof *size) != 0))
      return;
    ndim = in[k]->ndim + stack;
    int64_t own = stack ? 1 : ndim ? in[k]->size[ndim - 1] : 0;
    if (own < 1 || own > 64)
      return;
    width += (uint64_t)own;
  }
  if (!mxq_probe_dim(dim, ndim, &at) || at != ndim - 1)
    return;
  memcpy(size, in[0]->size, (ndim - 1) * sizeof *size);
  size[at] = (int64_t)width;
  out->dtype = in[0]->dtype;
  out->source = MXQ_NO_NUMBER;
  for (uint32_t k = 0; k < list->count; k++) {
    uint32_t own = stack ? 1 : (uint32_t)in[k]->size[at];
    if (in[k]->source != MXQ_NO_NUMBER)
      out->source = in[k]->source;
    /* Rows must begin where periods do. */
    if (in[k]->source != MXQ_NO_NUMBER && own % in[k]->period)
      return;
    if (in[k]->source == MXQ_NO_NUMBER && !in[k]->uniform && in[k]->total != own)
      period = 0;
    if (in[k]->source != MXQ_NO_NUMBER && in[k]->n / own < rows)
      rows = in[k]->n / own;
  }
  if (!mxq_probe_shape(out, ndim, size))
    return;
  if (out->source == MXQ_NO_NUMBER)
    rows = out->total / width > MXQ_PROBE_TABLE ? 0 : (uint32_t)(out->total / width);
  else if (period == 0)
    return;                          /* a constant that differs from row to row */
  if (rows > MXQ_PROBE_MOST / width && out->source != MXQ_NO_NUMBER)
    rows = (uint32_t)(MXQ_PROBE_MOST / width);
  out->period = out->source == MXQ_NO_NUMBER ? 1 : (uint32_t)width;
  if (!mxq_probe_elements(t, out, (uint64_t)rows * width))
    return;
  struct mxq_probe_number *e = out->e;
  for (uint32_t row = 0; row < rows; row++)
    for (uint32_t k = 0; k < list->count; k++) {
      uint32_t own = stack ? 1 : (uint32_t)in[k]->size[at];
      for (uint32_t i = 0; i < own; i++)
        *e++ = in[k]->e[in[k]->uniform ? 0 : in[k]->source == MXQ_NO_NUMBER && in[k]->total == own ? i : (uint64_t)row * own + i];
    }
  out->known = true;
}

/* Columns from, from + step, ... of the last dimension; the period must go into rows. */
static void columns(struct mxq_probe *t, const struct mxq_probe_value *in, uint64_t from, uint64_t count, uint64_t step, struct mxq_probe_value *out) {
  uint64_t width = (uint64_t)in->size[in->ndim - 1], rows = in->uniform ? 1 : in->n / width;
  if (width > MXQ_PROBE_MOST || (in->source != MXQ_NO_NUMBER && width % in->period))
    return;
  out->source = in->source;
  out->dtype = in->dtype;
  out->uniform = in->uniform;
  out->period = in->source == MXQ_NO_NUMBER || in->uniform ? 1 : (uint32_t)count;
  if (!mxq_probe_elements(t, out, in->uniform ? 1 : rows * count))
    return;
  for (uint32_t i = 0; i < out->n; i++)
    out->e[i] = in->e[in->uniform ? 0 : i / count * width + from + i % count * step];
  out->known = true;
}

static void cut(struct mxq_probe *t, const char *name, struct mxq_probe_value *out) {
  const struct mxq_probe_value *in = mxq_probe_tensor(t, "self");
  int64_t dim, from, to, step = 1, size[MXQ_MAX_NDIM];
  uint32_t at;
  bool select = name[1] == 'e';
  if (!in || !mxq_probe_int(t, "dim", 0, &dim) || !mxq_probe_dim(dim, in->ndim, &at))
    return;
  int64_t width = in->size[at];
  if (select) {
    if (!mxq_probe_int(t, "index", INT64_MIN, &from))
      return;
    from += from < 0 ? width : 0;
    to = from + 1;
  } else {
    if (!mxq_probe_int(t, "start", 0, &from) || !mxq_probe_int(t, "end", INT64_MAX, &to) || !mxq_probe_int(t, "step", 1, &step) || step < 1)
      return;
    from += from < 0 ? width : 0;
    to += to < 0 ? width : 0;
    to = to > width ? width : to;
  }
  if (from < 0 || from >= to || to > width)
    return;
  memcpy(size, in->size, in->ndim * sizeof *size);
  size[at] = (to - 1 - from) / step + 1;
  if (!mxq_probe_shape(out, in->ndim - (select && at == in->ndim - 1), size))
    return;
  if (!select && size[at] == width) {  /* all of it */
    *out = *in;
    return;
  }
  if (at == in->ndim - 1)
    columns(t, in, (uint64_t)from, (uint64_t)size[at], (uint64_t)step, out);
}

/* sum over the last dimension */
static void sum(struct mxq_probe *t, struct mxq_probe_value *out) {
  const struct mxq_probe_value *in = mxq_probe_tensor(t, "self");
  const struct mxq_pt2_arg *dims = mxq_probe_arg(t, "dim");
  int64_t keep, size[MXQ_MAX_NDIM];
  uint32_t at;
  if (!in || !dims || dims->kind != MXQ_ARG_INTS || dims->count != 1 || !mxq_probe_int(t, "keepdim", 0, &keep) ||
      !mxq_probe_dim(dims->ints[0], in->ndim, &at) || at != in->ndim - 1 || !mxq_probe_is_int(in->dtype) || in->uniform)
    return;
  uint64_t width = (uint64_t)in->size[at];
  enum mxq_dtype d = mxq_probe_dtype_arg(t, MXQ_I64);
  if (!mxq_probe_is_int(d) || width > 64 || (in->source != MXQ_NO_NUMBER && width % in->period))
    return;
  memcpy(size, in->size, in->ndim * sizeof *size);
  size[at] = 1;
  out->source = in->source;
  out->dtype = d;
  out->period = 1;
  if (!mxq_probe_shape(out, in->ndim - !keep, size) || !mxq_probe_elements(t, out, in->n / width))
    return;
  for (uint32_t i = 0; i < out->n; i++) {
    struct mxq_probe_number all = {.i = 0, .ok = true};
    for (uint64_t k = 0; k < width; k++) {
      struct mxq_probe_number x = mxq_probe_convert(in->e[i * width + k], in->dtype, d);
      all.ok &= x.ok;
      all.i = mxq_probe_wrap((int64_t)((uint64_t)all.i + (uint64_t)x.i), d);
    }
    out->e[i] = all;
  }
  out->known = true;
}

/* Every element `times` times along the last dimension. */
static void repeat(struct mxq_probe *t, const struct mxq_probe_value *in, uint64_t times, struct mxq_probe_value *out) {
  out->source = in->source;
  out->dtype = in->dtype;
  out->uniform = in->uniform;
  uint64_t n = in->uniform ? 1 : in->n * times;
  if (times > MXQ_PROBE_MOST || in->period * times > MXQ_PROBE_MOST)
    return;
  out->period = in->source == MXQ_NO_NUMBER || in->uniform ? 1 : (uint32_t)(in->period * times);
  if (in->source != MXQ_NO_NUMBER && n > MXQ_PROBE_MOST)
    n = MXQ_PROBE_MOST;
  if (!mxq_probe_elements(t, out, n))
    return;
  for (uint32_t i = 0; i < out->n; i++)
    out->e[i] = in->e[in->uniform ? 0 : i / times];
  out->known = true;
}

/* expand(self, size), and repeat(self, repeats) where that is no more. */
static void expand(struct mxq_probe *t, bool repeats, struct mxq_probe_value *out) {
  const struct mxq_probe_value *in = mxq_probe_tensor(t, "self");
  const struct mxq_pt2_arg *a = mxq_probe_arg(t, repeats ? "repeats" : "size");
  int64_t size[MXQ_MAX_NDIM];
  if (!in || !a || a->kind != MXQ_ARG_INTS || a->count != in->ndim || in->ndim == 0)
    return;
  for (uint32_t i = 0; i < in->ndim; i++) {
    size[i] = a->ints[i] == (repeats ? 1 : -1) ? in->size[i] : a->ints[i];
    if (repeats && in->size[i] != 1 && a->ints[i] != 1)
      return;
    if (size[i] != in->size[i] && (in->size[i] != 1 || i + 1 < in->ndim))
      return;
  }
  if (mxq_probe_shape(out, in->ndim, size))
    repeat(t, in, out->total / in->total, out);
}

static void repeat_interleave(struct mxq_probe *t, struct mxq_probe_value *out) {
  const struct mxq_probe_value *in = mxq_probe_tensor(t, "self");
  int64_t times, dim, size[MXQ_MAX_NDIM];
  uint32_t at;
  if (!in || !mxq_probe_arg(t, "dim") || mxq_probe_arg(t, "output_size") || !mxq_probe_int(t, "repeats", 0, &times) || times < 1 ||
      !mxq_probe_int(t, "dim", 0, &dim) || !mxq_probe_dim(dim, in->ndim, &at) || at != in->ndim - 1)
    return;
  memcpy(size, in->size, in->ndim * sizeof *size);
  if (__builtin_mul_overflow(size[at], times, &size[at]) || !mxq_probe_shape(out, in->ndim, size))
    return;
  repeat(t, in, (uint64_t)times, out);
}

bool mxq_probe_move(struct mxq_probe *t, const char *name, const char *overload, struct mxq_probe_value *out) {
  static const char *const same[] = {"alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", NULL};
  const struct mxq_probe_value *in = mxq_probe_tensor(t, "self");
  if (one_of(name, same)) {
    if (in)
      *out = *in;
  } else if (strcmp(name, "view") == 0 && strcmp(overload, "dtype") == 0) {
    if (in)
      bits_as(in, mxq_probe_dtype_arg(t, MXQ_DTYPE_NONE), t, out);
  } else if (strcmp(name, "to") == 0 || strcmp(name, "_to_copy") == 0) {
    if (in && strcmp(overload, "other") != 0 && strcmp(overload, "prim_Device") != 0)
      mxq_probe_cast(t, in, mxq_probe_dtype_arg(t, in->dtype), out);
  } else if (mxq_probe_is_reshape(name)) {
    struct mxq_probe_value shape;
    if (in && mxq_probe_reshaped(t, name, in, &shape)) {
      *out = *in;
      out->ndim = shape.ndim;
      memcpy(out->size, shape.size, shape.ndim * sizeof *shape.size);
    }
  } else if (strcmp(name, "stack") == 0 || strcmp(name, "cat") == 0) {
    join(t, name[0] == 's', out);
  } else if (strcmp(name, "select") == 0 || strcmp(name, "slice") == 0) {
    cut(t, name, out);
  } else if (strcmp(name, "sum") == 0) {
    sum(t, out);
  } else if (strcmp(name, "expand") == 0 || strcmp(name, "repeat") == 0) {
    expand(t, name[0] == 'r', out);
  } else if (strcmp(name, "repeat_interleave") == 0) {
    repeat_interleave(t, out);
  } else {
    return false;
  }
  return true;
}
