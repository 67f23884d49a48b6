/* SPDX-License-Identifier: MIT */
/* The way back within an edit: plain tensors that replace MX ones, as the manifest remembers them. */
#include "formats/pt2/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/reorder.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

struct back {
  struct mxq_pt2_edit *e;
  const struct mxq_pt2_program *p;
  struct mxq_pt2_manifest_doc doc;
  struct mxq_names names;            /* of all tensors that come back -> number in plain */
  struct mxq_names value_names;      /* that their values get */
  uint64_t next_name;
  struct mxq_pt2_plain *plain;       /* side by side for each item */
  struct mxq_pt2_source *sources;    /* by number in plain */
  uint32_t *tensors;                 /* of the reader, by number in plain */
  size_t count;
  struct mxq_pt2_group *groups;
  struct mxq_pt2_found found;
  bool *tables;                      /* by stored tensor */
  struct mxq_error *err;
};

static enum mxq_status nomem(struct back *b) { return mxq_fail_nomem(b->err, b->p->member); }

static bool same_view(const struct mxq_tensor *a, const struct mxq_tensor *b) {
  return a->format == b->format && a->dtype == b->dtype && a->axis_first == b->axis_first && a->axis_last == b->axis_last && a->ndim == b->ndim &&
         memcmp(a->shape, b->shape, a->ndim * sizeof *a->shape) == 0;
}

/* A manifest may say that several tensors have the same codes: they are one only when all else is the same too. */
static enum mxq_status check_parts(const struct back *b, const struct mxq_pt2_edit_item *item, uint32_t first, uint32_t last) {
  const struct mxq_pt2_reader *r = b->e->reader;
  uint32_t codes = item->stored[0], scales = item->stored[1];
  if (!mxq_pt2_config_find(&b->e->weights_index, r->stored[codes].name) || !mxq_pt2_config_find(&b->e->weights_index, r->stored[scales].name))
    return mxq_fail(b->err, MXQ_ERR_UNSUPPORTED, item->t.name,
                    "its codes or scales are no weights but constants of the program: it cannot be taken out; write safetensors instead");
  bool alone = codes != scales && !b->e->gone[codes] && !b->e->gone[scales];
  for (uint32_t i = first; i <= last; i++)
    alone &= r->parts[i].part[1] == scales && same_view(&r->base.tensors[i], &r->base.tensors[item->tensor]);
  return alone ? MXQ_OK
               : mxq_fail(b->err, MXQ_ERR_UNSUPPORTED, item->t.name,
                          "it shares its codes or its scales with another MX tensor that is not the same: it cannot be taken out; write safetensors instead");
}

/* All names of each item: the reader's tensors over the same codes and scales. */
static enum mxq_status collect(struct back *b) {
  const struct mxq_pt2_reader *r = b->e->reader;
  size_t n = r->base.count + 1, g = 0;
  b->plain = calloc(n, sizeof *b->plain);
  b->tensors = malloc(n * sizeof *b->tensors);
  b->groups = calloc(b->e->back_count + 1, sizeof *b->groups);
  if (!b->plain || !b->tensors || !b->groups)
    return nomem(b);
  /* a list for each item would do; tensors over one codes tensor stand side by side in the reader */
  for (size_t k = 0; k < b->e->count; k++) {
    const struct mxq_pt2_edit_item *item = &b->e->items[k];
    struct mxq_pt2_group *group = &b->groups[g++];
    *group = (struct mxq_pt2_group){.codes = item->stored[0], .scales = item->stored[1], .plain = &b->plain[b->count]};
    uint32_t first = item->tensor, last = item->tensor;
    while (first > 0 && r->parts[first - 1].part[0] == group->codes && r->base.tensors[first - 1].format != MXQ_FORMAT_NONE)
      first--;
    while (last + 1 < r->base.count && r->parts[last + 1].part[0] == group->codes && r->base.tensors[last + 1].format != MXQ_FORMAT_NONE)
      last++;
    enum mxq_status status = check_parts(b, item, first, last);
    if (status != MXQ_OK)
      return status;
    b->e->gone[group->codes] = b->e->gone[group->scales] = true;
    for (uint32_t i = first; i <= last; i++) {
      uint32_t number = (uint32_t)b->count;
      const char *name = r->base.tensors[i].name;
      if (mxq_names_put(&b->names, name, strlen(name), &number) == MXQ_NAMES_NOMEM)
        return nomem(b);
      b->tensors[b->count++] = i;
      group->count++;
    }
  }
  b->sources = calloc(b->count + 1, sizeof *b->sources);
  if (!b->sources)
    return nomem(b);
  for (size_t i = 0; i < b->count; i++)
    memset(b->sources[i].place, 0xFF, sizeof b->sources[i].place);
  enum mxq_status status = mxq_pt2_manifest_doc_open(&b->doc, b->p, b->err);
  return status == MXQ_OK ? mxq_pt2_sources_read(&b->doc, &b->names, b->sources, b->err) : status;
}

/* The value of that name, when nodes make it of these codes and scales and it is what the tensor was. */
static uint32_t value_by_name(const struct back *b, const struct mxq_pt2_group *group, const char *name, const struct mxq_tensor *t) {
  const struct mxq_pt2_subgraph *g = &b->p->graphs[0];
  uint32_t i = name ? mxq_names_find(&g->by_name, name, strlen(name)) : UINT32_MAX;
  int64_t sizes[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM];
  uint32_t ndim;
  if (i == UINT32_MAX || g->values[i].node == MXQ_NO_NUMBER || g->values[i].type != MXQ_VALUE_TENSOR ||
      mxq_pt2_dtype(g->values[i].dtype) != t->dtype)
    return MXQ_NO_NUMBER;
  mxq_pt2_value_meta(b->p, &g->values[i], &ndim, sizes, strides);
  if (ndim != t->ndim)
    return MXQ_NO_NUMBER;
  for (uint32_t a = 0; a < ndim; a++)
    if (sizes[a] < 0 || (uint64_t)sizes[a] != t->shape[a])
      return MXQ_NO_NUMBER;
  return mxq_pt2_made_of(b->e->reader, b->p, i, group->codes, group->scales) && mxq_pt2_restore_agrees(b->p, &b->found, group->codes, group->scales, t, i)
             ? i
             : MXQ_NO_NUMBER;
}

static bool is_used(const struct back *b, uint32_t stored) {
  const struct mxq_pt2_subgraph *g = &b->p->graphs[0];
  uint32_t input = b->e->input_of[stored];
  return input != MXQ_NO_NUMBER && g->values[g->inputs_values[input]].use_count > 0;
}

/* Takes a name for a tensor's value. MXQ_NAMES_THERE: another tensor has it, or a value of the program. */
static enum mxq_names_put take_name(struct back *b, const char *name, bool of_program) {
  uint32_t number = 0;
  if (!of_program && mxq_names_find(&b->p->graphs[0].by_name, name, strlen(name)) != UINT32_MAX)
    return MXQ_NAMES_THERE;
  return mxq_names_put(&b->value_names, name, strlen(name), &number);
}

/* A name for a value that the program has to get again. NULL: out of memory. */
static const char *new_value_name(struct back *b, const struct mxq_tensor *t) {
  for (bool first = true;; first = false) {
    struct mxq_text s = {0};
    mxq_text_addf(&s, "%c_", t->kind == MXQ_KIND_PARAMETER ? 'p' : 'b');
    for (const char *c = t->name; *c; c++)
      mxq_text_add(&s, (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ? c : "_", 1);
    if (!first)
      mxq_text_addf(&s, "_%llu", (unsigned long long)++b->next_name);
    const char *name = s.failed ? NULL : mxq_arena_text(&b->e->plan_arena, s.data, s.size);
    enum mxq_names_put put = name ? take_name(b, name, false) : MXQ_NAMES_NOMEM;
    mxq_text_free(&s);
    if (put != MXQ_NAMES_THERE)
      return put == MXQ_NAMES_NOMEM ? NULL : name;
  }
}

/* That of the value that the program has, which is one tensor's; else what it was called, unless something else is called so now. */
static enum mxq_status name_value(struct back *b, struct mxq_pt2_plain *x, const struct mxq_pt2_source *s, const struct mxq_tensor *t) {
  const struct mxq_pt2_value *v = x->value == MXQ_NO_NUMBER ? NULL : &b->p->graphs[0].values[x->value];
  x->value_name = v ? mxq_arena_text(&b->e->plan_arena, v->name, v->name_n) : s->value;
  if (v && !x->value_name)
    return nomem(b);
  if (!v && x->unreferenced) {
    x->value_name = "";
    return MXQ_OK;
  }
  enum mxq_names_put put = x->value_name ? take_name(b, x->value_name, v != NULL) : MXQ_NAMES_THERE;
  if (put == MXQ_NAMES_THERE) {
    x->value = MXQ_NO_NUMBER;
    x->value_name = new_value_name(b, t);
  }
  return x->value_name && put != MXQ_NAMES_NOMEM ? MXQ_OK : nomem(b);
}

/* Something uses the codes, and no name of the tensor led to the decoded value: it is found by what the program computes. */
static enum mxq_status find_value(struct back *b, const struct mxq_pt2_group *group, struct mxq_pt2_plain *plain, size_t number) {
  const struct mxq_tensor *t = &b->e->reader->base.tensors[b->tensors[number]];
  for (size_t i = 0; i < group->count; i++)
    if (plain[i].value != MXQ_NO_NUMBER)
      return MXQ_OK;
  if (!is_used(b, group->codes))
    return MXQ_OK;
  plain[0].value = mxq_pt2_restore_pattern(b->p, &b->found, group->codes, group->scales, t);
  if (plain[0].value == MXQ_NO_NUMBER)
    return mxq_fail(b->err, MXQ_ERR_UNSUPPORTED, t->name,
                    "no nodes of the program are found that decode it and can be taken out; write a .safetensors file instead");
  return name_value(b, &plain[0], &b->sources[number], t);
}

/* The device that the codes are on now; as the manifest writes it, when it is the same: PyTorch may have moved the program since. */
static bool device_of(struct back *b, const struct mxq_pt2_source *s, const char *now, const char **json) {
  if (s->device && strcmp(s->device_name, now ? now : "cpu") == 0)
    *json = s->device;
  if (*json || !now)
    return true;
  const char *colon = strrchr(now, ':');
  size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
  bool index = digits && colon[1 + digits] == 0;
  struct mxq_text t = {0};
  mxq_text_addf(&t, "{\"type\": ");
  mxq_text_quote(&t, now, index ? (size_t)(colon - now) : strlen(now));
  mxq_text_addf(&t, ", \"index\": %s}", index ? colon + 1 : "null");
  *json = t.failed ? NULL : mxq_arena_text(&b->e->plan_arena, t.data, t.size);
  mxq_text_free(&t);
  return *json != NULL;
}

static enum mxq_status describe(struct back *b, const struct mxq_pt2_group *group, struct mxq_pt2_plain *x, size_t number) {
  const struct mxq_pt2_reader *r = b->e->reader;
  const struct mxq_tensor *t = &r->base.tensors[b->tensors[number]];
  const struct mxq_pt2_source *s = &b->sources[number];
  const char *device = NULL;
  if (!device_of(b, s, r->stored[group->codes].device, &device))
    return nomem(b);
  *x = (struct mxq_pt2_plain){.fqn = t->name, .value = value_by_name(b, group, s->value, t), .dtype = mxq_pt2_stored_dtype(t->dtype), .ndim = t->ndim,
                              .shape = t->shape, .parameter = t->kind == MXQ_KIND_PARAMETER || (t->kind == MXQ_KIND_UNREFERENCED && s->parameter), .requires_grad = t->requires_grad,
                              .device = device, .graph = s->graph, .input_place = s->place[0], .value_place = s->place[1], .entry_place = s->place[2]};
  if (s->stride_count == t->ndim && t->elements && mxq_pt2_dense(t->shape, s->strides, t->ndim))
    x->strides = s->strides;
  x->unreferenced = x->value == MXQ_NO_NUMBER && !s->value && b->e->input_of[group->codes] == MXQ_NO_NUMBER;
  return name_value(b, x, s, t);
}
/* ---- what each item is called and where it lies ---- */

static enum mxq_status describe_all(struct back *b) {
  struct mxq_pt2_edit *e = b->e;
  size_t g = 0, number = 0;
  enum mxq_status status = mxq_pt2_found_make(e->reader, b->p, e->gone, &b->found, b->err);
  for (size_t k = 0; k < e->count && status == MXQ_OK; k++) {
    struct mxq_pt2_edit_item *item = &e->items[k];
    struct mxq_pt2_group *group = &b->groups[g++];
    struct mxq_pt2_plain *plain = &b->plain[number];
    const char *record = NULL;
    for (size_t i = 0; i < group->count && status == MXQ_OK; i++, number++) {
      status = describe(b, group, &plain[i], number);
      if (b->tensors[number] == item->tensor) /* which of tied ones was added, the caller chose */
        item->fqn[0] = plain[i].fqn;
      record = record ? record : b->sources[number].record;
      plain[i].storage_offset = b->sources[number].storage_offset;
    }
    if (status == MXQ_OK)
      status = find_value(b, group, plain, number - group->count);
    if (status != MXQ_OK)
      return status;
    item->place = e->reader->stored[group->codes].member;
    if (record && !(item->record[0] = mxq_arena_text(&e->plan_arena, record, strlen(record))))
      return nomem(b);
    if (!record)
      item->record[0] = "";
    item->at = plain[0].storage_offset;
    item->t.strides = NULL;
    if (plain[0].strides) { /* what the doc holds goes, the item stays */
      int64_t *strides = mxq_arena_alloc(&e->plan_arena, plain[0].ndim * sizeof *strides);
      if (!strides)
        return nomem(b);
      item->t.strides = memcpy(strides, plain[0].strides, plain[0].ndim * sizeof *strides);
    }
  }
  return status;
}

/* Tensors that were recognised have names made up for them, which the archive may not be able to hold: then the codes' name is free. */
static enum mxq_status name_recognised(struct back *b) {
  const struct mxq_pt2_reader *r = b->e->reader;
  struct mxq_pt2_naming n = {.arena = &b->e->plan_arena};
  bool some = false;
  for (size_t i = 0; i < b->count; i++)
    some |= r->base.tensors[b->tensors[i]].recognised;
  if (!some)
    return MXQ_OK;
  n.sorted = malloc((r->stored_count + b->count + 1) * sizeof *n.sorted);
  if (!n.sorted)
    return nomem(b);
  for (uint32_t i = 0; i < r->stored_count; i++)
    if (!b->e->gone[i])
      n.sorted[n.count++] = r->stored[i].name;
  for (size_t i = 0; i < b->count; i++)
    n.sorted[n.count++] = b->plain[i].fqn;
  mxq_pt2_naming_sort(&n);
  for (size_t k = 0; k < b->e->count; k++) {
    const struct mxq_pt2_group *group = &b->groups[k];
    if (r->base.tensors[b->e->items[k].tensor].recognised && !mxq_pt2_can_hold(&n, group->plain[0].fqn))
      b->e->items[k].fqn[0] = group->plain[0].fqn = r->stored[group->codes].name;
  }
  free(n.sorted);
  mxq_names_free(&n.taken);
  return n.nomem ? nomem(b) : MXQ_OK;
}

/* Records as mxq_pt2_restore_records chose them. */
static void note_records(struct back *b) {
  for (size_t k = 0; k < b->e->count; k++) {
    const struct mxq_pt2_edit_item *item = &b->e->items[k];
    for (size_t i = 0; i < b->groups[k].count; i++) {
      struct mxq_pt2_plain *x = &b->groups[k].plain[i];
      x->record = item->record[0];
      x->storage_offset = item->at / (mxq_dtype_bits(item->t.dtype) / 8);
    }
  }
}

/* ---- tables ---- */

static enum mxq_status drop_tables(struct back *b, const bool *was_table) {
  struct mxq_pt2_list_edit entries = {.to = &b->e->constants.splices};
  for (uint32_t i = 0; i < b->e->reader->stored_count; i++) {
    if (!was_table[i] || b->tables[i])
      continue;
    const struct mxq_pt2_config_entry *entry = mxq_pt2_config_find(&b->e->constants_index, b->e->reader->stored[i].name);
    b->e->gone[i] = true;
    if (entry)
      mxq_pt2_list_remove(&entries, entry->span.at);
  }
  mxq_pt2_list_done(&entries, b->e->constants.text, b->e->constants_index.list);
  return b->e->constants.splices.failed ? nomem(b) : MXQ_OK;
}

static enum mxq_status restore(struct back *b) {
  struct mxq_pt2_edit *e = b->e;
  size_t n = e->reader->stored_count;
  bool *was_table = calloc(n + 1, sizeof *was_table);
  b->tables = calloc(n + 1, sizeof *b->tables);
  enum mxq_status status = was_table && b->tables ? collect(b) : nomem(b);
  if (status == MXQ_OK)
    status = describe_all(b);
  if (status == MXQ_OK)
    status = name_recognised(b);
  if (status == MXQ_OK)
    status = mxq_pt2_restore_records(e, b->err);
  if (status == MXQ_OK)
    note_records(b);
  for (size_t i = 0; i < n && status == MXQ_OK; i++)
    was_table[i] = b->tables[i] = e->reader->stored[i].constant && e->reader->stored[i].hidden;
  if (status == MXQ_OK)
    status = mxq_pt2_restore_texts(e->reader, b->p, b->groups, e->back_count, b->tables, &e->model.splices, e->weights.text, e->weights.n,
                                   &e->weights.splices, b->err);
  if (status == MXQ_OK)
    status = drop_tables(b, was_table);
  if (status == MXQ_OK)
    status = mxq_pt2_manifest_strip(&b->doc, b->p, &b->names, &e->model.splices, b->err);
  free(was_table);
  return status;
}

enum mxq_status mxq_pt2_restore(struct mxq_pt2_edit *e, struct mxq_error *err) {
  struct back b = {.e = e, .p = e->program, .err = err};
  enum mxq_status status = restore(&b);
  mxq_pt2_manifest_doc_free(&b.doc);
  mxq_names_free(&b.names);
  mxq_names_free(&b.value_names);
  free(b.plain);
  free(b.sources);
  free(b.tensors);
  free(b.groups);
  free(b.found.of);
  free(b.tables);
  return status;
}
