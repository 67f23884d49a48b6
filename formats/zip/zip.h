/* SPDX-License-Identifier: MIT */
/*
 * Strict zip directory: accepts only what every reader would read the same way, and gives the offset of each member's bytes.
 * SPEC.md beside this file lists what is refused and why.
 */
#ifndef MXQ_FORMATS_ZIP_H
#define MXQ_FORMATS_ZIP_H

#include <mxq/archive.h>

struct mxq_zip_member {
  const char *name;              /* NUL-terminated, valid UTF-8, checked grammar; owned by the zip */
  uint32_t name_len;
  uint32_t crc;
  uint16_t method;               /* 0 or 8 */
  uint16_t flags;                /* central */
  uint16_t made_by, needed;      /* central */
  uint16_t date, time;
  uint16_t internal_attributes;
  uint32_t external_attributes;
  bool directory;                /* an entry for a folder: no data */
  bool zero_crc;                 /* CRC 0 on a non-empty member, accepted by option */
  uint64_t header_offset, data_offset, compressed, size;
};

typedef struct mxq_zip mxq_zip;

/* Opens and checks the directory and every local header; member data is not read. source stays the caller's and must outlive the zip. subject: name for errors. */
enum mxq_status mxq_zip_open(const struct mxq_source *source, const struct mxq_read_options *options, mxq_zip **zip, struct mxq_error *err);
void mxq_zip_close(mxq_zip *zip);
size_t mxq_zip_count(const mxq_zip *zip);
const struct mxq_zip_member *mxq_zip_member(const mxq_zip *zip, size_t i);
/* Index of a member, SIZE_MAX when there is none. O(1), case-sensitive. */
size_t mxq_zip_find(const mxq_zip *zip, const char *name, size_t n);
/* Offset of the first byte of the central directory, and of the first end record (zip64 or not). */
void mxq_zip_trailer(const mxq_zip *zip, uint64_t *directory, uint64_t *end_record);

/*
 * Reads n bytes of a member's data at offset (range within size: asserted), inflating when needed. In-order reading is O(n) for deflated members too. Reading a
 * deflated member to its end checks its stream and CRC; stored members are checked by mxq_zip_check only.
 */
enum mxq_status mxq_zip_read(mxq_zip *zip, size_t i, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
/* Reads all of a member and checks stream, size and CRC. on_data (may be NULL) sees the bytes in order. MXQ_ERR_DAMAGED (CRC), MXQ_ERR_MALFORMED (stream), MXQ_ERR_IO, MXQ_ERR_NOMEM. */
enum mxq_status mxq_zip_check(mxq_zip *zip, size_t i, void (*on_data)(void *user, const void *data, size_t n), void *user, struct mxq_error *err);
/* A whole member, checked, in malloced memory with a NUL behind it. More than max bytes: MXQ_ERR_LIMIT. */
enum mxq_status mxq_zip_load(mxq_zip *zip, size_t i, uint64_t max, char **data, size_t *size, struct mxq_error *err);

#endif
