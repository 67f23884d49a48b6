/* SPDX-License-Identifier: MIT */
/* The texts of a program whose MX weights become plain tensors again, in PyTorch's own style of JSON. */
#include "formats/pt2/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/config_text.h"
#include "formats/pt2/restore_list.h"
#include "lib/base/fail.h"

#define LITERAL(t, s) mxq_text_add(t, s, sizeof(s) - 1)

struct restore {
  const struct mxq_pt2_reader *r;
  const struct mxq_pt2_program *p;
  const struct mxq_pt2_group *groups;
  size_t group_count;
  bool *tables;
  unsigned char *gone;               /* by node */
  bool *parts;                       /* by stored tensor */
  uint32_t *input_of;                /* by stored tensor: its number among the program's inputs */
  struct mxq_error *err;
};

static void text(struct mxq_text *t, const char *s) { mxq_text_quote(t, s, strlen(s)); }

static void as_ints(struct mxq_text *t, const char *key, const uint64_t *v, uint32_t n) {
  mxq_text_addf(t, ", \"%s\": [", key);
  for (uint32_t i = 0; i < n; i++)
    mxq_text_addf(t, "%s{\"as_int\": %" PRIu64 "}", i ? ", " : "", v[i]);
  LITERAL(t, "]");
}

static void meta(struct mxq_text *t, const struct mxq_pt2_plain *x) {
  uint64_t strides[MXQ_MAX_NDIM], step = 1;
  for (uint32_t a = x->ndim; a-- > 0; step *= x->shape[a] ? x->shape[a] : 1)
    strides[a] = x->strides ? (uint64_t)x->strides[a] : step;
  mxq_text_addf(t, "{\"dtype\": %d", x->dtype);
  as_ints(t, "sizes", x->shape, x->ndim);
  mxq_text_addf(t, ", \"requires_grad\": %s, \"device\": %s", x->requires_grad ? "true" : "false",
                x->device ? x->device : "{\"type\": \"cpu\", \"index\": null}");
  as_ints(t, "strides", strides, x->ndim);
  mxq_text_addf(t, ", \"storage_offset\": {\"as_int\": %" PRIu64 "}, \"layout\": 7}", x->storage_offset);
}

static void input(struct mxq_text *t, const struct mxq_pt2_plain *x) {
  LITERAL(t, "{\"as_tensor\": {\"name\": ");
  text(t, x->value_name);
  LITERAL(t, "}}");
}

static void spec(struct mxq_text *t, const struct mxq_pt2_plain *x) {
  const char *kind = x->parameter ? "parameter" : "buffer";
  mxq_text_addf(t, "{\"%s\": {\"arg\": {\"name\": ", kind);
  text(t, x->value_name);
  mxq_text_addf(t, "}, \"%s_name\": ", kind);
  text(t, x->fqn);
  mxq_text_addf(t, "%s}}", x->parameter ? "" : ", \"persistent\": true");
}

static void value(struct mxq_text *t, const struct mxq_pt2_plain *x) {
  struct mxq_pt2_plain told = *x;
  if (x->graph.has_grad)
    told.requires_grad = x->graph.requires_grad;
  if (x->graph.strides && x->graph.stride_count == x->ndim)
    told.strides = x->graph.strides;
  if (x->graph.has_offset)
    told.storage_offset = x->graph.storage_offset;
  text(t, x->value_name);
  LITERAL(t, ": ");
  meta(t, &told);
}

static void entry(struct mxq_text *t, const struct mxq_pt2_plain *x) {
  text(t, x->fqn);
  LITERAL(t, ": {\"path_name\": ");
  text(t, x->record);
  mxq_text_addf(t, ", \"is_param\": %s, \"use_pickle\": false, \"tensor_meta\": ", x->parameter ? "true" : "false");
  meta(t, x);
  LITERAL(t, "}");
}

/* ---- the graph ---- */

static enum mxq_status find_nodes(struct restore *s) {
  uint32_t *values = malloc((s->p->graphs[0].value_count + 1) * sizeof *values);
  size_t n = 0;
  if (!values)
    return mxq_fail_nomem(s->err, s->p->member);
  for (size_t g = 0; g < s->group_count; g++)
    for (size_t i = 0; i < s->groups[g].count; i++)
      if (s->groups[g].plain[i].value != MXQ_NO_NUMBER)
        values[n++] = s->groups[g].plain[i].value;
  enum mxq_status status = mxq_pt2_decoding_nodes(s->p, values, n, s->parts, s->gone, s->err);
  free(values);
  return status;
}

/* Codes and scales may serve nothing but what is taken out. */
static enum mxq_status check_parts(const struct restore *s) {
  for (uint32_t i = 0; i < s->r->stored_count; i++) {
    if (!s->parts[i] || s->input_of[i] == MXQ_NO_NUMBER)
      continue;
    uint32_t v = s->p->graphs[0].inputs_values[s->input_of[i]];
    if (!mxq_pt2_unused(s->p, v, s->gone))
      return mxq_fail(s->err, MXQ_ERR_UNSUPPORTED, s->r->stored[i].name,
                      "the program uses this part of an MX tensor for something else too: its nodes cannot be taken out; write safetensors instead");
  }
  return MXQ_OK;
}

static void drop_tables(struct restore *s) {
  for (uint32_t i = 0; i < s->r->stored_count; i++)
    if (s->tables[i] && s->input_of[i] != MXQ_NO_NUMBER)
      s->tables[i] = !mxq_pt2_unused(s->p, s->p->graphs[0].inputs_values[s->input_of[i]], s->gone);
}

/* A stored tensor that goes: a table that nobody needs any more, or a part of an MX tensor. */
static bool goes(const struct restore *s, const bool *was_table, uint32_t stored) {
  return stored != MXQ_NO_NUMBER && (s->parts[stored] || (was_table[stored] && !s->tables[stored]));
}

static void edit_inputs(struct restore *s, const bool *was_table, struct mxq_pt2_splices *out) {
  const struct mxq_pt2_subgraph *g = &s->p->graphs[0];
  struct mxq_pt2_list_edit inputs = {.to = out}, specs = {.to = out};
  bool *replaced = calloc(g->input_count + 1, sizeof *replaced);
  if (!replaced) {
    out->failed = true;
    return;
  }
  for (size_t k = 0; k < s->group_count; k++)
    for (size_t i = 0; i < s->groups[k].count; i++) {
      const struct mxq_pt2_plain *x = &s->groups[k].plain[i];
      uint32_t at = s->input_of[s->groups[k].codes];
      struct mxq_text a = {0}, b = {0};
      if (x->unreferenced)
        continue;
      input(&a, x);
      spec(&b, x);
      if (at != MXQ_NO_NUMBER && !replaced[at] && x->input_place == MXQ_NO_NUMBER) {
        replaced[at] = true;
        mxq_pt2_list_replace(&inputs, g->inputs_spans[at].at, &a);
        mxq_pt2_list_replace(&specs, s->p->inputs[at].span.at, &b);
      } else {
        mxq_pt2_list_insert(&inputs, x->input_place, &a);
        mxq_pt2_list_insert(&specs, x->input_place, &b);
      }
    }
  for (uint32_t i = 0; i < g->input_count; i++)
    if (!replaced[i] && goes(s, was_table, s->p->inputs[i].stored)) {
      mxq_pt2_list_remove(&inputs, g->inputs_spans[i].at);
      mxq_pt2_list_remove(&specs, s->p->inputs[i].span.at);
    }
  free(replaced);
  mxq_pt2_list_done(&inputs, s->p->text, g->inputs);
  mxq_pt2_list_done(&specs, s->p->text, s->p->input_specs);
}

static void edit_values(struct restore *s, const bool *was_table, struct mxq_pt2_splices *out) {
  const struct mxq_pt2_subgraph *g = &s->p->graphs[0];
  struct mxq_pt2_list_edit values = {.to = out}, nodes = {.to = out};
  for (size_t k = 0; k < s->group_count; k++)
    for (size_t i = 0; i < s->groups[k].count; i++) {
      const struct mxq_pt2_plain *x = &s->groups[k].plain[i];
      struct mxq_text t = {0};
      if (x->unreferenced)
        continue;
      value(&t, x);
      if (x->value != MXQ_NO_NUMBER)
        mxq_pt2_list_replace(&values, g->values[x->value].entry.at, &t);
      else
        mxq_pt2_list_insert(&values, x->value_place, &t);
    }
  for (uint32_t i = 0; i < g->value_count; i++) {
    const struct mxq_pt2_value *v = &g->values[i];
    if (v->type == MXQ_VALUE_TENSOR && (v->node == MXQ_NO_NUMBER ? goes(s, was_table, mxq_pt2_stands_for(s->p, v)) : s->gone[v->node] == MXQ_GONE))
      mxq_pt2_list_remove(&values, v->entry.at);
  }
  for (uint32_t i = 0; i < g->node_count; i++)
    if (s->gone[i])
      mxq_pt2_list_remove(&nodes, g->nodes[i].span.at);
  mxq_pt2_list_done(&values, s->p->text, g->tensor_values);
  mxq_pt2_list_done(&nodes, s->p->text, g->nodes_span);
}

/* ---- the config ---- */

static enum mxq_status edit_config(struct restore *s, const char *weights, size_t n, struct mxq_pt2_splices *out) {
  struct mxq_pt2_config_text c = {0};
  struct mxq_pt2_list_edit entries = {.to = out};
  enum mxq_status status = mxq_pt2_config_index(&c, weights, n, s->err);
  for (size_t k = 0; k < s->group_count && status == MXQ_OK; k++) {
    const struct mxq_pt2_group *g = &s->groups[k];
    bool replaced = false;
    for (size_t i = 0; i < g->count; i++) {
      struct mxq_text t = {0};
      entry(&t, &g->plain[i]);
      if (g->plain[i].entry_place == MXQ_NO_NUMBER && !replaced)
        mxq_pt2_list_replace(&entries, mxq_pt2_config_find(&c, s->r->stored[g->codes].name)->span.at, &t);
      else
        mxq_pt2_list_insert(&entries, g->plain[i].entry_place, &t);
      replaced |= g->plain[i].entry_place == MXQ_NO_NUMBER;
    }
    if (!replaced)
      mxq_pt2_list_remove(&entries, mxq_pt2_config_find(&c, s->r->stored[g->codes].name)->span.at);
    mxq_pt2_list_remove(&entries, mxq_pt2_config_find(&c, s->r->stored[g->scales].name)->span.at);
  }
  if (status == MXQ_OK)
    mxq_pt2_list_done(&entries, weights, c.list);
  mxq_pt2_config_free(&c);
  return status;
}

/* ---- all ---- */

static enum mxq_status prepare(struct restore *s) {
  size_t n = s->r->stored_count;
  s->gone = calloc(s->p->graphs[0].node_count + 1, 1);
  s->parts = calloc(n + 1, sizeof *s->parts);
  s->input_of = malloc((n + 1) * sizeof *s->input_of);
  if (!s->gone || !s->parts || !s->input_of)
    return mxq_fail_nomem(s->err, s->p->member);
  memset(s->input_of, 0xFF, (n + 1) * sizeof *s->input_of);
  for (uint32_t i = 0; i < s->p->graphs[0].input_count; i++)
    if (s->p->inputs[i].stored != MXQ_NO_NUMBER)
      s->input_of[s->p->inputs[i].stored] = i;
  for (size_t k = 0; k < s->group_count; k++)
    s->parts[s->groups[k].codes] = s->parts[s->groups[k].scales] = true;
  return MXQ_OK;
}

enum mxq_status mxq_pt2_restore_texts(const struct mxq_pt2_reader *r, const struct mxq_pt2_program *p, const struct mxq_pt2_group *groups, size_t count,
                                      bool *tables, struct mxq_pt2_splices *model, const char *weights, size_t weights_n,
                                      struct mxq_pt2_splices *config, struct mxq_error *err) {
  struct restore s = {.r = r, .p = p, .groups = groups, .group_count = count, .tables = tables, .err = err};
  bool *was_table = malloc((r->stored_count + 1) * sizeof *was_table);
  enum mxq_status status = was_table ? prepare(&s) : mxq_fail_nomem(err, p->member);
  if (status == MXQ_OK) {
    memcpy(was_table, tables, r->stored_count * sizeof *was_table);
    status = find_nodes(&s);
  }
  if (status == MXQ_OK)
    status = check_parts(&s);
  if (status == MXQ_OK) {
    drop_tables(&s);
    edit_inputs(&s, was_table, model);
    edit_values(&s, was_table, model);
    status = edit_config(&s, weights, weights_n, config);
  }
  if (status == MXQ_OK && (model->failed || config->failed))
    status = mxq_fail_nomem(err, p->member);
  free(s.gone);
  free(s.parts);
  free(s.input_of);
  free(was_table);
  return status;
}
