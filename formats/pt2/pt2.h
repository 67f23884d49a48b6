/* SPDX-License-Identifier: MIT */
/*
 * The reader of archives: what its files share. Opening goes from the container to the two configs (stored tensors, in their order), to the
 * program (what each of them is, and the manifest), to the tensors that callers see: codes and scales that the manifest names become one.
 */
#ifndef MXQ_PT2_PT2_H
#define MXQ_PT2_PT2_H

#include "formats/format.h"
#include "formats/json/json.h"
#include "formats/pt2/digest.h"
#include "formats/zip/zip.h"

/* A tensor of a config, as it is stored: a view of a record. */
struct mxq_pt2_stored {
  const char *name;
  const uint64_t *shape;
  const int64_t *strides;            /* NULL: contiguous */
  const int64_t *stated;             /* strides as the config has them; NULL: those of C order */
  const char *device;                /* NULL: cpu */
  uint64_t offset;                   /* in scalars */
  uint64_t elements, bytes;          /* of the values in C order */
  uint32_t member;                   /* its record, a number in the zip */
  uint8_t ndim, dtype, kind;
  bool parameter, requires_grad, constant; /* constant: of the constants' config */
  bool named;                        /* an input of the program names it */
  bool hidden;                       /* part of an MX tensor, or a table of the decoding program */
};

/* One entry of the manifest: mx.tensors, or mx.kept. Texts that many entries share are stored once. */
struct mxq_pt2_entry {
  const char *name;
  const char *codes, *scales;        /* as written; only where there is no such tensor */
  uint32_t part[2];                  /* stored tensors: codes (or what is kept) and scales; UINT32_MAX: none */
  const char *format, *layout, *scale_rule, *compat, *round, *neg_zero, *nonfinite, *dtype, *kind;
  const uint64_t *shape;
  uint32_t ndim;
  bool has_shape, has_axes, requires_grad;
  uint64_t axes[2], block;
};

struct mxq_pt2_manifest_text {
  bool there;                        /* "mx" is an object */
  bool weights;                      /* "archive": "weights" */
  const char *tool;
  struct mxq_pt2_entry *entries, *kept;
  size_t entry_count, kept_count, entry_room, kept_room;
};

/* Where a tensor's parts lie: numbers of stored tensors. */
struct mxq_pt2_parts {
  uint32_t part[2];
  bool unpacked;                     /* one 4- or 6-bit code in each byte */
};

struct mxq_pt2_reader {
  struct mxq_reader base;
  mxq_zip *zip;
  const char *root;
  size_t root_len;
  const char *model;                 /* the program that is read, and all that the archive has */
  const char **models;
  size_t model_count;
  struct mxq_archive_object *objects; /* realloced */
  size_t object_count, object_room;
  uint64_t sample_inputs;            /* bytes of their record */
  const char *last_device;           /* of the config entry before: mostly it is the next one's too */
  struct mxq_pt2_stored *stored;
  size_t stored_count, stored_room;
  struct mxq_names stored_names;
  struct mxq_pt2_parts *parts;       /* by tensor */
  uint8_t *record_dtype;             /* by member: dtype of the tensors over it, 0 none yet */
  bool *checked;                     /* by member */
  struct mxq_pt2_manifest_text manifest;
  struct mxq_pt2_program *program;   /* NULL in an archive of weights that we wrote */
  struct mxq_program *api;           /* what callers see of it, from their first question on (program_api.c) */
  bool program_known;                /* it was read once: the manifest is there, `stored` is marked */
  const char *torch_version;
  bool has_digests, resaved, has_index;
  unsigned char (*sha256)[MXQ_SHA256_BYTES]; /* by member, while digests are in force */
  struct mxq_pt2_cache *cache;       /* read_gather.c */
  char *inflated;                    /* a deflated record that is gathered from */
  size_t inflated_member;
};

/* read_container.c: what every archive must have, digests and index included. */
enum mxq_status mxq_pt2_container(struct mxq_pt2_reader *r, struct mxq_error *err);
/* The number of the member root/record; SIZE_MAX when there is none. */
size_t mxq_pt2_member(const struct mxq_pt2_reader *r, const char *folder, const char *record, size_t n);
/* A member that is text, checked (CRC, digest), NUL-terminated, malloced. */
enum mxq_status mxq_pt2_load(struct mxq_pt2_reader *r, size_t member, char **text, size_t *n, struct mxq_error *err);
/* Checks a member's CRC and digest, once. */
enum mxq_status mxq_pt2_check_member(struct mxq_pt2_reader *r, size_t member, struct mxq_error *err);

/* read_models.c: the programs in the archive, and which of them is read. */
enum mxq_status mxq_pt2_models(struct mxq_pt2_reader *r, struct mxq_error *err);
/* The number of the member root/before<model>after, for the program that is read; SIZE_MAX when there is none. `before` and `after` begin and end as in
   "/models/", ".json". */
size_t mxq_pt2_model_member(const struct mxq_pt2_reader *r, const char *before, const char *after);

/* read_objects.c: a constant that is no tensor, listed only. name is in the arena. */
enum mxq_status mxq_pt2_object(struct mxq_pt2_reader *r, const char *name, size_t member, struct mxq_error *err);
/* Their classes, from the program's inputs. False: out of memory. */
bool mxq_pt2_object_classes(struct mxq_pt2_reader *r, const struct mxq_pt2_program *program);

/* read_index.c: whether the index for small readers fits this file. False: out of memory. */
bool mxq_pt2_index_fresh(const struct mxq_pt2_reader *r, const char *text, size_t n, bool *fresh);

/* read_config.c: one of the two configs. */
enum mxq_status mxq_pt2_config(struct mxq_pt2_reader *r, bool constants, struct mxq_error *err);
/* manifest_read.c: the text of graph_module.metadata["custom"]; metadata goes into the reader. */
enum mxq_status mxq_pt2_manifest_parse(struct mxq_pt2_reader *r, const char *text, size_t n, struct mxq_error *err);
/* manifest_apply.c: the bytes of a stored tensor when they lie in one piece of the file. */
struct mxq_extent mxq_pt2_extent(const struct mxq_pt2_reader *r, const struct mxq_pt2_stored *s);
/* The tensors that callers see. */
enum mxq_status mxq_pt2_tensors(struct mxq_pt2_reader *r, struct mxq_error *err);

/* read_gather.c: n bytes at offset of a stored tensor's values in C order. Its record is checked. */
enum mxq_status mxq_pt2_gather(struct mxq_pt2_reader *r, uint32_t stored, uint64_t offset, void *buf, size_t n, struct mxq_error *err);
/* The same of codes that are stored one a byte, as they would be packed. */
enum mxq_status mxq_pt2_gather_packed(struct mxq_pt2_reader *r, uint32_t stored, enum mxq_format format, uint64_t offset, void *buf, size_t n,
                                      struct mxq_error *err);
void mxq_pt2_cache_free(struct mxq_pt2_cache *cache); /* NULL is accepted */

/* read_stored.c: mxq_reader_stored. */
bool mxq_pt2_stored_part(const struct mxq_reader *base, size_t i, enum mxq_part part, struct mxq_stored *stored);

/* dtype.c: the dtype with that number in PyTorch's schema, MXQ_DTYPE_NONE when there is none. */
enum mxq_dtype mxq_pt2_dtype(uint64_t number);

#endif
