/* SPDX-License-Identifier: MIT */
/* From the list of tensors to the layout of the file: names, texts, members and where each begins. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/write.h"
#include "lib/base/fail.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

enum { FIXED_MEMBERS = 11, ID_DIGITS = 40 };

bool mxq_pt2_each(const struct mxq_pt2_writer *w) {
  if (w->count == 0) /* a program must return something */
    return false;
  return w->graph == MXQ_GRAPH_EACH || (w->graph == MXQ_GRAPH_DEFAULT && w->quantized <= MXQ_PT2_EACH);
}

bool mxq_pt2_as_bytes(enum mxq_dtype dtype) { return dtype == MXQ_F4 || dtype == MXQ_F6_E2M3 || dtype == MXQ_F6_E3M2; }

int mxq_pt2_stored_dtype(enum mxq_dtype dtype) {
  static const unsigned char number[MXQ_DTYPE_COUNT] = {
      [MXQ_U8] = 1,      [MXQ_I8] = 2,       [MXQ_I16] = 3,     [MXQ_I32] = 4,      [MXQ_I64] = 5,          [MXQ_F16] = 6,
      [MXQ_F32] = 7,     [MXQ_F64] = 8,      [MXQ_C32] = 9,     [MXQ_C64] = 10,     [MXQ_C128] = 11,        [MXQ_BOOL] = 12,
      [MXQ_BF16] = 13,   [MXQ_U16] = 28,     [MXQ_F8_E4M3] = 29, [MXQ_F8_E5M2] = 30, [MXQ_F8_E4M3FNUZ] = 31, [MXQ_F8_E5M2FNUZ] = 32,
      [MXQ_F8_E8M0] = 33, [MXQ_U32] = 34,    [MXQ_U64] = 35,    [MXQ_F4] = 1,       [MXQ_F6_E2M3] = 1,      [MXQ_F6_E3M2] = 1};
  return number[dtype];
}

int mxq_pt2_codes_dtype(enum mxq_format format) {
  switch (format) {
  case MXQ_MXFP8_E4M3: return mxq_pt2_stored_dtype(MXQ_F8_E4M3);
  case MXQ_MXFP8_E5M2: return mxq_pt2_stored_dtype(MXQ_F8_E5M2);
  case MXQ_MXINT8: return mxq_pt2_stored_dtype(MXQ_I8);
  default: return mxq_pt2_stored_dtype(MXQ_U8);
  }
}

/* ---- the configs ---- */

static void config_entry(struct mxq_text *t, size_t n, const char *fqn, const char *record, bool parameter) {
  mxq_text_add(t, ",", n ? 1 : 0);
  mxq_text_quote(t, fqn, strlen(fqn));
  mxq_text_addf(t, ":{\"path_name\":\"%s_%zu\",\"is_param\":%s,\"use_pickle\":false,\"tensor_meta\":", record, n, parameter ? "true" : "false");
}

static void configs(struct mxq_pt2_writer *w) {
  uint64_t shape[MXQ_MAX_NDIM + 1];
  struct mxq_text *t = &w->weights_config;
  size_t n = 0;
  LITERAL(t, "{\"config\":{");
  for (size_t i = 0; i < w->count; i++) {
    const struct mxq_pt2_item *item = &w->items[i];
    const struct mxq_tensor *x = &item->t;
    if (x->format != MXQ_FORMAT_NONE) {
      config_entry(t, n++, item->stored[0], "weight", false);
      mxq_pt2_meta(t, mxq_pt2_codes_dtype(x->format), shape, mxq_pt2_codes_shape(x, shape), NULL, false);
      LITERAL(t, "}");
      config_entry(t, n++, item->stored[1], "weight", false);
      mxq_pt2_meta(t, mxq_pt2_stored_dtype(MXQ_F8_E8M0), shape, mxq_pt2_scales_shape(x, shape), NULL, false);
    } else {
      config_entry(t, n++, item->stored[0], "weight", x->kind == MXQ_KIND_PARAMETER);
      if (mxq_pt2_as_bytes(x->dtype))
        mxq_pt2_meta(t, mxq_pt2_stored_dtype(x->dtype), &x->bytes, 1, NULL, false);
      else
        mxq_pt2_meta(t, mxq_pt2_stored_dtype(x->dtype), x->shape, x->ndim, NULL, x->requires_grad);
    }
    LITERAL(t, "}");
  }
  LITERAL(t, "}}");
  t = &w->constants_config;
  n = 0;
  LITERAL(t, "{\"config\":{");
  for (int table = 0; table < MXQ_TABLE_COUNT; table++) {
    if (!w->table_name[table])
      continue;
    config_entry(t, n++, w->table_name[table], "tensor", false);
    mxq_pt2_meta(t, mxq_pt2_table_dtype(table), shape, mxq_pt2_table_shape(table, shape), NULL, false);
    LITERAL(t, "}");
  }
  LITERAL(t, "}}");
}

/* ---- the members ---- */

struct laying {
  struct mxq_pt2_writer *w;
  size_t room;
  uint64_t at;
  enum mxq_status status;
  struct mxq_error *err;
};

/* Adds a member behind the last. Its name is root/fmt. */
static void lay(struct laying *l, struct mxq_pt2_part part, uint64_t size, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void lay(struct laying *l, struct mxq_pt2_part part, uint64_t size, const char *fmt, ...) {
  struct mxq_pt2_writer *w = l->w;
  if (l->status != MXQ_OK)
    return;
  char record[128];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(record, sizeof record, fmt, ap);
  va_end(ap);
  size_t root = strlen(w->root);
  char *name = mxq_arena_alloc(&w->plan_arena, root + (size_t)n + 2);
  if (!name) {
    l->status = mxq_fail_nomem(l->err, "");
    return;
  }
  memcpy(name, w->root, root);
  name[root] = '/';
  memcpy(name + root + 1, record, (size_t)n + 1);
  struct mxq_zip_out *m = &w->members[w->member_count];
  *m = (struct mxq_zip_out){.name = name, .name_len = (uint32_t)(root + 1 + (size_t)n), .size = size};
  if (!mxq_canon_place(m, l->at, w->align)) {
    l->status = mxq_fail(l->err, MXQ_ERR_UNSUPPORTED, name,
                         "a member of %llu bytes cannot be written at byte %llu: the zip library has no form for exactly 2^32 - 1 bytes, and offsets "
                         "end at 2^63",
                         (unsigned long long)size, (unsigned long long)l->at);
    return;
  }
  w->parts[w->member_count] = part;
  struct mxq_digest *d = &w->digests.entries[w->member_count];
  d->name = name + root + 1;
  d->name_len = (uint32_t)n;
  w->member_count++;
  l->at = mxq_canon_end(m);
}

static void lay_text(struct laying *l, const char *text, uint64_t size, const char *record) {
  lay(l, (struct mxq_pt2_part){.origin = MXQ_FROM_TEXT, .text = text}, size, "%s", record);
}

static void lay_tensors(struct laying *l) {
  struct mxq_pt2_writer *w = l->w;
  size_t n = 0;
  for (size_t i = 0; i < w->count && l->status == MXQ_OK; i++) {
    const struct mxq_tensor *t = &w->items[i].t;
    int parts = t->format == MXQ_FORMAT_NONE ? 1 : 2;
    uint64_t size[2] = {t->bytes, 0};
    if (parts == 2)
      mxq_sizes(t->format, t->rows, t->k, &size[0], &size[1]);
    struct mxq_index_line *line = &w->lines[i];
    *line = (struct mxq_index_line){.tensor = t};
    for (int p = 0; p < parts && l->status == MXQ_OK; p++) {
      lay(l, (struct mxq_pt2_part){.origin = MXQ_FROM_TENSOR, .tensor = (uint32_t)i, .part = p ? MXQ_PART_SCALES : MXQ_PART_DATA}, size[p],
          "data/weights/weight_%zu", n++);
      if (l->status == MXQ_OK)
        line->part[p] = (struct mxq_extent){w->members[w->member_count - 1].data_offset, size[p]};
    }
  }
}

static void lay_rest(struct laying *l) {
  struct mxq_pt2_writer *w = l->w;
  size_t n = 0;
  lay_text(l, w->weights_config.data, w->weights_config.size, "data/weights/model_weights_config.json");
  for (int table = 0; table < MXQ_TABLE_COUNT; table++)
    if (w->table_name[table])
      lay(l, (struct mxq_pt2_part){.origin = MXQ_FROM_TABLE, .tensor = (uint32_t)table}, mxq_pt2_table_bytes(table),
          "data/constants/tensor_%zu", n++);
  lay_text(l, w->constants_config.data, w->constants_config.size, "data/constants/model_constants_config.json");
  lay_text(l, w->model.data, w->model.size, "models/model.json");
  lay_text(l, "", 0, "data/sample_inputs/model.pt");
  lay_text(l, "pt2", 3, "archive_format");
  lay_text(l, "0", 1, "archive_version");
  lay_text(l, "6\n", 2, ".data/version");
  lay_text(l, "little", 6, "byteorder");
  lay(l, (struct mxq_pt2_part){.origin = MXQ_FROM_ID}, ID_DIGITS, ".data/serialization_id");
}

/* The size of a text that is written later, without keeping it. */
static uint64_t text_size(struct laying *l, struct mxq_text *t) {
  uint64_t size = t->size;
  if (t->failed && l->status == MXQ_OK)
    l->status = mxq_fail_nomem(l->err, "");
  mxq_text_free(t);
  return size;
}

static enum mxq_status lay_all(struct mxq_pt2_writer *w, struct mxq_error *err) {
  struct laying l = {.w = w, .status = MXQ_OK, .err = err};
  struct mxq_text t = {0};
  lay_tensors(&l);
  lay_rest(&l);
  if (l.status != MXQ_OK)
    return l.status;
  mxq_index_sort(w->lines, w->count);
  uint64_t index_size = 0;
  for (size_t i = 0; i < w->count && !t.failed; i++) {
    t.size = 0;
    mxq_index_line(&t, &w->lines[i]);
    index_size += t.size;
  }
  text_size(&l, &t);
  lay(&l, (struct mxq_pt2_part){.origin = MXQ_FROM_INDEX}, index_size, MXQ_INDEX_MEMBER);
  w->digests.count = w->member_count;
  w->digests.align = w->align;
  mxq_digests_text(&w->digests, &t);
  uint64_t digests_size = text_size(&l, &t);
  lay(&l, (struct mxq_pt2_part){.origin = MXQ_FROM_DIGESTS}, digests_size, MXQ_DIGESTS_MEMBER);
  if (l.status == MXQ_OK && !mxq_canon_total(w->members, w->member_count, &w->total))
    l.status = mxq_fail(err, MXQ_ERR_UNSUPPORTED, "", "the archive would be larger than 2^63 bytes");
  return l.status;
}

static enum mxq_status plan(struct mxq_pt2_writer *w, struct mxq_error *err) {
  enum mxq_status status = mxq_zip_made_by(&w->digests.made_by, err);
  if (status == MXQ_OK)
    status = mxq_pt2_name(w, err);
  if (status != MXQ_OK)
    return status;
  configs(w);
  mxq_pt2_model(w, &w->model);
  if (w->weights_config.failed || w->constants_config.failed || w->model.failed)
    return mxq_fail_nomem(err, "");
  size_t room = w->count + w->quantized + MXQ_TABLE_COUNT + FIXED_MEMBERS;
  w->members = calloc(room, sizeof *w->members);
  w->parts = calloc(room, sizeof *w->parts);
  w->lines = calloc(w->count + 1, sizeof *w->lines);
  w->digests.entries = calloc(room, sizeof *w->digests.entries);
  if (!w->members || !w->parts || !w->lines || !w->digests.entries)
    return mxq_fail_nomem(err, "");
  return lay_all(w, err);
}

enum mxq_status mxq_pt2_plan(struct mxq_pt2_writer *w, struct mxq_error *err) {
  if (w->planned)
    return MXQ_OK;
  enum mxq_status status = plan(w, err);
  w->planned = status == MXQ_OK;
  if (!w->planned)
    mxq_pt2_plan_free(w);
  return status;
}

void mxq_pt2_plan_free(struct mxq_pt2_writer *w) {
  mxq_text_free(&w->weights_config);
  mxq_text_free(&w->constants_config);
  mxq_text_free(&w->model);
  free(w->members);
  free(w->parts);
  free(w->lines);
  free(w->digests.entries);
  w->members = NULL;
  w->parts = NULL;
  w->lines = NULL;
  memset(&w->digests, 0, sizeof w->digests);
  w->member_count = 0;
  w->planned = false;
  mxq_arena_free(&w->plan_arena);
}
