/* SPDX-License-Identifier: MIT */
/* From the text of an index to its map. */
#include "formats/safetensors/map.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json/json.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

enum { LONGEST_NAME = 4096, LONGEST_SHARD = 255 };

struct parse {
  mxq_json *json;
  struct mxq_arena *arena;
  struct mxq_st_map *map;
  struct mxq_names shard_names;
  uint64_t max_tensors;
  enum mxq_status why; /* when we stopped the parser: MALFORMED with the words below, or another reason */
  size_t at;
  char words[480];
};

static void complain(struct parse *p, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void complain(struct parse *p, size_t at, const char *fmt, ...) {
  va_list ap;
  if (mxq_json_failed(p->json))
    return;
  va_start(ap, fmt);
  vsnprintf(p->words, sizeof p->words, fmt, ap);
  va_end(ap);
  p->at = at;
  p->why = MXQ_ERR_MALFORMED;
  mxq_json_reject(p->json, at, "refused");
}

static void stop(struct parse *p, enum mxq_status why) {
  if (!mxq_json_failed(p->json))
    p->why = why;
  mxq_json_reject(p->json, mxq_json_offset(p->json), "stopped");
}

static bool more(void **array, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity)
    return true;
  size_t room = *capacity ? *capacity * 2 : 64, bytes;
  void *grown = __builtin_mul_overflow(room, size, &bytes) ? NULL : realloc(*array, bytes);
  if (!grown)
    return false;
  *array = grown;
  *capacity = room;
  return true;
}

/* Why a name is no plain base name, NULL when it is one. */
static const char *not_plain(const char *s, size_t n) {
  if (n == 0 || n > LONGEST_SHARD)
    return "is empty or longer than 255 bytes";
  if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
    return "names a folder";
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '/' || s[i] == '\\')
      return "has a slash, but shards lie beside the index";
    if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
      return "has a control character";
  }
  return NULL;
}

/* The number of a shard's name, given out at its first mention. */
static bool number_shard(struct parse *p, const char *s, size_t n, uint32_t *number) {
  struct mxq_st_map *m = p->map;
  *number = mxq_names_find(&p->shard_names, s, n);
  if (*number != UINT32_MAX)
    return true;
  const char *name = mxq_arena_text(p->arena, s, n);
  uint32_t next = (uint32_t)m->shard_count;
  if (!name || !more((void **)(void *)&m->shards, m->shard_count, &m->shard_capacity, sizeof *m->shards) ||
      mxq_names_put(&p->shard_names, name, n, &next) != MXQ_NAMES_NEW)
    return false;
  m->shards[m->shard_count++] = name;
  *number = next;
  return true;
}

/* One "tensor": "shard", the key just delivered. */
static void parse_entry(struct parse *p, const char *s, size_t n) {
  struct mxq_st_map *m = p->map;
  struct mxq_st_entry e = {.name = mxq_arena_text(p->arena, s, n)};
  uint32_t number = (uint32_t)m->count;
  size_t name_n = n, at = mxq_json_offset(p->json);
  if (n > LONGEST_NAME) {
    complain(p, at, "a tensor's name has %zu bytes, more than %d (byte %zu)", n, LONGEST_NAME, at);
    return;
  }
  if (m->count >= p->max_tensors) {
    stop(p, MXQ_ERR_LIMIT);
    return;
  }
  if (!e.name || !more((void **)(void *)&m->entries, m->count, &m->capacity, sizeof *m->entries)) {
    stop(p, MXQ_ERR_NOMEM);
    return;
  }
  enum mxq_json_type t = mxq_json_next(p->json, &s, &n);
  const char *why = t == MXQ_JSON_STRING ? not_plain(s, n) : "is no text";
  at = mxq_json_offset(p->json);
  if (why)
    complain(p, at, "tensor '%.*s': the name of its shard %s (byte %zu)", mxq_clip(e.name), e.name, why, at);
  else if (!number_shard(p, s, n, &e.shard) || mxq_names_put(&m->by_name, e.name, name_n, &number) != MXQ_NAMES_NEW)
    stop(p, MXQ_ERR_NOMEM); /* a name that is there already was refused by the parser as a duplicate key */
  else
    m->entries[m->count++] = e;
}

struct numbered {
  const char *name;
  uint32_t number;
};

static int by_text(const void *a, const void *b) {
  return strcmp(((const struct numbered *)a)->name, ((const struct numbered *)b)->name);
}

/* Shards in the order of their names, which is the order of their numbers ("model-00001-of-00002"). */
static bool sort_shards(struct mxq_st_map *m) {
  size_t n = m->shard_count;
  struct numbered *order = malloc((n ? n : 1) * sizeof *order);
  uint32_t *place = malloc((n ? n : 1) * sizeof *place);
  bool ok = order && place;
  if (ok) {
    for (size_t i = 0; i < n; i++)
      order[i] = (struct numbered){m->shards[i], (uint32_t)i};
    qsort(order, n, sizeof *order, by_text);
    for (size_t i = 0; i < n; i++) {
      m->shards[i] = order[i].name;
      place[order[i].number] = (uint32_t)i;
    }
    for (size_t i = 0; i < m->count; i++)
      m->entries[i].shard = place[m->entries[i].shard];
  }
  free(order);
  free(place);
  return ok;
}

enum mxq_status mxq_st_map_read(const char *text, size_t n, const char *path, const struct mxq_read_options *options,
                                struct mxq_arena *arena, struct mxq_st_map *map, struct mxq_error *err) {
  struct parse p = {.arena = arena, .map = map, .max_tensors = options->max_tensors};
  enum mxq_status s = mxq_json_open(text, n, n, &p.json, err);
  if (s != MXQ_OK)
    return mxq_fail_name(err, s, path);
  if (mxq_json_next(p.json, NULL, NULL) != MXQ_JSON_OBJECT)
    complain(&p, mxq_json_offset(p.json), "the index is no JSON object");
  bool found = false;
  const char *key;
  size_t key_n;
  while (mxq_json_next(p.json, &key, &key_n) == MXQ_JSON_KEY) {
    if (key_n != 10 || memcmp(key, "weight_map", 10) != 0) {
      mxq_json_skip(p.json, MXQ_JSON_KEY);
      continue;
    }
    found = true;
    if (mxq_json_next(p.json, NULL, NULL) != MXQ_JSON_OBJECT)
      complain(&p, mxq_json_offset(p.json), "weight_map is no object (byte %zu)", mxq_json_offset(p.json));
    while (mxq_json_next(p.json, &key, &key_n) == MXQ_JSON_KEY)
      parse_entry(&p, key, key_n);
  }
  s = mxq_json_end(p.json, path, err);
  mxq_json_close(p.json);
  mxq_names_free(&p.shard_names);
  if (p.why == MXQ_ERR_MALFORMED)
    return mxq_fail_at(err, p.why, path, p.at, "%s", p.words);
  if (p.why == MXQ_ERR_NOMEM || (s == MXQ_OK && !sort_shards(map)))
    return mxq_fail_nomem(err, path);
  if (p.why == MXQ_ERR_LIMIT)
    return mxq_fail(err, MXQ_ERR_LIMIT, path, "the index names more than %llu tensors, the limit that is set", (unsigned long long)p.max_tensors);
  if (s == MXQ_OK && !found)
    s = mxq_fail(err, MXQ_ERR_MALFORMED, path, "the index has no \"weight_map\"");
  return s;
}

void mxq_st_map_free(struct mxq_st_map *map) {
  free(map->entries);
  free((void *)map->shards);
  mxq_names_free(&map->by_name);
  memset(map, 0, sizeof *map);
}
