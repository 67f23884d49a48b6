/* SPDX-License-Identifier: MIT */
/* Tensors as the archive stores them: what the configs say, before the manifest or the program makes one MX tensor of two. */
#include "formats/pt2/pt2.h"

bool mxq_pt2_stored_part(const struct mxq_reader *base, size_t i, enum mxq_part part, struct mxq_stored *stored) {
  const struct mxq_pt2_reader *r = (const struct mxq_pt2_reader *)base;
  const struct mxq_pt2_stored *s = &r->stored[r->parts[i].part[part]];
  const struct mxq_zip_member *m = mxq_zip_member(r->zip, s->member);
  *stored = (struct mxq_stored){
      .tensor = {.name = s->name, .dtype = (enum mxq_dtype)s->dtype, .ndim = s->ndim, .shape = s->shape, .strides = s->strides, .stored_strides = s->stated,
                 .storage_offset = s->offset, .elements = s->elements, .bytes = s->bytes, .kind = (enum mxq_kind)s->kind,
                 .requires_grad = s->requires_grad, .device = s->device, .storage = s->member, .part = {mxq_pt2_extent(r, s)}},
      .member = m->name,
  };
  if (!m->method)
    stored->record = (struct mxq_extent){m->data_offset, m->size};
  /* The program of a weights archive may name nothing: then its config tells. */
  if (r->manifest.weights && s->kind == MXQ_KIND_UNREFERENCED)
    stored->tensor.kind = s->parameter ? MXQ_KIND_PARAMETER : MXQ_KIND_BUFFER;
  return true;
}
