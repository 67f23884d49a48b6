/* SPDX-License-Identifier: MIT */
/* From the header's text to a table of records. */
#include "formats/safetensors/header.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json/json.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

enum { LONGEST_NAME = 4096, SHAPES = 256 };

struct parse {
  mxq_json *json;
  struct mxq_arena *arena;
  struct mxq_st_header *header;
  size_t capacity, metadata_capacity;
  uint64_t data_size, max_tensors;
  /* Shapes seen lately: models repeat few, and a million copies would take memory. */
  struct { const uint64_t *dims; size_t ndim; } shapes[SHAPES];
  enum mxq_status why;  /* when we stopped the parser: MALFORMED with the words below, or another reason */
  size_t at;
  char words[480];
};

static bool is(const char *s, size_t n, const char *word) {
  return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* Stops the parser with a complaint of ours, which gets the byte of the header at its end. */
static void complain(struct parse *p, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void complain(struct parse *p, size_t at, const char *fmt, ...) {
  va_list ap;
  if (mxq_json_failed(p->json))
    return;
  va_start(ap, fmt);
  int n = vsnprintf(p->words, sizeof p->words - 48, fmt, ap);
  va_end(ap);
  if (n >= 0 && n < (int)sizeof p->words - 48)
    snprintf(p->words + n, sizeof p->words - (size_t)n, " (byte %zu of the header)", at);
  p->at = at;
  p->why = MXQ_ERR_MALFORMED;
  mxq_json_reject(p->json, at, "refused");
}

/* The same about a tensor. */
static void reject(struct parse *p, const char *name, size_t at, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void reject(struct parse *p, const char *name, size_t at, const char *fmt, ...) {
  char what[200];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  complain(p, at, "tensor '%.*s': %s", mxq_clip(name), name, what);
}

static void stop(struct parse *p, enum mxq_status why) {
  if (!mxq_json_failed(p->json))
    p->why = why;
  mxq_json_reject(p->json, mxq_json_offset(p->json), "stopped");
}

/* Room for one more item of an array that doubles. */
static void *more(struct parse *p, void *array, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity)
    return array;
  size_t room = *capacity ? *capacity * 2 : 64, bytes;
  void *grown = __builtin_mul_overflow(room, size, &bytes) ? NULL : realloc(array, bytes);
  if (!grown)
    stop(p, MXQ_ERR_NOMEM);
  else
    *capacity = room;
  return grown;
}

static void parse_metadata(struct parse *p) {
  enum mxq_json_type t = mxq_json_next(p->json, NULL, NULL);
  if (t == MXQ_JSON_NULL)
    return;
  if (t != MXQ_JSON_OBJECT) {
    complain(p, mxq_json_offset(p->json), "__metadata__ is no object of texts");
    return;
  }
  struct mxq_st_header *h = p->header;
  const char *s;
  size_t n;
  while (mxq_json_next(p->json, &s, &n) == MXQ_JSON_KEY) {
    const char *key = mxq_arena_text(p->arena, s, n);
    if (mxq_json_next(p->json, &s, &n) != MXQ_JSON_STRING) {
      if (key)
        complain(p, mxq_json_offset(p->json), "__metadata__ '%.*s' is no text", mxq_clip(key), key);
      else
        stop(p, MXQ_ERR_NOMEM);
      return;
    }
    const char *value = mxq_arena_text(p->arena, s, n);
    const char **grown = more(p, (void *)h->metadata, 2 * h->metadata_count, &p->metadata_capacity, sizeof *grown);
    if (grown)
      h->metadata = grown;
    if (!key || !value || !grown) {
      stop(p, MXQ_ERR_NOMEM);
      return;
    }
    h->metadata[2 * h->metadata_count] = key;
    h->metadata[2 * h->metadata_count++ + 1] = value;
  }
}

/* The dimensions in the arena, NULL without memory. */
static const uint64_t *keep_shape(struct parse *p, const uint64_t *dims, size_t ndim) {
  uint64_t hash = ndim;
  for (size_t i = 0; i < ndim; i++)
    hash = (hash ^ dims[i]) * 0x9E3779B97F4A7C15u;
  size_t slot = hash >> 56; /* 8 bits: SHAPES */
  if (p->shapes[slot].dims && p->shapes[slot].ndim == ndim && memcmp(p->shapes[slot].dims, dims, ndim * sizeof *dims) == 0)
    return p->shapes[slot].dims;
  uint64_t *copy = mxq_arena_alloc(p->arena, ndim * sizeof *dims);
  if (copy) {
    memcpy(copy, dims, ndim * sizeof *dims);
    p->shapes[slot].dims = copy;
    p->shapes[slot].ndim = ndim;
  }
  return copy;
}

static void parse_shape(struct parse *p, struct mxq_st_record *r) {
  uint64_t dims[MXQ_MAX_NDIM];
  size_t ndim = 0, n;
  const char *s;
  enum mxq_json_type t = mxq_json_next(p->json, &s, &n);
  if (t != MXQ_JSON_ARRAY) {
    reject(p, r->name, mxq_json_offset(p->json), "shape is no array");
    return;
  }
  while ((t = mxq_json_next(p->json, &s, &n)) != MXQ_JSON_ARRAY_END) {
    if (t == MXQ_JSON_ERROR)
      return;
    if (ndim == MXQ_MAX_NDIM) {
      reject(p, r->name, mxq_json_offset(p->json), "more than %d dimensions, the most that are read here and in PyTorch: reshape it where it was made", MXQ_MAX_NDIM);
      return;
    }
    if (t != MXQ_JSON_NUMBER || !mxq_json_text_to_u64(s, n, &dims[ndim])) {
      reject(p, r->name, mxq_json_offset(p->json), "a size in shape is no integer from 0 to 2^64 - 1");
      return;
    }
    ndim++;
  }
  r->shape = keep_shape(p, dims, ndim);
  r->ndim = (uint8_t)ndim;
  if (!r->shape)
    stop(p, MXQ_ERR_NOMEM);
}

static void parse_offsets(struct parse *p, struct mxq_st_record *r) {
  uint64_t *const ends[2] = {&r->begin, &r->end};
  const char *s;
  size_t n, count = 0;
  enum mxq_json_type t = mxq_json_next(p->json, &s, &n);
  r->at = (uint32_t)mxq_json_offset(p->json);
  if (t != MXQ_JSON_ARRAY) {
    reject(p, r->name, r->at, "data_offsets is no array");
    return;
  }
  while ((t = mxq_json_next(p->json, &s, &n)) != MXQ_JSON_ARRAY_END) {
    if (t == MXQ_JSON_ERROR)
      return;
    if (count == 2 || t != MXQ_JSON_NUMBER || !mxq_json_text_to_u64(s, n, ends[count])) {
      reject(p, r->name, mxq_json_offset(p->json), "data_offsets are not two integers from 0 to 2^64 - 1");
      return;
    }
    count++;
  }
  if (count != 2)
    reject(p, r->name, r->at, "data_offsets are not two integers");
}

/* Bytes that dtype and shape take; false when they are no whole number or do not fit in 64 bits. */
static bool shape_bytes(struct parse *p, const struct mxq_st_record *r, uint64_t *bytes) {
  uint64_t bits = mxq_dtype_bits((enum mxq_dtype)r->dtype);
  bool zero = false;
  for (unsigned i = 0; i < r->ndim; i++) {
    zero |= r->shape[i] == 0;
    if (r->shape[i] != 0 && __builtin_mul_overflow(bits, r->shape[i], &bits)) {
      reject(p, r->name, r->at, "its size does not fit in 64 bits");
      return false;
    }
  }
  if (zero)
    bits = 0;
  if (bits % 8) {
    reject(p, r->name, r->at, "its size of %llu bits is no whole number of bytes", (unsigned long long)bits);
    return false;
  }
  *bytes = bits / 8;
  return true;
}

static void check_tensor(struct parse *p, const struct mxq_st_record *r) {
  unsigned long long begin = r->begin, end = r->end, size = p->data_size;
  uint64_t bytes;
  if (begin > end)
    reject(p, r->name, r->at, "data_offsets begin %llu > end %llu", begin, end);
  else if (end > size)
    reject(p, r->name, r->at, "data_offsets end %llu > data size %llu", end, size);
  else if (shape_bytes(p, r, &bytes) && bytes != end - begin)
    reject(p, r->name, r->at, "dtype %s and shape take %llu bytes, data_offsets give %llu", mxq_st_dtype_name((enum mxq_dtype)r->dtype),
           (unsigned long long)bytes, end - begin);
}

/* The value of one key of the header, the key itself just delivered. */
static void parse_tensor(struct parse *p, const char *key, size_t key_n) {
  struct mxq_st_header *h = p->header;
  size_t at = mxq_json_offset(p->json), n;
  struct mxq_st_record r = {.name = mxq_arena_text(p->arena, key, key_n)};
  struct mxq_st_record *grown = r.name ? more(p, h->records, h->count, &p->capacity, sizeof r) : NULL;
  if (!grown) {
    stop(p, MXQ_ERR_NOMEM);
    return;
  }
  h->records = grown;
  if (key_n > LONGEST_NAME) {
    reject(p, r.name, at, "its name has %zu bytes, more than %d", key_n, LONGEST_NAME);
    return;
  }
  if (h->count >= p->max_tensors) {
    stop(p, MXQ_ERR_LIMIT);
    return;
  }
  if (mxq_json_next(p->json, NULL, NULL) != MXQ_JSON_OBJECT) {
    reject(p, r.name, mxq_json_offset(p->json), "is no object");
    return;
  }
  bool shape = false, offsets = false;
  const char *s;
  while (mxq_json_next(p->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "dtype")) {
      if (mxq_json_next(p->json, &s, &n) != MXQ_JSON_STRING)
        reject(p, r.name, mxq_json_offset(p->json), "dtype is no text");
      else if ((r.dtype = (uint8_t)mxq_st_dtype_parse(s, n)) == MXQ_DTYPE_NONE)
        reject(p, r.name, mxq_json_offset(p->json), "there is no dtype '%.*s'", n < 32 ? (int)n : 32, s);
    } else if (is(s, n, "shape")) {
      parse_shape(p, &r);
      shape = true;
    } else if (is(s, n, "data_offsets")) {
      parse_offsets(p, &r);
      offsets = true;
    } else {
      mxq_json_skip(p->json, MXQ_JSON_KEY);
    }
  }
  if (mxq_json_failed(p->json))
    return;
  if (r.dtype == MXQ_DTYPE_NONE || !shape || !offsets) {
    reject(p, r.name, at, "%s is missing", r.dtype == MXQ_DTYPE_NONE ? "dtype" : shape ? "data_offsets" : "shape");
    return;
  }
  check_tensor(p, &r);
  h->records[h->count++] = r;
}

static enum mxq_status parse_text(struct parse *p, const char *text, size_t n, const char *path, struct mxq_error *err) {
  /* A value takes a byte at least, so the text itself bounds their number. */
  enum mxq_status s = mxq_json_open(text, n, n, &p->json, err);
  if (s != MXQ_OK)
    return mxq_fail_name(err, s, path);
  if (mxq_json_next(p->json, NULL, NULL) != MXQ_JSON_OBJECT)
    complain(p, mxq_json_offset(p->json), "the header is no JSON object");
  const char *key;
  size_t key_n;
  while (mxq_json_next(p->json, &key, &key_n) == MXQ_JSON_KEY) {
    if (is(key, key_n, "__metadata__"))
      parse_metadata(p);
    else
      parse_tensor(p, key, key_n);
  }
  s = mxq_json_end(p->json, path, err);
  mxq_json_close(p->json);
  if (p->why == MXQ_ERR_MALFORMED)
    return mxq_fail_at(err, p->why, path, 8 + (uint64_t)p->at, "%s", p->words);
  if (p->why == MXQ_ERR_NOMEM)
    return mxq_fail_nomem(err, path);
  if (p->why == MXQ_ERR_LIMIT)
    return mxq_fail(err, MXQ_ERR_LIMIT, path, "the file has more than %llu tensors, the limit that is set", (unsigned long long)p->max_tensors);
  if (s != MXQ_OK && err && err->offset != MXQ_NO_OFFSET)
    err->offset += 8; /* from the header to the file */
  return s;
}

static enum mxq_status read_text(const struct mxq_source *source, const char *path, uint64_t max, char **text, size_t *n,
                                 struct mxq_error *err) {
  unsigned char frame[8];
  unsigned long long size = source->size;
  if (size < 8)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, path, 0, "the file has %llu bytes and ends inside of the 8 bytes of the header's length", size);
  enum mxq_status s = source->read_at(source->ctx, 0, frame, 8, err);
  if (s != MXQ_OK)
    return s;
  unsigned long long length = mxq_get64(frame);
  if (length > size - 8)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, path, 0,
                       "the header's length is %llu bytes (byte 0), but only %llu follow: the file is cut short or no safetensors file", length,
                       size - 8);
  if (length > max || length > UINT32_MAX)
    return mxq_fail_at(err, MXQ_ERR_LIMIT, path, 0, "the header has %llu bytes, more than the limit of %llu; the limit can be raised", length,
                       (unsigned long long)(max < UINT32_MAX ? max : UINT32_MAX));
  *n = (size_t)length;
  *text = malloc(*n ? *n : 1);
  if (!*text)
    return mxq_fail_nomem(err, path);
  s = source->read_at(source->ctx, 8, *text, *n, err);
  if (s != MXQ_OK)
    free(*text);
  return s;
}

enum mxq_status mxq_st_header_read(const struct mxq_source *source, const char *path, const struct mxq_read_options *options,
                                   struct mxq_arena *arena, struct mxq_st_header *header, struct mxq_error *err) {
  memset(header, 0, sizeof *header);
  char *text;
  size_t n = 0;
  enum mxq_status s = read_text(source, path, options->max_text, &text, &n, err);
  if (s != MXQ_OK)
    return s;
  header->data = 8 + (uint64_t)n;
  struct parse p = {.arena = arena, .header = header, .data_size = source->size - header->data, .max_tensors = options->max_tensors};
  s = parse_text(&p, text, n, path, err);
  free(text);
  /* The list of metadata moves to the arena, where its texts are. */
  const char **list = mxq_arena_alloc(arena, 2 * header->metadata_count * sizeof *list);
  if (list && header->metadata_count)
    memcpy((void *)list, (const void *)header->metadata, 2 * header->metadata_count * sizeof *list);
  free((void *)header->metadata);
  header->metadata = list;
  if (s == MXQ_OK && !list)
    s = mxq_fail_nomem(err, path);
  if (s == MXQ_OK)
    s = mxq_st_cover(header, p.data_size, path, err);
  if (s != MXQ_OK) {
    free(header->records);
    memset(header, 0, sizeof *header);
  }
  return s;
}
