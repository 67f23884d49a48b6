/* SPDX-License-Identifier: MIT */
/*
 * CRCs of the index's extents while the archive streams by once. An extent that is a whole member has the member's; others (several tensors in one
 * record) follow from the CRCs of the member's beginnings up to either end: with A = crc(first a bytes) and B = crc(first b bytes),
 * the CRC of the bytes between them is B ^ shift(A, b - a), and zlib's crc32_combine(A, 0, n) is that shift.
 */
#include <stdlib.h>
#include <zlib.h>

#include "formats/pt2/index.h"

struct mark {
  uint64_t pos;                      /* in the file */
  uint32_t crc;                      /* of the member's data before it */
};
struct mxq_index_crcs {
  struct mxq_index_line *lines;
  size_t line_count;
  struct mark *marks;                /* sorted, each position once */
  size_t mark_count, next;
  uint64_t pos;                      /* where the running CRC ends */
  uint32_t crc;
};

/* The member that an extent lies in; all extents lie in one. */
static const struct mxq_zip_out *member_of(const struct mxq_zip_out *members, size_t count, uint64_t offset) {
  size_t lo = 0, hi = count;
  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;
    if (members[mid].data_offset <= offset)
      lo = mid;
    else
      hi = mid;
  }
  return &members[lo];
}

static bool whole(const struct mxq_zip_out *m, const struct mxq_extent *e) { return e->offset == m->data_offset && e->size == m->size; }

static int by_pos(const void *a, const void *b) {
  uint64_t x = ((const struct mark *)a)->pos, y = ((const struct mark *)b)->pos;
  return (x > y) - (x < y);
}

struct mxq_index_crcs *mxq_index_crcs_new(struct mxq_index_line *lines, size_t line_count, const struct mxq_zip_out *members, size_t count) {
  struct mxq_index_crcs *c = calloc(1, sizeof *c);
  size_t parts = 0, n = 0;
  for (size_t i = 0; i < 2 * line_count; i++) {
    const struct mxq_extent *e = &lines[i / 2].part[i % 2];
    parts += e->size && !whole(member_of(members, count, e->offset), e);
  }
  if (!c || !(c->marks = malloc((2 * parts + 1) * sizeof *c->marks))) {
    free(c);
    return NULL;
  }
  c->lines = lines;
  c->line_count = line_count;
  for (size_t i = 0; i < 2 * line_count; i++) {
    const struct mxq_extent *e = &lines[i / 2].part[i % 2];
    if (e->size && !whole(member_of(members, count, e->offset), e)) {
      c->marks[n++] = (struct mark){.pos = e->offset};
      c->marks[n++] = (struct mark){.pos = e->offset + e->size};
    }
  }
  qsort(c->marks, n, sizeof *c->marks, by_pos);
  for (size_t i = 0; i < n; i++)
    if (c->mark_count == 0 || c->marks[c->mark_count - 1].pos != c->marks[i].pos)
      c->marks[c->mark_count++] = c->marks[i];
  return c;
}

void mxq_index_crcs_add(struct mxq_index_crcs *c, uint64_t pos, const void *data, size_t n) {
  const unsigned char *p = data;
  if (pos != c->pos || pos == 0)
    c->crc = 0;                      /* a member begins: headers lie between members */
  c->pos = pos + n;
  while (c->next < c->mark_count && c->marks[c->next].pos < pos)
    c->next++;
  for (; c->next < c->mark_count && c->marks[c->next].pos <= c->pos; c->next++) {
    size_t part = (size_t)(c->marks[c->next].pos - pos);
    c->crc = (uint32_t)crc32(c->crc, p, (uInt)part);
    c->marks[c->next].crc = c->crc;
    pos += part;
    p += part;
  }
  /* Nothing is read twice where no extent is left in sight. */
  if (c->next < c->mark_count)
    c->crc = (uint32_t)crc32(c->crc, p, (uInt)(c->pos - pos));
}

static uint32_t crc_at(const struct mxq_index_crcs *c, uint64_t pos) {
  struct mark key = {.pos = pos};
  const struct mark *m = bsearch(&key, c->marks, c->mark_count, sizeof key, by_pos);
  return m ? m->crc : 0;
}

void mxq_index_crcs_fill(struct mxq_index_crcs *c, const struct mxq_zip_out *members, size_t count) {
  for (size_t i = 0; i < 2 * c->line_count; i++) {
    const struct mxq_extent *e = &c->lines[i / 2].part[i % 2];
    uint32_t *crc = &c->lines[i / 2].crc[i % 2];
    if (e->size == 0)
      continue;
    const struct mxq_zip_out *m = member_of(members, count, e->offset);
    *crc = whole(m, e) ? m->crc
                       : crc_at(c, e->offset + e->size) ^ (uint32_t)crc32_combine64(crc_at(c, e->offset), 0, (z_off64_t)e->size);
  }
}

void mxq_index_crcs_free(struct mxq_index_crcs *c) {
  if (c) {
    free(c->marks);
    free(c);
  }
}
