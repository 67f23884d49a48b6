/* SPDX-License-Identifier: MIT */
/* models/model.json: a program without inputs that returns every tensor, as a dict by name; or, with graph none, nothing. */
#include <inttypes.h>
#include <mxq/mxq.h>
#include <stdio.h>
#include <string.h>

#include "formats/pt2/write.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

void mxq_pt2_meta(struct mxq_text *t, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides, bool requires_grad) {
  mxq_pt2_meta_on(t, dtype, shape, ndim, strides, requires_grad, NULL);
}

void mxq_pt2_meta_on(struct mxq_text *t, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides, bool requires_grad,
                     const char *device) {
  uint64_t contiguous[MXQ_MAX_NDIM + 1], step = 1;
  mxq_text_addf(t, "{\"dtype\":%d,\"sizes\":[", dtype);
  for (uint32_t i = 0; i < ndim; i++)
    mxq_text_addf(t, "%s{\"as_int\":%" PRIu64 "}", i ? "," : "", shape[i]);
  mxq_text_addf(t, "],\"requires_grad\":%s,\"device\":%s,\"strides\":[", requires_grad ? "true" : "false",
                device ? device : "{\"type\":\"cpu\",\"index\":null}");
  /* As PyTorch counts: a dimension of size 0 does not make the strides outside it 0. */
  for (uint32_t i = ndim; i-- > 0; step *= shape[i] ? shape[i] : 1)
    contiguous[i] = step;
  for (uint32_t i = 0; i < ndim; i++)
    mxq_text_addf(t, "%s{\"as_int\":%" PRIu64 "}", i ? "," : "", strides ? strides[i] : contiguous[i]);
  LITERAL(t, "],\"storage_offset\":{\"as_int\":0},\"layout\":7}");
}

static uint32_t outer_shape(const struct mxq_tensor *t, uint64_t *shape) {
  uint32_t n = 0;
  for (uint32_t a = 0; a < t->ndim; a++)
    if (a < t->axis_first || a > t->axis_last)
      shape[n++] = t->shape[a];
  return n;
}

uint32_t mxq_pt2_codes_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]) {
  uint32_t n = outer_shape(t, shape);
  shape[n++] = mxq_row_code_bytes(t->format, t->k);
  return n;
}

uint32_t mxq_pt2_scales_shape(const struct mxq_tensor *t, uint64_t shape[MXQ_MAX_NDIM + 1]) {
  uint32_t n = outer_shape(t, shape);
  shape[n++] = mxq_row_blocks(t->k);
  return n;
}

static void comma(struct mxq_text *t) {
  if (t->size)
    LITERAL(t, ",");
}

/* An input of the program: its name, what it stands for, and the rest of its description. */
static void input(struct mxq_pt2_graph *g, const char *name, const char *kind, const char *fqn, const char *rest) {
  comma(&g->inputs);
  mxq_text_addf(&g->inputs, "{\"as_tensor\":{\"name\":\"%s\"}}", name);
  comma(&g->specs);
  mxq_text_addf(&g->specs, "{\"%s\":{\"arg\":{\"name\":\"%s\"},\"%s_name\":", kind, name, kind);
  mxq_text_quote(&g->specs, fqn, strlen(fqn));
  mxq_text_addf(&g->specs, "%s}}", rest);
}

void mxq_pt2_buffer_input(struct mxq_pt2_graph *g, const char *name, const char *fqn) { input(g, name, "buffer", fqn, ",\"persistent\":true"); }

void mxq_pt2_table_input(struct mxq_pt2_graph *g, const char *name, const char *fqn) { input(g, name, "tensor_constant", fqn, ""); }

void mxq_pt2_value_entry(struct mxq_text *values, const char *name, int dtype, const uint64_t *shape, uint32_t ndim, const uint64_t *strides,
                         const char *device) {
  comma(values);
  mxq_text_addf(values, "\"%s\":", name);
  mxq_pt2_meta_on(values, dtype, shape, ndim, strides, false, device);
}

static void output(struct mxq_pt2_graph *g, const char *name) {
  comma(&g->outputs);
  mxq_text_addf(&g->outputs, "{\"as_tensor\":{\"name\":\"%s\"}}", name);
  comma(&g->out_specs);
  mxq_text_addf(&g->out_specs, "{\"user_output\":{\"arg\":{\"as_tensor\":{\"name\":\"%s\"}}}}", name);
}

static void kept(struct mxq_pt2_graph *g, size_t i, const struct mxq_pt2_item *item) {
  const struct mxq_tensor *t = &item->t;
  bool parameter = t->kind == MXQ_KIND_PARAMETER;
  char name[24];
  snprintf(name, sizeof name, "%c_%zu", parameter ? 'p' : 'b', i);
  if (parameter)
    input(g, name, "parameter", item->stored[0], "");
  else
    mxq_pt2_buffer_input(g, name, item->stored[0]);
  comma(&g->values);
  mxq_text_addf(&g->values, "\"%s\":", name);
  if (mxq_pt2_as_bytes(t->dtype))
    mxq_pt2_meta(&g->values, mxq_pt2_stored_dtype(t->dtype), &t->bytes, 1, NULL, false);
  else
    mxq_pt2_meta(&g->values, mxq_pt2_stored_dtype(t->dtype), t->shape, t->ndim, NULL, t->requires_grad);
  output(g, name);
}

static void quantized(const struct mxq_pt2_writer *w, struct mxq_pt2_graph *g, size_t i, const char *const *tables, struct mxq_arena *arena) {
  const struct mxq_pt2_item *item = &w->items[i];
  uint64_t shape[MXQ_MAX_NDIM + 1];
  char codes[40], scales[40], result[24];
  snprintf(codes, sizeof codes, "b_%zu_codes", i);
  snprintf(scales, sizeof scales, "b_%zu_scales", i);
  snprintf(result, sizeof result, "t%zu", i);
  struct mxq_pt2_chain chain = {.codes = codes, .scales = scales, .result = result, .prefix = result, .tables = tables,
                                .byte_scales = w->byte_scales, .arena = arena};
  uint32_t ndim = mxq_pt2_codes_shape(&item->t, shape);
  mxq_pt2_buffer_input(g, codes, item->stored[0]);
  mxq_pt2_value_entry(&g->values, codes, mxq_pt2_codes_dtype(item->t.format), shape, ndim, NULL, NULL);
  ndim = mxq_pt2_scales_shape(&item->t, shape);
  mxq_pt2_buffer_input(g, scales, item->stored[1]);
  mxq_pt2_value_entry(&g->values, scales, mxq_pt2_scales_dtype(w->byte_scales), shape, ndim, NULL, NULL);
  mxq_pt2_decode(g, &chain, &item->t);
  output(g, result);
}

/* PyTorch wants a program's inputs in the order parameters, buffers, constants, but reads any. */
static void fill(const struct mxq_pt2_writer *w, struct mxq_pt2_graph *g) {
  uint64_t shape[2];
  const char *tables[MXQ_TABLE_COUNT];
  for (int table = 0; table < MXQ_TABLE_COUNT; table++) {
    tables[table] = mxq_pt2_table_node(table);
    if (!w->table_name[table])
      continue;
    uint32_t ndim = mxq_pt2_table_shape(table, shape);
    mxq_pt2_table_input(g, tables[table], w->table_name[table]);
    mxq_pt2_value_entry(&g->values, tables[table], mxq_pt2_table_dtype(table), shape, ndim, NULL, NULL);
  }
  for (size_t i = 0; i < w->count; i++) {
    struct mxq_arena names = {0};
    if (w->items[i].t.format == MXQ_FORMAT_NONE)
      kept(g, i, &w->items[i]);
    else
      quantized(w, g, i, tables, &names);
    mxq_arena_free(&names);
  }
}

#define LEAF "{\"type\":null,\"context\":null,\"children_spec\":[]}"

/* The calling convention, as JSON text: with graph each a dict whose keys are themselves JSON text. */
static void out_spec(const struct mxq_pt2_writer *w, struct mxq_text *t, bool each) {
  if (!each) {
    LITERAL(t, "[1," LEAF "]");
    return;
  }
  struct mxq_text keys = {0};
  for (size_t i = 0; i < w->count; i++) {
    mxq_text_add(&keys, i ? "," : "[", 1);
    mxq_text_quote(&keys, w->items[i].t.name, strlen(w->items[i].t.name));
  }
  LITERAL(&keys, "]");
  LITERAL(t, "[1,{\"type\":\"builtins.dict\",\"context\":");
  if (!keys.failed)
    mxq_text_quote(t, keys.data, keys.size);
  t->failed |= keys.failed;
  mxq_text_free(&keys);
  LITERAL(t, ",\"children_spec\":[");
  for (size_t i = 0; i < w->count; i++)
    mxq_text_addf(t, "%s%s", i ? "," : "", LEAF);
  LITERAL(t, "]}]");
}

/* Moves a text's bytes into another and frees it. */
static void append(struct mxq_text *t, struct mxq_text *from) {
  if (from->size && !from->failed)
    mxq_text_add(t, from->data, from->size);
  t->failed |= from->failed;
  mxq_text_free(from);
}

static void append_quoted(struct mxq_text *t, struct mxq_text *from) {
  if (!from->failed)
    mxq_text_quote(t, from->data, from->size);
  t->failed |= from->failed;
  mxq_text_free(from);
}

void mxq_pt2_model(const struct mxq_pt2_writer *w, struct mxq_text *t) {
  struct mxq_pt2_graph g = {0};
  struct mxq_text spec = {0}, manifest = {0};
  bool each = mxq_pt2_each(w);
  if (each) {
    fill(w, &g);
  } else {
    LITERAL(&g.outputs, "{\"as_none\":true}");
    LITERAL(&g.out_specs, "{\"user_output\":{\"arg\":{\"as_none\":true}}}");
  }
  LITERAL(t, "{\"graph_module\":{\"graph\":{\"inputs\":[");
  append(t, &g.inputs);
  LITERAL(t, "],\"outputs\":[");
  append(t, &g.outputs);
  LITERAL(t, "],\"nodes\":[");
  append(t, &g.nodes);
  LITERAL(t, "],\"tensor_values\":{");
  append(t, &g.values);
  LITERAL(t, "},\"sym_int_values\":{},\"sym_bool_values\":{},\"is_single_tensor_return\":false,\"custom_obj_values\":{},\"sym_float_values\":{}},"
             "\"signature\":{\"input_specs\":[");
  append(t, &g.specs);
  LITERAL(t, "],\"output_specs\":[");
  append(t, &g.out_specs);
  LITERAL(t, "]},\"module_call_graph\":[{\"fqn\":\"\",\"signature\":{\"inputs\":[],\"outputs\":[],\"in_spec\":");
  LITERAL(&spec, "[1,{\"type\":\"builtins.tuple\",\"context\":\"null\",\"children_spec\":[{\"type\":\"builtins.tuple\",\"context\":\"null\","
                 "\"children_spec\":[]},{\"type\":\"builtins.dict\",\"context\":\"[]\",\"children_spec\":[]}]}]");
  append_quoted(t, &spec);
  LITERAL(t, ",\"out_spec\":");
  out_spec(w, &spec, each);
  append_quoted(t, &spec);
  LITERAL(t, ",\"forward_arg_names\":[]}}],\"metadata\":{\"custom\":");
  mxq_pt2_manifest(w, &manifest);
  append_quoted(t, &manifest);
  LITERAL(t, "},\"treespec_namedtuple_fields\":{}},\"opset_version\":{\"aten\":10},\"range_constraints\":{},"
             "\"schema_version\":{\"major\":8,\"minor\":20},\"verifiers\":[\"TRAINING\"],\"torch_version\":");
  mxq_text_addf(t, "\"mxquant %s\",\"guards_code\":[]}", mxq_version());
}
