/* SPDX-License-Identifier: MIT */
/* <mxq/program.h> on the index: inputs, outputs, and what the walk finds. Made at the first call, in the reader's arena. */
#include <mxq/program.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "formats/pt2/program_scan.h"
#include "formats/pt2/uses.h"
#include "lib/base/fail.h"

const char *mxq_value_type_name(enum mxq_value_type type) {
  switch (type) {
  case MXQ_VALUE_TENSOR: return "tensor";
  case MXQ_VALUE_INT: return "int";
  case MXQ_VALUE_FLOAT: return "float";
  case MXQ_VALUE_BOOL: return "bool";
  case MXQ_VALUE_STRING: return "string";
  case MXQ_VALUE_NONE: return "none";
  case MXQ_VALUE_OTHER: break;
  }
  return "other";
}

/* ---- values ---- */

/* The string at s->p, decoded. NULL: out of memory. */
static const char *text(struct mxq_scan *s, struct mxq_arena *arena) {
  const char *begin = s->p, *copy = NULL;
  mxq_json *j;
  mxq_scan_skip(s);
  if (mxq_json_open(begin, (size_t)(s->p - begin), 0, &j, NULL) != MXQ_OK)
    return NULL;
  if (!mxq_json_text(j, arena, &copy))
    copy = NULL;
  mxq_json_close(j);
  return copy;
}

/* {"as_int": 3} or {"as_expr": {"expr_str": "..."}}. NULL: out of memory. */
static const char *size_text(struct mxq_scan *s, struct mxq_arena *arena) {
  const char *found = "?";
  mxq_scan_open(s);
  while (found && mxq_scan_key(s)) {
    if (mxq_scan_is(s, "as_int")) {
      const char *from = s->p;
      mxq_scan_skip(s);
      found = mxq_arena_text(arena, from, (size_t)(s->p - from));
    } else if (mxq_scan_is(s, "as_expr")) {
      mxq_scan_open(s);
      while (found && mxq_scan_key(s))
        if (mxq_scan_is(s, "expr_str")) {
          const char *expression = text(s, arena);
          found = expression ? mxq_pt2_symbolic(arena, expression, strlen(expression)) : NULL;
        } else {
          mxq_scan_skip(s);
        }
    } else {
      mxq_scan_skip(s);
    }
  }
  return found;
}

static bool tensor(const struct mxq_pt2_program *p, const struct mxq_pt2_value *value, struct mxq_arena *arena, struct mxq_value *out) {
  struct mxq_scan s = {.p = p->text + value->meta.at};
  out->dtype = mxq_pt2_dtype(value->dtype);
  if (value->meta.n == 0 || value->described != MXQ_VALUE_TENSOR)
    return true;
  mxq_scan_open(&s);
  while (mxq_scan_key(&s)) {
    if (!mxq_scan_is(&s, "sizes")) {
      mxq_scan_skip(&s);
      continue;
    }
    uint32_t n = mxq_scan_count(&s);
    const char **shape = mxq_arena_calloc(arena, n, sizeof *shape);
    if (!shape)
      return false;
    mxq_scan_open(&s);
    for (uint32_t d = 0; mxq_scan_item(&s); d++)
      if (!(shape[d] = size_text(&s, arena)))
        return false;
    out->ndim = n;
    out->shape = shape;
    return true;
  }
  return true;
}

/* What stands where no name of the graph does: a constant, a list, an object. */
static bool constant(const struct mxq_pt2_program *p, struct mxq_span span, struct mxq_arena *arena, struct mxq_value *out) {
  struct mxq_scan s = {.p = p->text + span.at};
  out->type = MXQ_VALUE_OTHER;
  out->name = "";
  if (*s.p != '{')
    return true;
  mxq_scan_open(&s);
  if (!mxq_scan_key(&s))
    return true;
  bool string = mxq_scan_is(&s, "as_string");
  out->type = mxq_scan_is(&s, "as_int")     ? MXQ_VALUE_INT
              : mxq_scan_is(&s, "as_float") ? MXQ_VALUE_FLOAT
              : mxq_scan_is(&s, "as_bool")  ? MXQ_VALUE_BOOL
              : mxq_scan_is(&s, "as_none")  ? MXQ_VALUE_NONE
              : string                      ? MXQ_VALUE_STRING
                                            : MXQ_VALUE_OTHER;
  if (out->type == MXQ_VALUE_NONE) {
    out->name = "none";
  } else if (*s.p == '"') {
    out->name = text(&s, arena);
  } else if (*s.p == '{') {          /* {"name": ..., "class_fqn": ...}; {"as_int": 3} of a symbolic one */
    mxq_scan_open(&s);
    while (out->name && mxq_scan_key(&s)) {
      bool number = mxq_scan_is(&s, "as_int") || mxq_scan_is(&s, "as_bool") || mxq_scan_is(&s, "as_float");
      const char *from = s.p;
      if (number)
        out->type = s.key[3] == 'i' ? MXQ_VALUE_INT : s.key[3] == 'b' ? MXQ_VALUE_BOOL : MXQ_VALUE_FLOAT;
      if (*s.p == '"' && mxq_scan_is(&s, "name")) {
        out->name = text(&s, arena);
        continue;
      }
      mxq_scan_skip(&s);
      if (number)
        out->name = mxq_arena_text(arena, from, (size_t)(s.p - from));
    }
  } else if (*s.p != '[') {
    const char *from = s.p;
    mxq_scan_skip(&s);
    out->name = mxq_arena_text(arena, from, (size_t)(s.p - from));
  }
  return out->name != NULL;
}

/* An element of the graph's inputs or outputs. */
static bool value(const struct mxq_pt2_program *p, uint32_t number, struct mxq_span span, struct mxq_arena *arena, struct mxq_value *out) {
  *out = (struct mxq_value){0};
  if (number == MXQ_NO_NUMBER)
    return constant(p, span, arena, out);
  const struct mxq_pt2_value *v = &p->graphs[0].values[number];
  out->type = (enum mxq_value_type)v->type;
  out->name = mxq_arena_text(arena, v->name, v->name_n);
  return out->name && (v->type != MXQ_VALUE_TENSOR || tensor(p, v, arena, out));
}

/* {"constant_input": {"name": "flag", "value": ...}}: the user passes it, though the program knows what it is. */
static bool is_constant_input(const struct mxq_pt2_program *p, struct mxq_span span) {
  struct mxq_scan s = {.p = p->text + span.at};
  mxq_scan_open(&s);
  return mxq_scan_key(&s) && mxq_scan_is(&s, "constant_input");
}
static bool constant_input_name(const struct mxq_pt2_program *p, struct mxq_span span, struct mxq_arena *arena, struct mxq_value *out) {
  struct mxq_scan s = {.p = p->text + span.at};
  mxq_scan_open(&s);
  mxq_scan_key(&s);
  mxq_scan_open(&s);
  while (mxq_scan_key(&s))
    if (mxq_scan_is(&s, "name") && *s.p == '"')
      return (out->name = text(&s, arena)) != NULL;
    else
      mxq_scan_skip(&s);
  return true;
}

static bool values(struct mxq_program *out, const struct mxq_pt2_program *p, struct mxq_arena *arena) {
  const struct mxq_pt2_subgraph *g = &p->graphs[0];
  struct mxq_value *in = mxq_arena_calloc(arena, g->input_count, sizeof *in), *to = mxq_arena_calloc(arena, g->output_count, sizeof *to);
  if (!in || !to)
    return false;
  for (uint32_t i = 0; i < g->input_count; i++) {
    bool given = p->inputs[i].kind == MXQ_SPEC_OTHER && is_constant_input(p, p->inputs[i].span);
    if (p->inputs[i].kind != MXQ_SPEC_USER && !given)
      continue;
    struct mxq_value *v = &in[out->input_count++];
    if (!value(p, g->inputs_values[i], g->inputs_spans[i], arena, v) || (given && !constant_input_name(p, p->inputs[i].span, arena, v)))
      return false;
  }
  for (uint32_t i = 0; i < g->output_count; i++)
    if (p->outputs[i].user && !value(p, g->outputs_values[i], g->outputs_spans[i], arena, &to[out->output_count++]))
      return false;
  out->inputs = in;
  out->outputs = to;
  out->symbols = p->symbols;
  out->symbol_count = p->symbol_count;
  return true;
}

/* ---- all ---- */

/* Of an archive of weights, whose program nobody asked for before; names were forgotten when the tensors were known. */
static enum mxq_status read_again(struct mxq_pt2_reader *r, struct mxq_error *err) {
  enum mxq_status status = MXQ_OK;
  for (uint32_t i = 0; i < r->stored_count && status == MXQ_OK; i++) {
    uint32_t number = i;
    if (mxq_names_put(&r->stored_names, r->stored[i].name, strlen(r->stored[i].name), &number) == MXQ_NAMES_NOMEM)
      status = mxq_fail_nomem(err, r->base.path);
  }
  if (status == MXQ_OK)
    status = mxq_pt2_program_read(r, &r->program, err);
  mxq_names_free(&r->stored_names);
  return status;
}

enum mxq_status mxq_pt2_api(struct mxq_reader *base, const mxq_program **program, struct mxq_error *err) {
  struct mxq_pt2_reader *r = (struct mxq_pt2_reader *)base;
  enum mxq_status status = MXQ_OK;
  if (!r->api && !r->program)
    status = read_again(r, err);
  if (status != MXQ_OK || r->api) {
    *program = r->api;
    return status;
  }
  struct mxq_program *out = mxq_arena_calloc(&base->arena, 1, sizeof *out);
  struct mxq_pt2_walk w = {.r = r, .p = r->program, .out = out};
  w.changed = mxq_arena_calloc(&w.scratch, mxq_zip_count(r->zip), sizeof *w.changed);
  if (out && w.changed && values(out, r->program, &base->arena) && mxq_pt2_groups(&w) && mxq_pt2_walk(&w) && mxq_pt2_lists(&w)) {
    out->tensor_count = base->count;
    r->api = out;
  } else if (w.limited) {
    status = mxq_fail(err, MXQ_ERR_LIMIT, base->path, "the program puts its weights together in more ways than can be followed");
  } else {
    status = mxq_fail_nomem(err, base->path);
  }
  free(w.found);
  mxq_pt2_texts_free(&w.texts);
  mxq_arena_free(&w.scratch);
  *program = r->api;
  return status;
}

const struct mxq_value *mxq_program_inputs(const mxq_program *program, size_t *count) {
  *count = program->input_count;
  return program->inputs;
}
const struct mxq_value *mxq_program_outputs(const mxq_program *program, size_t *count) {
  *count = program->output_count;
  return program->outputs;
}
const struct mxq_symbol *mxq_program_symbols(const mxq_program *program, size_t *count) {
  *count = program->symbol_count;
  return program->symbols;
}
const struct mxq_operator *mxq_program_operators(const mxq_program *program, size_t *count) {
  *count = program->operator_count;
  return program->operators;
}
const struct mxq_use *mxq_program_uses(const mxq_program *program, size_t i, size_t *count) {
  assert(i < program->tensor_count);
  uint32_t group = program->group[i];
  *count = program->first_use[group + 1] - program->first_use[group];
  return program->uses + program->first_use[group];
}
void mxq_program_axes(const mxq_program *program, size_t i, struct mxq_axes_choice *choice) {
  assert(i < program->tensor_count);
  *choice = program->choices[program->group[i]];
}
