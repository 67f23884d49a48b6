/* SPDX-License-Identifier: MIT */
/* From the list of tensors to the layout of the file: names, texts, members and where each begins. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/write.h"
#include "lib/base/fail.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

enum { OTHER_MEMBERS = 9 };

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

int mxq_pt2_scales_dtype(bool byte_scales) { return mxq_pt2_stored_dtype(byte_scales ? MXQ_U8 : MXQ_F8_E8M0); }

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
      mxq_pt2_meta(t, mxq_pt2_scales_dtype(w->byte_scales), shape, mxq_pt2_scales_shape(x, shape), NULL, false);
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

static enum mxq_status lay(struct mxq_pt2_writer *w, struct mxq_pt2_part part, uint64_t size, struct mxq_error *err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static enum mxq_status lay(struct mxq_pt2_writer *w, struct mxq_pt2_part part, uint64_t size, struct mxq_error *err, const char *fmt, ...) {
  char record[128];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(record, sizeof record, fmt, ap);
  va_end(ap);
  return mxq_pt2_out_add(&w->out, part, size, w->root, strlen(w->root), record, (size_t)n, err);
}

static enum mxq_status lay_tensors(struct mxq_pt2_writer *w, struct mxq_error *err) {
  size_t n = 0;
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < w->count && status == MXQ_OK; i++) {
    const struct mxq_tensor *t = &w->items[i].t;
    uint32_t parts = t->format == MXQ_FORMAT_NONE ? 1 : 2;
    uint64_t size[2] = {t->bytes, 0};
    if (parts == 2 && !mxq_sizes(t->format, t->rows, t->k, &size[0], &size[1]))
      return mxq_fail(err, MXQ_ERR_USAGE, t->name, "the tensor is too large"); /* refused when it was added */
    struct mxq_index_line *line = &w->out.lines[w->out.line_count++];
    *line = (struct mxq_index_line){.tensor = t};
    for (uint32_t p = 0; p < parts && status == MXQ_OK; p++) {
      status = lay(w, (struct mxq_pt2_part){.origin = MXQ_FROM_CALLER, .number = (uint32_t)i, .sub = p}, size[p], err, "data/weights/weight_%zu",
                   n++);
      if (status == MXQ_OK)
        line->part[p] = (struct mxq_extent){w->out.members[w->out.member_count - 1].data_offset, size[p]};
    }
  }
  return status;
}

static enum mxq_status lay_tables(struct mxq_pt2_writer *w, struct mxq_error *err) {
  size_t n = 0;
  enum mxq_status status = MXQ_OK;
  for (int table = 0; table < MXQ_TABLE_COUNT && status == MXQ_OK; table++) {
    if (!w->table_name[table])
      continue;
    size_t bytes = mxq_pt2_table_bytes(table);
    char *data = mxq_arena_alloc(&w->plan_arena, bytes);
    if (!data)
      return mxq_fail_nomem(err, "");
    mxq_pt2_table_data(table, data);
    status = lay(w, (struct mxq_pt2_part){.origin = MXQ_FROM_TEXT, .text = data}, bytes, err, "data/constants/tensor_%zu", n++);
  }
  return status;
}

/* In the order of torch.export.save: weights, constants, program, the marks of the format. */
static enum mxq_status lay_all(struct mxq_pt2_writer *w, struct mxq_error *err) {
  const struct {
    const char *record, *text;
    size_t size;
  } texts[] = {
      {"data/weights/model_weights_config.json", w->weights_config.data, w->weights_config.size},
      {"data/constants/model_constants_config.json", w->constants_config.data, w->constants_config.size},
      {"models/model.json", w->model.data, w->model.size},
      {"data/sample_inputs/model.pt", "", 0},
      {"archive_format", "pt2", 3},
      {"archive_version", "0", 1},
      {".data/version", "6\n", 2},
      {"byteorder", "little", 6},
      {".data/serialization_id", NULL, MXQ_PT2_ID_DIGITS},
  };
  enum mxq_status status = lay_tensors(w, err);
  for (size_t i = 0; i < sizeof texts / sizeof *texts && status == MXQ_OK; i++) {
    if (i == 1)
      status = lay_tables(w, err);
    struct mxq_pt2_part part = {.origin = texts[i].text ? MXQ_FROM_TEXT : MXQ_FROM_ID, .text = texts[i].text};
    if (status == MXQ_OK)
      status = lay(w, part, texts[i].size, err, "%s", texts[i].record);
  }
  return status == MXQ_OK ? mxq_pt2_out_finish(&w->out, w->root, strlen(w->root), err) : status;
}

static enum mxq_status plan(struct mxq_pt2_writer *w, struct mxq_error *err) {
  enum mxq_status status = mxq_pt2_out_open(&w->out, w->align, w->count + w->quantized + MXQ_TABLE_COUNT + OTHER_MEMBERS, w->count, err);
  if (status == MXQ_OK)
    status = mxq_pt2_name(w, err);
  if (status != MXQ_OK)
    return status;
  configs(w);
  mxq_pt2_model(w, &w->model);
  if (w->weights_config.failed || w->constants_config.failed || w->model.failed)
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
  mxq_pt2_out_free(&w->out);
  mxq_arena_free(&w->plan_arena);
  w->planned = false;
}
