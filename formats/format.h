/* SPDX-License-Identifier: MIT */
/*
 * What a file format provides. formats/registry.c holds the list and implements the public calls of <mxq/archive.h> on these tables;
 * formats/README.md says how to add one.
 */
#ifndef MXQ_FORMATS_FORMAT_H
#define MXQ_FORMATS_FORMAT_H

#include <mxq/program.h>
#include "lib/base/arena.h"
#include "lib/base/names.h"

struct format;

/*
 * The part of an open reader that all formats share; each format's own struct begins with it. registry.c fills path, source and options
 * before open_reader is called; open_reader fills tensors, count, by_name (through mxq_reader_index) and metadata.
 */
struct mxq_reader {
  const struct format *format;
  char *path;                        /* "" when unknown; malloc */
  struct mxq_source source;
  struct mxq_read_options options;   /* limits filled in */
  uint64_t file_bytes;
  struct mxq_arena arena;            /* everything below lives here, and whatever the format likes */
  struct mxq_tensor *tensors;        /* one growing array, or from the arena: `tensors_malloced` tells */
  bool tensors_malloced;
  size_t count;
  struct mxq_names by_name;
  const char **metadata;             /* 2 * metadata_count texts */
  size_t metadata_count;
  bool unverified;
};

struct format {
  enum mxq_container container;
  const char *name, *extension;
  /* Whether a file of `size` bytes that begins with these n bytes (n <= 4096, n < 4096 only when the file is that short) is of this format. */
  bool (*probe)(const unsigned char *bytes, size_t n, uint64_t size);
  /* sizeof the format's reader struct; allocated zeroed by the registry. */
  size_t reader_size;
  enum mxq_status (*open_reader)(struct mxq_reader *reader, struct mxq_error *err);
  /* Releases what is not in the arena (the registry does the rest); called also after a failed open. May be NULL. */
  void (*close_reader)(struct mxq_reader *reader);
  /* mxq_reader_read with the range already checked. */
  enum mxq_status (*read)(struct mxq_reader *reader, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
  /* The archive's own verification; NULL = opening the file checks all there is to check, data is read but has no checksum. */
  enum mxq_status (*verify)(const struct mxq_source *source, const char *path, const struct mxq_read_options *options,
                            void (*on_finding)(void *user, const struct mxq_finding *finding), void *user,
                            struct mxq_verify_result *result, struct mxq_error *err);
  /* mxq_reader_program; NULL: its files have none. */
  enum mxq_status (*program)(struct mxq_reader *reader, const mxq_program **program, struct mxq_error *err);
  void (*archive_info)(const struct mxq_reader *reader, struct mxq_archive_info *info);   /* may be NULL */
  /* mxq_reader_stored, of a part that the tensor has. May be NULL. */
  bool (*stored)(const struct mxq_reader *reader, size_t i, enum mxq_part part, struct mxq_stored *stored);
  /* Opens a writer (NULL: reading only). See struct mxq_writer. */
  enum mxq_status (*open_writer)(const struct mxq_write_options *options, struct mxq_writer **writer, struct mxq_error *err);
};

/* What an open writer of any format begins with. */
struct mxq_writer {
  enum mxq_status (*add)(struct mxq_writer *w, const struct mxq_tensor *tensor, struct mxq_error *err);
  enum mxq_status (*size)(struct mxq_writer *w, uint64_t *bytes, struct mxq_error *err);
  enum mxq_status (*run)(struct mxq_writer *w, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err);
  bool (*graph_each)(const struct mxq_writer *w);
  void (*free)(struct mxq_writer *w);
};

/* For open_reader: puts all tensors' names into by_name; a duplicate is MXQ_ERR_MALFORMED naming it. */
enum mxq_status mxq_reader_index(struct mxq_reader *reader, struct mxq_error *err);

/* What a tensor of a file without kinds is: a parameter where floating (complex too), else a buffer. */
enum mxq_kind mxq_kind_of_dtype(enum mxq_dtype dtype);

extern const struct format mxq_format_pt2, mxq_format_safetensors, mxq_format_safetensors_index, mxq_format_npy, mxq_format_npz;

#endif
