/* SPDX-License-Identifier: MIT */
/* The list of formats, and the reader calls of <mxq/archive.h> on it. */
#include "formats/registry.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

const struct format *const mxq_formats[] = {
    &mxq_format_safetensors, &mxq_format_npy, &mxq_format_npz, &mxq_format_pt2, &mxq_format_safetensors_index, NULL};

const struct format *mxq_format_of(enum mxq_container container) {
  for (const struct format *const *f = mxq_formats; *f; f++)
    if ((*f)->container == container)
      return *f;
  return NULL;
}

const struct format *mxq_format_by_extension(const char *path) {
  const char *base = mxq_path_base(path);
  size_t n = strlen(base);
  for (const struct format *const *f = mxq_formats; *f; f++) {
    size_t e = strlen((*f)->extension);
    if (n > e && base[n - e - 1] == '.' && strcasecmp(base + n - e, (*f)->extension) == 0)
      return *f;
  }
  return NULL;
}

const char *mxq_container_name(enum mxq_container container) {
  const struct format *f = mxq_format_of(container);
  return f ? f->name : container == MXQ_CONTAINER_AUTO ? "auto" : NULL;
}

bool mxq_container_parse(const char *name, enum mxq_container *container) {
  for (const struct format *const *f = mxq_formats; *f; f++) {
    if (strcmp((*f)->name, name) == 0) {
      *container = (*f)->container;
      return true;
    }
  }
  return false;
}

const char *mxq_kind_name(enum mxq_kind kind) {
  switch (kind) {
  case MXQ_KIND_PARAMETER: return "parameter";
  case MXQ_KIND_BUFFER: return "buffer";
  case MXQ_KIND_NONPERSISTENT: return "nonpersistent";
  case MXQ_KIND_CONSTANT: return "constant";
  case MXQ_KIND_UNREFERENCED: return "unreferenced";
  }
  return "unknown";
}

enum mxq_kind mxq_kind_of_dtype(enum mxq_dtype dtype) {
  switch (dtype) {
  case MXQ_F32: case MXQ_BF16: case MXQ_F16: case MXQ_F64:
  case MXQ_F8_E4M3: case MXQ_F8_E5M2: case MXQ_F8_E4M3FNUZ: case MXQ_F8_E5M2FNUZ: case MXQ_F8_E8M0:
  case MXQ_C32: case MXQ_C64: case MXQ_C128:
    return MXQ_KIND_PARAMETER;
  default:
    return MXQ_KIND_BUFFER; /* F4 and F6 among them: they are kept as bytes */
  }
}

struct mxq_read_options mxq_read_limits(const struct mxq_read_options *options) {
  struct mxq_read_options o = options ? *options : (struct mxq_read_options){0};
  if (o.max_text == 0)
    o.max_text = 100000000;
  if (o.max_tensors == 0)
    o.max_tensors = 1u << 22;
  if (o.max_tensors >= UINT32_MAX) /* tensors are numbered in 32 bits */
    o.max_tensors = UINT32_MAX - 1;
  return o;
}

enum mxq_status mxq_reader_open_as(const struct format *format, struct mxq_source *source, const char *path,
                                   const struct mxq_read_options *options, mxq_reader **reader, struct mxq_error *err) {
  *reader = NULL;
  struct mxq_reader *r = calloc(1, format->reader_size);
  if (r)
    r->path = strdup(path);
  if (!r || !r->path) {
    free(r);
    enum mxq_status s = mxq_fail_nomem(err, path);
    mxq_source_close(source);
    return s;
  }
  r->format = format;
  r->source = *source;
  memset(source, 0, sizeof *source);
  r->options = mxq_read_limits(options);
  r->file_bytes = r->source.size;
  enum mxq_status s = MXQ_OK;
  if (r->options.model && format->container != MXQ_PT2)
    s = mxq_fail(err, MXQ_ERR_USAGE, path, "there is no program '%.60s' in a %s file; only .pt2 archives hold programs", r->options.model, format->name);
  if (s == MXQ_OK)
    s = format->open_reader(r, err);
  r->options.model = NULL; /* the caller's */
  if (s != MXQ_OK) {
    mxq_fail_name(err, s, path);
    mxq_reader_close(r);
    return s;
  }
  *reader = r;
  return MXQ_OK;
}

static enum mxq_status open_any(struct mxq_source *source, const char *path, const struct mxq_read_options *options, mxq_reader **reader,
                                struct mxq_error *err) {
  const struct format *format;
  enum mxq_status s = mxq_identify(source, path, options ? options->container : MXQ_CONTAINER_AUTO, &format, NULL, err);
  if (s == MXQ_OK)
    return mxq_reader_open_as(format, source, path, options, reader, err);
  mxq_source_close(source);
  return s;
}

enum mxq_status mxq_reader_open(const char *path, const struct mxq_read_options *options, mxq_reader **reader, struct mxq_error *err) {
  assert(path && reader);
  *reader = NULL;
  struct mxq_source source;
  enum mxq_status s = mxq_source_open_file(path, &source, err);
  return s == MXQ_OK ? open_any(&source, path, options, reader, err) : s;
}

enum mxq_status mxq_reader_open_source(struct mxq_source *source, const struct mxq_read_options *options, mxq_reader **reader,
                                       struct mxq_error *err) {
  assert(source && source->read_at && reader);
  *reader = NULL;
  /* The name is copied: it dies with the source when opening fails. */
  char *path = strdup(source->name ? source->name : "");
  enum mxq_status s;
  if (path) {
    s = open_any(source, path, options, reader, err);
  } else {
    s = mxq_fail_nomem(err, "");
    mxq_source_close(source);
  }
  free(path);
  return s;
}

void mxq_reader_close(mxq_reader *reader) {
  if (!reader)
    return;
  if (reader->format->close_reader)
    reader->format->close_reader(reader);
  mxq_names_free(&reader->by_name);
  if (reader->tensors_malloced)
    free(reader->tensors);
  mxq_arena_free(&reader->arena);
  mxq_source_close(&reader->source);
  free(reader->path);
  free(reader);
}

enum mxq_status mxq_reader_index(struct mxq_reader *reader, struct mxq_error *err) {
  for (size_t i = 0; i < reader->count; i++) {
    const char *name = reader->tensors[i].name;
    uint32_t number = (uint32_t)i;
    switch (mxq_names_put(&reader->by_name, name, strlen(name), &number)) {
    case MXQ_NAMES_NEW: break;
    case MXQ_NAMES_THERE:
      return mxq_fail(err, MXQ_ERR_MALFORMED, reader->path, "two tensors have the name '%.*s'", mxq_clip(name), name);
    case MXQ_NAMES_NOMEM:
      return mxq_fail_nomem(err, reader->path);
    }
  }
  return MXQ_OK;
}

enum mxq_container mxq_reader_container(const mxq_reader *reader) {
  return reader->format->container;
}
const char *mxq_reader_path(const mxq_reader *reader) {
  return reader->path;
}
uint64_t mxq_reader_file_bytes(const mxq_reader *reader) {
  return reader->file_bytes;
}
size_t mxq_reader_count(const mxq_reader *reader) {
  return reader->count;
}
const struct mxq_tensor *mxq_reader_tensor(const mxq_reader *reader, size_t i) {
  assert(i < reader->count);
  return &reader->tensors[i];
}
size_t mxq_reader_find(const mxq_reader *reader, const char *name) {
  uint32_t number = mxq_names_find(&reader->by_name, name, strlen(name));
  return number == UINT32_MAX ? SIZE_MAX : number;
}
bool mxq_reader_unverified(const mxq_reader *reader) {
  return reader->unverified;
}
size_t mxq_reader_metadata_count(const mxq_reader *reader) {
  return reader->metadata_count;
}
void mxq_reader_metadata(const mxq_reader *reader, size_t i, const char **key, const char **value) {
  assert(i < reader->metadata_count);
  *key = reader->metadata[2 * i];
  *value = reader->metadata[2 * i + 1];
}

void mxq_reader_archive_info(const mxq_reader *reader, struct mxq_archive_info *info) {
  memset(info, 0, sizeof *info);
  if (reader->format->archive_info)
    reader->format->archive_info(reader, info);
}

bool mxq_reader_stored(const mxq_reader *reader, size_t i, enum mxq_part part, struct mxq_stored *stored) {
  const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
  memset(stored, 0, sizeof *stored);
  return reader->format->stored && (part == MXQ_PART_DATA || t->format != MXQ_FORMAT_NONE) && reader->format->stored(reader, i, part, stored);
}

enum mxq_status mxq_reader_program(mxq_reader *reader, const mxq_program **program, struct mxq_error *err) {
  *program = NULL;
  if (!reader->format->program)
    return mxq_fail(err, MXQ_ERR_USAGE, reader->path, "a file of format %s holds no program", reader->format->name);
  return reader->format->program(reader, program, err);
}

uint64_t mxq_reader_part_bytes(const mxq_reader *reader, size_t i, enum mxq_part part) {
  const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
  uint64_t codes = t->bytes, scales = 0;
  if (t->format != MXQ_FORMAT_NONE && !mxq_sizes(t->format, t->rows, t->k, &codes, &scales))
    codes = scales = 0; /* a reader that let such sizes in is a bug; nothing can be read then */
  return part == MXQ_PART_SCALES ? scales : codes;
}

enum mxq_status mxq_reader_read(mxq_reader *reader, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n,
                                struct mxq_error *err) {
  const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
  uint64_t size = mxq_reader_part_bytes(reader, i, part);
  if (offset > size || n > size - offset)
    return mxq_fail(err, MXQ_ERR_USAGE, reader->path, "tensor '%.*s': bytes %llu to %llu asked for, the part has %llu", mxq_clip(t->name), t->name,
                    (unsigned long long)offset, (unsigned long long)offset + n, (unsigned long long)size);
  unsigned scalar = mxq_dtype_bits(t->dtype) / 8;
  if (t->format == MXQ_FORMAT_NONE && t->part[0].size == 0 && scalar > 1 && (offset % scalar || n % scalar))
    return mxq_fail(err, MXQ_ERR_USAGE, reader->path, "tensor '%.*s' does not lie in one piece: whole scalars must be read", mxq_clip(t->name),
                    t->name);
  enum mxq_status s = reader->format->read(reader, i, part, offset, buf, n, err);
  return s == MXQ_OK ? s : mxq_fail_name(err, s, reader->path);
}

enum mxq_status mxq_reader_in_place(mxq_reader *reader, size_t i, enum mxq_part part, const void **data, struct mxq_error *err) {
  const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
  const struct mxq_extent *e = &t->part[part];
  *data = NULL;
  const unsigned char *bytes = reader->source.map ? reader->source.map(reader->source.ctx) : NULL;
  if (!bytes || e->size == 0 || e->size != mxq_reader_part_bytes(reader, i, part))
    return MXQ_OK;
  /* Reading nothing makes the format check what it checks at first access. */
  enum mxq_status s = mxq_reader_read(reader, i, part, 0, NULL, 0, err);
  if (s == MXQ_OK)
    *data = bytes + e->offset;
  return s;
}
