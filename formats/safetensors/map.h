/* SPDX-License-Identifier: MIT */
/* The weight_map of a safetensors index as tables; see SPEC.md. */
#ifndef MXQ_FORMATS_SAFETENSORS_MAP_H
#define MXQ_FORMATS_SAFETENSORS_MAP_H

#include "formats/format.h"

struct mxq_st_entry {
  const char *name;   /* of a tensor; in the arena */
  uint32_t shard;
  bool seen;          /* for whoever walks the shards */
};

struct mxq_st_map {
  struct mxq_st_entry *entries;
  size_t count, capacity;
  struct mxq_names by_name;
  const char **shards;            /* names in the arena, sorted by their bytes */
  size_t shard_count, shard_capacity;
};

/* Parses and checks an index; an all-zero map is filled. mxq_st_map_free also after failure. */
enum mxq_status mxq_st_map_read(const char *text, size_t n, const char *path, const struct mxq_read_options *options,
                                struct mxq_arena *arena, struct mxq_st_map *map, struct mxq_error *err);
void mxq_st_map_free(struct mxq_st_map *map);

#endif
