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
static size_t model_name(size_t root, const struct mxq_zip_member *m) {
  size_t f = root + strlen(folder), e = strlen(ending);
  if (m->directory || m->name_len <= f + e || memcmp(m->name + root, folder, strlen(folder)) != 0 ||
      memcmp(m->name + m->name_len - e, ending, e) != 0)
    return 0;
  return m->name_len - f - e;
}

bool mxq_pt2_model_names(const mxq_zip *zip, size_t root, struct mxq_arena *arena, const char ***names, size_t *count) {
  size_t members = mxq_zip_count(zip), all = 0, used = 0;
  for (size_t i = 0; i < members; i++)
    all += model_name(root, mxq_zip_member(zip, i)) != 0;
  const char **list = mxq_arena_calloc(arena, all + 1, sizeof *list);
  for (size_t i = 0; list && i < members; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(zip, i);
    size_t n = model_name(root, m);
    if (n == 0)
      continue;
    list[used] = mxq_arena_text(arena, m->name + root + strlen(folder), n);
    if (!list[used++])
      return false;
  }
  *names = list;
  *count = all;
  return list != NULL;
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
  if (!mxq_pt2_model_names(r->zip, r->root_len, &r->base.arena, &r->models, &r->model_count))
    return mxq_fail_nomem(err, r->base.path);
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
