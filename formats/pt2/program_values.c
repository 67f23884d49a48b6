/* SPDX-License-Identifier: MIT */
/* The names of a graph, and what its tables say of them: tensor_values, sym_int_values, ... */
#include <string.h>

#include "formats/pt2/program_index.h"

static bool same(const struct mxq_pt2_building *b, uint32_t value, const char *s, size_t n) {
  return value < b->g.value_count && b->g.values[value].name_n == n && memcmp(b->g.values[value].name, s, n) == 0;
}

uint32_t mxq_pt2_intern(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, const char *s, size_t n) {
  /* Tables and uses mostly come in the order of the names. */
  if (same(b, b->last + 1, s, n))
    return ++b->last;
  if (same(b, b->last, s, n))
    return b->last;
  if (n > UINT16_MAX) {
    mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "a name of %zu bytes", n);
    return MXQ_NO_NUMBER;
  }
  uint32_t number = b->g.value_count;
  s = mxq_pt2_keep(ix, s, n);
  if (!s || !mxq_pt2_room(ix, &b->g.values, &b->value_room, number, sizeof *b->g.values))
    return MXQ_NO_NUMBER;
  switch (mxq_names_put(&b->g.by_name, s, n, &number)) {
  case MXQ_NAMES_NOMEM:
    mxq_pt2_nomem(ix);
    return MXQ_NO_NUMBER;
  case MXQ_NAMES_NEW:
    b->g.values[b->g.value_count++] = (struct mxq_pt2_value){.name = s, .name_n = (uint16_t)n, .node = MXQ_NO_NUMBER, .input = MXQ_NO_NUMBER,
                                                             .type = MXQ_VALUE_OTHER, .described = UINT8_MAX};
    break;
  case MXQ_NAMES_THERE: break;
  }
  return b->last = number;
}

/* {"as_int": N}, or {"as_expr": {"expr_str": "...", "hint": ...}}; the constant, -1 for the latter. `plain`: as_int, as_bool, as_float. */
static bool symbol(struct mxq_pt2_indexer *ix, const char *plain, bool size) {
  static const char what[] = "a size or symbol";
  const char *s;
  size_t n;
  if (!mxq_pt2_union(ix, what, &s, &n))
    return false;
  if (mxq_pt2_is(s, n, plain)) {
    int64_t value = 0;
    bool ok;
    if (plain[3] == 'i') {
      ok = mxq_json_i64(ix->json, &value);
    } else if (plain[3] == 'b') {
      ok = mxq_json_bool(ix->json, &ok);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
    if (size && value < 0)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "a negative size, stride or offset");
  } else if (mxq_pt2_is(s, n, "as_expr")) {
    size_t at = mxq_json_offset(ix->json);
    bool has_text = false;
    if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
      return false;
    while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
      if (mxq_pt2_is(s, n, "expr_str"))
        has_text = mxq_json_expect(ix->json, MXQ_JSON_STRING);
      else
        mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
    if (!has_text)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "a symbolic size without expr_str");
  } else {
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "a size must be {\"%s\": ...} or {\"as_expr\": ...}", plain);
  }
  return mxq_pt2_union_end(ix, what);
}

static uint32_t sizes(struct mxq_pt2_indexer *ix) {
  uint32_t count = 0;
  if (!mxq_json_expect(ix->json, MXQ_JSON_ARRAY))
    return 0;
  for (; mxq_json_more(ix->json); count++) {
    if (count == MXQ_MAX_NDIM) {
      mxq_pt2_refuse(ix, MXQ_ERR_LIMIT, mxq_json_offset(ix->json), "more than %d dimensions", MXQ_MAX_NDIM);
      return 0;
    }
    if (!symbol(ix, "as_int", true))
      return 0;
  }
  mxq_json_expect(ix->json, MXQ_JSON_ARRAY_END);
  return count;
}

/* Checked because configs get the text of it. */
static void device_index(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  int64_t index;
  enum mxq_json_type type = mxq_json_next(ix->json, &s, &n);
  if (type != MXQ_JSON_ERROR && type != MXQ_JSON_NULL && !(type == MXQ_JSON_NUMBER && mxq_json_text_to_i64(s, n, &index)))
    mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, mxq_json_offset(ix->json), "the index of its device must be a whole number or null");
}

/* {"type": "cpu", "index": null} */
static bool device(struct mxq_pt2_indexer *ix) {
  const char *s;
  size_t n;
  bool has_type = false;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "type"))
      has_type = mxq_json_expect(ix->json, MXQ_JSON_STRING);
    else if (mxq_pt2_is(s, n, "index"))
      device_index(ix);
    else
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
  }
  return has_type;
}

enum { DTYPE = 1, SIZES = 2, GRAD = 4, DEVICE = 8, STRIDES = 16, OFFSET = 32, LAYOUT = 64, ALL = 127 };

static bool tensor_meta(struct mxq_pt2_indexer *ix, uint8_t *dtype) {
  const char *s;
  size_t n, at = mxq_json_offset(ix->json);
  uint64_t number;
  uint32_t size_count = 0, stride_count = 0;
  unsigned has = 0;
  bool grad;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    if (mxq_pt2_is(s, n, "dtype")) {
      has |= DTYPE;
      if (mxq_json_u64(ix->json, &number)) {
        if (mxq_pt2_dtype(number) == MXQ_DTYPE_NONE)
          return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "its dtype, number %llu, is not known", (unsigned long long)number);
        *dtype = (uint8_t)number;
      }
    } else if (mxq_pt2_is(s, n, "sizes")) {
      has |= SIZES;
      size_count = sizes(ix);
    } else if (mxq_pt2_is(s, n, "strides")) {
      has |= STRIDES;
      stride_count = sizes(ix);
    } else if (mxq_pt2_is(s, n, "requires_grad")) {
      has |= GRAD;
      mxq_json_bool(ix->json, &grad);
    } else if (mxq_pt2_is(s, n, "device")) {
      has |= device(ix) ? DEVICE : 0;
    } else if (mxq_pt2_is(s, n, "storage_offset")) {
      has |= OFFSET;
      symbol(ix, "as_int", true);
    } else if (mxq_pt2_is(s, n, "layout")) {
      has |= LAYOUT;
      if (mxq_json_u64(ix->json, &number) && number > 7)
        return mxq_pt2_refuse(ix, MXQ_ERR_UNSUPPORTED, mxq_json_offset(ix->json), "its layout, number %llu, is not known", (unsigned long long)number);
    } else {
      mxq_json_skip(ix->json, MXQ_JSON_KEY);
    }
  }
  if (has != ALL)
    return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "dtype, sizes, strides, storage_offset, requires_grad, device (with its type) and layout must all be there");
  return size_count == stride_count || mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "it has not as many strides as sizes");
}

static bool entry(struct mxq_pt2_indexer *ix, enum mxq_value_type type, uint8_t *dtype) {
  struct mxq_pt2_seen seen;
  switch (type) {
  case MXQ_VALUE_TENSOR: return mxq_json_expect(ix->json, MXQ_JSON_OBJECT) && tensor_meta(ix, dtype);
  case MXQ_VALUE_INT: return symbol(ix, "as_int", false);
  case MXQ_VALUE_FLOAT: return symbol(ix, "as_float", false);
  case MXQ_VALUE_BOOL: return symbol(ix, "as_bool", false);
  default: return mxq_pt2_named(ix, NULL, MXQ_ROLE_TELLS, type, 0, &seen);
  }
}

bool mxq_pt2_values(struct mxq_pt2_indexer *ix, struct mxq_pt2_building *b, enum mxq_value_type type) {
  const char *s;
  size_t n, node_at = ix->node_at;
  if (!mxq_json_expect(ix->json, MXQ_JSON_OBJECT))
    return false;
  size_t object = mxq_json_offset(ix->json);
  mxq_json_own_keys(ix->json);       /* names without an entry yet are what is asked for below */
  b->last = MXQ_NO_NUMBER;
  while (mxq_pt2_ok(ix) && mxq_json_next(ix->json, &s, &n) == MXQ_JSON_KEY) {
    size_t at = mxq_json_offset(ix->json), value_at = mxq_json_end_offset(ix->json);
    uint32_t number = mxq_pt2_intern(ix, b, s, n);
    uint8_t dtype = 0;
    if (number == MXQ_NO_NUMBER)
      return false;
    ix->node_at = SIZE_MAX;
    ix->value = b->g.values[number].name;
    ix->value_n = n;
    if (b->g.values[number].described != UINT8_MAX)
      return mxq_pt2_refuse(ix, MXQ_ERR_MALFORMED, at, "it is described twice");
    if (!entry(ix, type, &dtype))
      return false;
    struct mxq_pt2_value *v = &b->g.values[number];
    v->described = (uint8_t)type;
    v->dtype = dtype;
    v->entry = mxq_pt2_span(ix, at);
    while (strchr(" \n\r\t", ix->p->text[value_at]))
      value_at++;
    v->meta = mxq_pt2_span(ix, value_at);
    ix->value = NULL;
  }
  ix->node_at = node_at;
  if (type == MXQ_VALUE_TENSOR)
    b->g.tensor_values = mxq_pt2_span(ix, object);
  return mxq_pt2_ok(ix);
}
