/* SPDX-License-Identifier: MIT */
/*
 * Writing a zip file: libzip does it, through a sink, without a temporary file. All members are stored, and each begins where the
 * plan says; the plan stands before the first byte is written.
 */
#ifndef MXQ_FORMATS_ZIP_WRITE_H
#define MXQ_FORMATS_ZIP_WRITE_H

#include <stddef.h>
#include <mxq/io.h>

/* A member to be written. The caller fills in name and size. */
struct mxq_zip_out {
  const char *name;                  /* with the root folder; valid UTF-8, at most 65,535 bytes */
  uint32_t name_len;
  uint64_t size;
  /* By mxq_canon_place: */
  uint64_t header_offset, data_offset;
  uint32_t padding;                  /* bytes behind the head of the FB field */
  /* By mxq_zip_write, once the member is written: */
  uint32_t crc;
};

/* Delivers the next n bytes of a member; members are asked for in order, each from its first byte to its last. Another status than MXQ_OK ends the writing. */
typedef enum mxq_status (*mxq_zip_pull_fn)(void *user, size_t member, void *buf, size_t n, struct mxq_error *err);

/*
 * Writes all members, the directory and the end records. total: size of the finished file by plan. Any departure of libzip from the plan is
 * MXQ_ERR_WRITE, and whatever was written then is worthless. Also the pull's and the sink's errors, MXQ_ERR_NOMEM.
 */
enum mxq_status mxq_zip_write(const struct mxq_sink *sink, struct mxq_zip_out *members, size_t count, uint64_t total,
                              mxq_zip_pull_fn pull, void *user, struct mxq_error *err);
/* What libzip states as "version made by" in every member; found by letting it write one. */
enum mxq_status mxq_zip_made_by(uint16_t *made_by, struct mxq_error *err);

#endif
