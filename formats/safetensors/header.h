/* SPDX-License-Identifier: MIT */
/* The header of one safetensors file as a table; see SPEC.md. Used by the reader of one file and by that of an index. */
#ifndef MXQ_FORMATS_SAFETENSORS_HEADER_H
#define MXQ_FORMATS_SAFETENSORS_HEADER_H

#include "formats/format.h"

/* One tensor, small: a million of them stand beside the header's text before they become struct mxq_tensor. */
struct mxq_st_record {
  const char *name;         /* in the arena, as shape */
  const uint64_t *shape;
  uint64_t begin, end;      /* in the data */
  uint32_t at;              /* byte of data_offsets in the header, for messages */
  uint8_t dtype, ndim;
};

struct mxq_st_header {
  struct mxq_st_record *records;  /* malloced, in the header's order; the caller frees it */
  size_t count;
  const char **metadata;          /* 2 * metadata_count texts in the arena */
  size_t metadata_count;
  uint64_t data;                  /* where the data begins in the file */
};

/* Reads and checks the header of a file. On failure *header holds nothing. Errors as mxq_reader_open, with path as subject. */
enum mxq_status mxq_st_header_read(const struct mxq_source *source, const char *path, const struct mxq_read_options *options,
                                   struct mxq_arena *arena, struct mxq_st_header *header, struct mxq_error *err);
/* Checks that the records cover `size` bytes of data without hole or overlap. */
enum mxq_status mxq_st_cover(const struct mxq_st_header *header, uint64_t size, const char *path, struct mxq_error *err);
/* The tensor of a record. */
struct mxq_tensor mxq_st_tensor(const struct mxq_st_record *record, uint64_t data, uint32_t storage);

/* The format's spelling of a dtype, NULL when it has none; and back, NONE when there is none. */
const char *mxq_st_dtype_name(enum mxq_dtype dtype);
enum mxq_dtype mxq_st_dtype_parse(const char *s, size_t n);

#endif
