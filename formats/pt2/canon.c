/* SPDX-License-Identifier: MIT */
#include "formats/pt2/canon.h"

#include <string.h>

#include "lib/base/bytes.h"

#define BIG UINT32_MAX
#define DATE 0x0021u                 /* 1980-01-01; the time is 0 */
#define ATTRIBUTES ((uint32_t)0100644 << 16)

static bool big_size(const struct mxq_zip_out *m) { return m->size > BIG; }
static bool big_offset(const struct mxq_zip_out *m) { return m->header_offset > BIG; }
bool mxq_canon_zip64(const struct mxq_zip_out *m) { return big_size(m) || big_offset(m); }

bool mxq_canon_place(struct mxq_zip_out *m, uint64_t at, uint32_t align) {
  if (m->name_len > UINT16_MAX || at > INT64_MAX - 2 * MXQ_CANON_MAX_ALIGN - 30 - 24 - UINT16_MAX)
    return false;
  m->header_offset = at;
  uint64_t start = at + 30 + m->name_len + (big_size(m) ? 20 : 0) + 4;
  m->padding = (uint32_t)(-start & (align - 1));
  m->data_offset = start + m->padding;
  /* libzip 1.7.3 writes 2^32 - 1 as if it were no mark for a zip64 field: no header may begin there, and no member be of that size. */
  if (m->size <= BIG && m->data_offset == BIG - m->size) {
    m->padding += align;
    m->data_offset += align;
  }
  return m->size != BIG && m->padding + 24 <= UINT16_MAX && m->size <= INT64_MAX - m->data_offset;
}

uint64_t mxq_canon_end(const struct mxq_zip_out *m) { return m->data_offset + m->size; }

/* "Bit 11: the name is UTF-8" is set only where it makes a difference. */
static uint16_t flags(const struct mxq_zip_out *m) {
  for (uint32_t i = 0; i < m->name_len; i++)
    if ((unsigned char)m->name[i] >= 0x80)
      return 0x0800;
  return 0;
}

/* From "version needed" to the name's length: the same in both headers. */
static void common(const struct mxq_zip_out *m, bool zip64, unsigned char *b) {
  mxq_put16(b, zip64 ? 45 : 10);
  mxq_put16(b + 2, flags(m));
  mxq_put16(b + 4, 0);
  mxq_put16(b + 6, 0);
  mxq_put16(b + 8, DATE);
  mxq_put32(b + 10, m->crc);
  mxq_put32(b + 14, big_size(m) ? BIG : (uint32_t)m->size);
  mxq_put32(b + 18, big_size(m) ? BIG : (uint32_t)m->size);
  mxq_put16(b + 22, (uint16_t)m->name_len);
}

void mxq_canon_local(const struct mxq_zip_out *m, unsigned char *b) {
  mxq_put32(b, 0x04034b50);
  common(m, big_size(m), b + 4);
  mxq_put16(b + 28, (uint16_t)((big_size(m) ? 20 : 0) + 4 + m->padding));
  memcpy(b + 30, m->name, m->name_len);
  b += 30 + m->name_len;
  if (big_size(m)) {
    mxq_put16(b, 1);
    mxq_put16(b + 2, 16);
    mxq_put64(b + 4, m->size);
    mxq_put64(b + 12, m->size);
    b += 20;
  }
  mxq_put16(b, 0x4246);
  mxq_put16(b + 2, (uint16_t)m->padding);
  memset(b + 4, 'Z', m->padding);
}

static size_t zip64_bytes(const struct mxq_zip_out *m) {
  return mxq_canon_zip64(m) ? 4u + (big_size(m) ? 16u : 0u) + (big_offset(m) ? 8u : 0u) : 0u;
}

size_t mxq_canon_entry_size(const struct mxq_zip_out *m) { return 46 + m->name_len + zip64_bytes(m); }

size_t mxq_canon_entry(const struct mxq_zip_out *m, uint16_t made_by, unsigned char *buf) {
  unsigned char *b = buf;
  size_t extra = zip64_bytes(m);
  mxq_put32(b, 0x02014b50);
  mxq_put16(b + 4, made_by);
  common(m, mxq_canon_zip64(m), b + 6);
  mxq_put16(b + 30, (uint16_t)extra);
  mxq_put16(b + 32, 0);
  mxq_put16(b + 34, 0);
  mxq_put16(b + 36, 0);
  mxq_put32(b + 38, ATTRIBUTES);
  mxq_put32(b + 42, big_offset(m) ? BIG : (uint32_t)m->header_offset);
  memcpy(b + 46, m->name, m->name_len);
  b += 46 + m->name_len;
  if (extra) {
    mxq_put16(b, 1);
    mxq_put16(b + 2, (uint16_t)(extra - 4));
    b += 4;
    if (big_size(m)) {
      mxq_put64(b, m->size);
      mxq_put64(b + 8, m->size);
      b += 16;
    }
    if (big_offset(m))
      mxq_put64(b, m->header_offset);
  }
  return 46 + m->name_len + extra;
}

static bool end64(uint64_t count, uint64_t directory, bool zip64) { return zip64 || directory > BIG || count > UINT16_MAX; }

size_t mxq_canon_trailer(uint64_t count, uint64_t directory, uint64_t directory_size, bool zip64, unsigned char *buf) {
  unsigned char *b = buf;
  memset(b, 0, MXQ_CANON_END);
  if (end64(count, directory, zip64)) {
    mxq_put32(b, 0x06064b50);
    mxq_put64(b + 4, 44);
    mxq_put16(b + 12, 45);
    mxq_put16(b + 14, 45);
    mxq_put64(b + 24, count);
    mxq_put64(b + 32, count);
    mxq_put64(b + 40, directory_size);
    mxq_put64(b + 48, directory);
    mxq_put32(b + 56, 0x07064b50);
    mxq_put64(b + 64, directory + directory_size);
    mxq_put32(b + 72, 1);
    b += 76;
  }
  uint16_t n = count < UINT16_MAX ? (uint16_t)count : UINT16_MAX;
  mxq_put32(b, 0x06054b50);
  mxq_put16(b + 8, n);
  mxq_put16(b + 10, n);
  mxq_put32(b + 12, directory_size < BIG ? (uint32_t)directory_size : BIG);
  mxq_put32(b + 16, directory < BIG ? (uint32_t)directory : BIG);
  return (size_t)(b - buf) + 22;
}

bool mxq_canon_total(const struct mxq_zip_out *members, size_t count, uint64_t *total) {
  uint64_t directory = count ? mxq_canon_end(&members[count - 1]) : 0, size = 0;
  bool zip64 = false;
  for (size_t i = 0; i < count; i++) {
    size += mxq_canon_entry_size(&members[i]);
    zip64 |= mxq_canon_zip64(&members[i]);
  }
  return !__builtin_add_overflow(directory, size + (end64(count, directory, zip64) ? 98u : 22u), total) && *total <= INT64_MAX;
}
