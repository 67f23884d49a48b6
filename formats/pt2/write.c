/* SPDX-License-Identifier: MIT */
/* The writer's life: open, add, size, run, free. */
#include "formats/pt2/write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "lib/base/fail.h"

/* ---- add ---- */

static const char *copy_text(struct mxq_arena *arena, const char *s, bool *failed) {
  if (!s)
    return NULL;
  const char *copy = mxq_arena_text(arena, s, strlen(s));
  *failed |= !copy;
  return copy;
}

/* Elements, rows, k and bytes, from dtype, format, shape and axes. */
static enum mxq_status measure(struct mxq_tensor *t, struct mxq_error *err) {
  uint64_t elements = 1, rows = 1, k = 1, bits = 0, code_bytes = 0, scale_bytes = 0;
  bool fits = true, empty = false;
  for (uint32_t a = 0; a < t->ndim; a++) {
    bool inside = a >= t->axis_first && a <= t->axis_last;
    empty |= t->shape[a] == 0;
    /* Each size on its own must be countable, also beside a zero. */
    uint64_t d = t->shape[a] ? t->shape[a] : 1;
    fits &= !__builtin_mul_overflow(elements, d, &elements) && elements <= INT64_MAX;
    if (t->format != MXQ_FORMAT_NONE)
      *(inside ? &k : &rows) *= t->shape[a];
  }
  if (fits && t->format != MXQ_FORMAT_NONE) {
    fits = mxq_sizes(t->format, rows, k, &code_bytes, &scale_bytes) && code_bytes <= INT64_MAX - scale_bytes;
    t->rows = rows;
    t->k = k;
    t->bytes = code_bytes + scale_bytes;
  } else if (fits) {
    t->elements = empty ? 0 : elements;
    fits = !__builtin_mul_overflow(t->elements, mxq_dtype_bits(t->dtype), &bits);
    t->bytes = bits / 8;
    if (fits && bits % 8)
      return mxq_fail(err, MXQ_ERR_USAGE, t->name, "packed %s values must fill whole bytes", mxq_dtype_name(t->dtype));
  }
  t->elements = empty ? 0 : elements;
  return fits ? MXQ_OK : mxq_fail(err, MXQ_ERR_USAGE, t->name, "the shape's product does not fit in 63 bits");
}

enum mxq_status mxq_pt2_copy_tensor(struct mxq_arena *arena, const struct mxq_tensor *from, struct mxq_tensor *t, struct mxq_error *err) {
  bool failed = false, mx = from->format != MXQ_FORMAT_NONE;
  if (mx && (!mxq_format_name(from->format) || from->ndim == 0 || from->axis_first > from->axis_last || from->axis_last >= from->ndim))
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "axes %u to %u of %u dimensions cannot be blocked", from->axis_first, from->axis_last,
                    from->ndim);
  if (mx && from->dtype != MXQ_F32 && from->dtype != MXQ_BF16 && from->dtype != MXQ_F16)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "the source dtype of an MX tensor must be f32, bf16 or f16, not %s",
                    mxq_dtype_name(from->dtype));
  *t = (struct mxq_tensor){.dtype = from->dtype, .format = from->format, .ndim = from->ndim, .kind = from->kind,
                           .requires_grad = from->requires_grad};
  t->name = copy_text(arena, from->name, &failed);
  uint64_t *shape = mxq_arena_alloc(arena, from->ndim * sizeof *shape);
  if (shape && from->ndim)
    memcpy(shape, from->shape, from->ndim * sizeof *shape);
  t->shape = shape;
  failed |= !shape;
  if (mx) {
    t->axis_first = from->axis_first;
    t->axis_last = from->axis_last;
    t->scale_rule = copy_text(arena, from->scale_rule ? from->scale_rule : "auto", &failed);
    t->compat = copy_text(arena, from->compat ? from->compat : "-", &failed);
    t->round = copy_text(arena, from->round ? from->round : "rne", &failed);
    t->neg_zero = copy_text(arena, from->neg_zero ? from->neg_zero : "keep", &failed);
    t->nonfinite = copy_text(arena, from->nonfinite ? from->nonfinite : "error", &failed);
  }
  return failed ? mxq_fail_nomem(err, from->name) : measure(t, err);
}

static enum mxq_status add(struct mxq_writer *base, const struct mxq_tensor *from, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  assert(!w->ran);
  if (w->count == w->capacity) {
    size_t capacity = w->capacity ? 2 * w->capacity : 64;
    struct mxq_pt2_item *items = realloc(w->items, capacity * sizeof *items);
    if (!items)
      return mxq_fail_nomem(err, from->name);
    w->items = items;
    w->capacity = capacity;
  }
  if (w->count >= UINT32_MAX - 1)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "too many tensors");
  struct mxq_pt2_item *item = &w->items[w->count];
  *item = (struct mxq_pt2_item){0};
  enum mxq_status status = mxq_pt2_copy_tensor(&w->arena, from, &item->t, err);
  if (status != MXQ_OK)
    return status;
  uint32_t number = (uint32_t)w->count;
  switch (mxq_names_put(&w->by_name, item->t.name, strlen(item->t.name), &number)) {
  case MXQ_NAMES_NOMEM: return mxq_fail_nomem(err, from->name);
  case MXQ_NAMES_THERE: return mxq_fail(err, MXQ_ERR_USAGE, from->name, "two tensors have this name; an archive holds each name once");
  case MXQ_NAMES_NEW: break;
  }
  mxq_pt2_plan_free(w);
  w->count++;
  w->quantized += from->format != MXQ_FORMAT_NONE;
  return MXQ_OK;
}

static enum mxq_status size(struct mxq_writer *base, uint64_t *bytes, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  enum mxq_status status = mxq_pt2_plan(w, err);
  if (status == MXQ_OK)
    *bytes = w->out.total;
  return status;
}

static bool graph_each(const struct mxq_writer *base) { return mxq_pt2_each((const struct mxq_pt2_writer *)base); }

/* ---- run ---- */

enum mxq_status mxq_pt2_check_scales(const void *scales, size_t n, const char *name, struct mxq_error *err) {
  return memchr(scales, 255, n) ? mxq_fail(err, MXQ_ERR_UNSUPPORTED, name,
                                           "one of its scales is 255 (NaN), which a program for PyTorch before 2.12 cannot decode: write for 2.12, or "
                                           "refuse or saturate NaN and Inf")
                                : MXQ_OK;
}

struct run {
  struct mxq_pt2_writer *w;
  mxq_pull_fn pull;
  void *user;
};

static enum mxq_status fetch(void *user, size_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  const struct mxq_pt2_part *part = &r->w->out.parts[member];
  (void)offset; /* in order, as pulls are */
  enum mxq_status status = r->pull(r->user, part->number, part->sub ? MXQ_PART_SCALES : MXQ_PART_DATA, buf, n, err);
  return status == MXQ_OK && part->sub && r->w->byte_scales ? mxq_pt2_check_scales(buf, n, r->w->items[part->number].t.name, err) : status;
}

static enum mxq_status run(struct mxq_writer *base, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  assert(!w->ran);
  struct run r = {w, pull, user};
  enum mxq_status status = mxq_pt2_plan(w, err);
  w->ran = status == MXQ_OK;
  return status == MXQ_OK ? mxq_pt2_out_run(&w->out, sink, fetch, NULL, &r, err) : status;
}

/* ---- open and free ---- */

static void free_writer(struct mxq_writer *base) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  mxq_pt2_plan_free(w);
  mxq_names_free(&w->by_name);
  mxq_arena_free(&w->arena);
  free(w->items);
  free(w);
}

static enum mxq_status set_options(struct mxq_pt2_writer *w, const struct mxq_write_options *o, struct mxq_error *err) {
  const char *root = o->root ? o->root : "model";
  size_t n = strlen(root);
  w->align = o->align ? o->align : MXQ_PT2_ALIGN;
  w->graph = o->graph;
  w->byte_scales = o->target == MXQ_TARGET_TORCH_2_11;
  if (w->align > MXQ_CANON_MAX_ALIGN || (w->align & (w->align - 1)))
    return mxq_fail(err, MXQ_ERR_USAGE, "", "alignment %u is not a power of two from 1 to %u", w->align, MXQ_CANON_MAX_ALIGN);
  if (!mxq_pt2_root_valid(root, n))
    return mxq_fail(err, MXQ_ERR_USAGE, "",
                    "the root folder must be a name of 1 to %d bytes without slashes, backslashes, colons and control characters, other than . and ..",
                    MXQ_PT2_LONGEST_ROOT);
  bool failed = false;
  w->root = copy_text(&w->arena, root, &failed);
  w->metadata_count = o->metadata_count;
  w->metadata = mxq_arena_calloc(&w->arena, 2 * o->metadata_count, sizeof *w->metadata);
  struct mxq_names keys = {0};
  for (size_t i = 0; w->metadata && i < 2 * o->metadata_count && !failed; i++) {
    w->metadata[i] = copy_text(&w->arena, o->metadata[i], &failed);
    uint32_t number = 0;
    enum mxq_names_put put = i % 2 || failed ? MXQ_NAMES_NEW : mxq_names_put(&keys, w->metadata[i], strlen(w->metadata[i]), &number);
    failed |= put == MXQ_NAMES_NOMEM;
    if (put == MXQ_NAMES_THERE) {
      mxq_names_free(&keys);
      return mxq_fail(err, MXQ_ERR_USAGE, o->metadata[i], "the metadata holds this key twice");
    }
  }
  mxq_names_free(&keys);
  return failed || !w->metadata ? mxq_fail_nomem(err, "") : MXQ_OK;
}

enum mxq_status mxq_pt2_open_writer(const struct mxq_write_options *options, struct mxq_writer **writer, struct mxq_error *err) {
  *writer = NULL;
  struct mxq_pt2_writer *w = calloc(1, sizeof *w);
  if (!w)
    return mxq_fail_nomem(err, "");
  w->base = (struct mxq_writer){.add = add, .size = size, .run = run, .graph_each = graph_each, .free = free_writer};
  enum mxq_status status = set_options(w, options, err);
  if (status == MXQ_OK)
    *writer = &w->base;
  else
    free_writer(&w->base);
  return status;
}
