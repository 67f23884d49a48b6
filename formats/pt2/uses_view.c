/* SPDX-License-Identifier: MIT */
/* Views of views: which axes of the weight a dimension is. */
#include <string.h>

#include "formats/pt2/uses.h"

static void begin(struct mxq_pt2_view *out, const struct mxq_pt2_view *in) {
  *out = (struct mxq_pt2_view){.group = in->group, .alias = in->alias};
}
/* One more dimension: these axes. */
static void put(struct mxq_pt2_view *out, const uint8_t *axes, uint32_t n) {
  uint8_t at = out->first[out->ndim];
  if (n)
    memcpy(out->axes + at, axes, n);
  out->first[++out->ndim] = (uint8_t)(at + n);
}
static void put_unknown(struct mxq_pt2_view *out) {
  out->unknown |= UINT64_C(1) << out->ndim;
  put(out, NULL, 0);
}
static bool known(const struct mxq_pt2_view *in, uint32_t d) { return !(in->unknown >> d & 1); }
static uint32_t length(const struct mxq_pt2_view *in, uint32_t d) { return (uint32_t)(in->first[d + 1] - in->first[d]); }
static void copy(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t d) {
  if (known(in, d))
    put(out, in->axes + in->first[d], length(in, d));
  else
    put_unknown(out);
}

void mxq_pt2_view_whole(struct mxq_pt2_view *out, uint32_t group, uint32_t ndim) {
  *out = (struct mxq_pt2_view){.group = group, .alias = true};
  for (uint32_t d = 0; d < ndim; d++)
    put(out, &(uint8_t){(uint8_t)d}, 1);
}

void mxq_pt2_view_unknown(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t ndim) {
  begin(out, in);
  for (uint32_t d = 0; d < ndim; d++)
    put_unknown(out);
}

void mxq_pt2_view_permute(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const uint8_t *dims) {
  begin(out, in);
  for (uint32_t d = 0; d < in->ndim; d++)
    copy(out, in, dims[d]);
}

void mxq_pt2_view_drop(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t dim) {
  begin(out, in);
  for (uint32_t d = 0; d < in->ndim; d++)
    if (d != dim)
      copy(out, in, d);
}

void mxq_pt2_view_insert(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, uint32_t dim) {
  begin(out, in);
  for (uint32_t d = 0; d <= in->ndim; d++) {
    if (d == dim)
      put(out, NULL, 0);
    if (d < in->ndim)
      copy(out, in, d);
  }
}

/* expand, repeat: dimensions are matched from the last one. */
void mxq_pt2_view_spread(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const int64_t *from, uint32_t ndim, const int64_t *to) {
  if (ndim < in->ndim) {
    mxq_pt2_view_unknown(out, in, ndim);
    return;
  }
  begin(out, in);
  for (uint32_t d = 0; d < ndim; d++) {
    uint32_t skip = ndim - in->ndim;
    if (d < skip)
      put(out, NULL, 0);
    else if (from[d - skip] == to[d])
      copy(out, in, d - skip);
    else if (from[d - skip] == 1)
      put(out, NULL, 0);
    else
      put_unknown(out);
  }
}

/* What a reshape may not tear: an axis of the weight, or a dimension that is not made of whole axes. */
struct atom {
  int64_t size;
  uint8_t axes[MXQ_MAX_NDIM];
  uint8_t n;
  bool unknown;
};

/* Dimension d of `in` as atoms; one without axes and of size one is none. */
static uint32_t atoms_of(struct atom *atoms, const struct mxq_pt2_view *in, uint32_t d, const uint64_t *source, int64_t size) {
  uint64_t product = 1;
  uint32_t n = 0;
  const uint8_t *axes = in->axes + in->first[d];
  if (size == 1 && length(in, d) == 0)
    return 0;
  for (uint32_t i = 0; i < length(in, d); i++)
    if (__builtin_mul_overflow(product, source[axes[i]], &product))
      product = 0;
  if (known(in, d) && length(in, d) > 1 && size > 0 && product == (uint64_t)size) {
    for (uint32_t i = 0; i < length(in, d); i++)
      atoms[n++] = (struct atom){.size = (int64_t)source[axes[i]], .axes = {axes[i]}, .n = 1};
    return n;
  }
  atoms[0] = (struct atom){.size = size, .n = (uint8_t)length(in, d), .unknown = !known(in, d)};
  memcpy(atoms[0].axes, axes, length(in, d));
  return 1;
}

/* Dimensions [b, b_end) of the result, made of atoms [a, a_end) as a whole. */
static void put_group(struct mxq_pt2_view *out, const struct atom *atoms, uint32_t a, uint32_t a_end, const int64_t *to, uint32_t b, uint32_t b_end) {
  uint32_t real = 0, n = 0;
  uint8_t axes[MXQ_MAX_NDIM];
  bool torn = false;
  for (uint32_t i = b; i < b_end; i++)
    real += to[i] != 1;
  for (; a < a_end; a++) {
    torn |= atoms[a].unknown;
    memcpy(axes + n, atoms[a].axes, atoms[a].n);
    n += atoms[a].n;
  }
  for (; b < b_end; b++) {
    if (to[b] == 1)
      put(out, NULL, 0);
    else if (real == 1 && !torn)
      put(out, axes, n);
    else
      put_unknown(out);
  }
}

void mxq_pt2_view_reshape(struct mxq_pt2_view *out, const struct mxq_pt2_view *in, const uint64_t *source, const int64_t *from, uint32_t ndim,
                          const int64_t *to) {
  uint32_t left = 0, right = 0, n = in->ndim, a = 0, count = 0;
  struct atom atoms[2 * MXQ_MAX_NDIM]; /* an axis each, and dimensions without axes */
  /* What is equal at either end stays what it is; only the middle is taken apart. */
  while (left < n && left < ndim && from[left] == to[left] && from[left] >= 0)
    left++;
  while (left + right < n && left + right < ndim && from[n - 1 - right] == to[ndim - 1 - right] && from[n - 1 - right] >= 0)
    right++;
  begin(out, in);
  for (uint32_t d = 0; d < left; d++)
    copy(out, in, d);
  bool sizes_known = true;
  for (uint32_t d = left; d < n - right; d++)
    sizes_known &= from[d] > 0;
  for (uint32_t d = left; d < ndim - right; d++)
    sizes_known &= to[d] > 0;
  for (uint32_t d = left; sizes_known && d < n - right; d++)
    count += atoms_of(atoms + count, in, d, source, from[d]);
  for (uint32_t b = left; b < ndim - right;) {
    int64_t of_a = 1, of_b = to[b];
    uint32_t b_end = b + 1, a_end = a;
    bool fits = sizes_known;
    if (fits && of_b == 1) { /* an axis of one, or nothing */
      bool axis = a < count && atoms[a].size == 1 && !atoms[a].unknown;
      put(out, axis ? atoms[a].axes : NULL, axis ? atoms[a].n : 0);
      a += axis;
      b++;
      continue;
    }
    while (fits && a < count && atoms[a].size == 1)
      a_end = ++a;
    while (fits && of_a != of_b)
      if (of_a < of_b)
        fits = a_end < count && !__builtin_mul_overflow(of_a, atoms[a_end++].size, &of_a);
      else
        fits = b_end < ndim - right && !__builtin_mul_overflow(of_b, to[b_end++], &of_b);
    if (!fits) {
      for (; b < ndim - right; b++)
        put_unknown(out);
      break;
    }
    put_group(out, atoms, a, a_end, to, b, b_end);
    a = a_end;
    b = b_end;
  }
  for (uint32_t d = n - right; d < n; d++)
    copy(out, in, d);
}

bool mxq_pt2_view_run(const struct mxq_pt2_view *view, uint64_t dims, const uint64_t *source, uint32_t *first, uint32_t *last) {
  uint64_t axes = 0;
  for (uint32_t d = 0; d < view->ndim; d++) {
    if (!(dims >> d & 1))
      continue;
    if (!known(view, d))
      return false;
    for (uint32_t i = view->first[d]; i < view->first[d + 1]; i++)
      axes |= UINT64_C(1) << view->axes[i];
  }
  if (!axes)
    return false;
  *first = (uint32_t)__builtin_ctzll(axes);
  *last = 63 - (uint32_t)__builtin_clzll(axes);
  for (uint32_t i = *first; i <= *last; i++)
    if (!(axes >> i & 1) && source[i] != 1)
      return false;
  return true;
}
