/* SPDX-License-Identifier: MIT */
/* libzip over a sink: one zip_source that takes the file, and one for each member that gives its bytes. */
#include "formats/zip/write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

#include "lib/base/bytes.h"
#include "lib/base/fail.h"

/* libzip moves 8 KiB a call: bytes are gathered on both ways. */
#define OUT_WINDOW ((size_t)1 << 20)
#define IN_WINDOW ((size_t)256 << 10)

struct out {
  const struct mxq_sink *sink;
  struct mxq_zip_out *members;
  size_t count;
  mxq_zip_pull_fn pull;
  void *user;
  struct mxq_error *err;
  enum mxq_status status;            /* the first failure; libzip hears only that there was one */
  zip_error_t zip_error;

  uint64_t pos, end;                 /* where the next byte goes, and the largest position so far */
  unsigned char *window;             /* bytes [window_at, window_at + window_n) that the sink has not got yet */
  uint64_t window_at;
  size_t window_n;

  struct in *ins;
  unsigned char *piece;              /* bytes pulled and not yet handed to libzip */
  size_t piece_n, piece_pos;
};

/* One member's source. */
struct in {
  struct out *out;
  size_t member;
  uint64_t pulled;
};

static zip_int64_t refuse(struct out *o, enum mxq_status status) {
  if (o->status == MXQ_OK)
    o->status = status;
  zip_error_set(&o->zip_error, ZIP_ER_WRITE, EIO);
  return -1;
}

static enum mxq_status flush(struct out *o) {
  if (o->window_n == 0)
    return MXQ_OK;
  enum mxq_status status = o->sink->write_at(o->sink->ctx, o->window_at, o->window, o->window_n, o->err);
  o->window_at += o->window_n;
  o->window_n = 0;
  return status;
}

static enum mxq_status put(struct out *o, const unsigned char *data, size_t n) {
  while (n > 0) {
    bool inside = o->pos >= o->window_at && o->pos - o->window_at <= o->window_n;
    if (!inside && o->pos < o->window_at && o->window_n > 0 && o->window_at - o->pos >= n) {
      /* The header of a member that is out already: past the window, which stays. */
      enum mxq_status status = o->sink->write_at(o->sink->ctx, o->pos, data, n, o->err);
      o->pos += n;
      return status;
    }
    if (!inside || o->pos - o->window_at == OUT_WINDOW) {
      enum mxq_status status = flush(o);
      if (status != MXQ_OK)
        return status;
      o->window_at = o->pos;
    }
    size_t at = (size_t)(o->pos - o->window_at), part = OUT_WINDOW - at < n ? OUT_WINDOW - at : n;
    memcpy(o->window + at, data, part);
    if (at + part > o->window_n)
      o->window_n = at + part;
    o->pos += part;
    data += part;
    n -= part;
  }
  if (o->pos > o->end)
    o->end = o->pos;
  return MXQ_OK;
}

static zip_int64_t seek_write(struct out *o, void *data, zip_uint64_t len) {
  zip_int64_t to = zip_source_seek_compute_offset(o->pos, o->end, data, len, &o->zip_error);
  if (to < 0)
    return refuse(o, mxq_fail(o->err, MXQ_ERR_WRITE, o->sink->name, "the zip writer asked for a position outside the file"));
  o->pos = (uint64_t)to;
  return 0;
}

/* The file as libzip sees it: something that does not exist yet and can be written. */
static zip_int64_t file_source(void *user, void *data, zip_uint64_t len, zip_source_cmd_t cmd) {
  struct out *o = user;
  enum mxq_status status;
  switch (cmd) {
  case ZIP_SOURCE_SUPPORTS:
    return ZIP_SOURCE_SUPPORTS_WRITABLE;
  case ZIP_SOURCE_STAT:
    zip_error_set(&o->zip_error, ZIP_ER_READ, ENOENT);
    return -1;
  case ZIP_SOURCE_ERROR:
    return zip_error_to_data(&o->zip_error, data, len);
  case ZIP_SOURCE_BEGIN_WRITE:
  case ZIP_SOURCE_ROLLBACK_WRITE:
  case ZIP_SOURCE_CLOSE:
  case ZIP_SOURCE_FREE:
    return 0;
  case ZIP_SOURCE_WRITE:
    status = put(o, data, (size_t)len);
    return status == MXQ_OK ? (zip_int64_t)len : refuse(o, status);
  case ZIP_SOURCE_SEEK_WRITE:
    return seek_write(o, data, len);
  case ZIP_SOURCE_TELL_WRITE:
    return (zip_int64_t)o->pos;
  case ZIP_SOURCE_COMMIT_WRITE:
    status = flush(o);
    return status == MXQ_OK ? 0 : refuse(o, status);
  default:
    zip_error_set(&o->zip_error, ZIP_ER_OPNOTSUPP, 0);
    return -1;
  }
}

static enum mxq_status open_member(struct in *in) {
  struct out *o = in->out;
  struct mxq_zip_out *m = &o->members[in->member];
  if (o->pos != m->data_offset)
    return mxq_fail_at(o->err, MXQ_ERR_WRITE, m->name, o->pos,
                       "the zip library places this member's data at byte %" PRIu64 " instead of %" PRIu64
                       "; this version of it cannot be used",
                       o->pos, m->data_offset);
  m->crc = 0;
  in->pulled = 0;
  o->piece_n = o->piece_pos = 0;
  return MXQ_OK;
}

static zip_int64_t read_member(struct in *in, void *buf, zip_uint64_t len) {
  struct out *o = in->out;
  struct mxq_zip_out *m = &o->members[in->member];
  if (o->piece_pos == o->piece_n) {
    uint64_t left = m->size - in->pulled;
    if (left == 0)
      return 0;
    size_t n = left < IN_WINDOW ? (size_t)left : IN_WINDOW;
    enum mxq_status status = o->pull(o->user, in->member, o->piece, n, o->err);
    if (status != MXQ_OK)
      return refuse(o, status);
    m->crc = (uint32_t)crc32(m->crc, o->piece, (uInt)n);
    in->pulled += n;
    o->piece_n = n;
    o->piece_pos = 0;
  }
  size_t n = o->piece_n - o->piece_pos;
  if (len < n)
    n = (size_t)len;
  memcpy(buf, o->piece + o->piece_pos, n);
  o->piece_pos += n;
  return (zip_int64_t)n;
}

static zip_int64_t member_source(void *user, void *data, zip_uint64_t len, zip_source_cmd_t cmd) {
  struct in *in = user;
  struct out *o = in->out;
  zip_stat_t *st;
  enum mxq_status status;
  switch (cmd) {
  case ZIP_SOURCE_SUPPORTS:
    return ZIP_SOURCE_SUPPORTS_READABLE;
  case ZIP_SOURCE_STAT:
    st = ZIP_SOURCE_GET_ARGS(zip_stat_t, data, len, &o->zip_error);
    if (!st)
      return -1;
    zip_stat_init(st);
    st->size = o->members[in->member].size;
    st->mtime = 0;
    st->comp_method = ZIP_CM_STORE;
    st->valid = ZIP_STAT_SIZE | ZIP_STAT_MTIME | ZIP_STAT_COMP_METHOD;
    return sizeof *st;
  case ZIP_SOURCE_ERROR:
    return zip_error_to_data(&o->zip_error, data, len);
  case ZIP_SOURCE_OPEN:
    status = open_member(in);
    return status == MXQ_OK ? 0 : refuse(o, status);
  case ZIP_SOURCE_READ:
    return read_member(in, data, len);
  case ZIP_SOURCE_CLOSE:
  case ZIP_SOURCE_FREE:
    return 0;
  default:
    zip_error_set(&o->zip_error, ZIP_ER_OPNOTSUPP, 0);
    return -1;
  }
}

/* libzip's words for a failure that is not ours. */
static enum mxq_status explain(struct out *o, zip_error_t *ze, const char *name) {
  if (o->status != MXQ_OK)
    return o->status;
  /* libzip 1.7.3 does not say so everywhere. */
  if (zip_error_code_zip(ze) == ZIP_ER_MEMORY || zip_error_code_zip(ze) == ZIP_ER_OK)
    return mxq_fail_nomem(o->err, name);
  return mxq_fail(o->err, MXQ_ERR_WRITE, name, "the zip library failed with error %d (system %d)", zip_error_code_zip(ze),
                  zip_error_code_system(ze));
}

/* The one form a member's header has: stored, dated 1980-01-01 00:00:00, a regular file 0644, data aligned by the field that PyTorch uses too. */
static bool add_member(zip_t *zip, struct out *o, size_t i, zip_error_t *ze) {
  const struct mxq_zip_out *m = &o->members[i];
  unsigned char fill[65536];
  o->ins[i] = (struct in){.out = o, .member = i};
  zip_source_t *source = zip_source_function_create(member_source, &o->ins[i], ze);
  if (!source)
    return false;
  zip_int64_t index = zip_file_add(zip, m->name, source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  memset(fill, 'Z', m->padding);
  return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
         zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x0021, 0) == 0 &&
         zip_file_set_external_attributes(zip, (zip_uint64_t)index, 0, ZIP_OPSYS_UNIX, (zip_uint32_t)0100644 << 16) == 0 &&
         zip_file_extra_field_set(zip, (zip_uint64_t)index, 0x4246, ZIP_EXTRA_FIELD_NEW, fill, (zip_uint16_t)m->padding, ZIP_FL_LOCAL) == 0;
}

static enum mxq_status write_all(struct out *o) {
  zip_error_t ze;
  zip_error_init(&ze);
  enum mxq_status status = MXQ_OK;
  zip_source_t *file = zip_source_function_create(file_source, o, &ze);
  zip_t *zip = file ? zip_open_from_source(file, ZIP_CREATE | ZIP_TRUNCATE, &ze) : NULL;
  if (!zip) {
    status = explain(o, &ze, o->sink->name);
    zip_source_free(file);
    zip_error_fini(&ze);
    return status;
  }
  size_t i = 0;
  while (i < o->count && add_member(zip, o, i, &ze))
    i++;
  if (i < o->count)
    status = explain(o, zip_error_code_zip(&ze) ? &ze : zip_get_error(zip), o->members[i].name);
  else if (zip_close(zip) == 0)
    zip = NULL;
  else
    status = explain(o, zip_get_error(zip), o->sink->name);
  if (zip)
    zip_discard(zip);
  zip_error_fini(&ze);
  return status;
}

enum mxq_status mxq_zip_write(const struct mxq_sink *sink, struct mxq_zip_out *members, size_t count, uint64_t total,
                              mxq_zip_pull_fn pull, void *user, struct mxq_error *err) {
  struct out o = {.sink = sink, .members = members, .count = count, .pull = pull, .user = user, .err = err};
  zip_error_init(&o.zip_error);
  o.window = malloc(OUT_WINDOW);
  o.piece = malloc(IN_WINDOW);
  o.ins = calloc(count + 1, sizeof *o.ins);
  enum mxq_status status = o.window && o.piece && o.ins ? write_all(&o) : mxq_fail_nomem(err, sink->name);
  if (status == MXQ_OK && o.end != total)
    status = mxq_fail_at(err, MXQ_ERR_WRITE, sink->name, o.end,
                         "the zip library wrote %" PRIu64 " bytes instead of %" PRIu64 "; this version of it cannot be used", o.end, total);
  free(o.window);
  free(o.piece);
  free(o.ins);
  zip_error_fini(&o.zip_error);
  return status;
}

/* ---- the probe ---- */

static enum mxq_status keep_made_by(void *ctx, uint64_t offset, const void *buf, size_t n, struct mxq_error *err) {
  (void)err;
  const unsigned char *b = buf;
  (void)offset;
  for (size_t i = 0; i + 6 <= n; i++)
    if (mxq_get32(b + i) == 0x02014b50)
      *(uint16_t *)ctx = mxq_get16(b + i + 4);
  return MXQ_OK;
}

static enum mxq_status pull_nothing(void *user, size_t member, void *buf, size_t n, struct mxq_error *err) {
  (void)user, (void)member, (void)buf, (void)n, (void)err;
  return MXQ_OK;
}

enum mxq_status mxq_zip_made_by(uint16_t *made_by, struct mxq_error *err) {
  struct mxq_sink sink = {.ctx = made_by, .name = "", .write_at = keep_made_by};
  struct mxq_zip_out m = {.name = "a", .name_len = 1, .data_offset = 30 + 1 + 4};
  *made_by = 0;
  return mxq_zip_write(&sink, &m, 1, 30 + 1 + 4 + 46 + 1 + 22, pull_nothing, NULL, err);
}
