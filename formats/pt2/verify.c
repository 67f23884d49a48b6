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
/* Programs times members: each program is opened with the archive's whole directory. */
enum { MOST_WORK = 1 << 20 };

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
  if (m->size == 0 || c->result->findings >= NAMED_FINDINGS)
    return;
  for (size_t r = 0; r < c->reader_count; r++)
    for (size_t i = 0; i < c->readers[r]->count; i++) {
      const struct mxq_tensor *t = &c->readers[r]->tensors[i];
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
  if (status == MXQ_OK && c->digests_in_force && c->reader_count)
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

/* Why a program could not be opened. */
struct unopened {
  enum mxq_status status;
  struct mxq_error err;
};

/* Opens every program: those that are not asked for only for their tensors' names, and for the index, which may be theirs. */
static enum mxq_status open_all(struct mxq_pt2_check *c, const struct mxq_read_options *options, const char *const *models, size_t count,
                                struct unopened *failed, size_t *failures, size_t *asked) {
  *failures = *asked = 0;
  for (size_t i = 0; i < count; i++) {
    bool wanted = !options->model || !models[i] || strcmp(models[i], options->model) == 0;
    struct unopened u = {0};
    mxq_reader *reader;
    u.status = open_model(c, options, models[i], &reader, &u.err);
    if (stops(u.status) || u.status == MXQ_ERR_FORMAT) {
      if (c->err)
        *c->err = u.err;
      return u.status;
    }
    c->all_open &= u.status == MXQ_OK;
    if (u.status == MXQ_OK && wanted) { /* first those that are asked for */
      c->readers[c->reader_count++] = c->readers[*asked];
      c->readers[(*asked)++] = reader;
    } else if (u.status == MXQ_OK) {
      c->readers[c->reader_count++] = reader;
    } else if (wanted && (*failures == 0 || strcmp(u.err.text, failed[0].err.text) != 0 || strcmp(u.err.subject, failed[0].err.subject) != 0)) {
      failed[(*failures)++] = u; /* what hinders all of them is told once */
    }
  }
  return MXQ_OK;
}

static enum mxq_status check_opened(struct mxq_pt2_check *c, const struct mxq_read_options *options, const char *const *models, size_t count,
                                    struct unopened *failed) {
  size_t failures, asked;
  enum mxq_status status = open_all(c, options, models, count, failed, &failures, &asked);
  if (status == MXQ_OK)
    status = check_members(c);
  uint64_t damage = c->result->findings;
  for (size_t i = 0; i < asked && status == MXQ_OK; i++)
    status = check_tensors(c, c->readers[i]);
  /* What is damaged was found with its member. */
  for (size_t i = 0; i < failures && status == MXQ_OK; i++)
    if (failed[i].status != MXQ_ERR_DAMAGED || damage == 0)
      mxq_pt2_find(c, failed[i].status, failed[i].err.subject, failed[i].err.offset, "%s", failed[i].err.text);
  return status;
}

static enum mxq_status check_all(struct mxq_pt2_check *c, const struct mxq_read_options *options) {
  const char **models;
  size_t count;
  enum mxq_status status = find_digests(c, options->max_text);
  if (status != MXQ_OK)
    return status;
  const char *first = mxq_zip_count(c->zip) ? mxq_zip_member(c->zip, 0)->name : "";
  if (!mxq_pt2_model_names(c->zip, strcspn(first, "/"), &c->arena, &models, &count))
    return mxq_fail_nomem(c->err, c->path);
  bool known = !options->model;
  for (size_t i = 0; i < count; i++)
    known |= options->model && strcmp(models[i], options->model) == 0;
  c->all_open = count == 1 || (count && count <= MOST_WORK / mxq_zip_count(c->zip));
  if (count && !c->all_open && !options->model)
    mxq_pt2_find(c, MXQ_ERR_LIMIT, c->path, MXQ_NO_OFFSET, "%zu programs over %zu members are too many to check at once; --model NAME checks one", count,
                 mxq_zip_count(c->zip));
  if (!known || !c->all_open) {
    models[0] = options->model; /* where there is none, the reader says so */
    count = 1;
  }
  /* First, so that members can be named by their tensors; data is checked below, all of it. */
  struct unopened *failed = malloc(count * sizeof *failed);
  c->readers = calloc(count, sizeof *c->readers);
  status = failed && c->readers ? check_opened(c, options, models, count, failed) : mxq_fail_nomem(c->err, c->path);
  free(failed);
  return status;
}

static void close_all(struct mxq_pt2_check *c) {
  for (size_t i = 0; i < c->reader_count; i++)
    mxq_reader_close(c->readers[i]);
  free(c->readers);
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
    close_all(&c);
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
