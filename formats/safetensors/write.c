/* SPDX-License-Identifier: MIT */
/* Writer of one safetensors file: the header from what was added, then each tensor's bytes as they are pulled. */
#include "formats/safetensors/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json/json.h"
#include "formats/safetensors/header.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

enum { LARGEST_HEADER = 100000000 /* what the reference reads */, CHUNK = 1 << 20 };

struct st_writer {
  struct mxq_writer base;
  struct mxq_arena arena;
  struct mxq_names names;
  struct added { const char *name; const char *dtype; const uint64_t *shape; uint64_t bytes; uint32_t ndim; } *tensors;
  size_t count, capacity;
  uint64_t data;             /* bytes of all tensors */
  struct mxq_write_options options;
  struct mxq_text header;    /* composed at the first call of size or run */
};

static enum mxq_status add(struct mxq_writer *base, const struct mxq_tensor *t, struct mxq_error *err) {
  struct st_writer *w = (struct st_writer *)base;
  const char *dtype = mxq_st_dtype_name(t->dtype);
  if (w->header.data)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "the header is composed already: nothing can be added any more");
  if (t->format != MXQ_FORMAT_NONE)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "safetensors files hold ordinary tensors only, not %s", mxq_format_name(t->format));
  if (!dtype)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "safetensors files cannot hold dtype %s", mxq_dtype_name(t->dtype));
  if (strcmp(t->name, "__metadata__") == 0)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "safetensors reserves this name");
  uint64_t bits = mxq_dtype_bits(t->dtype);
  bool zero = false, fits = true;
  for (uint32_t i = 0; i < t->ndim; i++) {
    zero |= t->shape[i] == 0;
    fits = fits && (t->shape[i] == 0 || !__builtin_mul_overflow(bits, t->shape[i], &bits));
  }
  uint64_t bytes = zero ? 0 : bits / 8, data;
  if (!fits || __builtin_add_overflow(w->data, bytes, &data))
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "its size does not fit in 64 bits");
  if (!zero && bits % 8)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "its size of %llu bits is no whole number of bytes", (unsigned long long)bits);
  if (w->count == w->capacity) {
    size_t room = w->capacity ? 2 * w->capacity : 64;
    struct added *grown = realloc(w->tensors, room * sizeof *grown);
    if (!grown)
      return mxq_fail_nomem(err, t->name);
    w->tensors = grown;
    w->capacity = room;
  }
  size_t n = strlen(t->name);
  uint32_t number = (uint32_t)w->count;
  const char *name = mxq_arena_text(&w->arena, t->name, n);
  uint64_t *shape = mxq_arena_alloc(&w->arena, t->ndim * sizeof *shape);
  enum mxq_names_put put = name && shape ? mxq_names_put(&w->names, name, n, &number) : MXQ_NAMES_NOMEM;
  if (put == MXQ_NAMES_NOMEM)
    return mxq_fail_nomem(err, t->name);
  if (put == MXQ_NAMES_THERE)
    return mxq_fail(err, MXQ_ERR_USAGE, t->name, "there is a tensor of this name already");
  if (t->ndim)
    memcpy(shape, t->shape, t->ndim * sizeof *shape);
  w->tensors[w->count++] = (struct added){name, dtype, shape, bytes, t->ndim};
  w->data = data;
  return MXQ_OK;
}

/* As the reference writes it: UTF-8 stays, only what JSON demands is escaped. */
static void quote(struct mxq_text *t, const char *s) {
  static const char names[] = "btn\0fr"; /* of the control characters 8 to 13 */
  mxq_text_add(t, "\"", 1);
  for (const char *plain = s;; s++) {
    unsigned char c = (unsigned char)*s;
    if (c >= 0x20 && c != '"' && c != '\\')
      continue;
    mxq_text_add(t, plain, (size_t)(s - plain));
    plain = s + 1;
    if (c == 0)
      break;
    if (c >= 8 && c <= 13 && names[c - 8])
      mxq_text_addf(t, "\\%c", names[c - 8]);
    else if (c < 0x20)
      mxq_text_addf(t, "\\u%04x", c);
    else
      mxq_text_addf(t, "\\%c", c);
  }
  mxq_text_add(t, "\"", 1);
}

static enum mxq_status compose(struct st_writer *w, struct mxq_error *err) {
  if (w->header.data)
    return MXQ_OK;
  struct mxq_text t = {0};
  mxq_text_add(&t, "{", 1);
  const struct mxq_write_options *o = &w->options;
  for (size_t i = 0; i < o->metadata_count; i++) {
    mxq_text_addf(&t, "%s", i ? "," : "\"__metadata__\":{");
    quote(&t, o->metadata[2 * i]);
    mxq_text_add(&t, ":", 1);
    quote(&t, o->metadata[2 * i + 1]);
  }
  if (o->metadata_count)
    mxq_text_addf(&t, "}%s", w->count ? "," : "");
  uint64_t at = 0;
  for (size_t i = 0; i < w->count; i++) {
    const struct added *a = &w->tensors[i];
    mxq_text_addf(&t, "%s", i ? "," : "");
    quote(&t, a->name);
    mxq_text_addf(&t, ":{\"dtype\":\"%s\",\"shape\":[", a->dtype);
    for (uint32_t d = 0; d < a->ndim; d++)
      mxq_text_addf(&t, "%s%llu", d ? "," : "", (unsigned long long)a->shape[d]);
    mxq_text_addf(&t, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + a->bytes));
    at += a->bytes;
  }
  mxq_text_add(&t, "}       ", 1 + -(t.size + 1) % 8);
  if (t.failed) {
    mxq_text_free(&t);
    return mxq_fail_nomem(err, "");
  }
  if (t.size > LARGEST_HEADER) {
    size_t size = t.size;
    mxq_text_free(&t);
    return mxq_fail(err, MXQ_ERR_LIMIT, "", "the header would have %zu bytes, and no other reader takes more than %d", size, LARGEST_HEADER);
  }
  w->header = t;
  return MXQ_OK;
}

static enum mxq_status size(struct mxq_writer *base, uint64_t *bytes, struct mxq_error *err) {
  struct st_writer *w = (struct st_writer *)base;
  enum mxq_status s = compose(w, err);
  if (s == MXQ_OK && __builtin_add_overflow(8 + (uint64_t)w->header.size, w->data, bytes))
    s = mxq_fail(err, MXQ_ERR_USAGE, "", "the file's size does not fit in 64 bits");
  return s;
}

static enum mxq_status run(struct mxq_writer *base, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err) {
  struct st_writer *w = (struct st_writer *)base;
  uint64_t total;
  enum mxq_status s = size(base, &total, err);
  if (s != MXQ_OK)
    return s;
  char *buf = malloc(CHUNK);
  if (!buf)
    return mxq_fail_nomem(err, sink->name);
  unsigned char frame[8];
  mxq_put64(frame, w->header.size);
  s = sink->write_at(sink->ctx, 0, frame, 8, err);
  if (s == MXQ_OK)
    s = sink->write_at(sink->ctx, 8, w->header.data, w->header.size, err);
  uint64_t at = 8 + (uint64_t)w->header.size;
  for (size_t i = 0; i < w->count && s == MXQ_OK; i++) {
    for (uint64_t left = w->tensors[i].bytes; left > 0 && s == MXQ_OK;) {
      size_t n = left < CHUNK ? (size_t)left : CHUNK;
      s = pull(user, i, MXQ_PART_DATA, buf, n, err);
      if (s == MXQ_OK)
        s = sink->write_at(sink->ctx, at, buf, n, err);
      at += n;
      left -= n;
    }
  }
  free(buf);
  return s;
}

static void release(struct mxq_writer *base) {
  struct st_writer *w = (struct st_writer *)base;
  mxq_text_free(&w->header);
  mxq_names_free(&w->names);
  mxq_arena_free(&w->arena);
  free(w->tensors);
  free(w);
}

enum mxq_status mxq_st_open_writer(const struct mxq_write_options *options, struct mxq_writer **writer, struct mxq_error *err) {
  struct st_writer *w = calloc(1, sizeof *w);
  if (!w)
    return mxq_fail_nomem(err, "");
  w->base = (struct mxq_writer){.add = add, .size = size, .run = run, .free = release};
  w->options = *options;
  struct mxq_names keys = {0};
  enum mxq_status s = MXQ_OK;
  for (size_t i = 0; i < options->metadata_count && s == MXQ_OK; i++) {
    uint32_t number = (uint32_t)i;
    const char *key = options->metadata[2 * i];
    enum mxq_names_put put = mxq_names_put(&keys, key, strlen(key), &number);
    if (put != MXQ_NAMES_NEW)
      s = put == MXQ_NAMES_THERE ? mxq_fail(err, MXQ_ERR_USAGE, key, "this metadata key is there twice") : mxq_fail_nomem(err, "");
  }
  mxq_names_free(&keys);
  if (s == MXQ_OK)
    *writer = &w->base;
  else
    release(&w->base);
  return s;
}
