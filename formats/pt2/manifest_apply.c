/* SPDX-License-Identifier: MIT */
/* From stored tensors and manifest to the tensors that callers see. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/manifest_tables.h"
#include "formats/pt2/program.h"
#include "formats/pt2/recognise_apply.h"
#include "lib/base/fail.h"

/* Linked lists without pointers: the first entry at a stored tensor, and the entry after an entry. */
struct apply {
  struct mxq_pt2_reader *r;
  uint32_t *first, *next, *kept;
  struct mxq_pt2_recognised_list found; /* what the program decodes and no manifest names */
  struct mxq_error *err;
};

static enum mxq_status wrong(struct apply *a, enum mxq_status code, const struct mxq_pt2_entry *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static enum mxq_status wrong(struct apply *a, enum mxq_status code, const struct mxq_pt2_entry *e, const char *fmt, ...) {
  char text[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return mxq_fail(a->err, code, e->name, "the archive's manifest: %s", text);
}

/* Product of sizes [from, to); false when even without its zeros it is beyond 2^59. */
static bool product(const uint64_t *shape, uint32_t from, uint32_t to, uint64_t *all) {
  uint64_t p = 1;
  bool zero = false;
  for (uint32_t i = from; i < to; i++) {
    zero |= shape[i] == 0;
    if (__builtin_mul_overflow(p, shape[i] ? shape[i] : 1, &p) || p >> 59)
      return false;
  }
  *all = zero ? 0 : p;
  return true;
}

/* The bytes of a stored tensor when they lie in one piece of the file. */
struct mxq_extent mxq_pt2_extent(const struct mxq_pt2_reader *r, const struct mxq_pt2_stored *s) {
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, s->member);
  if (s->strides || m->method)
    return (struct mxq_extent){0, 0};
  uint64_t at = s->bytes ? s->offset * (mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8) : 0;
  return (struct mxq_extent){m->data_offset + at, s->bytes};
}

/* ---- MX tensors ---- */

static bool kind_parse(const char *name, enum mxq_kind *kind) {
  for (int k = MXQ_KIND_PARAMETER; k <= MXQ_KIND_UNREFERENCED; k++)
    if (strcmp(name, mxq_kind_name((enum mxq_kind)k)) == 0) {
      *kind = (enum mxq_kind)k;
      return true;
    }
  return false;
}

static enum mxq_dtype codes_dtype(enum mxq_format format) {
  switch (format) {
  case MXQ_MXFP8_E4M3: return MXQ_F8_E4M3;
  case MXQ_MXFP8_E5M2: return MXQ_F8_E5M2;
  case MXQ_MXINT8: return MXQ_I8;
  default: return MXQ_U8;
  }
}

/* The stored shape: the axes outside the run, in order, and `last`. */
static bool has_shape(const struct mxq_pt2_stored *s, const struct mxq_tensor *t, uint64_t last) {
  uint32_t k = 0;
  if (s->ndim != t->ndim - (t->axis_last - t->axis_first + 1) + 1)
    return false;
  for (uint32_t i = 0; i < t->ndim; i++)
    if ((i < t->axis_first || i > t->axis_last) && s->shape[k++] != t->shape[i])
      return false;
  return s->shape[k] == last;
}

/* Format, shape and axes: what an MX tensor is, apart from where it lies. */
static enum mxq_status describe(struct apply *a, const struct mxq_pt2_entry *e, struct mxq_tensor *t) {
  uint64_t before, after;
  if (!e->format || !mxq_format_parse(e->format, &t->format) || t->format == MXQ_FORMAT_NONE)
    return wrong(a, MXQ_ERR_UNSUPPORTED, e, "the format '%.60s' is not known", e->format ? e->format : "");
  if (e->block && e->block != MXQ_BLOCK)
    return wrong(a, MXQ_ERR_UNSUPPORTED, e, "blocks of %llu; only blocks of %d are read", (unsigned long long)e->block, MXQ_BLOCK);
  if (!e->has_shape || e->ndim == 0)
    return wrong(a, MXQ_ERR_MALFORMED, e, "a shape of at least one dimension is missing");
  t->ndim = e->ndim;
  t->shape = e->shape;
  uint64_t axes[2] = {e->ndim - 1, e->ndim - 1};
  if (e->has_axes)
    memcpy(axes, e->axes, sizeof axes);
  if (axes[0] > axes[1] || axes[1] >= e->ndim)
    return wrong(a, MXQ_ERR_MALFORMED, e, "axes [%llu, %llu] of %u dimensions", (unsigned long long)axes[0], (unsigned long long)axes[1], e->ndim);
  t->axis_first = (uint32_t)axes[0];
  t->axis_last = (uint32_t)axes[1];
  if (!product(e->shape, 0, e->ndim, &t->elements) || !product(e->shape, t->axis_first, t->axis_last + 1, &t->k) ||
      !product(e->shape, 0, t->axis_first, &before) || !product(e->shape, t->axis_last + 1, e->ndim, &after))
    return wrong(a, MXQ_ERR_MALFORMED, e, "its sizes multiply to more than any file holds");
  t->rows = before * after;
  t->dtype = e->dtype ? mxq_dtype_parse(e->dtype) : MXQ_F32;
  if (t->dtype != MXQ_F32 && t->dtype != MXQ_BF16 && t->dtype != MXQ_F16)
    return wrong(a, MXQ_ERR_MALFORMED, e, "source_dtype '%.60s' is none of f32, bf16, f16", e->dtype);
  return MXQ_OK;
}

static enum mxq_status build(struct apply *a, const struct mxq_pt2_entry *e, struct mxq_tensor *t, struct mxq_pt2_parts *parts) {
  struct mxq_pt2_reader *r = a->r;
  const struct mxq_pt2_stored *codes = &r->stored[e->part[0]], *scales = &r->stored[e->part[1]];
  uint64_t code_bytes, scale_bytes;
  enum mxq_kind kind = (enum mxq_kind)codes->kind;
  *t = (struct mxq_tensor){.name = e->name};
  enum mxq_status status = describe(a, e, t);
  if (status != MXQ_OK)
    return status;
  if (!mxq_sizes(t->format, t->rows, t->k, &code_bytes, &scale_bytes))
    return wrong(a, MXQ_ERR_MALFORMED, e, "its sizes multiply to more than any file holds");
  if (codes->dtype != codes_dtype(t->format))
    return wrong(a, MXQ_ERR_MALFORMED, e, "codes of %s must be %s, '%.100s' is %s", e->format, mxq_dtype_name(codes_dtype(t->format)), codes->name,
                 mxq_dtype_name((enum mxq_dtype)codes->dtype));
  if (scales->dtype != MXQ_F8_E8M0 && scales->dtype != MXQ_U8)
    return wrong(a, MXQ_ERR_MALFORMED, e, "scales must be f8_e8m0, '%.100s' is %s", scales->name, mxq_dtype_name((enum mxq_dtype)scales->dtype));
  uint64_t blocks = mxq_row_blocks(t->k);
  bool packed = has_shape(codes, t, mxq_row_code_bytes(t->format, t->k));
  parts->unpacked = !packed && mxq_element_bits(mxq_format_element(t->format)) < 8 && has_shape(codes, t, blocks * MXQ_BLOCK);
  if (!packed && !parts->unpacked)
    return wrong(a, MXQ_ERR_MALFORMED, e, "the shape of its codes '%.100s' does not fit its shape and axes", codes->name);
  if (!has_shape(scales, t, blocks))
    return wrong(a, MXQ_ERR_MALFORMED, e, "the shape of its scales '%.100s' does not fit its shape and axes", scales->name);
  const char *layout = parts->unpacked ? "unpacked" : mxq_format_layout(t->format);
  if (e->layout && strcmp(e->layout, layout) != 0)
    return wrong(a, MXQ_ERR_UNSUPPORTED, e, "the layout '%.60s' is not read, or its codes have another (%s)", e->layout, layout);
  if (e->kind && !kind_parse(e->kind, &kind))
    return wrong(a, MXQ_ERR_MALFORMED, e, "'%.60s' is no kind of tensor", e->kind);
  memcpy(parts->part, e->part, sizeof parts->part);
  t->bytes = code_bytes + scale_bytes;
  t->kind = kind;
  t->device = codes->device;
  t->requires_grad = e->requires_grad;
  t->storage = codes->member;
  t->part[0] = parts->unpacked ? (struct mxq_extent){0, 0} : mxq_pt2_extent(r, codes);
  t->part[1] = mxq_pt2_extent(r, scales);
  t->codes_name = codes->name;
  t->scales_name = scales->name;
  t->layout = layout;
  t->scale_rule = e->scale_rule;
  t->compat = e->compat;
  t->round = e->round;
  t->neg_zero = e->neg_zero;
  t->nonfinite = e->nonfinite;
  return MXQ_OK;
}

/* ---- kept tensors ---- */

static enum mxq_status plain(struct apply *a, uint32_t i, struct mxq_tensor *t, struct mxq_pt2_parts *parts) {
  const struct mxq_pt2_reader *r = a->r;
  const struct mxq_pt2_stored *s = &r->stored[i];
  *t = (struct mxq_tensor){.name = s->name, .dtype = (enum mxq_dtype)s->dtype, .ndim = s->ndim, .shape = s->shape, .strides = s->strides, .stored_strides = s->stated,
                           .storage_offset = s->offset, .elements = s->elements, .bytes = s->bytes, .kind = (enum mxq_kind)s->kind,
                           .requires_grad = s->requires_grad, .device = s->device, .storage = s->member, .part = {mxq_pt2_extent(r, s)}};
  /* The program of a weights archive may name nothing: then its config tells. */
  if (r->manifest.weights && t->kind == MXQ_KIND_UNREFERENCED)
    t->kind = s->parameter ? MXQ_KIND_PARAMETER : MXQ_KIND_BUFFER;
  *parts = (struct mxq_pt2_parts){.part = {i, i}};
  if (a->kept[i] == UINT32_MAX)
    return MXQ_OK;
  const struct mxq_pt2_entry *e = &r->manifest.kept[a->kept[i]];
  t->name = e->name;
  enum mxq_dtype dtype = e->dtype ? mxq_dtype_parse(e->dtype) : t->dtype;
  if (dtype == t->dtype) {
    if (e->has_shape && (e->ndim != t->ndim || (e->ndim && memcmp(e->shape, t->shape, e->ndim * sizeof *e->shape) != 0)))
      return wrong(a, MXQ_ERR_MALFORMED, e, "its shape is not that of '%.100s'", s->name);
    return MXQ_OK;
  }
  uint64_t elements, bits = mxq_dtype_bits(dtype);
  if ((dtype != MXQ_F4 && dtype != MXQ_F6_E2M3 && dtype != MXQ_F6_E3M2) || t->dtype != MXQ_U8)
    return wrong(a, MXQ_ERR_MALFORMED, e, "dtype '%.60s' cannot be kept as %s", e->dtype, mxq_dtype_name(t->dtype));
  if (!e->has_shape || s->strides || !product(e->shape, 0, e->ndim, &elements) || elements * bits % 8 || elements * bits / 8 != t->bytes)
    return wrong(a, MXQ_ERR_MALFORMED, e, "its dtype and shape do not give the %llu bytes of '%.100s'", (unsigned long long)t->bytes, s->name);
  t->dtype = dtype;
  t->ndim = e->ndim;
  t->shape = e->shape;
  t->stored_strides = NULL; /* those of the bytes */
  t->elements = elements;
  return MXQ_OK;
}

/* ---- all ---- */

/* Which stored tensors the manifest takes, and where in the order its own come. */
static enum mxq_status link_entries(struct apply *a) {
  struct mxq_pt2_reader *r = a->r;
  for (size_t i = r->manifest.entry_count; i-- > 0;) { /* from the last, so that each list comes out in order */
    const struct mxq_pt2_entry *e = &r->manifest.entries[i];
    uint32_t codes = e->part[0], scales = e->part[1];
    if (codes == UINT32_MAX && scales == UINT32_MAX)
      continue; /* taken out by an editor */
    if (codes == UINT32_MAX || scales == UINT32_MAX) {
      const char *name = codes == UINT32_MAX ? e->codes : e->scales;
      return wrong(a, MXQ_ERR_MALFORMED, e, "its %s '%.100s' are not in the archive", codes == UINT32_MAX ? "codes" : "scales", name ? name : "");
    }
    if (codes == scales)
      return wrong(a, MXQ_ERR_MALFORMED, e, "its codes and scales are one tensor");
    a->next[i] = a->first[codes];
    a->first[codes] = (uint32_t)i;
    r->stored[codes].hidden = r->stored[scales].hidden = true;
  }
  for (size_t i = 0; i < r->manifest.kept_count; i++) {
    const struct mxq_pt2_entry *e = &r->manifest.kept[i];
    if (e->part[0] == UINT32_MAX)
      continue;
    if (a->kept[e->part[0]] != UINT32_MAX)
      return wrong(a, MXQ_ERR_MALFORMED, e, "'%.100s' is kept under two names", r->stored[e->part[0]].name);
    a->kept[e->part[0]] = (uint32_t)i;
  }
  /* The constants of a weights archive are tables of its decoding program. */
  for (size_t i = 0; i < r->stored_count; i++)
    r->stored[i].hidden |= r->manifest.weights && mxq_pt2_is_table(&r->stored[i]);
  return MXQ_OK;
}

static enum mxq_status fill(struct apply *a) {
  struct mxq_pt2_reader *r = a->r;
  struct mxq_reader *b = &r->base;
  enum mxq_status status = link_entries(a);
  size_t room = 0;
  if (status == MXQ_OK)
    status = mxq_pt2_recognised_open(r, &a->found, a->err);
  if (status != MXQ_OK)
    return status;
  room = a->found.count;
  for (size_t i = 0; i < r->stored_count; i++)
    room += !r->stored[i].hidden;
  for (size_t i = 0; i < r->manifest.entry_count; i++)
    room += r->manifest.entries[i].part[0] != UINT32_MAX;
  b->tensors = malloc((room + 1) * sizeof *b->tensors);
  b->tensors_malloced = true;
  r->parts = malloc((room + 1) * sizeof *r->parts);
  if (!b->tensors || !r->parts)
    return mxq_fail_nomem(a->err, b->path);
  for (uint32_t i = 0; i < r->stored_count && status == MXQ_OK; i++) {
    for (uint32_t e = a->first[i]; e != UINT32_MAX && status == MXQ_OK; e = a->next[e]) {
      status = build(a, &r->manifest.entries[e], &b->tensors[b->count], &r->parts[b->count]);
      b->count++;
    }
    if (status == MXQ_OK && mxq_pt2_recognised_take(&a->found, i, &b->tensors[b->count], &r->parts[b->count])) {
      b->count++;
    } else if (status == MXQ_OK && !r->stored[i].hidden) {
      status = plain(a, i, &b->tensors[b->count], &r->parts[b->count]);
      b->count++;
    }
  }
  return status;
}

enum mxq_status mxq_pt2_tensors(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t n = r->stored_count, e = r->manifest.entry_count;
  uint32_t *links = malloc((2 * n + e + 1) * sizeof *links);
  if (!links)
    return mxq_fail_nomem(err, r->base.path);
  memset(links, 0xFF, (2 * n + e + 1) * sizeof *links);
  struct apply a = {.r = r, .first = links, .kept = links + n, .next = links + 2 * n, .err = err};
  mxq_names_free(&r->stored_names); /* from here on numbers do */
  enum mxq_status status = fill(&a);
  mxq_pt2_recognised_close(&a.found);
  free(links);
  free(r->manifest.entries);
  free(r->manifest.kept);
  r->manifest.entries = r->manifest.kept = NULL;
  return status;
}
