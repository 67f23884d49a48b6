/* SPDX-License-Identifier: MIT */
/* What the reading files of this room share. */
#ifndef MXQ_FORMATS_ZIP_INSIDE_H
#define MXQ_FORMATS_ZIP_INSIDE_H

#include "formats/zip/zip.h"
#include "lib/base/names.h"

enum { MXQ_ZIP_LOCAL = 30, MXQ_ZIP_ENTRY = 46 };
enum { MXQ_ZIP_DESCRIPTOR = 1 << 3, MXQ_ZIP_UTF8 = 1 << 11 };

struct mxq_zip {
  const struct mxq_source *source;
  bool allow_zero_crc;
  unsigned char *directory;          /* the central directory and one more byte; names point into it */
  uint64_t directory_offset, directory_size, end_record;
  struct mxq_zip_member *members;
  size_t count;
  struct mxq_names by_name;
  struct mxq_zip_stream *stream;     /* the deflated member that is being read */
};

/* An extra field's blocks must fill it, be known, and stand once. Finds the zip64 block: *zip64 NULL when there is none. */
bool mxq_zip_extra(const unsigned char *extra, size_t n, const unsigned char **zip64, size_t *zip64_size, const char **wrong);

/* directory.c: reads all entries of zip->directory; the end records said how many. */
enum mxq_status mxq_zip_entries(mxq_zip *zip, uint64_t count, struct mxq_error *err);
/* local.c: every local header and descriptor, and that they and the data leave no byte out before the directory. */
enum mxq_status mxq_zip_locals(mxq_zip *zip, struct mxq_error *err);

void mxq_zip_stream_free(struct mxq_zip_stream *stream); /* NULL is accepted */

#endif
