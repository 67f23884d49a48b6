/* SPDX-License-Identifier: MIT */
#include "formats/pt2/kept.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK = MXQ_PT2_KEPT_BLOCK };

struct block {
  unsigned char *data;               /* a raw deflate stream of BLOCK bytes of text */
  size_t n;
};

struct mxq_pt2_kept_texts {
  struct block *blocks;
  size_t count, room;
  char *last;                        /* the block that is being filled */
  size_t used;                       /* bytes in it */
  char *open;                        /* block number `opened`, unpacked; SIZE_MAX: none */
  size_t opened;
  unsigned char *packed;             /* room for one */
  z_stream deflate, inflate;
  bool can_deflate, can_inflate;     /* their states exist */
};

/* Compresses the full block. When it fails, the block stays as it is. */
static bool pack(struct mxq_pt2_kept_texts *t) {
  if (t->count == t->room) {
    size_t room = t->room ? 2 * t->room : 16;
    struct block *blocks = realloc(t->blocks, room * sizeof *blocks);
    if (!blocks)
      return false;
    t->blocks = blocks;
    t->room = room;
  }
  if (!t->can_deflate && deflateInit2(&t->deflate, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return false;
  t->can_deflate = true;
  size_t bound = deflateBound(&t->deflate, BLOCK);
  if (!t->packed && !(t->packed = malloc(bound)))
    return false;
  deflateReset(&t->deflate);
  t->deflate.next_in = (unsigned char *)t->last;
  t->deflate.avail_in = BLOCK;
  t->deflate.next_out = t->packed;
  t->deflate.avail_out = (uInt)bound;
  int done = deflate(&t->deflate, Z_FINISH);
  assert(done == Z_STREAM_END); /* there was room, and no more memory is needed */
  (void)done;
  size_t n = bound - t->deflate.avail_out;
  unsigned char *data = malloc(n);
  if (!data)
    return false;
  memcpy(data, t->packed, n);
  t->blocks[t->count++] = (struct block){data, n};
  t->used = 0;
  return true;
}

bool mxq_pt2_kept_add(struct mxq_pt2_kept_texts **texts, const char *text, size_t n, struct mxq_pt2_kept *kept) {
  struct mxq_pt2_kept_texts *t = *texts;
  if (!t && !(t = *texts = calloc(1, sizeof *t)))
    return false;
  if (!t->last) {
    t->opened = SIZE_MAX;
    if (!(t->last = malloc(BLOCK)))
      return false;
  }
  *kept = (struct mxq_pt2_kept){t->count * BLOCK + t->used, n};
  while (n) {
    if (t->used == BLOCK && !pack(t))
      return false;
    size_t part = BLOCK - t->used < n ? BLOCK - t->used : n;
    memcpy(t->last + t->used, text, part);
    t->used += part;
    text += part;
    n -= part;
  }
  return true;
}

static bool unpack(struct mxq_pt2_kept_texts *t, size_t number) {
  if (!t->can_inflate && inflateInit2(&t->inflate, -MAX_WBITS) != Z_OK)
    return false;
  t->can_inflate = true;
  if (!t->open && !(t->open = malloc(BLOCK)))
    return false;
  t->opened = SIZE_MAX;
  inflateReset(&t->inflate);
  t->inflate.next_in = t->blocks[number].data;
  t->inflate.avail_in = (uInt)t->blocks[number].n;
  t->inflate.next_out = (unsigned char *)t->open;
  t->inflate.avail_out = BLOCK;
  int done = inflate(&t->inflate, Z_FINISH);
  if (done == Z_MEM_ERROR) /* the window is allocated with the first stream that needs it */
    return false;
  assert(done == Z_STREAM_END && t->inflate.avail_out == 0);
  t->opened = number;
  return true;
}

bool mxq_pt2_kept_read(struct mxq_pt2_kept_texts *t, size_t at, char *buf, size_t n) {
  while (n) {
    size_t number = at / BLOCK, inside = at % BLOCK, part = BLOCK - inside < n ? BLOCK - inside : n;
    assert(number < t->count || (number == t->count && inside + part <= t->used));
    if (number < t->count && number != t->opened && !unpack(t, number))
      return false;
    memcpy(buf, (number < t->count ? t->open : t->last) + inside, part);
    at += part;
    buf += part;
    n -= part;
  }
  return true;
}

void mxq_pt2_kept_free(struct mxq_pt2_kept_texts *t) {
  if (!t)
    return;
  for (size_t i = 0; i < t->count; i++)
    free(t->blocks[i].data);
  if (t->can_deflate)
    deflateEnd(&t->deflate);
  if (t->can_inflate)
    inflateEnd(&t->inflate);
  free(t->blocks);
  free(t->last);
  free(t->open);
  free(t->packed);
  free(t);
}
