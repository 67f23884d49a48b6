/* SPDX-License-Identifier: MIT */
/* An archive written once more: members as they are, in this library's form, with digests and an index. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/digest.h"
#include "formats/pt2/verify.h"
#include "formats/pt2/write_out.h"
#include "lib/base/fail.h"

struct copy {
  mxq_reader *reader;
  mxq_zip *zip;
  struct mxq_pt2_out out;
  size_t *to;                        /* for each member of the source: its number in the copy, SIZE_MAX when left out */
  struct mxq_arena arena;
  struct mxq_digests digests;        /* of the source, when they are in force */
  struct mxq_names digest_names;
  bool (*progress)(void *user, uint64_t done, uint64_t total);
  void *user;
  uint64_t done, all;
};

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

/* ---- the plan ---- */

/* Every member has the root folder in front: the reader would not have opened the archive otherwise. */
static size_t root_bytes(const mxq_zip *zip) {
  const char *name = mxq_zip_member(zip, 0)->name;
  return strcspn(name, "/");
}

static enum mxq_status add_members(struct copy *c, struct mxq_error *err) {
  size_t count = mxq_zip_count(c->zip), root = root_bytes(c->zip);
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < count && status == MXQ_OK; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(c->zip, i);
    c->to[i] = SIZE_MAX;
    if (m->directory || m->name_len <= root + 1)
      continue;
    const char *record = m->name + root + 1;
    size_t n = m->name_len - root - 1;
    if (is(record, n, MXQ_INDEX_MEMBER) || is(record, n, MXQ_DIGESTS_MEMBER))
      continue;
    c->to[i] = c->out.member_count;
    status = mxq_pt2_out_add(&c->out, (struct mxq_pt2_part){.origin = MXQ_FROM_CALLER, .number = (uint32_t)i}, m->size, m->name, root, record, n,
                             err);
    c->all += m->size;
  }
  return status;
}

/* The member of the source that holds an extent, SIZE_MAX when none does. The reader proved that extents lie in one stored member. */
struct place {
  uint64_t offset;
  size_t member;
};

static int by_offset(const void *a, const void *b) {
  uint64_t x = ((const struct place *)a)->offset, y = ((const struct place *)b)->offset;
  return (x > y) - (x < y);
}

static bool move(const struct copy *c, const struct place *places, size_t count, const struct mxq_extent *from, struct mxq_extent *to) {
  size_t lo = 0, hi = count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (places[mid].offset <= from->offset)
      lo = mid + 1;
    else
      hi = mid;
  }
  if (lo == 0)
    return false;
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, places[lo - 1].member);
  uint64_t inside = from->offset - m->data_offset;
  if (c->to[places[lo - 1].member] == SIZE_MAX || inside > m->size || from->size > m->size - inside)
    return false;
  to->offset = c->out.members[c->to[places[lo - 1].member]].data_offset + inside;
  to->size = from->size;
  return true;
}

/* A line for each tensor whose bytes lie in one piece. */
static enum mxq_status add_lines(struct copy *c, struct mxq_error *err) {
  size_t count = mxq_zip_count(c->zip);
  struct place *places = malloc((count + 1) * sizeof *places);
  if (!places)
    return mxq_fail_nomem(err, c->reader->path);
  for (size_t i = 0; i < count; i++)
    places[i] = (struct place){mxq_zip_member(c->zip, i)->data_offset, i};
  qsort(places, count, sizeof *places, by_offset);
  for (size_t i = 0; i < c->reader->count; i++) {
    const struct mxq_tensor *t = &c->reader->tensors[i];
    struct mxq_index_line line = {.tensor = t};
    int parts = t->format == MXQ_FORMAT_NONE ? 1 : 2, p = 0;
    while (p < parts && (t->part[p].size || t->elements == 0) && move(c, places, count, &t->part[p], &line.part[p]))
      p++;
    if (p == parts)
      c->out.lines[c->out.line_count++] = line;
  }
  free(places);
  return MXQ_OK;
}

static enum mxq_status load_digests(struct copy *c, struct mxq_error *err) {
  size_t root = root_bytes(c->zip), n = root + 1 + strlen(MXQ_DIGESTS_MEMBER), size = 0;
  char *name = mxq_arena_alloc(&c->arena, n + 1), *data = NULL;
  if (!name)
    return mxq_fail_nomem(err, c->reader->path);
  memcpy(name, mxq_zip_member(c->zip, 0)->name, root);
  name[root] = '/';
  strcpy(name + root + 1, MXQ_DIGESTS_MEMBER);
  size_t i = mxq_zip_find(c->zip, name, n);
  if (i == SIZE_MAX || mxq_pt2_saved_by_torch(c->zip))
    return MXQ_OK;
  enum mxq_status status = mxq_zip_load(c->zip, i, c->reader->options.max_text, &data, &size, err);
  if (status == MXQ_OK)
    status = mxq_digests_parse(data, size, &c->arena, &c->digests, err);
  free(data);
  for (size_t j = 0; j < c->digests.count && status == MXQ_OK; j++) {
    uint32_t number = (uint32_t)j;
    if (mxq_names_put(&c->digest_names, c->digests.entries[j].name, c->digests.entries[j].name_len, &number) == MXQ_NAMES_NOMEM)
      status = mxq_fail_nomem(err, c->reader->path);
  }
  return status;
}

/* ---- the run ---- */

static enum mxq_status fetch(void *user, size_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct copy *c = user;
  enum mxq_status status = mxq_zip_read(c->zip, c->out.parts[member].number, offset, buf, n, err);
  if (status != MXQ_OK)
    return status;
  c->done += n;
  return c->progress && c->progress(c->user, c->done, c->all) ? mxq_fail(err, MXQ_ERR_CANCELLED, c->reader->path, "cancelled") : MXQ_OK;
}

/* Nothing damaged gets a fresh digest. */
static enum mxq_status complete(void *user, size_t member, uint32_t crc, const unsigned char *sha256, struct mxq_error *err) {
  struct copy *c = user;
  if (c->out.parts[member].origin != MXQ_FROM_CALLER)
    return MXQ_OK;
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, c->out.parts[member].number);
  if (m->zero_crc)
    c->reader->unverified = true;
  else if (crc != m->crc)
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data has CRC-32 %08" PRIx32 ", the archive says %08" PRIx32 "; nothing was written", crc, m->crc);
  const struct mxq_digest *new = &c->out.digests.entries[member];
  uint32_t old = mxq_names_find(&c->digest_names, new->name, new->name_len);
  if (old != UINT32_MAX && memcmp(c->digests.entries[old].sha256, sha256, MXQ_SHA256_BYTES))
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data does not have the SHA-256 that the archive states; nothing was written");
  return MXQ_OK;
}

static enum mxq_status run(struct copy *c, uint32_t align, const struct mxq_sink *sink, struct mxq_error *err) {
  size_t count = mxq_zip_count(c->zip), root = count ? root_bytes(c->zip) : 0;
  if (count == 0)
    return mxq_fail(err, MXQ_ERR_MALFORMED, c->reader->path, "the archive has no members");
  c->to = malloc(count * sizeof *c->to);
  enum mxq_status status = c->to ? load_digests(c, err) : mxq_fail_nomem(err, c->reader->path);
  if (status == MXQ_OK)
    status = mxq_pt2_out_open(&c->out, align, count, c->reader->count, err);
  if (status == MXQ_OK)
    status = add_members(c, err);
  if (status == MXQ_OK)
    status = add_lines(c, err);
  if (status == MXQ_OK)
    status = mxq_pt2_out_finish(&c->out, mxq_zip_member(c->zip, 0)->name, root, err);
  return status == MXQ_OK ? mxq_pt2_out_run(&c->out, sink, fetch, complete, c, err) : status;
}

enum mxq_status mxq_archive_copy(mxq_reader *reader, const struct mxq_write_options *options, const struct mxq_sink *sink,
                                 bool (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct mxq_error *err) {
  assert(reader && sink && sink->write_at);
  uint32_t align = options && options->align ? options->align : MXQ_PT2_ALIGN;
  if (mxq_reader_container(reader) != MXQ_PT2)
    return mxq_fail(err, MXQ_ERR_USAGE, reader->path, "only pt2 archives are copied");
  if (align > MXQ_CANON_MAX_ALIGN || (align & (align - 1)))
    return mxq_fail(err, MXQ_ERR_USAGE, "", "alignment %u is not a power of two from 1 to %u", align, MXQ_CANON_MAX_ALIGN);
  struct copy c = {.reader = reader, .progress = progress, .user = user};
  enum mxq_status status = mxq_zip_open(&reader->source, &reader->options, &c.zip, err);
  if (status == MXQ_OK)
    status = run(&c, align, sink, err);
  free(c.to);
  mxq_pt2_out_free(&c.out);
  mxq_names_free(&c.digest_names);
  mxq_arena_free(&c.arena);
  mxq_zip_close(c.zip);
  return status;
}
