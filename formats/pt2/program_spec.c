/* SPDX-License-Identifier: MIT */
/* The signature: what each input stands for, where each output goes. */
#include <string.h>

#include "formats/pt2/program_index.h"

/* What a spec says. */
struct spec {
  size_t at;
  struct mxq_pt2_seen arg;
  const char *fqn;                   /* the tensor's name, NULL: none was there */
  size_t fqn_n;
  bool has_arg, has_persistent, persistent, has_value;
};

/* {"as_int": 3}: the value of an input that is always the same. */
static bool constant_value(struct mxq_pt2_indexer *ix) {
  static const char *const keys[] = {"as_none", "as_int", "as_float", "as_string", "as_bool"};
  static const char what[] = "a constant";
  const char *s;
  size_t n, k;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  for (k = 0; k < 5 && !mxq_pt2_is(s, n, keys[k]); k++)
    ;
  if (k == 5)
    return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "a constant of the kind '%.*s', which is not known", n > 60 ? 60 : (int)n, s);
  mxq_json_skip(ix->json, MXQ_JSON_KEY);
  return mxq_pt2_union_end(ix, what);
}

/* {"arg": ..., "parameter_name": "..."}; whole: arg is an argument, else {"name": ...}. target: the key of what it stands for, "" when there is none. */
static bool body(struct mxq_pt2_indexer *ix, bool whole, const char *target, struct spec *spec) {
  const char *s;
  size_t n;
  spec->at = mxq_json_start(ix->json);
  spec->arg = (struct mxq_pt2_seen){.value = MXQ_NO_NUMBER};
  spec->fqn = NULL;
  spec->has_arg = spec->has_persistent = spec->has_value = false;
  spec->persistent = true;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "arg")) {
      spec->has_arg = true;
      if (whole)
        mxq_pt2_argument(ix, NULL, MXQ_ROLE_TELLS, &spec->arg);
      else
        mxq_pt2_named(ix, NULL, MXQ_ROLE_TELLS, MXQ_VALUE_TENSOR, 0, &spec->arg);
    } else if (*target && mxq_pt2_is(s, n, target)) {
      if (mxq_pt2_string(ix, &s, &n)) {
        spec->fqn = mxq_pt2_keep(ix, s, n);
        spec->fqn_n = n;
      }
    } else if (mxq_pt2_is(s, n, "persistent")) {
      spec->has_persistent = mxq_json_bool(ix->json, &spec->persistent);
    } else if (mxq_pt2_is(s, n, "value")) {
      spec->has_value = true;
      if (!*target)
        mxq_json_skip(ix->json, MXQ_JSON_KEY);
      else
        constant_value(ix);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  if (*target && !spec->fqn)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, spec->at, "an input or output of the program has no %s", target);
  return mxq_pt2_ok(ix);
}

/* The stored tensor of that name; refused when there is none. */
static uint32_t stored(struct mxq_pt2_indexer *ix, const struct spec *spec) {
  const struct mxq_pt2_reader *r = ix->r;
  uint32_t i = ix->next_stored;
  if (i >= r->stored_count || strncmp(r->stored[i].name, spec->fqn, spec->fqn_n) != 0 || r->stored[i].name[spec->fqn_n])
    i = mxq_names_find(&r->stored_names, spec->fqn, spec->fqn_n);
  if (i == UINT32_MAX)
    mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, spec->at, "tensor '%.*s': the program uses it, and no config has it",
                   spec->fqn_n > 200 ? 200 : (int)spec->fqn_n, spec->fqn);
  else
    ix->next_stored = i + 1;
  return i;
}

static bool stands_for(struct mxq_pt2_indexer *ix, enum mxq_pt2_spec kind, const struct spec *spec, uint32_t *number) {
  bool constant = kind == MXQ_SPEC_CONSTANT || !spec->persistent;
  *number = stored(ix, spec);
  if (*number == UINT32_MAX)
    return false;
  struct mxq_pt2_stored *t = &ix->r->stored[*number];
  if (t->constant != constant)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, spec->at, "tensor '%.200s': a %s to the config, a %s to the program", t->name,
                          t->constant ? "constant" : "weight", constant ? "constant" : "weight");
  if (kind == MXQ_SPEC_PARAMETER && !t->parameter)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, spec->at, "tensor '%.200s': a parameter to the program, and none to the config", t->name);
  if (ix->r->program_known)          /* the manifest may have said better since */
    return true;
  if (t->named)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, spec->at, "tensor '%.200s': two inputs of the program stand for it", t->name);
  t->named = true;
  t->kind = kind == MXQ_SPEC_PARAMETER ? MXQ_KIND_PARAMETER
            : kind == MXQ_SPEC_CONSTANT ? MXQ_KIND_CONSTANT
            : spec->persistent          ? MXQ_KIND_BUFFER
                                        : MXQ_KIND_NONPERSISTENT;
  return true;
}

static bool remember(struct mxq_pt2_indexer *ix, struct mxq_pt2_spec_name **names, uint32_t *room, uint32_t count, const struct spec *spec) {
  if (!mxq_pt2_room(ix, names, room, count, sizeof **names))
    return false;
  (*names)[count] = (struct mxq_pt2_spec_name){spec->arg.name, spec->arg.n, (uint32_t)spec->at};
  return true;
}

static bool input_spec(struct mxq_pt2_indexer *ix) {
  static const struct { const char *key; enum mxq_pt2_spec kind; const char *target; } kinds[] = {
      {"parameter", MXQ_SPEC_PARAMETER, "parameter_name"}, {"buffer", MXQ_SPEC_BUFFER, "buffer_name"}, {"user_input", MXQ_SPEC_USER, ""},
      {"tensor_constant", MXQ_SPEC_CONSTANT, "tensor_constant_name"}, {"constant_input", MXQ_SPEC_USER, "name"},
      {"custom_obj", MXQ_SPEC_OTHER, "custom_obj_name"}, {"token", MXQ_SPEC_OTHER, ""}};
  static const char what[] = "an input of the program";
  const char *s;
  size_t n, k, at = mxq_json_start(ix->json), count = sizeof kinds / sizeof *kinds;
  struct spec spec;
  struct mxq_pt2_program *p = ix->p;
  uint32_t number = MXQ_NO_NUMBER;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  for (k = 0; k < count && !mxq_pt2_is(s, n, kinds[k].key); k++)
    ;
  if (k == count)
    return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, at, "%s of the kind '%.*s', which is not known", what, n > 60 ? 60 : (int)n, s);
  enum mxq_pt2_spec kind = kinds[k].kind;
  bool constant = k == 4;
  if (!body(ix, kind == MXQ_SPEC_USER, kinds[k].target, &spec) || !mxq_pt2_union_end(ix, what))
    return false;
  if (constant ? !spec.has_value : !spec.has_arg)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "%s without %s", what, constant ? "value" : "arg");
  if (kind == MXQ_SPEC_BUFFER && !spec.has_persistent)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "a buffer that is neither persistent nor not");
  if (kind != MXQ_SPEC_BUFFER)
    spec.persistent = true;
  if (kind != MXQ_SPEC_USER && kind != MXQ_SPEC_OTHER && !stands_for(ix, kind, &spec, &number))
    return false;
  if (!mxq_pt2_room(ix, &p->inputs, &ix->input_spec_room, ix->input_count, sizeof *p->inputs) ||
      !remember(ix, &ix->input_names, &ix->input_room, ix->input_count, &spec))
    return false;
  p->inputs[ix->input_count++] = (struct mxq_pt2_input_spec){mxq_pt2_span(ix, at), (uint8_t)kind, number};
  return true;
}

static bool output_spec(struct mxq_pt2_indexer *ix) {
  static const struct { const char *key, *target; } kinds[] = { /* by enum mxq_pt2_output_kind */
      {"user_output", ""}, {"buffer_mutation", "buffer_name"}, {"parameter_mutation", "parameter_name"}, {"gradient_to_parameter", "parameter_name"},
      {"loss_output", ""}, {"gradient_to_user_input", "user_input_name"}, {"user_input_mutation", "user_input_name"}, {"token", ""}};
  static const char what[] = "an output of the program";
  const char *s;
  size_t n, k, at = mxq_json_start(ix->json), count = sizeof kinds / sizeof *kinds;
  struct spec spec;
  struct mxq_pt2_program *p = ix->p;
  uint32_t number = MXQ_NO_NUMBER;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  for (k = 0; k < count && !mxq_pt2_is(s, n, kinds[k].key); k++)
    ;
  if (k == count)
    return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, at, "%s of the kind '%.*s', which is not known", what, n > 60 ? 60 : (int)n, s);
  if (!body(ix, k == 0, kinds[k].target, &spec) || !mxq_pt2_union_end(ix, what))
    return false;
  if (!spec.has_arg)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "%s without arg", what);
  if (k >= MXQ_OUTPUT_BUFFER_MUTATION && k <= MXQ_OUTPUT_PARAMETER_GRADIENT && (number = stored(ix, &spec)) == UINT32_MAX)
    return false;
  if (!mxq_pt2_room(ix, &p->outputs, &ix->output_spec_room, ix->output_count, sizeof *p->outputs) ||
      !remember(ix, &ix->output_names, &ix->output_room, ix->output_count, &spec))
    return false;
  p->outputs[ix->output_count++] = (struct mxq_pt2_output_spec){mxq_pt2_span(ix, at), k == MXQ_OUTPUT_USER, (uint8_t)k, number};
  return true;
}

static bool specs(struct mxq_pt2_indexer *ix, bool (*spec)(struct mxq_pt2_indexer *ix), struct mxq_span *span) {
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_json_more(ix->json))
    if (!spec(ix))
      return false;
  bool done = mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
  *span = mxq_pt2_span(ix, at);
  return done;
}

bool mxq_pt2_signature(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  bool inputs = false, outputs = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t at = mxq_json_offset(ix->json);
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "input_specs"))
      inputs = specs(ix, input_spec, &ix->p->input_specs);
    else if (mxq_pt2_is(s, n, "output_specs"))
      outputs = specs(ix, output_spec, &ix->p->output_specs);
    else
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
  }
  ix->p->signature = mxq_pt2_span(ix, at);
  return mxq_pt2_ok(ix) &&
         ((inputs && outputs) || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "the signature has no %s", inputs ? "output_specs" : "input_specs"));
}
