/* SPDX-License-Identifier: MIT */
/* The union that arguments, inputs and outputs are written as: its form, and the names in it. */
#include <string.h>

#include "formats/pt2/program_index.h"

enum shape {
  TRUTH, NAMED, NAMEDS, INT, INTS, INT_LISTS, FLOAT, FLOATS, FLOAT_LISTS, TEXT, TEXTS, SYM, SYMS, DEVICE, BOOL, BOOLS, GRAPH, OPTIONAL, OPTIONALS,
  COMPLEX, NAMED_LISTS, ARGUMENTS
};

#define KEY(s) sizeof s - 1, s
/* Every key that the schema has (8.20), the usual ones first. */
static const struct { uint8_t n; const char *key; enum shape shape; enum mxq_value_type type; } kinds[] = {
    {KEY("as_tensor"), NAMED, MXQ_VALUE_TENSOR}, {KEY("as_int"), INT, MXQ_VALUE_INT}, {KEY("as_tensors"), NAMEDS, MXQ_VALUE_TENSOR},
    {KEY("as_ints"), INTS, MXQ_VALUE_INT}, {KEY("as_float"), FLOAT, MXQ_VALUE_FLOAT}, {KEY("as_bool"), BOOL, MXQ_VALUE_BOOL},
    {KEY("as_none"), TRUTH, MXQ_VALUE_NONE}, {KEY("as_sym_int"), SYM, MXQ_VALUE_INT}, {KEY("as_sym_ints"), SYMS, MXQ_VALUE_INT},
    {KEY("as_scalar_type"), INT, MXQ_VALUE_OTHER}, {KEY("as_string"), TEXT, MXQ_VALUE_STRING}, {KEY("as_device"), DEVICE, MXQ_VALUE_OTHER},
    {KEY("as_layout"), INT, MXQ_VALUE_OTHER}, {KEY("as_memory_format"), INT, MXQ_VALUE_OTHER}, {KEY("as_optional_tensors"), OPTIONALS, MXQ_VALUE_TENSOR},
    {KEY("as_optional_tensor"), OPTIONAL, MXQ_VALUE_TENSOR}, {KEY("as_graph"), GRAPH, MXQ_VALUE_OTHER}, {KEY("as_sym_bool"), SYM, MXQ_VALUE_BOOL},
    {KEY("as_sym_bools"), SYMS, MXQ_VALUE_BOOL}, {KEY("as_sym_float"), SYM, MXQ_VALUE_FLOAT}, {KEY("as_sym_floats"), SYMS, MXQ_VALUE_FLOAT},
    {KEY("as_floats"), FLOATS, MXQ_VALUE_FLOAT}, {KEY("as_bools"), BOOLS, MXQ_VALUE_BOOL}, {KEY("as_strings"), TEXTS, MXQ_VALUE_STRING},
    {KEY("as_custom_obj"), NAMED, MXQ_VALUE_OTHER}, {KEY("as_operator"), TEXT, MXQ_VALUE_OTHER}, {KEY("as_complex"), COMPLEX, MXQ_VALUE_OTHER},
    {KEY("as_nested_tensors"), NAMED_LISTS, MXQ_VALUE_TENSOR}, {KEY("as_int_lists"), INT_LISTS, MXQ_VALUE_INT},
    {KEY("as_float_lists"), FLOAT_LISTS, MXQ_VALUE_FLOAT}, {KEY("as_string_to_argument"), ARGUMENTS, MXQ_VALUE_OTHER},
};

static bool wrong(struct mxq_pt2_indexer *ix, const char *what) {
  if (mxq_pt2_ok(ix))
    mxq_json_reject(ix->json, mxq_json_offset(ix->json), "something else where %s should be", what);
  return false;
}

/* ---- constants ---- */

static bool integer(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  if (mxq_json_next(ix->json, &s, &n) != MXQ_JSON_NUMBER)
    return wrong(ix, "an integer");
  for (size_t i = s[0] == '-'; i < n; i++)
    if (s[i] < '0' || s[i] > '9')
      return wrong(ix, "an integer");
  return true;
}

static bool floating(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  enum mxq_json_type type = mxq_json_next(ix->json, &s, &n);
  return type == MXQ_JSON_NUMBER ||
         (type == MXQ_JSON_STRING && (mxq_pt2_is(s, n, "Infinity") || mxq_pt2_is(s, n, "-Infinity") || mxq_pt2_is(s, n, "NaN"))) || wrong(ix, "a number");
}

static bool truth(struct mxq_pt2_indexer *ix) {
  bool value;
  return mxq_json_bool(ix->json, &value);
}

static bool text(struct mxq_pt2_indexer *ix) { return mxq_json_expect(ix->json, MXQ_JSON_STRING); }

static bool list(struct mxq_pt2_indexer *ix, bool (*item)(struct mxq_pt2_indexer *ix)) {
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  while (mxq_json_more(ix->json))
    if (!item(ix))
      return false;
  return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
}

static bool integers(struct mxq_pt2_indexer *ix) { return list(ix, integer); }
static bool floatings(struct mxq_pt2_indexer *ix) { return list(ix, floating); }

/* {"type": "cpu", "index": 0}, or {"real": 0.0, "imag": 1.0} */
static bool pair(struct mxq_pt2_indexer *ix, bool device) {
  const char *s;
  size_t n, at = mxq_json_offset(ix->json);
  unsigned has = 0;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (device && mxq_pt2_is(s, n, "type")) {
      has = text(ix) ? 3 : 0;
    } else if (!device && (mxq_pt2_is(s, n, "real") || mxq_pt2_is(s, n, "imag"))) {
      has |= s[0] == 'r' ? 1 : 2;
      floating(ix);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  return mxq_pt2_ok(ix) && (has == 3 || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, device ? "a device without type" : "a complex number needs real and imag"));
}

/* ---- names ---- */

static bool identifier(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') && s[i] != '_' && (i == 0 || s[i] < '0' || s[i] > '9'))
      return false;
  return n > 0;
}

static bool make(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, uint32_t value, enum mxq_value_type type) {
  struct mxq_pt2_value *v = &b->g.values[value];
  if (v->node != MXQ_NO_NUMBER || v->input != MXQ_NO_NUMBER)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "the name '%.*s' is defined twice", v->name_n > 100 ? 100 : v->name_n, v->name);
  v->type = (uint8_t)type;
  if (!b->in_node) {
    v->input = b->g.input_count;
    return true;
  }
  v->node = b->g.node_count;
  if (!mxq_pt2_room(ix, &b->g.results, &b->result_room, b->result_count, sizeof *b->g.results))
    return false;
  b->g.results[b->result_count++] = value;
  return true;
}

/* The text of a name was just read. */
static bool name(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                 const char *s, size_t n, struct mxq_pt2_seen *seen) {
  if (role == MXQ_ROLE_TELLS) {
    seen->name = mxq_pt2_keep(ix, s, n);
    seen->n = (uint32_t)n;
    return seen->name != NULL;
  }
  if (!identifier(s, n) || n > UINT16_MAX)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "the name '%.*s' is no identifier", n > 100 ? 100 : (int)n, s);
  uint32_t value = mxq_pt2_intern(ix, b, s, n);
  if (value == MXQ_NO_NUMBER)
    return false;
  seen->value = value;
  if (role == MXQ_ROLE_MAKES)
    return make(ix, b, value, type);
  if (type != MXQ_VALUE_OTHER)
    b->g.values[value].needed = true;
  if (role == MXQ_ROLE_RETURNS)
    return true;
  if (!mxq_pt2_room(ix, &b->g.taken, &b->taken_room, b->g.taken_count, sizeof *b->g.taken))
    return false;
  b->g.taken[b->g.taken_count++] = (struct mxq_pt2_taken){b->g.node_count, value, b->argument, item};
  return true;
}

bool mxq_pt2_named(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                   struct mxq_pt2_seen *seen) {
  const char *s;
  size_t n, at = mxq_json_offset(ix->json);
  bool has_name = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "name"))
      has_name = mxq_pt2_string(ix, &s, &n) && name(ix, b, role, type, item, s, n, seen);
    else
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
  }
  return mxq_pt2_ok(ix) && (has_name || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "a value without name"));
}

/* {"as_name": "s0"} or {"as_int": 3} (as_bool, as_float) */
static bool symbolic(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                     struct mxq_pt2_seen *seen) {
  static const char what[] = "a symbolic argument";
  const char *s;
  size_t n;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  seen->constant = false;
  if (mxq_pt2_is(s, n, "as_name")) {
    if (!mxq_pt2_string(ix, &s, &n) || !name(ix, b, role, type, item, s, n, seen))
      return false;
  } else if (type == MXQ_VALUE_INT && mxq_pt2_is(s, n, "as_int")) {
    seen->constant = integer(ix);
  } else if (type == MXQ_VALUE_BOOL && mxq_pt2_is(s, n, "as_bool")) {
    seen->constant = truth(ix);
  } else if (type == MXQ_VALUE_FLOAT && mxq_pt2_is(s, n, "as_float")) {
    seen->constant = floating(ix);
  } else {
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "%s of the kind '%.*s', which is not known", what, n > 60 ? 60 : (int)n, s);
  }
  return mxq_pt2_union_end(ix, what);
}

/* {"as_tensor": {"name": "x"}} or {"as_none": true} */
static bool optional(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                     struct mxq_pt2_seen *seen) {
  static const char what[] = "an optional tensor";
  const char *s;
  size_t n;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  seen->constant = false;
  if (mxq_pt2_is(s, n, "as_tensor")) {
    if (!mxq_pt2_named(ix, b, role, type, item, seen))
      return false;
  } else if (mxq_pt2_is(s, n, "as_none")) {
    seen->constant = truth(ix);
  } else {
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "%s of the kind '%.*s', which is not known", what, n > 60 ? 60 : (int)n, s);
  }
  return mxq_pt2_union_end(ix, what);
}

typedef bool item_fn(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, uint32_t item,
                     struct mxq_pt2_seen *seen);

/* A list of things that may have names; what a list holds is not one value. */
static bool items(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum mxq_value_type type, item_fn *item, uint32_t *at,
                  struct mxq_pt2_seen *seen) {
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return false;
  while (mxq_json_more(ix->json))
    if (!item(ix, b, role, type, (*at)++, seen))
      return false;
  *seen = (struct mxq_pt2_seen){.value = MXQ_NO_NUMBER};
  return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
}

/* {"name": "true_graph_0", "graph": {...}} */
static bool inner_graph(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role) {
  const char *s;
  size_t n, at = mxq_json_offset(ix->json);
  bool has_name = false, has_graph = false;
  if (role != MXQ_ROLE_TAKES)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "a graph where only a value can be");
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "name")) {
      has_name = text(ix);
    } else if (mxq_pt2_is(s, n, "graph")) {
      size_t node_at = ix->node_at;
      has_graph = mxq_pt2_graph(ix, b->number, b->g.node_count, b->g.depth + 1);
      if (has_graph)
        ix->node_at = node_at;
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  return mxq_pt2_ok(ix) && ((has_name && has_graph) || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "an inner graph needs name and graph"));
}

static bool argument(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, uint32_t *item, struct mxq_pt2_seen *seen);

static bool content(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, enum shape shape, enum mxq_value_type type,
                    uint32_t *item, struct mxq_pt2_seen *seen) {
  const char *s;
  size_t n;
  seen->constant = shape == INT || shape == FLOAT || shape == TEXT || shape == BOOL || shape == TRUTH;
  switch (shape) {
  case TRUTH: case BOOL: return truth(ix);
  case NAMED: return mxq_pt2_named(ix, b, role, type, (*item)++, seen);
  case NAMEDS: return items(ix, b, role, type, mxq_pt2_named, item, seen);
  case INT: return integer(ix);
  case INTS: return integers(ix);
  case INT_LISTS: return list(ix, integers);
  case FLOAT: return floating(ix);
  case FLOATS: return floatings(ix);
  case FLOAT_LISTS: return list(ix, floatings);
  case TEXT: return text(ix);
  case TEXTS: return list(ix, text);
  case SYM: return symbolic(ix, b, role, type, (*item)++, seen);
  case SYMS: return items(ix, b, role, type, symbolic, item, seen);
  case DEVICE: return pair(ix, true);
  case BOOLS: return list(ix, truth);
  case GRAPH: return inner_graph(ix, b, role);
  case OPTIONAL: return optional(ix, b, role, type, (*item)++, seen);
  case OPTIONALS: return items(ix, b, role, type, optional, item, seen);
  case COMPLEX: return pair(ix, false);
  case NAMED_LISTS:
    if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
      return false;
    while (mxq_json_more(ix->json))
      if (!items(ix, b, role, type, mxq_pt2_named, item, seen))
        return false;
    return mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
  case ARGUMENTS:
    if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
      return false;
    while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY)
      argument(ix, b, role, item, seen);
    *seen = (struct mxq_pt2_seen){.value = MXQ_NO_NUMBER};
    return mxq_pt2_ok(ix);
  }
  return false;
}

static bool argument(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, uint32_t *item, struct mxq_pt2_seen *seen) {
  static const char what[] = "an argument";
  const char *s;
  size_t n, i, count = sizeof kinds / sizeof *kinds;
  *seen = (struct mxq_pt2_seen){.value = MXQ_NO_NUMBER};
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  for (i = 0; i < count && (kinds[i].n != n || memcmp(s, kinds[i].key, n) != 0); i++)
    ;
  if (i == count)
    return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "an argument of the kind '%.*s', which is not known", n > 60 ? 60 : (int)n, s);
  return content(ix, b, role, kinds[i].shape, kinds[i].type, item, seen) && mxq_pt2_union_end(ix, what);
}

bool mxq_pt2_argument(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_pt2_role role, struct mxq_pt2_seen *seen) {
  uint32_t item = 0;
  return argument(ix, b, role, &item, seen);
}
