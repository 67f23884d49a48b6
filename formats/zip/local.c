/* SPDX-License-Identifier: MIT */
/* Local headers, data and descriptors, in the order of the file: each as the directory says, each where the one before ended. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/zip/inside.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

enum { SMALL_WINDOW = 1024, LARGE_WINDOW = 256 * 1024, ROOM = 2 * 65536 + LARGE_WINDOW };

/* A piece of the file. Headers of small members are read together. */
struct window {
  const struct mxq_source *source;
  unsigned char *buf;
  uint64_t begin, limit;             /* limit: the directory begins here */
  size_t size, step;
};

/* n bytes of the file at `at`; the range lies in front of the limit and fits into the buffer. */
static enum mxq_status look(struct window *w, uint64_t at, size_t n, const unsigned char **bytes, struct mxq_error *err) {
  if (at < w->begin || at - w->begin > w->size || n > w->size - (at - w->begin)) {
    size_t size = n > w->step ? n : w->step;
    if (size > w->limit - at)
      size = (size_t)(w->limit - at);
    w->size = 0;
    enum mxq_status status = w->source->read_at(w->source->ctx, at, w->buf, size, err);
    if (status != MXQ_OK)
      return status;
    w->begin = at;
    w->size = size;
  }
  *bytes = w->buf + (at - w->begin);
  return MXQ_OK;
}

static enum mxq_status differs(const struct mxq_zip_member *m, const char *what, struct mxq_error *err) {
  return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: its local header and the directory differ in %s", what);
}

/*
 * The numbers of a local zip64 block: some of size, compressed size and offset, in this order; zero where a descriptor follows. Writers disagree on
 * which ones stand there, but where a 32-bit field refers to the block, both sizes must.
 */
static bool check_zip64(const struct mxq_zip_member *m, const unsigned char *p, size_t n, bool later, bool referred) {
  const uint64_t right[3] = {m->size, m->compressed, m->header_offset};
  unsigned k = 0;
  if (n % 8 == 4 && mxq_get32(p + n - 4) == 0)
    n -= 4; /* the number of the file */
  for (; n >= 8; n -= 8, p += 8, k++) {
    uint64_t v = mxq_get64(p);
    while (k < 3 && v != right[k] && !(later && v == 0)) {
      if (referred && k < 2)
        return false;
      k++;
    }
    if (k == 3)
      return false;
  }
  return n == 0 && (!referred || k >= 2);
}

static enum mxq_status check_local(struct mxq_zip_member *m, const unsigned char *b, uint64_t room, struct mxq_error *err) {
  size_t n = mxq_get16(b + 26), e = mxq_get16(b + 28), zip64_size;
  bool later = m->flags & MXQ_ZIP_DESCRIPTOR;
  const unsigned char *zip64;
  const char *what;
  if (mxq_get16(b + 6) != m->flags)
    return differs(m, "their flags", err);
  if (mxq_get16(b + 8) != m->method)
    return differs(m, "the method", err);
  if (n != m->name_len || memcmp(b + MXQ_ZIP_LOCAL, m->name, n) != 0)
    return differs(m, "the name", err);
  if (!mxq_zip_extra(b + MXQ_ZIP_LOCAL + n, e, &zip64, &zip64_size, &what))
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: local header: %s", what);
  uint32_t crc = mxq_get32(b + 14), packed = mxq_get32(b + 18), size = mxq_get32(b + 22);
  bool referred = packed == 0xFFFFFFFF || size == 0xFFFFFFFF;
  if ((zip64 || referred) && !check_zip64(m, zip64, zip64_size, later, referred))
    return differs(m, "the zip64 field", err);
  if (crc != m->crc && !(later && crc == 0))
    return differs(m, "the CRC", err);
  if (packed != m->compressed && !(later && packed == 0) && packed != 0xFFFFFFFF)
    return differs(m, "the compressed size", err);
  if (size != m->size && !(later && size == 0) && size != 0xFFFFFFFF)
    return differs(m, "the size", err);
  uint64_t head = MXQ_ZIP_LOCAL + (uint64_t)n + e;
  if (head > room || m->compressed > room - head)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: it reaches into what follows it");
  m->data_offset = m->header_offset + head;
  return MXQ_OK;
}

static enum mxq_status check_descriptor(const struct mxq_zip_member *m, const unsigned char *b, size_t n, struct mxq_error *err) {
  bool right = mxq_get32(b) == 0x08074b50 && mxq_get32(b + 4) == m->crc;
  if (n == 16)
    right = right && mxq_get32(b + 8) == m->compressed && mxq_get32(b + 12) == m->size;
  else
    right = right && mxq_get64(b + 8) == m->compressed && mxq_get64(b + 16) == m->size;
  return right ? MXQ_OK
               : mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->data_offset + m->compressed,
                             "zip member: the descriptor behind its data and the directory differ");
}

/* A member that begins at its offset and must end at `next`. */
static enum mxq_status check_member(struct window *w, struct mxq_zip_member *m, uint64_t next, struct mxq_error *err) {
  const unsigned char *b;
  uint64_t room = next - m->header_offset;
  if (room < MXQ_ZIP_LOCAL)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: two members overlap");
  enum mxq_status status = look(w, m->header_offset, MXQ_ZIP_LOCAL, &b, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_get32(b) != 0x04034b50)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: there is no local header where the directory says");
  size_t head = MXQ_ZIP_LOCAL + (size_t)mxq_get16(b + 26) + mxq_get16(b + 28);
  if (head > room)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: it reaches into what follows it");
  status = look(w, m->header_offset, head, &b, err);
  if (status == MXQ_OK)
    status = check_local(m, b, room, err);
  if (status != MXQ_OK)
    return status;
  uint64_t end = m->data_offset + m->compressed, gap = next - end;
  if (gap == 0 && !(m->flags & MXQ_ZIP_DESCRIPTOR))
    return MXQ_OK;
  if (!(m->flags & MXQ_ZIP_DESCRIPTOR) || (gap != 16 && gap != 24))
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, end, "zip member: %" PRIu64 " bytes follow its data that are no part of the archive", gap);
  status = look(w, end, (size_t)gap, &b, err);
  return status == MXQ_OK ? check_descriptor(m, b, (size_t)gap, err) : status;
}

static int by_offset(const void *a, const void *b, void *members) {
  const struct mxq_zip_member *m = members;
  uint64_t x = m[*(const uint32_t *)a].header_offset, y = m[*(const uint32_t *)b].header_offset;
  return (x > y) - (x < y);
}

/* The members in the order of the file; NULL in *order when that is the directory's. */
static enum mxq_status sort(const mxq_zip *zip, uint32_t **order, struct mxq_error *err) {
  *order = NULL;
  size_t i = 1;
  while (i < zip->count && zip->members[i - 1].header_offset < zip->members[i].header_offset)
    i++;
  if (i >= zip->count)
    return MXQ_OK;
  uint32_t *o = malloc(zip->count * sizeof *o);
  if (!o)
    return mxq_fail_nomem(err, "");
  for (i = 0; i < zip->count; i++)
    o[i] = (uint32_t)i;
  qsort_r(o, zip->count, sizeof *o, by_offset, zip->members);
  *order = o;
  return MXQ_OK;
}

/* PyTorch can be told not to compute CRCs, and then writes 0; a CRC can be 0 by chance too. */
static enum mxq_status check_zero_crcs(mxq_zip *zip, struct mxq_error *err) {
  for (size_t i = 0; i < zip->count; i++) {
    struct mxq_zip_member *m = &zip->members[i];
    if (m->crc || m->size == 0)
      continue;
    if (zip->allow_zero_crc) {
      m->zero_crc = true;
    } else {
      enum mxq_status status = mxq_zip_check(zip, i, NULL, NULL, err);
      if (status == MXQ_ERR_DAMAGED)
        return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->header_offset,
                           "zip member: it was written without a checksum (CRC 0); it is read only when that is allowed, and unverified then");
      if (status != MXQ_OK)
        return status;
    }
  }
  return MXQ_OK;
}

enum mxq_status mxq_zip_locals(mxq_zip *zip, struct mxq_error *err) {
  struct window w = {.source = zip->source, .limit = zip->directory_offset};
  uint32_t *order;
  uint64_t average = zip->count ? zip->directory_offset / zip->count : 0;
  w.step = average < 16384 ? LARGE_WINDOW : SMALL_WINDOW;
  enum mxq_status status = sort(zip, &order, err);
  if (status != MXQ_OK)
    return status;
  w.buf = malloc(ROOM);
  if (!w.buf)
    status = mxq_fail_nomem(err, "");
  uint64_t first = zip->count ? zip->members[order ? order[0] : 0].header_offset : zip->directory_offset;
  if (status == MXQ_OK && zip->count == 0 && first)
    status = mxq_fail_at(err, MXQ_ERR_MALFORMED, "", 0, "zip: the directory is empty, and %" PRIu64 " bytes lie in front of it", first);
  else if (status == MXQ_OK && zip->count && first)
    status = mxq_fail_at(err, MXQ_ERR_MALFORMED, "", 0, "zip: the first member begins at byte %" PRIu64 ", not at 0", first);
  for (size_t i = 0; i < zip->count && status == MXQ_OK; i++) {
    struct mxq_zip_member *m = &zip->members[order ? order[i] : i];
    uint64_t next = i + 1 < zip->count ? zip->members[order ? order[i + 1] : i + 1].header_offset : zip->directory_offset;
    if (next > zip->directory_offset || m->header_offset > next)
      status = mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: it begins behind the directory's first byte");
    else
      status = check_member(&w, m, next, err);
  }
  free(w.buf);
  free(order);
  return status == MXQ_OK ? check_zero_crcs(zip, err) : status;
}
