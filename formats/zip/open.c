/* SPDX-License-Identifier: MIT */
/* End records, from the end of the file. Nothing is searched for in front of them: archives hold other archives. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/zip/inside.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

enum { END = 22, LOCATOR = 20, END64 = 56 };

struct end {
  uint64_t at;                       /* of the (first) end record */
  uint64_t count, size, offset;
};

static enum mxq_status wrong(struct mxq_error *err, uint64_t at, const char *what) {
  return mxq_fail_at(err, MXQ_ERR_MALFORMED, "", at, "zip: %s", what);
}

/* Where the end record is: the last place with its signature, whose comment must reach the end of the file. */
static enum mxq_status find_end(const struct mxq_source *s, unsigned char record[END], uint64_t *at, struct mxq_error *err) {
  static const unsigned char sign[4] = {'P', 'K', 5, 6};
  enum { MOST = END + 65535 };
  size_t n = s->size < MOST ? (size_t)s->size : MOST;
  unsigned char *tail = NULL;
  enum mxq_status status;
  if (s->size >= END) {
    status = s->read_at(s->ctx, s->size - END, record, END, err);
    if (status != MXQ_OK)
      return status;
    if (memcmp(record, sign, 4) == 0 && mxq_get16(record + 20) == 0) {
      *at = s->size - END;
      return MXQ_OK;
    }
  }
  tail = malloc(n + 1);
  if (!tail)
    return mxq_fail_nomem(err, "");
  status = s->read_at(s->ctx, s->size - n, tail, n, err);
  size_t p = n;
  while (status == MXQ_OK && p > 0 && (n - (p - 1) < END || memcmp(tail + p - 1, sign, 4) != 0))
    p--;
  if (status == MXQ_OK && p > 0) {
    *at = s->size - n + p - 1;
    memcpy(record, tail + p - 1, END);
    size_t behind = n - (p - 1) - END, comment = mxq_get16(record + 20);
    if (comment != behind)
      status = mxq_fail_at(err, MXQ_ERR_MALFORMED, "", *at, "zip: %zu bytes follow the end record, whose comment has %zu", behind, comment);
  } else if (status == MXQ_OK) {
    bool zip = n == s->size ? n >= 4 && memcmp(tail, "PK", 2) == 0 : true;
    status = mxq_fail_at(err, zip ? MXQ_ERR_MALFORMED : MXQ_ERR_FORMAT, "", s->size,
                         "zip: there is no end record: the file was cut short, or bytes were added, or it is no zip file");
  }
  free(tail);
  return status;
}

/* A field of the end record is right when it is the zip64 record's, or says "see there". */
static bool agrees(uint64_t small, uint64_t saturated, uint64_t big) { return small == saturated || small == big; }

/* The zip64 end record, when a locator stands in front of the end record: others use it whenever it is there. */
static enum mxq_status read_end64(const struct mxq_source *s, const unsigned char record[END], struct end *end, struct mxq_error *err) {
  unsigned char b[END64 + LOCATOR];
  uint64_t at = end->at;
  if (at < sizeof b)
    return MXQ_OK;
  enum mxq_status status = s->read_at(s->ctx, at - sizeof b, b, sizeof b, err);
  const unsigned char *locator = b + END64;
  if (status != MXQ_OK || mxq_get32(locator) != 0x07064b50)
    return status;
  if (mxq_get32(locator + 4) != 0 || mxq_get64(locator + 8) != at - sizeof b || mxq_get32(locator + 16) != 1)
    return wrong(err, at - LOCATOR, "the zip64 locator does not lead to a zip64 end record in front of it");
  if (mxq_get32(b) != 0x06064b50 || mxq_get64(b + 4) != END64 - 12 || mxq_get32(b + 16) != 0 || mxq_get32(b + 20) != 0 ||
      mxq_get64(b + 24) != mxq_get64(b + 32))
    return wrong(err, at - sizeof b, "the zip64 end record is not one of a single file without extensions");
  end->at = at - sizeof b;
  end->count = mxq_get64(b + 32);
  end->size = mxq_get64(b + 40);
  end->offset = mxq_get64(b + 48);
  if (!agrees(mxq_get16(record + 8), 0xFFFF, end->count) || !agrees(mxq_get16(record + 10), 0xFFFF, end->count) ||
      !agrees(mxq_get32(record + 12), 0xFFFFFFFF, end->size) || !agrees(mxq_get32(record + 16), 0xFFFFFFFF, end->offset))
    return wrong(err, at, "the end record and the zip64 end record differ");
  return MXQ_OK;
}

static enum mxq_status read_end(const struct mxq_source *s, struct end *end, struct mxq_error *err) {
  unsigned char record[END];
  enum mxq_status status = find_end(s, record, &end->at, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_get16(record + 4) != 0 || mxq_get16(record + 6) != 0)
    return mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, "", end->at, "zip: an archive in several files is not read");
  if (mxq_get16(record + 8) != mxq_get16(record + 10))
    return wrong(err, end->at, "the end record has two numbers of members");
  end->count = mxq_get16(record + 10);
  end->size = mxq_get32(record + 12);
  end->offset = mxq_get32(record + 16);
  status = read_end64(s, record, end, err);
  if (status != MXQ_OK)
    return status;
  if (end->offset > end->at || end->size != end->at - end->offset)
    return wrong(err, end->at, "the end record does not lead to a directory that ends where the record begins");
  return MXQ_OK;
}

static enum mxq_status open_directory(mxq_zip *zip, const struct mxq_read_options *options, struct mxq_error *err) {
  const struct mxq_source *s = zip->source;
  struct end end = {0};
  enum mxq_status status = read_end(s, &end, err);
  if (status != MXQ_OK)
    return status;
  zip->directory_offset = end.offset;
  zip->directory_size = end.size;
  zip->end_record = end.at;
  /* A tensor may have two members; some more describe them. */
  uint64_t tensors = options && options->max_tensors ? options->max_tensors : (uint64_t)1 << 22, most;
  if (__builtin_mul_overflow(tensors, 2, &most) || __builtin_add_overflow(most, 1024, &most) || most >= UINT32_MAX)
    most = UINT32_MAX - 1;
  if (end.count > most)
    return mxq_fail_at(err, MXQ_ERR_LIMIT, "", end.at, "zip: %" PRIu64 " members, the limit is %" PRIu64, end.count, most);
  if (end.count > end.size / MXQ_ZIP_ENTRY)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, "", end.at, "zip: %" PRIu64 " members cannot be listed in %" PRIu64 " bytes", end.count, end.size);
  /* An entry can hold three texts of 64 KiB; names are limited, and nobody needs comments in bulk. */
  if (end.size / 65536 > end.count * 3 + 1 || end.size >= SIZE_MAX)
    return wrong(err, end.offset, "the directory is larger than its members can make it");
  zip->directory = malloc((size_t)end.size + 1);
  zip->members = malloc(((size_t)end.count + 1) * sizeof *zip->members);
  if (!zip->directory || !zip->members)
    return mxq_fail_nomem(err, "");
  status = s->read_at(s->ctx, end.offset, zip->directory, (size_t)end.size, err);
  if (status == MXQ_OK)
    status = mxq_zip_entries(zip, end.count, err);
  return status == MXQ_OK ? mxq_zip_locals(zip, err) : status;
}

enum mxq_status mxq_zip_open(const struct mxq_source *source, const struct mxq_read_options *options, mxq_zip **zip, struct mxq_error *err) {
  *zip = NULL;
  mxq_zip *z = calloc(1, sizeof *z);
  if (!z)
    return mxq_fail_nomem(err, "");
  z->source = source;
  z->allow_zero_crc = options && options->allow_zero_crc;
  enum mxq_status status = open_directory(z, options, err);
  if (status != MXQ_OK) {
    mxq_zip_close(z);
    return status;
  }
  *zip = z;
  return MXQ_OK;
}

void mxq_zip_close(mxq_zip *zip) {
  if (!zip)
    return;
  mxq_zip_stream_free(zip->stream);
  mxq_names_free(&zip->by_name);
  free(zip->members);
  free(zip->directory);
  free(zip);
}

size_t mxq_zip_count(const mxq_zip *zip) { return zip->count; }
const struct mxq_zip_member *mxq_zip_member(const mxq_zip *zip, size_t i) { return &zip->members[i]; }

size_t mxq_zip_find(const mxq_zip *zip, const char *name, size_t n) {
  uint32_t i = mxq_names_find(&zip->by_name, name, n);
  return i == UINT32_MAX ? SIZE_MAX : i;
}

void mxq_zip_trailer(const mxq_zip *zip, uint64_t *directory, uint64_t *end_record) {
  *directory = zip->directory_offset;
  *end_record = zip->end_record;
}
