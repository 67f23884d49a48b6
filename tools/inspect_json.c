/* SPDX-License-Identifier: MIT */
#include "tools/inspect_json.h"

#include <inttypes.h>

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

static void extent(struct json *j, const char *key, const struct mxq_extent *e) {
  if (e->size == 0)
    return;
  json_begin(j, key, '{');
  json_count(j, "offset", e->offset);
  json_count(j, "size", e->size);
  json_end(j, '}');
}

static void tensor(struct json *j, const struct mxq_tensor *t) {
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
    json_text(j, "scale_rule", t->scale_rule);
    json_text(j, "compat", t->compat);
    json_text(j, "round", t->round);
    json_text(j, "neg_zero", t->neg_zero);
    json_text(j, "nonfinite", t->nonfinite);
    json_text(j, "source_dtype", mxq_dtype_name(t->dtype));
    json_text(j, "codes_name", t->codes_name);
    json_text(j, "scales_name", t->scales_name);
    extent(j, "codes", &t->part[0]);
    extent(j, "scales", &t->part[1]);
  } else {
    json_flag(j, "contiguous", t->strides == NULL);
    extent(j, "data", &t->part[0]);
  }
  json_end(j, '}');
}

void inspect_json(const mxq_reader *reader, const char *path, size_t one) {
  struct json j = {.f = stdout};
  struct mxq_archive_info info = {0};
  uint64_t bytes = 0, tables = 0;
  mxq_reader_archive_info(reader, &info);
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
    tensor(&j, t);
  }
  json_end(&j, ']');
  if (tables)
    json_count(&j, "program_tables", tables);
  json_count(&j, "tensor_bytes", bytes);
  json_count(&j, "bytes", mxq_reader_file_bytes(reader));
  json_end(&j, '}');
  putchar('\n');
}
