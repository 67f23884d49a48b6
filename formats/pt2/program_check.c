/* SPDX-License-Identifier: MIT */
/* What must agree: uses with definitions, definitions with their tables, the signature with the graph, the graph with the configs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program_index.h"
#include "formats/pt2/program_scan.h"

#define NAME(v) (v)->name_n > 100 ? 100 : (v)->name_n, (v)->name

/* ---- targets ---- */

/* Dotted identifiers; how many, 0 when it is something else. */
static unsigned parts(const char *s, size_t n) {
  unsigned count = 1;
  bool first = true;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (c == '.' && !first) {
      count++;
      first = true;
      continue;
    }
    if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_' && (first || c < '0' || c > '9'))
      return 0;
    first = false;
  }
  return first ? 0 : count;
}

static bool among(const char *s, size_t n, const char *const *words, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (mxq_pt2_is(s, n, words[i]))
      return true;
  return false;
}

static bool begins(const char *s, size_t n, const char *word) { return n > strlen(word) && memcmp(s, word, strlen(word)) == 0; }

/* What PyTorch's serializer writes: operators, arithmetic of sizes, what vmap leaves behind, and "#namespace:name" of extensions. */
static bool is_target(const char *s, size_t n) {
  static const char *const arithmetic[] = {"eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod", "pow",
                                           "truediv", "and_", "or_", "xor", "lshift", "rshift", "not_", "abs", "getitem"};
  static const char *const math[] = {"trunc", "ceil", "floor", "sqrt", "pow"};
  if (begins(s, n, "#")) {
    const char *colon = memchr(s, ':', n);
    return colon && parts(s + 1, (size_t)(colon - s) - 1) && colon + 1 < s + n && !memchr(colon + 1, ':', (size_t)(s + n - colon) - 1);
  }
  unsigned count = parts(s, n);
  if (count == 0)
    return false;
  if (begins(s, n, "torch.ops.higher_order."))
    return count >= 4;
  if (begins(s, n, "torch.ops."))
    return count == 5;
  if (begins(s, n, "_operator."))
    return among(s + 10, n - 10, arithmetic, sizeof arithmetic / sizeof *arithmetic);
  if (begins(s, n, "math."))
    return among(s + 5, n - 5, math, sizeof math / sizeof *math);
  if (begins(s, n, "torch.sym_") || begins(s, n, "torch._sym_"))
    return count == 2;
  return begins(s, n, "torch._functorch.") || begins(s, n, "torch._C._functorch.") || begins(s, n, "torch._higher_order_ops.");
}

bool mxq_pt2_check_target(struct mxq_pt2_indexer *ix, const char *s, size_t n) {
  return is_target(s, n) || mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "its target '%.*s' is no operator of a program",
                                           n > 100 ? 100 : (int)n, s);
}

/* ---- within a graph ---- */

static size_t byte_of(const struct mxq_pt2_indexer *ix, const char *name, size_t otherwise) {
  return name >= ix->p->text && name < ix->p->text + ix->p->size ? (size_t)(name - ix->p->text) : otherwise;
}

static bool undefined(const struct mxq_pt2_value *v) { return v->node == MXQ_NO_NUMBER && v->input == MXQ_NO_NUMBER; }

static bool check_uses(struct mxq_pt2_indexer *ix, const struct mxq_pt2_subgraph *g) {
  for (uint32_t i = 0; i < g->taken_count; i++) {
    const struct mxq_pt2_taken *t = &g->taken[i];
    const struct mxq_pt2_value *v = &g->values[t->value];
    bool late = v->node != MXQ_NO_NUMBER && v->node >= t->node;
    if (!late && !(undefined(v) && v->needed))
      continue;
    ix->node_at = g->nodes[t->node].span.at;
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, late ? ix->node_at : byte_of(ix, v->name, ix->node_at),
                          late ? "it uses '%.*s' before it is made" : "it uses '%.*s', which nothing makes", NAME(v));
  }
  for (uint32_t i = 0; i < g->output_count; i++)
    if (g->outputs_values[i] != MXQ_NO_NUMBER && undefined(&g->values[g->outputs_values[i]])) {
      const struct mxq_pt2_value *v = &g->values[g->outputs_values[i]];
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, g->outputs_spans[i].at, "an output of the graph is '%.*s', which nothing makes", NAME(v));
    }
  return true;
}

static bool check_values(struct mxq_pt2_indexer *ix, const struct mxq_pt2_subgraph *g) {
  static const char *const tables[] = {"tensor_values", "sym_int_values", "sym_float_values", "sym_bool_values"};
  for (uint32_t i = 0; i < g->value_count; i++) {
    const struct mxq_pt2_value *v = &g->values[i];
    if (undefined(v)) {
      if (!v->needed)
        continue;                    /* only an entry, or a constant object */
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, byte_of(ix, v->name, g->span.at), "an output of the graph holds '%.*s', which nothing makes", NAME(v));
    }
    if (v->described == v->type)
      continue;
    if (v->type == MXQ_VALUE_OTHER && v->described == UINT8_MAX && v->node != MXQ_NO_NUMBER)
      continue;
    ix->node_at = v->node != MXQ_NO_NUMBER ? g->nodes[v->node].span.at : SIZE_MAX;
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, byte_of(ix, v->name, g->span.at), "the value '%.*s' has no entry in %s", NAME(v),
                          v->type < 4 ? tables[v->type] : "custom_obj_values");
  }
  return true;
}

static bool list_uses(struct mxq_pt2_indexer *ix, struct mxq_pt2_subgraph *g) {
  uint32_t at = 0;
  if (g->taken_count == 0)
    return true;
  g->uses = malloc(g->taken_count * sizeof *g->uses);
  if (!g->uses)
    return mxq_pt2_nomem(ix);
  for (uint32_t i = 0; i < g->taken_count; i++)
    g->values[g->taken[i].value].use_count++;
  for (uint32_t i = 0; i < g->value_count; i++) {
    g->values[i].first_use = at;
    at += g->values[i].use_count;
    g->values[i].use_count = 0;
  }
  for (uint32_t i = 0; i < g->taken_count; i++) {
    struct mxq_pt2_value *v = &g->values[g->taken[i].value];
    g->uses[v->first_use + v->use_count++] = i;
  }
  return true;
}

bool mxq_pt2_check_graph(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b) {
  return check_uses(ix, &b->g) && check_values(ix, &b->g) && list_uses(ix, &b->g);
}

/* ---- the whole ---- */

/* Graphs that one node holds get consecutive numbers: by depth, otherwise in the text's order. */
static bool order_graphs(struct mxq_pt2_indexer *ix) {
  struct mxq_pt2_program *p = ix->p;
  uint32_t deepest = 0, to = 0, *number;
  struct mxq_pt2_subgraph *sorted;
  for (uint32_t i = 0; i < p->graph_count; i++)
    deepest = p->graphs[i].depth > deepest ? p->graphs[i].depth : deepest;
  sorted = malloc(p->graph_count * sizeof *sorted);
  number = malloc(p->graph_count * sizeof *number);
  if (!sorted || !number) {
    free(sorted);
    free(number);
    return mxq_pt2_nomem(ix);
  }
  for (uint32_t depth = 0; depth <= deepest; depth++)
    for (uint32_t i = 0; i < p->graph_count; i++)
      if (p->graphs[i].depth == depth) {
        number[i] = to;
        sorted[to++] = p->graphs[i];
      }
  free(p->graphs);
  p->graphs = sorted;
  for (uint32_t i = 1; i < p->graph_count; i++) {
    struct mxq_pt2_subgraph *g = &sorted[i];
    g->parent = number[g->parent];
    struct mxq_pt2_node *n = &sorted[g->parent].nodes[g->parent_node];
    if (n->graph_count++ == 0)
      n->first_graph = i;
  }
  free(number);
  return true;
}

/* The signature has one spec for each end of the graph, with the same name. */
static bool check_ends(struct mxq_pt2_indexer *ix, bool inputs) {
  const struct mxq_pt2_subgraph *g = &ix->p->graphs[0];
  const struct mxq_pt2_spec_name *names = inputs ? ix->input_names : ix->output_names;
  uint32_t count = inputs ? g->input_count : g->output_count, specs = inputs ? ix->input_count : ix->output_count;
  const uint32_t *values = inputs ? g->inputs_values : g->outputs_values;
  const char *what = inputs ? "input" : "output";
  if (count != specs)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, (inputs ? ix->p->input_specs : ix->p->output_specs).at,
                          "the graph has %" PRIu32 " %ss and the signature %" PRIu32, count, what, specs);
  for (uint32_t i = 0; i < count; i++) {
    const struct mxq_pt2_value *v = values[i] == MXQ_NO_NUMBER ? NULL : &g->values[values[i]];
    if (v ? names[i].name && names[i].n == v->name_n && memcmp(names[i].name, v->name, v->name_n) == 0 : !names[i].name)
      continue;
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, names[i].at, "%s %" PRIu32 " of the program is '%.*s' in the graph and '%.*s' in the signature", what, i,
                          v ? v->name_n > 100 ? 100 : v->name_n : 1, v ? v->name : "-", names[i].name ? names[i].n > 100 ? 100 : (int)names[i].n : 1,
                          names[i].name ? names[i].name : "-");
  }
  return true;
}

static bool check_stored(struct mxq_pt2_indexer *ix) {
  const struct mxq_pt2_program *p = ix->p;
  for (uint32_t i = 0; i < ix->input_count; i++) {
    if (p->inputs[i].stored == MXQ_NO_NUMBER)
      continue;
    const struct mxq_pt2_stored *t = &ix->r->stored[p->inputs[i].stored];
    uint32_t value = p->graphs[0].inputs_values[i], ndim;
    const struct mxq_pt2_value *v = &p->graphs[0].values[value];
    int64_t sizes[MXQ_MAX_NDIM];
    if (v->type != MXQ_VALUE_TENSOR)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, p->inputs[i].span.at, "tensor '%.200s': it is no tensor to the graph", t->name);
    if (mxq_pt2_dtype(v->dtype) != (enum mxq_dtype)t->dtype)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, v->entry.at, "tensor '%.200s': the graph has it with another dtype than the config", t->name);
    mxq_pt2_value_meta(p, v, &ndim, sizes, NULL);
    bool same = ndim == t->ndim;
    for (uint32_t k = 0; k < ndim && same; k++)
      same = sizes[k] < 0 || (uint64_t)sizes[k] == t->shape[k];
    if (!same)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, v->entry.at, "tensor '%.200s': the graph has it with other sizes than the config", t->name);
  }
  return true;
}

/* The input that an output of the program is a mutation or gradient of. */
static bool check_input(struct mxq_pt2_indexer *ix, const struct mxq_pt2_output_spec *o) {
  const struct mxq_pt2_subgraph *g = &ix->p->graphs[0];
  struct mxq_scan s = {.p = ix->p->text + o->span.at};
  mxq_scan_open(&s);
  mxq_scan_key(&s);
  mxq_scan_open(&s);
  while (mxq_scan_key(&s)) {
    const char *begin = s.p + 1;
    bool name = mxq_scan_is(&s, "user_input_name");
    mxq_scan_skip(&s);
    if (!name)
      continue;
    size_t n = (size_t)(s.p - 1 - begin);
    uint32_t value = mxq_names_find(&g->by_name, begin, n);
    if (value == UINT32_MAX || g->values[value].input == MXQ_NO_NUMBER || ix->p->inputs[g->values[value].input].kind != MXQ_SPEC_USER)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, o->span.at, "an output of the program is to change '%.*s', which is no input", n > 100 ? 100 : (int)n,
                            begin);
  }
  return true;
}

/* What outputs change is there, and of the right kind. */
static bool check_changed(struct mxq_pt2_indexer *ix) {
  for (uint32_t i = 0; i < ix->output_count; i++) {
    const struct mxq_pt2_output_spec *o = &ix->p->outputs[i];
    if (o->kind == MXQ_OUTPUT_INPUT_GRADIENT || o->kind == MXQ_OUTPUT_INPUT_MUTATION) {
      if (!check_input(ix, o))
        return false;
    } else if (o->stored != MXQ_NO_NUMBER && !ix->r->program_known) {
      const struct mxq_pt2_stored *t = &ix->r->stored[o->stored];
      bool buffer = t->kind == MXQ_KIND_BUFFER || t->kind == MXQ_KIND_NONPERSISTENT;
      if (o->kind == MXQ_OUTPUT_BUFFER_MUTATION ? !buffer : t->kind != MXQ_KIND_PARAMETER)
        return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, o->span.at, "tensor '%.200s': an output changes it as a %s, and the inputs have it as something else",
                              t->name, o->kind == MXQ_OUTPUT_BUFFER_MUTATION ? "buffer" : "parameter");
    }
  }
  return true;
}

/* What modules that keep their signature take and give is in the graph. */
static bool check_calls(struct mxq_pt2_indexer *ix) {
  const struct mxq_pt2_subgraph *g = &ix->p->graphs[0];
  for (uint32_t i = 0; i < ix->called_count; i++) {
    const struct mxq_pt2_spec_name *c = &ix->called[i];
    uint32_t value = mxq_names_find(&g->by_name, c->name, c->n);
    if (value == UINT32_MAX || (undefined(&g->values[value]) && g->values[value].described == MXQ_VALUE_TENSOR))
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, c->at, "module_call_graph names '%.*s', which nothing in the graph makes", c->n > 100 ? 100 : (int)c->n, c->name);
  }
  return true;
}

bool mxq_pt2_check_program(struct mxq_pt2_indexer *ix) {
  return check_ends(ix, true) && check_ends(ix, false) && check_calls(ix) && check_stored(ix) && check_changed(ix) && order_graphs(ix);
}
