/* SPDX-License-Identifier: MIT */
/* The records of tensors that come back: those that they had, where that is possible. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "lib/base/fail.h"

/* Zeroes that a record may hold where no tensor lies, besides as many bytes as its tensors have. */
enum { MOST_NOTHING = 64 << 10 };

static int by_record(const void *a, const void *b, void *user) {
  const struct mxq_pt2_edit *e = user;
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  int c = strcmp(e->items[x].record[0], e->items[y].record[0]);
  if (c)
    return c;
  if (e->items[x].at != e->items[y].at)
    return e->items[x].at < e->items[y].at ? -1 : 1;
  return (x > y) - (x < y);
}

/* A name up to its first slash, in lower case, into `folded`: no two records may differ in case only, and none be a folder of others. */
static enum mxq_names_put fold(struct mxq_arena *arena, struct mxq_names *folded, const char *name, size_t n) {
  const char *slash = memchr(name, '/', n);
  uint32_t number = 0;
  char *copy = mxq_arena_text(arena, name, slash ? (size_t)(slash - name) : n);
  for (char *c = copy; c && *c; c++)
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c | 0x20);
  return copy ? mxq_names_put(folded, copy, strlen(copy), &number) : MXQ_NAMES_NOMEM;
}

static bool fold_members(struct mxq_pt2_edit *e, struct mxq_names *folded) {
  static const char folder[] = "/data/weights/";
  size_t before = e->reader->root_len + sizeof folder - 1;
  for (size_t i = 0; i < mxq_zip_count(e->reader->zip); i++) {
    const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, i);
    if (m->name_len > before && memcmp(m->name + e->reader->root_len, folder, sizeof folder - 1) == 0 &&
        fold(&e->plan_arena, folded, m->name + before, m->name_len - before) == MXQ_NAMES_NOMEM)
      return false;
  }
  return true;
}

/* Whether a record may have that name: that of one that stays (*base), or one that nothing has. */
static bool usable(struct mxq_pt2_edit *e, const char *record, struct mxq_names *folded, uint32_t *base, bool *nomem) {
  size_t n = strlen(record);
  *base = MXQ_NO_NUMBER;
  if (n == 0 || n >= 256 || strchr(record, '/') || strchr(record, '\\') || strcmp(record, ".") == 0 || strcmp(record, "..") == 0)
    return false;
  for (const char *c = record; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7F)
      return false;
  size_t member = mxq_pt2_member(e->reader, "/data/weights/", record, n);
  if (member != SIZE_MAX) {
    *base = (uint32_t)member;
    return true;
  }
  enum mxq_names_put put = fold(&e->plan_arena, folded, record, n);
  *nomem |= put == MXQ_NAMES_NOMEM;
  return put != MXQ_NAMES_NOMEM && put != MXQ_NAMES_THERE;
}

/* Whether a record that stays has room for these items: within it, and where nothing else lies that stays. */
static bool fits_into(const struct mxq_pt2_edit *e, uint32_t base, const uint32_t *order, size_t n) {
  const struct mxq_pt2_reader *r = e->reader;
  const struct mxq_pt2_edit_item *last = &e->items[order[n - 1]];
  unsigned scalar = mxq_dtype_bits(last->t.dtype) / 8;
  if (r->model_count > 1) /* nobody knows here where the other programs' tensors lie in it */
    return false;
  if (r->record_dtype[base] != last->t.dtype || last->at * scalar + last->t.bytes > mxq_zip_member(r->zip, base)->size)
    return false;
  for (uint32_t i = 0; i < r->stored_count; i++) {
    const struct mxq_pt2_stored *s = &r->stored[i];
    if (e->gone[i] || s->member != base || s->elements == 0)
      continue;
    uint64_t end = s->offset + s->elements; /* without strides */
    if (s->strides) {
      end = s->offset + 1;
      for (uint32_t a = 0; a < s->ndim; a++)
        end += (s->shape[a] - 1) * (uint64_t)s->strides[a];
    }
    for (size_t k = 0; k < n; k++) {
      const struct mxq_pt2_edit_item *item = &e->items[order[k]];
      if (item->at < end && s->offset < item->at + item->t.elements)
        return false;
    }
  }
  return true;
}

/* Whether items [0, n) can lie in one record as they did: one dtype, nothing overlaps; a new record is not mostly nothing. */
static bool fits(const struct mxq_pt2_edit *e, uint32_t base, const uint32_t *order, size_t n) {
  uint64_t end = 0, bytes = 0;
  for (size_t i = 0; i < n; i++) {
    const struct mxq_pt2_edit_item *item = &e->items[order[i]];
    unsigned scalar = mxq_dtype_bits(item->t.dtype) / 8;
    if (item->t.dtype != e->items[order[0]].t.dtype || item->at > (uint64_t)INT64_MAX / 16 || item->at * scalar < end)
      return false;
    end = item->at * scalar + item->t.bytes;
    bytes += item->t.bytes;
  }
  return base == MXQ_NO_NUMBER ? end / 2 <= bytes + MOST_NOTHING : fits_into(e, base, order, n);
}

static void share(struct mxq_pt2_edit *e, uint32_t base, const uint32_t *order, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct mxq_pt2_edit_item *item = &e->items[order[i]];
    item->at *= mxq_dtype_bits(item->t.dtype) / 8;
    item->follows = i > 0;
    item->next = i + 1 < n ? order[i + 1] : MXQ_NO_NUMBER;
    item->record[0] = e->items[order[0]].record[0];
    item->base = base;
    e->items[order[0]].record_bytes = item->at + item->t.bytes;
  }
  if (base != MXQ_NO_NUMBER) {
    e->items[order[0]].place = base;
    e->items[order[0]].record_bytes = mxq_zip_member(e->reader->zip, base)->size;
  }
}

/* A record of its own, with a name that neither the archive nor any tensor that comes back has. */
static enum mxq_status alone(struct mxq_pt2_edit *e, struct mxq_pt2_edit_item *item, struct mxq_names *taken, struct mxq_names *folded, uint64_t *next,
                             struct mxq_error *err) {
  for (;;) {
    char name[40];
    uint32_t number = 0;
    int n = snprintf(name, sizeof name, "weight_%llu", (unsigned long long)(*next)++);
    const char *copy = mxq_arena_text(&e->plan_arena, name, (size_t)n);
    enum mxq_names_put put = copy ? mxq_names_put(taken, copy, (size_t)n, &number) : MXQ_NAMES_NOMEM;
    if (put != MXQ_NAMES_NOMEM && put != MXQ_NAMES_THERE)
      put = mxq_names_put(folded, copy, (size_t)n, &number);
    if (put == MXQ_NAMES_NOMEM)
      return mxq_fail_nomem(err, e->reader->base.path);
    if (put == MXQ_NAMES_THERE)
      continue;
    item->record[0] = copy;
    item->at = 0;
    item->record_bytes = item->t.bytes;
    item->follows = false;
    item->next = item->base = MXQ_NO_NUMBER;
    return MXQ_OK;
  }
}

enum mxq_status mxq_pt2_restore_records(struct mxq_pt2_edit *e, struct mxq_error *err) {
  struct mxq_names taken = {0}, folded = {0};
  uint64_t next = mxq_pt2_edit_next_record(e, "data/weights/", "weight_");
  uint32_t *order = malloc((e->count + 1) * sizeof *order);
  enum mxq_status status = order ? MXQ_OK : mxq_fail_nomem(err, e->reader->base.path);
  for (uint32_t i = 0; i < e->count && status == MXQ_OK; i++) {
    uint32_t number = i;
    order[i] = i;
    if (mxq_names_put(&taken, e->items[i].record[0], strlen(e->items[i].record[0]), &number) == MXQ_NAMES_NOMEM)
      status = mxq_fail_nomem(err, e->reader->base.path);
  }
  bool nomem = status == MXQ_OK && !fold_members(e, &folded);
  if (status == MXQ_OK && e->count)
    qsort_r(order, e->count, sizeof *order, by_record, e);
  for (size_t i = 0, n; i < e->count && status == MXQ_OK && !nomem; i += n) {
    const char *record = e->items[order[i]].record[0];
    for (n = 1; i + n < e->count && strcmp(e->items[order[i + n]].record[0], record) == 0;)
      n++;
    uint32_t base;
    if (usable(e, record, &folded, &base, &nomem) && fits(e, base, order + i, n))
      share(e, base, order + i, n);
    else
      for (size_t k = 0; k < n && status == MXQ_OK; k++)
        status = alone(e, &e->items[order[i + k]], &taken, &folded, &next, err);
  }
  if (status == MXQ_OK && nomem)
    status = mxq_fail_nomem(err, e->reader->base.path);
  free(order);
  mxq_names_free(&folded);
  mxq_names_free(&taken);
  return status;
}
