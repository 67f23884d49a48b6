/* SPDX-License-Identifier: MIT */
/* A graph: inputs, outputs, nodes and their tables. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program_index.h"

/* "inputs" or "outputs" of a graph. */
static bool ends(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, bool inputs) {
  struct mxq_pt2_subgraph *g = &b->g;
  uint32_t span_room = 0, *room = inputs ? &b->input_room : &b->output_room, *count = inputs ? &g->input_count : &g->output_count;
  uint32_t **values = inputs ? &g->inputs_values : &g->outputs_values;
  struct mxq_span **spans = inputs ? &g->inputs_spans : &g->outputs_spans;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  size_t array = mxq_json_offset(ix->json);
  b->last = MXQ_NO_NUMBER;
  while (mxq_json_more(ix->json)) {
    struct mxq_pt2_seen seen;
    if (!mxq_pt2_room(ix, values, room, *count, sizeof **values) || !mxq_pt2_room(ix, spans, &span_room, *count, sizeof **spans))
      return false;
    size_t at = mxq_json_start(ix->json);
    if (!mxq_pt2_argument(ix, b, inputs ? MXQ_ROLE_MAKES : MXQ_ROLE_RETURNS, &seen))
      return false;
    if (inputs && seen.value == MXQ_NO_NUMBER && !seen.constant)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "an input of a graph must be one value");
    (*spans)[*count] = mxq_pt2_span(ix, at);
    (*values)[(*count)++] = seen.value;
  }
  bool done = mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
  *(inputs ? &g->inputs : &g->outputs) = mxq_pt2_span(ix, array);
  return done;
}

/* {"name": "input", "arg": {...}, "kind": 1} */
static bool named_argument(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  const char *s;
  size_t n;
  struct mxq_pt2_seen seen;
  bool has_name = false, has_arg = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "name"))
      has_name = mxq_json_expect(ix->json, MXQ_JSON_STRING);
    else if (mxq_pt2_is(s, n, "arg"))
      has_arg = mxq_pt2_argument(ix, b, MXQ_ROLE_TAKES, &seen);
    else
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
  }
  return mxq_pt2_ok(ix) && ((has_name && has_arg) || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "an argument needs name and arg"));
}

static bool arguments(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  for (b->argument = 0; mxq_json_more(ix->json); b->argument++)
    if (!named_argument(ix, b))
      return false;
  return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
}

static bool results(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  struct mxq_pt2_seen seen;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  while (mxq_json_more(ix->json))
    if (!mxq_pt2_argument(ix, b, MXQ_ROLE_MAKES, &seen))
      return false;
  return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
}

static bool target(struct mxq_pt2_indexer *ix, struct mxq_span *span) {
  const char *s;
  size_t n;
  if (!mxq_pt2_string(ix, &s, &n))
    return false;
  *span = mxq_pt2_span(ix, mxq_json_offset(ix->json) + 1);
  span->n--;
  if (span->n != n)
    return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, span->at, "a target that is written with escapes");
  return mxq_pt2_check_target(ix, s, n);
}

enum { TARGET = 1, INPUTS = 2, OUTPUTS = 4, METADATA = 8 };

static bool node(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  const char *s;
  size_t n;
  unsigned has = 0;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT) || !mxq_pt2_room(ix, &b->g.nodes, &b->node_room, b->g.node_count, sizeof *b->g.nodes))
    return false;
  struct mxq_pt2_node new = {.first_taken = b->g.taken_count, .first_result = b->result_count};
  size_t at = ix->node_at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "target")) {
      has |= TARGET;
      target(ix, &new.target);
    } else if (mxq_pt2_is(s, n, "inputs")) {
      has |= INPUTS;
      arguments(ix, b);
    } else if (mxq_pt2_is(s, n, "outputs")) {
      has |= OUTPUTS;
      results(ix, b);
    } else if (mxq_pt2_is(s, n, "metadata")) {
      has |= METADATA;
      mxq_json_expect(ix->json, MXQ_JSON_OBJECT);
      mxq_json_skip(ix->json, MXQ_JSON_OBJECT);
    } else if (mxq_pt2_is(s, n, "name")) {
      enum mxq_json_type type = mxq_json_next(ix->json, NULL, NULL);
      if (type != MXQ_JSON_STRING && type != MXQ_JSON_NULL && type != MXQ_JSON_ERROR)
        mxq_json_reject(ix->json, mxq_json_offset(ix->json), "the name of a node must be a text or null");
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  if (!mxq_pt2_ok(ix))
    return false;
  if (has != (TARGET | INPUTS | OUTPUTS | METADATA))
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "it has no %s",
                          !(has & TARGET) ? "target" : !(has & INPUTS) ? "inputs" : !(has & OUTPUTS) ? "outputs" : "metadata");
  new.span = mxq_pt2_span(ix, at);
  new.taken_count = b->g.taken_count - new.first_taken;
  new.result_count = b->result_count - new.first_result;
  b->g.nodes[b->g.node_count++] = new;
  ix->node_at = SIZE_MAX;
  return true;
}

static bool nodes(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  size_t outer = ix->node_at;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  size_t at = mxq_json_offset(ix->json);
  b->in_node = true;
  while (mxq_json_more(ix->json))
    if (!node(ix, b))
      return false;
  b->in_node = false;
  ix->node_at = outer;
  bool done = mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
  b->g.nodes_span = mxq_pt2_span(ix, at);
  return done;
}

static bool keys(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  static const char *const needed[] = {"inputs", "outputs", "nodes", "tensor_values", "sym_int_values", "sym_bool_values"};
  const char *s;
  size_t n;
  unsigned has = 0, k;
  bool single = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    bool truth;
    for (k = 0; k < 6 && !mxq_pt2_is(s, n, needed[k]); k++)
      ;
    has |= 1u << k;
    switch (k) {
    case 0: case 1: ends(ix, b, k == 0); break;
    case 2: nodes(ix, b); break;
    case 3: mxq_pt2_values(ix, b, MXQ_VALUE_TENSOR); break;
    case 4: mxq_pt2_values(ix, b, MXQ_VALUE_INT); break;
    case 5: mxq_pt2_values(ix, b, MXQ_VALUE_BOOL); break;
    default:
      if (mxq_pt2_is(s, n, "sym_float_values"))
        mxq_pt2_values(ix, b, MXQ_VALUE_FLOAT);
      else if (mxq_pt2_is(s, n, "custom_obj_values"))
        mxq_pt2_values(ix, b, MXQ_VALUE_OTHER);
      else if (mxq_pt2_is(s, n, "is_single_tensor_return"))
        single = mxq_json_bool(ix->json, &truth) && truth;
      else
        mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  for (k = 0; k < 6; k++)
    if (mxq_pt2_ok(ix) && !(has >> k & 1))
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "the graph has no %s", needed[k]);
  if (single && b->g.output_count != 1)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "the graph returns one tensor and has %" PRIu32 " outputs", b->g.output_count);
  b->g.span = mxq_pt2_span(ix, at);
  return mxq_pt2_ok(ix);
}

bool mxq_pt2_graph(struct mxq_pt2_indexer *ix, uint32_t parent, uint32_t parent_node, uint32_t depth) {
  struct mxq_pt2_program *p = ix->p;
  if (!mxq_pt2_room(ix, &p->graphs, &ix->graph_room, p->graph_count, sizeof *p->graphs))
    return false;
  struct mxq_pt2_building b = {.g = {.parent = parent, .parent_node = parent_node, .depth = depth}, .number = p->graph_count, .last = MXQ_NO_NUMBER};
  memset(&p->graphs[p->graph_count++], 0, sizeof *p->graphs);
  bool done = keys(ix, &b) && mxq_pt2_check_graph(ix, &b);
  p->graphs[b.number] = b.g;         /* half of one is freed with the rest */
  return done;
}
