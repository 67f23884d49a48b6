/* SPDX-License-Identifier: MIT */
/* The life of a writer that edits a program: open, add, size, run, free; and the copy, which is one without adds. */
#include "formats/pt2/edit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/canon.h"
#include "formats/pt2/reorder.h"
#include "lib/base/fail.h"

/* ---- one view under several names ---- */

static int compare_views(const struct mxq_pt2_stored *x, const struct mxq_pt2_stored *y) {
#define BY(a, b)                                                                                                                                     \
  if ((a) != (b))                                                                                                                                    \
  return (a) < (b) ? -1 : 1
  BY(x->constant, y->constant);
  BY(x->member, y->member);
  BY(x->offset, y->offset);
  BY(x->dtype, y->dtype);
  BY(x->ndim, y->ndim);
  for (uint32_t a = 0; a < x->ndim; a++)
    BY(x->shape[a], y->shape[a]);
  BY(!x->strides, !y->strides);
  for (uint32_t a = 0; x->strides && a < x->ndim; a++)
    BY(x->strides[a], y->strides[a]);
  return 0;
}

/* The order of inputs; those without one come last, in the config's order. */
static int compare_inputs(const struct mxq_pt2_edit *e, uint32_t a, uint32_t b) {
  BY(e->input_of[a], e->input_of[b]);
  BY(a, b);
  return 0;
}

static int by_view(const void *a, const void *b, void *user) {
  const struct mxq_pt2_edit *e = user;
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  int c = compare_views(&e->reader->stored[x], &e->reader->stored[y]);
  return c ? c : compare_inputs(e, x, y);
}

/* All names of the view of a stored tensor: part of e->by_view. */
static const uint32_t *tied(const struct mxq_pt2_edit *e, uint32_t stored, uint32_t *count) {
  const struct mxq_pt2_stored *all = e->reader->stored;
  size_t lo = 0, hi = e->reader->stored_count, end;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (compare_views(&all[e->by_view[mid]], &all[stored]) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  for (end = lo; end < e->reader->stored_count && compare_views(&all[e->by_view[end]], &all[stored]) == 0;)
    end++;
  *count = (uint32_t)(end - lo);
  return e->by_view + lo;
}

/* ---- add ---- */

/* What only adds need. The copy of an archive does without, so that it stays possible where a program is not understood. */
static enum mxq_status prepare(struct mxq_pt2_edit *e, struct mxq_error *err) {
  struct mxq_pt2_reader *r = e->reader;
  size_t n = r->stored_count + 1;
  if (e->by_view)
    return MXQ_OK;
  if (!e->program) {
    e->program = r->program;
    enum mxq_status status = e->program ? MXQ_OK : mxq_pt2_program_read(r, &e->program, err);
    if (status != MXQ_OK)
      return status;
    e->own_program = !r->program;
  }
  if (!e->item_of)
    e->item_of = malloc(2 * n * sizeof *e->item_of);
  e->by_view = malloc(n * sizeof *e->by_view);
  if (!e->item_of || !e->by_view) {
    free(e->by_view);
    e->by_view = NULL;
    return mxq_fail_nomem(err, r->base.path);
  }
  memset(e->item_of, 0xFF, 2 * n * sizeof *e->item_of);
  e->input_of = e->item_of + n;
  for (uint32_t i = 0; i < e->program->graphs[0].input_count; i++)
    if (e->program->inputs[i].stored != MXQ_NO_NUMBER)
      e->input_of[e->program->inputs[i].stored] = i;
  for (uint32_t i = 0; i < r->stored_count; i++)
    e->by_view[i] = i;
  qsort_r(e->by_view, r->stored_count, sizeof *e->by_view, by_view, e);
  return MXQ_OK;
}

static enum mxq_status find(const struct mxq_pt2_edit *e, const struct mxq_tensor *from, uint32_t *number, struct mxq_error *err) {
  struct mxq_reader *base = &e->reader->base;
  if (e->reader->manifest.weights)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "an archive of weights has no program to be edited: write it anew");
  size_t i = mxq_reader_find(base, from->name);
  if (i == SIZE_MAX)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "the archive has no tensor of this name");
  const struct mxq_tensor *old = &base->tensors[i];
  if (old->dtype != from->dtype)
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "a program's tensor keeps its dtype: %s cannot become %s", mxq_dtype_name(old->dtype),
                    mxq_dtype_name(from->dtype));
  if (old->ndim != from->ndim || (old->ndim && memcmp(old->shape, from->shape, old->ndim * sizeof *old->shape) != 0))
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "a program's tensor keeps its shape");
  if ((old->format == MXQ_FORMAT_NONE) == (from->format == MXQ_FORMAT_NONE))
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "%s",
                    from->format == MXQ_FORMAT_NONE ? "it is an ordinary tensor already" : "it is MX already, and never encoded again");
  *number = (uint32_t)i;
  return MXQ_OK;
}

/* The program writes into the record, through whatever view: what is stored is only what it begins with. */
static enum mxq_status check_weight(const struct mxq_pt2_edit *e, uint32_t stored, const char *name, uint32_t number, struct mxq_error *err) {
  const struct mxq_pt2_stored *s = &e->reader->stored[stored];
  const mxq_program *program;
  struct mxq_axes_choice choice;
  if (s->constant || s->kind == MXQ_KIND_CONSTANT || s->kind == MXQ_KIND_NONPERSISTENT)
    return mxq_fail(err, MXQ_ERR_USAGE, name, "only parameters and persistent buffers of a program can be quantized, this is a %s",
                    s->kind == MXQ_KIND_NONPERSISTENT ? "buffer that is not persistent" : "constant");
  if (e->item_of[stored] != MXQ_NO_NUMBER)
    return mxq_fail(err, MXQ_ERR_USAGE, name, "it follows '%.200s', which lies over the same bytes and was added before",
                    e->items[e->item_of[stored]].t.name);
  enum mxq_status status = mxq_reader_program(&e->reader->base, &program, err);
  if (status != MXQ_OK)
    return status;
  mxq_program_axes(program, number, &choice);
  return choice.changed ? mxq_fail(err, MXQ_ERR_USAGE, name, "the program writes into it, so it cannot be quantized") : MXQ_OK;
}

static enum mxq_status link_forward(struct mxq_pt2_edit *e, struct mxq_pt2_edit_item *item, struct mxq_error *err) {
  uint32_t stored = e->reader->parts[item->tensor].part[0];
  const struct mxq_pt2_stored *s = &e->reader->stored[stored];
  enum mxq_status status = check_weight(e, stored, item->t.name, item->tensor, err);
  if (status != MXQ_OK)
    return status;
  item->stored = tied(e, stored, &item->count);
  item->place = s->member;
  if (s->strides && s->elements && mxq_pt2_dense(s->shape, s->strides, s->ndim))
    item->t.strides = s->strides;
  for (uint32_t k = 0; k < item->count; k++)
    e->item_of[item->stored[k]] = (uint32_t)e->count;
  return MXQ_OK;
}

static enum mxq_status link_back(struct mxq_pt2_edit *e, struct mxq_pt2_edit_item *item, struct mxq_error *err) {
  const uint32_t *part = e->reader->parts[item->tensor].part;
  uint32_t *stored = mxq_arena_alloc(&e->arena, 2 * sizeof *stored);
  if (!stored)
    return mxq_fail_nomem(err, item->t.name);
  if (e->item_of[part[0]] != MXQ_NO_NUMBER)
    return mxq_fail(err, MXQ_ERR_USAGE, item->t.name, "it follows '%.200s', which has the same codes and was added before",
                    e->items[e->item_of[part[0]]].t.name);
  memcpy(stored, part, 2 * sizeof *stored);
  item->stored = stored;
  item->count = 2;
  item->place = e->reader->stored[part[0]].member;
  e->item_of[part[0]] = e->item_of[part[1]] = (uint32_t)e->count;
  return MXQ_OK;
}

static enum mxq_status add(struct mxq_writer *base, const struct mxq_tensor *from, struct mxq_error *err) {
  struct mxq_pt2_edit *e = (struct mxq_pt2_edit *)base;
  uint32_t number = 0;
  assert(!e->ran);
  enum mxq_status status = find(e, from, &number, err);
  if (status == MXQ_OK)
    status = prepare(e, err);
  if (status != MXQ_OK)
    return status;
  if (e->count && (from->format == MXQ_FORMAT_NONE) != (e->back_count > 0))
    return mxq_fail(err, MXQ_ERR_USAGE, from->name, "one writer either quantizes or takes back");
  if (e->count == e->room) {
    size_t room = e->room ? 2 * e->room : 64;
    struct mxq_pt2_edit_item *items = realloc(e->items, room * sizeof *items);
    if (!items)
      return mxq_fail_nomem(err, from->name);
    e->items = items;
    e->room = room;
  }
  struct mxq_pt2_edit_item *item = &e->items[e->count];
  *item = (struct mxq_pt2_edit_item){.tensor = number, .back = from->format == MXQ_FORMAT_NONE};
  status = mxq_pt2_copy_tensor(&e->arena, from, &item->t, err);
  if (status == MXQ_OK)
    status = item->back ? link_back(e, item, err) : link_forward(e, item, err);
  if (status != MXQ_OK)
    return status;
  mxq_pt2_edit_plan_free(e);
  e->back_count += item->back;
  e->count++;
  return MXQ_OK;
}

/* ---- the rest ---- */

static enum mxq_status size(struct mxq_writer *base, uint64_t *bytes, struct mxq_error *err) {
  struct mxq_pt2_edit *e = (struct mxq_pt2_edit *)base;
  enum mxq_status status = mxq_pt2_edit_plan(e, err);
  if (status == MXQ_OK)
    *bytes = e->out.total;
  return status;
}

static enum mxq_status run(struct mxq_writer *base, const struct mxq_sink *sink, mxq_pull_fn pull, void *user, struct mxq_error *err) {
  struct mxq_pt2_edit *e = (struct mxq_pt2_edit *)base;
  assert(!e->ran);
  enum mxq_status status = mxq_pt2_edit_plan(e, err);
  e->ran = status == MXQ_OK;
  return status == MXQ_OK ? mxq_pt2_edit_run(e, sink, pull, user, err) : status;
}

static bool graph_each(const struct mxq_writer *base) {
  (void)base;
  return true;
}

static void free_writer(struct mxq_writer *base) {
  struct mxq_pt2_edit *e = (struct mxq_pt2_edit *)base;
  mxq_pt2_edit_plan_free(e);
  if (e->own_program)
    mxq_pt2_program_free(e->program);
  mxq_arena_free(&e->arena);
  free(e->items);
  free(e->item_of);
  free(e->by_view);
  free(e);
}

enum mxq_status mxq_writer_open_program(mxq_reader *reader, const struct mxq_write_options *options,
                                        bool (*progress)(void *user, uint64_t done, uint64_t total), void *user, mxq_writer **writer,
                                        struct mxq_error *err) {
  assert(reader && writer);
  static const struct mxq_write_options none;
  const struct mxq_write_options *o = options ? options : &none;
  uint32_t align = o->align ? o->align : MXQ_PT2_ALIGN;
  *writer = NULL;
  if (mxq_reader_container(reader) != MXQ_PT2)
    return mxq_fail(err, MXQ_ERR_USAGE, reader->path, "only pt2 archives are copied");
  if (align > MXQ_CANON_MAX_ALIGN || (align & (align - 1)))
    return mxq_fail(err, MXQ_ERR_USAGE, "", "alignment %u is not a power of two from 1 to %u", align, MXQ_CANON_MAX_ALIGN);
  struct mxq_pt2_edit *e = calloc(1, sizeof *e);
  if (!e)
    return mxq_fail_nomem(err, reader->path);
  *e = (struct mxq_pt2_edit){.base = {.add = add, .size = size, .run = run, .graph_each = graph_each, .free = free_writer},
                             .reader = (struct mxq_pt2_reader *)reader,
                             .align = align,
                             .byte_scales = o->target == MXQ_TARGET_TORCH_2_11,
                             .metadata = o->metadata,
                             .metadata_count = o->metadata_count,
                             .progress = progress,
                             .user = user};
  *writer = &e->base;
  return MXQ_OK;
}

/* A copy asks for no tensor. */
static enum mxq_status pull_nothing(void *user, size_t tensor, enum mxq_part part, void *buf, size_t n, struct mxq_error *err) {
  (void)user, (void)tensor, (void)part, (void)buf, (void)n;
  return mxq_fail(err, MXQ_ERR_USAGE, NULL, "nothing was added to this writer");
}

enum mxq_status mxq_archive_copy(mxq_reader *reader, const struct mxq_write_options *options, const struct mxq_sink *sink,
                                 bool (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct mxq_error *err) {
  assert(reader && sink && sink->write_at);
  mxq_writer *writer;
  enum mxq_status status = mxq_writer_open_program(reader, options, progress, user, &writer, err);
  if (status == MXQ_OK)
    status = mxq_writer_run(writer, sink, pull_nothing, NULL, err);
  mxq_writer_free(writer);
  return status;
}
