/* SPDX-License-Identifier: MIT */
/* Which records nothing refers to any more: tensors may share them, also between the programs of one archive. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "lib/base/fail.h"

/* The record that an entry of another program's config names. */
static enum mxq_status keep_entry(struct mxq_pt2_edit *e, const char *text, struct mxq_span entry, const char *folder, struct mxq_error *err) {
  struct mxq_span value = entry, path;
  uint32_t behind;
  struct mxq_arena arena = {0};
  enum mxq_status status = MXQ_OK;
  if (!mxq_pt2_key(&arena, text, entry, &behind)) {
    mxq_arena_free(&arena);
    return mxq_fail_nomem(err, e->reader->base.path);
  }
  mxq_arena_free(&arena);
  while (text[behind] != '{')
    behind++;
  value.n -= behind - value.at;
  value.at = behind;
  if (!mxq_pt2_field(text, value, "path_name", &path))
    return mxq_fail_nomem(err, e->reader->base.path);
  mxq_json *json;
  const char *s;
  size_t n;
  if (path.n == 0)
    return MXQ_OK;
  status = mxq_json_open(text + path.at, path.n, 0, &json, err);
  if (status != MXQ_OK)
    return status;
  if (mxq_json_next(json, &s, &n) == MXQ_JSON_STRING) {
    size_t member = mxq_pt2_member(e->reader, folder, s, n);
    if (member != SIZE_MAX)
      e->dropped[member] = false;
  }
  mxq_json_close(json);
  return MXQ_OK;
}

static enum mxq_status keep_config(struct mxq_pt2_edit *e, size_t member, const char *folder, struct mxq_error *err) {
  struct mxq_pt2_config_text c = {0};
  struct mxq_error local;
  char *text;
  size_t n;
  enum mxq_status status = mxq_pt2_load(e->reader, member, &text, &n, err);
  /* What is no JSON object is no config, and nobody can load a tensor through it. */
  if (status == MXQ_OK && (mxq_json_check(text, n, &local) != MXQ_OK || text[strspn(text, " \t\r\n")] != '{')) {
    free(text);
    return MXQ_OK;
  }
  if (status == MXQ_OK)
    status = mxq_pt2_config_index(&c, text, n, err);
  for (size_t i = 0; i < c.count && status == MXQ_OK; i++)
    status = keep_entry(e, text, c.entries[i].span, folder, err);
  mxq_pt2_config_free(&c);
  free(text);
  return status;
}

static bool has_ending(const char *s, size_t n, const char *ending) {
  size_t k = strlen(ending);
  return n > k && memcmp(s + n - k, ending, k) == 0;
}

static bool is_in(const struct mxq_pt2_reader *r, const struct mxq_zip_member *m, const char *folder) {
  size_t before = r->root_len, f = strlen(folder);
  return m->name_len > before + f && memcmp(m->name + before, folder, f) == 0;
}

enum mxq_status mxq_pt2_edit_drop(struct mxq_pt2_edit *e, struct mxq_error *err) {
  const struct mxq_pt2_reader *r = e->reader;
  bool some = false;
  for (uint32_t i = 0; i < r->stored_count; i++)
    if (e->gone[i])
      some = e->dropped[r->stored[i].member] = true;
  for (uint32_t i = 0; i < r->stored_count; i++)
    if (!e->gone[i])
      e->dropped[r->stored[i].member] = false;
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < mxq_zip_count(r->zip) && some && status == MXQ_OK; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(r->zip, i);
    if (i == e->weights.member || i == e->constants.member)
      continue;
    if (is_in(r, m, "/data/weights/") && has_ending(m->name, m->name_len, "_weights_config.json"))
      status = keep_config(e, i, "/data/weights/", err);
    else if (is_in(r, m, "/data/constants/") && has_ending(m->name, m->name_len, "_constants_config.json"))
      status = keep_config(e, i, "/data/constants/", err);
  }
  return status;
}
