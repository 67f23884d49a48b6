/* SPDX-License-Identifier: MIT */
#include "lib/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 * 1024 };

struct mxq_arena_chunk {
  struct mxq_arena_chunk *next;
  alignas(max_align_t) char data[];
};

static void *take(struct mxq_arena *arena, size_t size, size_t align) {
  size_t pad = (size_t)(-(uintptr_t)arena->next) & (align - 1);
  size_t left = (size_t)(arena->end - arena->next);
  if (arena->next && pad <= left && size <= left - pad) {
    char *p = arena->next + pad;
    arena->next = p + size;
    return p;
  }
  if (size > SIZE_MAX - sizeof(struct mxq_arena_chunk))
    return NULL;
  /* A big piece gets a chunk of its own, and the current chunk stays in use. */
  size_t room = size > CHUNK / 4 ? size : CHUNK;
  struct mxq_arena_chunk *c = malloc(sizeof *c + room);
  if (!c)
    return NULL;
  c->next = arena->chunks;
  arena->chunks = c;
  if (room == CHUNK) {
    arena->next = c->data + size;
    arena->end = c->data + room;
  }
  return c->data;
}

void *mxq_arena_alloc(struct mxq_arena *arena, size_t size) {
  return take(arena, size, alignof(max_align_t));
}

void *mxq_arena_calloc(struct mxq_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return NULL;
  void *p = mxq_arena_alloc(arena, bytes);
  return p ? memset(p, 0, bytes) : NULL;
}

char *mxq_arena_text(struct mxq_arena *arena, const char *s, size_t n) {
  char *p = n < SIZE_MAX ? take(arena, n + 1, 1) : NULL;
  if (p) {
    if (n)
      memcpy(p, s, n);
    p[n] = 0;
  }
  return p;
}

void mxq_arena_free(struct mxq_arena *arena) {
  while (arena->chunks) {
    struct mxq_arena_chunk *next = arena->chunks->next;
    free(arena->chunks);
    arena->chunks = next;
  }
  memset(arena, 0, sizeof *arena);
}
