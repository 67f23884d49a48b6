/* SPDX-License-Identifier: MIT */
/* An archive written once more: members as they are, in this library's form, with digests and an index. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/pt2.h"
#include "formats/pt2/write.h"
#include "lib/base/fail.h"

struct copy {
  struct mxq_pt2_reader *reader;
  struct mxq_pt2_out out;
  size_t *to;                        /* for each member of the source: its number in the copy, SIZE_MAX when left out */
  bool (*progress)(void *user, uint64_t done, uint64_t total);
  void *user;
  uint64_t done, all;
};

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

/* ---- the plan ---- */

static enum mxq_status add_members(struct copy *c, struct mxq_error *err) {
  size_t count = mxq_zip_count(c->reader->zip), root = c->reader->root_len;
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < count && status == MXQ_OK; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(c->reader->zip, i);
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

/* Where a stored tensor's values lie in the copy, in one piece; false when they do not. */
static bool place(const struct copy *c, uint32_t number, struct mxq_extent *to) {
  const struct mxq_pt2_stored *s = &c->reader->stored[number];
  size_t member = c->to[s->member];
  if (s->strides || member == SIZE_MAX)
    return false;
  uint64_t inside = s->bytes ? s->offset * (mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8) : 0;
  *to = (struct mxq_extent){c->out.members[member].data_offset + inside, s->bytes};
  return true;
}

/* A line for each tensor whose bytes lie in one piece. */
static void add_lines(struct copy *c) {
  const struct mxq_reader *base = &c->reader->base;
  for (size_t i = 0; i < base->count; i++) {
    const struct mxq_pt2_parts *parts = &c->reader->parts[i];
    bool mx = base->tensors[i].format != MXQ_FORMAT_NONE;
    struct mxq_index_line line = {.tensor = &base->tensors[i]};
    if (!parts->unpacked && place(c, parts->part[0], &line.part[0]) && (!mx || place(c, parts->part[1], &line.part[1])))
      c->out.lines[c->out.line_count++] = line;
  }
}

/* ---- the run ---- */

static enum mxq_status fetch(void *user, size_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct copy *c = user;
  enum mxq_status status = mxq_zip_read(c->reader->zip, c->out.parts[member].number, offset, buf, n, err);
  if (status != MXQ_OK)
    return status;
  c->done += n;
  return c->progress && c->progress(c->user, c->done, c->all) ? mxq_fail(err, MXQ_ERR_CANCELLED, c->reader->base.path, "cancelled") : MXQ_OK;
}

/* Nothing damaged gets a fresh digest. */
static enum mxq_status complete(void *user, size_t member, uint32_t crc, const unsigned char *sha256, struct mxq_error *err) {
  struct copy *c = user;
  if (c->out.parts[member].origin != MXQ_FROM_CALLER)
    return MXQ_OK;
  const struct mxq_zip_member *m = mxq_zip_member(c->reader->zip, c->out.parts[member].number);
  if (m->zero_crc)
    c->reader->base.unverified = true;
  else if (crc != m->crc)
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data has CRC-32 %08" PRIx32 ", the archive says %08" PRIx32 "; nothing was written", crc, m->crc);
  if (c->reader->has_digests && memcmp(c->reader->sha256[c->out.parts[member].number], sha256, MXQ_SHA256_BYTES))
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data does not have the SHA-256 that the archive states; nothing was written");
  return MXQ_OK;
}

static enum mxq_status run(struct copy *c, uint32_t align, const struct mxq_sink *sink, struct mxq_error *err) {
  const struct mxq_pt2_reader *r = c->reader;
  size_t count = mxq_zip_count(r->zip);
  c->to = malloc((count + 1) * sizeof *c->to);
  enum mxq_status status = c->to ? mxq_pt2_out_open(&c->out, align, count, r->base.count, err) : mxq_fail_nomem(err, r->base.path);
  if (status == MXQ_OK)
    status = add_members(c, err);
  if (status != MXQ_OK)
    return status;
  add_lines(c);
  status = mxq_pt2_out_finish(&c->out, r->root, r->root_len, err);
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
  struct copy c = {.reader = (struct mxq_pt2_reader *)reader, .progress = progress, .user = user};
  enum mxq_status status = run(&c, align, sink, err);
  free(c.to);
  mxq_pt2_out_free(&c.out);
  return status;
}
