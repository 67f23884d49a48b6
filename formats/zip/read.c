/* SPDX-License-Identifier: MIT */
/* Member data: stored bytes from their place, deflated ones through zlib, which never gets to write more than the directory states. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats/zip/inside.h"
#include "lib/base/fail.h"

enum { INPUT = 64 * 1024, PIECE = 256 * 1024 };

struct mxq_zip_stream {
  z_stream z;
  size_t member;                     /* SIZE_MAX: none */
  uint64_t fed, made;                /* compressed bytes given to zlib, bytes it delivered */
  uint32_t crc;
  bool ended;
  unsigned char input[INPUT], skipped[INPUT];
};

void mxq_zip_stream_free(struct mxq_zip_stream *s) {
  if (s)
    inflateEnd(&s->z);
  free(s);
}

static enum mxq_status begin(mxq_zip *zip, size_t i, struct mxq_error *err) {
  struct mxq_zip_stream *s = zip->stream;
  if (!s) {
    s = calloc(1, sizeof *s);
    if (!s || inflateInit2(&s->z, -MAX_WBITS) != Z_OK) {
      free(s);
      return mxq_fail_nomem(err, "");
    }
    zip->stream = s;
  } else if (inflateReset(&s->z) != Z_OK) {
    return mxq_fail_nomem(err, "");
  }
  s->member = i;
  s->fed = s->made = 0;
  s->crc = 0;
  s->ended = false;
  s->z.avail_in = 0;
  return MXQ_OK;
}

static enum mxq_status bad_stream(const struct mxq_zip_member *m, const char *what, struct mxq_error *err) {
  return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->data_offset, "zip member: %s", what);
}

static enum mxq_status bad_crc(const struct mxq_zip_member *m, uint32_t crc, struct mxq_error *err) {
  return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                     "this member's data has CRC-32 %08" PRIx32 ", the archive says %08" PRIx32 ": it is damaged", crc, m->crc);
}

/* The next n bytes; at the member's end, that the stream ends there too. */
static enum mxq_status produce(mxq_zip *zip, const struct mxq_zip_member *m, unsigned char *buf, size_t n, struct mxq_error *err) {
  struct mxq_zip_stream *s = zip->stream;
  unsigned char spare;
  bool last = s->made + n == m->size;
  size_t done = 0;
  while (done < n || (last && !s->ended)) {
    if (s->ended)
      return bad_stream(m, "it unpacks to less than the directory states", err);
    if (s->z.avail_in == 0 && s->fed < m->compressed) {
      size_t part = m->compressed - s->fed < INPUT ? (size_t)(m->compressed - s->fed) : INPUT;
      enum mxq_status status = zip->source->read_at(zip->source->ctx, m->data_offset + s->fed, s->input, part, err);
      if (status != MXQ_OK)
        return status;
      s->fed += part;
      s->z.next_in = s->input;
      s->z.avail_in = (uInt)part;
    }
    size_t want = n - done < 1u << 30 ? n - done : 1u << 30;
    s->z.next_out = want ? buf + done : &spare;
    s->z.avail_out = want ? (uInt)want : 1;
    int result = inflate(&s->z, Z_NO_FLUSH);
    size_t got = (want ? want : 1) - s->z.avail_out;
    if (result == Z_MEM_ERROR)
      return mxq_fail_nomem(err, "");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return bad_stream(m, "it is no valid deflate stream", err);
    if (!want && got)
      return bad_stream(m, "it unpacks to more than the directory states", err);
    s->ended = result == Z_STREAM_END;
    s->crc = (uint32_t)crc32(s->crc, buf + done, (uInt)got);
    done += got;
    s->made += got;
    if (!s->ended && got == 0 && s->z.avail_in == 0 && s->fed == m->compressed)
      return bad_stream(m, "its deflate stream is cut short", err);
  }
  if (last && (s->z.avail_in || s->fed != m->compressed))
    return bad_stream(m, "bytes follow its deflate stream", err);
  return last && s->crc != m->crc && !m->zero_crc ? bad_crc(m, s->crc, err) : MXQ_OK;
}

static enum mxq_status inflate_at(mxq_zip *zip, size_t i, uint64_t offset, unsigned char *buf, size_t n, struct mxq_error *err) {
  const struct mxq_zip_member *m = &zip->members[i];
  enum mxq_status status = MXQ_OK;
  if (!zip->stream || zip->stream->member != i || zip->stream->made > offset)
    status = begin(zip, i, err);
  while (status == MXQ_OK && zip->stream->made < offset) {
    uint64_t far = offset - zip->stream->made;
    status = produce(zip, m, zip->stream->skipped, far < INPUT ? (size_t)far : INPUT, err);
  }
  if (status == MXQ_OK)
    status = produce(zip, m, buf, n, err);
  if (status != MXQ_OK && zip->stream)
    zip->stream->member = SIZE_MAX;
  return status;
}

enum mxq_status mxq_zip_read(mxq_zip *zip, size_t i, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  assert(i < zip->count);
  const struct mxq_zip_member *m = &zip->members[i];
  assert(offset <= m->size && n <= m->size - offset);
  if (n == 0)
    return MXQ_OK;
  if (m->method == 0)
    return zip->source->read_at(zip->source->ctx, m->data_offset + offset, buf, n, err);
  return inflate_at(zip, i, offset, buf, n, err);
}

enum mxq_status mxq_zip_check(mxq_zip *zip, size_t i, void (*on_data)(void *user, const void *data, size_t n), void *user,
                              struct mxq_error *err) {
  assert(i < zip->count);
  const struct mxq_zip_member *m = &zip->members[i];
  size_t piece = m->size < PIECE ? (size_t)m->size : PIECE;
  unsigned char *buf = malloc(piece + 1);
  if (!buf)
    return mxq_fail_nomem(err, "");
  enum mxq_status status = m->method ? begin(zip, i, err) : MXQ_OK;
  uint32_t crc = 0;
  uint64_t at = 0;
  do { /* once also for an empty member: its stream is checked */
    size_t n = m->size - at < piece ? (size_t)(m->size - at) : piece;
    if (status == MXQ_OK && m->method)
      status = inflate_at(zip, i, at, buf, n, err);
    else if (status == MXQ_OK && n)
      status = zip->source->read_at(zip->source->ctx, m->data_offset + at, buf, n, err);
    if (status != MXQ_OK)
      break;
    if (m->method == 0)
      crc = (uint32_t)crc32(crc, buf, (uInt)n);
    if (on_data && n)
      on_data(user, buf, n);
    at += n;
  } while (at < m->size);
  free(buf);
  if (status == MXQ_OK && m->method == 0 && crc != m->crc && !m->zero_crc)
    status = bad_crc(m, crc, err);
  return status;
}

struct copy {
  char *at;
};

static void append(void *user, const void *data, size_t n) {
  struct copy *c = user;
  memcpy(c->at, data, n);
  c->at += n;
}

enum mxq_status mxq_zip_load(mxq_zip *zip, size_t i, uint64_t max, char **data, size_t *size, struct mxq_error *err) {
  assert(i < zip->count);
  const struct mxq_zip_member *m = &zip->members[i];
  *data = NULL;
  *size = 0;
  if (m->size > max || m->size >= SIZE_MAX)
    return mxq_fail_at(err, MXQ_ERR_LIMIT, m->name, m->data_offset, "this member has %" PRIu64 " bytes, the limit is %" PRIu64, m->size, max);
  char *all = malloc((size_t)m->size + 1);
  if (!all)
    return mxq_fail_nomem(err, m->name);
  struct copy c = {all};
  enum mxq_status status = mxq_zip_check(zip, i, append, &c, err);
  if (status != MXQ_OK) {
    free(all);
    return status;
  }
  all[m->size] = 0;
  *data = all;
  *size = (size_t)m->size;
  return MXQ_OK;
}
