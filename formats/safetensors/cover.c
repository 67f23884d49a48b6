/* SPDX-License-Identifier: MIT */
/* What holds for all tensors of a file together, the dtypes' spelling, and the step from a record to a tensor. */
#include "formats/safetensors/header.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fail.h"
#include "lib/io/io.h"

static const char *const spelling[MXQ_DTYPE_COUNT] = {
    [MXQ_BOOL] = "BOOL", [MXQ_U8] = "U8", [MXQ_I8] = "I8", [MXQ_U16] = "U16", [MXQ_I16] = "I16", [MXQ_U32] = "U32",
    [MXQ_I32] = "I32", [MXQ_U64] = "U64", [MXQ_I64] = "I64", [MXQ_F16] = "F16", [MXQ_BF16] = "BF16", [MXQ_F32] = "F32",
    [MXQ_F64] = "F64", [MXQ_C64] = "C64", [MXQ_F8_E4M3] = "F8_E4M3", [MXQ_F8_E5M2] = "F8_E5M2", [MXQ_F8_E8M0] = "F8_E8M0",
    [MXQ_F8_E4M3FNUZ] = "F8_E4M3FNUZ", [MXQ_F8_E5M2FNUZ] = "F8_E5M2FNUZ", [MXQ_F4] = "F4", [MXQ_F6_E2M3] = "F6_E2M3",
    [MXQ_F6_E3M2] = "F6_E3M2",
};

const char *mxq_st_dtype_name(enum mxq_dtype dtype) {
  return (unsigned)dtype < MXQ_DTYPE_COUNT ? spelling[dtype] : NULL;
}

enum mxq_dtype mxq_st_dtype_parse(const char *s, size_t n) {
  for (int d = 0; d < MXQ_DTYPE_COUNT; d++)
    if (spelling[d] && strlen(spelling[d]) == n && memcmp(spelling[d], s, n) == 0)
      return (enum mxq_dtype)d;
  return MXQ_DTYPE_NONE;
}

struct mxq_tensor mxq_st_tensor(const struct mxq_st_record *record, uint64_t data, uint32_t storage) {
  uint64_t bytes = record->end - record->begin;
  unsigned bits = mxq_dtype_bits((enum mxq_dtype)record->dtype);
  /* bytes came from elements * bits, which fits in 64 bits */
  uint64_t elements = bits % 8 ? bytes / bits * 8 + bytes % bits * 8 / bits : bytes / (bits / 8);
  return (struct mxq_tensor){.name = record->name,
                             .dtype = (enum mxq_dtype)record->dtype,
                             .ndim = record->ndim,
                             .shape = record->shape,
                             .elements = elements,
                             .bytes = bytes,
                             .kind = mxq_kind_of_dtype((enum mxq_dtype)record->dtype),
                             .storage = storage,
                             .part = {{data + record->begin, bytes}, {0, 0}}};
}

static int by_place(const void *a, const void *b, void *records) {
  const struct mxq_st_record *x = (const struct mxq_st_record *)records + *(const uint32_t *)a;
  const struct mxq_st_record *y = (const struct mxq_st_record *)records + *(const uint32_t *)b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

static enum mxq_status refuse(const struct mxq_st_record *r, const struct mxq_st_record *before, uint64_t end, const char *path,
                              struct mxq_error *err) {
  unsigned long long begin = r->begin, reached = end;
  return r->begin > end
             ? mxq_fail_at(err, MXQ_ERR_MALFORMED, path, 8 + (uint64_t)r->at,
                           "tensor '%.*s': data_offsets begin at %llu, but what lies before ends at %llu: the bytes between belong to no tensor "
                           "(byte %u of the header)",
                           mxq_clip(r->name), r->name, begin, reached, r->at)
             : mxq_fail_at(err, MXQ_ERR_MALFORMED, path, 8 + (uint64_t)r->at,
                           "tensor '%.*s': data_offsets begin at %llu, inside of tensor '%.*s' that ends at %llu (byte %u of the header)",
                           mxq_clip(r->name), r->name, begin, mxq_clip(before->name), before->name, reached, r->at);
}

enum mxq_status mxq_st_cover(const struct mxq_st_header *header, uint64_t size, const char *path, struct mxq_error *err) {
  struct mxq_st_record *records = header->records;
  size_t n = header->count;
  bool sorted = true;
  for (size_t i = 1; i < n && sorted; i++)
    sorted = records[i].begin >= records[i - 1].end;
  /* Most files list their tensors by place. */
  uint32_t *order = NULL;
  if (!sorted) {
    order = malloc(n * sizeof *order);
    if (!order)
      return mxq_fail_nomem(err, path);
    for (size_t i = 0; i < n; i++)
      order[i] = (uint32_t)i;
    qsort_r(order, n, sizeof *order, by_place, records);
  }
  enum mxq_status s = MXQ_OK;
  uint64_t end = 0;
  const struct mxq_st_record *before = NULL;
  for (size_t i = 0; i < n && s == MXQ_OK; i++) {
    const struct mxq_st_record *r = &records[order ? order[i] : i];
    if (r->begin != end)
      s = refuse(r, before, end, path, err);
    end = r->end;
    before = r;
  }
  free(order);
  if (s == MXQ_OK && end != size)
    s = mxq_fail_at(err, MXQ_ERR_MALFORMED, path, header->data + end,
                    "the last %llu bytes of the file belong to no tensor (data ends at byte %llu of %llu)", (unsigned long long)(size - end),
                    (unsigned long long)(header->data + end), (unsigned long long)(header->data + size));
  return s;
}
