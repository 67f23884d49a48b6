/* SPDX-License-Identifier: MIT */
/* The manifest as text: {"mx": {...}} in graph_module.metadata["custom"]. Unknown keys are ignored. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/manifest_tables.h"
#include "lib/base/fail.h"

struct read {
  struct mxq_pt2_reader *r;
  mxq_json *json;
  enum mxq_status status;
  struct mxq_error *err;
  size_t metadata_room;
  uint64_t version;
  struct mxq_pt2_entry before;       /* the entry before this one: most texts are the same */
};

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

static void nomem(struct read *m) {
  if (m->status == MXQ_OK)
    m->status = mxq_fail_nomem(m->err, m->r->base.path);
}

static bool shape(struct read *m, struct mxq_pt2_entry *e) {
  uint64_t dims[MXQ_MAX_NDIM];
  enum mxq_json_type type;
  const char *s;
  size_t n;
  e->ndim = 0;
  if (!mxq_json_expect(m->json, MXQ_JSON_ARRAY))
    return false;
  while ((type = mxq_json_next(m->json, &s, &n)) == MXQ_JSON_NUMBER) {
    if (e->ndim == MXQ_MAX_NDIM || !mxq_json_text_to_u64(s, n, &dims[e->ndim])) {
      mxq_json_reject(m->json, mxq_json_offset(m->json), "a shape must have at most %d sizes, none negative", MXQ_MAX_NDIM);
      return false;
    }
    e->ndim++;
  }
  if (type != MXQ_JSON_ARRAY_END) {
    mxq_json_reject(m->json, mxq_json_offset(m->json), "a shape must be an array of numbers");
    return false;
  }
  uint64_t *copy = mxq_arena_alloc(&m->r->base.arena, e->ndim * sizeof *copy);
  if (!copy) {
    nomem(m);
    return false;
  }
  memcpy(copy, dims, e->ndim * sizeof *copy);
  e->shape = copy;
  e->has_shape = true;
  return true;
}

static void axes(struct read *m, struct mxq_pt2_entry *e) {
  e->has_axes = mxq_json_expect(m->json, MXQ_JSON_ARRAY) && mxq_json_u64(m->json, &e->axes[0]) && mxq_json_u64(m->json, &e->axes[1]) &&
                mxq_json_expect(m->json, MXQ_JSON_ARRAY_END);
}

/* A text, which is often that of the entry before. */
static void text(struct read *m, const char *before, const char **to) {
  const char *s;
  size_t n;
  if (mxq_json_next(m->json, &s, &n) != MXQ_JSON_STRING) {
    mxq_json_reject(m->json, mxq_json_offset(m->json), "a text was expected");
    return;
  }
  *to = before && is(s, n, before) ? before : mxq_arena_text(&m->r->base.arena, s, n);
  if (!*to)
    nomem(m);
}

/* The name of a stored tensor: its number, and the text only where there is none. */
static void stored(struct read *m, uint32_t *number, const char **to) {
  const char *s;
  size_t n;
  if (mxq_json_next(m->json, &s, &n) != MXQ_JSON_STRING) {
    mxq_json_reject(m->json, mxq_json_offset(m->json), "the name of a tensor was expected");
    return;
  }
  *number = mxq_names_find(&m->r->stored_names, s, n);
  if (*number == UINT32_MAX && !(*to = mxq_arena_text(&m->r->base.arena, s, n)))
    nomem(m);
}

/* {"kind": "parameter", "requires_grad": true} */
static void source(struct read *m, struct mxq_pt2_entry *e) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(m->json, MXQ_JSON_OBJECT))
    return;
  while (mxq_json_next(m->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "kind"))
      text(m, m->before.kind, &e->kind);
    else if (is(s, n, "requires_grad"))
      mxq_json_bool(m->json, &e->requires_grad);
    else
      mxq_json_skip(m->json, MXQ_JSON_KEY);
  }
}

/* Reads the text behind a key; false when the key is not one of those. */
static bool text_field(struct read *m, struct mxq_pt2_entry *e, const char *s, size_t n) {
  const struct {
    const char *key;
    const char **field;
    const char *before;
  } fields[] = {{"format", &e->format, m->before.format},       {"layout", &e->layout, m->before.layout},
                {"scale_rule", &e->scale_rule, m->before.scale_rule}, {"compat", &e->compat, m->before.compat},
                {"round", &e->round, m->before.round},          {"neg_zero", &e->neg_zero, m->before.neg_zero},
                {"nonfinite", &e->nonfinite, m->before.nonfinite}, {"source_dtype", &e->dtype, m->before.dtype}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (is(s, n, fields[i].key)) {
      text(m, fields[i].before, fields[i].field);
      return true;
    }
  return false;
}

static void entry(struct read *m, struct mxq_pt2_entry *e, bool kept) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(m->json, MXQ_JSON_OBJECT))
    return;
  while (m->status == MXQ_OK && mxq_json_next(m->json, &s, &n) == MXQ_JSON_KEY) {
    if (is(s, n, "shape"))
      shape(m, e);
    else if (is(s, n, kept ? "name" : "codes"))
      stored(m, &e->part[0], &e->codes);
    else if (kept && is(s, n, "dtype"))
      text(m, m->before.dtype, &e->dtype);
    else if (!kept && is(s, n, "scales"))
      stored(m, &e->part[1], &e->scales);
    else if (!kept && is(s, n, "axes"))
      axes(m, e);
    else if (!kept && is(s, n, "block"))
      mxq_json_u64(m->json, &e->block);
    else if (!kept && is(s, n, "source"))
      source(m, e);
    else if (kept || !text_field(m, e, s, n))
      mxq_json_skip(m->json, MXQ_JSON_KEY);
  }
  m->before = *e;
}

/* An entry by the name of the key just read. */
static void add(struct read *m, const char *s, size_t n, bool kept) {
  struct mxq_pt2_manifest_text *t = &m->r->manifest;
  struct mxq_pt2_entry **list = kept ? &t->kept : &t->entries;
  size_t *count = kept ? &t->kept_count : &t->entry_count, *room = kept ? &t->kept_room : &t->entry_room;
  const char *name = mxq_arena_text(&m->r->base.arena, s, n);
  if (*count == *room) {
    size_t more = *room ? *room + *room / 2 : 32;
    struct mxq_pt2_entry *e = realloc(*list, more * sizeof *e);
    if (e) {
      *list = e;
      *room = more;
    }
  }
  if (!name || *count == *room) {
    nomem(m);
    return;
  }
  struct mxq_pt2_entry *e = &(*list)[(*count)++];
  *e = (struct mxq_pt2_entry){.name = name, .part = {UINT32_MAX, UINT32_MAX}};
  entry(m, e, kept);
}

static void entries(struct read *m, bool kept) {
  const char *s;
  size_t n;
  if (!mxq_json_expect(m->json, MXQ_JSON_OBJECT))
    return;
  while (m->status == MXQ_OK && mxq_json_next(m->json, &s, &n) == MXQ_JSON_KEY)
    add(m, s, n, kept);
}

static void metadata(struct read *m) {
  struct mxq_reader *b = &m->r->base;
  const char *s;
  size_t n;
  if (!mxq_json_expect(m->json, MXQ_JSON_OBJECT))
    return;
  while (m->status == MXQ_OK && mxq_json_next(m->json, &s, &n) == MXQ_JSON_KEY) {
    if (b->metadata_count == m->metadata_room) {
      size_t more = m->metadata_room ? 2 * m->metadata_room : 16;
      const char **list = mxq_arena_calloc(&b->arena, 2 * more, sizeof *list);
      if (!list) {
        nomem(m);
        return;
      }
      if (b->metadata_count)
        memcpy(list, b->metadata, 2 * b->metadata_count * sizeof *list);
      b->metadata = list;
      m->metadata_room = more;
    }
    const char *key = mxq_arena_text(&b->arena, s, n), *value;
    if (!key)
      nomem(m);
    else if (mxq_json_text(m->json, &b->arena, &value)) {
      b->metadata[2 * b->metadata_count] = key;
      b->metadata[2 * b->metadata_count + 1] = value;
      b->metadata_count++;
    }
  }
}

/* Names of constants that decoding nodes look values up in: no tensors of the user's, as far as they can be such tables. */
static void tables(struct read *m) {
  const char *s;
  size_t n;
  enum mxq_json_type type;
  if (!mxq_json_expect(m->json, MXQ_JSON_ARRAY))
    return;
  while ((type = mxq_json_next(m->json, &s, &n)) == MXQ_JSON_STRING) {
    uint32_t i = mxq_names_find(&m->r->stored_names, s, n);
    if (i != UINT32_MAX && mxq_pt2_is_table(&m->r->stored[i]))
      m->r->stored[i].hidden = true;
  }
  if (type != MXQ_JSON_ARRAY_END)
    mxq_json_reject(m->json, mxq_json_offset(m->json), "the name of a table was expected");
}

/* Old archives have the entries in "mx" itself: those whose "mx" has neither "version" nor "tensors". */
static enum mxq_status find_style(const char *text, size_t n, bool *there, bool *flat, struct mxq_error *err) {
  mxq_json *json;
  const char *s;
  size_t len;
  enum mxq_json_type type;
  enum mxq_status status = mxq_json_open(text, n, 0, &json, err);
  *there = false;
  *flat = true;
  if (status != MXQ_OK)
    return status;
  type = mxq_json_next(json, NULL, NULL);
  while (type == MXQ_JSON_OBJECT && mxq_json_next(json, &s, &len) == MXQ_JSON_KEY) {
    if (!is(s, len, "mx")) {
      mxq_json_skip(json, MXQ_JSON_KEY);
      continue;
    }
    *there = mxq_json_next(json, NULL, NULL) == MXQ_JSON_OBJECT;
    while (*there && mxq_json_next(json, &s, &len) == MXQ_JSON_KEY) {
      if (is(s, len, "version") || is(s, len, "tensors")) {
        *flat = false;
        break;
      }
      mxq_json_skip(json, MXQ_JSON_KEY);
    }
    break;
  }
  mxq_json_close(json); /* what is wrong with it is found by the second look */
  return MXQ_OK;
}

static void mx(struct read *m, bool flat) {
  struct mxq_pt2_manifest_text *t = &m->r->manifest;
  const char *s;
  size_t n;
  while (m->status == MXQ_OK && mxq_json_next(m->json, &s, &n) == MXQ_JSON_KEY) {
    if (flat) {
      add(m, s, n, false);
    } else if (is(s, n, "version")) {
      mxq_json_u64(m->json, &m->version);
    } else if (is(s, n, "tool")) {
      mxq_json_text(m->json, &m->r->base.arena, &t->tool);
    } else if (is(s, n, "archive")) {
      enum mxq_json_type type = mxq_json_next(m->json, &s, &n);
      t->weights = type == MXQ_JSON_STRING && is(s, n, "weights");
      mxq_json_skip(m->json, type);
    } else if (is(s, n, "tensors")) {
      entries(m, false);
    } else if (is(s, n, "kept")) {
      entries(m, true);
    } else if (is(s, n, "tables")) {
      tables(m);
    } else if (is(s, n, "metadata")) {
      metadata(m);
    } else {
      mxq_json_skip(m->json, MXQ_JSON_KEY);
    }
  }
}

enum mxq_status mxq_pt2_manifest_parse(struct mxq_pt2_reader *r, const char *text, size_t n, struct mxq_error *err) {
  struct read m = {.r = r, .err = err, .version = 1, .before = {.name = NULL}};
  bool flat;
  const char *s;
  size_t len;
  enum mxq_status status = find_style(text, n, &r->manifest.there, &flat, err);
  if (status == MXQ_OK)
    status = mxq_json_open(text, n, 0, &m.json, err);
  if (status != MXQ_OK)
    return status;
  enum mxq_json_type type = mxq_json_next(m.json, NULL, NULL);
  if (type != MXQ_JSON_OBJECT)
    mxq_json_skip(m.json, type);
  while (type == MXQ_JSON_OBJECT && m.status == MXQ_OK && mxq_json_next(m.json, &s, &len) == MXQ_JSON_KEY) {
    if (!is(s, len, "mx")) {
      mxq_json_skip(m.json, MXQ_JSON_KEY);
      continue;
    }
    enum mxq_json_type value = mxq_json_next(m.json, NULL, NULL);
    if (value == MXQ_JSON_OBJECT)
      mx(&m, flat);
    else
      mxq_json_skip(m.json, value);
  }
  status = m.status != MXQ_OK ? m.status : mxq_json_end(m.json, "graph_module.metadata.custom", err);
  mxq_json_close(m.json);
  if (status == MXQ_OK && m.version != 1)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, r->base.path, "its manifest has version %llu, version 1 is read; a newer mxquant may read it",
                    (unsigned long long)m.version);
  return status;
}
