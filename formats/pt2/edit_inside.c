/* SPDX-License-Identifier: MIT */
/*
 * Weights of modules whose calls are kept apart (preserve_module_call_signature): torch.export.unflatten gives such a module only the inputs that its
 * signature names, so their decoding nodes must stand inside, before the first node that takes the weight.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/edit.h"

/* The decoded text of a JSON string. NULL: out of memory. */
static const char *decoded(struct mxq_arena *arena, const char *text, struct mxq_span span) {
  mxq_json *json;
  const char *s, *copy = NULL;
  size_t n;
  if (mxq_json_open(text + span.at, span.n, 0, &json, NULL) != MXQ_OK)
    return NULL;
  if (mxq_json_next(json, &s, &n) == MXQ_JSON_STRING)
    copy = mxq_arena_text(arena, s, n);
  mxq_json_close(json);
  return copy;
}

bool mxq_pt2_edit_find_modules(struct mxq_pt2_edit *e) {
  const struct mxq_pt2_program *p = e->program;
  struct mxq_span calls, fqn, signature, call;
  if (!mxq_pt2_field(p->text, p->graph_module, "module_call_graph", &calls))
    return false;
  if (calls.n == 0 || p->text[calls.at] != '[')
    return true;
  for (uint32_t at = calls.at + 1; mxq_pt2_list_next(p->text, &at, &call);) {
    if (p->text[call.at] != '{')
      continue;
    if (!mxq_pt2_field(p->text, call, "fqn", &fqn) || !mxq_pt2_field(p->text, call, "signature", &signature))
      return false;
    if (signature.n == 0 || p->text[signature.at] != '{' || fqn.n == 0 || p->text[fqn.at] != '"')
      continue;
    const char *name = decoded(&e->plan_arena, p->text, fqn);
    uint32_t number = 0;
    if (!name || (*name && mxq_names_put(&e->modules, name, strlen(name), &number) == MXQ_NAMES_NOMEM))
      return false;
  }
  return true;
}

/* Whether a stack ("key,path,type;key,path,type") goes through a module that is kept apart. */
static bool goes_through(const struct mxq_pt2_edit *e, const char *stack) {
  for (const char *item = stack; item;) {
    const char *next = strchr(item, ';'), *path = strchr(item, ','), *end = path ? strchr(path + 1, ',') : NULL;
    if (end && (!next || end < next) && mxq_names_find(&e->modules, path + 1, (size_t)(end - path - 1)) != UINT32_MAX)
      return true;
    item = next ? next + 1 : NULL;
  }
  return false;
}

bool mxq_pt2_edit_inside(struct mxq_pt2_edit *e, uint32_t value, uint32_t *node, const char **stack) {
  const struct mxq_pt2_program *p = e->program;
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  const struct mxq_pt2_value *v = &g->values[value];
  struct mxq_span metadata, text = {0, 0};
  uint32_t first = MXQ_NO_NUMBER;
  *node = MXQ_NO_NUMBER;
  *stack = NULL;
  for (uint32_t i = 0; i < v->use_count && e->modules.used; i++) {
    uint32_t n = g->taken[g->uses[v->first_use + i]].node;
    first = n < first ? n : first;
  }
  if (first == MXQ_NO_NUMBER)
    return true;
  if (!mxq_pt2_field(p->text, g->nodes[first].span, "metadata", &metadata) ||
      (metadata.n && p->text[metadata.at] == '{' && !mxq_pt2_field(p->text, metadata, "nn_module_stack", &text)))
    return false;
  if (text.n == 0 || p->text[text.at] != '"')
    return true;
  const char *words = decoded(&e->plan_arena, p->text, text);
  if (!words)
    return false;
  if (!goes_through(e, words))
    return true;
  *node = first;
  *stack = mxq_arena_text(&e->plan_arena, p->text + text.at, text.n);
  return *stack != NULL;
}
