/* SPDX-License-Identifier: MIT */
/* The plan of an edited program: texts that change, members in their order, lines of the index. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/reorder.h"
#include "formats/pt2/restore.h"
#include "lib/base/fail.h"

static bool is(const char *s, size_t n, const char *word) { return n == strlen(word) && memcmp(s, word, n) == 0; }

/* ---- the texts ---- */

static enum mxq_status load_config(struct mxq_pt2_edit *e, const char *folder, const char *ending, struct mxq_pt2_edit_text *t,
                                   struct mxq_pt2_config_text *index, struct mxq_error *err) {
  struct mxq_text record = {0};
  mxq_text_addf(&record, "%s%s", e->reader->model, ending);
  if (record.failed)
    return mxq_fail_nomem(err, e->reader->base.path);
  t->member = mxq_pt2_member(e->reader, folder, record.data, record.size);
  mxq_text_free(&record);
  enum mxq_status status = mxq_pt2_load(e->reader, t->member, &t->text, &t->n, err);
  return status == MXQ_OK ? mxq_pt2_config_index(index, t->text, t->n, err) : status;
}

static enum mxq_status finish(struct mxq_pt2_edit *e, struct mxq_pt2_edit_text *t, struct mxq_error *err) {
  return mxq_pt2_splice_finish(&t->splices, t->n, &t->edited) ? MXQ_OK : mxq_fail_nomem(err, e->reader->base.path);
}

static enum mxq_status edit_texts(struct mxq_pt2_edit *e, struct mxq_error *err) {
  e->gone = calloc(e->reader->stored_count + 1, sizeof *e->gone);
  e->dropped = calloc(mxq_zip_count(e->reader->zip) + 1, sizeof *e->dropped);
  if (!e->gone || !e->dropped)
    return mxq_fail_nomem(err, e->reader->base.path);
  e->model.n = e->program->size;
  e->model.member = mxq_zip_find(e->reader->zip, e->program->member, strlen(e->program->member));
  enum mxq_status status = load_config(e, "/data/weights/", "_weights_config.json", &e->weights, &e->weights_index, err);
  if (status == MXQ_OK)
    status = load_config(e, "/data/constants/", "_constants_config.json", &e->constants, &e->constants_index, err);
  if (status == MXQ_OK && e->back_count) {
    status = mxq_pt2_restore(e, err);
  } else if (status == MXQ_OK) {
    status = mxq_pt2_edit_name(e, err);
    if (status == MXQ_OK)
      status = mxq_pt2_edit_graph(e, err);
    if (status == MXQ_OK)
      status = mxq_pt2_edit_configs(e, err);
    if (status == MXQ_OK)
      status = mxq_pt2_edit_manifest(e, err);
  }
  if (status == MXQ_OK)
    status = mxq_pt2_edit_drop(e, err);
  if (status == MXQ_OK)
    status = finish(e, &e->model, err);
  if (status == MXQ_OK)
    status = finish(e, &e->weights, err);
  for (size_t i = 0; i < e->count && e->back_count && status == MXQ_OK; i++)
    if (e->items[i].base != MXQ_NO_NUMBER) { /* the item brings the record along */
      e->dropped[e->items[i].base] = true;
      status = mxq_pt2_check_member(e->reader, e->items[i].base, err);
    }
  return status == MXQ_OK ? finish(e, &e->constants, err) : status;
}

/* ---- the members ---- */

static enum mxq_status lay(struct mxq_pt2_edit *e, struct mxq_pt2_part part, uint64_t size, const char *folder, const char *record,
                           struct mxq_error *err) {
  struct mxq_text name = {0};
  mxq_text_addf(&name, "%s%s", folder, record);
  if (name.failed)
    return mxq_fail_nomem(err, e->reader->base.path);
  enum mxq_status status = mxq_pt2_out_add(&e->out, part, size, e->reader->root, e->reader->root_len, name.data, name.size, err);
  mxq_text_free(&name);
  if (part.origin == MXQ_FROM_CALLER)
    e->all += size;
  return status;
}

static enum mxq_status lay_item(struct mxq_pt2_edit *e, uint32_t number, struct mxq_error *err) {
  struct mxq_pt2_edit_item *item = &e->items[number];
  uint64_t size[2] = {item->record_bytes, 0};
  unsigned parts = item->back ? 1 : 2;
  if (item->follows)
    return MXQ_OK;
  if (!item->back && !mxq_sizes(item->t.format, item->t.rows, item->t.k, &size[0], &size[1]))
    return mxq_fail(err, MXQ_ERR_USAGE, item->t.name, "the tensor is too large"); /* refused when it was added */
  enum mxq_status status = MXQ_OK;
  for (unsigned p = 0; p < parts && status == MXQ_OK; p++) {
    struct mxq_pt2_part part = {.origin = MXQ_FROM_CALLER, .number = number, .sub = item->back ? MXQ_EDIT_RECORD : p ? MXQ_EDIT_SCALES : MXQ_EDIT_CODES};
    status = lay(e, part, size[p], "data/weights/", item->record[p], err);
    if (status == MXQ_OK)
      item->part[p] = (struct mxq_extent){e->out.members[e->out.member_count - 1].data_offset, size[p]};
  }
  uint64_t begin = item->part[0].offset;
  if (item->back && item->base != MXQ_NO_NUMBER && status == MXQ_OK)
    e->to[item->base] = e->out.member_count - 1;
  for (uint32_t i = item->back ? number : MXQ_NO_NUMBER; i != MXQ_NO_NUMBER; i = e->items[i].next)
    e->items[i].part[0] = (struct mxq_extent){begin + e->items[i].at, e->items[i].t.bytes};
  return status;
}

static enum mxq_status lay_tables(struct mxq_pt2_edit *e, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  for (size_t i = 0; i < e->device_count; i++)
    for (int t = 0; t < MXQ_TABLE_COUNT && status == MXQ_OK; t++) {
      if (!e->devices[i].fqn[t])
        continue;
      char *data = mxq_arena_alloc(&e->plan_arena, mxq_pt2_table_bytes(t));
      if (!data)
        return mxq_fail_nomem(err, e->reader->base.path);
      mxq_pt2_table_data(t, data);
      status = lay(e, (struct mxq_pt2_part){.origin = MXQ_FROM_TEXT, .text = data}, mxq_pt2_table_bytes(t), "data/constants/", e->devices[i].record[t], err);
    }
  return status;
}

struct mxq_pt2_edit_text *mxq_pt2_edited(struct mxq_pt2_edit *e, size_t member) {
  struct mxq_pt2_edit_text *texts[] = {&e->model, &e->weights, &e->constants};
  for (int i = 0; i < 3 && e->count; i++)
    if (texts[i]->member == member)
      return texts[i];
  return NULL;
}

static enum mxq_status lay_member(struct mxq_pt2_edit *e, size_t i, struct mxq_error *err) {
  const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, i);
  const struct mxq_pt2_edit_text *text = mxq_pt2_edited(e, i);
  const char *record = m->name + e->reader->root_len + 1;
  size_t n = m->name_len - e->reader->root_len - 1;
  struct mxq_pt2_part part = {.origin = MXQ_FROM_CALLER, .number = (uint32_t)i, .sub = MXQ_EDIT_COPY};
  uint64_t size = m->size;
  if (text) {
    part.sub = MXQ_EDIT_TEXT;
    size = text->edited;
  }
  if (e->count && i == e->constants.member) { /* where PyTorch puts constants: before their config */
    enum mxq_status status = lay_tables(e, err);
    if (status != MXQ_OK)
      return status;
  }
  e->to[i] = e->out.member_count;
  if (!text)
    e->all += size;
  return mxq_pt2_out_add(&e->out, part, size, m->name, e->reader->root_len, record, n, err);
}

static int by_place(const void *a, const void *b, void *user) {
  const struct mxq_pt2_edit *e = user;
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  uint32_t p = e->items[x].place, q = e->items[y].place;
  return p != q ? (p > q) - (p < q) : (x > y) - (x < y);
}

static enum mxq_status lay_all(struct mxq_pt2_edit *e, struct mxq_error *err) {
  size_t count = mxq_zip_count(e->reader->zip), next = 0, before = e->reader->root_len + 1;
  uint32_t *order = malloc((e->count + 1) * sizeof *order);
  enum mxq_status status = order ? MXQ_OK : mxq_fail_nomem(err, e->reader->base.path);
  for (uint32_t i = 0; i < e->count && order; i++)
    order[i] = i;
  if (order && e->count)
    qsort_r(order, e->count, sizeof *order, by_place, e);
  for (size_t i = 0; i < count && status == MXQ_OK; i++) {
    const struct mxq_zip_member *m = mxq_zip_member(e->reader->zip, i);
    e->to[i] = SIZE_MAX;
    if (m->directory || m->name_len <= before || is(m->name + before, m->name_len - before, MXQ_INDEX_MEMBER) ||
        is(m->name + before, m->name_len - before, MXQ_DIGESTS_MEMBER))
      continue;
    if (!e->count || !e->dropped[i])
      status = lay_member(e, i, err);
    for (; next < e->count && e->items[order[next]].place == i && status == MXQ_OK; next++)
      status = lay_item(e, order[next], err);
  }
  free(order);
  return status;
}

/* ---- the index ---- */

/* Where a stored tensor's values lie in the new file, in one piece; false when they do not. */
static bool place(const struct mxq_pt2_edit *e, uint32_t number, struct mxq_extent *to) {
  const struct mxq_pt2_stored *s = &e->reader->stored[number];
  size_t member = e->to[s->member];
  if (s->strides || member == SIZE_MAX)
    return false;
  uint64_t inside = s->bytes ? s->offset * (mxq_dtype_bits((enum mxq_dtype)s->dtype) / 8) : 0;
  *to = (struct mxq_extent){e->out.members[member].data_offset + inside, s->bytes};
  return true;
}

/* A line for each tensor whose bytes lie in one piece. */
static bool add_lines(struct mxq_pt2_edit *e) {
  const struct mxq_reader *base = &e->reader->base;
  for (size_t i = 0; i < base->count; i++) {
    const struct mxq_pt2_parts *parts = &e->reader->parts[i];
    bool mx = base->tensors[i].format != MXQ_FORMAT_NONE;
    struct mxq_index_line line = {.tensor = &base->tensors[i]};
    uint32_t item = e->count ? e->item_of[parts->part[0]] : MXQ_NO_NUMBER;
    if (item != MXQ_NO_NUMBER) {
      struct mxq_tensor *t = mxq_arena_alloc(&e->plan_arena, sizeof *t);
      if (!t)
        return false;
      *t = e->items[item].t;
      t->name = e->items[item].back && e->items[item].tensor == i ? e->items[item].fqn[0] : base->tensors[i].name;
      line = (struct mxq_index_line){.tensor = t, .part = {e->items[item].part[0], e->items[item].part[1]}};
      if (!e->items[item].back || !t->strides)
        e->out.lines[e->out.line_count++] = line;
    } else if (!parts->unpacked && place(e, parts->part[0], &line.part[0]) && (!mx || place(e, parts->part[1], &line.part[1]))) {
      e->out.lines[e->out.line_count++] = line;
    }
  }
  return true;
}

/* ---- all ---- */

static void text_free(struct mxq_pt2_edit_text *t) {
  free(t->text);
  mxq_pt2_splice_free(&t->splices);
  *t = (struct mxq_pt2_edit_text){0};
}

void mxq_pt2_edit_plan_free(struct mxq_pt2_edit *e) {
  text_free(&e->model);
  text_free(&e->weights);
  text_free(&e->constants);
  mxq_pt2_config_free(&e->weights_index);
  mxq_pt2_config_free(&e->constants_index);
  mxq_names_free(&e->graph_names);
  mxq_names_free(&e->modules);
  free(e->devices);
  free(e->gone);
  free(e->dropped);
  free(e->to);
  mxq_pt2_out_free(&e->out);
  if (e->reorder)
    mxq_pt2_reorder_free(e->reorder);
  free(e->reorder);
  mxq_arena_free(&e->plan_arena);
  e->plan_arena = (struct mxq_arena){0};
  e->out = (struct mxq_pt2_out){0};
  e->devices = NULL;
  e->device_count = 0;
  e->gone = e->dropped = NULL;
  e->to = NULL;
  e->reorder = NULL;
  e->done = e->all = 0;
  e->planned = false;
}

static enum mxq_status plan(struct mxq_pt2_edit *e, struct mxq_error *err) {
  const struct mxq_pt2_reader *r = e->reader;
  size_t count = mxq_zip_count(r->zip);
  enum mxq_status status = e->count ? edit_texts(e, err) : MXQ_OK;
  if (status != MXQ_OK)
    return status;
  e->to = malloc((count + 1) * sizeof *e->to);
  e->reorder = calloc(1, sizeof *e->reorder);
  e->reordered = SIZE_MAX;
  if (!e->to || !e->reorder)
    return mxq_fail_nomem(err, r->base.path);
  status = mxq_pt2_out_open(&e->out, e->align, count + 2 * e->count + e->device_count * MXQ_TABLE_COUNT, r->base.count, err);
  if (status == MXQ_OK)
    status = lay_all(e, err);
  if (status != MXQ_OK)
    return status;
  return add_lines(e) ? mxq_pt2_out_finish(&e->out, r->root, r->root_len, err) : mxq_fail_nomem(err, r->base.path);
}

enum mxq_status mxq_pt2_edit_plan(struct mxq_pt2_edit *e, struct mxq_error *err) {
  if (e->planned)
    return MXQ_OK;
  enum mxq_status status = plan(e, err);
  if (status != MXQ_OK)
    mxq_pt2_edit_plan_free(e);
  e->planned = status == MXQ_OK;
  return status;
}
