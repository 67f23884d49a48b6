/* SPDX-License-Identifier: MIT */
#include "tools/whole.h"

#include <stdlib.h>
#include <string.h>

/* JSON is checked in memory: larger documents are no headers of anything. */
#define MOST_JSON ((uint64_t)1 << 30)

static enum mxq_status fail(struct mxq_error *err, enum mxq_status code, const char *path, const char *text) {
  *err = (struct mxq_error){.code = code, .offset = MXQ_NO_OFFSET};
  snprintf(err->subject, sizeof err->subject, "%s", path);
  snprintf(err->text, sizeof err->text, "%s", text);
  return code;
}

static void count_entry(void *user, const struct mxq_zip_entry *entry) {
  struct whole *w = user;
  w->members++;
  if (w->on_entry)
    w->on_entry(w->user, entry);
}

static enum mxq_status check_json(const char *path, const struct mxq_source *source, struct mxq_error *err) {
  if (source->size > MOST_JSON)
    return fail(err, MXQ_ERR_LIMIT, path, "the file has more than 1 GiB, which no JSON document read here has");
  char *text = malloc((size_t)source->size + 1);
  if (!text)
    return fail(err, MXQ_ERR_NOMEM, path, "out of memory");
  enum mxq_status status = source->read_at(source->ctx, 0, text, (size_t)source->size, err);
  if (status == MXQ_OK)
    status = mxq_json_check(text, (size_t)source->size, err);
  free(text);
  return status;
}

enum mxq_status whole_check(const char *path, enum as as, struct whole *w, struct mxq_error *err) {
  struct mxq_source source = {0};
  enum mxq_status status = mxq_source_open_file(path, &source, err);
  if (status != MXQ_OK)
    return status;
  w->bytes = source.size;
  status = as == AS_ZIP ? mxq_zip_scan(&source, NULL, count_entry, w, err) : check_json(path, &source, err);
  mxq_source_close(&source);
  return status;
}

struct mxq_read_options whole_read_options(const struct args *args) {
  static const enum mxq_container containers[] = {[AS_NPY] = MXQ_NPY, [AS_SAFETENSORS] = MXQ_SAFETENSORS, [AS_PT2] = MXQ_PT2};
  return (struct mxq_read_options){.container = containers[args->as], .model = args->model};
}
