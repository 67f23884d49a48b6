/* SPDX-License-Identifier: MIT */
/* Reader of an .npz file: a zip of arrays. */
#include "formats/npy/npy.h"

#include <stdlib.h>
#include <string.h>

#include "formats/zip/zip.h"
#include "lib/base/bytes.h"
#include "lib/base/fail.h"
#include "lib/io/io.h"

enum { MOST_UNPACKED = 32 << 20 };

struct member {
  struct mxq_npy npy;
  size_t number;       /* in the zip */
  bool checked;
};

struct npz_reader {
  struct mxq_reader base;
  mxq_zip *zip;
  struct member *members;   /* by tensor */
  void *window;
  char *unpacked;           /* a deflated member in Fortran order, whole */
  size_t unpacked_member;   /* the tensor it belongs to */
};

/* A zip whose first member is an array. Others are told by the name of the file. */
static bool probe(const unsigned char *bytes, size_t n, uint64_t size) {
  (void)size;
  if (n < 30 || memcmp(bytes, "PK\3\4", 4) != 0)
    return false;
  size_t length = mxq_get16(bytes + 26);
  return length >= 4 && length <= n - 30 && memcmp(bytes + 30 + length - 4, ".npy", 4) == 0;
}

static enum mxq_status open_member(struct npz_reader *r, size_t number, char *head, struct mxq_error *err) {
  struct mxq_reader *b = &r->base;
  const struct mxq_zip_member *z = mxq_zip_member(r->zip, number);
  if (z->directory)
    return MXQ_OK;
  if (z->name_len < 4 || memcmp(z->name + z->name_len - 4, ".npy", 4) != 0)
    return mxq_fail_at(err, MXQ_ERR_UNSUPPORTED, z->name, z->header_offset, "this member of an npz is no array: its name does not end in .npy");
  if (b->count >= b->options.max_tensors)
    return mxq_fail(err, MXQ_ERR_LIMIT, b->path, "the file has more than %llu arrays, the limit that is set",
                    (unsigned long long)b->options.max_tensors);
  struct member *m = &r->members[b->count];
  size_t n = z->size < MXQ_NPY_HEAD ? (size_t)z->size : MXQ_NPY_HEAD;
  uint64_t dims[MXQ_MAX_NDIM];
  m->number = number;
  enum mxq_status s = mxq_zip_read(r->zip, number, 0, head, n, err);
  if (s == MXQ_OK)
    s = mxq_npy_parse(head, n, z->size, z->name, dims, &m->npy, err);
  if (s != MXQ_OK)
    return mxq_fail_name(err, s, z->name);
  if (m->npy.fortran && z->method != 0 && z->size > MOST_UNPACKED)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, z->name,
                    "a compressed array in Fortran order of more than 32 MiB is not read: save it with numpy.savez or in C order");
  const char *name = mxq_arena_text(&b->arena, z->name, z->name_len - 4);
  if (!name)
    return mxq_fail_nomem(err, b->path);
  s = mxq_npy_tensor(&m->npy, &b->arena, name, z->method == 0 ? z->data_offset + m->npy.data : UINT64_MAX, &b->tensors[b->count], err);
  if (s == MXQ_OK) {
    b->tensors[b->count].storage = (uint32_t)b->count;
    b->count++;
  }
  return s;
}

static enum mxq_status open_reader(struct mxq_reader *b, struct mxq_error *err) {
  struct npz_reader *r = (struct npz_reader *)b;
  enum mxq_status s = mxq_zip_open(&b->source, &b->options, &r->zip, err);
  if (s != MXQ_OK)
    return s;
  size_t n = mxq_zip_count(r->zip);
  r->members = calloc(n ? n : 1, sizeof *r->members);
  b->tensors = mxq_arena_calloc(&b->arena, n ? n : 1, sizeof *b->tensors);
  char *head = malloc(MXQ_NPY_HEAD);
  if (!r->members || !b->tensors || !head)
    s = mxq_fail_nomem(err, b->path);
  for (size_t i = 0; i < n && s == MXQ_OK; i++)
    s = open_member(r, i, head, err);
  free(head);
  return s == MXQ_OK ? mxq_reader_index(b, err) : s;
}

static void close_reader(struct mxq_reader *b) {
  struct npz_reader *r = (struct npz_reader *)b;
  mxq_zip_close(r->zip);
  free(r->members);
  free(r->window);
  free(r->unpacked);
}

/* What a read of one array needs to know. */
struct place {
  struct npz_reader *r;
  size_t tensor;
};

static enum mxq_status read_bytes(void *ctx, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  const struct place *p = ctx;
  const struct member *m = &p->r->members[p->tensor];
  if (p->r->unpacked && p->r->unpacked_member == p->tensor) {
    memcpy(buf, p->r->unpacked + m->npy.data + offset, n);
    return MXQ_OK;
  }
  return mxq_zip_read(p->r->zip, m->number, m->npy.data + offset, buf, n, err);
}

/* The member's CRC, once; and the memory that gathering from a compressed array needs. */
static enum mxq_status first_access(struct npz_reader *r, size_t i, struct mxq_error *err) {
  struct member *m = &r->members[i];
  const struct mxq_zip_member *z = mxq_zip_member(r->zip, m->number);
  enum mxq_status s = MXQ_OK;
  if (r->base.options.unverified || z->zero_crc) {
    r->base.unverified = true;
  } else if (!m->checked) {
    s = mxq_zip_check(r->zip, m->number, NULL, NULL, err);
    m->checked = s == MXQ_OK;
  }
  if (s == MXQ_OK && m->npy.fortran && z->method != 0 && !(r->unpacked && r->unpacked_member == i)) {
    size_t size;
    free(r->unpacked);
    r->unpacked = NULL;
    s = mxq_zip_load(r->zip, m->number, MOST_UNPACKED, &r->unpacked, &size, err);
    r->unpacked_member = i;
    if (s != MXQ_OK)
      r->unpacked = NULL;
  }
  return s == MXQ_OK ? s : mxq_fail_name(err, s, z->name);
}

static enum mxq_status read_part(struct mxq_reader *b, size_t i, enum mxq_part part, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct npz_reader *r = (struct npz_reader *)b;
  struct place place = {r, i};
  struct mxq_npy_bytes bytes = {read_bytes, &place};
  (void)part;
  enum mxq_status s = first_access(r, i, err);
  return s == MXQ_OK ? mxq_npy_read(&r->members[i].npy, &bytes, &r->window, offset, buf, n, err) : s;
}

const struct format mxq_format_npz = {
    .container = MXQ_NPZ,
    .name = "npz",
    .extension = "npz",
    .probe = probe,
    .reader_size = sizeof(struct npz_reader),
    .open_reader = open_reader,
    .close_reader = close_reader,
    .read = read_part,
};
