/* SPDX-License-Identifier: MIT */
/* A file that ends too early has no directory: its local headers, read from the front, tell what is missing. */
#include <inttypes.h>
#include <string.h>

#include "formats/pt2/verify.h"
#include "lib/base/bytes.h"

struct header {
  char name[65536];
  uint64_t data, size;
};

enum seen { MEMBER, DIRECTORY, ENDS_HERE, UNKNOWN };

static bool get(const struct mxq_pt2_check *c, uint64_t at, void *buf, size_t n) {
  const struct mxq_source *s = c->source;
  return at <= s->size && n <= s->size - at && s->read_at(s->ctx, at, buf, n, NULL) == MXQ_OK;
}

/* The local header at `at`. ENDS_HERE: the file ends within it. UNKNOWN: it does not say how large the member is. */
static enum seen look(const struct mxq_pt2_check *c, uint64_t at, struct header *h) {
  unsigned char b[30], extra[65536];
  if (!get(c, at, b, 4))
    return ENDS_HERE;
  if (mxq_get32(b) == 0x02014b50)
    return DIRECTORY;
  if (mxq_get32(b) != 0x04034b50)
    return UNKNOWN;
  if (!get(c, at, b, sizeof b))
    return ENDS_HERE;
  size_t name = mxq_get16(b + 26), n = mxq_get16(b + 28);
  if (mxq_get16(b + 6) & 8)
    return UNKNOWN;
  if (!get(c, at + 30, h->name, name) || !get(c, at + 30 + name, extra, n))
    return ENDS_HERE;
  h->name[name] = 0;
  h->data = at + 30 + name + n;
  h->size = mxq_get32(b + 18);
  if (h->size == UINT32_MAX) {
    if (n < 20 || mxq_get16(extra) != 1 || mxq_get16(extra + 2) != 16)
      return UNKNOWN;
    h->size = mxq_get64(extra + 12);
  }
  return h->size <= INT64_MAX ? MEMBER : UNKNOWN;
}

bool mxq_pt2_find_cut(struct mxq_pt2_check *c) {
  struct header *h = mxq_arena_alloc(&c->arena, sizeof *h);
  uint64_t at = 0, size = c->source->size, members = 0;
  unsigned char end[4];
  /* An end record that is in its place: nothing was cut off, whatever else is wrong. */
  if (!h || (size >= 22 && get(c, size - 22, end, sizeof end) && mxq_get32(end) == 0x06054b50))
    return false;
  h->name[0] = 0;
  for (;; members++) {
    switch (look(c, at, h)) {
    case MEMBER:
      if (h->size > size - h->data) {
        mxq_pt2_find(c, MXQ_ERR_MALFORMED, h->name, size,
                     "the file is cut short: it ends %" PRIu64 " bytes before the end of this member's data, and all members behind it and the "
                     "directory are missing; copy or download it again",
                     h->size - (size - h->data));
        return true;
      }
      at = h->data + h->size;
      break;
    case DIRECTORY:
      mxq_pt2_find(c, MXQ_ERR_MALFORMED, "", size,
                   "the file is cut short: the data of %" PRIu64
                   " members is there, but the directory from byte %" PRIu64 " on has no end; copy or download it again",
                   members, at);
      return true;
    case ENDS_HERE:
      mxq_pt2_find(c, MXQ_ERR_MALFORMED, "", size,
                   "the file is cut short: it ends after %" PRIu64 " members%s%s, and the directory is missing; copy or download it again", members,
                   members ? ", the last of them whole being " : "", members ? h->name : "");
      return true;
    case UNKNOWN:
      return false;
    }
  }
}
