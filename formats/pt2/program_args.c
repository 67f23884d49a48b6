/* SPDX-License-Identifier: MIT */
/* The arguments of a node, and the meta of a value, taken out of a text that was checked. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program.h"
#include "formats/pt2/program_scan.h"

bool mxq_pt2_span_is(const struct mxq_pt2_program *p, struct mxq_span span, const char *word) {
  return span.n == strlen(word) && memcmp(p->text + span.at, word, span.n) == 0;
}

/* ---- meta ---- */

/* [{"as_int": 3}, {"as_expr": {...}}, ...] */
static uint32_t sizes(struct mxq_scan *s, int64_t *values) {
  uint32_t count = 0;
  mxq_scan_open(s);
  for (; mxq_scan_item(s); count++) {
    int64_t value = -1;
    mxq_scan_open(s);
    while (mxq_scan_key(s))
      if (mxq_scan_is(s, "as_int"))
        mxq_scan_i64(s, &value);
      else
        mxq_scan_skip(s);
    values[count] = value;
  }
  return count;
}

void mxq_pt2_value_meta(const struct mxq_pt2_program *p, const struct mxq_pt2_value *value, uint32_t *ndim, int64_t size[MXQ_MAX_NDIM],
                        int64_t strides[MXQ_MAX_NDIM]) {
  struct mxq_scan s = {.p = p->text + value->meta.at};
  unsigned left = strides ? 2 : 1;
  *ndim = 0;
  if (value->meta.n == 0 || value->described != MXQ_VALUE_TENSOR)
    return;
  mxq_scan_open(&s);
  while (left && mxq_scan_key(&s)) {
    if (mxq_scan_is(&s, "sizes")) {
      *ndim = sizes(&s, size);
      left--;
    } else if (strides && mxq_scan_is(&s, "strides")) {
      sizes(&s, strides);
      left--;
    } else {
      mxq_scan_skip(&s);
    }
  }
}

/* ---- arguments ---- */

struct taking {
  const struct mxq_pt2_program *p;
  const struct mxq_pt2_subgraph *g;
  const struct mxq_pt2_node *node;
  struct mxq_arena *arena;
  uint32_t argument;
  uint32_t taken, graph;             /* of the node: how many of each belong to arguments before; both come in the text's order */
  bool failed;
};

static void *room(struct taking *t, size_t count, size_t size) {
  void *p = mxq_arena_calloc(t->arena, count, size);
  t->failed |= !p;
  return p;
}

/* The string at s->p. */
static const char *text(struct taking *t, struct mxq_scan *s) {
  const char *begin = s->p, *string = NULL;
  mxq_scan_skip(s);
  size_t n = (size_t)(s->p - begin);
  if (!memchr(begin, '\\', n)) {
    string = mxq_arena_text(t->arena, begin + 1, n - 2);
  } else {
    mxq_json *j;
    if (mxq_json_open(begin, n, 0, &j, NULL) == MXQ_OK) {
      if (!mxq_json_text(j, t->arena, &string))
        string = NULL;
      mxq_json_close(j);
    }
  }
  t->failed |= !string;
  return string;
}

/* Values that the argument holds, by their place in it. */
static void values(struct taking *t, struct mxq_pt2_arg *arg, uint32_t count) {
  uint32_t *numbers = room(t, count, sizeof *numbers);
  if (!numbers)
    return;
  memset(numbers, 0xFF, count * sizeof *numbers);
  for (; t->taken < t->node->taken_count; t->taken++) {
    const struct mxq_pt2_taken *taken = &t->g->taken[t->node->first_taken + t->taken];
    if (taken->argument > t->argument)
      break;
    if (taken->argument == t->argument && taken->item < count)
      numbers[taken->item] = taken->value;
  }
  arg->values = numbers;
}

/* A number, whatever the locale's decimal point is. */
static double number(struct mxq_scan *s) {
  const char *begin = s->p;
  char buf[64];
  mxq_scan_skip(s);
  size_t n = (size_t)(s->p - begin);
  if (*begin == '"')
    return begin[1] == 'N' ? NAN : begin[1] == '-' ? -INFINITY : INFINITY;
  if (n >= sizeof buf)
    return NAN;
  memcpy(buf, begin, n);
  buf[n] = 0;
  char *point = strchr(buf, '.'), *end;
  double value = strtod(buf, &end);
  if (end != buf + n && point) {     /* where it is no point it is a comma */
    *point = ',';
    value = strtod(buf, &end);
  }
  return end == buf + n ? value : NAN;
}

/* One item of a list of numbers: 3, {"as_int": 3} or {"as_name": "s0"}. */
static int64_t list_item(struct mxq_scan *s) {
  int64_t value = INT64_MIN;
  if (*s->p != '{') {
    if (*s->p == 't' || *s->p == 'f') {
      value = *s->p == 't';
      mxq_scan_skip(s);
    } else if (!mxq_scan_i64(s, &value)) {
      value = INT64_MIN;
    }
    return value;
  }
  mxq_scan_open(s);
  while (mxq_scan_key(s))
    if (!mxq_scan_is(s, "as_int") || !mxq_scan_i64(s, &value))
      mxq_scan_skip(s);
  return value;
}

static void ints(struct taking *t, struct mxq_pt2_arg *arg, struct mxq_scan *s) {
  arg->count = mxq_scan_count(s);
  int64_t *list = room(t, arg->count, sizeof *list);
  mxq_scan_open(s);
  for (uint32_t i = 0; mxq_scan_item(s); i++) {
    int64_t value = list_item(s);
    if (list)
      list[i] = value;
  }
  arg->ints = list;
}

static void floats(struct taking *t, struct mxq_pt2_arg *arg, struct mxq_scan *s) {
  arg->count = mxq_scan_count(s);
  double *list = room(t, arg->count, sizeof *list);
  mxq_scan_open(s);
  for (uint32_t i = 0; mxq_scan_item(s); i++) {
    double value = number(s);
    if (list)
      list[i] = value;
  }
  arg->floats = list;
}

/* {"as_name": "s0"}, {"as_int": 3}, {"as_tensor": {...}}, {"as_none": true} behind as_sym_*, as_optional_tensor. */
static void one_of(struct taking *t, struct mxq_pt2_arg *arg, struct mxq_scan *s) {
  mxq_scan_open(s);
  while (mxq_scan_key(s)) {
    if (mxq_scan_is(s, "as_name") || mxq_scan_is(s, "as_tensor")) {
      arg->kind = MXQ_ARG_VALUE;
      values(t, arg, 1);
      mxq_scan_skip(s);
    } else if (mxq_scan_is(s, "as_int") || mxq_scan_is(s, "as_bool")) {
      int64_t *value = room(t, 1, sizeof *value), found = list_item(s);
      arg->kind = s->key[3] == 'b' ? MXQ_ARG_BOOL : found == INT64_MIN ? MXQ_ARG_OTHER : MXQ_ARG_INT;
      if (value)
        *value = found;
      arg->ints = value;
    } else if (mxq_scan_is(s, "as_float")) {
      double *value = room(t, 1, sizeof *value), found = number(s);
      arg->kind = MXQ_ARG_FLOAT;
      if (value)
        *value = found;
      arg->floats = value;
    } else {
      arg->kind = mxq_scan_is(s, "as_none") ? MXQ_ARG_NONE : MXQ_ARG_OTHER;
      mxq_scan_skip(s);
    }
  }
}

/* The union. s->p stands at it. */
static void take(struct taking *t, struct mxq_pt2_arg *arg, struct mxq_scan *s) {
  struct mxq_scan whole = *s;
  mxq_scan_open(s);
  while (mxq_scan_key(s)) {
    if (mxq_scan_is(s, "as_sym_ints") || mxq_scan_is(s, "as_ints")) {
      bool symbolic = s->key_n == 11;
      arg->kind = MXQ_ARG_INTS;
      ints(t, arg, s);
      if (symbolic)
        values(t, arg, arg->count);
    } else if (mxq_scan_is(s, "as_tensors") || mxq_scan_is(s, "as_optional_tensors") || mxq_scan_is(s, "as_sym_bools") ||
               mxq_scan_is(s, "as_sym_floats")) {
      arg->kind = MXQ_ARG_VALUES;
      arg->count = mxq_scan_count(s);
      values(t, arg, arg->count);
      mxq_scan_skip(s);
    } else if (mxq_scan_is(s, "as_sym_int") || mxq_scan_is(s, "as_sym_bool") || mxq_scan_is(s, "as_sym_float") || mxq_scan_is(s, "as_optional_tensor")) {
      one_of(t, arg, s);
    } else if (mxq_scan_is(s, "as_floats")) {
      arg->kind = MXQ_ARG_FLOATS;
      floats(t, arg, s);
    } else if (mxq_scan_is(s, "as_bools")) {
      arg->kind = MXQ_ARG_BOOLS;
      ints(t, arg, s);
    } else if (mxq_scan_is(s, "as_scalar_type")) {
      int64_t *value = room(t, 1, sizeof *value), found = list_item(s);
      arg->kind = MXQ_ARG_SCALAR_TYPE;
      if (value)
        *value = found;
      arg->ints = value;
    } else if (mxq_scan_is(s, "as_string")) {
      arg->kind = MXQ_ARG_STRING;
      arg->text = text(t, s);
    } else if (mxq_scan_is(s, "as_graph")) {
      arg->kind = MXQ_ARG_GRAPH;
      size_t at = (size_t)(s->p - t->p->text);
      mxq_scan_skip(s);
      while (t->graph + 1 < t->node->graph_count && t->p->graphs[t->node->first_graph + t->graph].span.at < at)
        t->graph++;                  /* those inside of other arguments */
      arg->graph = t->node->first_graph + t->graph;
    } else {                         /* as_tensor, as_int, as_bool, as_float, as_none, and the rest */
      *s = whole;
      one_of(t, arg, s);
      return;
    }
  }
}

static void named(struct taking *t, struct mxq_pt2_arg *arg, struct mxq_scan *s) {
  arg->kind = MXQ_ARG_OTHER;
  mxq_scan_open(s);
  while (mxq_scan_key(s)) {
    if (mxq_scan_is(s, "name"))
      arg->name = text(t, s);
    else if (mxq_scan_is(s, "arg"))
      take(t, arg, s);
    else
      mxq_scan_skip(s);
  }
}

bool mxq_pt2_node_args(const struct mxq_pt2_program *p, uint32_t graph, uint32_t node, struct mxq_arena *arena, const struct mxq_pt2_arg **args,
                       uint32_t *count) {
  const struct mxq_pt2_subgraph *g = &p->graphs[graph];
  struct taking t = {.p = p, .g = g, .node = &g->nodes[node], .arena = arena};
  struct mxq_scan s = {.p = p->text + t.node->span.at};
  struct mxq_pt2_arg *list = NULL;
  *args = NULL;
  *count = 0;
  mxq_scan_open(&s);
  while (mxq_scan_key(&s)) {
    if (!mxq_scan_is(&s, "inputs")) {
      mxq_scan_skip(&s);
      continue;
    }
    *count = mxq_scan_count(&s);
    list = room(&t, *count, sizeof *list);
    if (!list)
      return false;
    mxq_scan_open(&s);
    for (; mxq_scan_item(&s); t.argument++)
      named(&t, &list[t.argument], &s);
    break;
  }
  *args = list;
  return !t.failed;
}

bool mxq_pt2_same_layout(const struct mxq_pt2_program *p, const struct mxq_pt2_subgraph *g, const struct mxq_pt2_node *node, const struct mxq_pt2_arg *args,
                         uint32_t count) {
  const struct mxq_pt2_arg *size = NULL, *stride = NULL;
  int64_t sizes[MXQ_MAX_NDIM], strides[MXQ_MAX_NDIM], step = 1;
  uint32_t ndim;
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(args[i].name, "size") == 0)
      size = &args[i];
    else if (strcmp(args[i].name, "stride") == 0)
      stride = &args[i];
    else if (strcmp(args[i].name, "storage_offset") == 0 && args[i].kind != MXQ_ARG_NONE && (args[i].kind != MXQ_ARG_INT || args[i].ints[0] != 0))
      return false;
  }
  if (node->taken_count != 1 || !size || !stride || size->kind != MXQ_ARG_INTS || stride->kind != MXQ_ARG_INTS)
    return false;
  mxq_pt2_value_meta(p, &g->values[g->taken[node->first_taken].value], &ndim, sizes, strides);
  if (size->count != ndim || stride->count != ndim)
    return false;
  for (uint32_t d = ndim; d-- > 0;)
    if (sizes[d] < 1 || size->ints[d] != sizes[d] || (sizes[d] > 1 && (strides[d] != step || stride->ints[d] != step)) ||
        __builtin_mul_overflow(step, sizes[d], &step))
      return false;
  return true;
}
