/* SPDX-License-Identifier: MIT */
/* The entries of the central directory: fields, names, extra fields. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/zip/inside.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

enum { LONGEST_NAME = 4096, NEWEST = 63 };

/* Blocks that ordinary writers use: zip64, times and owners, file systems, alignment. */
static bool known_block(unsigned id) {
  switch (id) {
  case 0x0001: case 0x4246: case 0x5455: case 0x7875: case 0x5855: case 0x7855: case 0x6c78: case 0x000a: case 0x000d: case 0xcafe:
  case 0xa220: case 0xd935:
    return true;
  default:
    return false;
  }
}

bool mxq_zip_extra(const unsigned char *extra, size_t n, const unsigned char **zip64, size_t *zip64_size, const char **wrong) {
  *zip64 = NULL;
  *zip64_size = 0;
  for (const unsigned char *p = extra, *end = extra + n; p < end;) {
    size_t left = (size_t)(end - p);
    if (left < 4 || mxq_get16(p + 2) > left - 4) {
      *wrong = "an extra field does not end where it should";
      return false;
    }
    unsigned id = mxq_get16(p);
    size_t size = mxq_get16(p + 2);
    if (!known_block(id)) {
      *wrong = id == 0x7075 ? "an extra field holds a second name (0x7075)" : "an extra field that is not known here may change what the member means";
      return false;
    }
    for (const unsigned char *q = extra; q < p; q += 4 + mxq_get16(q + 2))
      if (mxq_get16(q) == id) {
        *wrong = "an extra field stands twice";
        return false;
      }
    if (id == 1) {
      *zip64 = p + 4;
      *zip64_size = size;
    }
    p += 4 + size;
  }
  return true;
}

/* What is wrong with a name, NULL when nothing is. Names never become paths here, but others unpack archives. */
static const char *name_defect(const char *name, size_t n, bool flagged) {
  bool ascii = true;
  if (n == 0)
    return "its name is empty";
  if (n > LONGEST_NAME)
    return "its name is longer than 4,096 bytes";
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c < 0x20 || c == 0x7F)
      return "its name holds a control character";
    if (c == '\\')
      return "its name holds a backslash";
    ascii &= c < 0x80;
  }
  if (!ascii && !flagged)
    return "its name is neither ASCII nor marked as UTF-8";
  if (!ascii && !mxq_utf8_valid(name, n))
    return "its name is marked as UTF-8 and is not";
  if (name[0] == '/')
    return "its name is an absolute path";
  if (n >= 2 && name[1] == ':' && ((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z'))
    return "its name begins with a drive letter";
  for (const char *p = name, *end = name + n; p < end;) {
    const char *slash = memchr(p, '/', (size_t)(end - p));
    size_t part = (size_t)((slash ? slash : end) - p);
    if (part == 0)
      return "its name has an empty component";
    if ((part == 1 && p[0] == '.') || (part == 2 && p[0] == '.' && p[1] == '.'))
      return "its name has a component . or ..";
    p += part + 1;
  }
  return NULL;
}

/* Takes a 64-bit number from the zip64 block in place of a saturated field. */
static bool widen(uint64_t *value, uint64_t saturated, const unsigned char **zip64, size_t *left) {
  if (*value != saturated)
    return true;
  if (*left < 8)
    return false;
  *value = mxq_get64(*zip64);
  *zip64 += 8;
  *left -= 8;
  return true;
}

static const char *feature(unsigned flags, unsigned method, unsigned needed) {
  if (flags & (1 << 0 | 1 << 6 | 1 << 13))
    return "it is encrypted";
  if (flags & ~(unsigned)(3 << 1 | MXQ_ZIP_DESCRIPTOR | MXQ_ZIP_UTF8))
    return "it has flags that are not known here";
  if (method != 0 && method != 8)
    return "only stored and deflated members are read";
  if ((needed & 0xFF) > NEWEST)
    return "it needs a later version of the zip format";
  return NULL;
}

/* One entry; *p is moved behind it. */
static enum mxq_status entry(mxq_zip *zip, const unsigned char **p, struct mxq_zip_member *m, struct mxq_error *err) {
  const unsigned char *b = *p, *end = zip->directory + zip->directory_size;
  uint64_t at = zip->directory_offset + (uint64_t)(b - zip->directory);
  size_t left = (size_t)(end - b);
  if (left < MXQ_ZIP_ENTRY || mxq_get32(b) != 0x02014b50)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, "", at, "zip: there is no directory entry where one should be");
  size_t n = mxq_get16(b + 28), e = mxq_get16(b + 30), c = mxq_get16(b + 32);
  if (n + e + c > left - MXQ_ZIP_ENTRY)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, "", at, "zip: a directory entry goes beyond the directory");
  *m = (struct mxq_zip_member){
      .name = (const char *)b + MXQ_ZIP_ENTRY, .name_len = (uint32_t)n, .made_by = mxq_get16(b + 4), .needed = mxq_get16(b + 6),
      .flags = mxq_get16(b + 8), .method = mxq_get16(b + 10), .time = mxq_get16(b + 12), .date = mxq_get16(b + 14), .crc = mxq_get32(b + 16),
      .compressed = mxq_get32(b + 20), .size = mxq_get32(b + 24), .internal_attributes = mxq_get16(b + 36),
      .external_attributes = mxq_get32(b + 38), .header_offset = mxq_get32(b + 42)};
  *p = b + MXQ_ZIP_ENTRY + n + e + c;
  char shown[160];
  size_t fits = n < sizeof shown ? n : sizeof shown - 1;
  memcpy(shown, m->name, fits);
  shown[fits] = 0;
  if (!mxq_utf8_valid(shown, strlen(shown)))
    shown[0] = 0;
#define FAIL(code, ...) mxq_fail_at(err, code, shown, at, "zip member: " __VA_ARGS__)
  const char *what = name_defect(m->name, n, m->flags & MXQ_ZIP_UTF8);
  if (what)
    return FAIL(MXQ_ERR_MALFORMED, "%s", what);
  if ((what = feature(m->flags, m->method, m->needed)))
    return FAIL(MXQ_ERR_UNSUPPORTED, "%s (flags %04x, method %u, version %u)", what, m->flags, m->method, m->needed & 0xFF);
  const unsigned char *zip64;
  size_t rest;
  if (!mxq_zip_extra(b + MXQ_ZIP_ENTRY + n, e, &zip64, &rest, &what))
    return FAIL(MXQ_ERR_MALFORMED, "%s", what);
  uint64_t disk = mxq_get16(b + 34);
  bool offset_given = mxq_get32(b + 42) != 0xFFFFFFFF;
  if (!widen(&m->size, 0xFFFFFFFF, &zip64, &rest) || !widen(&m->compressed, 0xFFFFFFFF, &zip64, &rest) ||
      !widen(&m->header_offset, 0xFFFFFFFF, &zip64, &rest))
    return FAIL(MXQ_ERR_MALFORMED, "its zip64 field is missing or too short");
  /* Some writers state the offset here too. */
  if (offset_given && rest >= 8 && mxq_get64(zip64) == m->header_offset) {
    zip64 += 8;
    rest -= 8;
  }
  if (disk == 0xFFFF && rest == 4) {
    disk = mxq_get32(zip64);
    rest = 0;
  }
  if (rest)
    return FAIL(MXQ_ERR_MALFORMED, "its zip64 field holds more than the entry leaves to it");
  if (disk)
    return FAIL(MXQ_ERR_UNSUPPORTED, "it lies in another file");
  mode_t type = m->external_attributes >> 16 & S_IFMT;
  m->directory = m->name[n - 1] == '/';
  if (type && type != (m->directory ? S_IFDIR : S_IFREG))
    return FAIL(MXQ_ERR_UNSUPPORTED, "it is no regular file (mode %o)", m->external_attributes >> 16);
  if (m->directory && (m->size || m->crc))
    return FAIL(MXQ_ERR_MALFORMED, "a folder with data in it");
  if (m->method == 0 && m->size != m->compressed)
    return FAIL(MXQ_ERR_MALFORMED, "stored, with two sizes: %" PRIu64 " and %" PRIu64, m->size, m->compressed);
  if (m->method == 8 && m->size / 1040 > m->compressed)
    return FAIL(MXQ_ERR_MALFORMED, "%" PRIu64 " deflated bytes cannot become %" PRIu64, m->compressed, m->size);
  return MXQ_OK;
#undef FAIL
}

static enum mxq_status twice(const struct mxq_zip_member *m, struct mxq_error *err) {
  return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: another member has the same name");
}

/* A file must not be a folder of others too. */
static enum mxq_status check_folders(const mxq_zip *zip, struct mxq_error *err) {
  const struct mxq_zip_member *before = NULL;
  for (size_t i = 0; i < zip->count; i++) {
    const struct mxq_zip_member *m = &zip->members[i];
    /* Folders that the member before has too were looked at. */
    size_t same = 0;
    while (before && same < m->name_len && same < before->name_len && m->name[same] == before->name[same])
      same++;
    for (size_t k = same; k < m->name_len; k++)
      if (m->name[k] == '/' && mxq_names_find(&zip->by_name, m->name, k) != UINT32_MAX)
        return mxq_fail_at(err, MXQ_ERR_MALFORMED, m->name, m->header_offset, "zip member: a folder in its name is a file");
    before = m;
  }
  return MXQ_OK;
}

/* Highly compressed members together must stay small. */
static enum mxq_status check_ratio(const mxq_zip *zip, struct mxq_error *err) {
  uint64_t sum = 0, most = 64u << 20;
  for (size_t i = 0; i < zip->count; i++) {
    const struct mxq_zip_member *m = &zip->members[i];
    if (m->method == 8 && m->size / 100 > m->compressed && (__builtin_add_overflow(sum, m->size, &sum) || sum > most))
      return mxq_fail_at(err, MXQ_ERR_LIMIT, m->name, m->header_offset,
                         "zip member: members that unpack to over 100 times their size exceed 64 MiB together");
  }
  return MXQ_OK;
}

enum mxq_status mxq_zip_entries(mxq_zip *zip, uint64_t count, struct mxq_error *err) {
  const unsigned char *p = zip->directory;
  for (zip->count = 0; zip->count < count; zip->count++) {
    enum mxq_status status = entry(zip, &p, &zip->members[zip->count], err);
    if (status != MXQ_OK)
      return status;
  }
  if (p != zip->directory + zip->directory_size)
    return mxq_fail_at(err, MXQ_ERR_MALFORMED, "", zip->directory_offset + (uint64_t)(p - zip->directory),
                       "zip: the directory goes on behind the %" PRIu64 " members that the end record counts", count);
  for (size_t i = 0; i < zip->count; i++) {
    struct mxq_zip_member *m = &zip->members[i];
    uint32_t number = (uint32_t)i;
    zip->directory[(const unsigned char *)m->name - zip->directory + m->name_len] = 0; /* all that follows has been read */
    switch (mxq_names_put(&zip->by_name, m->name, m->name_len, &number)) {
    case MXQ_NAMES_NEW: break;
    case MXQ_NAMES_THERE: return twice(m, err);
    case MXQ_NAMES_NOMEM: return mxq_fail_nomem(err, "");
    }
  }
  enum mxq_status status = check_folders(zip, err);
  return status == MXQ_OK ? check_ratio(zip, err) : status;
}
