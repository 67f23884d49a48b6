/* SPDX-License-Identifier: MIT */
/* Verification: every byte of an archive, what it means, and whom a defect concerns. */
#include "formats/pt2/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

/* A member's tensor is looked up for this many findings; a file that is damaged all over has names enough. */
enum { NAMED_FINDINGS = 1000 };

static bool stops(enum mxq_status s) { return s == MXQ_ERR_IO || s == MXQ_ERR_NOMEM || s == MXQ_ERR_CANCELLED || s == MXQ_ERR_USAGE; }

void mxq_pt2_find(struct mxq_pt2_check *c, enum mxq_status code, const char *subject, uint64_t offset, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  struct mxq_finding f = {.code = code, .subject = subject, .offset = offset, .text = text};
  c->result->findings++;
  if (c->on_finding)
    c->on_finding(c->user, &f);
}

/* The tensor and part whose bytes lie in member m, in words; "" when none does. */
static void whose(const struct mxq_pt2_check *c, const struct mxq_zip_member *m, char *buf, size_t size) {
  static const char *const parts[2] = {"codes", "scales"};
  buf[0] = 0;
  if (!c->reader || m->size == 0 || c->result->findings >= NAMED_FINDINGS)
    return;
  for (size_t i = 0; i < c->reader->count; i++) {
    const struct mxq_tensor *t = &c->reader->tensors[i];
    for (int p = 0; p < 2; p++)
      if (t->part[p].size && t->part[p].offset >= m->data_offset && t->part[p].offset - m->data_offset < m->size) {
        snprintf(buf, size, "; it holds the %s of tensor \"%.*s\"", t->format == MXQ_FORMAT_NONE ? "data" : parts[p], mxq_clip(t->name), t->name);
        return;
      }
  }
}

/* What looks at a member's data as it is read. */
struct watch {
  struct mxq_sha256 *hash;           /* NULL: no digest to compare with */
  struct mxq_index_crcs *crcs;
  uint64_t pos;
  bool failed;
};

static void watch_data(void *user, const void *data, size_t n) {
  struct watch *w = user;
  if (w->hash && !mxq_sha256_add(w->hash, data, n))
    w->failed = true;
  if (w->crcs)
    mxq_index_crcs_add(w->crcs, w->pos, data, n);
  w->pos += n;
}

/* Reads a member's data: stream, size and CRC, then its digest. */
static enum mxq_status check_data(struct mxq_pt2_check *c, size_t i, struct mxq_sha256 *hash) {
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, i);
  const unsigned char *want = mxq_pt2_digest_of(c, i);
  unsigned char digest[MXQ_SHA256_BYTES];
  struct mxq_error e = {0};
  char tensor[320];
  if (want && !mxq_sha256_start(hash))
    return mxq_fail_nomem(c->err, c->path);
  struct watch w = {.hash = want ? hash : NULL, .crcs = c->crcs, .pos = m->data_offset};
  enum mxq_status status = mxq_zip_check(c->zip, i, watch_data, &w, &e);
  if (stops(status)) {
    if (c->err)
      *c->err = e;
    return status;
  }
  if (status != MXQ_OK) {
    whose(c, m, tensor, sizeof tensor);
    mxq_pt2_find(c, status, m->name, m->data_offset, "%s%s", e.text, tensor);
    return MXQ_OK;
  }
  if (!want)
    return MXQ_OK;
  if (w.failed || !mxq_sha256_end(hash, digest))
    return mxq_fail_nomem(c->err, c->path);
  if (memcmp(want, digest, sizeof digest)) {
    whose(c, m, tensor, sizeof tensor);
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->data_offset, "the data of this member does not have the SHA-256 that the digests state%s", tensor);
  }
  return MXQ_OK;
}

/* ---- the digest member ---- */

static enum mxq_status find_digests(struct mxq_pt2_check *c, uint64_t max_text) {
  c->digests_member = SIZE_MAX;
  if (mxq_zip_count(c->zip) == 0)
    return MXQ_OK;
  const char *first = mxq_zip_member(c->zip, 0)->name, *slash = strchr(first, '/');
  size_t root = slash ? (size_t)(slash - first) + 1 : 0, n = root + strlen(MXQ_DIGESTS_MEMBER);
  char *name = mxq_arena_alloc(&c->arena, n + 1), *data = NULL;
  if (!name)
    return mxq_fail_nomem(c->err, c->path);
  memcpy(name, first, root);
  strcpy(name + root, MXQ_DIGESTS_MEMBER);
  c->digests_member = mxq_zip_find(c->zip, name, n);
  if (c->digests_member == SIZE_MAX)
    return MXQ_OK;
  if (mxq_pt2_saved_by_torch(c->zip)) {
    c->result->resaved = true;
    return MXQ_OK;
  }
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, c->digests_member);
  struct mxq_error e = {0};
  enum mxq_status status = mxq_zip_load(c->zip, c->digests_member, max_text, &data, &n, &e);
  if (status == MXQ_OK)
    status = mxq_digests_parse(data, n, &c->arena, &c->digests, &e);
  free(data);
  if (status == MXQ_OK) {
    c->digests_in_force = c->result->digests = true;
    return MXQ_OK;
  }
  if (stops(status)) {
    if (c->err)
      *c->err = e;
    return status;
  }
  /* A wrong checksum is found again when the member is read; what it says is judged here. */
  if (status != MXQ_ERR_DAMAGED)
    mxq_pt2_find(c, status, m->name, m->data_offset, "%s", e.text);
  return MXQ_OK;
}

/* ---- members ---- */

struct place {
  uint64_t offset;
  size_t member;
};

static int by_offset(const void *a, const void *b) {
  uint64_t x = ((const struct place *)a)->offset, y = ((const struct place *)b)->offset;
  return (x > y) - (x < y);
}

static enum mxq_status check_members(struct mxq_pt2_check *c) {
  size_t count = mxq_zip_count(c->zip);
  struct place *order = malloc((count + 1) * sizeof *order);
  struct mxq_sha256 *hash = mxq_sha256_new();
  enum mxq_status status = order && hash ? MXQ_OK : mxq_fail_nomem(c->err, c->path);
  for (size_t i = 0; i < count && status == MXQ_OK; i++)
    order[i] = (struct place){mxq_zip_member(c->zip, i)->header_offset, i};
  if (status == MXQ_OK)
    qsort(order, count, sizeof *order, by_offset);
  if (status == MXQ_OK && c->digests_in_force)
    status = mxq_pt2_form_begin(c);
  if (status == MXQ_OK && c->digests_in_force && c->reader)
    status = mxq_pt2_index_begin(c);
  for (size_t i = 0; i < count && status == MXQ_OK; i++) {
    if (c->digests_in_force)
      status = mxq_pt2_form_member(c, i);
    if (status == MXQ_OK)
      status = check_data(c, order[i].member, hash);
  }
  if (status == MXQ_OK && c->digests_in_force)
    status = mxq_pt2_form_end(c);
  if (status == MXQ_OK && c->result->findings == 0)
    status = mxq_pt2_index_end(c);
  mxq_pt2_index_free(c);
  mxq_pt2_form_free(c);
  mxq_sha256_free(hash);
  free(order);
  return status;
}

/* ---- what the members mean ---- */

static enum mxq_status borrow_read(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  const struct mxq_source *s = ctx;
  return s->read_at(s->ctx, offset, buf, n, err);
}

/* Every tensor must be there to be read; its bytes were checked with their member. */
static enum mxq_status check_tensors(struct mxq_pt2_check *c, mxq_reader *reader) {
  c->result->tensors += reader->count;
  for (size_t i = 0; i < reader->count; i++)
    for (int p = 0; p < (reader->tensors[i].format == MXQ_FORMAT_NONE ? 1 : 2); p++) {
      char buf[16];
      struct mxq_error e = {0};
      uint64_t size = mxq_reader_part_bytes(reader, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA);
      size_t scalar = mxq_dtype_bits(reader->tensors[i].dtype) / 8, n = p || scalar == 0 ? 1 : scalar;
      if (size < n)
        continue;
      enum mxq_status status = mxq_reader_read(reader, i, p ? MXQ_PART_SCALES : MXQ_PART_DATA, 0, buf, n, &e);
      if (stops(status)) {
        if (c->err)
          *c->err = e;
        return status;
      }
      if (status != MXQ_OK)
        mxq_pt2_find(c, status, reader->tensors[i].name, e.offset, "%s", e.text);
    }
  return MXQ_OK;
}

static enum mxq_status open_model(struct mxq_pt2_check *c, const struct mxq_read_options *options, const char *model, mxq_reader **reader,
                                  struct mxq_error *err) {
  struct mxq_read_options relaxed = *options;
  struct mxq_source borrowed = {.ctx = (void *)(uintptr_t)c->source, .name = c->source->name, .size = c->source->size, .read_at = borrow_read};
  relaxed.container = MXQ_PT2;
  relaxed.unverified = true;
  relaxed.model = model;
  return mxq_reader_open_source(&borrowed, &relaxed, reader, err);
}

/* The archive's other programs; what hinders all of them was found with the first, whose error is `first`. */
static enum mxq_status check_others(struct mxq_pt2_check *c, const struct mxq_read_options *options, const char *const *models, size_t count,
                                    const char *done, const struct mxq_error *first) {
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < count && status == MXQ_OK; i++) {
    mxq_reader *reader = NULL;
    struct mxq_error e = {0};
    if (strcmp(models[i], done) == 0)
      continue;
    enum mxq_status opened = open_model(c, options, models[i], &reader, &e);
    if (opened == MXQ_OK) {
      status = check_tensors(c, reader);
    } else if (stops(opened)) {
      status = opened;
      if (c->err)
        *c->err = e;
    } else if (opened != first->code || strcmp(e.subject, first->subject) != 0 || strcmp(e.text, first->text) != 0) {
      mxq_pt2_find(c, opened, e.subject, e.offset, "%s", e.text);
    }
    mxq_reader_close(reader);
  }
  return status;
}

static enum mxq_status check_all(struct mxq_pt2_check *c, const struct mxq_read_options *options) {
  struct mxq_error e = {0};
  const char **models, *model = options->model;
  size_t count;
  enum mxq_status status = find_digests(c, options->max_text);
  if (status != MXQ_OK)
    return status;
  const char *first = mxq_zip_count(c->zip) ? mxq_zip_member(c->zip, 0)->name : "";
  if (!mxq_pt2_model_names(c->zip, strcspn(first, "/"), &c->arena, &models, &count))
    return mxq_fail_nomem(c->err, c->path);
  for (size_t i = 0; i < count && !options->model; i++)
    if (!model || strcmp(models[i], "model") == 0)
      model = models[i];
  /* First, so that members can be named by their tensors; data is checked below, all of it. */
  enum mxq_status opened = open_model(c, options, model, &c->reader, &e);
  if (stops(opened) || opened == MXQ_ERR_FORMAT) {
    if (c->err)
      *c->err = e;
    return opened;
  }
  status = check_members(c);
  if (status == MXQ_OK && opened == MXQ_OK)
    status = check_tensors(c, c->reader);
  /* What is damaged was found with its member. */
  if (status == MXQ_OK && opened != MXQ_OK && (opened != MXQ_ERR_DAMAGED || c->result->findings == 0))
    mxq_pt2_find(c, opened, e.subject, e.offset, "%s", e.text);
  return status == MXQ_OK && !options->model && model ? check_others(c, options, models, count, model, &e) : status;
}

enum mxq_status mxq_pt2_verify(const struct mxq_source *source, const char *path, const struct mxq_read_options *options,
                               void (*on_finding)(void *user, const struct mxq_finding *finding), void *user, struct mxq_verify_result *result,
                               struct mxq_error *err) {
  struct mxq_pt2_check c = {.source = source, .path = path, .on_finding = on_finding, .user = user, .result = result, .err = err};
  struct mxq_error e = {0};
  enum mxq_status status = mxq_zip_open(source, options, &c.zip, &e);
  if (status == MXQ_OK) {
    status = check_all(&c, options);
    if (status == MXQ_OK)
      result->bytes = source->size; /* headers too: the strict directory leaves no byte out */
    mxq_reader_close(c.reader);
    mxq_zip_close(c.zip);
  } else {
    bool cut = !stops(status) && (status != MXQ_ERR_FORMAT || source->size >= 4) && mxq_pt2_find_cut(&c);
    bool found = !stops(status) && status != MXQ_ERR_FORMAT;
    if (found && !cut)
      mxq_pt2_find(&c, status, e.subject, e.offset, "%s", e.text);
    if (found || cut)
      status = MXQ_OK;
    else if (err)
      *err = e;
  }
  mxq_arena_free(&c.arena);
  return status;
}
