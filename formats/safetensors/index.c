/* SPDX-License-Identifier: MIT */
/* Reader of a sharded file: model.safetensors.index.json and the shards that it names. */
#include "formats/format.h"

#include <stdlib.h>
#include <string.h>

#include "formats/safetensors/header.h"
#include "formats/safetensors/map.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

struct shard {
  struct mxq_source source;
  struct mxq_st_header header;   /* its records live only while the reader is being opened */
};

struct index_reader {
  struct mxq_reader base;
  struct shard *shards;
  size_t shard_count;
  uint32_t *shard_of;            /* by tensor */
};

static bool probe(const unsigned char *bytes, size_t n, uint64_t size) {
  static const char key[] = "\"weight_map\"";
  (void)size;
  size_t i = 0;
  while (i < n && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\n' || bytes[i] == '\r'))
    i++;
  return i < n && bytes[i] == '{' && memmem(bytes, n, key, sizeof key - 1) != NULL;
}

/* Opens a shard, and checks that what it holds is what the map says. */
static enum mxq_status open_shard(struct index_reader *r, struct mxq_st_map *map, uint32_t number, struct mxq_error *err) {
  struct shard *shard = &r->shards[number];
  enum mxq_status s = mxq_source_open_beside(r->base.path, map->shards[number], &shard->source, err);
  if (s != MXQ_OK)
    return s;
  r->base.file_bytes += shard->source.size;
  s = mxq_st_header_read(&shard->source, shard->source.name, &r->base.options, &r->base.arena, &shard->header, err);
  for (size_t i = 0; s == MXQ_OK && i < shard->header.count; i++) {
    const char *name = shard->header.records[i].name;
    uint32_t e = mxq_names_find(&map->by_name, name, strlen(name));
    if (e == UINT32_MAX)
      s = mxq_fail(err, MXQ_ERR_MALFORMED, shard->source.name, "tensor '%.*s' is not in the index", mxq_clip(name), name);
    else if (map->entries[e].shard != number)
      s = mxq_fail(err, MXQ_ERR_MALFORMED, shard->source.name, "tensor '%.*s' should be in shard '%s' by the index", mxq_clip(name), name,
                   map->shards[map->entries[e].shard]);
    else
      map->entries[e].seen = true;
  }
  return s;
}

static enum mxq_status all_seen(const struct index_reader *r, const struct mxq_st_map *map, struct mxq_error *err) {
  for (size_t i = 0; i < map->count; i++) {
    const struct mxq_st_entry *e = &map->entries[i];
    if (!e->seen)
      return mxq_fail(err, MXQ_ERR_MALFORMED, r->base.path, "tensor '%.*s' is not in shard '%s', where the index says it is", mxq_clip(e->name),
                      e->name, map->shards[e->shard]);
  }
  return MXQ_OK;
}

/* Lays all shards' tensors out in one array. */
static enum mxq_status collect(struct index_reader *r, size_t count, struct mxq_error *err) {
  struct mxq_reader *b = &r->base;
  b->tensors = malloc((count ? count : 1) * sizeof *b->tensors);
  b->tensors_malloced = true;
  r->shard_of = malloc((count ? count : 1) * sizeof *r->shard_of);
  if (!b->tensors || !r->shard_of)
    return mxq_fail_nomem(err, b->path);
  for (size_t k = 0; k < r->shard_count; k++) {
    struct mxq_st_header *h = &r->shards[k].header;
    for (size_t i = 0; i < h->count; i++) {
      b->tensors[b->count] = mxq_st_tensor(&h->records[i], h->data, (uint32_t)b->count);
      r->shard_of[b->count++] = (uint32_t)k;
    }
    free(h->records);
    h->records = NULL;
  }
  return mxq_reader_index(b, err);
}

/* The union of the shards' metadata; the first shard that has a key gives its value. */
static enum mxq_status join_metadata(struct index_reader *r, struct mxq_error *err) {
  struct mxq_reader *b = &r->base;
  struct mxq_names keys = {0};
  size_t most = 0;
  for (size_t k = 0; k < r->shard_count; k++)
    most += r->shards[k].header.metadata_count;
  b->metadata = mxq_arena_alloc(&b->arena, 2 * most * sizeof *b->metadata);
  enum mxq_status s = b->metadata ? MXQ_OK : mxq_fail_nomem(err, b->path);
  for (size_t k = 0; k < r->shard_count && s == MXQ_OK; k++) {
    const struct mxq_st_header *h = &r->shards[k].header;
    for (size_t i = 0; i < h->metadata_count && s == MXQ_OK; i++) {
      uint32_t number = (uint32_t)b->metadata_count;
      enum mxq_names_put put = mxq_names_put(&keys, h->metadata[2 * i], strlen(h->metadata[2 * i]), &number);
      if (put == MXQ_NAMES_NOMEM)
        s = mxq_fail_nomem(err, b->path);
      if (put != MXQ_NAMES_NEW)
        continue;
      b->metadata[2 * b->metadata_count] = h->metadata[2 * i];
      b->metadata[2 * b->metadata_count++ + 1] = h->metadata[2 * i + 1];
    }
  }
  mxq_names_free(&keys);
  return s;
}

static enum mxq_status read_map(struct mxq_reader *b, struct mxq_st_map *map, struct mxq_error *err) {
  uint64_t size = b->source.size;
  if (b->path[0] == 0)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, "", "a safetensors index can only be opened by its path, since its shards lie beside it");
  if (size > b->options.max_text)
    return mxq_fail(err, MXQ_ERR_LIMIT, b->path, "the index has %llu bytes, more than the limit of %llu; the limit can be raised",
                    (unsigned long long)size, (unsigned long long)b->options.max_text);
  char *text = malloc(size ? (size_t)size : 1);
  if (!text)
    return mxq_fail_nomem(err, b->path);
  enum mxq_status s = b->source.read_at(b->source.ctx, 0, text, (size_t)size, err);
  if (s == MXQ_OK)
    s = mxq_st_map_read(text, (size_t)size, b->path, &b->options, &b->arena, map, err);
  free(text);
  return s;
}

static enum mxq_status open_reader(struct mxq_reader *b, struct mxq_error *err) {
  struct index_reader *r = (struct index_reader *)b;
  struct mxq_st_map map = {0};
  enum mxq_status s = read_map(b, &map, err);
  b->source.map = NULL; /* places are those in the shards */
  if (s == MXQ_OK) {
    r->shards = calloc(map.shard_count ? map.shard_count : 1, sizeof *r->shards);
    s = r->shards ? MXQ_OK : mxq_fail_nomem(err, b->path);
  }
  for (uint32_t k = 0; s == MXQ_OK && k < map.shard_count; k++) {
    r->shard_count = k + 1;
    s = open_shard(r, &map, k, err);
  }
  if (s == MXQ_OK)
    s = all_seen(r, &map, err);
  size_t count = map.count;
  mxq_st_map_free(&map);
  if (s == MXQ_OK)
    s = join_metadata(r, err);
  return s == MXQ_OK ? collect(r, count, err) : s;
}

static void close_reader(struct mxq_reader *b) {
  struct index_reader *r = (struct index_reader *)b;
  for (size_t k = 0; k < r->shard_count; k++) {
    free(r->shards[k].header.records);
    mxq_source_close(&r->shards[k].source);
  }
  free(r->shards);
  free(r->shard_of);
}

static enum mxq_status read_part(struct mxq_reader *b, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct index_reader *r = (struct index_reader *)b;
  const struct mxq_source *source = &r->shards[r->shard_of[i]].source;
  (void)part;
  return n ? source->read_at(source->ctx, b->tensors[i].part[MXQ_PART_DATA].offset + offset, buf, n, err) : MXQ_OK;
}

const struct format mxq_format_safetensors_index = {
    .container = MXQ_SAFETENSORS_INDEX,
    .name = "safetensors-index",
    .extension = "index.json",
    .probe = probe,
    .reader_size = sizeof(struct index_reader),
    .open_reader = open_reader,
    .close_reader = close_reader,
    .read = read_part,
};
