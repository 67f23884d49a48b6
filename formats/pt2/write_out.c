/* SPDX-License-Identifier: MIT */
#include "formats/pt2/write_out.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats/pt2/canon.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

/* ---- the plan ---- */

enum mxq_status mxq_pt2_out_open(struct mxq_pt2_out *out, uint32_t align, size_t members, size_t lines, struct mxq_error *err) {
  memset(out, 0, sizeof *out);
  out->align = align;
  out->room = members + 2;
  out->members = calloc(out->room, sizeof *out->members);
  out->parts = calloc(out->room, sizeof *out->parts);
  out->digests.entries = calloc(out->room, sizeof *out->digests.entries);
  out->lines = calloc(lines + 1, sizeof *out->lines);
  if (!out->members || !out->parts || !out->digests.entries || !out->lines)
    return mxq_fail_nomem(err, "");
  out->digests.align = align;
  return mxq_zip_made_by(&out->digests.made_by, err);
}

void mxq_pt2_out_free(struct mxq_pt2_out *out) {
  free(out->members);
  free(out->parts);
  free(out->digests.entries);
  free(out->lines);
  mxq_arena_free(&out->arena);
  memset(out, 0, sizeof *out);
}

enum mxq_status mxq_pt2_out_add(struct mxq_pt2_out *out, struct mxq_pt2_part part, uint64_t size, const char *root, size_t root_n,
                                const char *record, size_t record_n, struct mxq_error *err) {
  size_t i = out->member_count;
  assert(i < out->room);
  char *name = mxq_arena_alloc(&out->arena, root_n + record_n + 2);
  if (!name)
    return mxq_fail_nomem(err, "");
  memcpy(name, root, root_n);
  name[root_n] = '/';
  memcpy(name + root_n + 1, record, record_n);
  name[root_n + 1 + record_n] = 0;
  uint64_t at = i ? mxq_canon_end(&out->members[i - 1]) : 0;
  struct mxq_zip_out *m = &out->members[i];
  *m = (struct mxq_zip_out){.name = name, .name_len = (uint32_t)(root_n + 1 + record_n), .size = size};
  if (!mxq_canon_place(m, at, out->align))
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, name,
                    "a member of %" PRIu64 " bytes cannot be written at byte %" PRIu64
                    ": the zip library has no form for exactly 4294967295 bytes, and offsets end at 2^63",
                    size, at);
  out->parts[i] = part;
  out->digests.entries[i] = (struct mxq_digest){.name = name + root_n + 1, .name_len = (uint32_t)record_n};
  out->member_count++;
  return MXQ_OK;
}

enum mxq_status mxq_pt2_out_finish(struct mxq_pt2_out *out, const char *root, size_t root_n, struct mxq_error *err) {
  static const struct mxq_pt2_part index = {.origin = MXQ_FROM_INDEX}, digests = {.origin = MXQ_FROM_DIGESTS};
  struct mxq_text t = {0};
  uint64_t size = 0;
  mxq_index_sort(out->lines, out->line_count);
  for (size_t i = 0; i < out->line_count && !t.failed; i++) {
    t.size = 0;
    mxq_index_line(&t, &out->lines[i]);
    size += t.size;
  }
  enum mxq_status status = t.failed ? mxq_fail_nomem(err, "") : MXQ_OK;
  if (status == MXQ_OK)
    status = mxq_pt2_out_add(out, index, size, root, root_n, MXQ_INDEX_MEMBER, sizeof MXQ_INDEX_MEMBER - 1, err);
  if (status == MXQ_OK) {
    t.size = 0;
    out->digests.count = out->member_count;
    mxq_digests_text(&out->digests, &t);
    status = t.failed ? mxq_fail_nomem(err, "")
                      : mxq_pt2_out_add(out, digests, t.size, root, root_n, MXQ_DIGESTS_MEMBER, sizeof MXQ_DIGESTS_MEMBER - 1, err);
  }
  mxq_text_free(&t);
  if (status == MXQ_OK && !mxq_canon_total(out->members, out->member_count, &out->total))
    status = mxq_fail(err, MXQ_ERR_UNSUPPORTED, "", "the archive would be larger than 2^63 bytes");
  return status;
}

/* ---- the run ---- */

struct run {
  struct mxq_pt2_out *out;
  mxq_pt2_fetch_fn fetch;
  mxq_pt2_complete_fn complete;
  void *user;
  struct mxq_sha256 *hash;
  struct mxq_index_crcs *crcs;
  size_t member;                     /* in work; SIZE_MAX before the first */
  uint64_t pos;
  uint32_t crc;
  struct mxq_text text;              /* of the member in work, when it is made here */
};

static enum mxq_status complete(struct run *r, size_t m, uint32_t crc, struct mxq_error *err) {
  unsigned char *digest = r->out->digests.entries[m].sha256;
  if (!mxq_sha256_end(r->hash, digest))
    return mxq_fail_nomem(err, r->out->members[m].name);
  return r->complete ? r->complete(r->user, m, crc, digest, err) : MXQ_OK;
}

/* Only members that hold something are pulled: those before `until` that were not are empty. */
static enum mxq_status pass_empty(struct run *r, size_t until, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  for (size_t m = r->member + 1; m < until && status == MXQ_OK; m++)
    status = mxq_sha256_start(r->hash) ? complete(r, m, 0, err) : mxq_fail_nomem(err, r->out->members[m].name);
  return status;
}

/* 40 digits that follow from all data before them: two numbers, as PyTorch's writer has them. */
static void make_id(struct run *r, size_t m) {
  unsigned char sum[MXQ_SHA256_BYTES];
  bool ok = mxq_sha256_start(r->hash);
  for (size_t i = 0; i < m; i++)
    ok = ok && mxq_sha256_add(r->hash, r->out->digests.entries[i].sha256, MXQ_SHA256_BYTES);
  if (ok && mxq_sha256_end(r->hash, sum))
    mxq_text_addf(&r->text, "%020" PRIu64 "%020" PRIu64, mxq_get64(sum), mxq_get64(sum + 8));
  else
    r->text.failed = true;
}

static void make_index(struct run *r) {
  mxq_index_crcs_fill(r->crcs, r->out->members, r->out->member_count);
  for (size_t i = 0; i < r->out->line_count; i++)
    mxq_index_line(&r->text, &r->out->lines[i]);
}

static enum mxq_status start_member(struct run *r, size_t m, struct mxq_error *err) {
  enum mxq_status status = pass_empty(r, m, err);
  if (status != MXQ_OK)
    return status;
  r->member = m;
  r->pos = 0;
  r->crc = 0;
  r->text.size = 0;
  switch (r->out->parts[m].origin) {
  case MXQ_FROM_ID: make_id(r, m); break;
  case MXQ_FROM_INDEX: make_index(r); break;
  case MXQ_FROM_DIGESTS: mxq_digests_text(&r->out->digests, &r->text); break;
  default: break;
  }
  if (r->text.failed || !mxq_sha256_start(r->hash))
    return mxq_fail_nomem(err, r->out->members[m].name);
  return MXQ_OK;
}

static enum mxq_status pull(void *user, size_t m, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  const struct mxq_pt2_part *part = &r->out->parts[m];
  enum mxq_status status = m == r->member ? MXQ_OK : start_member(r, m, err);
  if (status != MXQ_OK)
    return status;
  switch (part->origin) {
  case MXQ_FROM_CALLER: status = r->fetch(r->user, m, r->pos, buf, n, err); break;
  case MXQ_FROM_TEXT: memcpy(buf, part->text + r->pos, n); break;
  default: memcpy(buf, r->text.data + r->pos, n); break;
  }
  if (status != MXQ_OK)
    return status;
  if (!mxq_sha256_add(r->hash, buf, n))
    return mxq_fail_nomem(err, r->out->members[m].name);
  mxq_index_crcs_add(r->crcs, r->out->members[m].data_offset + r->pos, buf, n);
  r->crc = (uint32_t)crc32(r->crc, buf, (uInt)n);
  r->pos += n;
  return r->pos == r->out->members[m].size && m < r->out->digests.count ? complete(r, m, r->crc, err) : MXQ_OK;
}

enum mxq_status mxq_pt2_out_run(struct mxq_pt2_out *out, const struct mxq_sink *sink, mxq_pt2_fetch_fn fetch, mxq_pt2_complete_fn complete_member,
                                void *user, struct mxq_error *err) {
  struct run r = {.out = out, .fetch = fetch, .complete = complete_member, .user = user, .member = SIZE_MAX, .hash = mxq_sha256_new()};
  r.crcs = mxq_index_crcs_new(out->lines, out->line_count, out->members, out->member_count);
  enum mxq_status status =
      r.hash && r.crcs ? mxq_zip_write(sink, out->members, out->member_count, out->total, pull, &r, err) : mxq_fail_nomem(err, sink->name);
  mxq_index_crcs_free(r.crcs);
  mxq_sha256_free(r.hash);
  mxq_text_free(&r.text);
  return status;
}
