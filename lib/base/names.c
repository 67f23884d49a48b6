/* SPDX-License-Identifier: MIT */
#include "lib/base/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/bytes.h"

/* number UINT32_MAX: empty. */
struct mxq_names_slot {
  const char *name;
  uint32_t n, number, hash;
};

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))
#define ROUND                                                                                                                                \
  do {                                                                                                                                       \
    v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32);                                                                                 \
    v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;                                                                                                    \
    v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;                                                                                                    \
    v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32);                                                                                 \
  } while (0)

/* SipHash-1-3 (Aumasson and Bernstein): one round a word, three to finish. */
static uint32_t hash_of(const uint64_t key[2], const char *name, size_t n) {
  uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du;
  uint64_t v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
  uint64_t last = (uint64_t)n << 56;
  for (; n >= 8; n -= 8, name += 8) {
    uint64_t m = mxq_get64(name);
    v3 ^= m;
    ROUND;
    v0 ^= m;
  }
  for (size_t i = 0; i < n; i++)
    last |= (uint64_t)(unsigned char)name[i] << 8 * i;
  v3 ^= last;
  ROUND;
  v0 ^= last;
  v2 ^= 0xFF;
  ROUND;
  ROUND;
  ROUND;
  uint64_t h = v0 ^ v1 ^ v2 ^ v3;
  return (uint32_t)(h ^ h >> 32);
}

static void make_key(uint64_t key[2]) {
  if (getrandom(key, 2 * sizeof *key, GRND_NONBLOCK) == (ssize_t)(2 * sizeof *key))
    return;
  /* So early after boot that there is no randomness yet: something that a file's author does not know. */
  struct timespec t = {0};
  clock_gettime(CLOCK_MONOTONIC, &t);
  key[0] = (uint64_t)t.tv_nsec << 32 ^ (uint64_t)t.tv_sec;
  key[1] = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
}

/* The slot that holds the name, or the empty one where it belongs. */
static struct mxq_names_slot *slot_of(const struct mxq_names *names, const char *name, size_t n, uint32_t hash) {
  size_t mask = names->capacity - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    struct mxq_names_slot *s = &names->slots[i];
    if (s->number == UINT32_MAX || (s->hash == hash && s->n == n && memcmp(s->name, name, n) == 0))
      return s;
  }
}

static bool grow(struct mxq_names *names) {
  size_t capacity = names->capacity ? 2 * names->capacity : 64, bytes;
  if (names->capacity > SIZE_MAX / 4 || __builtin_mul_overflow(capacity, sizeof *names->slots, &bytes))
    return false;
  struct mxq_names_slot *slots = malloc(bytes);
  if (!slots)
    return false;
  memset(slots, 0xFF, bytes);
  size_t mask = capacity - 1;
  for (size_t i = 0; i < names->capacity; i++) {
    if (names->slots[i].number == UINT32_MAX)
      continue;
    size_t j = names->slots[i].hash & mask;
    while (slots[j].number != UINT32_MAX)
      j = (j + 1) & mask;
    slots[j] = names->slots[i];
  }
  free(names->slots);
  names->slots = slots;
  names->capacity = capacity;
  return true;
}

enum mxq_names_put mxq_names_put(struct mxq_names *names, const char *name, size_t n, uint32_t *number) {
  assert(n <= UINT32_MAX && *number != UINT32_MAX);
  if (!names->slots)
    make_key(names->key);
  if (names->used >= names->capacity / 4 * 3 && !grow(names))
    return MXQ_NAMES_NOMEM;
  uint32_t hash = hash_of(names->key, name, n);
  struct mxq_names_slot *s = slot_of(names, name, n, hash);
  if (s->number != UINT32_MAX) {
    *number = s->number;
    return MXQ_NAMES_THERE;
  }
  *s = (struct mxq_names_slot){name, (uint32_t)n, *number, hash};
  names->used++;
  return MXQ_NAMES_NEW;
}

uint32_t mxq_names_find(const struct mxq_names *names, const char *name, size_t n) {
  if (!names->slots || n > UINT32_MAX)
    return UINT32_MAX;
  return slot_of(names, name, n, hash_of(names->key, name, n))->number;
}

void mxq_names_free(struct mxq_names *names) {
  free(names->slots);
  memset(names, 0, sizeof *names);
}
