/* SPDX-License-Identifier: MIT */
/* The program's graph where weights become codes, scales and nodes that decode them. */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

/* Edits of the four lists that change. */
struct lists {
  struct mxq_pt2_list_edit inputs, specs, values;
  struct mxq_text table_inputs, table_specs, table_values;
  struct mxq_pt2_edit_nodes nodes;
  bool failed;
};

/* Replaces an element by what was composed, in Python's style. */
static void replace(struct lists *l, struct mxq_pt2_list_edit *list, uint32_t at, struct mxq_text *composed) {
  struct mxq_text style = {0};
  if (!composed->failed)
    mxq_pt2_python_style(&style, composed->data, composed->size);
  l->failed |= composed->failed;
  mxq_text_free(composed);
  mxq_pt2_list_replace(list, at, &style);
}

static void append(struct lists *l, struct mxq_text *to, struct mxq_text *composed) {
  if (!composed->failed && composed->size) {
    mxq_text_add(to, ",", to->size ? 1 : 0);
    mxq_text_add(to, composed->data, composed->size);
  }
  l->failed |= composed->failed;
  mxq_text_free(composed);
}

/* The weight's value as the nodes make it. */
static void result_entry(struct mxq_text *t, const char *name, const struct mxq_pt2_edit_item *item, const char *device) {
  uint64_t strides[MXQ_MAX_NDIM];
  mxq_pt2_result_strides(&item->t, strides);
  mxq_pt2_value_entry(t, name, mxq_pt2_stored_dtype(item->t.dtype), item->t.shape, item->t.ndim, strides, device);
}

static void inputs(const struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, struct mxq_pt2_graph *g) {
  const char *device = e->devices[item->device].text;
  uint64_t shape[MXQ_MAX_NDIM + 1];
  uint32_t ndim = mxq_pt2_codes_shape(&item->t, shape);
  mxq_pt2_buffer_input(g, item->input[0], item->fqn[0]);
  mxq_pt2_value_entry(&g->values, item->input[0], mxq_pt2_codes_dtype(item->t.format), shape, ndim, NULL, device);
  ndim = mxq_pt2_scales_shape(&item->t, shape);
  mxq_pt2_buffer_input(g, item->input[1], item->fqn[1]);
  mxq_pt2_value_entry(&g->values, item->input[1], mxq_pt2_scales_dtype(e->byte_scales), shape, ndim, NULL, device);
}

/*
 * The nodes behind one name of a weight, and their values. The first name makes *result before all other nodes, the others are aliases of it; but what
 * must stand inside a module is made there.
 */
static void nodes(struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, uint32_t value, const char *name, const char **result,
                  struct mxq_pt2_graph *g, struct lists *l) {
  const struct mxq_pt2_edit_device *d = &e->devices[item->device];
  struct mxq_pt2_chain chain = {.codes = item->input[0], .scales = item->input[1], .result = name, .prefix = name, .tables = d->input,
                                .device = d->text, .byte_scales = e->byte_scales, .described = true, .taken = &e->graph_names, .arena = &e->plan_arena};
  uint32_t place;
  if (!mxq_pt2_edit_inside(e, value, &place, &chain.stack)) {
    l->failed = true;
    return;
  }
  bool front = place == MXQ_NO_NUMBER;
  if (front && *result)
    mxq_pt2_alias(g, &chain, *result);
  else
    mxq_pt2_decode(g, &chain, &item->t);
  if (front && !*result)
    *result = name;
  mxq_pt2_edit_put(&l->nodes, front ? 0 : place, &g->nodes);
}

static const char *value_name(struct mxq_pt2_edit *e, const struct mxq_pt2_value *v, struct lists *l) {
  const char *name = mxq_arena_text(&e->plan_arena, v->name, v->name_n);
  l->failed |= !name;
  return name;
}

/* All names of one weight. The first has codes and scales in its place, the inputs of the others go. */
static void edit_item(struct mxq_pt2_edit *e, const struct mxq_pt2_edit_item *item, struct lists *l) {
  const struct mxq_pt2_subgraph *graph = &e->program->graphs[0];
  const char *device = e->devices[item->device].text, *result = NULL;
  struct mxq_pt2_graph g = {0};
  for (uint32_t k = 0; k < item->count && !l->failed; k++) {
    uint32_t input = e->input_of[item->stored[k]];
    if (input == MXQ_NO_NUMBER)
      continue; /* the program has no input for it */
    uint32_t number = graph->inputs_values[input];
    const struct mxq_pt2_value *v = &graph->values[number];
    if (k == 0) {
      inputs(e, item, &g);
      replace(l, &l->inputs, graph->inputs_spans[input].at, &g.inputs);
      replace(l, &l->specs, e->program->inputs[input].span.at, &g.specs);
    } else {
      mxq_pt2_list_remove(&l->inputs, graph->inputs_spans[input].at);
      mxq_pt2_list_remove(&l->specs, e->program->inputs[input].span.at);
    }
    const char *name = v->needed ? value_name(e, v, l) : NULL;
    if (name) {
      nodes(e, item, number, name, &result, &g, l);
      result_entry(&g.values, name, item, device);
    }
    if (g.values.size || g.values.failed)
      replace(l, &l->values, v->entry.at, &g.values);
    else
      mxq_pt2_list_remove(&l->values, v->entry.at);
  }
  mxq_text_free(&g.nodes);
  mxq_text_free(&g.values);
  mxq_text_free(&g.inputs);
  mxq_text_free(&g.specs);
}

static void edit_tables(struct mxq_pt2_edit *e, struct lists *l) {
  uint64_t shape[2];
  for (size_t i = 0; i < e->device_count; i++)
    for (int t = 0; t < MXQ_TABLE_COUNT; t++) {
      const struct mxq_pt2_edit_device *d = &e->devices[i];
      struct mxq_pt2_graph g = {0};
      if (!d->fqn[t])
        continue;
      uint32_t ndim = mxq_pt2_table_shape(t, shape);
      mxq_pt2_table_input(&g, d->input[t], d->fqn[t]);
      mxq_pt2_value_entry(&g.values, d->input[t], mxq_pt2_table_dtype(t), shape, ndim, NULL, d->text);
      append(l, &l->table_inputs, &g.inputs);
      append(l, &l->table_specs, &g.specs);
      append(l, &l->table_values, &g.values);
    }
}

/* Tables come behind the last weight, where PyTorch puts constants: before the user's inputs. */
static uint32_t table_place(const struct mxq_pt2_edit *e) {
  uint32_t place = 0, n = 0;
  for (uint32_t i = 0; i < e->program->graphs[0].input_count; i++) {
    uint32_t stored = e->program->inputs[i].stored, item = stored == MXQ_NO_NUMBER ? MXQ_NO_NUMBER : e->item_of[stored];
    bool first = item != MXQ_NO_NUMBER && e->items[item].stored[0] == stored;
    n += item == MXQ_NO_NUMBER || first; /* a pair counts as one element: list edits put it into one element's place */
    if (stored != MXQ_NO_NUMBER)
      place = n;
  }
  return place;
}

static void insert(struct lists *l, struct mxq_pt2_list_edit *list, uint32_t place, struct mxq_text *composed) {
  struct mxq_text style = {0};
  if (!composed->failed && composed->size)
    mxq_pt2_python_style(&style, composed->data, composed->size);
  l->failed |= composed->failed;
  mxq_text_free(composed);
  if (style.size || style.failed)
    mxq_pt2_list_insert(list, place, &style);
}

static void finish(struct mxq_pt2_edit *e, struct lists *l) {
  const struct mxq_pt2_subgraph *g = &e->program->graphs[0];
  const char *text = e->program->text;
  uint32_t place = table_place(e);
  insert(l, &l->inputs, place, &l->table_inputs);
  insert(l, &l->specs, place, &l->table_specs);
  insert(l, &l->values, UINT32_MAX - 1, &l->table_values);
  mxq_pt2_list_done(&l->inputs, text, g->inputs);
  mxq_pt2_list_done(&l->specs, text, e->program->input_specs);
  mxq_pt2_list_done(&l->values, text, g->tensor_values);
  mxq_pt2_edit_put_done(&l->nodes, e->program);
}

enum mxq_status mxq_pt2_edit_graph(struct mxq_pt2_edit *e, struct mxq_error *err) {
  struct mxq_pt2_splices *to = &e->model.splices;
  struct lists l = {.inputs = {.to = to}, .specs = {.to = to}, .values = {.to = to}, .nodes = {.to = to}};
  l.failed = !mxq_pt2_edit_find_modules(e);
  for (size_t i = 0; i < e->count && !l.failed && !to->failed; i++)
    edit_item(e, &e->items[i], &l);
  edit_tables(e, &l);
  finish(e, &l);
  return l.failed || to->failed ? mxq_fail_nomem(err, e->program->member) : MXQ_OK;
}
