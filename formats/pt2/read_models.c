/* SPDX-License-Identifier: MIT */
/* An archive may hold several programs (torch.export.pt2_archive): each has its own model.json, configs and sample inputs under its name. */
#include <stdio.h>
#include <string.h>

#include "formats/pt2/pt2.h"
#include "lib/base/fail.h"

static const char folder[] = "/models/", ending[] = ".json";

size_t mxq_pt2_model_member(const struct mxq_pt2_reader *r, const char *before, const char *after) {
  char record[4096]; /* members with longer names are refused */
  size_t n = strlen(r->model), m = strlen(after);
  if (n >= sizeof record || m >= sizeof record - n)
    return SIZE_MAX;
  memcpy(record, r->model, n);
  memcpy(record + n, after, m);
  return mxq_pt2_member(r, before, record, n + m);
}

/* The length of the program's name when member m is one, else 0. */
static size_t model_name(const struct mxq_pt2_reader *r, const struct mxq_zip_member *m) {
  size_t f = r->root_len + strlen(folder), e = strlen(ending);
  if (m->directory || m->name_len <= f + e || memcmp(m->name + r->root_len, folder, strlen(folder)) != 0 ||
      memcmp(m->name + m->name_len - e, ending, e) != 0)
    return 0;
  return m->name_len - f - e;
}

static enum mxq_status list(struct mxq_pt2_reader *r, struct mxq_error *err) {
  size_t count = mxq_zip_count(r->zip), used = 0;
  for (size_t i = 0; i < count; i++)
    r->model_count += model_name(r, mxq_zip_member(r->zip, i)) != 0;
  r->models = mxq_arena_calloc(&r->base.arena, r->model_count + 1, sizeof *r->models);
  if (!r->models)
    return mxq_fail_nomem(err, r->base.path);
  for (size_t i = 0; i < count; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    size_t n = model_name(r, m);
    if (n == 0)
      continue;
    r->models[used] = mxq_arena_text(&r->base.arena, m->name + r->root_len + strlen(folder), n);
    if (!r->models[used++])
      return mxq_fail_nomem(err, r->base.path);
  }
  return MXQ_OK;
}

/* "encoder, decoder and 3 more" */
static const char *names(const struct mxq_pt2_reader *r, char *buf, size_t size) {
  enum { SHOWN = 5 };
  size_t used = 0, shown = r->model_count > SHOWN + 1 ? SHOWN : r->model_count;
  for (size_t i = 0; i < shown; i++)
    used += (size_t)snprintf(buf + used, size - used, "%s%.*s%s", i ? ", " : "", 40, r->models[i], strlen(r->models[i]) > 40 ? "..." : "");
  if (shown < r->model_count)
    snprintf(buf + used, size - used, " and %zu more", r->model_count - shown);
  return buf;
}

enum mxq_status mxq_pt2_models(struct mxq_pt2_reader *r, struct mxq_error *err) {
  const char *wanted = r->base.options.model;
  char all[400];
  enum mxq_status status = list(r, err);
  if (status != MXQ_OK)
    return status;
  for (size_t i = 0; i < r->model_count; i++)
    if (strcmp(r->models[i], wanted ? wanted : "model") == 0)
      r->model = r->models[i];
  if (r->model)
    return MXQ_OK;
  if (r->model_count == 0)
    return mxq_fail(err, MXQ_ERR_UNSUPPORTED, r->base.path, "the archive holds no program (no record models/model.json); torch.export.save writes one");
  if (wanted)
    return mxq_fail(err, MXQ_ERR_USAGE, r->base.path, "there is no program '%.60s'; the archive holds %s", wanted, names(r, all, sizeof all));
  return mxq_fail(err, MXQ_ERR_UNSUPPORTED, r->base.path, "the archive holds the program%s %s, and none called model; --model NAME picks one",
                  r->model_count == 1 ? "" : "s", names(r, all, sizeof all));
}
