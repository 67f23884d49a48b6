/* SPDX-License-Identifier: MIT */
#include "tools/inspect_view.h"

#include <stdlib.h>
#include <string.h>

/* ---- tensors over the same bytes ---- */

static int compare_numbers(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

/* 0: the same view of the same bytes. */
static int compare_views(const struct mxq_tensor *a, const struct mxq_tensor *b) {
  int c = compare_numbers(a->storage, b->storage);
  if (c == 0)
    c = (a->bytes != 0) - (b->bytes != 0);
  if (c == 0)
    c = compare_numbers(a->format, b->format);
  if (c == 0 && a->format != MXQ_FORMAT_NONE && a->codes_name && b->codes_name)
    c = strcmp(a->codes_name, b->codes_name);
  if (c == 0)
    c = compare_numbers(a->storage_offset, b->storage_offset);
  if (c == 0)
    c = compare_numbers(a->dtype, b->dtype);
  if (c == 0)
    c = compare_numbers(a->ndim, b->ndim);
  for (uint32_t i = 0; c == 0 && i < a->ndim; i++)
    c = compare_numbers(a->shape[i], b->shape[i]);
  if (c == 0)
    c = (a->strides != NULL) - (b->strides != NULL);
  for (uint32_t i = 0; c == 0 && a->strides && i < a->ndim; i++)
    c = compare_numbers((uint64_t)a->strides[i], (uint64_t)b->strides[i]);
  return c;
}

static int by_view(const void *a, const void *b, void *reader) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  int c = compare_views(mxq_reader_tensor(reader, x), mxq_reader_tensor(reader, y));
  return c ? c : compare_numbers(x, y);
}

/* What has no bytes shares none. */
static bool same_bytes(const struct mxq_tensor *a, const struct mxq_tensor *b) { return a->storage == b->storage && a->bytes && b->bytes; }

static bool nothing_shared(const mxq_reader *reader) {
  for (size_t i = 1; i < mxq_reader_count(reader); i++)
    if (mxq_reader_tensor(reader, i)->storage <= mxq_reader_tensor(reader, i - 1)->storage)
      return false;
  return true;
}

static bool group(struct view *v) {
  size_t n = mxq_reader_count(v->reader);
  if (nothing_shared(v->reader))
    return true;
  uint32_t *block = malloc(5 * n * sizeof *block);
  if (!block)
    return false;
  v->order = block;
  v->place = block + n;
  v->group = block + 2 * n;
  v->run = block + 3 * n;
  v->run_end = block + 4 * n;
  for (uint32_t i = 0; i < n; i++)
    v->order[i] = i;
  qsort_r(v->order, n, sizeof *v->order, by_view, v->reader);
  for (uint32_t k = 0, g = 0, r = 0; k < n; k++) {
    const struct mxq_tensor *t = mxq_reader_tensor(v->reader, v->order[k]);
    const struct mxq_tensor *before = k ? mxq_reader_tensor(v->reader, v->order[k - 1]) : NULL;
    bool shares = before && same_bytes(before, t);
    if (!shares)
      g = k;
    if (!shares || compare_views(before, t) != 0)
      r = k;
    v->place[v->order[k]] = k;
    v->group[k] = g;
    v->run[k] = r;
    v->run_end[r] = k + 1; /* of the others it is copied below */
  }
  for (size_t k = 0; k < n; k++)
    v->run_end[k] = v->run_end[v->run[k]];
  return true;
}

size_t view_tied(const struct view *v, size_t i, uint32_t others[VIEW_OTHERS]) {
  size_t count = 0;
  if (!v->place)
    return 0;
  uint32_t k = v->place[i];
  for (uint32_t o = v->run[k]; o < v->run_end[k] && count < VIEW_OTHERS; o++)
    if (o != k)
      others[count++] = v->order[o];
  return count;
}

size_t view_sharing(const struct view *v, size_t i, uint32_t others[VIEW_OTHERS]) {
  size_t n = mxq_reader_count(v->reader), count = 0;
  if (!v->place)
    return 0;
  uint32_t k = v->place[i], g = v->group[k];
  for (uint32_t o = g; o < n && v->group[o] == g && count < VIEW_OTHERS;) {
    if (v->run[o] == v->run[k]) {
      o = v->run_end[o];
      continue;
    }
    others[count++] = v->order[o++];
  }
  return count;
}

void view_strides(const struct mxq_tensor *t, int64_t strides[MXQ_MAX_NDIM]) {
  const int64_t *stated = t->stored_strides ? t->stored_strides : t->strides;
  uint64_t step = 1;
  for (uint32_t i = t->ndim; i-- > 0;) {
    strides[i] = stated ? stated[i] : (int64_t)step;
    if (!stated)
      step *= t->shape[i] ? t->shape[i] : 1;
  }
}

/* ---- the program ---- */

static int by_target(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int by_count(const void *a, const void *b) {
  const struct view_operator *x = a, *y = b;
  int c = compare_numbers(y->count, x->count);
  return c ? c : strcmp(x->target, y->target);
}

struct view_operator *view_count_texts(const char **texts, size_t n, size_t *count) {
  size_t used = 0;
  struct view_operator *list = malloc((n + 1) * sizeof *list);
  if (!list)
    return NULL;
  qsort(texts, n, sizeof *texts, by_target);
  for (size_t i = 0; i < n; i++) {
    if (used == 0 || strcmp(list[used - 1].target, texts[i]) != 0)
      list[used++] = (struct view_operator){.target = texts[i]};
    list[used - 1].count++;
  }
  qsort(list, used, sizeof *list, by_count);
  *count = used;
  return list;
}

struct view_operator *view_operators(const mxq_program *program, size_t *count) {
  size_t n;
  const struct mxq_operator *ops = mxq_program_operators(program, &n);
  const char **targets = malloc((n + 1) * sizeof *targets);
  for (size_t i = 0; targets && i < n; i++)
    targets[i] = ops[i].target;
  struct view_operator *list = targets ? view_count_texts(targets, n, count) : NULL;
  free(targets);
  return list;
}

const char *view_use_name(enum mxq_use_kind kind) {
  switch (kind) {
  case MXQ_USE_OTHER: break;
  case MXQ_USE_CONTRACTS: return "contracts";
  case MXQ_USE_LOOKS_UP: return "looks-up";
  case MXQ_USE_WRITES: return "writes";
  case MXQ_USE_RETURNS: return "returns";
  }
  return "other";
}

enum mxq_status view_open(struct view *v, mxq_reader *reader, struct mxq_error *err) {
  *v = (struct view){.reader = reader};
  mxq_reader_archive_info(reader, &v->info);
  if (mxq_reader_container(reader) != MXQ_PT2)
    return MXQ_OK;
  if (!group(v)) {
    *err = (struct mxq_error){.code = MXQ_ERR_NOMEM, .offset = MXQ_NO_OFFSET, .text = "out of memory"};
    return MXQ_ERR_NOMEM;
  }
  return v->info.weights ? MXQ_OK : mxq_reader_program(reader, &v->program, err);
}

void view_close(struct view *v) { free(v->order); }
