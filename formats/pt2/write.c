/* SPDX-License-Identifier: MIT */
/* The writer's life: open, add, size, run, free. */
#include "formats/pt2/write.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "lib/base/bytes.h"
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

static enum mxq_status copy_tensor(struct mxq_pt2_writer *w, const struct mxq_tensor *from, struct mxq_tensor *t, struct mxq_error *err) {
  bool failed = false, mx = from->format != MXQ_FORMAT_NONE;
  *t = (struct mxq_tensor){.dtype = from->dtype, .format = from->format, .ndim = from->ndim, .kind = from->kind,
                           .requires_grad = from->requires_grad};
  t->name = copy_text(&w->arena, from->name, &failed);
  uint64_t *shape = mxq_arena_alloc(&w->arena, from->ndim * sizeof *shape);
  if (shape && from->ndim)
    memcpy(shape, from->shape, from->ndim * sizeof *shape);
  t->shape = shape;
  failed |= !shape;
  if (mx) {
    t->axis_first = from->axis_first;
    t->axis_last = from->axis_last;
    t->scale_rule = copy_text(&w->arena, from->scale_rule ? from->scale_rule : "auto", &failed);
    t->compat = copy_text(&w->arena, from->compat ? from->compat : "-", &failed);
    t->round = copy_text(&w->arena, from->round ? from->round : "rne", &failed);
    t->neg_zero = copy_text(&w->arena, from->neg_zero ? from->neg_zero : "keep", &failed);
    t->nonfinite = copy_text(&w->arena, from->nonfinite ? from->nonfinite : "error", &failed);
  }
  return failed ? mxq_fail_nomem(err, from->name) : measure(t, err);
}

static enum mxq_status add(struct mxq_writer *base, const struct mxq_tensor *from, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  assert(!w->ran);
  bool mx = from->format != MXQ_FORMAT_NONE;
  if (mx && (!mxq_format_name(from->format) || from->ndim == 0 || from->axis_first > from->axis_last || from->axis_last >= from->ndim))
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "axes %u to %u of %u dimensions cannot be blocked", from->axis_first, from->axis_last,
                    from->ndim);
  if (mx && from->dtype != MXQ_F32 && from->dtype != MXQ_BF16 && from->dtype != MXQ_F16)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "the source dtype of an MX tensor must be f32, bf16 or f16, not %s",
                    mxq_dtype_name(from->dtype));
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
  enum mxq_status status = copy_tensor(w, from, &item->t, err);
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
  w->quantized += mx;
  return MXQ_OK;
}

static enum mxq_status size(struct mxq_writer *base, uint64_t *bytes, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  enum mxq_status status = mxq_pt2_plan(w, err);
  if (status == MXQ_OK)
    *bytes = w->total;
  return status;
}

static bool graph_each(const struct mxq_writer *base) { return mxq_pt2_each((const struct mxq_pt2_writer *)base); }

/* ---- run ---- */

struct run {
  struct mxq_pt2_writer *w;
  mxq_pull_fn pull;
  void *user;
  struct mxq_sha256 *hash;
  size_t member;                     /* in work; SIZE_MAX before the first */
  uint64_t pos;
  struct mxq_text text;              /* of the index, then of the digests */
};

/* 40 digits that follow from all data before them: two numbers, as PyTorch's writer has them. */
static enum mxq_status make_id(struct run *r, struct mxq_error *err) {
  unsigned char sum[MXQ_SHA256_BYTES];
  bool ok = mxq_sha256_start(r->hash);
  for (size_t i = 0; i < r->member; i++)
    ok = ok && mxq_sha256_add(r->hash, r->w->digests.entries[i].sha256, MXQ_SHA256_BYTES);
  if (!ok || !mxq_sha256_end(r->hash, sum))
    return mxq_fail_nomem(err, "");
  mxq_text_addf(&r->text, "%020" PRIu64 "%020" PRIu64, mxq_get64(sum), mxq_get64(sum + 8));
  return MXQ_OK;
}

/* CRCs of the tensors' members, for the index. A tensor's members follow one another. */
static void make_index(struct run *r) {
  struct mxq_pt2_writer *w = r->w;
  uint32_t *crc = calloc(2 * w->count + 1, sizeof *crc);
  if (!crc) {
    r->text.failed = true;
    return;
  }
  for (size_t m = 0; m < w->member_count && w->parts[m].origin == MXQ_FROM_TENSOR; m++)
    crc[2 * w->parts[m].tensor + (size_t)w->parts[m].part] = w->members[m].crc;
  for (size_t i = 0; i < w->count; i++) {
    /* A line's tensor is the first field of an item. */
    size_t number = (size_t)((const struct mxq_pt2_item *)(const void *)w->lines[i].tensor - w->items);
    w->lines[i].crc[0] = crc[2 * number];
    w->lines[i].crc[1] = crc[2 * number + 1];
    mxq_index_line(&r->text, &w->lines[i]);
  }
  free(crc);
}

static enum mxq_status start_member(struct run *r, size_t m, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  r->member = m;
  r->pos = 0;
  r->text.size = 0;
  switch (r->w->parts[m].origin) {
  case MXQ_FROM_ID: status = make_id(r, err); break;
  case MXQ_FROM_INDEX: make_index(r); break;
  case MXQ_FROM_DIGESTS: mxq_digests_text(&r->w->digests, &r->text); break;
  default: break;
  }
  if (status == MXQ_OK && r->text.failed)
    status = mxq_fail_nomem(err, r->w->members[m].name);
  return status;
}

/* Every member that holds something passes here; an empty one has the digest of nothing. */
static enum mxq_status close_members(struct run *r, size_t until, struct mxq_error *err) {
  struct mxq_pt2_writer *w = r->w;
  for (size_t m = r->member + 1; m < until; m++) {
    if (!mxq_sha256_start(r->hash) || !mxq_sha256_end(r->hash, w->digests.entries[m].sha256))
      return mxq_fail_nomem(err, w->members[m].name);
  }
  return MXQ_OK;
}

static enum mxq_status pull(void *user, size_t m, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  struct mxq_pt2_writer *w = r->w;
  const struct mxq_pt2_part *part = &w->parts[m];
  enum mxq_status status = MXQ_OK;
  if (m != r->member) {
    status = close_members(r, m, err);
    if (status == MXQ_OK)
      status = start_member(r, m, err);
    if (status == MXQ_OK && !mxq_sha256_start(r->hash))
      status = mxq_fail_nomem(err, w->members[m].name);
  }
  if (status != MXQ_OK)
    return status;
  switch (part->origin) {
  case MXQ_FROM_TENSOR: status = r->pull(r->user, part->tensor, part->part, buf, n, err); break;
  case MXQ_FROM_TEXT: memcpy(buf, part->text + r->pos, n); break;
  case MXQ_FROM_TABLE: mxq_pt2_table_data(part->tensor, (size_t)r->pos, buf, n); break;
  default: memcpy(buf, r->text.data + r->pos, n); break;
  }
  if (status != MXQ_OK)
    return status;
  r->pos += n;
  if (!mxq_sha256_add(r->hash, buf, n) ||
      (r->pos == w->members[m].size && m < w->digests.count && !mxq_sha256_end(r->hash, w->digests.entries[m].sha256)))
    return mxq_fail_nomem(err, w->members[m].name);
  return MXQ_OK;
}

static enum mxq_status run(struct mxq_writer *base, const struct mxq_sink *sink, mxq_pull_fn tensors, void *user, struct mxq_error *err) {
  struct mxq_pt2_writer *w = (struct mxq_pt2_writer *)base;
  assert(!w->ran);
  struct run r = {.w = w, .pull = tensors, .user = user, .member = SIZE_MAX, .hash = mxq_sha256_new()};
  enum mxq_status status = r.hash ? mxq_pt2_plan(w, err) : mxq_fail_nomem(err, sink->name);
  if (status == MXQ_OK) {
    w->ran = true;
    status = mxq_zip_write(sink, w->members, w->member_count, w->total, pull, &r, err);
  }
  mxq_sha256_free(r.hash);
  mxq_text_free(&r.text);
  return status;
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
  w->align = o->align ? o->align : 64;
  w->graph = o->graph;
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
