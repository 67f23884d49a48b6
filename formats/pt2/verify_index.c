/* SPDX-License-Identifier: MIT */
/* The index must be what would be written for these tensors. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/verify.h"
#include "lib/base/fail.h"

enum mxq_status mxq_pt2_index_begin(struct mxq_pt2_check *c) {
  const struct mxq_zip_member *first = mxq_zip_member(c->zip, 0);
  size_t root = strcspn(first->name, "/") + 1, n = root + strlen(MXQ_INDEX_MEMBER);
  char *name = mxq_arena_alloc(&c->arena, n + 1);
  if (!name)
    return mxq_fail_nomem(c->err, c->path);
  memcpy(name, first->name, root);
  strcpy(name + root, MXQ_INDEX_MEMBER);
  c->index_member = mxq_zip_find(c->zip, name, n);
  if (c->index_member == SIZE_MAX)
    return MXQ_OK;
  size_t all = 0;
  for (size_t r = 0; r < c->reader_count; r++)
    all += c->readers[r]->count;
  c->lines = calloc(all + 1, sizeof *c->lines);
  c->begin = calloc(c->reader_count + 1, sizeof *c->begin);
  if (!c->lines || !c->begin)
    return mxq_fail_nomem(c->err, c->path);
  for (size_t r = 0; r < c->reader_count; r++) {
    for (size_t i = 0; i < c->readers[r]->count; i++) {
      const struct mxq_tensor *t = &c->readers[r]->tensors[i];
      bool mx = t->format != MXQ_FORMAT_NONE;
      if (t->elements && (t->part[0].size == 0 || (mx && t->part[1].size == 0)))
        continue;
      c->lines[c->line_count++] = (struct mxq_index_line){.tensor = t, .part = {t->part[0], mx ? t->part[1] : (struct mxq_extent){0, 0}}};
    }
    c->begin[r + 1] = c->line_count;
  }
  c->crcs = mxq_index_crcs_new(c->lines, c->line_count, c->out, mxq_zip_count(c->zip));
  return c->crcs ? MXQ_OK : mxq_fail_nomem(c->err, c->path);
}

/* The number of the first line that differs, from 1, and where it begins. */
static size_t differing_line(const char *a, size_t a_n, const char *b, size_t b_n, size_t *at) {
  size_t line = 1;
  *at = 0;
  for (size_t i = 0; i < a_n && i < b_n && a[i] == b[i]; i++)
    if (a[i] == '\n') {
      line++;
      *at = i + 1;
    }
  return line;
}

/* Compares the index with what one program's tensors give; *line is the first that differs, 0: none. */
static enum mxq_status compare(struct mxq_pt2_check *c, size_t program, const char *data, size_t n, size_t *line, size_t *at) {
  struct mxq_text text = {0};
  struct mxq_index_line *lines = c->lines + c->begin[program];
  size_t count = c->begin[program + 1] - c->begin[program];
  mxq_index_sort(lines, count);
  for (size_t i = 0; i < count; i++)
    mxq_index_line(&text, &lines[i]);
  enum mxq_status status = text.failed ? mxq_fail_nomem(c->err, c->path) : MXQ_OK;
  *line = 0;
  if (status == MXQ_OK && (n != text.size || (n && memcmp(data, text.data, n))))
    *line = differing_line(data, n, text.data ? text.data : "", text.size, at);
  mxq_text_free(&text);
  return status;
}

/* An archive with several programs has the index of the one that was converted. */
enum mxq_status mxq_pt2_index_end(struct mxq_pt2_check *c) {
  if (!c->crcs)
    return MXQ_OK;
  const struct mxq_zip_member *m = mxq_zip_member(c->zip, c->index_member);
  char *data = NULL;
  size_t n = 0, at = 0, line = 0;
  bool fits = false;
  mxq_index_crcs_fill(c->crcs, c->out, mxq_zip_count(c->zip));
  enum mxq_status status = mxq_zip_load(c->zip, c->index_member, UINT64_MAX, &data, &n, c->err);
  for (size_t r = 0; r < c->reader_count && status == MXQ_OK && !fits; r++) {
    size_t differs = 0, where = 0;
    status = compare(c, r, data, n, &differs, &where);
    fits = status == MXQ_OK && differs == 0;
    if (!fits && r == 0) {
      line = differs;
      at = where;
    }
  }
  if (status == MXQ_OK && !fits && c->all_open)
    mxq_pt2_find(c, MXQ_ERR_DAMAGED, m->name, m->data_offset + at, "line %zu of the index is not what the archive's tensors give", line);
  free(data);
  return status == MXQ_ERR_DAMAGED || status == MXQ_ERR_MALFORMED ? MXQ_OK : status; /* found with the member */
}

void mxq_pt2_index_free(struct mxq_pt2_check *c) {
  mxq_index_crcs_free(c->crcs);
  free(c->lines);
  free(c->begin);
}
