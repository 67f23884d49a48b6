/* SPDX-License-Identifier: MIT */
/* Reader of one safetensors file. */
#include "formats/safetensors/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "formats/safetensors/header.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"

/*
 * A frame that can be one: a length below 4 GiB before an object whose first thing is a key or its end. The length may be a lie, since a file that is
 * cut short still is a safetensors file. A length may look like another format's magic, so this is asked before any magic.
 */
static bool probe(const unsigned char *bytes, size_t n, uint64_t size) {
  (void)size;
  if (n < 10 || mxq_get64(bytes) > UINT32_MAX)
    return false;
  const char *const space = " \t\r\n";
  size_t i = 8;
  while (i < n && bytes[i] && strchr(space, bytes[i]))
    i++;
  if (i == n)
    return n == 4096; /* a page of white space in front: only the whole header could tell */
  if (bytes[i++] != '{')
    return false;
  while (i < n && bytes[i] && strchr(space, bytes[i]))
    i++;
  return i == n || bytes[i] == '"' || bytes[i] == '}';
}

/*
 * Records become tensors in the same memory: the array is stretched, the records move to its end, and tensors are laid out from the front. A tensor is
 * larger than a record, so writing tensor i never reaches record i + 1. With a million tensors this saves the peak that two arrays would make.
 */
static struct mxq_tensor *stretch(const struct mxq_st_header *h) {
  _Static_assert(sizeof(struct mxq_tensor) >= sizeof(struct mxq_st_record), "records must fit behind the tensors");
  size_t room, tail = h->count * sizeof *h->records;
  if (__builtin_mul_overflow(h->count, sizeof(struct mxq_tensor), &room))
    return NULL;
  char *memory = realloc(h->records, room);
  if (!memory)
    return NULL;
  char *from = memory + (room - tail);
  memmove(from, memory, tail);
  for (size_t i = 0; i < h->count; i++) {
    struct mxq_st_record r;
    memcpy(&r, from + i * sizeof r, sizeof r);
    struct mxq_tensor t = mxq_st_tensor(&r, h->data, (uint32_t)i);
    memcpy(memory + i * sizeof t, &t, sizeof t);
  }
  return (struct mxq_tensor *)(void *)memory;
}

/* Names are put into their table while tensors still are small: growing it is the other peak. */
static enum mxq_status index_names(struct mxq_reader *r, const struct mxq_st_header *h, struct mxq_error *err) {
  for (size_t i = 0; i < h->count; i++) {
    const char *name = h->records[i].name;
    uint32_t number = (uint32_t)i;
    if (mxq_names_put(&r->by_name, name, strlen(name), &number) != MXQ_NAMES_NEW) /* no name is there twice: no key was */
      return mxq_fail_nomem(err, r->path);
  }
  return MXQ_OK;
}

static enum mxq_status open_reader(struct mxq_reader *r, struct mxq_error *err) {
  struct mxq_st_header h;
  enum mxq_status s = mxq_st_header_read(&r->source, r->path, &r->options, &r->arena, &h, err);
  if (s == MXQ_OK && (s = index_names(r, &h, err)) != MXQ_OK)
    free(h.records);
  if (s != MXQ_OK)
    return s;
  r->metadata = h.metadata;
  r->metadata_count = h.metadata_count;
  if (h.count == 0) {
    free(h.records);
    return MXQ_OK;
  }
  r->tensors = stretch(&h);
  if (!r->tensors) {
    free(h.records);
    return mxq_fail_nomem(err, r->path);
  }
  r->tensors_malloced = true;
  r->count = h.count;
  return MXQ_OK;
}

static enum mxq_status read_part(struct mxq_reader *r, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  (void)part;
  return n ? r->source.read_at(r->source.ctx, r->tensors[i].part[MXQ_PART_DATA].offset + offset, buf, n, err) : MXQ_OK;
}

const struct format mxq_format_safetensors = {
    .container = MXQ_SAFETENSORS,
    .name = "safetensors",
    .extension = "safetensors",
    .probe = probe,
    .reader_size = sizeof(struct mxq_reader),
    .open_reader = open_reader,
    .read = read_part,
    .open_writer = mxq_st_open_writer,
};
