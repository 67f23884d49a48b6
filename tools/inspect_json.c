/* SPDX-License-Identifier: MIT */
#include "tools/inspect_json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tools/report.h"

void inspect_json_begin(struct json *j, const char *path, const char *container) {
  json_begin(j, NULL, '{');
  json_count(j, "schema", 1);
  json_text(j, "file", path);
  json_text(j, "container", container);
}

void inspect_json_member(void *user, const struct mxq_zip_entry *e) {
  struct json *j = user;
  char crc[12];
  snprintf(crc, sizeof crc, "%08" PRIx32, e->crc);
  json_begin(j, NULL, '{');
  json_text(j, "name", e->name);
  json_text(j, "method", e->method == 0 ? "stored" : "deflate");
  json_text(j, "crc32", crc);
  json_count(j, "size", e->size);
  json_count(j, "compressed", e->compressed);
  json_count(j, "offset", e->offset);
  json_end(j, '}');
}

static void extent(struct json *j, const struct mxq_extent *e) {
  if (e->size == 0)
    return;
  json_count(j, "offset", e->offset);
  json_count(j, "size", e->size);
}

static void names(struct json *j, const char *key, const struct view *v, const uint32_t *others, size_t n) {
  if (n == 0)
    return;
  json_begin(j, key, '[');
  for (size_t i = 0; i < n; i++)
    json_text(j, NULL, mxq_reader_tensor(v->reader, others[i])->name);
  json_end(j, ']');
}

/* A tensor in its record. */
static void layout(struct json *j, const struct mxq_tensor *t) {
  int64_t strides[MXQ_MAX_NDIM];
  view_strides(t, strides);
  json_begin(j, "strides", '[');
  for (uint32_t a = 0; a < t->ndim; a++)
    json_whole(j, NULL, strides[a]);
  json_end(j, ']');
  json_count(j, "storage_offset", t->storage_offset);
}
/* Only where its bytes do not lie in one piece: there strides and offset lead. */
static void record(struct json *j, const struct mxq_stored *s) {
  if (s->tensor.part[0].size)
    return;
  json_begin(j, "record", '{');
  json_text(j, "member", s->member);
  extent(j, &s->record);
  json_end(j, '}');
}

/* Codes or scales: a tensor of the archive by itself. */
static void part(struct json *j, const char *key, const struct view *v, size_t i, enum mxq_part which) {
  struct mxq_stored s;
  if (!mxq_reader_stored(v->reader, i, which, &s))
    return;
  json_begin(j, key, '{');
  json_text(j, "name", s.tensor.name);
  json_text(j, "dtype", mxq_dtype_name(s.tensor.dtype));
  json_counts(j, "shape", s.tensor.ndim, s.tensor.shape);
  json_text(j, "kind", mxq_kind_name(s.tensor.kind));
  extent(j, &s.tensor.part[0]);
  layout(j, &s.tensor);
  record(j, &s);
  json_text(j, "device", s.tensor.device ? s.tensor.device : "cpu");
  json_end(j, '}');
}

/* What a program archive says of a tensor. */
static void in_program(struct json *j, const struct view *v, size_t i) {
  const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
  uint32_t others[VIEW_OTHERS];
  size_t n;
  struct mxq_stored stored;
  bool mx = t->format != MXQ_FORMAT_NONE;
  if (!mx)
    layout(j, t);
  json_text(j, "device", t->device ? t->device : "cpu");
  json_flag(j, "requires_grad", t->requires_grad);
  json_count(j, "storage", t->storage);
  if (!mx && t->part[0].size == 0 && mxq_reader_stored(v->reader, i, MXQ_PART_DATA, &stored))
    record(j, &stored);
  n = view_tied(v, i, others);
  names(j, "tied_to", v, others, n);
  n = view_sharing(v, i, others);
  names(j, "shares_with", v, others, n);
  if (!v->program)
    return;
  size_t ops_n;
  const struct mxq_operator *ops = mxq_program_operators(v->program, &ops_n);
  const struct mxq_use *uses = mxq_program_uses(v->program, i, &n);
  json_begin(j, "uses", '[');
  for (size_t u = 0; u < n; u++) {
    const struct mxq_operator *op = uses[u].op < ops_n ? &ops[uses[u].op] : NULL;
    json_begin(j, NULL, '{');
    json_text(j, "operator", op ? op->target : NULL);
    json_text(j, "node", op ? op->name : NULL);
    json_text(j, "argument", uses[u].argument);
    json_text(j, "use", view_use_name(uses[u].kind));
    if (uses[u].kind == MXQ_USE_CONTRACTS || uses[u].kind == MXQ_USE_LOOKS_UP) {
      uint64_t axes[2] = {uses[u].axis_first, uses[u].axis_last};
      json_counts(j, "axes", 2, axes);
    }
    json_end(j, '}');
  }
  json_end(j, ']');
}

static void tensor(struct json *j, const struct view *v, size_t i) {
  const struct mxq_tensor *t = mxq_reader_tensor(v->reader, i);
  bool mx = t->format != MXQ_FORMAT_NONE;
  json_begin(j, NULL, '{');
  json_text(j, "name", t->name);
  json_text(j, mx ? "format" : "dtype", mx ? mxq_format_name(t->format) : mxq_dtype_name(t->dtype));
  json_counts(j, "shape", t->ndim, t->shape);
  json_count(j, "bytes", t->bytes);
  json_text(j, "kind", mxq_kind_name(t->kind));
  if (mx) {
    uint64_t axes[2] = {t->axis_first, t->axis_last};
    json_text(j, "layout", t->layout ? t->layout : mxq_format_layout(t->format));
    json_counts(j, "axes", 2, axes);
    json_count(j, "block", MXQ_BLOCK);
    if (t->recognised)
      json_flag(j, "recognised", true);
    json_text(j, "scale_rule", t->scale_rule);
    json_text(j, "compat", t->compat);
    json_text(j, "round", t->round);
    json_text(j, "neg_zero", t->neg_zero);
    json_text(j, "nonfinite", t->nonfinite);
    json_text(j, "source_dtype", mxq_dtype_name(t->dtype));
    json_text(j, "codes_name", t->codes_name);
    json_text(j, "scales_name", t->scales_name);
    part(j, "codes", v, i, MXQ_PART_CODES);
    part(j, "scales", v, i, MXQ_PART_SCALES);
  } else {
    json_flag(j, "contiguous", t->strides == NULL);
    if (t->part[0].size) {
      json_begin(j, "data", '{');
      extent(j, &t->part[0]);
      json_end(j, '}');
    }
  }
  if (mxq_reader_container(v->reader) == MXQ_PT2)
    in_program(j, v, i);
  json_end(j, '}');
}

/* ---- the program ---- */

/* A size: a number where it is one. */
static void size(struct json *j, const char *text) {
  uint64_t n = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9' && p - text < 18; p++)
    n = n * 10 + (uint64_t)(*p - '0');
  if (p != text && *p == 0)
    json_count(j, NULL, n);
  else
    json_text(j, NULL, text);
}

static void values(struct json *j, const char *key, const struct mxq_value *list, size_t n) {
  json_begin(j, key, '[');
  for (size_t i = 0; i < n; i++) {
    json_begin(j, NULL, '{');
    json_text(j, "name", list[i].name);
    json_text(j, "type", mxq_value_type_name(list[i].type));
    if (list[i].type == MXQ_VALUE_TENSOR) {
      json_text(j, "dtype", list[i].dtype == MXQ_DTYPE_NONE ? NULL : mxq_dtype_name(list[i].dtype));
      json_begin(j, "shape", '[');
      for (uint32_t a = 0; a < list[i].ndim; a++)
        size(j, list[i].shape[a]);
      json_end(j, ']');
    }
    json_end(j, '}');
  }
  json_end(j, ']');
}

static bool program(struct json *j, const mxq_program *p) {
  size_t n, kinds;
  struct view_operator *ops = view_operators(p, &kinds);
  if (!ops)
    return false;
  json_begin(j, "program", '{');
  const struct mxq_value *list = mxq_program_inputs(p, &n);
  values(j, "inputs", list, n);
  list = mxq_program_outputs(p, &n);
  values(j, "outputs", list, n);
  const struct mxq_symbol *s = mxq_program_symbols(p, &n);
  json_begin(j, "symbols", '[');
  for (size_t i = 0; i < n; i++) {
    json_begin(j, NULL, '{');
    json_text(j, "name", s[i].name);
    if (s[i].has_min)
      json_whole(j, "min", s[i].min);
    else
      json_null(j, "min");
    if (s[i].has_max)
      json_whole(j, "max", s[i].max);
    else
      json_null(j, "max");
    json_end(j, '}');
  }
  json_end(j, ']');
  json_begin(j, "operators", '{');
  for (size_t i = 0; i < kinds; i++)
    json_count(j, ops[i].target, ops[i].count);
  json_end(j, '}');
  free(ops);
  mxq_program_operators(p, &n);
  json_count(j, "operator_count", n);
  json_end(j, '}');
  return true;
}

static void archive(struct json *j, const struct mxq_archive_info *info) {
  json_text(j, "model", info->model);
  json_begin(j, "models", '[');
  for (size_t i = 0; i < info->model_count; i++)
    json_text(j, NULL, info->models[i]);
  json_end(j, ']');
  json_count(j, "sample_inputs", info->sample_inputs);
  json_begin(j, "objects", '[');
  for (size_t i = 0; i < info->object_count; i++) {
    json_begin(j, NULL, '{');
    json_text(j, "name", info->objects[i].name);
    json_text(j, "record", info->objects[i].record);
    json_text(j, "class", info->objects[i].class_name);
    json_count(j, "bytes", info->objects[i].bytes);
    json_end(j, '}');
  }
  json_end(j, ']');
}

bool inspect_json(const struct view *v, const char *path, size_t one) {
  const mxq_reader *reader = v->reader;
  struct mxq_archive_info info = v->info;
  struct json j = {.f = stdout};
  uint64_t bytes = 0, tables = 0;
  inspect_json_begin(&j, path, mxq_container_name(mxq_reader_container(reader)));
  if (mxq_reader_container(reader) == MXQ_PT2) {
    json_text(&j, "root", info.root);
    json_text(&j, "tool", info.tool);
    json_text(&j, "torch_version", info.torch_version);
    json_count(&j, "members", info.members);
    json_flag(&j, "weights", info.weights);
    json_flag(&j, "manifest", info.has_manifest);
    json_flag(&j, "digests", info.has_digests);
    json_flag(&j, "resaved", info.resaved);
    json_flag(&j, "index", info.has_index);
    archive(&j, &info);
  }
  json_begin(&j, "metadata", '{');
  for (size_t i = 0; i < mxq_reader_metadata_count(reader); i++) {
    const char *key, *value;
    mxq_reader_metadata(reader, i, &key, &value);
    json_text(&j, key, value);
  }
  json_end(&j, '}');
  json_begin(&j, "tensors", '[');
  for (size_t i = 0; i < mxq_reader_count(reader); i++) {
    const struct mxq_tensor *t = mxq_reader_tensor(reader, i);
    if (one != SIZE_MAX ? i != one : !is_users(reader, t)) {
      tables += one == SIZE_MAX;
      continue;
    }
    bytes += t->bytes;
    tensor(&j, v, i);
  }
  json_end(&j, ']');
  if (v->program && one == SIZE_MAX && !program(&j, v->program))
    return false;
  if (tables)
    json_count(&j, "program_tables", tables);
  json_count(&j, "tensor_bytes", bytes);
  json_count(&j, "bytes", mxq_reader_file_bytes(reader));
  json_end(&j, '}');
  putchar('\n');
  return true;
}
