/* SPDX-License-Identifier: MIT */
/*
 * Files of named tensors: readers for all formats, the writers, verification, and the two calls that most programs
 * need: mxq_export_save and mxq_export_load.
 *
 * A reader is used by one thread at a time; distinct readers are independent.
 */
#ifndef MXQ_ARCHIVE_H
#define MXQ_ARCHIVE_H

#include <mxq/io.h>
#include <mxq/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* File formats. AUTO looks at the first bytes; a name whose extension claims another of these formats is an error. */
enum mxq_container {
  MXQ_CONTAINER_AUTO = 0, MXQ_PT2, MXQ_SAFETENSORS, MXQ_NPY, MXQ_NPZ,
  MXQ_SAFETENSORS_INDEX /* model.safetensors.index.json and its shards */,
  MXQ_CONTAINER_COUNT
};
/* "pt2", "safetensors", "npy", "npz", "safetensors-index". Static storage. */
MXQ_API const char *mxq_container_name(enum mxq_container container);
MXQ_API bool mxq_container_parse(const char *name, enum mxq_container *container);

/* How to open; all zero is the default. Limits: 0 = the default that is named. */
struct mxq_read_options {
  enum mxq_container container;
  bool unverified;         /* do not check CRC and digests of tensor data at first access (mxq_reader_unverified tells) */
  bool allow_zero_crc;     /* accept CRC 0 on a non-empty zip member (PyTorch can be told to write that), as unverified */
  uint64_t max_text;       /* bytes of a header or JSON document; 100,000,000. Ten times that for what is stored in a pt2 without compression */
  uint64_t max_tensors;    /* 2^22 */
  const char *model;       /* pt2: which program of the archive; NULL = "model", the one that torch.export.load takes. Copied */
};

typedef struct mxq_reader mxq_reader;

/*
 * Opens a file of any format listed above and reads its metadata; tensor data is not touched. The directory and all text is checked here.
 * A safetensors index opens its shards beside it (plain base names only).
 * MXQ_ERR_IO, MXQ_ERR_FORMAT (not a format read here; names PyTorch .pt files and pickles as such), MXQ_ERR_MALFORMED,
 * MXQ_ERR_UNSUPPORTED, MXQ_ERR_DAMAGED, MXQ_ERR_LIMIT, MXQ_ERR_NOMEM. *reader is NULL on failure.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_open(const char *path, const struct mxq_read_options *options,
                                                       mxq_reader **reader, struct mxq_error *err);
/* The same from a source. The reader takes over *source (which is zeroed), also when opening fails. No safetensors index. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_open_source(struct mxq_source *source, const struct mxq_read_options *options,
                                                              mxq_reader **reader, struct mxq_error *err);
MXQ_API void mxq_reader_close(mxq_reader *reader); /* NULL is accepted */

MXQ_API enum mxq_container mxq_reader_container(const mxq_reader *reader);
MXQ_API const char *mxq_reader_path(const mxq_reader *reader);       /* as opened; "" for sources without a name */
MXQ_API uint64_t mxq_reader_file_bytes(const mxq_reader *reader);    /* all files together */
MXQ_API size_t mxq_reader_count(const mxq_reader *reader);           /* tensors */
/* Tensor i < count, in the file's order. In an archive with a manifest, codes and scales appear as one MX tensor, not as two. */
MXQ_API const struct mxq_tensor *mxq_reader_tensor(const mxq_reader *reader, size_t i);
/* Index of the tensor of that name, SIZE_MAX when there is none. O(1). */
MXQ_API size_t mxq_reader_find(const mxq_reader *reader, const char *name);
/* True once data was delivered whose checksum was not checked (opted out, CRC 0, or a format without checksums does not count). */
MXQ_API bool mxq_reader_unverified(const mxq_reader *reader);

/* Metadata texts (safetensors __metadata__, the manifest's copy of it): count, key and value i. NUL-terminated UTF-8. */
MXQ_API size_t mxq_reader_metadata_count(const mxq_reader *reader);
MXQ_API void mxq_reader_metadata(const mxq_reader *reader, size_t i, const char **key, const char **value);

/* Something in an archive that only Python could open (custom and opaque objects): listed, never opened. */
struct mxq_archive_object {
  const char *name;        /* as the config calls it */
  const char *record;      /* its member */
  const char *class_name;  /* as the program states it, or NULL */
  uint64_t bytes;
};
/* What an archive says about itself; zero elsewhere. */
struct mxq_archive_info {
  bool has_manifest;       /* holds MX tensors of this library, or kept tensors of a converted file */
  bool weights;            /* a weights archive: its program only returns the state dict */
  bool has_digests;        /* digest member present and in force */
  bool resaved;            /* digests of another writing were carried along by a re-save: they say nothing any more */
  bool has_index;          /* index for small readers present and fresh */
  uint64_t members;        /* zip members */
  const char *root;        /* folder of all members */
  const char *tool;        /* "mxquant 0.1.0", or NULL */
  const char *torch_version; /* of the program's writer, or NULL */
  const char *model;       /* the program that is open: "model", or the one that was asked for */
  size_t model_count;      /* programs in the archive */
  const char *const *models;
  uint64_t sample_inputs;  /* bytes of the record of sample inputs, a pickle that is never opened; 0 = none are kept */
  size_t object_count;
  const struct mxq_archive_object *objects;
};
MXQ_API void mxq_reader_archive_info(const mxq_reader *reader, struct mxq_archive_info *info);

/* How an archive stores a tensor, or one part of an MX tensor. */
struct mxq_stored {
  struct mxq_tensor tensor;  /* an ordinary one, with name, dtype, shape, strides, kind of its own; part[0] is where its bytes lie, if in one piece */
  const char *member;        /* its record in the archive, which may hold other tensors too: tensor.storage_offset */
  struct mxq_extent record;  /* where all bytes of the record lie; size 0 when it is stored deflated, or empty */
};
/*
 * What an archive (MXQ_PT2) says of a part of tensor i by itself: codes and scales are tensors too, under names of their own. False, and zeros, for
 * other files and for the scales of an ordinary tensor. Lives as long as the reader.
 */
MXQ_API bool mxq_reader_stored(const mxq_reader *reader, size_t i, enum mxq_part part, struct mxq_stored *stored);

/*
 * Reads n bytes at `offset` of a part: of codes (packed, also where a program keeps one of 4 or 6 bits in each byte) and scales, or, for ordinary
 * tensors, of the values in C order.
 * offset + n <= the part's size. The first access to a tensor of an archive checks its CRC and digest, all of it
 * (MXQ_ERR_DAMAGED), unless options.unverified. For non-contiguous tensors offset and n are multiples of the scalar size.
 * MXQ_ERR_IO, MXQ_ERR_DAMAGED, MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_read(mxq_reader *reader, size_t i, enum mxq_part part, uint64_t offset,
                                                       void *buf, size_t n, struct mxq_error *err);
/* Size in bytes of a part, as mxq_reader_read counts it. */
MXQ_API uint64_t mxq_reader_part_bytes(const mxq_reader *reader, size_t i, enum mxq_part part);
/*
 * The bytes of a part in place, for mapped and memory sources; NULL in *data when they are not in memory or not contiguous.
 * Valid until the reader is closed. Checks as mxq_reader_read does.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_in_place(mxq_reader *reader, size_t i, enum mxq_part part, const void **data,
                                                           struct mxq_error *err);

/*
 * Decodes an MX tensor, or converts an ordinary f32, bf16, f16 tensor, into dst: elements scalars of dtype f32, bf16 or f16 in the
 * tensor's own C order. Other dtypes: only with dtype == tensor dtype, as a copy. dst_bytes is the size of dst and must
 * be what that takes (MXQ_ERR_USAGE otherwise). Errors as mxq_reader_read.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_reader_decode(mxq_reader *reader, size_t i, enum mxq_dtype dtype, void *dst,
                                                         size_t dst_bytes, const struct mxq_runner *runner, struct mxq_error *err);

/* ---- verification ---------------------------------------------------------------------------------------------- */

/* One finding of mxq_verify; texts live during the call. */
struct mxq_finding {
  enum mxq_status code;
  const char *subject;     /* member or tensor, "" for the file as a whole */
  uint64_t offset;         /* byte in the file, or MXQ_NO_OFFSET */
  const char *text;
};
struct mxq_verify_result {
  enum mxq_container container;
  uint64_t findings;       /* 0 = every byte accounted for */
  uint64_t bytes;          /* read and checked */
  uint64_t tensors;
  bool digests;            /* SHA-256 digests were there and checked; else CRC only, or structure only */
  bool resaved;            /* digests are stale because PyTorch saved the archive again: CRC only, not damage */
};
/*
 * Reads every byte of a file and checks structure, checksums, digests and that every tensor can be decoded. Calls on_finding (may be NULL) for each
 * defect, in file order; `path` names the file, options as for opening. Returns MXQ_OK when the check could be carried out, whatever it found;
 * MXQ_ERR_IO when the file cannot be read, MXQ_ERR_FORMAT when it is no format read here, MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_verify(const char *path, const struct mxq_read_options *options,
                                                  void (*on_finding)(void *user, const struct mxq_finding *finding), void *user,
                                                  struct mxq_verify_result *result, struct mxq_error *err);

/* One member of a zip file. */
struct mxq_zip_entry {
  const char *name;
  uint16_t method;         /* 0 stored, 8 deflate */
  uint32_t crc;
  uint64_t compressed, size, offset; /* bytes in the file, bytes of data, where the bytes begin */
};
/*
 * Checks a zip file strictly, reading every byte of each member (headers, deflate streams, CRC), and calls on_entry (may be NULL) for
 * each, in directory order. The first defect ends it: MXQ_ERR_MALFORMED, MXQ_ERR_UNSUPPORTED, MXQ_ERR_DAMAGED, MXQ_ERR_LIMIT, ...
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_zip_scan(const struct mxq_source *source, const struct mxq_read_options *options,
                                                    void (*on_entry)(void *user, const struct mxq_zip_entry *entry), void *user,
                                                    struct mxq_error *err);
/* Checks a JSON document: RFC 8259, UTF-8, depth <= 64, no lone surrogates. (The readers of formats also refuse duplicate keys.) MXQ_ERR_MALFORMED with the byte, MXQ_ERR_LIMIT, MXQ_ERR_NOMEM. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_json_check(const char *text, size_t n, struct mxq_error *err);

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Whether a weights archive's program decodes each tensor or returns nothing (DEFAULT: EACH up to 512 quantized tensors). */
enum mxq_graph { MXQ_GRAPH_DEFAULT = 0, MXQ_GRAPH_EACH, MXQ_GRAPH_NONE };
/*
 * For which PyTorch programs are written. Before 2.12 there is no float8_e8m0fnu: scales are then uint8 and the program computes 2^(byte - 127). That
 * makes Inf, not NaN, of byte 255, so a run that meets this byte fails with MXQ_ERR_UNSUPPORTED, naming the tensor.
 */
enum mxq_target { MXQ_TARGET_TORCH_2_12 = 0, MXQ_TARGET_TORCH_2_11 };

/* Options of the archive writer; all zero is the default. Pointers must live until the writer is freed. */
struct mxq_write_options {
  const char *root;               /* folder of all members; NULL = "model" */
  uint32_t align;                 /* of member data in bytes: a power of two, 1 to 32768; 0 = 64 */
  enum mxq_graph graph;
  enum mxq_target target;
  const char *const *metadata;    /* 2 * metadata_count texts: key, value, key, value, ... */
  size_t metadata_count;
};

typedef struct mxq_writer mxq_writer;

/*
 * Delivers the next n bytes of a part, in order from its first byte: the writer asks for each tensor's DATA, or CODES and then
 * SCALES, in the order in which the tensors were added; `tensor` counts them from 0. Any other status than MXQ_OK ends the writing with that status.
 */
typedef enum mxq_status (*mxq_pull_fn)(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err);

/*
 * A streaming writer in three steps: open, add every tensor (metadata only), run once. Sizes are known before the first byte is
 * written; each byte is pulled, checksummed and written once.
 * pt2: a weights archive. safetensors: ordinary tensors only, codes cannot be added.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_writer_open(enum mxq_container container, const struct mxq_write_options *options,
                                                       mxq_writer **writer, struct mxq_error *err);
/*
 * Adds a tensor; the struct is copied, its texts and shape too. For MX tensors these fields count: name, dtype, format, ndim, shape, axis_first,
 * axis_last, kind, requires_grad and the numerics' names (NULL: auto, -, rne, keep, error; nothing checks that they are what was done); sizes and the names of codes and scales are derived here.
 * MXQ_ERR_USAGE (duplicate name, too many dimensions, a name longer than 4,096 bytes or with a NUL, what the container cannot hold), MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_writer_add(mxq_writer *writer, const struct mxq_tensor *tensor, struct mxq_error *err);
/* Size that the finished file will have; call after the last add. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_writer_size(mxq_writer *writer, uint64_t *bytes, struct mxq_error *err);
/* Whether the program of the archive decodes each tensor (see mxq_graph), after the last add. */
MXQ_API bool mxq_writer_graph_each(const mxq_writer *writer);
/* Writes everything to the sink; the caller commits or aborts the sink. Once per writer. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_writer_run(mxq_writer *writer, const struct mxq_sink *sink, mxq_pull_fn pull, void *user,
                                                      struct mxq_error *err);
MXQ_API void mxq_writer_free(mxq_writer *writer); /* NULL is accepted */

/*
 * A writer of the archive that `reader` has open (MXQ_PT2, program included), which must outlive it: the same members in the same order with the same
 * data, in this library's canonical form, index and digests new. Without any add it is a copy. What is added replaces a tensor of the reader of
 * the same name and shape, inside the program, which keeps its inputs, outputs and every node that it had:
 *   an MX tensor replaces an ordinary one of its dtype: two buffers, and nodes that decode them; the last has the name that the weight had;
 *   an ordinary tensor of the same dtype replaces an MX one: the way back.
 * The writer asks for data in the order of the records that are replaced, whatever the order of adding.
 * Tied tensors (one view of the same stored bytes) follow the first of them that is added; adding another one is MXQ_ERR_USAGE.
 * options: align, target and metadata count; the root is the source's. progress (may be NULL) is told of bytes copied and pulled, and returns true to cancel.
 * mxq_writer_add: MXQ_ERR_USAGE (no such tensor, another shape or dtype, a tensor that the program changes), MXQ_ERR_UNSUPPORTED (nodes that cannot be undone).
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_writer_open_program(mxq_reader *reader, const struct mxq_write_options *options,
                                                               bool (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                                                               mxq_writer **writer, struct mxq_error *err);
/* Such a writer without any add, opened and run. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_archive_copy(mxq_reader *reader, const struct mxq_write_options *options,
                                                        const struct mxq_sink *sink,
                                                        bool (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                                                        struct mxq_error *err);

/* ---- the two calls ---------------------------------------------------------------------------------------------- */

/* One tensor in memory, C order, of dtype. */
struct mxq_array {
  const char *name;
  enum mxq_dtype dtype;
  uint32_t ndim;
  const uint64_t *shape;
  const void *data;
  enum mxq_format format;         /* quantize to this; NONE keeps the tensor as it is */
};
struct mxq_save_options {
  struct mxq_numerics numerics;
  struct mxq_write_options archive;
  unsigned threads;               /* of a pool for this call; 0 = 1 */
  const struct mxq_runner *runner; /* not NULL: works instead, and threads is not looked at */
  bool replace;                   /* replace an existing file */
};
/*
 * Quantizes and saves tensors in an archive that PyTorch's torch.export.load opens. f32, bf16 and f16 tensors with a format are blocked along
 * their last axis, or along [1, ndim-1] where that is shorter than 32. The file appears whole or not at all.
 * MXQ_ERR_USAGE, MXQ_ERR_EXISTS, MXQ_ERR_WRITE, MXQ_ERR_NONFINITE (subject: the tensor, offset: its flat index), MXQ_ERR_NOMEM.
 */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_export_save(const char *path, const struct mxq_array *arrays, size_t count,
                                                       const struct mxq_save_options *options, struct mxq_error *err);
/* Opens an archive, like mxq_reader_open with container MXQ_PT2; the file is mapped when `map` is set, so that mxq_reader_in_place works. */
MXQ_API MXQ_MUST_CHECK enum mxq_status mxq_export_load(const char *path, bool map, mxq_reader **reader, struct mxq_error *err);

#ifdef __cplusplus
}
#endif
#endif
