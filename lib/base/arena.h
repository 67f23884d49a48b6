/* SPDX-License-Identifier: MIT */
/* Memory that dies at once: the metadata of one file lives in one arena. An all-zero struct is an empty arena. */
#ifndef MXQ_BASE_ARENA_H
#define MXQ_BASE_ARENA_H

#include <stddef.h>

struct mxq_arena {
  struct mxq_arena_chunk *chunks;
  char *next, *end;
};

/* Uninitialised memory aligned for any type, or NULL. size may be 0 (a valid pointer). */
void *mxq_arena_alloc(struct mxq_arena *arena, size_t size);
/* count * size bytes of zeroes, or NULL (overflow included). */
void *mxq_arena_calloc(struct mxq_arena *arena, size_t count, size_t size);
/* A NUL-terminated copy of n bytes, or NULL. Byte-aligned: texts do not waste padding. */
char *mxq_arena_text(struct mxq_arena *arena, const char *s, size_t n);
void mxq_arena_free(struct mxq_arena *arena);

#endif
