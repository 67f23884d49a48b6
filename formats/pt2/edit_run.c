/* SPDX-License-Identifier: MIT */
/* Writing an edited program: what stays is copied and checked, what is new is pulled. */
#include <inttypes.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/reorder.h"
#include "lib/base/fail.h"

struct run {
  struct mxq_pt2_edit *e;
  mxq_pull_fn pull;
  void *user;
  uint32_t item;                     /* whose values are reordered */
};

static enum mxq_status next_values(void *user, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  return r->pull(r->user, r->item, MXQ_PART_DATA, buf, n, err);
}

/* Values that are stored in another order than they are pulled in. */
static enum mxq_status fetch_reordered(struct run *r, uint32_t number, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct mxq_pt2_edit *e = r->e;
  const struct mxq_tensor *t = &e->items[number].t;
  if (e->reordered != number) {
    r->item = number;
    enum mxq_status status = mxq_pt2_reorder(e->reorder, t->shape, t->strides, t->ndim, mxq_dtype_bits(t->dtype) / 8, next_values, r, err);
    if (status != MXQ_OK)
      return mxq_fail_name(err, status, t->name);
    e->reordered = number;
  }
  memcpy(buf, e->reorder->data + offset, n);
  return MXQ_OK;
}

/* The next bytes of a record of one or several items, and what the record held before (or zeroes) where none of them lies. */
static enum mxq_status fetch_record(struct run *r, uint32_t first, uint64_t offset, unsigned char *buf, size_t n, struct mxq_error *err) {
  struct mxq_pt2_edit *e = r->e;
  if (offset == 0)
    e->piece = first;
  while (n) {
    const struct mxq_pt2_edit_item *item = e->piece == MXQ_NO_NUMBER ? NULL : &e->items[e->piece];
    if (item && offset >= item->at + item->t.bytes) {
      e->piece = item->next;
      continue;
    }
    bool gap = !item || offset < item->at;
    uint64_t left = !item ? n : gap ? item->at - offset : item->at + item->t.bytes - offset;
    size_t part = left < n ? (size_t)left : n;
    enum mxq_status status = MXQ_OK;
    if (gap && e->items[first].base != MXQ_NO_NUMBER)
      status = mxq_zip_read(e->reader->zip, e->items[first].base, offset, buf, part, err);
    else if (gap)
      memset(buf, 0, part);
    else if (item->t.strides)
      status = fetch_reordered(r, e->piece, offset - item->at, buf, part, err);
    else
      status = r->pull(r->user, e->piece, MXQ_PART_DATA, buf, part, err);
    if (status != MXQ_OK)
      return status;
    offset += part;
    buf += part;
    n -= part;
  }
  return MXQ_OK;
}

static enum mxq_status fetch_text(struct mxq_pt2_edit *e, uint32_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct mxq_pt2_edit_text *t = mxq_pt2_edited(e, member);
  bool fine = mxq_pt2_splice_read(&t->splices, t->text ? t->text : e->program->text, t->n, offset == 0, buf, n);
  return fine ? MXQ_OK : mxq_fail_nomem(err, e->reader->base.path);
}

static enum mxq_status fetch(void *user, size_t member, uint64_t offset, void *buf, size_t n, struct mxq_error *err) {
  struct run *r = user;
  struct mxq_pt2_edit *e = r->e;
  const struct mxq_pt2_part *part = &e->out.parts[member];
  enum mxq_status status;
  if (part->sub == MXQ_EDIT_TEXT) /* not counted: tensors are what takes time */
    return fetch_text(e, part->number, offset, buf, n, err);
  switch (part->sub) {
  case MXQ_EDIT_COPY: status = mxq_zip_read(e->reader->zip, part->number, offset, buf, n, err); break;
  case MXQ_EDIT_CODES: status = r->pull(r->user, part->number, MXQ_PART_CODES, buf, n, err); break;
  case MXQ_EDIT_SCALES:
    status = r->pull(r->user, part->number, MXQ_PART_SCALES, buf, n, err);
    if (status == MXQ_OK && e->byte_scales)
      status = mxq_pt2_check_scales(buf, n, e->items[part->number].t.name, err);
    break;
  default: status = fetch_record(r, part->number, offset, buf, n, err);
  }
  if (status != MXQ_OK)
    return status;
  e->done += n;
  return e->progress && e->progress(e->user, e->done, e->all) ? mxq_fail(err, MXQ_ERR_CANCELLED, e->reader->base.path, "cancelled") : MXQ_OK;
}

/* Nothing damaged gets a fresh digest. */
static enum mxq_status complete(void *user, size_t member, uint32_t crc, const unsigned char *sha256, struct mxq_error *err) {
  struct mxq_pt2_edit *e = ((struct run *)user)->e;
  const struct mxq_pt2_part *part = &e->out.parts[member];
  if (part->origin != MXQ_FROM_CALLER || part->sub != MXQ_EDIT_COPY)
    return MXQ_OK;
  const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, part->number);
  if (m->zero_crc)
    e->reader->base.unverified = true;
  else if (crc != m->crc)
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data has CRC-32 %08" PRIx32 ", the archive says %08" PRIx32 "; nothing was written", crc, m->crc);
  if (e->reader->has_digests && memcmp(e->reader->sha256[part->number], sha256, MXQ_SHA256_BYTES))
    return mxq_fail_at(err, MXQ_ERR_DAMAGED, m->name, m->data_offset,
                       "this member's data does not have the SHA-256 that the archive states; nothing was written");
  return MXQ_OK;
}

enum mxq_status mxq_pt2_edit_run(struct mxq_pt2_edit *e, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err) {
  struct run r = {.e = e, .pull = pull, .user = user};
  return mxq_pt2_out_run(&e->out, sink, fetch, complete, &r, err);
}
